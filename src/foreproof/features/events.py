"""Events: statistics of what an entity did over (cutoff - lag - window, cutoff - lag], and of one window against another.

Entities need no series: a pair of account and group that never met has counts and sums of 0, and no mean. Windows are
counted in steps of the grid. Sums of exact columns are integers until the one division.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from foreproof.errors import BadInput
from foreproof.features.cells import Values
from foreproof.features.context import Asked, Context, Floats
from foreproof.features.declare import Meta, at_least, past, span, word
from foreproof.features.ledger import Events, Kind, Tally

EventStat = Literal["sum", "mean", "min", "max", "last", "count", "active", "distinct"]
Versus = Literal["ratio", "difference"]
_ROWS: tuple[EventStat, ...] = ("count", "active")


@dataclass(frozen=True, slots=True)
class Over:
    """A statistic of the events over (cutoff - lag - window, cutoff - lag]; `window=None` for the whole life up to there.

    count: rows. active: steps with a row. distinct: different values of `column`. sum, mean, min, max, last: of the numbers of
    `column`, in its unit; the mean is over rows. Without events count, active, distinct and sum are 0, the others null.
    """

    stat: EventStat
    of: Events
    column: str = ""
    window: int | None = None
    lag: int = 0

    def __post_init__(self) -> None:
        word(self, "stat", self.stat, EventStat)
        past(self, self.lag, "cutoff")
        if self.window is not None:
            at_least(self, window=self.window)
        if (self.stat in _ROWS) == bool(self.column):
            wanted = "no column: rows are counted" if self.column else "a column"
            raise BadInput(f"feature {self.stat}", found=f"column {self.column!r}", wanted=wanted)
        if self.stat == "last" and self.window is not None:
            raise BadInput("feature last", found=f"window {self.window}", wanted="the whole life, and no window")

    @property
    def name(self) -> str:
        """`sum_sales_90_of_lines`, `count_365_lag_60_of_lines_along_account`."""
        column = f"_{self.column}" if self.column else ""
        lag = f"_lag_{self.lag}" if self.lag else ""
        return f"{self.stat}{column}_{self.window or 'life'}{lag}{self.of.tail}"

    def maths(self) -> str:
        """Sum of lines.sales over (cutoff - lag - window, cutoff - lag]."""
        of = f"{self.of.table}.{self.column}" if self.column else str(self.of)
        what = {"count": "rows", "active": "steps with rows", "distinct": f"different {of}"}.get(self.stat, self.stat)
        along = "" if self.of.along is None else f" along {' x '.join(self.of.along) or 'all'}"
        of = f" of {of}" if self.stat in _ROWS or (self.column and self.stat != "distinct") else ""
        return f"{what}{of}{along} over {span('cutoff', self.lag, self.window)}"

    def meta(self, horizon: int) -> Meta:
        """The window as declared."""
        return Meta(self.name, "events", "cutoff", self.lag, self.window, self.lag, self.maths())

    @property
    def tallies(self) -> Iterable[Tally]:
        """What it needs."""
        kind: Kind
        match self.stat:
            case "count" | "active":
                kind = "rows"
            case "mean":
                kind = "sum"
            case stat:
                kind = stat
        return [Tally(self.of, self.lag, self.window, kind, self.column)]


@dataclass(frozen=True, slots=True)
class Against:
    """A statistic over (cutoff - lag - window, cutoff - lag] against the same over (cutoff - base_lag - base, cutoff - base_lag].

    ratio: the first by the second, null where that is 0. difference: the first less the second.
    """

    kind: Versus
    stat: Literal["sum", "count", "active", "mean", "distinct"]
    of: Events
    window: int
    base: int
    column: str = ""
    lag: int = 0
    base_lag: int = 0

    def __post_init__(self) -> None:
        word(self, "kind", self.kind, Versus)
        word(self, "stat", self.stat, Literal["sum", "count", "active", "mean", "distinct"])
        self.parts  # noqa: B018 - both windows are checked where they are made

    @property
    def parts(self) -> tuple[Over, Over]:
        """The two windows."""
        near = Over(self.stat, self.of, self.column, self.window, self.lag)
        return near, replace(near, window=self.base, lag=self.base_lag)

    @property
    def name(self) -> str:
        """`ratio_sum_sales_90_to_365_of_lines`."""
        column = f"_{self.column}" if self.column else ""
        lags = f"_lag_{self.lag}_{self.base_lag}" if self.lag or self.base_lag else ""
        return f"{self.kind}_{self.stat}{column}_{self.window}_to_{self.base}{lags}{self.of.tail}"

    def maths(self) -> str:
        """The first window by, or less, the second."""
        near, base = self.parts
        return f"{near.maths()} {'/' if self.kind == 'ratio' else '-'} {base.maths()}"

    def meta(self, horizon: int) -> Meta:
        """From the nearer end to the farther beginning."""
        near = min(self.lag, self.base_lag)
        reach = max(self.lag + self.window, self.base_lag + self.base) - near
        return Meta(self.name, "events", "cutoff", near, reach, near, self.maths())

    @property
    def tallies(self) -> Iterable[Tally]:
        """What both windows need."""
        return [tally for part in self.parts for tally in part.tallies]


@dataclass(frozen=True, slots=True)
class Share:
    """The sum of a column (or the rows) of the entity by that of all that share the columns `within`, over one window.

    0 where the entity has nothing, null where nobody has.
    """

    of: Events
    window: int
    within: tuple[str, ...]
    column: str = ""
    lag: int = 0

    def __post_init__(self) -> None:
        at_least(self, window=self.window)
        past(self, self.lag, "cutoff")

    @property
    def parts(self) -> tuple[Over, Over]:
        """The entity's, and that of all."""
        stat: EventStat = "sum" if self.column else "count"
        own = Over(stat, self.of, self.column, self.window, self.lag)
        return own, replace(own, of=replace(self.of, along=self.within))

    @property
    def name(self) -> str:
        """`share_sales_365_within_account_of_lines`."""
        column = f"_{self.column}" if self.column else ""
        lag = f"_lag_{self.lag}" if self.lag else ""
        return f"share{column}_{self.window}{lag}_within_{'_'.join(self.within) or 'all'}{self.of.tail}"

    def maths(self) -> str:
        """The entity's sum by that of all that share `within`."""
        own, whole = self.parts
        return f"{own.maths()} / {whole.maths()}"

    def meta(self, horizon: int) -> Meta:
        """The window as declared."""
        return Meta(self.name, "events", "cutoff", self.lag, self.window, self.lag, self.maths())

    @property
    def tallies(self) -> Iterable[Tally]:
        """What both need."""
        return [tally for part in self.parts for tally in part.tallies]


@dataclass(frozen=True, slots=True)
class Trend:
    """The least-squares slope of a column's sums (or of rows) over `parts` equal windows that make up the last `window` steps.

    In units a part: with s[j], j = 0 (oldest) ... m - 1, sum (j - (m - 1) / 2) s[j] / sum (j - (m - 1) / 2)^2.
    """

    of: Events
    window: int
    parts: int = 4
    column: str = ""
    lag: int = 0

    def __post_init__(self) -> None:
        at_least(self, window=self.window)
        past(self, self.lag, "cutoff")
        if self.parts < 2 or self.window % self.parts:
            raise BadInput(
                "feature trend",
                found=f"{self.parts} parts of {self.window} steps",
                wanted="at least 2 parts of equal length",
                fix="make the window a multiple of the parts",
            )

    @property
    def windows(self) -> list[Over]:
        """The parts, oldest first."""
        size = self.window // self.parts
        stat: EventStat = "sum" if self.column else "count"
        lags = [self.lag + size * j for j in reversed(range(self.parts))]
        return [Over(stat, self.of, self.column, size, lag) for lag in lags]

    @property
    def name(self) -> str:
        """`trend_sales_180_by_6_of_lines`."""
        column = f"_{self.column}" if self.column else ""
        lag = f"_lag_{self.lag}" if self.lag else ""
        return f"trend{column}_{self.window}_by_{self.parts}{lag}{self.of.tail}"

    def maths(self) -> str:
        """Slope of the sums of equal parts of the window."""
        what = f"{self.of.table}.{self.column}" if self.column else f"rows of {self.of}"
        return f"slope of {what} in {self.parts} equal parts of {span('cutoff', self.lag, self.window)}"

    def meta(self, horizon: int) -> Meta:
        """The window as declared."""
        return Meta(self.name, "events", "cutoff", self.lag, self.window, self.lag, self.maths())

    @property
    def tallies(self) -> Iterable[Tally]:
        """What the parts need."""
        return [tally for part in self.windows for tally in part.tallies]


def over_column(context: Context, feature: Over) -> Asked:
    """See `Over`."""
    return Asked(over(context, feature))


def against_column(context: Context, feature: Against) -> Asked:
    """See `Against`."""
    near, base = (over(context, part) for part in feature.parts)
    return Asked(by(near, base) if feature.kind == "ratio" else near - base)


def share_column(context: Context, feature: Share) -> Asked:
    """See `Share`."""
    own, whole = (over(context, part) for part in feature.parts)
    return Asked(by(own, whole))


def trend_column(context: Context, feature: Trend) -> Asked:
    """See `Trend`."""
    total = np.zeros(context.turn.shape)
    middle = (feature.parts - 1) / 2
    for j, part in enumerate(feature.windows):
        total += (j - middle) * over(context, part)
    return Asked(total / sum((j - middle) ** 2 for j in range(feature.parts)))


def over(context: Context, feature: Over) -> Floats:
    """The statistic of each row, NaN for null."""
    ledger, lag, window = context.ledgers[feature.of], feature.lag, feature.window
    match feature.stat:
        case "count":
            return ledger.rows(lag, window).astype(np.float64, copy=False)
        case "active":
            return ledger.active(lag, window).astype(np.float64, copy=False)
        case "distinct":
            return ledger.distinct(feature.column, lag, window).astype(np.float64, copy=False)
        case "sum":
            return np.asarray(ledger.total(feature.column, lag, window) / ledger.numbers[feature.column].scale)
        case "mean":
            total = ledger.total(feature.column, lag, window)
            return by(total, ledger.count(feature.column, lag, window) * ledger.numbers[feature.column].scale)
        case "last":
            return ledger.last(feature.column, lag)
        case "min" | "max":
            return ledger.extreme(feature.stat, feature.column, lag, window)


def by(a: Values, b: Values) -> Floats:
    """A / b, NaN where b is 0."""
    base = b.astype(np.float64)
    base[base == 0.0] = np.nan
    return np.asarray(a / base)


EVENT_STATS = get_args(EventStat)

__all__ = [
    "EVENT_STATS",
    "Against",
    "EventStat",
    "Over",
    "Share",
    "Trend",
    "Versus",
    "against_column",
    "by",
    "over",
    "over_column",
    "share_column",
    "trend_column",
]
