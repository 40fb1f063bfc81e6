"""The programme behind a list, written for HiGHS: the most value under limits on how many rows may be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foreproof.core.decide import Floats

Ints = npt.NDArray[np.int64]
NO_LIMIT = 2**62
_TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """At least `low` and at most `high` of the rows (positions, rising) may be chosen.

    rule: what it is one case of; limits of one rule (that of every account) stand and fall together.
    """

    name: str
    rows: Ints
    low: int = 0
    high: int = NO_LIMIT
    rule: str = ""


def relaxed(value: Floats, limits: Sequence[Limit], *, most: int) -> Any:
    """A corner of the programme without whole numbers; `x` is None where nothing is feasible.

    Its rows: all together, each limit's upper end, then the lower end of those that have one.
    """
    from scipy.optimize import linprog
    from scipy.sparse import vstack

    matrix, low, high = _matrix(limits, value.size, most)
    above = vstack([matrix, -matrix[low > 0]], format="csr")
    bound = np.concatenate([high, -low[low > 0]])
    return linprog(cost_of(value), A_ub=above, b_ub=bound, bounds=(0.0, 1.0), method="highs-ds")


def whole(value: Floats, limits: Sequence[Limit], *, most: int) -> Any:
    """The programme in whole numbers, solved without a gap; `x` is None where nothing is feasible."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    matrix, low, high = _matrix(limits, value.size, most)
    return milp(
        cost_of(value),
        constraints=LinearConstraint(matrix, low, high),
        integrality=np.ones(value.size),
        bounds=Bounds(0.0, 1.0),
        options={"mip_rel_gap": 0.0},
    )


def duals_of(found: Any, limits: Sequence[Limit]) -> tuple[float, Floats, Floats]:
    """Of a corner: the price of capacity, and of each limit's upper and lower end; all at least 0."""
    duals = np.maximum(-np.asarray(found.ineqlin.marginals, dtype=np.float64), 0.0)
    below = np.zeros(len(limits))
    below[[limit.low > 0 for limit in limits]] = duals[len(limits) + 1 :]
    return float(duals[0]), duals[1 : len(limits) + 1], below


def cost_of(value: Floats) -> Floats:
    """What is minimised. Of equal values the earlier row wins: by less than any difference that counts."""
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


__all__ = ["NO_LIMIT", "Ints", "Limit", "cost_of", "duals_of", "relaxed", "whole"]
