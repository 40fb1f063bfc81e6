"""How a column of features follows from the target: what a model needs that goes on from its own predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stat = Literal["value", "mean", "sum", "std", "min", "max", "nonzero", "difference", "ratio", "age"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a column follows from the target as of a cutoff, for step 1.

    lags: steps back from the cutoff, rising, of the values that are read; for `difference` the later and the earlier one.
    base: for `ratio`, those of the mean below. life: all values from lags[0] back to the series' start. Values before the
    start are left out; std has the divisor n - 1.
    """

    column: str
    stat: Stat
    lags: tuple[int, ...] = ()
    base: tuple[int, ...] = ()
    life: bool = False


__all__ = ["Recipe", "Stat"]
