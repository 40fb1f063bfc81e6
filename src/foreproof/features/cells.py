"""From versions of rows to cells: what each period of each key was worth, and at which cutoffs it was worth that.

A row known at tick k, superseded at tick u and happened at tick h is read at a cutoff of period c iff
`index(k) <= c < index(u)` and `index(h) <= c`, because a cutoff is the last tick of its period. Versions are resolved
once; from here on time is a period number, and every comparison is between integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.clock import FOREVER, Ticks, is_integer, tick_values
from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN, UNTIL, Column
from foreproof.core.grid import Grid
from foreproof.core.view import Table
from foreproof.errors import BadInput

Reduce = Literal["sum", "mean", "last", "min", "max", "count"]
Gap = Literal["zero", "missing", "carry"]
Where = tuple[tuple[str, tuple[str, ...]], ...]
Values = npt.NDArray[Any]
"""Int64 (exact, scaled) or Float64."""

FAR = 2**60
"""A period number beyond every cutoff; -FAR lies before every one. Sums of a few of them stay far from overflow."""

CODE, PERIOD, VALUE, SINCE, COUNT = "_code", "_period", "_value", "_since", "_count"
_CELL = [CODE, PERIOD, SINCE, UNTIL]
_OUTSIDE = 2**61
_RUNS = 4
"""How long runs of equal ticks are, where it pays to look at each once."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of a table in one period: the rows that pass, their column, and how many rows become one value.

    gap: what a period without rows is worth (see `Series`). keep, drop: (column, values) that a row must, must not have.
    `count` counts rows and needs no column.
    """

    table: str
    column: str = ""
    aggregate: Reduce = "mean"
    gap: Gap = "missing"
    keep: Where = ()
    drop: Where = ()

    def __str__(self) -> str:
        of = f"{self.table}.{self.column}" if self.column else self.table
        return f"{self.aggregate}({of})"


@dataclass(frozen=True, slots=True)
class Cells:
    """Values by key and period, each over the cutoff periods [since, until); sorted by code, period, since.

    At any cutoff a key's period has at most one cell. value: Int64 in units of 1/scale where sums are exact, else Float64
    with scale 1. count: the rows behind it, at least 1.
    """

    code: Ticks
    period: Ticks
    since: Ticks
    until: Ticks
    value: Values
    count: Ticks
    scale: int

    @property
    def exact(self) -> bool:
        """Whether values are integers, so that sums are equal in any order."""
        return self.value.dtype == np.int64

    def where(self, rows: npt.NDArray[Any]) -> Cells:
        """The cells of a mask or of positions."""
        return Cells(
            self.code[rows],
            self.period[rows],
            self.since[rows],
            self.until[rows],
            self.value[rows],
            self.count[rows],
            self.scale,
        )

    def pick(self, keys: Ticks) -> Cells:
        """The cells of some keys (rising codes), coded anew 0 ... len(keys) - 1."""
        first = np.searchsorted(self.code, keys, side="left")
        sizes = np.searchsorted(self.code, keys, side="right") - first
        before = np.cumsum(sizes) - sizes
        part = self.where(np.arange(sizes.sum()) + np.repeat(first - before, sizes))
        code = np.repeat(np.arange(len(keys), dtype=np.int64), sizes)
        return Cells(code, part.period, part.since, part.until, part.value, part.count, part.scale)

    def visible(self, at: int) -> Cells:
        """The cells that a view of period `at` holds: since <= at < until."""
        return self.where((self.since <= at) & (at < self.until))


def number_column(table: Table, reading: Reading) -> Column | None:
    """The column that a reading adds up, or None for a count; text and dates are refused."""
    if reading.aggregate == "count" and not reading.column:
        return None
    column = table.contract.column(reading.column)
    if column.type in ("text", "date"):
        raise BadInput(
            f"{reading.table}.{reading.column}",
            found=f"a {column.type} column",
            wanted=f"numbers or flags to take the {reading.aggregate} of",
            fix="name another column, or aggregate: count",
        )
    return column


def facts(table: Table, value: pl.Expr, *, by: Sequence[str], grid: Grid, where: tuple[Where, Where]) -> pl.DataFrame:
    """The rows that any cutoff may read: `by`, `_value`, `_happened`, `_known`, `_batch`, `_period`, `_since`, `_until`.

    Rows without a value or without a name of their series say nothing and are left out; versions were resolved before
    that, so an empty correction takes its fact away.
    """
    return clocked(table, {VALUE: value}, by=by, grid=grid, where=where).filter(pl.col(VALUE).is_not_null())


def clocked(
    table: Table,
    values: Mapping[str, pl.Expr],
    *,
    by: Sequence[str],
    grid: Grid,
    where: tuple[Where, Where],
    order: bool = True,
) -> pl.DataFrame:
    """`facts` with any number of values, empty ones too; without `order` no `_happened`, `_known` and `_batch`."""
    constant = table.contract.known.kind == "constant"
    if not constant and is_integer(table.rows[KNOWN]) != grid.integer:
        raise BadInput(
            f"tables.{table.contract.name}",
            found=f"a clock of {table.rows[KNOWN].dtype}",
            wanted=f"the clock of the grid ({grid.describe()})",
        )
    keep, drop = where
    stays = [~pl.col(DELETED), *(pl.col(name).is_not_null() for name in by)]
    stays += [_among(table, name, words) for name, words in keep]
    stays += [~_among(table, name, words) for name, words in drop]
    # most tables never changed a row
    forever = table.versions.select(pl.col(UNTIL).min() == FOREVER).item()
    rows = (
        table.versions.lazy()
        .filter(pl.all_horizontal(stays))
        .select(
            *by,
            *(value.alias(name) for name, value in values.items()),
            *(pl.col(name).to_physical().cast(pl.Int64).fill_null(-_OUTSIDE) for name in (HAPPENED, KNOWN)),
            *([BATCH] if order else []),
            *([] if forever else [UNTIL]),
        )
        .collect()
    )
    happened, known = tick_values(rows[HAPPENED]), tick_values(rows[KNOWN])
    period = period_numbers(grid, happened)
    begins: pl.Expr | pl.Series = pl.col(PERIOD).alias(SINCE)
    ends: pl.Expr | pl.Series = pl.lit(FAR, dtype=pl.Int64).alias(UNTIL)
    if not forever:
        ends = pl.Series(UNTIL, period_numbers(grid, tick_values(rows[UNTIL])))
    if not np.array_equal(happened, known):
        begins = pl.Series(SINCE, period_numbers(grid, known))
    kept = [*by, *values, *((HAPPENED, KNOWN, BATCH) if order else ())]
    rows = rows.select(kept).with_columns(pl.Series(PERIOD, period)).with_columns(begins, ends)
    return rows if forever else rows.filter(pl.col(SINCE) < pl.col(UNTIL))


def period_numbers(grid: Grid, values: Ticks) -> Ticks:
    """`grid.index`, with BEGINNING and FOREVER as -FAR and FAR: no calendar reaches them."""
    starts = np.flatnonzero(values[1:] != values[:-1]) + 1
    if len(values) > _RUNS * (len(starts) + 1):
        # rows in the order of time: each run of equal ticks once
        starts = np.append(0, starts)
        return np.repeat(period_numbers(grid, values[starts]), np.diff(starts, append=len(values)))
    if not len(values) or (values.min() > -_OUTSIDE and values.max() < _OUTSIDE):
        return grid.index(values)
    inside = np.abs(values) < _OUTSIDE
    numbers = np.where(values < 0, -FAR, FAR).astype(np.int64)
    if inside.any():
        numbers[inside] = grid.index(values[inside])
    return numbers


def coded(rows: pl.DataFrame, keys: pl.DataFrame, *, by: Sequence[str]) -> pl.DataFrame:
    """Facts with `_code`, the position of their key in `keys`; facts of other keys are left out."""
    if not by:
        return rows.with_columns(pl.lit(0, dtype=pl.Int64).alias(CODE))
    return rows.join(keys.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(CODE)), on=list(by), how="inner")


def cells(rows: pl.DataFrame, *, aggregate: Reduce, scale: int) -> Cells:
    """Cells of coded facts: per key and period, the aggregate as a piecewise constant function of the cutoff."""
    exact = rows.schema[VALUE] == pl.Int64
    if aggregate == "count" or (exact and aggregate in ("sum", "mean")):
        if aggregate == "count":
            rows, scale = rows.with_columns(pl.lit(1, dtype=pl.Int64).alias(VALUE)), 1
        frame = _swept(rows.group_by(_CELL).agg(pl.col(VALUE).sum(), pl.len().cast(pl.Int64).alias(COUNT)))
    else:
        frame = _reduced(_split(rows), aggregate)
    frame = frame.sort(CODE, PERIOD, SINCE)
    code, period, since, until, count = (
        frame[name].to_numpy().astype(np.int64, copy=False) for name in (*_CELL, COUNT)
    )
    value = frame[VALUE].to_numpy()
    if aggregate == "mean" and exact:
        # the one division: an exact sum over an exact count in stored units
        value, scale = value / (count * scale), 1
    return Cells(code, period, since, until, value, count, scale)


def _swept(groups: pl.DataFrame) -> pl.DataFrame:
    """Cells of sums: where rows of one period differ in [since, until), add and take away at the borders (Int64: exact)."""
    several = pl.len().over(CODE, PERIOD) > 1
    marked = groups.with_columns(several.alias("_several"))
    alone, mixed = marked.filter(~pl.col("_several")), marked.filter(pl.col("_several"))
    columns = [*_CELL, VALUE, COUNT]
    if mixed.is_empty():
        return alone.select(columns)
    events = (
        pl.concat(
            [
                mixed.select(CODE, PERIOD, pl.col(SINCE), VALUE, COUNT),
                mixed.select(CODE, PERIOD, pl.col(UNTIL).alias(SINCE), -pl.col(VALUE), -pl.col(COUNT)),
            ]
        )
        .group_by(CODE, PERIOD, SINCE)
        .agg(pl.col(VALUE).sum(), pl.col(COUNT).sum())
        .sort(CODE, PERIOD, SINCE)
    )
    # Each key's period adds up to zero at its last border, so one running sum serves all of them.
    running = events.with_columns(
        pl.col(VALUE).cum_sum(), pl.col(COUNT).cum_sum(), pl.col(SINCE).shift(-1).alias(UNTIL)
    ).filter(pl.col(COUNT) > 0)
    return pl.concat([alone.select(columns), running.select(columns)])


def _split(rows: pl.DataFrame) -> pl.DataFrame:
    """Facts repeated over the pieces of [since, until) in which their key's period has the same facts."""
    differ = [(pl.col(name).min() != pl.col(name).max()).over(CODE, PERIOD) for name in (SINCE, UNTIL)]
    marked = rows.with_columns(pl.any_horizontal(differ).alias("_several"))
    alone, mixed = marked.filter(~pl.col("_several")), marked.filter(pl.col("_several"))
    columns = [*_CELL, VALUE, HAPPENED, KNOWN, BATCH]
    if mixed.is_empty():
        return alone.select(columns)
    borders = pl.concat(
        [mixed.select(CODE, PERIOD, pl.col(SINCE).alias("_a")), mixed.select(CODE, PERIOD, pl.col(UNTIL).alias("_a"))]
    )
    pieces = (
        borders.unique()
        .sort(CODE, PERIOD, "_a")
        .with_columns(pl.col("_a").shift(-1).over(CODE, PERIOD).alias("_b"))
        .drop_nulls("_b")
    )
    repeated = (
        mixed.join(pieces, on=[CODE, PERIOD])
        .filter((pl.col(SINCE) <= pl.col("_a")) & (pl.col("_b") <= pl.col(UNTIL)))
        .with_columns(pl.col("_a").alias(SINCE), pl.col("_b").alias(UNTIL))
    )
    return pl.concat([alone.select(columns), repeated.select(columns)])


def _reduced(rows: pl.DataFrame, aggregate: Reduce) -> pl.DataFrame:
    """One row a cell. Floats are added in rising order of value, so neither row order nor later versions change a bit."""
    order = [HAPPENED, KNOWN, BATCH, VALUE] if aggregate == "last" else [VALUE]
    rows = rows.sort([*_CELL, *order])
    codes = [rows[name].to_numpy() for name in _CELL]
    first = np.ones(rows.height, dtype=bool)
    first[1:] = np.logical_or.reduce([code[1:] != code[:-1] for code in codes])
    starts = np.flatnonzero(first)
    value = rows[VALUE].to_numpy()
    count = np.diff(np.append(starts, rows.height)).astype(np.int64)
    if rows.height == 0:
        return rows.select(*_CELL, VALUE, pl.lit(1, dtype=pl.Int64).alias(COUNT))
    match aggregate:
        case "sum":
            value = np.add.reduceat(value, starts)
        case "mean":
            value = np.add.reduceat(value, starts) / count
        case "min":
            value = value[starts]
        case "max" | "last":
            value = value[starts + count - 1]
        case "count":
            value = count
        case _:
            assert_never(aggregate)
    frame = rows.select(_CELL)[starts]
    return frame.with_columns(pl.Series(VALUE, value), pl.Series(COUNT, count))


def stored_number(column: Column | None) -> pl.Expr:
    """A number column as it is added up: Int64 where it is exact, else Float64 without NaN and without minus zero."""
    if column is None:
        return pl.lit(1, dtype=pl.Int64)
    if column.type == "real":
        # which of -0.0 and 0.0 is the smaller depends on the machine; polars takes `+ 0.0` for nothing to do
        real = pl.col(column.name).cast(pl.Float64).fill_nan(None)
        return pl.when(real == 0.0).then(0.0).otherwise(real)
    return pl.col(column.name).cast(pl.Int64)


def shared_columns(table: Table, by: Sequence[str]) -> tuple[str, ...]:
    """The columns of a series' name that a table has: fewer of them mean that one row speaks for several series."""
    names = {column.name for column in table.contract.columns}
    return tuple(name for name in by if name in names)


def keyed(names: pl.DataFrame, table: Table, shared: Sequence[str]) -> tuple[pl.DataFrame, Ticks]:
    """The distinct keys of series in the columns that a table shares with them, sorted, and the key of each series."""
    for name in shared:
        ours, theirs = names.schema[name], table.rows.schema[name]
        if ours != theirs:
            raise BadInput(
                f"tables.{table.contract.name}.{name}",
                found=f"{theirs} where the series have {ours}",
                wanted="one type for both",
                fix="give the column the same type in both contracts",
            )
    if not shared:
        return pl.DataFrame(), np.zeros(max(names.height, 1), dtype=np.int64)
    if tuple(shared) == tuple(names.columns) and _rising(names):
        return names, np.arange(names.height, dtype=np.int64)
    keys = names.select(shared).unique().sort(shared)
    codes = keys.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(CODE))
    found = names.select(shared).join(codes, on=list(shared), how="left", maintain_order="left")
    return keys, found[CODE].to_numpy().astype(np.int64)


def _rising(names: pl.DataFrame) -> bool:
    """Whether rows of text without nulls are distinct and sorted already."""
    if any(kind != pl.String for kind in names.dtypes) or sum(names.null_count().row(0)):
        return False
    after, same = pl.lit(False), pl.lit(True)
    for name in names.columns:
        after |= same & (pl.col(name) > pl.col(name).shift())
        same &= pl.col(name) == pl.col(name).shift()
    return bool(names.select(after)[1:].to_series().all())


def _among(table: Table, name: str, values: tuple[str, ...]) -> pl.Expr:
    table.contract.column(name)
    return pl.col(name).cast(pl.String).is_in(list(values)).fill_null(False)


__all__ = [
    "CODE",
    "COUNT",
    "FAR",
    "PERIOD",
    "SINCE",
    "VALUE",
    "Cells",
    "Gap",
    "Reading",
    "Reduce",
    "Values",
    "Where",
    "cells",
    "clocked",
    "coded",
    "facts",
    "keyed",
    "number_column",
    "period_numbers",
    "shared_columns",
    "stored_number",
]
