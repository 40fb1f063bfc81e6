"""Intermittent demand: sizes and gaps smoothed apart, or the series smoothed at several levels of aggregation.

A demand is a step whose value is not 0. A series of zeros is forecast as zero. Forecasts are flat: a rate a step.
Syntetos & Boylan, Intermittent Demand Forecasting (2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from foreproof.core.model import Past
from foreproof.models.late import library
from foreproof.models.local import FittedLocal, Found, Learned, fit_local
from foreproof.models.panel import Floats
from foreproof.models.plain import FittedRule, fit_rule

_ALPHAS = np.linspace(0.1, 0.3, 21)
_MOST_LEVELS = 52
"""Aggregation beyond this many steps leaves too few sums to smooth."""


def smoothed(x: Floats, alpha: float) -> Floats:
    """Simple exponential smoothing: level[0] = x[0], level[t] = alpha x[t] + (1 - alpha) level[t - 1]."""
    levels: Floats = library("scipy.signal").lfilter([alpha], [1.0, alpha - 1.0], x, zi=[(1.0 - alpha) * x[0]])[0]
    return levels


@dataclass(frozen=True, slots=True)
class CrostonSBA:
    """Croston's method less its bias: (1 - alpha / 2) size / gap, both smoothed at demands alone.

    Croston (1972); Syntetos & Boylan, The accuracy of intermittent demand estimates (2005). The first gap runs from the
    series' start.
    """

    name: str = "croston_sba"
    alpha: float = 0.1

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedRule:
        """Nothing to learn: alpha is given."""
        return fit_rule(self, past)

    def ahead(self, y: Floats, season: int, horizon: int) -> Floats:
        """The rate, again and again."""
        places = np.flatnonzero(y)
        if not places.size:
            return np.zeros(horizon)
        size = smoothed(y[places], self.alpha)[-1]
        gap = smoothed(np.diff(places, prepend=-1).astype(np.float64), self.alpha)[-1]
        return np.full(horizon, (1.0 - self.alpha / 2.0) * size / gap)


@dataclass(frozen=True, slots=True)
class TSB:
    """The probability of a demand, smoothed at every step, times its size, smoothed at demands: fades when demand ends.

    Teunter, Syntetos & Babai, Intermittent demand: linking forecasting to inventory obsolescence (2011). alpha: of
    sizes; beta: of the probability.
    """

    name: str = "tsb"
    alpha: float = 0.1
    beta: float = 0.1

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedRule:
        """Nothing to learn: both constants are given."""
        return fit_rule(self, past)

    def ahead(self, y: Floats, season: int, horizon: int) -> Floats:
        """The rate, again and again."""
        there = y != 0.0
        if not there.any():
            return np.zeros(horizon)
        probability = smoothed(there.astype(np.float64), self.beta)[-1]
        return np.full(horizon, probability * smoothed(y[there], self.alpha)[-1])


@dataclass(frozen=True, slots=True)
class IMAPA:
    """The mean over levels of aggregation, 1 ... the mean gap between demands, of the smoothed sums a step.

    Petropoulos & Kourentzes, Forecast combinations for intermittent demand (2015). What is learned of a series: how many
    levels, and for each the constant in .10, .11, ... .30 with the least squared error one sum ahead.
    """

    name: str = "imapa"
    history: int = 0
    fewest: ClassVar[int] = 2

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    @property
    def longest_season(self) -> int:
        """No season is removed: a rate has none."""
        return 1_000_000

    def fit(self, past: Past, *, seed: int) -> FittedLocal:
        """Constants of every series; deterministic, the seed is not used."""
        return fit_local(self, past)

    def search(self, y: Floats, season: int) -> Found:
        """One constant a level."""
        gaps = np.diff(np.flatnonzero(y), prepend=-1)
        levels = min(max(1, round(float(gaps.mean()))), _MOST_LEVELS, y.size)
        return "imapa", 1, tuple(_best(sums(y, level)) for level in range(1, levels + 1))

    def carry(self, y: Floats, learned: Learned, horizon: int) -> Floats:
        """The mean of the levels' rates."""
        rates = [
            smoothed(sums(y, level), alpha)[-1] / level
            for level, alpha in enumerate(learned.numbers, start=1)
            if alpha is not None and level <= y.size
        ]
        return np.full(horizon, np.mean(rates))


def sums(y: Floats, level: int) -> Floats:
    """Sums of runs of `level` values that end with y's last; what is left over at the start is dropped."""
    runs: Floats = y[y.size % level :].reshape(-1, level).sum(axis=1)
    return runs


def _best(x: Floats) -> float:
    """The constant with the least squared error one step ahead; of equals the smallest."""
    errors = [float(np.sum((x[1:] - smoothed(x, float(alpha))[:-1]) ** 2)) for alpha in _ALPHAS]
    return round(float(_ALPHAS[int(np.argmin(errors))]), 2)


__all__ = ["IMAPA", "TSB", "CrostonSBA", "smoothed", "sums"]
