"""Series from facts: what y is, when a series begins, and what a step without facts means.

`target` gives what a model learns from, `labels` gives the truth over (cutoff, cutoff + horizon] to the engine alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.clock import Moment, Ticks, ticks, time_column
from foreproof.core.grid import Grid
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.view import Database, Table, View
from foreproof.errors import BadInput
from foreproof.features.cells import (
    FAR,
    Cells,
    Gap,
    Reading,
    Values,
    Where,
    cells,
    coded,
    facts,
    number_column,
    stored_number,
)
from foreproof.features.kernels import carried, earliest, panel

Aggregate = Literal["sum", "mean", "last"]
Start = Literal["first"]
_TAKEN = ("cutoff", "step", "period", "y", "label", "level", "value")


@dataclass(frozen=True, slots=True)
class Series:
    """Series of a table: one for each value of the columns `by` (one in all where `by` is empty).

    aggregate: how the facts of one period become y. gap: what a step of a series' life without facts is worth: `zero` 0,
    `missing` null, `carry` the last value before it. start: `first`, a series begins with its first visible fact.
    keep, drop: (column, values) that a fact must have, must not have. y is in the value column's own unit.
    """

    table: str
    by: tuple[str, ...]
    value: str
    grid: Grid
    aggregate: Aggregate = "sum"
    gap: Gap = "zero"
    keep: Where = ()
    drop: Where = ()
    start: Start = "first"

    def __post_init__(self) -> None:
        for name, value, words in (
            ("aggregate", self.aggregate, get_args(Aggregate)),
            ("gap", self.gap, get_args(Gap)),
            ("start", self.start, get_args(Start)),
        ):
            if value not in words:
                raise BadInput(f"series.{name}", found=f"{value!r}", wanted=f"one of {', '.join(words)}")
        for name in self.by:
            if name in _TAKEN:
                raise BadInput(
                    "series.by",
                    found=f"a column named {name!r}, which results use",
                    wanted="another name",
                    fix=f"give it one in the contract (source: {name})",
                )

    @property
    def reading(self) -> Reading:
        """The series as a reading of its table."""
        return Reading(self.table, self.value, self.aggregate, self.gap, self.keep, self.drop)


@dataclass(frozen=True, slots=True)
class VersionedSeries:
    """Series with all their versions, resolved once.

    keys: the columns `by`, one row a series, sorted; its position is the series' code in `cells`. size: how many series.
    view: the period of the view that they were made from, None where all versions are there.
    """

    spec: Series
    keys: pl.DataFrame
    size: int
    cells: Cells
    view: int | None

    def named(self, codes: Ticks) -> list[pl.Series]:
        """The columns `by` of each code."""
        return self.keys[codes].get_columns() if self.spec.by else []

    def at(self, cutoff: Moment) -> int:
        """The period of a cutoff, which must be a grid point, and a view's own."""
        period = int(cutoff_periods(self.spec.grid, [cutoff])[0])
        if self.view is not None and period != self.view:
            raise BadInput(
                f"series of {self.spec.table}",
                found=f"cutoff {cutoff}, which is not the view's own",
                wanted="the view at that cutoff: another one lacks rows or holds their later versions",
            )
        return period


Source = Database | View | VersionedSeries


def versioned_series(source: Source, spec: Series) -> VersionedSeries:
    """Resolve the versions of a series' facts once: y by series and period, as a function of the cutoff.

    Raises BadInput for an unknown table, PlanError for an unknown column, BadInput for a column that holds no numbers or
    a table on another clock than the grid.
    """
    if isinstance(source, VersionedSeries):
        if source.spec != spec:
            raise BadInput("series", found=f"versions of {source.spec}", wanted=f"versions of {spec}")
        return source
    table = _table(source, spec.table)
    column = number_column(table, spec.reading)
    for name in spec.by:
        table.contract.column(name)
    value = stored_number(column)
    rows = facts(table, value, by=spec.by, grid=spec.grid, where=(spec.keep, spec.drop))
    keys = rows.select(spec.by).unique().sort(spec.by) if spec.by else pl.DataFrame()
    size = keys.height if spec.by else 1
    found = cells(
        coded(rows, keys, by=spec.by), aggregate=spec.aggregate, scale=column.scale if column is not None else 1
    )
    view = int(cutoff_periods(spec.grid, [source.cutoff])[0]) if isinstance(source, View) else None
    return VersionedSeries(spec, keys, size, found, view)


def cutoff_periods(grid: Grid, cutoffs: Sequence[Moment]) -> Ticks:
    """The period number of each cutoff; a cutoff inside a period is refused, since nobody can wait for half a step."""
    for cutoff in cutoffs:
        if isinstance(cutoff, int) != grid.integer:
            raise BadInput("cutoff", found=repr(cutoff), wanted=f"a moment of the grid's clock ({grid.describe()})")
    at = np.array([ticks(cutoff) for cutoff in cutoffs], dtype=np.int64)
    periods = grid.index(at)
    for cutoff, off in zip(cutoffs, (grid.at(periods) != at).tolist(), strict=True):
        if off:
            raise BadInput(
                "cutoff",
                found=f"{cutoff}, inside a period of {grid.describe()}",
                wanted="the last instant of a period",
                fix=f"use the grid point before it, {grid.add(cutoff, -1)}",
            )
    return periods


def target(source: Source, spec: Series, cutoff: Moment) -> pl.DataFrame:
    """Columns `by`, `period` (Int64), `y` (Float64): each series from its start to the cutoff, by the gap rule, sorted.

    y aggregates the facts with happened in (at(period - 1), at(period)], among the rows known <= cutoff. The bits are the
    same from a whole database, a truncated one and a view at the cutoff. Raises BadInput if the cutoff is no grid point.
    """
    series = versioned_series(source, spec)
    at = series.at(cutoff)
    seen = series.cells.visible(at)
    seen = seen.where(seen.period <= at)
    codes, first = np.unique(seen.code, return_index=True)
    start = seen.period[first]  # cells are sorted by code and period
    lengths = at - start + 1
    offset = np.cumsum(lengths) - lengths
    place = offset[np.searchsorted(codes, seen.code)] + seen.period - start[np.searchsorted(codes, seen.code)]
    y = np.full(int(lengths.sum()), np.nan)
    y[place] = in_units(seen.value, scale=seen.scale)
    if spec.gap == "zero":
        y[np.isnan(y)] = 0.0
    elif spec.gap == "carry":
        y = y[np.maximum.accumulate(np.where(np.isnan(y), 0, np.arange(len(y))))]
    period = np.arange(len(y), dtype=np.int64) - np.repeat(offset - start, lengths)
    names = series.named(np.repeat(codes, lengths))
    return pl.DataFrame([*names, pl.Series("period", period), pl.Series("y", y, nan_to_null=True)])


def labels(
    source: Database | VersionedSeries,
    spec: Series,
    cutoffs: Sequence[Moment],
    horizon: int,
    *,
    at: Moment | None = None,
) -> pl.DataFrame:
    """Columns `by`, `cutoff`, `step`, `y`: the truth over (cutoff, cutoff + horizon], as known at `at`.

    One row for each series that had begun at the cutoff, as known then, and each step that had ended at `at`, a grid point.
    Without `at` everything counts as known, up to the last period in which any series has a fact: beyond it silence
    is not zero. A step without facts follows the gap rule. Only the engine and `Task.labels` call this (law 2).
    """
    series = versioned_series(source, spec)
    grid = spec.grid
    steps = steps_of(horizon)
    points = cutoff_periods(grid, sorted(set(cutoffs), key=ticks))
    known = FAR - 1 if at is None else series.at(at)
    truth = series.cells.visible(known)
    end = int(truth.period.max(initial=-FAR)) if at is None else known
    start = earliest(series.cells, cutoffs=points, size=series.size)
    # Everything known at `at` is the truth of every cutoff.
    always = Cells(
        truth.code,
        truth.period,
        np.full_like(truth.since, -FAR),
        np.full_like(truth.until, FAR),
        truth.value,
        truth.count,
        truth.scale,
    )
    gather = carried if spec.gap == "carry" else panel
    found = gather(always, cutoffs=points, lags=-steps[::-1], size=series.size)
    value = in_units(found.value, scale=truth.scale)
    if spec.gap != "zero":
        value = np.where(found.present, value, np.nan)
    value = value[::-1].transpose(1, 2, 0)  # lag -1 is step 1
    wanted = (start <= points)[:, :, None] & (points[:, None] + steps <= end)[None, :, :]
    code, cutoff, step = np.nonzero(wanted)
    return pl.DataFrame(
        [
            *series.named(code),
            time_column(CUTOFF, grid.at(points)[cutoff], integer=grid.integer),
            pl.Series(STEP, steps[step]),
            pl.Series("y", value[wanted], nan_to_null=True),
        ]
    )


def steps_of(horizon: int) -> Ticks:
    """1 ... horizon; a horizon below 1 is refused."""
    if horizon < 1:
        raise BadInput("horizon", found=str(horizon), wanted="at least one step")
    return np.arange(1, horizon + 1, dtype=np.int64)


def in_units(values: Values, *, scale: int) -> npt.NDArray[np.float64]:
    """Stored values in the user's unit: the one division by the column's scale."""
    units: npt.NDArray[np.float64] = np.divide(values, scale, dtype=np.float64)
    return units


def _table(source: Database | View, name: str) -> Table:
    if name not in source.tables:
        raise BadInput("series.table", found=f"no table {name!r}", wanted=f"one of {', '.join(sorted(source.tables))}")
    return source.tables[name]


__all__ = [
    "Aggregate",
    "Series",
    "Source",
    "Start",
    "VersionedSeries",
    "cutoff_periods",
    "in_units",
    "labels",
    "steps_of",
    "target",
    "versioned_series",
]
