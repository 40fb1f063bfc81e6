"""The arithmetic of steps: one `Grid` for fixed, calendar, session and integer time.

A grid cuts time into periods numbered by consecutive integers. A grid *point* is the last tick of its period, so period i
is `(at(i - 1), at(i)]`: half-open, like every window here. A day is known when it is over, and a cutoff is a grid point.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal, assert_never
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from foreproof.core.clock import EPOCH, Moment, Ticks, moment, tick_values, ticks, time_column
from foreproof.errors import BadInput

Kind = Literal["fixed", "calendar", "sessions", "integer"]
Unit = Literal["us", "d", "w", "mo", "q", "y", "step"]

_DAY = 86_400_000_000
_MICROSECONDS = {"s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000}
_CALENDAR: dict[str, Unit] = {"d": "d", "w": "w", "mo": "mo", "q": "q", "y": "y"}
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_EVERY = re.compile(r"^(\d+)(s|min|h|d|w|mo|q|y)$")
_SEASONS = {"d": 7, "w": 52, "mo": 12, "q": 4, "y": 1}


@dataclass(frozen=True, slots=True)
class Grid:
    """Equal steps of time.

    kind: `fixed` (microseconds in UTC), `calendar` (local days, weeks, months ... of `zone`), `sessions` (listed
    instants, such as trading days) or `integer` (a clock that only counts).
    every: how many `unit`s a period lasts. week_end: the last day of a week, Monday 0 ... Sunday 6.
    """

    kind: Kind
    every: int = 1
    unit: Unit = "d"
    zone: str = "UTC"
    week_end: int = 6
    sessions: tuple[int, ...] = ()

    def index(self, values: Ticks) -> Ticks:
        """The number of the period that holds each tick; at(index(t) - 1) < t <= at(index(t))."""
        match self.kind:
            case "integer":
                return np.floor_divide(values + (self.every - 1), self.every)
            case "fixed":
                return np.floor_divide(values, self.every)
            case "sessions":
                return np.searchsorted(np.asarray(self.sessions, dtype=np.int64), values, side="left").astype(np.int64)
            case "calendar":
                return self._calendar_index(values)
            case _:
                assert_never(self.kind)

    def at(self, index: Ticks) -> Ticks:
        """The grid point (last tick) of each period; strictly increasing, and index(at(i)) == i."""
        match self.kind:
            case "integer":
                return index * self.every
            case "fixed":
                return (index + 1) * self.every - 1
            case "sessions":
                return self._session_at(index)
            case "calendar":
                return _midnights(self._first_days(index + 1), self.zone) - 1
            case _:
                assert_never(self.kind)

    def add(self, t: Moment, steps: int) -> Moment:
        """The grid point `steps` periods after the period that holds t."""
        start = self.index(np.array([ticks(t)], dtype=np.int64))
        return moment(int(self.at(start + steps)[0]), integer=self.kind == "integer")

    def shift(self, values: Ticks, steps: int | Ticks) -> Ticks:
        """`add` for many ticks at once."""
        return self.at(self.index(values) + steps)

    def say(self, t: Moment | None) -> str:
        """A grid point in words: the local day that it ends, where it ends one."""
        if not isinstance(t, datetime):
            return str(t)
        at = t.astimezone(ZoneInfo(self.zone))
        return f"{at:%Y-%m-%d}" if at.time() == time.max else f"{at:%Y-%m-%d %H:%M} {self.zone}"

    def between(self, a: Moment, b: Moment) -> list[Moment]:
        """The grid points in (a, b]."""
        low, high = self.index(np.array([ticks(a), ticks(b)], dtype=np.int64))
        points = self.at(np.arange(low, high + 1, dtype=np.int64))
        inside = points[(points > ticks(a)) & (points <= ticks(b))]
        return [moment(int(point), integer=self.kind == "integer") for point in inside]

    @property
    def integer(self) -> bool:
        """Whether moments of this grid are integers."""
        return self.kind == "integer"

    @property
    def season(self) -> int:
        """The usual season of this step, in steps: 24 hours, 7 days, 52 weeks, 12 months, 4 quarters, else 1."""
        if self.kind == "calendar":
            return max(1, _SEASONS[self.unit] // self.every)
        if self.kind == "fixed":
            return max(1, 24 * _MICROSECONDS["h"] // self.every)
        return 5 if self.kind == "sessions" else 1

    def describe(self) -> str:
        """The grid as the plan writes it."""
        if self.kind == "fixed":
            for name in ("h", "min", "s"):
                if self.every % _MICROSECONDS[name] == 0:
                    return f"{self.every // _MICROSECONDS[name]}{name}"
        if self.kind == "calendar":
            return f"{self.every}{self.unit}"
        return "integer" if self.kind == "integer" else "sessions"

    def _calendar_index(self, values: Ticks) -> Ticks:
        if self.unit == "d" and self.zone == "UTC":
            return np.floor_divide(values, _DAY * self.every)
        local = time_column("t", values, integer=False).dt.convert_time_zone(self.zone)
        if self.unit in ("d", "w"):
            days: Ticks = local.dt.date().to_physical().to_numpy().astype(np.int64)
            if self.unit == "d":
                return days // self.every
            return (days + 3 + (6 - self.week_end)) // 7 // self.every
        months: Ticks = (local.dt.year().cast(pl.Int64) * 12 + local.dt.month().cast(pl.Int64) - 1).to_numpy()
        return months // (_MONTHS[self.unit] * self.every)

    def _first_days(self, index: Ticks) -> pl.Series:
        """The first local date of each period."""
        if self.unit in ("d", "w"):
            days = index * self.every
            if self.unit == "w":
                days = days * 7 - 3 - (6 - self.week_end)
            return pl.Series("day", days).cast(pl.Int32).cast(pl.Date)
        months = pl.Series("month", index * (_MONTHS[self.unit] * self.every))
        parts = pl.DataFrame({"year": months // 12, "month": months % 12 + 1})
        return parts.select(pl.date("year", "month", 1).alias("day"))["day"]

    def _session_at(self, index: Ticks) -> Ticks:
        if index.size and (index.min() < 0 or index.max() >= len(self.sessions)):
            raise BadInput(
                "grid: sessions",
                found=f"a step outside the {len(self.sessions)} listed sessions",
                wanted="sessions that reach to the end of the horizon",
                fix="list more sessions",
            )
        return np.asarray(self.sessions, dtype=np.int64)[index]


def parse_grid(every: str, *, zone: str = "UTC", week_end: int = 6, subject: str = "grid") -> Grid:
    """A grid from words: `15min` and `1h` are fixed, `1d 1w 1mo 1q 1y` follow the calendar of `zone`, `integer` counts."""
    if every == "integer":
        return Grid("integer", unit="step")
    found = _EVERY.match(every)
    if found is None or int(found[1]) == 0:
        raise BadInput(subject, found=f"{every!r}", wanted="15min, 1h, 1d, 1w, 1mo, 1q, 1y or integer", fix="write one")
    count, unit = int(found[1]), found[2]
    if unit in _MICROSECONDS:
        return Grid("fixed", count * _MICROSECONDS[unit], "us", zone)
    return Grid("calendar", count, _CALENDAR[unit], zone, week_end)


def session_grid(sessions: Ticks) -> Grid:
    """A grid of listed instants, one a session, in any order."""
    return Grid("sessions", sessions=tuple(int(tick) for tick in np.unique(sessions)))


def parse_moment(text: str, grid: Grid, *, subject: str) -> Moment:
    """A moment in words: a date is the last microsecond of that day in the grid's zone; else an instant, or a step."""
    if grid.integer:
        if text.lstrip("-").isdigit():
            return int(text)
        raise BadInput(subject, found=repr(text), wanted="an integer step")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise BadInput(subject, found=repr(text), wanted="a date or an instant, such as 2024-06-30") from None
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return moment(int(_midnights(pl.Series([day + timedelta(days=1)]), grid.zone)[0]) - 1, integer=False)


def _midnights(days: pl.Series, zone: str) -> Ticks:
    """The first instant of each local day, in ticks; where the clocks skip midnight, the instant of the change."""
    # One day at a time is asked for thousands of times, of the same few days.
    if len(days) == 1 and days.dtype == pl.Date and not days.null_count():
        return np.array([_midnight(days.cast(pl.Int32)[0], zone)], dtype=np.int64)
    return _each_midnight(days, zone)


@lru_cache(maxsize=4096)
def _midnight(day: int, zone: str) -> int:
    return int(_each_midnight(pl.Series([day], dtype=pl.Int32).cast(pl.Date), zone)[0])


def _each_midnight(days: pl.Series, zone: str) -> Ticks:
    local = days.cast(pl.Datetime("us")).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    found = local.dt.convert_time_zone("UTC").to_physical()
    if found.null_count():
        # fold=0 reads a skipped time with the offset before the change, which is the instant of the change itself.
        skipped = [
            ticks(EPOCH.replace(year=day.year, month=day.month, day=day.day, tzinfo=ZoneInfo(zone)))
            for day in days.filter(found.is_null()).to_list()
        ]
        filled = found.to_numpy().copy()
        filled[found.is_null().to_numpy()] = skipped
        return filled.astype(np.int64)
    return found.to_numpy().astype(np.int64, copy=False)


def periods(frame: pl.DataFrame, column: str, grid: Grid) -> pl.Series:
    """The period number of each row's time column."""
    return pl.Series("period", grid.index(tick_values(frame[column])), dtype=pl.Int64)


__all__ = ["Grid", "parse_grid", "parse_moment", "periods", "session_grid"]
