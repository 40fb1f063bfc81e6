"""The slow twin of the list: every subset tried, every limit counted by hand."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import polars as pl

from foreproof.decisions.shortlist import ListTerms

Row = dict[str, Any]


def feasible(rows: list[Row], chosen: tuple[int, ...], terms: ListTerms, capacity: int) -> bool:
    """Whether a set of positions keeps every limit."""
    if len(chosen) > capacity:
        return False
    picked = [rows[i] for i in chosen]
    groups, accounts = Counter(r["group"] for r in picked), Counter(r["account"] for r in picked)
    segments, reps = Counter(r.get("segment") for r in picked), Counter(r.get("rep") for r in picked)
    for group, many in groups.items():
        share = terms.caps.get(group, terms.cap)
        if share is not None and many > share * capacity + 1e-9:
            return False
    if any(segments[name] < share * capacity - 1e-9 for name, share in terms.floors.items()):
        return False
    if terms.hybrid and any(segments[name] > many for name, many in terms.hybrid.items()):
        return False
    if terms.per_rep is not None and any(many > terms.per_rep for many in reps.values()):
        return False
    if terms.per_account is not None and any(many > terms.per_account for many in accounts.values()):
        return False
    return not any(terms.cool_down and r["contacted"] is not None and r["contacted"] < terms.cool_down for r in picked)


def best(beliefs: pl.DataFrame, terms: ListTerms, capacity: int) -> float | None:
    """The largest value of any feasible set, None where there is none."""
    rows = beliefs.to_dicts()
    values = [r["p"] * r["worth"] if terms.by == "value" else r["p"] for r in rows]
    found = None
    for size in range(capacity + 1):
        for chosen in combinations(range(len(rows)), size):
            if feasible(rows, chosen, terms, capacity):
                total = sum(values[i] for i in chosen)
                found = total if found is None or total > found else found
    return found
