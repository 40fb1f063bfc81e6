"""A few series, and what a member makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from foreproof.core.grid import Grid
from foreproof.core.model import Frame, Now, Past
from foreproof.core.predict import Prediction

STEPS = Grid("integer", unit="step")


def target(series: dict[str, list[float]], *, ends: int = 0) -> pl.DataFrame:
    """Series that end at one period."""
    rows = [(name, ends - len(y) + 1 + i, float(v)) for name, y in series.items() for i, v in enumerate(y)]
    return pl.DataFrame(rows, schema={"id": pl.String, "period": pl.Int64, "y": pl.Float64}, orient="row")


def no_rows() -> pl.DataFrame:
    raise AssertionError("a local model asked for rows")


def by_series(prediction: Prediction) -> dict[str, list[float]]:
    rows = prediction.canonical()
    return {str(key): frame["value"].to_list() for (key,), frame in rows.group_by(["id"], maintain_order=True)}


def forecast(fitted: Any, series: dict[str, list[float]], *, horizon: int = 6, season: int = 4, ends: int = 0) -> Any:
    frame = Frame(("id",), STEPS, horizon, season)
    return by_series(fitted.predict(Now(frame, ends, target(series, ends=ends), no_rows)))


def local(model: Any, series: dict[str, list[float]], *, horizon: int = 6, season: int = 4, ends: int = 0) -> Any:
    """The fitted model, and its predictions by series."""
    frame = Frame(("id",), STEPS, horizon, season)
    fitted = model.fit(Past(frame, ends, target(series, ends=ends), no_rows), seed=1)
    return fitted, forecast(fitted, series, horizon=horizon, season=season, ends=ends)


def wave(n: int, season: int = 4, seed: int = 3) -> list[float]:
    t = np.arange(n)
    noise = np.random.default_rng(seed).normal(size=n)
    return [float(v) for v in 100 + t + 15 * np.sin(2 * np.pi * t / season) + noise]
