"""Instants, integer clocks and calendar offsets.

An instant is a UTC `datetime` with microseconds. A table without a calendar (M4, for example) counts integer
steps instead. Inside, both are *ticks*: int64 microseconds since 1970-01-01 UTC, or the integer itself, so that every
comparison of time is a comparison of integers.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.errors import BadInput

Moment = datetime | int
Ticks = npt.NDArray[np.int64]

INSTANT = pl.Datetime("us", "UTC")
STEP = pl.Int64()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGINNING = -(2**62)
"""Ticks before every fact: the `known` of a table that the plan declares constant."""
FOREVER = 2**62
"""Ticks after every fact: the end of a version that nothing has superseded."""

_OFFSET = re.compile(r"^(-?)(\d+)(us|ms|s|min|m|h|d|w|mo|q|y)$")


def ticks(moment: Moment) -> int:
    """The tick of one moment; a datetime without a zone is refused, since nobody can say which instant it is."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise BadInput("instant", found=f"{moment} without a time zone", wanted="a UTC instant", fix="add a zone")
        return (moment - EPOCH) // timedelta(microseconds=1)
    return int(moment)


def moment(tick: int, *, integer: bool) -> Moment:
    """The moment of one tick: an integer step, or a UTC datetime."""
    return int(tick) if integer else EPOCH + timedelta(microseconds=int(tick))


def tick_values(column: pl.Series) -> Ticks:
    """The ticks of a time column (INSTANT or Int64), without nulls."""
    return column.to_physical().to_numpy().astype(np.int64, copy=False)


def time_column(name: str, values: Ticks, *, integer: bool) -> pl.Series:
    """A time column from ticks."""
    column = pl.Series(name, values, dtype=pl.Int64)
    return column if integer else column.cast(INSTANT)


def literal(at: Moment) -> pl.Expr:
    """One moment as a polars literal of the clock's own type."""
    return pl.lit(at, dtype=INSTANT) if isinstance(at, datetime) else pl.lit(int(at), dtype=pl.Int64)


def is_integer(column: pl.Series) -> bool:
    """Whether a time column counts integer steps."""
    return column.dtype == pl.Int64


def parse_offset(text: str | int, *, subject: str) -> str | int:
    """A calendar offset such as `28d`, `1mo`, `36h`, `-2d`, or a number of integer steps."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    found = _OFFSET.match(str(text))
    if found is None:
        raise BadInput(subject, found=f"{text!r}", wanted="an offset such as 2d, 36h, 1mo", fix="write one")
    return f"{found[1]}{found[2]}{'m' if found[3] == 'min' else found[3]}"


def negated(offset: str | int) -> str | int:
    """The opposite offset."""
    if isinstance(offset, int):
        return -offset
    return offset[1:] if offset.startswith("-") else f"-{offset}"


def shifted(column: pl.Expr, offset: str | int, *, zone: str) -> pl.Expr:
    """`column + offset`; days and longer keep the wall-clock time of `zone`.

    Twenty-eight days before the last microsecond of a day is the last microsecond of a day, also when the clocks changed
    in between; 28 x 24 hours is not.
    """
    if isinstance(offset, int):
        return column + offset
    return column.dt.convert_time_zone(zone).dt.offset_by(offset).dt.convert_time_zone("UTC")


def shift_ticks(values: Ticks, offset: str | int, *, zone: str) -> Ticks:
    """`values + offset` on ticks, by the same rule as `shifted`."""
    if isinstance(offset, int):
        return values + offset
    frame = pl.DataFrame({"t": time_column("t", values, integer=False)})
    return tick_values(frame.select(shifted(pl.col("t"), offset, zone=zone))["t"])


__all__ = [
    "BEGINNING",
    "EPOCH",
    "FOREVER",
    "INSTANT",
    "STEP",
    "Moment",
    "Ticks",
    "is_integer",
    "literal",
    "moment",
    "negated",
    "parse_offset",
    "shift_ticks",
    "shifted",
    "tick_values",
    "ticks",
    "time_column",
]
