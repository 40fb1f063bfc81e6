"""The calendar of the target period: known for ever ahead, so it reads no fact and breaks no law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import polars as pl

from foreproof.core.clock import Ticks, time_column
from foreproof.core.grid import Grid
from foreproof.errors import BadInput, MissingExtra
from foreproof.features.context import Column, Context, Demand, Floats, Shape, Text
from foreproof.features.declare import Meta, at_least, word
from foreproof.features.lags import since_start

CalendarPart = Literal["hour", "weekday", "day", "day_of_year", "week", "month", "quarter", "year", "phase", "trend"]
HolidayPart = Literal["is", "to_next", "since_last", "name"]


@dataclass(frozen=True, slots=True)
class Calendar:
    """A part of the target period's last local date (and hour) in the grid's zone.

    weekday 1 Monday ... 7; day of the month, day_of_year, ISO week, month, quarter, year, hour. phase: the target
    period's number mod `season`. trend: steps from the series' first visible fact to the target.
    """

    part: CalendarPart
    season: int = 0

    def __post_init__(self) -> None:
        word(self, "part", self.part, CalendarPart)
        if self.part == "phase":
            at_least(self, season=self.season)
        elif self.season:
            raise BadInput("calendar", found=f"season {self.season} of {self.part}", wanted="a season for phase alone")

    @property
    def name(self) -> str:
        """`calendar_weekday`, `calendar_phase_24`."""
        return f"calendar_{self.part}{f'_{self.season}' if self.season else ''}"

    def maths(self) -> str:
        """Part of the date of cutoff + step."""
        match self.part:
            case "phase":
                return f"(cutoff + step) mod {self.season}"
            case "trend":
                return "cutoff + step - first period with a fact over (-inf, cutoff]"
            case part:
                return f"{part.replace('_', ' ')} of the local date of cutoff + step"

    def meta(self, horizon: int) -> Meta:
        """A calendar reads no fact; the trend reads when the series began."""
        return Meta(self.name, "calendar", "target", None, None, 0 if self.part == "trend" else None, self.maths())


@dataclass(frozen=True, slots=True)
class Holiday:
    """Public holidays of a country (ISO 3166 code) in the target period, by the `holidays` library.

    is: the number of holiday dates in the period (0 or 1 for a day). to_next, since_last: days from the period's last date
    to the next holiday at or after it, from the last one at or before it; null beyond `within` days. name: the first
    holiday's name, null without one. A day of mourning called at short notice is in the library from then on: the
    library's release is part of what was known.
    """

    country: str
    part: HolidayPart = "is"
    subdivision: str = ""
    within: int = 14

    def __post_init__(self) -> None:
        word(self, "part", self.part, HolidayPart)
        at_least(self, within=self.within)

    @property
    def name(self) -> str:
        """`holiday_US_is`, `holiday_DE_BY_to_next`."""
        place = f"{self.country}_{self.subdivision}" if self.subdivision else self.country
        return f"holiday_{place}_{self.part}"

    def maths(self) -> str:
        """Holidays of the period (cutoff + step - 1, cutoff + step]."""
        place = f"{self.country}-{self.subdivision}" if self.subdivision else self.country
        match self.part:
            case "is":
                return f"holiday dates of {place} in (cutoff + step - 1, cutoff + step]"
            case "name":
                return f"name of the first holiday of {place} in (cutoff + step - 1, cutoff + step]"
            case "to_next":
                return f"days from cutoff + step to the first holiday of {place} at or after it, up to {self.within}"
            case _:
                return f"days to cutoff + step from the last holiday of {place} at or before it, up to {self.within}"

    def meta(self, horizon: int) -> Meta:
        """A calendar reads no fact."""
        return Meta(self.name, "calendar", "target", None, None, None, self.maths())


@dataclass(frozen=True, slots=True)
class CutoffCalendar:
    """A part of the cutoff's own local date: what an outlook of fixed length needs to know the season."""

    part: Literal["weekday", "day", "day_of_year", "week", "month", "quarter", "year"]

    def __post_init__(self) -> None:
        word(self, "part", self.part, Literal["weekday", "day", "day_of_year", "week", "month", "quarter", "year"])

    @property
    def name(self) -> str:
        """`cutoff_month`."""
        return f"cutoff_{self.part}"

    def maths(self) -> str:
        """Part of the date of the cutoff."""
        return f"{self.part.replace('_', ' ')} of the local date of the cutoff"

    def meta(self, horizon: int) -> Meta:
        """A calendar reads no fact."""
        return Meta(self.name, "calendar", "cutoff", None, None, None, self.maths())


def cutoff_column(context: Context, feature: CutoffCalendar) -> Floats:
    """See `CutoffCalendar`."""
    stamps = _local(context.grid, context.cutoffs, feature.name)
    part = stamps.dt.ordinal_day() if feature.part == "day_of_year" else getattr(stamps.dt, feature.part)()
    return np.asarray(part.cast(pl.Float64).to_numpy()).reshape(1, -1, 1)


def no_reads(feature: Calendar | Holiday, shape: Shape) -> Demand:
    """A calendar reads no fact."""
    return []


def calendar_column(context: Context, feature: Calendar) -> Floats:
    """See `Calendar`; raises BadInput for a part of the date on a grid without dates."""
    targets = context.cutoffs[:, None] + context.steps
    if feature.part == "phase":
        return (targets % feature.season).astype(np.float64)[None]
    if feature.part == "trend":
        return since_start(context)[:, :, None] + context.steps
    stamps = _local(context.grid, targets, feature.name)
    match feature.part:
        case "day_of_year":
            part = stamps.dt.ordinal_day()
        case "weekday" | "day" | "week" | "month" | "quarter" | "year" | "hour":
            part = getattr(stamps.dt, feature.part)()
    return part.cast(pl.Float64).to_numpy().reshape(1, *targets.shape)


def holiday_column(context: Context, feature: Holiday) -> Column:
    """See `Holiday`; raises BadInput for a place that the library does not know, MissingExtra without the library."""
    targets = context.cutoffs[:, None] + context.steps
    last = _days(_local(context.grid, targets, feature.name))
    before = context.grid.at(targets.reshape(-1) - 1)
    first = _days(_zoned(before + 1, context.grid.zone))
    names = _holidays(feature, int(first.min()) - feature.within, int(last.max()) + feature.within)
    days = np.array(sorted(names), dtype=np.int64)
    shape = (1, *targets.shape)
    left, right = np.searchsorted(days, first, side="left"), np.searchsorted(days, last, side="right")
    if feature.part == "is":
        return (right - left).astype(np.float64).reshape(shape)
    if feature.part == "name":
        words = pl.Series("name", [names[day] for day in days.tolist()], dtype=pl.String)
        return Text(words, np.where(left < right, left, -1).reshape(shape))
    if feature.part == "to_next":
        following = np.append(days, last.max() + feature.within + 1)
        apart = following[np.searchsorted(days, last, side="left")] - last
    else:
        preceding = np.insert(days, 0, first.min() - feature.within - 1)
        apart = last - preceding[right]
    return np.where(apart <= feature.within, apart, np.nan).astype(np.float64).reshape(shape)


def _local(grid: Grid, periods: Ticks, name: str) -> pl.Series:
    """The local time of the last tick of each period."""
    if grid.integer:
        raise BadInput(
            f"feature {name}", found="an integer grid", wanted="a grid with dates", fix="use calendar: phase or trend"
        )
    return _zoned(grid.at(periods.reshape(-1)), grid.zone)


def _zoned(ticks: Ticks, zone: str) -> pl.Series:
    return time_column("t", ticks, integer=False).dt.convert_time_zone(zone)


def _days(stamps: pl.Series) -> Ticks:
    """Local dates as days since 1970-01-01."""
    return stamps.dt.date().to_physical().to_numpy().astype(np.int64)


def _holidays(feature: Holiday, low: int, high: int) -> Mapping[int, str]:
    """Names by day since 1970-01-01, over [low, high]."""
    try:
        import holidays
    except ImportError:
        raise MissingExtra(
            f"feature {feature.name}", found="no library `holidays`", fix="pip install 'foreproof[forecast]'"
        ) from None
    epoch = date(1970, 1, 1).toordinal()
    years = range(date.fromordinal(low + epoch).year, date.fromordinal(high + epoch).year + 1)
    try:
        found = holidays.country_holidays(feature.country, subdiv=feature.subdivision or None, years=years)
    except NotImplementedError as error:
        raise BadInput(
            f"feature {feature.name}", found=str(error).split(". ")[0], wanted="an ISO 3166 country (and subdivision)"
        ) from None
    return {day.toordinal() - epoch: name for day, name in found.items()}


__all__ = [
    "Calendar",
    "CalendarPart",
    "CutoffCalendar",
    "Holiday",
    "HolidayPart",
    "calendar_column",
    "cutoff_column",
    "holiday_column",
    "no_reads",
]
