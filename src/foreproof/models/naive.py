"""The baseline that every model has to beat: the same season again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from foreproof.core.model import Now, Past
from foreproof.core.predict import Prediction
from foreproof.models.panel import panel, points, seasonal_naive


@dataclass(frozen=True, slots=True)
class FittedNaive:
    """Knows its season and nothing else."""

    season: int

    def predict(self, now: Now) -> Prediction:
        """Each step repeats the value one season before it."""
        past = panel(now.target, now.frame.entity)
        return points(now, past.keys, seasonal_naive(past, season=self.season, horizon=now.frame.horizon))

    def dump(self) -> Mapping[str, bytes]:
        """Nothing: there is no learned state."""
        return {}


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """y[T + s] = y[T + s - m ceil(s / m)], m the season; a series shorter than m repeats its last value.

    Hyndman & Athanasopoulos, Forecasting: Principles and Practice (2021), section 5.2.
    """

    name: str = "seasonal_naive"

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedNaive:
        """Nothing to learn; refuses a target that is not finite."""
        panel(past.target, past.frame.entity)
        return FittedNaive(max(1, past.frame.season))


@dataclass(frozen=True, slots=True)
class Naive:
    """y[T + s] = y[T]: the last value again."""

    name: str = "naive"

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedNaive:
        """Nothing to learn; refuses a target that is not finite."""
        panel(past.target, past.frame.entity)
        return FittedNaive(1)


__all__ = ["FittedNaive", "Naive", "SeasonalNaive"]
