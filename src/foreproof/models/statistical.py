"""Exponential smoothing and the optimised theta method, one series at a time, through statsforecast.

Learning keeps parameters only: `predict` runs them over the target as it is seen now, so an update at a later cutoff is the
same path without the search. Where a series cannot be modelled, the seasonal naive forecasts it, and it is counted.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from foreproof.core.model import Now, Past
from foreproof.core.predict import Prediction
from foreproof.models.late import library
from foreproof.models.panel import Floats, panel, points, seasonal_naive
from foreproof.models.season import Seasonal, learn_seasonal

_FEWEST = 8
"""Observations below which no parameters are learned."""
_WILD = 10.0
"""A forecast that leaves the range of the history by more than this many ranges is taken for a failed fit."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned of one series.

    start: the period of the first observation used; a later forecast starts there again. seasonal: what is removed before
    and restored after. form, season: the model's own words. numbers: its parameters, None where the form has no such one.
    """

    start: int
    seasonal: Seasonal | None
    form: str
    season: int
    numbers: tuple[float | None, ...]


class Local(Protocol):
    """A model of one series: a search for parameters, and a forecast with them."""

    @property
    def name(self) -> str:
        """The name in plans, tables and pages."""
        ...

    @property
    def longest_season(self) -> int:
        """The longest season that the model takes itself; a longer one is removed before."""
        ...

    @property
    def history(self) -> int:
        """The most recent observations used; 0 for ten seasons, at least 200."""
        ...

    def search(self, y: Floats, season: int) -> tuple[str, int, tuple[float | None, ...]]:
        """Form, season and numbers of the best model of y."""
        ...

    def carry(self, y: Floats, learned: Learned, horizon: int) -> Floats:
        """The next `horizon` values after y under learned parameters."""
        ...


@dataclass(frozen=True, slots=True)
class FittedLocal:
    """Parameters by series; None where the seasonal naive stands in."""

    model: Local
    season: int
    learned: Mapping[tuple[str, ...], Learned | None]

    @property
    def fallbacks(self) -> int:
        """How many series are forecast by the seasonal naive: short, constant, or without a model that could be fitted."""
        return sum(learned is None for learned in self.learned.values())

    def predict(self, now: Now) -> Prediction:
        """Forecasts of every series of the target; one that was not there at the fit gets the seasonal naive."""
        past = panel(now.target, now.frame.entity)
        values = seasonal_naive(past, season=self.season, horizon=now.frame.horizon)
        for i, (key, y) in enumerate(zip(past.keys, past, strict=True)):
            learned = self.learned.get(key)
            skip = learned.start - int(past.starts[i]) if learned else -1
            if learned is None or not 0 <= skip < y.size:
                continue
            forecast = _forecast(self.model, y[skip:], learned, now.frame.horizon)
            if forecast is not None:
                values[i] = forecast
        return points(now, past.keys, values)

    def dump(self) -> Mapping[str, bytes]:
        """The parameters as JSON, one entry a series."""
        series = [{"key": key, "learned": asdict(kept) if kept else None} for key, kept in sorted(self.learned.items())]
        text = json.dumps({"season": self.season, "series": series}, sort_keys=True, allow_nan=False)
        return {f"{self.model.name}.json": text.encode()}


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

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedLocal:
        """Parameters of every series; deterministic, the seed is not used."""
        return _fit(self, past)

    def search(self, y: Floats, season: int) -> tuple[str, int, tuple[float | None, ...]]:
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
        return _fit(self, past)

    def search(self, y: Floats, season: int) -> tuple[str, int, tuple[float | None, ...]]:
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


def load_local(model: Local, content: bytes) -> FittedLocal:
    """The inverse of `FittedLocal.dump`; predicts the same bytes."""
    state = json.loads(content)
    learned = {tuple(each["key"]): _parsed(each["learned"]) for each in state["series"]}
    return FittedLocal(model, int(state["season"]), learned)


def _parsed(values: Mapping[str, Any] | None) -> Learned | None:
    if values is None:
        return None
    season = values["seasonal"]
    seasonal = Seasonal(season["multiplicative"], tuple(season["indices"])) if season else None
    return Learned(values["start"], seasonal, values["form"], values["season"], tuple(values["numbers"]))


def _fit(model: Local, past: Past) -> FittedLocal:
    season = max(1, past.frame.season)
    series = panel(past.target, past.frame.entity)
    keep = model.history or max(10 * season, 200)
    learned = {
        key: _learn(model, y[-keep:], int(start) + max(0, y.size - keep), season)
        for key, start, y in zip(series.keys, series.starts, series, strict=True)
    }
    return FittedLocal(model, season, learned)


def _learn(model: Local, y: Floats, start: int, season: int) -> Learned | None:
    """Parameters of one series; None where it is short or constant, or where its best model cannot forecast it soundly."""
    if y.size < _FEWEST or np.ptp(y) <= 0.0:
        return None
    seasonal = learn_seasonal(y, start, season) if season > model.longest_season else None
    adjusted = np.array(y if seasonal is None else seasonal.remove(y, start))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            form, inner, numbers = model.search(adjusted, season if season <= model.longest_season else 1)
    except Exception:  # the library raises plain exceptions of many kinds where nothing can be fitted
        return None
    learned = Learned(start, seasonal, form, inner, numbers)
    return learned if _forecast(model, y, learned, season) is not None else None


def _forecast(model: Local, y: Floats, learned: Learned, horizon: int) -> Floats | None:
    """Forecast of y, whose first value is of period `learned.start`; None where it fails, is not finite or runs wild."""
    seasonal = learned.seasonal
    adjusted = np.array(y if seasonal is None else seasonal.remove(y, learned.start))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            forecast = np.asarray(model.carry(adjusted, learned, horizon), dtype=np.float64)
    except Exception:
        return None
    if seasonal is not None:
        forecast = seasonal.restore(forecast, learned.start + y.size)
    if not np.all(np.isfinite(forecast)):
        return None
    low, high, reach = float(y.min()), float(y.max()), _WILD * float(np.ptp(y))
    return forecast if forecast.min() >= low - reach and forecast.max() <= high + reach else None


__all__ = ["AutoETS", "FittedLocal", "Learned", "Local", "Theta", "load_local"]
