"""Features from the plan, and the default set for a global direct model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from foreproof.core.grid import Grid
from foreproof.core.section import Section
from foreproof.errors import PlanError
from foreproof.features.ahead import Ahead
from foreproof.features.calendar import Calendar, CalendarPart, Holiday, HolidayPart
from foreproof.features.cells import Gap, Reading, Reduce, Where
from foreproof.features.declare import Anchor, Feature, check_law
from foreproof.features.lags import Age, Difference, Lag, SeasonalLag
from foreproof.features.parse_events import KINDS as EVENT_KINDS
from foreproof.features.parse_events import parse_event_features
from foreproof.features.statics import Static
from foreproof.features.windows import Ratio, Rolling, SeasonalRolling, Stat

_DATES: dict[str, tuple[CalendarPart, ...]] = {
    "us": ("hour", "weekday", "day", "month"),
    "d": ("weekday", "day", "week", "month"),
    "w": ("week", "month"),
    "mo": ("month",),
    "q": ("quarter",),
}


@dataclass(frozen=True, slots=True)
class _Setting:
    """What the features of a plan have in common."""

    season: int
    grid: Grid
    horizon: int


def parse_features(sections: Sequence[Section], *, season: int, grid: Grid, horizon: int) -> tuple[Feature, ...]:
    """Features from the plan's list of mappings, such as `{lag: 1}`, `{rolling: mean, window: 7}`, `{ahead: promotions.display}`.

    A mapping's kind is one of lag, seasonal_lag, rolling, seasonal_rolling, difference, ratio, age, calendar, holiday, static,
    ahead, those of events (see `parse_event_features`), or `default: true` for the default set. Past features take `of:
    table.column` with `aggregate` and `gap`, to read another table than the series' own. Raises PlanError, and LawError where
    one would read ahead.
    """
    setting = _Setting(season, grid, horizon)
    features: list[Feature] = []
    for section in sections:
        if any(name in section for name in EVENT_KINDS if name not in _KINDS):
            features += [one for one in parse_event_features([section], horizon=horizon) if one not in features]
            continue
        kind = next((name for name in _KINDS if name in section), None)
        if kind is None:
            wanted = f"one of {', '.join((*_KINDS, *EVENT_KINDS))}"
            raise PlanError(section.path, found=", ".join(section) or "nothing", wanted=wanted)
        made = _KINDS[kind](section, setting)
        section.done()
        for feature in made:
            check_law(feature, horizon)
        features += [feature for feature in made if feature not in features]
    return tuple(features)


def default_features(season: int, grid: Grid, horizon: int, *, history: int | None = None) -> tuple[Feature, ...]:
    """Lags, seasonal lags, rolling means and deviations, means of the phase, the calendar and the age.

    season: steps. history: steps of the longest series, if known; windows and lags that reach beyond half of it are left
    out, because they would be null in most training rows.
    """
    reach = 10**9 if history is None else max(history // 2, 2)
    long = _long_season(season, grid)
    features: list[Feature] = [Lag(lag) for lag in (0, 1, 2) if lag <= reach]
    for length, count in ((season, 3), (long, 2)):
        if length > 1:
            features += [SeasonalLag(length, k) for k in range(1, count + 1) if k * length <= reach]
    windows = (season, 4 * season, 13 * season) if season > 1 else (3, 6, 12)
    features += [Rolling("mean", window) for window in windows if window <= reach]
    features += [Rolling("std", window) for window in windows[:2] if window <= reach]
    features.append(Rolling("mean", None))
    if season > 1:
        features += [SeasonalRolling("mean", season, count) for count in (4, 8) if count * season <= reach]
        features.append(Difference(0, season))
        features.append(Ratio(windows[0], windows[1]))
        features.append(Rolling("nonzero", windows[1]))
    else:
        features.append(Difference(0, 1))
    features.append(Age())
    features += [Calendar(part) for part in _dates(grid)]
    features += [Calendar("phase", length) for length in (season, long) if length > 1 and grid.kind == "integer"]
    return tuple(feature for feature in dict.fromkeys(features) if _within(feature, horizon, reach))


def _within(feature: Feature, horizon: int, reach: int) -> bool:
    window = feature.meta(horizon).window
    return window is None or window <= reach


def _long_season(season: int, grid: Grid) -> int:
    """The next longer season: the week of hours, the 52 weeks of days."""
    if grid.kind == "fixed" and season > 1:
        return 7 * season
    if grid.kind == "integer" and season == 24:
        return 168
    if grid.kind == "calendar" and grid.unit == "d" and season == 7:
        return 364
    return 0


def _dates(grid: Grid) -> tuple[CalendarPart, ...]:
    if grid.kind == "sessions":
        return ("weekday", "day", "month")
    return () if grid.integer else _DATES.get(grid.unit, ())


def _wholes(section: Section, name: str) -> list[int]:
    values = section.numbers(name)
    if not values or any(value != int(value) for value in values):
        raise PlanError(f"{section.path}.{name}", found=str(list(values)), wanted="whole numbers")
    return [int(value) for value in values]


def _words(section: Section, name: str, options: tuple[str, ...]) -> list[str]:
    values = section.texts(name)
    for value in values:
        if value not in options:
            raise PlanError(f"{section.path}.{name}", found=f"{value!r}", wanted=f"one of {', '.join(options)}")
    return list(values)


def _anchor(section: Section) -> Anchor:
    return section.choice("anchor", get_args(Anchor), default="cutoff")


def _of(section: Section) -> Reading | None:
    """`of: table.column`, or `of: table` to count rows, with `where` and `exclude`."""
    if "of" not in section:
        return None
    table, column = _path(section, "of")
    aggregate: Reduce = section.choice("aggregate", get_args(Reduce), default="mean" if column else "count")
    gap: Gap = section.choice("gap", get_args(Gap), default="zero" if aggregate in ("sum", "count") else "missing")
    if not column and aggregate != "count":
        raise PlanError(f"{section.path}.of", found=table, wanted=f"table.column to take the {aggregate} of")
    keep, drop = (_where(section.section(name, default={})) for name in ("where", "exclude"))
    return Reading(table, column, aggregate, gap, keep, drop)


def _where(section: Section) -> Where:
    return tuple((name, section.texts(name)) for name in section)


def _path(section: Section, name: str) -> tuple[str, str]:
    table, _, column = section.text(name).partition(".")
    return table, column


def _lags(section: Section, setting: _Setting) -> list[Feature]:
    anchor, of = _anchor(section), _of(section)
    return [Lag(lag, anchor, of) for lag in _wholes(section, "lag")]


def _seasonal_lags(section: Section, setting: _Setting) -> list[Feature]:
    of = _of(section)
    ks = _wholes(section, "k") if "k" in section else [1]
    return [SeasonalLag(season, k, of) for season in _wholes(section, "seasonal_lag") for k in ks]


def _rolling(section: Section, setting: _Setting) -> list[Feature]:
    lag, anchor, of = section.whole("lag", default=0), _anchor(section), _of(section)
    life = section.raw("window") == "life"
    windows: list[int | None] = [None] if life else [*_wholes(section, "window")]
    stats: list[Stat] = _words(section, "rolling", get_args(Stat))  # type: ignore[assignment]
    return [Rolling(stat, window, lag, anchor, of) for stat in stats for window in windows]


def _seasonal_rolling(section: Section, setting: _Setting) -> list[Feature]:
    of, season = _of(section), section.whole("season", default=setting.season)
    stats: list[Stat] = _words(section, "seasonal_rolling", get_args(Stat))  # type: ignore[assignment]
    return [SeasonalRolling(stat, season, count, of) for stat in stats for count in _wholes(section, "count")]


def _differences(section: Section, setting: _Setting) -> list[Feature]:
    lag, anchor, of = section.whole("lag", default=0), _anchor(section), _of(section)
    return [Difference(lag, by, anchor, of) for by in _wholes(section, "difference")]


def _ratio(section: Section, setting: _Setting) -> list[Feature]:
    window, base, lag = section.whole("ratio"), section.whole("base"), section.whole("lag", default=0)
    return [Ratio(window, base, lag, _anchor(section), _of(section))]


def _age(section: Section, setting: _Setting) -> list[Feature]:
    return [Age()] if section.flag("age") else []


def _calendar(section: Section, setting: _Setting) -> list[Feature]:
    parts: list[CalendarPart] = _words(section, "calendar", get_args(CalendarPart))  # type: ignore[assignment]
    season = section.whole("season", default=setting.season) if "phase" in parts else 0
    if setting.grid.integer and set(parts) - {"phase", "trend"}:
        raise PlanError(f"{section.path}.calendar", found=", ".join(parts), wanted="phase or trend on an integer grid")
    return [Calendar(part, season if part == "phase" else 0) for part in parts]


def _holidays(section: Section, setting: _Setting) -> list[Feature]:
    words = _words(section, "parts", get_args(HolidayPart)) if "parts" in section else list(get_args(HolidayPart))
    parts: list[HolidayPart] = words  # type: ignore[assignment]
    subdivision, within = section.text("subdivision", default=""), section.whole("within", default=14)
    if setting.grid.integer:
        raise PlanError(f"{section.path}.holiday", found="an integer grid", wanted="a grid with dates")
    return [Holiday(country, part, subdivision, within) for country in section.texts("holiday") for part in parts]


def _static(section: Section, setting: _Setting) -> list[Feature]:
    table, column = _path(section, "static")
    if not column:
        raise PlanError(f"{section.path}.static", found=table, wanted="table.column")
    return [Static(table, column)]


def _ahead(section: Section, setting: _Setting) -> list[Feature]:
    table, column = _path(section, "ahead")
    aggregate: Reduce = section.choice("aggregate", get_args(Reduce), default="sum" if column else "count")
    if not column and aggregate != "count":
        raise PlanError(f"{section.path}.ahead", found=table, wanted=f"table.column to take the {aggregate} of")
    offsets = _wholes(section, "offset") if "offset" in section else [0]
    return [Ahead(table, column, aggregate, offset) for offset in offsets]


def _default(section: Section, setting: _Setting) -> list[Feature]:
    wanted = section.flag("default")
    return list(default_features(setting.season, setting.grid, setting.horizon)) if wanted else []


_KINDS: dict[str, Callable[[Section, _Setting], list[Feature]]] = {
    "seasonal_lag": _seasonal_lags,
    "seasonal_rolling": _seasonal_rolling,
    "rolling": _rolling,
    "difference": _differences,
    "ratio": _ratio,
    "age": _age,
    "calendar": _calendar,
    "holiday": _holidays,
    "static": _static,
    "ahead": _ahead,
    "default": _default,
    "lag": _lags,
}
"""`lag` comes last: windows have a lag too."""

__all__ = ["default_features", "parse_features"]
