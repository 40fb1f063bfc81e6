"""From a table to the events of keys: versions resolved, rows coded, calm periods apart from restless rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

import numpy as np
import polars as pl

from foreproof.core.clock import Ticks
from foreproof.core.contract import UNTIL, Column
from foreproof.core.grid import Grid
from foreproof.core.view import Table
from foreproof.errors import BadInput
from foreproof.features.blocks import Number, block_of, summed
from foreproof.features.cells import CODE, FAR, PERIOD, SINCE, clocked, stored_number
from foreproof.features.ledger import Different, Events, EventSource, Tally


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
    ordered = any("last" in taken for taken in kinds.values())
    words = {name: keys[name].drop_nulls().unique().sort() for name in by}
    values[CODE] = _code_of(words)
    rows = clocked(table, values, by=(), grid=grid, where=(events.keep, events.drop), order=ordered)
    rows = _placed(rows, keys, words).rename({f"v:{name}": name for name in found})
    numbers = {
        name: Number(column.scale, column.type == "real", tuple(sorted(kinds[name]))) for name, column in found.items()
    }
    restless = (pl.col(SINCE) > pl.col(PERIOD)) | (pl.col(UNTIL) < FAR)
    still = rows.select((pl.col(UNTIL).min() == FAR) & (pl.col(SINCE) <= pl.col(PERIOD)).all()).item()
    moving = (rows.clear() if still else rows.filter(restless)).select(CODE, PERIOD).unique()
    whole = rows.height == table.rows.height and not moving.height
    if moving.height:
        calm = rows.join(moving, on=[CODE, PERIOD], how="anti", maintain_order="left")
        late = rows.join(moving, on=[CODE, PERIOD], how="semi", maintain_order="left")
    else:
        calm, late = rows, rows.clear()
    different = {name: _different(rows, f"d:{name}", restless) for name in named}
    calm = calm.drop(SINCE, UNTIL, *(f"d:{name}" for name in named))
    del rows
    size = keys.height if by else 1
    return EventSource(key, size, block_of(calm, numbers), late, different, numbers, whole)


def coarser(fine: EventSource, tallies: Iterable[Tally], *, key: Ticks, size: int) -> EventSource | None:
    """The events of coarser keys (`key` of each entity) from cells of finer ones, or None where rows must be read again.

    Counts and exact sums of all rows of a table add up; where a row changed, is nobody's, or came late, no sum is taken.
    """
    wanted = list(tallies)
    there = {name for name, number in fine.numbers.items() if "sum" in number.kinds and not number.real}
    summable = all(tally.kind == "rows" or (tally.kind == "sum" and tally.column in there) for tally in wanted)
    if not fine.whole or not summable:
        return None
    numbers = {
        name: Number(fine.numbers[name].scale, False, ("sum",))
        for name in sorted({tally.column for tally in wanted if tally.kind == "sum"})
    }
    places = np.zeros(fine.size, dtype=np.int64)
    places[fine.key] = key
    held = {"rows": fine.calm.rows}
    for name in numbers:
        held |= {f"n:{name}": fine.calm.numbers[name]["n"], f"sum:{name}": fine.calm.numbers[name]["sum"]}
    cells = pl.DataFrame({CODE: places[fine.calm.code], PERIOD: fine.calm.period, **held})
    calm = summed(cells, numbers)
    return EventSource(key, size, calm, fine.restless, {}, numbers, fine.whole)


def _code_of(words: Mapping[str, pl.Series]) -> pl.Expr:
    """The number of a row's name among all combinations of the keys' words, null where a word is not theirs.

    Text is compared once, with the words of its own column; rows are matched by numbers after that.
    """
    kind = pl.UInt32() if prod(len(own) for own in words.values()) < 2**31 else pl.Int64()
    places = [(len(own), _place(pl.col(name), own).cast(kind)) for name, own in words.items()]
    if not places:
        return pl.lit(0, dtype=pl.Int64)
    code = places[0][1]
    for many, place in places[1:]:
        code = code * many + place
    return code.cast(pl.Int64)


def _place(column: pl.Expr, words: pl.Series) -> pl.Expr:
    if words.dtype == pl.String:
        return column.cast(pl.Enum(words), strict=False).to_physical()
    places = np.arange(len(words), dtype=np.int64)
    return column.replace_strict(words, pl.Series(places), default=None, return_dtype=pl.Int64)


def _placed(rows: pl.DataFrame, keys: pl.DataFrame, words: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Rows with `_code` as `_code_of` makes it, to `_code` as the position among the keys; rows of no key are left out."""
    if prod(len(own) for own in words.values()) == max(keys.height, 1) and not sum(keys.null_count().row(0)):
        # every combination is a key, and keys are sorted: the number is the position
        return rows.filter(pl.col(CODE).is_not_null()) if rows[CODE].null_count() else rows
    table = keys.select(_code_of(words).alias(CODE)).with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("_place")
    )
    found = rows.join(table, on=CODE, how="inner", maintain_order="left")
    return found.drop(CODE).rename({"_place": CODE})


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


__all__ = ["coarser", "event_source"]
