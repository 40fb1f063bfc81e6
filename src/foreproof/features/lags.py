"""Lags: y at single periods, differences of two, and the series' age.

Lag l of cutoff c is the period c - l; for a series' y before its start, and for periods without facts under gap `missing`,
it is null.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foreproof.core.clock import Ticks
from foreproof.features.cells import FAR, Reading
from foreproof.features.context import Context, Demand, Floats, Shape, anchored, by_step
from foreproof.features.declare import Anchor, Meta, at_least, named, near, past, span, tail


@dataclass(frozen=True, slots=True)
class Lag:
    """y one period: at anchor - lag."""

    lag: int
    anchor: Anchor = "cutoff"
    of: Reading | None = None

    def __post_init__(self) -> None:
        past(self, self.lag, self.anchor)

    @property
    def name(self) -> str:
        """`lag_1`, `lag_28_target`."""
        return f"lag_{self.lag}{tail(self.anchor, self.of)}"

    def maths(self) -> str:
        """Y in (anchor - lag - 1, anchor - lag]."""
        return f"{named(self.of)} in {span(self.anchor, self.lag, 1)}"

    def meta(self, horizon: int) -> Meta:
        """One step."""
        return Meta(self.name, "lags", self.anchor, self.lag, 1, near(self.lag, self.anchor, horizon), self.maths())


@dataclass(frozen=True, slots=True)
class SeasonalLag:
    """y at the kth latest period of the target step's own phase that the cutoff has reached.

    For step s: at target - season * ceil(s / season) - (k - 1) * season, which is never after the cutoff.
    """

    season: int
    k: int = 1
    of: Reading | None = None

    def __post_init__(self) -> None:
        at_least(self, season=self.season, k=self.k)

    @property
    def name(self) -> str:
        """`seasonal_lag_7`, `seasonal_lag_7_k2`."""
        return f"seasonal_lag_{self.season}{'' if self.k == 1 else f'_k{self.k}'}{tail('cutoff', self.of)}"

    def maths(self) -> str:
        """Y at the kth latest known period of the phase."""
        back = f"{self.season} ceil(step / {self.season})" + (f" - {(self.k - 1) * self.season}" if self.k > 1 else "")
        return f"{named(self.of)} in {span('target', back, 1)}"

    def meta(self, horizon: int) -> Meta:
        """Nearness is that of the step whose phase was seen last."""
        first = min(-step % self.season for step in range(1, horizon + 1))
        nearness = first + (self.k - 1) * self.season
        return Meta(self.name, "lags", "target", self.season * self.k, 1, nearness, self.maths())


@dataclass(frozen=True, slots=True)
class Difference:
    """y at anchor - lag, less y `span` steps before that."""

    lag: int
    span: int
    anchor: Anchor = "cutoff"
    of: Reading | None = None

    def __post_init__(self) -> None:
        at_least(self, span=self.span)
        past(self, self.lag, self.anchor)

    @property
    def name(self) -> str:
        """`difference_7`, `difference_7_lag_1`."""
        lag = f"_lag_{self.lag}" if self.lag else ""
        return f"difference_{self.span}{lag}{tail(self.anchor, self.of)}"

    def maths(self) -> str:
        """Y in (cutoff - 1, cutoff] - y in (cutoff - 8, cutoff - 7]."""
        y, later, earlier = named(self.of), span(self.anchor, self.lag, 1), span(self.anchor, self.lag + self.span, 1)
        return f"{y} in {later} - {y} in {earlier}"

    def meta(self, horizon: int) -> Meta:
        """It reaches over span + 1 steps."""
        nearness = near(self.lag, self.anchor, horizon)
        return Meta(self.name, "lags", self.anchor, self.lag, self.span + 1, nearness, self.maths())


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


def phase_lags(season: int, steps: Ticks) -> list[int]:
    """How far before the cutoff the latest period of each step's phase lies: season * ceil(step / season) - step."""
    return [-step % season for step in steps.tolist()]


def value(context: Context, of: Reading | None, lag: int) -> Floats:
    """E x C: y in (cutoff - lag - 1, cutoff - lag], in the user's unit."""
    stored, present = context.at(of, lag)
    return np.where(present, stored / context.scale(of), np.nan)


def lag_reads(feature: Lag, shape: Shape) -> Demand:
    """One lag a step."""
    return [(feature.of, lag) for lag in anchored(feature.lag, feature.anchor, shape.steps)]


def lag_column(context: Context, feature: Lag) -> Floats:
    """See `Lag`."""
    lags = anchored(feature.lag, feature.anchor, context.steps)
    return by_step(lags, lambda lag: value(context, feature.of, lag))


def seasonal_lag_reads(feature: SeasonalLag, shape: Shape) -> Demand:
    """One lag a phase."""
    back = (feature.k - 1) * feature.season
    return [(feature.of, lag + back) for lag in phase_lags(feature.season, shape.steps)]


def seasonal_lag_column(context: Context, feature: SeasonalLag) -> Floats:
    """See `SeasonalLag`."""
    back = (feature.k - 1) * feature.season
    lags = [lag + back for lag in phase_lags(feature.season, context.steps)]
    return by_step(lags, lambda lag: value(context, feature.of, lag))


def difference_reads(feature: Difference, shape: Shape) -> Demand:
    """Two lags a step."""
    lags = anchored(feature.lag, feature.anchor, shape.steps)
    return [(feature.of, lag + span) for lag in lags for span in (0, feature.span)]


def difference_column(context: Context, feature: Difference) -> Floats:
    """See `Difference`: subtracted in stored units, so exact where y is."""

    def make(lag: int) -> Floats:
        later, known = context.at(feature.of, lag)
        earlier, also = context.at(feature.of, lag + feature.span)
        return np.where(known & also, (later - earlier) / context.scale(feature.of), np.nan)

    return by_step(anchored(feature.lag, feature.anchor, context.steps), make)


def age_reads(feature: Age, shape: Shape) -> Demand:
    """The start is in every context."""
    return []


def age_column(context: Context, feature: Age) -> Floats:
    """See `Age`."""
    return since_start(context)[:, :, None]


def since_start(context: Context) -> Floats:
    """E x C: steps from each series' start to the cutoff."""
    return np.where(context.start < FAR, context.cutoffs - context.start, np.nan)


__all__ = [
    "Age",
    "Difference",
    "Lag",
    "SeasonalLag",
    "age_column",
    "age_reads",
    "difference_column",
    "difference_reads",
    "lag_column",
    "lag_reads",
    "phase_lags",
    "seasonal_lag_column",
    "seasonal_lag_reads",
    "since_start",
    "value",
]
