"""Several seasons at once: the decomposition is smoothed anew, what is left is forecast by exponential smoothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from foreproof.core.model import Past
from foreproof.models.late import library
from foreproof.models.local import FEWEST, FittedLocal, Found, Learned, fit_local
from foreproof.models.panel import Floats

_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class MSTL:
    """Seasonal and trend decomposition by loess for one or several seasons; each season goes on as in its last period.

    What is left is forecast by exponential smoothing without a season. The decomposition has no parameters that are
    learned: at a later cutoff the smoother runs again, with the learned form and parameters of the exponential smoothing.
    seasons: their lengths in steps; none: the plan's season. A season of which fewer than two were seen is left out.

    Bandara, Hyndman & Bergmeir, MSTL (2021); Cleveland, Cleveland, McRae & Terpenning, STL (1990).
    """

    name: str = "mstl"
    seasons: tuple[int, ...] = ()
    history: int = 0
    fewest: ClassVar[int] = FEWEST

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    @property
    def longest_season(self) -> int:
        """Every season is the decomposition's business."""
        return 1_000_000

    def fit(self, past: Past, *, seed: int) -> FittedLocal:
        """Parameters of every series; deterministic, the seed is not used."""
        return fit_local(self, past, least=max(200, 4 * max(self.seasons, default=0)))

    def search(self, y: Floats, season: int) -> Found:
        """`components/season,season` with the seasons that are long enough, and the parameters of the smoothing."""
        seasons = tuple(m for m in sorted(set(self.seasons or (season,))) if m > 1 and 2 * m < y.size)
        left = y - sum(decompose(y, seasons), np.zeros_like(y))
        found = library("statsforecast.ets").ets_f(left, m=1, model="ZZN")
        numbers = tuple(None if math.isnan(value) else float(value) for value in found["par"])
        return f"{found['components']}/{','.join(map(str, seasons))}", season, numbers

    def carry(self, y: Floats, learned: Learned, horizon: int) -> Floats:
        """The seasons of y repeated, and the forecast of what they leave."""
        ets = library("statsforecast.ets")
        form, _, listed = learned.form.partition("/")
        seasons = tuple(int(m) for m in listed.split(",") if m)
        parts = decompose(y, seasons)
        numbers = np.array([math.nan if value is None else value for value in learned.numbers])
        fitted = {"m": 1, "components": form, "par": numbers, "fit": None, "n_params": 1}
        forecast: Floats = ets.forecast_ets(ets.forward_ets(fitted, y - sum(parts, np.zeros_like(y))), h=horizon)[
            "mean"
        ]
        steps = np.arange(horizon)
        for m, part in zip(seasons, parts, strict=True):
            forecast = forecast + part[y.size - m + steps % m]
        return forecast


def decompose(y: Floats, seasons: tuple[int, ...]) -> list[Floats]:
    """The seasonal parts of y, one a season, rising; each n values in y's unit.

    Each season in turn is smoothed on what the others leave, with windows of 11, 15, 19, ... and degree 0, twice where there
    are several: Bandara, Hyndman & Bergmeir (2021), algorithm 1. n > 2 m for each season m.
    """
    parts = [np.zeros_like(y) for _ in seasons]
    if not seasons:
        return parts
    stl = library("statsmodels.tsa.seasonal").STL
    left = np.array(y, dtype=np.float64)
    for _ in range(_ROUNDS if len(seasons) > 1 else 1):
        for place, m in enumerate(seasons):
            left = left + parts[place]
            parts[place] = np.asarray(stl(left, period=m, seasonal=11 + 4 * place, seasonal_deg=0).fit().seasonal)
            left = left - parts[place]
    return parts


__all__ = ["MSTL", "decompose"]
