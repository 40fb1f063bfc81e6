"""Exponential smoothing, plain and complex, and the optimised theta method, one series at a time, through statsforecast."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from foreproof.core.model import Past
from foreproof.models.late import library
from foreproof.models.local import FEWEST, FittedLocal, Found, Learned, fit_local
from foreproof.models.panel import Floats


@dataclass(frozen=True, slots=True)
class AutoETS:
    """The state space model of exponential smoothing with the least AICc: error, trend and season additive or
    multiplicative, the trend perhaps damped.

    Hyndman, Koehler, Ord & Snyder, Forecasting with Exponential Smoothing (2008). longest_season: a longer season is
    removed by `learn_seasonal` before (the search over its states costs ten times as much and gains nothing measurable).
    """

    name: str = "auto_ets"
    longest_season: int = 12
    history: int = 0
    fewest: ClassVar[int] = FEWEST

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedLocal:
        """Parameters of every series; deterministic, the seed is not used."""
        return fit_local(self, past)

    def search(self, y: Floats, season: int) -> Found:
        """Components, season and parameters (alpha, beta, gamma, phi, first states)."""
        found = library("statsforecast.ets").ets_f(y, m=season)
        numbers = tuple(None if math.isnan(value) else float(value) for value in found["par"])
        return str(found["components"]), int(found["m"]), numbers

    def carry(self, y: Floats, learned: Learned, horizon: int) -> Floats:
        """The states after y, and their forecast."""
        ets = library("statsforecast.ets")
        numbers = np.array([math.nan if value is None else value for value in learned.numbers])
        # n_params only enters the information criteria and the variance, which nobody reads here.
        fitted = {"m": learned.season, "components": learned.form, "par": numbers, "fit": None, "n_params": 1}
        forecast: Floats = ets.forecast_ets(ets.forward_ets(fitted, y), h=horizon)["mean"]
        return forecast


@dataclass(frozen=True, slots=True)
class Theta:
    """The dynamic optimised theta model, on the series without its season.

    Fiorucci, Pellegrini, Louzada, Petropoulos & Koehler (2016). The season is removed by `learn_seasonal` and not by
    statsforecast, whose test takes a trend for a season and which only adds where a series is not positive.
    """

    name: str = "theta"
    history: int = 0
    fewest: ClassVar[int] = FEWEST

    @property
    def longest_season(self) -> int:
        """The model knows no season."""
        return 1

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedLocal:
        """Parameters of every series; deterministic, the seed is not used."""
        return fit_local(self, past)

    def search(self, y: Floats, season: int) -> Found:
        """First level, alpha and theta."""
        found = library("statsforecast.theta").auto_theta(y, m=1, model="DOTM")["par"]
        return "DOTM", 1, (float(found["initial_smoothed"]), float(found["alpha"]), float(found["theta"]))

    def carry(self, y: Floats, learned: Learned, horizon: int) -> Floats:
        """The states after y, and their forecast."""
        methods = library("statsforecast.theta")
        level, alpha, theta = learned.numbers
        fitted = methods.auto_theta(y, m=1, model=learned.form, initial_smoothed=level, alpha=alpha, theta=theta)
        forecast: Floats = methods.forecast_theta(fitted, h=horizon)["mean"]
        return forecast


@dataclass(frozen=True, slots=True)
class AutoCES:
    """Complex exponential smoothing with the least AICc: without a season, or with a simple, partial or full one.

    Svetunkov, Kourentzes & Ord, Complex exponential smoothing (2022). longest_season: a longer season is removed by
    `learn_seasonal` before.
    """

    name: str = "auto_ces"
    longest_season: int = 24
    history: int = 0
    fewest: ClassVar[int] = FEWEST

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedLocal:
        """Parameters of every series; deterministic, the seed is not used."""
        return fit_local(self, past)

    def search(self, y: Floats, season: int) -> Found:
        """Kind of season (N, S, P, F), season, and alpha and beta (complex: two numbers each)."""
        # With fewer than two seasons the library cannot set the first states of a seasonal form.
        found = library("statsforecast.ces").auto_ces(y, m=season, model="Z" if y.size >= 2 * season else "N")
        par = [float(found["par"][name]) for name in _CES]
        return str(found["seasontype"]), season, tuple(None if math.isnan(value) else value for value in par)

    def carry(self, y: Floats, learned: Learned, horizon: int) -> Floats:
        """The states after y, and their forecast."""
        ces = library("statsforecast.ces")
        par = dict(zip(_CES, learned.numbers, strict=True))
        # The search gave every parameter of the form, so nothing is left to optimise.
        fitted = ces.auto_ces(y, m=learned.season, model=learned.form, **par)
        forecast: Floats = ces.forecast_ces(fitted, h=horizon)["mean"]
        return forecast


_CES = ("alpha_0", "alpha_1", "beta_0", "beta_1")

__all__ = ["AutoCES", "AutoETS", "Theta"]
