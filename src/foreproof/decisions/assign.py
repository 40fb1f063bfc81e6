"""The assignment behind a list: the pairs with the most value under limits, by a solver, and what each limit costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from foreproof.core.decide import Floats
from foreproof.decisions.programme import NO_LIMIT, Ints, Limit, duals_of, relaxed, whole
from foreproof.decisions.sift import Start, sift
from foreproof.errors import BadInput

_WHOLE = 1e-6
_LARGE = 6_000
"""Rows from which on the programme is sifted first: below, the solver alone is as quick."""


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """chosen: positions, rising. value: their sum. start: prices from which a programme with one rule less is soon solved."""

    chosen: Ints
    value: float
    start: Start = field(default_factory=dict)


def assign(value: Floats, limits: Sequence[Limit], *, most: int, start: Start | None = None) -> Assignment:
    """Max sum v x, x in {0, 1}, sum x <= most, low <= sum over each limit's rows <= high.

    value: n, money or chances, at least 0, in the order in which ties are broken. Where the `most` best keep every limit they
    are the answer. A long one is sifted, which proves its answer by a bound (`decisions.sift`). Else the relaxed programme is
    solved by the simplex method (HiGHS: Huangfu & Hall 2018): where limits are on groups and on accounts (or on what accounts are
    nested in) it is a flow in a network, whose corners are whole numbers (Hoffman & Kruskal 1956). Where a corner is not whole,
    the integer programme follows. start: prices of a programme with one rule more. Raises BadInput where the limits cannot be met
    together, with the names of those that clash.
    """
    best = np.sort(np.argsort(-value, kind="stable")[:most])
    inside = np.zeros(value.size, dtype=np.int64)
    inside[best] = 1
    if all(limit.low <= inside[limit.rows].sum() <= limit.high for limit in limits):
        return Assignment(best, float(value[best].sum()))
    if value.size > _LARGE and (sifted := sift(value, limits, most=most, start=start)) is not None:
        return Assignment(sifted.chosen, float(value[sifted.chosen].sum()), sifted.start)
    found = relaxed(value, limits, most=most)
    if found.x is not None and np.abs(found.x - np.round(found.x)).max(initial=0.0) > _WHOLE:
        found = whole(value, limits, most=most)
    if found.x is None:
        raise BadInput(
            "list", found=f"limits that cannot be met together: {_clash(value, limits, most)}",
            wanted="a list that keeps all of them", fix="raise the capacity or a cap, or lower a floor",
        )  # fmt: skip
    chosen = np.flatnonzero(found.x > 0.5).astype(np.int64)
    return Assignment(chosen, float(value[chosen].sum()))


def marginal_prices(value: Floats, limits: Sequence[Limit], *, most: int, start: Start | None = None) -> list[float]:
    """For each limit, what one more unit of it would add: the dual of the relaxed programme, at least 0."""
    if value.size > _LARGE and (sifted := sift(value, limits, most=most, start=start)) is not None:
        return sifted.prices
    found = relaxed(value, limits, most=most)
    if found.x is None:
        return [0.0] * len(limits)
    _, above, below = duals_of(found, limits)
    return [float(price) for price in above + below]


def _clash(value: Floats, limits: Sequence[Limit], most: int) -> str:
    """Rules that clash, none of them to spare: each is left out in turn, and stays out where the rest still clash."""
    kept = list(dict.fromkeys(limit.rule or limit.name for limit in limits))
    nothing = np.zeros_like(value)
    for rule in list(kept):
        fewer = [one for one in limits if (one.rule or one.name) in kept and (one.rule or one.name) != rule]
        if relaxed(nothing, fewer, most=most).x is None or whole(nothing, fewer, most=most).x is None:
            kept.remove(rule)
    said = []
    for rule in kept:
        case = next(limit for limit in limits if (limit.rule or limit.name) == rule)
        said.append(f"{rule} ({case.low} to {case.high if case.high < NO_LIMIT // 2 else 'any'})")
    return ", ".join([*said, f"capacity {most}"])


__all__ = ["Assignment", "Ints", "Limit", "assign", "marginal_prices"]
