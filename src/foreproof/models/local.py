"""Models of one series at a time: what is learned of each, how it is kept, and how it forecasts.

Learning keeps parameters only: `predict` runs them over the target as it is seen now, so an update at a later cutoff is the
same path without the search. Where a series cannot be modelled, the seasonal naive forecasts it, and it is counted.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from foreproof.core.model import Now, Past
from foreproof.core.predict import Prediction
from foreproof.models.panel import Floats, panel, points, seasonal_naive
from foreproof.models.season import Seasonal, learn_seasonal

FEWEST = 8
"""Observations below which most models learn no parameters."""
_WILD = 10.0
"""A forecast that leaves the range of the history by more than this many ranges is taken for a failed fit."""


Found = tuple[str, int, tuple[float | None, ...]]
"""What a search returns: form, season, numbers."""


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

    @property
    def fewest(self) -> int:
        """Observations below which no parameters are learned."""
        ...

    def search(self, y: Floats, season: int) -> Found:
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


def fit_local(model: Local, past: Past, *, least: int = 200) -> FittedLocal:
    """Parameters of every series of the target; deterministic.

    least: without a `history` of the model's own, ten seasons are used, and at least so many observations.
    """
    season = max(1, past.frame.season)
    series = panel(past.target, past.frame.entity)
    keep = model.history or max(10 * season, least)
    learned = {
        key: _learn(model, y[-keep:], int(start) + max(0, y.size - keep), season)
        for key, start, y in zip(series.keys, series.starts, series, strict=True)
    }
    return FittedLocal(model, season, learned)


def _learn(model: Local, y: Floats, start: int, season: int) -> Learned | None:
    """Parameters of one series; None where it is short or constant, or where its best model cannot forecast it soundly."""
    if y.size < model.fewest or np.ptp(y) <= 0.0:
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
    return sound(forecast, y)


def sound(forecast: Floats, y: Floats) -> Floats | None:
    """The forecast; None where it is not finite, or leaves the range of y by more than ten ranges."""
    if not np.all(np.isfinite(forecast)):
        return None
    low, high, reach = float(y.min()), float(y.max()), _WILD * float(np.ptp(y))
    return forecast if forecast.min() >= low - reach and forecast.max() <= high + reach else None


__all__ = ["FEWEST", "FittedLocal", "Found", "Learned", "Local", "fit_local", "load_local", "sound"]
