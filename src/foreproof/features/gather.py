"""From a table to the events of keys: versions resolved, rows coded, calm periods apart from restless rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from foreproof.core.clock import Ticks
from foreproof.core.contract import UNTIL, Column
from foreproof.core.grid import Grid
from foreproof.core.view import Table
from foreproof.errors import BadInput
from foreproof.features.cells import CODE, FAR, PERIOD, SINCE, clocked, stored_number
from foreproof.features.ledger import Different, Events, EventSource, Number, Tally, block_of


def event_source(
    table: Table, events: Events, tallies: Iterable[Tally], *, keys: pl.DataFrame, key: Ticks, grid: Grid
) -> EventSource:
    """Read a table's events. keys: K distinct names, sorted, in the columns that rows are matched by; key: of each entity.

    Raises PlanError for an unknown column, BadInput for numbers of text or dates and for another clock than the grid's.
    """
    wanted = list(tallies)
    named = sorted({tally.column for tally in wanted if tally.kind == "distinct"})
    kinds: dict[str, set[str]] = {}
    for tally in wanted:
        if tally.kind not in ("rows", "distinct"):
            kinds.setdefault(tally.column, set()).add(tally.kind)
    found = {name: _number(table, name) for name in sorted(kinds)}
    values = {f"v:{name}": stored_number(column) for name, column in found.items()}
    values |= {f"d:{name}": _value(table, name) for name in named}
    by = list(keys.columns)
    rows = clocked(table, values, by=by, grid=grid, where=(events.keep, events.drop))
    rows = coded_by_column(rows, keys).rename({f"v:{name}": name for name in found})
    numbers = {
        name: Number(column.scale, column.type == "real", tuple(sorted(kinds[name]))) for name, column in found.items()
    }
    restless = (pl.col(SINCE) > pl.col(PERIOD)) | (pl.col(UNTIL) < FAR)
    moving = rows.filter(restless).select(CODE, PERIOD).unique()
    if moving.height:
        calm = rows.join(moving, on=[CODE, PERIOD], how="anti", maintain_order="left")
        late = rows.join(moving, on=[CODE, PERIOD], how="semi", maintain_order="left")
    else:
        calm, late = rows, rows.clear()
    different = {name: _different(rows, f"d:{name}", restless) for name in named}
    size = keys.height if by else 1
    return EventSource(key, size, block_of(calm, numbers), late, different, numbers)


def coded_by_column(rows: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """`cells.coded`, column by column: text becomes a small number before rows are matched."""
    if not keys.width:
        return rows.with_columns(pl.lit(0, dtype=pl.Int64).alias(CODE))
    code, whole = pl.lit(0, dtype=pl.Int64), pl.lit(0, dtype=pl.Int64)
    encoders = []
    for name in keys.columns:
        values = keys[name].unique().sort()
        number = pl.Series(name, np.arange(len(values)), dtype=pl.Int64)
        encoders.append(pl.DataFrame({name: values, f"_{name}": number}))
        code, whole = code * len(values) + pl.col(f"_{name}"), whole * len(values) + pl.col(f"_{name}")
    places = keys
    for encoder in encoders:
        rows = rows.join(encoder, on=encoder.columns[0], how="inner", maintain_order="left")
        places = places.join(encoder, on=encoder.columns[0], how="left", maintain_order="left")
    table = places.select(whole.alias("_whole")).with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(CODE))
    found = rows.with_columns(code.alias("_whole")).drop(*(f"_{name}" for name in keys.columns), *keys.columns)
    return found.join(table, on="_whole", how="inner", maintain_order="left").drop("_whole")


def _number(table: Table, name: str) -> Column:
    column = table.contract.column(name)
    if column.type in ("text", "date"):
        raise BadInput(
            f"{table.contract.name}.{name}",
            found=f"a {column.type} column",
            wanted="numbers or flags to add up or compare",
            fix="name another column, or count its distinct values",
        )
    return column


def _value(table: Table, name: str) -> pl.Expr:
    """What is told apart; `a+b` tells pairs apart."""
    columns = [pl.col(table.contract.column(part).name) for part in name.split("+")]
    if len(columns) == 1:
        return columns[0].to_physical()
    return pl.concat_str([column.cast(pl.String) for column in columns], separator="\x1f")


def _different(rows: pl.DataFrame, name: str, restless: pl.Expr) -> Different:
    named = rows.filter(pl.col(name).is_not_null()).rename({name: "_named"})
    moving = named.filter(restless).select(CODE, "_named").unique()
    late = named.join(moving, on=[CODE, "_named"], how="semi", maintain_order="left")
    calm = named.join(moving, on=[CODE, "_named"], how="anti", maintain_order="left") if moving.height else named
    each = calm.select(CODE, "_named", PERIOD).unique().sort(CODE, "_named", PERIOD)
    following = pl.col(PERIOD).shift(-1).over(CODE, "_named", order_by=PERIOD).fill_null(FAR)
    each = each.with_columns(following.alias("_following"))
    code, period, after = (each[column].to_numpy().astype(np.int64) for column in (CODE, PERIOD, "_following"))
    return Different(code, period, after, late.select(CODE, "_named", PERIOD, SINCE, UNTIL))


__all__ = ["coded_by_column", "event_source"]
