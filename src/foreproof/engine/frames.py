"""A stranger's frames as tables with two clocks, and back: what an audit truncates are tables, what it hands over are frames.

A frame comes back as it was given: polars or pandas, the same columns, types, index and order of rows. So a function that is
audited cannot tell that its rows went through a contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from foreproof.core.clock import BEGINNING, INSTANT, Moment, tick_values, ticks
from foreproof.core.contract import (
    BATCH,
    DELETED,
    HAPPENED,
    KNOWN,
    OCCURRENCE,
    UNTIL,
    Column,
    ColumnType,
    Contract,
    Known,
    Stamp,
)
from foreproof.core.grid import parse_grid, parse_moment
from foreproof.core.table import parse
from foreproof.core.view import Database, Table
from foreproof.errors import BadInput, ContractError

ONLY = "table"
"""The name of a table that was given without one."""
_RESERVED = (HAPPENED, KNOWN, BATCH, DELETED, OCCURRENCE, UNTIL)


@dataclass(frozen=True, slots=True)
class Dated:
    """A frame of yours with its two clocks.

    frame: polars or pandas. time: the column (or the pandas index) that says when a row happened; a date means the end of that
    day. known: the column that says when a row could first be read; without one that is `time`. key: columns that name a fact,
    `time` among them; a key that comes twice is found by the check on duplicates. constant: why the table never changes, in
    words, for one that has no time. zone: what dates and instants without a zone mean.
    """

    frame: Any
    time: str = ""
    known: str = ""
    key: tuple[str, ...] = ()
    constant: str = ""
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Shape:
    """How the rows of a table become the frame that was given.

    dtypes: polars types by column, in order. pandas: its types by column, or None for polars. index: columns that were the
    index, and what they were called. order: what the rows were sorted by. nan: columns whose missing values were NaN. text: how
    an instant is written in words. series: whether a pandas series was given, and what it was called.
    """

    time: str
    known: str
    zone: str
    dtypes: Mapping[str, pl.DataType]
    pandas: Mapping[str, Any] | None
    index: Mapping[str, Any]
    order: tuple[str, ...]
    nan: frozenset[str]
    text: str
    series: tuple[Any, ...]

    def frame(self, table: Table) -> Any:
        """The frame of a table, whole or truncated."""
        columns = [self._column(name, table.rows) for name in self.dtypes]
        made = pl.DataFrame(columns)
        if self.order:
            made = made.sort(self.order, maintain_order=True)
        if self.pandas is None:
            return made
        frame = made.to_pandas()
        for name, dtype in self.pandas.items():
            if frame[name].dtype != dtype:
                frame[name] = frame[name].astype(dtype)
        if self.index:
            frame = frame.set_index(list(self.index))
            frame.index.names = list(self.index.values())
        return frame.iloc[:, 0].rename(self.series[0]) if self.series else frame

    def said(self, at: Moment) -> Any:
        """A moment as the frame's own time column would say it."""
        clock = pl.Series(HAPPENED, [at], dtype=pl.Int64 if isinstance(at, int) else INSTANT)
        value = clock_values(clock, self.dtypes[self.time], self.zone)[0] if self.time else at
        if self.pandas is None or not isinstance(value, datetime):
            return value
        import pandas as pd

        return pd.Timestamp(value)

    def _column(self, name: str, rows: pl.DataFrame) -> pl.Series:
        dtype = self.dtypes[name]
        if name in (self.time, self.known):
            clock = rows[HAPPENED if name == self.time else KNOWN]
            return clock_values(clock, dtype, self.zone).alias(name)
        found = rows[name]
        if dtype == pl.Null:
            return pl.Series(name, [None], dtype=pl.Null).new_from_index(0, rows.height)
        if name in self.nan:
            found = found.fill_null(float("nan"))
        if isinstance(dtype, pl.Datetime):
            return found.cast(pl.Datetime("us", dtype.time_zone)).cast(dtype)
        return found.cast(pl.Duration("us")).cast(dtype) if isinstance(dtype, pl.Duration) else found.cast(dtype)


@dataclass(frozen=True, slots=True)
class Given:
    """A stranger's tables, parsed. single: one frame was given, not a mapping, so a function is handed one frame."""

    database: Database
    shapes: Mapping[str, Shape]
    entity: tuple[str, ...]
    single: bool

    def frames(self, database: Database) -> Any:
        """What the function is handed: frames by name, or the only frame; fresh ones, so that it may write into them."""
        made = {name: shape.frame(database[name]) for name, shape in self.shapes.items()}
        return made[ONLY] if self.single else made

    @property
    def dated(self) -> str:
        """The first table that has a time."""
        return next(name for name, shape in self.shapes.items() if shape.time)

    @property
    def clock(self) -> pl.Series:
        """Every moment at which a row became known, once, in order."""
        known = [self.database[name].rows[KNOWN] for name, shape in self.shapes.items() if shape.time]
        return pl.concat(known).unique().sort()

    def words(self, at: Moment) -> str:
        """A moment in words, as the first dated table would write it."""
        shape = self.shapes[self.dated]
        said = shape.said(at)
        return said.strftime(shape.text) if isinstance(said, datetime) else str(said)


def given(tables: Any, *, time: str = "", entity: str | Sequence[str] = ()) -> Given:
    """Tables from a frame, or from frames (or `Dated` frames) by name. time: the column of those that do not say it.

    Raises BadInput for a table without a time, and ContractError for rows that cannot be read.
    """
    single = not isinstance(tables, Mapping)
    named = {ONLY: tables} if single else dict(tables)
    if not named:
        raise BadInput("tables", found="none", wanted="a frame, or frames by name")
    parsed: dict[str, Table] = {}
    shapes: dict[str, Shape] = {}
    for name, one in named.items():
        dated = one if isinstance(one, Dated) else Dated(one, time)
        parsed[name], shapes[name] = _parsed(name, replace(dated, time=dated.time or ("" if dated.constant else time)))
    clocks = {parsed[name].rows[KNOWN].dtype for name, shape in shapes.items() if shape.time}
    if len(clocks) != 1:
        found = "both instants and integer steps" if clocks else "constant ones only"
        raise BadInput("tables", found=found, wanted="one clock for all that have a time", fix="name the time: time=")
    if INSTANT not in clocks:
        parsed = {name: table if shapes[name].time else _counted(table) for name, table in parsed.items()}
    names = (entity,) if isinstance(entity, str) else tuple(entity)
    return Given(Database(parsed), shapes, tuple(name for name in names if name), single)


def moment_of(value: Any, *, zone: str, subject: str = "cutoffs") -> Moment:
    """A cutoff as people write it: a day (its end), an instant (of `zone` without one), text, a pandas stamp, a step."""
    plain = value.item() if hasattr(value, "item") and not isinstance(value, datetime) else value
    if hasattr(plain, "to_pydatetime"):
        plain = plain.to_pydatetime(warn=False)
    if isinstance(plain, bool) or not isinstance(plain, str | int | date):
        raise BadInput(subject, found=repr(value), wanted="dates, instants or integer steps")
    if isinstance(plain, int):
        return plain
    if isinstance(plain, datetime):
        return (plain if plain.tzinfo else plain.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    return parse_moment(
        plain if isinstance(plain, str) else plain.isoformat(), parse_grid("1d", zone=zone), subject=subject
    )


def spread(given: Given, *, count: int = 5) -> tuple[Moment, ...]:
    """Cutoffs where a look ahead would show: spread over the history, before values that are missing, before the longest hole.

    A centred window shows anywhere; what fills a gap from behind shows only where the cutoff lies in the gap.
    """
    clock = tick_values(given.clock)
    if len(clock) < 3:
        raise BadInput("tables", found=f"{len(clock)} moments", wanted="at least 3", fix="audit on a longer history")
    last = len(clock) - 2
    places = {round(last * (0.3 + 0.65 * i / max(1, count - 1))) for i in range(count)}
    holes = clock[1:] - clock[:-1]
    if holes.max() > holes.min():
        places.add(int(holes.argmax()))
    chosen = {int(clock[place]) for place in places} | set(_before_gaps(given, int(clock[last])))
    integer = given.clock.dtype != INSTANT
    return tuple(int(t) if integer else _instant(t) for t in sorted(chosen))


def _before_gaps(given: Given, last: int, count: int = 3) -> list[int]:
    """The moments of rows that miss a value, spread over those up to `last`."""
    found: list[int] = []
    for name, shape in given.shapes.items():
        rows = given.database[name].rows
        values = [column for column in shape.dtypes if column not in (shape.time, shape.known)]
        if shape.time and values:
            empty = rows.filter(pl.any_horizontal(pl.col(values).is_null()))[KNOWN]
            found += [t for t in tick_values(empty.unique().sort()).tolist() if t <= last]
    found = sorted(set(found))
    return [found[round((len(found) - 1) * (i + 1) / (count + 1))] for i in range(count)] if found else []


def _counted(table: Table) -> Table:
    """A constant table on a clock of integers: known before every step."""
    always = pl.lit(BEGINNING, dtype=pl.Int64)
    return Table(table.contract, table.rows.with_columns(always.alias(HAPPENED), always.alias(KNOWN)))


def _instant(tick: int) -> datetime:
    return pl.Series([tick], dtype=pl.Int64).cast(INSTANT)[0]  # type: ignore[no-any-return]


def _parsed(name: str, dated: Dated) -> tuple[Table, Shape]:
    """The table of one frame, and its shape."""
    raw, pandas, index, time = _raw(name, dated)
    for column in (time, dated.known, *dated.key):
        if column and column not in raw.columns:
            raise BadInput(f"tables.{name}", found=f"no column {column!r}", wanted=f"one of {', '.join(raw.columns)}")
    if reserved := [column for column in raw.columns if column in _RESERVED]:
        raise BadInput(f"tables.{name}", found=f"a column {reserved[0]}", wanted="another name", fix="rename it")
    stored = {n: _stored(name, raw[n]) for n in raw.columns if n not in (time, dated.known)}
    contract = Contract(
        name,
        (),
        Stamp(time, period="integer" if raw[time].dtype.is_integer() else "") if time else None,
        Known("column", dated.known)
        if dated.known
        else Known("same_as_happened" if time else "constant", why=dated.constant),
        tuple(Column(n, kind, source=n, nullable=True) for n, (kind, _) in stored.items()),
        dated.zone,
    )
    made = parse(contract, raw.with_columns(series for _, series in stored.values()), now=None)
    shape = Shape(
        time, dated.known, dated.zone, dict(raw.schema), pandas, index, _order(raw, time),
        frozenset(n for n in stored if raw[n].dtype.is_float() and raw[n].is_nan().any() and not raw[n].null_count()),
        _text(made.rows[HAPPENED], dated.zone), _series(dated.frame),
    )  # fmt: skip
    _check_clock(name, raw, made, shape)
    # Only now the key: one that comes twice is for the check on duplicates to find, not for the contract to refuse.
    return Table(replace(contract, key=dated.key), made.rows), shape


def _raw(name: str, dated: Dated) -> tuple[pl.DataFrame, dict[str, Any] | None, dict[str, Any], str]:
    """Polars rows, pandas types or None, the index by column, and the time column's name."""
    frame, time = dated.frame, dated.time
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        if not (time or dated.constant):
            raise _timeless(name, frame.columns)
        return frame, None, {}, time
    if type(frame).__module__.split(".")[0] != "pandas" or not hasattr(frame, "index"):
        raise BadInput(f"tables.{name}", found=f"a {type(frame).__name__}", wanted="a polars or pandas frame")
    index: dict[str, Any] = {}
    if not hasattr(frame, "columns"):
        frame = frame.to_frame(frame.name if frame.name is not None else "value")
    called = list(frame.index.names)
    if any(level is not None for level in called) or frame.index.dtype.kind == "M":
        index = {str(level if level is not None else "time"): level for level in called}
        frame = frame.rename_axis(index=list(index)).reset_index()
        if not time and len(index) == 1 and not dated.constant:
            (time,) = index
    else:
        frame = frame.reset_index(drop=True)
    if not (time or dated.constant):
        raise _timeless(name, frame.columns)
    frame.columns = frame.columns.map(str)
    try:
        return pl.from_pandas(frame), dict(frame.dtypes), index, time
    except Exception as error:
        raise BadInput(f"tables.{name}", found=f"{error}", wanted="columns of one type each") from error


def _timeless(name: str, columns: Sequence[Any]) -> BadInput:
    return BadInput(
        f"tables.{name}",
        found="nothing that says when a row happened",
        wanted=f"one of its columns ({', '.join(map(str, columns))})",
        fix="time=COLUMN, or Dated(frame, constant='why it never changes')",
    )


def _stored(table: str, column: pl.Series) -> tuple[ColumnType, pl.Series]:
    """The type of a contract that holds a column exactly, and the column in it."""
    dtype = column.dtype
    if dtype == pl.Null:
        return "text", column.cast(pl.String)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text", column.cast(pl.String)
    if dtype == pl.Boolean:
        return "flag", column
    if dtype == pl.Date:
        return "date", column
    if dtype.is_integer():
        # A contract reads whole numbers through floats; what those cannot hold stays exact as text.
        wide = column.cast(pl.Float64).abs().max()
        small = wide is None or float(wide) < 2**53  # type: ignore[arg-type]
        return ("integer", column.cast(pl.Int64)) if small else ("text", column.cast(pl.String))
    if isinstance(dtype, pl.Datetime):
        return "integer", column.cast(pl.Datetime("us", dtype.time_zone)).to_physical()
    if isinstance(dtype, pl.Duration):
        return "integer", column.cast(pl.Duration("us")).to_physical()
    if dtype == pl.Time:
        return "integer", column.to_physical()
    if dtype.is_float():
        return "real", column.cast(pl.Float64).fill_nan(None)
    raise BadInput(
        f"tables.{table}.{column.name}",
        found=f"{dtype}",
        wanted="text, numbers, flags, dates or instants",
        fix="drop the column, or turn it into one of these",
    )


def _text(clock: pl.Series, zone: str) -> str:
    """The shortest format that tells all instants apart."""
    if clock.dtype != INSTANT:
        return ""
    local = clock.dt.convert_time_zone(zone)
    if (local.dt.time() == time(0)).all():
        return "%Y-%m-%d"
    return "%Y-%m-%d %H:%M:%S" if local.dt.microsecond().max() == 0 else "%Y-%m-%d %H:%M:%S.%f"


def _series(frame: Any) -> tuple[Any, ...]:
    """The name of a pandas series; nothing for a frame."""
    return () if hasattr(frame, "columns") else (frame.name,)


def _order(raw: pl.DataFrame, time: str) -> tuple[str, ...]:
    """What the rows are sorted by, so that shuffled tables come back in the order that a function may rely on."""
    if not time:
        return ()
    if raw[time].is_sorted():
        return (time,)
    for name in raw.columns:
        if name != time and (raw[name].dtype == pl.String or raw[name].dtype.is_integer()):
            pair = raw.select(name, time)
            if pair.equals(pair.sort(name, time, maintain_order=True)):
                return (name, time)
    return ()


def _check_clock(name: str, raw: pl.DataFrame, table: Table, shape: Shape) -> None:
    """Refuse a time that would not come back as it was given."""
    for column, clock in ((shape.time, HAPPENED), (shape.known, KNOWN)):
        if column and not clock_values(table.rows[clock], raw[column].dtype, shape.zone).equals(raw[column]):
            raise ContractError(
                f"{name}.{column}",
                found=f"stamps of {raw[column].dtype} that cannot be read back exactly (first: {raw[column][0]!r})",
                wanted="dates, instants to the microsecond, or integer steps",
                fix="turn the column into dates or instants first",
            )


def clock_values(clock: pl.Series, dtype: pl.DataType, zone: str) -> pl.Series:
    """A time column of a table in the type it was given in; a date is the day that an instant lies in."""
    if clock.dtype != INSTANT:
        return clock.cast(dtype)
    local = clock.dt.convert_time_zone(zone)
    if dtype == pl.Date:
        return local.dt.date()
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone:
            return clock.dt.convert_time_zone(dtype.time_zone).cast(dtype)
        return local.dt.replace_time_zone(None).cast(dtype)
    if dtype == pl.String:
        days = local.dt.date().cast(pl.String)
        return days if (local.dt.time() == time.max).all() else local.dt.to_string("%Y-%m-%d %H:%M:%S")
    return local.cast(dtype)


def later(given: Given, at: Moment) -> list[Moment]:
    """The moments after `at` at which a row became known."""
    integer = given.clock.dtype != INSTANT
    return [int(t) if integer else _instant(t) for t in tick_values(given.clock).tolist() if t > ticks(at)]


__all__ = ["ONLY", "Dated", "Given", "Shape", "clock_values", "given", "later", "moment_of", "spread"]
