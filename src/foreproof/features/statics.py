"""Statics: columns of slowly changing tables, as of the cutoff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.contract import BATCH, HAPPENED, KNOWN, UNTIL
from foreproof.core.grid import Grid
from foreproof.core.view import Table
from foreproof.errors import BadInput
from foreproof.features.cells import (
    CODE,
    PERIOD,
    SINCE,
    VALUE,
    Cells,
    coded,
    facts,
    keyed,
    shared_columns,
    stored_number,
)
from foreproof.features.context import Column, Context, Demand, Shape, Sourced, Text
from foreproof.features.declare import Meta
from foreproof.features.kernels import latest


@dataclass(frozen=True, slots=True)
class Static:
    """A column of the latest row that is visible at the cutoff, by the series' columns that the table has; text stays text."""

    table: str
    column: str

    @property
    def name(self) -> str:
        """`static_products_department`."""
        return f"static_{self.table}_{self.column}"

    def maths(self) -> str:
        """Last row with happened <= cutoff."""
        return f"last {self.table}.{self.column} with happened in (-inf, cutoff]"

    def meta(self, horizon: int) -> Meta:
        """It reads up to the cutoff."""
        return Meta(self.name, "statics", "cutoff", 0, None, 0, self.maths())


def static_reads(feature: Static, shape: Shape) -> Demand:
    """A static is looked up, not gathered."""
    return []


def static_column(context: Context, feature: Static) -> Column:
    """See `Static`."""
    source = context.sources[feature]
    assert source.values is not None
    last = latest(source.cells, cutoffs=context.cutoffs, lag=0, size=source.size)[source.key]
    row = np.where(last >= 0, source.cells.value[last] if len(source.cells.value) else -1, -1)[:, :, None]
    if source.values.dtype == pl.String:
        return Text(source.values, row)
    numbers = np.append(source.values.to_numpy(), np.nan)  # position -1 is null
    return numbers[row]


def static_source(table: Table, feature: Static, names: pl.DataFrame, *, by: tuple[str, ...], grid: Grid) -> Sourced:
    """The rows of a static's table as cells whose values are positions, in the order in which a later row wins.

    names: one row a series. Raises PlanError for an unknown column, BadInput for a column of dates.
    """
    column = table.contract.column(feature.column)
    if column.type == "date":
        raise BadInput(
            f"feature {feature.name}", found="a column of dates", wanted="text, numbers or flags", fix="name another"
        )
    text = column.type == "text"
    read = pl.col(column.name).cast(pl.String) if text else stored_number(column)
    shared = shared_columns(table, by)
    keys, key = keyed(names, table, shared)
    rows = facts(table, read, by=shared, grid=grid, where=((), ()))
    rows = coded(rows, keys, by=shared).sort(CODE, HAPPENED, KNOWN, BATCH, VALUE)
    code, period, since, until = (rows[name].to_numpy().astype(np.int64) for name in (CODE, PERIOD, SINCE, UNTIL))
    place = np.arange(rows.height, dtype=np.int64)
    # numpy divides; polars multiplies by 1 / scale, which is another number in the last bit
    values = rows[VALUE] if text else pl.Series(rows[VALUE].to_numpy() / column.scale, dtype=pl.Float64)
    return Sourced(Cells(code, period, since, until, place, np.ones_like(place), 1), key, "missing", values)


__all__ = ["Static", "static_column", "static_reads", "static_source"]
