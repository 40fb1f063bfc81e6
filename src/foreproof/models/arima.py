"""ARIMA with orders chosen by AICc, one series at a time, through statsforecast."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from foreproof.core.model import Past
from foreproof.models.late import library
from foreproof.models.local import FEWEST, FittedLocal, Found, Learned, fit_local
from foreproof.models.panel import Floats

_FORM = re.compile(r"\((\d+),(\d+),(\d+)\)\((\d+),(\d+),(\d+)\)(| with mean| with drift)")


@dataclass(frozen=True, slots=True)
class AutoARIMA:
    """The seasonal ARIMA model with the least AICc, found step by step: orders to 5, seasonal orders to 2.

    Hyndman & Khandakar, Automatic time series forecasting (2008). longest_season: a longer season is removed by
    `learn_seasonal` before; a seasonal search costs some hundred milliseconds a series.
    """

    name: str = "auto_arima"
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
        """Orders as `(p,d,q)(P,D,Q)` with or without mean or drift, season, and the coefficients in the library's order."""
        found = library("statsforecast.arima").auto_arima_f(y, period=season)
        p, q, big_p, big_q, _, d, big_d = found["arma"]
        names = list(found["coef"])
        constant = " with drift" if "drift" in names else " with mean" if "intercept" in names else ""
        form = f"({p},{d},{q})({big_p},{big_d},{big_q}){constant}"
        return form, season, tuple(float(value) for value in found["coef"].values())

    def carry(self, y: Floats, learned: Learned, horizon: int) -> Floats:
        """The state of the filter after y under the coefficients, and its forecast; a drift goes on from the first y."""
        arima = library("statsforecast.arima")
        match = _FORM.fullmatch(learned.form)
        if match is None:
            raise ValueError(learned.form)
        p, d, q, big_p, big_d, big_q = (int(order) for order in match.groups()[:6])
        drift = match[7] == " with drift"
        kept: dict[str, Any] = {
            "order": (p, d, q),
            "seasonal": {"order": (big_p, big_d, big_q), "period": learned.season},
            "include_mean": match[7] == " with mean",
            "fixed": np.array(learned.numbers, dtype=np.float64) if learned.numbers else None,
            "xreg": np.arange(1.0, y.size + 1.0)[:, None] if drift else None,
        }
        filtered = arima.arima(y, method="CSS-ML", **kept)
        ahead = np.arange(y.size + 1.0, y.size + 1.0 + horizon)[:, None] if drift else None
        forecast: Floats = arima.predict_arima(filtered, horizon, newxreg=ahead, se_fit=False)
        return forecast


__all__ = ["AutoARIMA"]
