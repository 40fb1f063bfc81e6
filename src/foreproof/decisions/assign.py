"""The assignment behind a list: the pairs with the most value under limits, by a solver, and what each limit costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foreproof.core.decide import Floats
from foreproof.errors import BadInput

Ints = npt.NDArray[np.int64]
_TINY, _WHOLE = 1e-9, 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """At least `low` and at most `high` of the rows (positions, rising) may be chosen.

    rule: what it is one case of; limits of one rule (that of every account) stand and fall together.
    """

    name: str
    rows: Ints
    low: int = 0
    high: int = 2**62
    rule: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """chosen: positions, rising. value: their sum."""

    chosen: Ints
    value: float


def assign(value: Floats, limits: Sequence[Limit], *, most: int) -> Assignment:
    """Max sum v x, x in {0, 1}, sum x <= most, low <= sum over each limit's rows <= high.

    value: n, money or chances, at least 0, in the order in which ties are broken. Where the `most` best keep every limit they
    are the answer. Else the relaxed programme is solved by the simplex method (HiGHS: Huangfu & Hall 2018): where limits are
    on groups and on accounts (or on what accounts are nested in) it is a flow in a network, whose corners are whole numbers
    (Hoffman & Kruskal 1956). Where a corner is not whole, the integer programme follows. Raises BadInput where the limits
    cannot be met together, with the names of those that clash.
    """
    best = np.sort(np.argsort(-value, kind="stable")[:most])
    inside = np.zeros(value.size, dtype=np.int64)
    inside[best] = 1
    if all(limit.low <= inside[limit.rows].sum() <= limit.high for limit in limits):
        return Assignment(best, float(value[best].sum()))
    found = _relaxed(value, limits, most)
    if found.x is not None and np.abs(found.x - np.round(found.x)).max(initial=0.0) > _WHOLE:
        found = _solve(value, limits, most)
    if found.x is None:
        raise BadInput(
            "list", found=f"limits that cannot be met together: {_clash(value, limits, most)}",
            wanted="a list that keeps all of them", fix="raise the capacity or a cap, or lower a floor",
        )  # fmt: skip
    chosen = np.flatnonzero(found.x > 0.5).astype(np.int64)
    return Assignment(chosen, float(value[chosen].sum()))


def marginal_prices(value: Floats, limits: Sequence[Limit], *, most: int) -> list[float]:
    """For each limit, what one more unit of it would add: the dual of the relaxed programme, at least 0."""
    found = _relaxed(value, limits, most)
    if found.x is None:
        return [0.0] * len(limits)
    _, low, high = _matrix(limits, value.size, most)
    duals = -np.asarray(found.ineqlin.marginals, dtype=np.float64)
    both = duals[: high.size].copy()
    both[low > 0] += duals[high.size :]
    return [max(0.0, float(price)) for price in both[1:]]


def _relaxed(value: Floats, limits: Sequence[Limit], most: int) -> Any:
    """A corner of the programme without whole numbers; `x` is None where nothing is feasible."""
    from scipy.optimize import linprog
    from scipy.sparse import vstack

    matrix, low, high = _matrix(limits, value.size, most)
    above = vstack([matrix, -matrix[low > 0]], format="csr")
    bound = np.concatenate([high, -low[low > 0]])
    return linprog(_cost(value), A_ub=above, b_ub=bound, bounds=(0.0, 1.0), method="highs-ds")


def _solve(value: Floats, limits: Sequence[Limit], most: int) -> Any:
    from scipy.optimize import Bounds, LinearConstraint, milp

    matrix, low, high = _matrix(limits, value.size, most)
    return milp(
        _cost(value),
        constraints=LinearConstraint(matrix, low, high),
        integrality=np.ones(value.size),
        bounds=Bounds(0.0, 1.0),
        options={"mip_rel_gap": 0.0},
    )


def _cost(value: Floats) -> Floats:
    """Of equal values the earlier row wins: by less than any difference that counts."""
    largest = float(np.abs(value).max(initial=1.0)) or 1.0
    order = np.arange(value.size) / max(value.size, 1) * largest * _TINY / max(value.size, 1)
    return np.asarray(order - value)


def _matrix(limits: Sequence[Limit], size: int, most: int) -> tuple[Any, Floats, Floats]:
    """Rows: all together, then each limit."""
    from scipy.sparse import csr_array

    rows = [np.arange(size), *(limit.rows for limit in limits)]
    row = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
    column = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
    matrix = csr_array((np.ones(column.size), (row, column)), shape=(len(rows), size))
    low = np.array([0, *(limit.low for limit in limits)], dtype=np.float64)
    high = np.array([most, *(min(limit.high, size) for limit in limits)], dtype=np.float64)
    return matrix, low, high


def _clash(value: Floats, limits: Sequence[Limit], most: int) -> str:
    """Rules that clash, none of them to spare: each is left out in turn, and stays out where the rest still clash."""
    kept = list(dict.fromkeys(limit.rule or limit.name for limit in limits))
    nothing = np.zeros_like(value)
    for rule in list(kept):
        fewer = [one for one in limits if (one.rule or one.name) in kept and (one.rule or one.name) != rule]
        if _solve(nothing, fewer, most).x is None:
            kept.remove(rule)
    said = []
    for rule in kept:
        case = next(limit for limit in limits if (limit.rule or limit.name) == rule)
        said.append(f"{rule} ({case.low} to {case.high if case.high < 2**61 else 'any'})")
    return ", ".join([*said, f"capacity {most}"])


__all__ = ["Assignment", "Limit", "assign", "marginal_prices"]
