"""Where two tables are not the same, row for row: as sets of rows, whatever their order, and the first difference in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN, OCCURRENCE, Contract
from foreproof.core.view import Table

_NUMBER = "_number"
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Unlike:
    """How a table that is read differs from the one that was logged.

    words: the first difference. count: rows that differ. rows: those of either side, with their clocks. evidence: `column`,
    `row` (its key) and `values` (logged, read) of the first.
    """

    words: str
    count: int
    rows: pl.DataFrame
    evidence: Mapping[str, Any] = field(default_factory=dict)


def unlike(read: Table, logged: Table) -> Unlike | None:
    """How a table differs from the log's; None where both hold the same rows. Columns that only the log has are not read."""
    if read.rows is logged.rows:
        return None
    name, columns = read.contract.name, read.rows.columns
    for column in columns:
        other = logged.rows.schema.get(column)
        if other != read.rows.schema[column]:
            why = "the log holds no such column" if other is None else f"{other} in the log"
            words = f"{name}.{column}: {why}, the pipeline reads {read.rows.schema[column]}"
            return Unlike(words, read.rows.height, read.rows, {"column": column})
    index = [*(key for key in read.contract.keys if key in columns), BATCH]
    ours, theirs = _apart(read.rows, logged.rows.select(columns), index)
    return None if ours.is_empty() and theirs.is_empty() else _told(read.contract, ours, theirs)


def _apart(ours: pl.DataFrame, theirs: pl.DataFrame, index: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of each that the other does not hold (a row that comes twice on one side counts); cheap where few differ."""
    if ours.equals(theirs):
        return ours.clear(), theirs.clear()
    if ours.height == theirs.height:
        # Rows that are alike in the same place cancel each other, so only the others need an order.
        same = pl.select(pl.all_horizontal(ours[name].eq_missing(theirs[name]) for name in ours.columns)).to_series()
        ours, theirs = ours.filter(~same), theirs.filter(~same)
        if _aligned(ours, theirs, index) and ours.select(index).hash_rows().n_unique() == ours.height:
            return ours, theirs
    ours, theirs = (_numbered(frame, frame.columns) for frame in (ours, theirs))
    on = ours.columns
    lone = [
        a.join(b, on=on, how="anti", nulls_equal=True, maintain_order="left").drop(_NUMBER)
        for a, b in ((ours, theirs), (theirs, ours))
    ]
    return lone[0], lone[1]


def _aligned(ours: pl.DataFrame, theirs: pl.DataFrame, index: Sequence[str]) -> bool:
    """Whether both hold the same keys and batches in the same places."""
    return ours.height == theirs.height and ours.select(index).equals(theirs.select(index))


def _paired(ours: pl.DataFrame, theirs: pl.DataFrame, index: Sequence[str]) -> pl.DataFrame:
    """Each row beside its other version (`_logged`), by key and batch; nulls where one side has none."""
    if _aligned(ours, theirs, index):
        rest = theirs.drop(index)
        return pl.concat([ours, rest.rename({name: f"{name}_logged" for name in rest.columns})], how="horizontal")
    read, logged = (_numbered(frame.sort([*index, KNOWN]), index) for frame in (ours, theirs))
    on = [*index, _NUMBER]
    return read.join(logged, on=on, how="full", coalesce=True, nulls_equal=True, suffix="_logged").drop(_NUMBER)


def _numbered(frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The rows with `_number`: which among equals a row is; 0 where none repeats, which hashes say without an order."""
    zero = pl.lit(0, dtype=pl.Int64).alias(_NUMBER)
    if frame.is_empty() or frame.select(by).hash_rows().n_unique() == frame.height:
        return frame.with_columns(zero)
    return frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over(by).alias(_NUMBER))


def _told(contract: Contract, ours: pl.DataFrame, theirs: pl.DataFrame) -> Unlike:
    """The first row that differs, by when it happened and its key; a row is the same one on both sides by key and batch."""
    keys = [name for name in contract.keys if name in ours.columns]
    rest = [name for name in ours.columns if name not in (*keys, BATCH)]
    pairs = _paired(ours, theirs, [*keys, BATCH])
    when = pl.coalesce(HAPPENED, f"{HAPPENED}_logged") if HAPPENED in rest else pl.col(HAPPENED)
    # Only the first is told: of the earliest moment, the first key.
    row = pairs.filter(when == when.min()).sort(keys, nulls_last=True).row(0, named=True)
    place = _place(contract, row, keys)
    count = pairs.height
    lone = theirs if not _aligned(ours, theirs, [*keys, BATCH]) else theirs.clear()
    rows = pl.concat([ours, lone.join(ours, on=[*keys, BATCH], how="anti", nulls_equal=True)])
    if row[KNOWN] is None or row[f"{KNOWN}_logged"] is None:
        words = (
            f"{place}: the log holds a row that the pipeline does not read"
            if row[KNOWN] is None
            else f"{place}: the pipeline reads a row that the log does not hold"
        )
        return Unlike(f"{contract.name}{words}", count, rows, {"row": _key(contract, row, keys)})
    values = [name for name in rest if name not in (HAPPENED, KNOWN, DELETED)]
    column = next(n for n in (*values, HAPPENED, KNOWN, DELETED) if n in rest and not _same(row[n], row[f"{n}_logged"]))
    then, now = (_shown(contract, column, row[name]) for name in (f"{column}_logged", column))
    match column:
        case "_known":
            words = f"{contract.name}{place}: known since {then} by the log, since {now} as the pipeline reads it"
        case "_happened":
            words = f"{contract.name}{place}: happened {then} by the log, {now} as the pipeline reads it"
        case "_deleted":
            words = f"{contract.name}{place}: deleted is {then} in the log, {now} as the pipeline reads it"
        case _:
            words = f"{contract.name}.{column}{place}: the log says {then}, the pipeline reads {now}"
    return Unlike(words, count, rows, {"column": column, "row": _key(contract, row, keys), "values": [then, now]})


def _key(contract: Contract, row: Mapping[str, Any], keys: Sequence[str]) -> dict[str, str]:
    named = [name for name in keys if name not in (HAPPENED, OCCURRENCE)][:_SHOWN]
    at = row[HAPPENED] if row.get(HAPPENED) is not None else row.get(f"{HAPPENED}_logged")
    day = {"happened": _shown(contract, HAPPENED, at)} if contract.happened is not None else {}
    return {name: _shown(contract, name, row[name]) for name in named} | day


def _place(contract: Contract, row: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Of which key and when, in words: " of item 12 on 2017-03-02"."""
    named = _key(contract, row, keys)
    day = named.pop("happened", "")
    of = ", ".join(f"{name} {value}" for name, value in named.items())
    return (f" of {of}" if of else "") + (f" on {day}" if day else "")


def _shown(contract: Contract, name: str, value: Any) -> str:
    """A value as its user wrote it: a decimal in its unit, the last microsecond of a day as the day."""
    if value is None:
        return "nothing"
    if isinstance(value, datetime):
        local = value.astimezone(ZoneInfo(contract.zone))
        return local.date().isoformat() if local.time() == time.max else local.isoformat()
    declared = next((one for one in contract.columns if one.name == name), None)
    if declared is not None and declared.type == "decimal":
        return f"{value / declared.scale:.{declared.decimals}f}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other or (one != one and other != other))


__all__ = ["Unlike", "unlike"]
