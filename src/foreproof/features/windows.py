"""Windows: statistics of y over (anchor - lag - window, anchor - lag], of the same phase, and ratios of two windows.

Steps before a series' start are in no window. Sums of exact values are integers until the one division; floats are added
from the oldest step to the newest, so that the bits depend on nothing but the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from foreproof.core.clock import Ticks
from foreproof.features.cells import FAR, Reading, Values
from foreproof.features.context import Context, Demand, Floats, Shape, anchored, by_step
from foreproof.features.declare import Anchor, Meta, at_least, named, near, past, span, tail, word
from foreproof.features.lags import phase_lags

Stat = Literal["mean", "sum", "std", "min", "max", "nonzero"]
_ADDED = ("mean", "sum", "nonzero")


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
        word(self, "stat", self.stat, Stat)
        if self.window is not None:
            at_least(self, window=self.window)
        past(self, self.lag, self.anchor)

    @property
    def name(self) -> str:
        """`rolling_mean_7`, `rolling_mean_7_lag_28_target`, `rolling_mean_life`."""
        lag = f"_lag_{self.lag}" if self.lag else ""
        return f"rolling_{self.stat}_{self.window or 'life'}{lag}{tail(self.anchor, self.of)}"

    def maths(self) -> str:
        """Mean of y over (cutoff - lag - window, cutoff - lag]."""
        return f"{self.stat} of {named(self.of)} over {span(self.anchor, self.lag, self.window)}"

    def meta(self, horizon: int) -> Meta:
        """The window as declared."""
        nearness = near(self.lag, self.anchor, horizon)
        return Meta(self.name, "windows", self.anchor, self.lag, self.window, nearness, self.maths())


@dataclass(frozen=True, slots=True)
class SeasonalRolling:
    """A statistic of the last `count` values of the target step's own phase: `SeasonalLag` k = 1 ... count."""

    stat: Stat
    season: int
    count: int
    of: Reading | None = None

    def __post_init__(self) -> None:
        word(self, "stat", self.stat, Stat)
        at_least(self, season=self.season, count=self.count)

    @property
    def name(self) -> str:
        """`seasonal_rolling_mean_7_4`."""
        return f"seasonal_rolling_{self.stat}_{self.season}_{self.count}{tail('cutoff', self.of)}"

    def maths(self) -> str:
        """Mean of y at target - 7 ceil(step / 7) - j 7, j = 0 ... count - 1."""
        at = f"target - {self.season} ceil(step / {self.season}) - {self.season} j"
        return f"{self.stat} of {named(self.of)} in ({at} - 1, {at}], j = 0 ... {self.count - 1}"

    def meta(self, horizon: int) -> Meta:
        """The window spans `count` seasons."""
        nearness = min(-step % self.season for step in range(1, horizon + 1))
        window = (self.count - 1) * self.season + 1
        return Meta(self.name, "windows", "target", self.season, window, nearness, self.maths())


@dataclass(frozen=True, slots=True)
class Ratio:
    """The mean of y over a window, by its mean over the longer window `base` with the same end; null where that is 0."""

    window: int
    base: int
    lag: int = 0
    anchor: Anchor = "cutoff"
    of: Reading | None = None

    def __post_init__(self) -> None:
        at_least(self, window=self.window, base=self.base)
        past(self, self.lag, self.anchor)

    @property
    def name(self) -> str:
        """`ratio_7_28`."""
        lag = f"_lag_{self.lag}" if self.lag else ""
        return f"ratio_{self.window}_{self.base}{lag}{tail(self.anchor, self.of)}"

    def maths(self) -> str:
        """Mean of y over (cutoff - 7, cutoff] / mean of y over (cutoff - 28, cutoff]."""
        y, short, long = named(self.of), *(span(self.anchor, self.lag, window) for window in (self.window, self.base))
        return f"mean of {y} over {short} / mean of {y} over {long}"

    def meta(self, horizon: int) -> Meta:
        """The longer window."""
        nearness = near(self.lag, self.anchor, horizon)
        return Meta(self.name, "windows", self.anchor, self.lag, max(self.window, self.base), nearness, self.maths())


def rolling_reads(feature: Rolling, shape: Shape) -> Demand:
    """Every lag of the window, unless the sum is swept."""
    if _sweeps(feature, shape):
        return []
    return _window_reads(feature.of, anchored(feature.lag, feature.anchor, shape.steps), feature.window, shape)


def rolling_column(context: Context, feature: Rolling) -> Floats:
    """See `Rolling`."""
    lags = anchored(feature.lag, feature.anchor, context.steps)
    if _sweeps(feature, context.shape):
        window = FAR if feature.window is None else feature.window
        total, count = context.sums(feature.lag, window, nonzero=feature.stat == "nonzero")
        return _added(feature.stat, total, count, context.scale(None))[:, :, None]

    def make(lag: int) -> Floats:
        return statistic(context, feature.stat, feature.of, _window(lag, feature.window, context.shape))

    return by_step(lags, make)


def seasonal_rolling_reads(feature: SeasonalRolling, shape: Shape) -> Demand:
    """`count` lags a phase."""
    lags = phase_lags(feature.season, shape.steps)
    return [(feature.of, lag + feature.season * j) for lag in sorted(set(lags)) for j in range(feature.count)]


def seasonal_rolling_column(context: Context, feature: SeasonalRolling) -> Floats:
    """See `SeasonalRolling`."""

    def make(lag: int) -> Floats:
        lags = [lag + feature.season * j for j in range(feature.count)]
        return statistic(context, feature.stat, feature.of, lags)

    return by_step(phase_lags(feature.season, context.steps), make)


def ratio_reads(feature: Ratio, shape: Shape) -> Demand:
    """Every lag of the longer window."""
    lags = anchored(feature.lag, feature.anchor, shape.steps)
    return _window_reads(feature.of, lags, max(feature.window, feature.base), shape)


def ratio_column(context: Context, feature: Ratio) -> Floats:
    """See `Ratio`."""

    def make(lag: int) -> Floats:
        short = statistic(context, "mean", feature.of, range(lag, lag + feature.window))
        long = statistic(context, "mean", feature.of, range(lag, lag + feature.base))
        return np.divide(short, long, out=np.full_like(short, np.nan), where=long != 0)

    return by_step(anchored(feature.lag, feature.anchor, context.steps), make)


def statistic(context: Context, stat: Stat, of: Reading | None, lags: Sequence[int]) -> Floats:
    """E x C: the statistic of the values at some lags (rising), of those that there are; null where there is none."""
    parts = [context.at(of, lag) for lag in reversed(lags)]  # oldest first
    count = np.zeros(context.start.shape, dtype=np.int64)
    for _, present in parts:
        count += present
    match stat:
        case "min" | "max":
            return _extreme(stat, parts, context.scale(of))
        case "std":
            return _deviation(parts, count, context.scale(of))
        case "nonzero":
            weights = [((value != 0).astype(np.int64), present) for value, present in parts]
            return _added(stat, _total(weights), count, 1)
        case _:
            return _added(stat, _total(parts), count, context.scale(of))


def _total(parts: Sequence[tuple[Values, Values]]) -> Values:
    total = np.zeros(parts[0][0].shape, dtype=parts[0][0].dtype)
    for value, present in parts:
        total += np.where(present, value, 0)
    return total


def _added(stat: Stat, total: Values, count: Ticks, scale: int) -> Floats:
    """A sum, a mean or a count of what is not 0, null over nothing."""
    divisor = count * scale if stat == "mean" else np.full_like(count, 1 if stat == "nonzero" else scale)
    added: Floats = np.divide(total, divisor, out=np.full(count.shape, np.nan), where=count > 0)
    return added


def _deviation(parts: Sequence[tuple[Values, Values]], count: Ticks, scale: int) -> Floats:
    """The standard deviation with divisor n - 1, in two passes; null below two values."""
    mean = _added("mean", _total(parts), count, scale)
    total = np.zeros(count.shape)
    for value, present in parts:
        total += np.where(present, (value / scale - mean) ** 2, 0.0)
    variance = np.divide(total, count - 1, out=np.full(count.shape, np.nan), where=count > 1)
    deviation: Floats = np.sqrt(variance)
    return deviation


def _extreme(stat: Literal["min", "max"], parts: Sequence[tuple[Values, Values]], scale: int) -> Floats:
    best = np.full(parts[0][0].shape, np.nan)
    for value, present in parts:
        units = np.where(present, value / scale, np.nan)
        best = np.fmin(best, units) if stat == "min" else np.fmax(best, units)
    return best


def _sweeps(feature: Rolling, shape: Shape) -> bool:
    """Whether difference arrays over the cutoffs answer: exact sums of y at one lag."""
    return shape.sweeps and feature.of is None and feature.anchor == "cutoff" and feature.stat in _ADDED


def _window(lag: int, window: int | None, shape: Shape) -> range:
    return range(lag, lag + window if window is not None else max(shape.deepest, lag) + 1)


def _window_reads(of: Reading | None, lags: Sequence[int], window: int | None, shape: Shape) -> Demand:
    return [(of, at) for lag in sorted(set(lags)) for at in _window(lag, window, shape)]


__all__ = [
    "Ratio",
    "Rolling",
    "SeasonalRolling",
    "Stat",
    "ratio_column",
    "ratio_reads",
    "rolling_column",
    "rolling_reads",
    "seasonal_rolling_column",
    "seasonal_rolling_reads",
    "statistic",
]
