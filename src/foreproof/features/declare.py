"""Declared features: frozen values that say what they read, as maths. None of them can name the future (law 3).

A past feature reads `happened` in (anchor - lag - window, anchor - lag], lag >= 0, among the rows that a view at the cutoff
holds. Its anchor is the cutoff, or the target step's period, and then lag >= step. Only `Ahead` reads over
(cutoff, cutoff + horizon], and only in tables marked `ahead: true`, known <= cutoff. One step is one period of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from foreproof.errors import BadInput, LawError
from foreproof.features.cells import Reading, Reduce

Anchor = Literal["cutoff", "target"]
Stat = Literal["mean", "sum", "std", "min", "max", "nonzero"]
CalendarPart = Literal[
    "hour", "weekday", "day", "day_of_year", "week", "month", "quarter", "year", "phase", "trend"
]
HolidayPart = Literal["is", "to_next", "since_last", "name"]


@dataclass(frozen=True, slots=True)
class Meta:
    """What a policy may filter features by.

    lag, window: steps, from the anchor; window None where the feature reads a whole life or no window. nearness: steps
    between the cutoff and the nearest past fact that is read (0: it may be of the cutoff's own period); None where no past
    fact is read.
    """

    name: str
    family: str
    anchor: Anchor
    lag: int | None
    window: int | None
    nearness: int | None
    maths: str


class Feature(Protocol):
    """A declared feature: a frozen, comparable value. Its family's function makes the column."""

    @property
    def name(self) -> str:
        """The name of the column."""
        ...

    def meta(self, horizon: int) -> Meta:
        """What it reads when it serves steps 1 ... horizon."""
        ...

    def maths(self) -> str:
        """What it reads, in half-open windows."""
        ...


@dataclass(frozen=True, slots=True)
class Lag:
    """y one period: at anchor - lag."""

    lag: int
    anchor: Anchor = "cutoff"
    of: Reading | None = None

    def __post_init__(self) -> None:
        _past(self, self.lag, self.anchor)

    @property
    def name(self) -> str:
        """`lag_1`, `lag_28_target`."""
        return f"lag_{self.lag}{_tail(self.anchor, self.of)}"

    def maths(self) -> str:
        """y in (anchor - lag - 1, anchor - lag]."""
        return f"{_y(self.of)} in {_span(self.anchor, self.lag, 1)}"

    def meta(self, horizon: int) -> Meta:
        """One step."""
        return Meta(self.name, "lags", self.anchor, self.lag, 1, _near(self.lag, self.anchor, horizon), self.maths())


@dataclass(frozen=True, slots=True)
class SeasonalLag:
    """y at the kth latest period of the target step's own phase that the cutoff has reached.

    For step s: at target - season * ceil(s / season) - (k - 1) * season, which is never after the cutoff.
    """

    season: int
    k: int = 1
    of: Reading | None = None

    def __post_init__(self) -> None:
        _at_least(self, season=self.season, k=self.k)

    @property
    def name(self) -> str:
        """`seasonal_lag_7`, `seasonal_lag_7_k2`."""
        return f"seasonal_lag_{self.season}{'' if self.k == 1 else f'_k{self.k}'}{_tail('cutoff', self.of)}"

    def maths(self) -> str:
        """y at the kth latest known period of the phase."""
        back = f"{self.season} ceil(step / {self.season})" + (f" - {(self.k - 1) * self.season}" if self.k > 1 else "")
        return f"{_y(self.of)} in {_span('target', back, 1)}"

    def meta(self, horizon: int) -> Meta:
        """Nearness is that of the step whose phase was seen last."""
        first = min(-step % self.season for step in range(1, horizon + 1))
        near = first + (self.k - 1) * self.season
        return Meta(self.name, "lags", "target", self.season * self.k, 1, near, self.maths())


@dataclass(frozen=True, slots=True)
class Rolling:
    """A statistic of y over (anchor - lag - window, anchor - lag], or with `window=None` over all of its life up to there.

    Steps before the series' start are not in the window; steps of its life without facts are 0 under gap zero, and count
    in the divisor. std has the divisor n - 1. nonzero counts the steps where y is not 0. Empty windows are null.
    """

    stat: Stat
    window: int | None
    lag: int = 0
    anchor: Anchor = "cutoff"
    of: Reading | None = None

    def __post_init__(self) -> None:
        _word(self, "stat", self.stat, Stat)
        if self.window is not None:
            _at_least(self, window=self.window)
        _past(self, self.lag, self.anchor)

    @property
    def name(self) -> str:
        """`rolling_mean_7`, `rolling_mean_7_lag_28_target`, `rolling_mean_life`."""
        lag = f"_lag_{self.lag}" if self.lag else ""
        return f"rolling_{self.stat}_{self.window or 'life'}{lag}{_tail(self.anchor, self.of)}"

    def maths(self) -> str:
        """Mean of y over (cutoff - lag - window, cutoff - lag]."""
        return f"{self.stat} of {_y(self.of)} over {_span(self.anchor, self.lag, self.window)}"

    def meta(self, horizon: int) -> Meta:
        """The window as declared."""
        near = _near(self.lag, self.anchor, horizon)
        return Meta(self.name, "windows", self.anchor, self.lag, self.window, near, self.maths())


@dataclass(frozen=True, slots=True)
class SeasonalRolling:
    """A statistic of the last `count` values of the target step's own phase: `SeasonalLag` k = 1 ... count."""

    stat: Stat
    season: int
    count: int
    of: Reading | None = None

    def __post_init__(self) -> None:
        _word(self, "stat", self.stat, Stat)
        _at_least(self, season=self.season, count=self.count)

    @property
    def name(self) -> str:
        """`seasonal_rolling_mean_7_4`."""
        return f"seasonal_rolling_{self.stat}_{self.season}_{self.count}{_tail('cutoff', self.of)}"

    def maths(self) -> str:
        """Mean of y at target - 7 ceil(step / 7) - j 7, j = 0 ... count - 1."""
        at = f"target - {self.season} ceil(step / {self.season}) - {self.season} j"
        return f"{self.stat} of {_y(self.of)} in ({at} - 1, {at}], j = 0 ... {self.count - 1}"

    def meta(self, horizon: int) -> Meta:
        """The window spans `count` seasons."""
        near = min(-step % self.season for step in range(1, horizon + 1))
        window = (self.count - 1) * self.season + 1
        return Meta(self.name, "windows", "target", self.season, window, near, self.maths())


@dataclass(frozen=True, slots=True)
class Difference:
    """y at anchor - lag, less y `span` steps before that."""

    lag: int
    span: int
    anchor: Anchor = "cutoff"
    of: Reading | None = None

    def __post_init__(self) -> None:
        _at_least(self, span=self.span)
        _past(self, self.lag, self.anchor)

    @property
    def name(self) -> str:
        """`difference_7`, `difference_7_lag_1`."""
        lag = f"_lag_{self.lag}" if self.lag else ""
        return f"difference_{self.span}{lag}{_tail(self.anchor, self.of)}"

    def maths(self) -> str:
        """y in (cutoff - 1, cutoff] - y in (cutoff - 8, cutoff - 7]."""
        y, later, earlier = _y(self.of), _span(self.anchor, self.lag, 1), _span(self.anchor, self.lag + self.span, 1)
        return f"{y} in {later} - {y} in {earlier}"

    def meta(self, horizon: int) -> Meta:
        """It reaches over span + 1 steps."""
        near = _near(self.lag, self.anchor, horizon)
        return Meta(self.name, "lags", self.anchor, self.lag, self.span + 1, near, self.maths())


@dataclass(frozen=True, slots=True)
class Ratio:
    """The mean of y over a window, by its mean over the longer window `base` with the same end; null where that is 0."""

    window: int
    base: int
    lag: int = 0
    anchor: Anchor = "cutoff"
    of: Reading | None = None

    def __post_init__(self) -> None:
        _at_least(self, window=self.window, base=self.base)
        _past(self, self.lag, self.anchor)

    @property
    def name(self) -> str:
        """`ratio_7_28`."""
        lag = f"_lag_{self.lag}" if self.lag else ""
        return f"ratio_{self.window}_{self.base}{lag}{_tail(self.anchor, self.of)}"

    def maths(self) -> str:
        """Mean of y over (cutoff - 7, cutoff] / mean of y over (cutoff - 28, cutoff]."""
        y, near, far = _y(self.of), *(_span(self.anchor, self.lag, window) for window in (self.window, self.base))
        return f"mean of {y} over {near} / mean of {y} over {far}"

    def meta(self, horizon: int) -> Meta:
        """The longer window."""
        near = _near(self.lag, self.anchor, horizon)
        return Meta(self.name, "windows", self.anchor, self.lag, max(self.window, self.base), near, self.maths())


@dataclass(frozen=True, slots=True)
class Age:
    """Steps since the series' first visible fact, at the cutoff: 0 in the period of that fact."""

    @property
    def name(self) -> str:
        """`age`."""
        return "age"

    def maths(self) -> str:
        """Cutoff - start."""
        return "cutoff - first period with a fact over (-inf, cutoff]"

    def meta(self, horizon: int) -> Meta:
        """It reads when facts were, back to the first."""
        return Meta(self.name, "lags", "cutoff", 0, None, 0, self.maths())


@dataclass(frozen=True, slots=True)
class Calendar:
    """A part of the target period's last local date (and hour) in the grid's zone.

    weekday 1 Monday ... 7; day of the month, day_of_year, ISO week, month, quarter, year, hour. phase: the target
    period's number mod `season`. trend: steps from the series' first visible fact to the target.
    """

    part: CalendarPart
    season: int = 0

    def __post_init__(self) -> None:
        _word(self, "part", self.part, CalendarPart)
        if self.part == "phase":
            _at_least(self, season=self.season)
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
        _word(self, "part", self.part, HolidayPart)
        _at_least(self, within=self.within)

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


@dataclass(frozen=True, slots=True)
class Ahead:
    """What an ahead table says about the target step's period, shifted by `offset` steps, as known at the cutoff.

    Reads happened in (cutoff + step + offset - 1, cutoff + step + offset], up to cutoff + horizon; beyond it null. By the
    series' columns that the table has. Without rows, sum and count are 0 and the others null.
    """

    table: str
    column: str = ""
    aggregate: Reduce = "sum"
    offset: int = 0

    def __post_init__(self) -> None:
        _word(self, "aggregate", self.aggregate, Reduce)

    @property
    def name(self) -> str:
        """`ahead_promotions_display_sum`, `ahead_promotions_display_sum_lead_7`, `..._lag_7`."""
        shift = f"_{'lead' if self.offset > 0 else 'lag'}_{abs(self.offset)}" if self.offset else ""
        return "_".join(part for part in ("ahead", self.table, self.column, self.aggregate) if part) + shift

    @property
    def reading(self) -> Reading:
        """What is read in one period."""
        return Reading(self.table, self.column, self.aggregate)

    def maths(self) -> str:
        """Sum of promotions.display over (cutoff + step - 1, cutoff + step], known <= cutoff."""
        at = f"cutoff + step{f' {self.offset:+d}'.replace('+', '+ ').replace('-', '- ') if self.offset else ''}"
        return f"{self.reading} over ({at} - 1, {at}], known <= cutoff"

    def meta(self, horizon: int) -> Meta:
        """It reads past facts only where the offset takes the first steps back to the cutoff."""
        near = None if 1 + self.offset > 0 else max(0, -(horizon + self.offset))
        return Meta(self.name, "ahead", "target", None, 1, near, self.maths())


def check_law(feature: Feature, horizon: int) -> None:
    """Refuse a past column on the target anchor that would read after the cutoff: lag >= step for each step (law 3)."""
    if getattr(feature, "anchor", "cutoff") == "target" and feature.lag < horizon:  # type: ignore[attr-defined]
        raise LawError(
            f"feature {feature.name}",
            found=f"a past column read {feature.lag} steps before the target, for steps up to {horizon}",  # type: ignore[attr-defined]
            wanted=f"lag >= step for every step (law 3, half-open time): lag >= {horizon}",
            fix="raise the lag, anchor it at the cutoff, or use seasonal_lag",
        )


def _past(feature: Feature, lag: int, anchor: Anchor) -> None:
    _word(feature, "anchor", anchor, Anchor)
    if lag < 0:
        raise LawError(
            f"feature {type(feature).__name__}",
            found=f"lag {lag}",
            wanted="lag >= 0 (law 3, half-open time)",
            fix="only `ahead` features read beyond the cutoff, in tables with ahead: true",
        )


def _at_least(feature: object, **numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise BadInput(f"feature {type(feature).__name__}", found=f"{name} {number}", wanted=f"{name} >= 1")


def _word(feature: object, name: str, value: str, words: Any) -> None:
    if value not in get_args(words):
        raise BadInput(
            f"feature {type(feature).__name__}", found=f"{name} {value!r}", wanted=f"one of {', '.join(get_args(words))}"
        )


def _near(lag: int, anchor: Anchor, horizon: int) -> int:
    return lag if anchor == "cutoff" else lag - horizon


def _tail(anchor: Anchor, of: Reading | None) -> str:
    tail = "" if anchor == "cutoff" else "_target"
    if of is None:
        return tail
    filters = "_where" if of.keep or of.drop else ""
    return f"{tail}_of_{'_'.join(part for part in (of.table, of.column, of.aggregate, of.gap) if part)}{filters}"


def _y(of: Reading | None) -> str:
    return "y" if of is None else str(of)


def _span(anchor: Anchor, lag: int | str, window: int | None) -> str:
    """`(cutoff - 8, cutoff - 1]`."""
    end = f"{anchor} - {lag}" if lag else anchor
    if window is None:
        return f"(-inf, {end}]"
    begin = f"{anchor} - {lag + window}" if isinstance(lag, int) else f"{end} - {window}"
    return f"({begin}, {end}]"


__all__ = [
    "Age",
    "Ahead",
    "Anchor",
    "Calendar",
    "CalendarPart",
    "Difference",
    "Feature",
    "Holiday",
    "HolidayPart",
    "Lag",
    "Meta",
    "Ratio",
    "Rolling",
    "SeasonalLag",
    "SeasonalRolling",
    "Stat",
    "Static",
    "check_law",
]
