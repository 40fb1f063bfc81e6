"""The watermark of a table: how far the lake has come, in the terms of the source's own column.

A source that asks only for what is newer must never skip a row, so where the lake does not say what a row claimed, the
watermark errs towards the past: rows that come twice change nothing.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from foreproof.core.contract import BATCH, HAPPENED, KNOWN, Contract, Stamp
from foreproof.core.grid import parse_grid
from foreproof.core.ports import Facts
from foreproof.errors import BadInput


def newest(lake: Facts, contract: Contract, column: str) -> Any:
    """The largest value of a column of the table, or None where there is none. column: as the contract or the source names it.

    A stamp that names a day or a period comes as its first day (a date), another one as an instant in the zone in which
    it is written, an integer step as a number, a decimal in the user's unit.
    """
    if column in (HAPPENED, KNOWN):
        stamp = Stamp(column)
    elif contract.happened is not None and contract.happened.column == column:
        stamp = contract.happened
    elif contract.known.kind == "column" and contract.known.column == column:
        stamp = Stamp(column, contract.known.formats, contract.happened.zone if contract.happened else "")
    else:
        return _value(lake, contract, column)
    if lake.version(contract.name) is None:
        return None
    rows = lake.table(contract).rows
    known = column == KNOWN or (contract.known.kind == "column" and contract.known.column == column)
    if known and not contract.integer:
        # A version that supersedes is known no earlier than its load: what it claimed is not kept, so it does not count.
        loads = lake.batches(contract.name).select(pl.col("batch").alias(BATCH), pl.col("loaded_at"))
        rows = rows.join(loads, on=BATCH, how="left").filter(pl.col(KNOWN) != pl.col("loaded_at"))
    last: Any = rows[KNOWN if known else HAPPENED].max()
    return last if last is None or isinstance(last, int) else _written(contract, stamp, last)


def _value(lake: Facts, contract: Contract, name: str) -> Any:
    found = next((one for one in contract.columns if name in (one.name, one.source)), None)
    if found is None:
        stamps = [contract.happened.column] if contract.happened else []
        names = ", ".join([*stamps, *(one.name for one in contract.columns)])
        raise BadInput(f"tables.{contract.name}", found=f"no column {name!r}", wanted=f"one of {names}")
    if lake.version(contract.name) is None:
        return None
    last: Any = lake.table(contract).rows[found.name].max()
    return last / found.scale if last is not None and found.decimals else last


def _written(contract: Contract, stamp: Stamp, at: datetime) -> date | datetime:
    """An instant as its column has it."""
    local = at.astimezone(ZoneInfo(contract.zone))
    if stamp.period:
        grid = parse_grid(stamp.period, zone=contract.zone)
        before = grid.add(at, -1)
        assert isinstance(before, datetime)  # the contract is one of instants
        first = before.astimezone(ZoneInfo(contract.zone)) + timedelta(microseconds=1)
        return first.date() if first.time() == time.min else first
    return local.date() if local.time() == time.max else at.astimezone(ZoneInfo(stamp.zone or contract.zone))


__all__ = ["newest"]
