"""Slow twins of the whitespace task: loops so plain that they are right by reading."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

Line = tuple[int, int, date, float]
"""customer, grp, day, money."""


def bought(lines: Sequence[Line], cutoff: date, first: int, last: int) -> list[Line]:
    """Lines from `first` to `last` days after the cutoff, both counted; negative before it."""
    return [line for line in lines if first <= (line[2] - cutoff).days <= last]


def task(lines: Sequence[Line], cutoff: date, groups: int) -> list[tuple[int, int, int, bool]]:
    """customer, grp, y, whitespace."""
    year, after = bought(lines, cutoff, -364, 0), bought(lines, cutoff, 1, 90)
    rows = []
    for customer in sorted({line[0] for line in year}):
        for grp in range(groups):
            buys = any(line[:2] == (customer, grp) for line in after)
            held = any(line[:2] == (customer, grp) for line in year)
            rows.append((customer, grp, int(buys), not held))
    return rows


def visits(lines: Sequence[Line], cutoff: date) -> list[float | None]:
    """Active days in 30, 90, 180, 365 days, days since the last and the first, mean gap, money of a year."""
    ages = sorted({(cutoff - line[2]).days for line in lines})
    counts = [float(sum(age < w for age in ages)) for w in (30, 90, 180, 365)]
    money = sum(line[3] for line in lines if (cutoff - line[2]).days < 365)
    if not ages:
        return [*counts, None, None, None, money]
    gap = (ages[-1] - ages[0]) / (len(ages) - 1) if len(ages) > 1 else None
    return [*counts, float(ages[0]), float(ages[-1]), gap, money]


def features(lines: Sequence[Line], cutoff: date, customer: int, grp: int) -> list[float | None]:
    """The 27 columns of one pair, in order."""
    past = [line for line in lines if line[2] <= cutoff]
    year = bought(lines, cutoff, -364, 0)
    pair = visits([line for line in past if line[:2] == (customer, grp)], cutoff)
    own = visits([line for line in past if line[0] == customer], cutoff)
    held = len({line[1] for line in year if line[0] == customer})
    buyers = [
        float(len({line[0] for line in bought(lines, cutoff, 1 - w, 0) if line[1] == grp})) for w in (30, 90, 180, 365)
    ]
    since, gap, days = own[4], own[6], own[3]
    assert since is not None and days
    return [
        *pair,
        *own,
        float(held),
        *buyers,
        since / gap if gap else None,
        (pair[3] or 0.0) / days,
        buyers[0] / buyers[1] if buyers[1] else None,
        buyers[3] / len({line[0] for line in year}),
        float(cutoff.month),
        float(grp),
    ]


def capture(score: Sequence[float], y: Sequence[int], weight: Sequence[int], share: float) -> float:
    """The expected share of positives among the first `share` of pairs, where equals stand in random order."""
    total = sum(weight)
    positives = sum(w * label for w, label in zip(weight, y, strict=True))
    found = 0.0
    for i, own in enumerate(score):
        above = sum(w for other, w in zip(score, weight, strict=True) if other > own)
        equal = sum(w for other, w in zip(score, weight, strict=True) if other == own)
        fits = min(max(share * total - above, 0.0), equal)
        if equal:
            found += weight[i] * y[i] * fits / equal
    return found / positives
