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
_TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """At least `low` and at most `high` of the rows (positions, rising) may be chosen."""

    name: str
    rows: Ints
    low: int = 0
    high: int = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """chosen: positions, rising. value: their sum."""

    chosen: Ints
    value: float


def assign(value: Floats, limits: Sequence[Limit], *, most: int) -> Assignment:
    """Max sum v x, x in {0, 1}, sum x <= most, low <= sum over each limit's rows <= high.

    value: n, money or chances, at least 0, in the order in which ties are broken. Where the `most` best keep every limit they
    are the answer; else a mixed-integer programme, solved to the optimum (HiGHS: Huangfu & Hall 2018). Raises BadInput where
    the limits cannot be met together, with the names of those that clash.
    """
    best = np.sort(np.argsort(-value, kind="stable")[:most])
    inside = np.zeros(value.size, dtype=np.int64)
    inside[best] = 1
    if all(limit.low <= inside[limit.rows].sum() <= limit.high for limit in limits):
        return Assignment(best, float(value[best].sum()))
    found = _solve(value, limits, most, integral=True)
    if found.x is None:
        raise BadInput(
            "list", found=f"limits that cannot be met together: {_clash(value, limits, most)}",
            wanted="a list that keeps all of them", fix="raise the capacity or a cap, or lower a floor",
        )  # fmt: skip
    chosen = np.flatnonzero(found.x > 0.5).astype(np.int64)
    return Assignment(chosen, float(value[chosen].sum()))


def marginal_prices(value: Floats, limits: Sequence[Limit], *, most: int) -> list[float]:
    """For each limit, what one more unit of it would add: the dual of the relaxed programme, at least 0."""
    from scipy.optimize import linprog

    matrix, low, high = _matrix(limits, value.size, most)
    from scipy.sparse import vstack

    finite_low = low > 0
    above = vstack([matrix, -matrix[finite_low]], format="csr")
    bound = np.concatenate([high, -low[finite_low]])
    found = linprog(-value, A_ub=above, b_ub=bound, bounds=(0.0, 1.0), method="highs")
    if found.ineqlin is None or found.status != 0:
        return [0.0] * len(limits)
    duals = -np.asarray(found.ineqlin.marginals, dtype=np.float64)
    both = duals[: high.size].copy()
    both[finite_low] += duals[high.size :]
    return [max(0.0, float(price)) for price in both[1:]]


def _solve(value: Floats, limits: Sequence[Limit], most: int, *, integral: bool) -> Any:
    from scipy.optimize import Bounds, LinearConstraint, milp

    matrix, low, high = _matrix(limits, value.size, most)
    # Of equal values the earlier row wins: by less than any difference that counts.
    largest = float(np.abs(value).max(initial=1.0)) or 1.0
    order = np.arange(value.size) / max(value.size, 1) * largest * _TINY / max(value.size, 1)
    return milp(
        -(value - order),
        constraints=LinearConstraint(matrix, low, high),
        integrality=np.full(value.size, int(integral)),
        bounds=Bounds(0.0, 1.0),
        options={"mip_rel_gap": 0.0},
    )


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
    """A smallest set of limits that clash: each is left out in turn, and stays out where the rest still clash."""
    kept = list(limits)
    for limit in limits:
        fewer = [one for one in kept if one is not limit]
        if _solve(value, fewer, most, integral=True).x is None:
            kept = fewer
    said = [f"{limit.name} ({limit.low or '0'} to {limit.high if limit.high < 2**61 else 'any'})" for limit in kept]
    return ", ".join([*said, f"capacity {most}"])


__all__ = ["Assignment", "Limit", "assign", "marginal_prices"]
