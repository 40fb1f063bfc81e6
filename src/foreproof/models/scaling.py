"""Rows of features to matrices without a scale, so that one model learns from all series at once.

A column whose name starts with `y_` is in the unit of the target. Among them `y_scale` is the row's scale (above 0, known
at the cutoff), names with one of the words in `SPREADS` are sums, differences and deviations, and the rest are levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.errors import BadInput
from foreproof.models.panel import Floats

UNIT, SCALE = "y_", "y_scale"
SPREADS = frozenset({"scale", "std", "sum", "difference", "diff", "range", "nonzero"})
_FLOOR = 0.01
"""The least unit of a row as a share of `y_scale`: a series that stood still must not blow its labels up."""
_RELATIVE = ("relative_origin",)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns a model reads, and how.

    names: the features, rising by name. codes: for a text feature the place of each known category; others are missing
    values. relative: whether a row's origin and unit are the mean and the deviation of its levels, else 0 and `y_scale`.
    """

    names: tuple[str, ...]
    codes: Mapping[str, Mapping[str, int]]
    relative: bool

    @property
    def levels(self) -> tuple[str, ...]:
        """The columns that move with the target when a constant is added to it."""
        return tuple(name for name in self.names if name.startswith(UNIT) and not SPREADS & set(name.split("_")))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the matrix's columns."""
        return (*self.names, *(_RELATIVE if self.relative else ()))


@dataclass(frozen=True, slots=True)
class Scaled:
    """matrix: rows x inputs, NaN where missing. A target y stands as (y - origin) / unit, so y = origin + unit value."""

    matrix: Floats
    origin: Floats
    unit: Floats


def learn_columns(rows: pl.DataFrame, index: Sequence[str], *, relative: bool) -> Columns:
    """The columns of training rows other than `index`; BadInput where `y_scale` is missing or a column is of another type."""
    names = tuple(sorted(name for name in rows.columns if name not in index))
    if SCALE not in names:
        raise BadInput("rows", found=f"no column {SCALE}", wanted="each row's scale", fix="compile rows with the scale")
    codes = {}
    for name in names:
        dtype = rows[name].dtype
        if dtype == pl.String:
            codes[name] = {word: place for place, word in enumerate(rows[name].drop_nulls().unique().sort().to_list())}
        elif not dtype.is_numeric() and dtype != pl.Boolean:
            raise BadInput(f"rows: {name}", found=f"type {dtype}", wanted="Float64 or String", fix="cast the column")
    known = Columns(names, codes, relative=False)
    return Columns(names, codes, relative=relative and len(known.levels) > 1)


def scaled(rows: pl.DataFrame, columns: Columns) -> Scaled:
    """The matrix of some rows; infinite features count as missing."""
    missing = [name for name in columns.names if name not in rows.columns]
    if missing:
        raise BadInput("rows", found=f"no column {missing[0]}", wanted="the columns of the fit", fix="compile them too")
    values = {name: _numbers(rows[name], columns.codes.get(name)) for name in columns.names}
    with np.errstate(invalid="ignore"):
        scale = np.where(values[SCALE] > 0.0, values[SCALE], 1.0)
    origin, unit = _frame(values, columns, scale) if columns.relative else (np.zeros(rows.height), scale)
    levels = frozenset(columns.levels) if columns.relative else frozenset()
    matrix = np.empty((rows.height, len(columns.inputs)))
    for place, name in enumerate(columns.names):
        value = values[name] - origin if name in levels else values[name]
        matrix[:, place] = value / unit if name.startswith(UNIT) else value
    if columns.relative:
        matrix[:, -1] = origin / scale
    matrix[~np.isfinite(matrix)] = np.nan
    return Scaled(matrix, origin, unit)


def _frame(values: Mapping[str, Floats], columns: Columns, scale: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation over the levels of each row that are there; 0 and the scale where none is.

    Instance normalisation: Kim et al., Reversible instance normalization (2022), on the lags instead of the sequence.
    """
    levels = np.stack([values[name] for name in columns.levels])
    there = np.isfinite(levels)
    count = np.maximum(there.sum(axis=0), 1)
    origin = np.where(there, levels, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(there, levels - origin, 0.0) ** 2).sum(axis=0) / count)
    return origin, np.where(there.any(axis=0), np.maximum(spread, _FLOOR * scale), scale)


def _numbers(column: pl.Series, codes: Mapping[str, int] | None) -> Floats:
    if codes is not None:
        column = column.cast(pl.String).replace_strict(dict(codes), default=None, return_dtype=pl.Float64)
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


__all__ = ["SCALE", "SPREADS", "UNIT", "Columns", "Scaled", "learn_columns", "scaled"]
