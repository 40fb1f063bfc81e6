"""Missing values: one mask, flags and one fill, after all features are made, by the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import polars as pl

from foreproof.core.section import Section
from foreproof.errors import PlanError

Fill = Literal["none", "zero", "number"]
FLAG = "_missing"


@dataclass(frozen=True, slots=True)
class Missing:
    """flags: a column `NAME_missing` (1 where it is null) beside each feature that may be null. fill: `none` leaves nulls to the
    model, `zero` and `number` (`value`) put a number in their place. Text is left alone: a null is a category of its own.
    """

    flags: bool = False
    fill: Fill = "none"
    value: float = 0.0


def fill_missing(rows: pl.DataFrame, features: list[str], missing: Missing) -> pl.DataFrame:
    """Rows with flags and fills. Every numeric feature has a flag, so that the columns never depend on the rows."""
    numbers = [name for name in features if rows.schema[name] == pl.Float64]
    flags = [pl.col(name).is_null().cast(pl.Float64).alias(name + FLAG) for name in numbers] if missing.flags else []
    found = rows.with_columns(flags)
    if missing.fill == "none":
        return found
    value = 0.0 if missing.fill == "zero" else missing.value
    return found.with_columns(pl.col(numbers).fill_null(value))


def parse_missing(section: Section) -> Missing:
    """`missing: {flags: true, fill: zero}`, or `fill: -1`."""
    flags, given = section.flag("flags", default=False), section.raw("fill", default="none")
    section.done()
    if isinstance(given, int | float) and not isinstance(given, bool) and np.isfinite(given):
        return Missing(flags, "number", float(given))
    if given not in get_args(Fill)[:2]:
        raise PlanError(f"{section.path}.fill", found=repr(given), wanted="none, zero or a number")
    return Missing(flags, given)


__all__ = ["FLAG", "Fill", "Missing", "fill_missing", "parse_missing"]
