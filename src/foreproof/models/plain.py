"""Rules that learn nothing: a mean of the last values, of the last seasons, a line through the first and the last value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from foreproof.core.model import Now, Past
from foreproof.core.predict import Prediction
from foreproof.models.panel import Floats, panel, points


class Rule(Protocol):
    """A fixed rule from one series to its forecast."""

    def ahead(self, y: Floats, season: int, horizon: int) -> Floats:
        """The next `horizon` values after y, which has at least one."""
        ...


@dataclass(frozen=True, slots=True)
class FittedRule:
    """The rule and the season: all that it knows."""

    rule: Rule
    season: int

    def predict(self, now: Now) -> Prediction:
        """The rule on every series of the target as it is now."""
        past = panel(now.target, now.frame.entity)
        values = np.empty((len(past), now.frame.horizon))
        for i, y in enumerate(past):
            values[i] = self.rule.ahead(y, self.season, now.frame.horizon)
        return points(now, past.keys, values)

    def dump(self) -> Mapping[str, bytes]:
        """Nothing: there is no learned state."""
        return {}


def fit_rule(rule: Rule, past: Past) -> FittedRule:
    """Nothing to learn; refuses a target that is not finite."""
    panel(past.target, past.frame.entity)
    return FittedRule(rule, max(1, past.frame.season))


@dataclass(frozen=True, slots=True)
class WindowMean:
    """The mean of the last `window` values, at every step; 0: of one season. A shorter series: of all it has."""

    name: str = "window_mean"
    window: int = 0

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedRule:
        """See `fit_rule`."""
        return fit_rule(self, past)

    def ahead(self, y: Floats, season: int, horizon: int) -> Floats:
        """The mean, again and again."""
        return np.full(horizon, y[-(self.window or season) :].mean())


@dataclass(frozen=True, slots=True)
class SeasonalWindowMean:
    """The mean of the last `window` values of the step's own phase; a series shorter than a season repeats its last value."""

    name: str = "seasonal_window_mean"
    window: int = 4

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedRule:
        """See `fit_rule`."""
        return fit_rule(self, past)

    def ahead(self, y: Floats, season: int, horizon: int) -> Floats:
        """Of a season that is not whole at the start of y, the values that are there count."""
        if y.size < season:
            return np.full(horizon, y[-1])
        recent = y[-self.window * season :]
        rows = -(-recent.size // season)
        table = np.full(rows * season, np.nan)
        table[table.size - recent.size :] = recent
        means: Floats = np.nanmean(table.reshape(rows, season), axis=0)
        return means[np.arange(horizon) % season]


@dataclass(frozen=True, slots=True)
class Drift:
    """The last value plus the mean change a step: y[T + s] = y[T] + s (y[T] - y[1]) / (T - 1).

    Hyndman & Athanasopoulos, Forecasting: Principles and Practice (2021), section 5.2. window: the most recent values
    used; 0: all.
    """

    name: str = "drift"
    window: int = 0

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedRule:
        """See `fit_rule`."""
        return fit_rule(self, past)

    def ahead(self, y: Floats, season: int, horizon: int) -> Floats:
        """A line through the first and the last value."""
        used = y[-self.window :] if self.window else y
        slope = (used[-1] - used[0]) / (used.size - 1) if used.size > 1 else 0.0
        return np.asarray(used[-1] + slope * np.arange(1, horizon + 1))


__all__ = ["Drift", "FittedRule", "Rule", "SeasonalWindowMean", "WindowMean", "fit_rule"]
