"""A robust positive scale of each series, known at the cutoff: what errors are divided by before series are pooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, literal
from foreproof.core.predict import CUTOFF
from foreproof.models.panel import Floats, panel

SCALE = "scale"
_SEASONS, _STEPS = 4, 30
"""Recent means so many seasons, and at least so many steps."""
_SHARE = 0.25
_LEAST = 0.01


def series_scale(target: pl.DataFrame, season: int, *, entity: Sequence[str], cutoff: Moment) -> pl.DataFrame:
    """Entity columns, cutoff, scale: the size of errors to expect of each series, unit of y, always above 0.

    With S the mean |y[t] - y[t - m]| (half of it over the whole history, half over the recent one), N the recent mean
    |y[t] - y[t - 1]| and L the recent mean |y|:

        scale = max(S^(3/4) N^(1/4), L / 100)

    S is what MASE divides by (Hyndman & Koehler 2006); N tells a series whose season is noise from one whose season is
    steady. Where one of them is 0 or has no difference to average (a series not longer than its season), the other and the
    median S / N of the other series stand for it. Where all three are 0, the scale is the median one of the other series,
    or 1.
    """
    series = panel(target, entity)
    recent = max(_SEASONS * season, _STEPS)
    seasonal = np.array([0.5 * (_differences(y, season, y.size) + _differences(y, season, recent)) for y in series])
    naive = np.array([_differences(y, 1, recent) for y in series])
    level = np.array([np.mean(np.abs(y[-recent:])) for y in series])
    both = (seasonal > 0.0) & (naive > 0.0)
    ratio = float(np.median(seasonal[both] / naive[both])) if both.any() else 1.0
    seasonal, naive = np.where(seasonal > 0.0, seasonal, naive * ratio), np.where(naive > 0.0, naive, seasonal / ratio)
    scale = np.maximum(seasonal ** (1.0 - _SHARE) * naive**_SHARE, _LEAST * level)
    known = scale[scale > 0.0]
    scale = np.where(scale > 0.0, scale, float(np.median(known)) if known.size else 1.0)
    keys = [pl.Series(name, [key[i] for key in series.keys], dtype=pl.String) for i, name in enumerate(entity)]
    columns = pl.DataFrame([*keys, pl.Series(SCALE, scale, dtype=pl.Float64)])
    return columns.select(*entity, literal(cutoff).alias(CUTOFF), SCALE)


def _differences(y: Floats, lag: int, recent: int) -> float:
    """Mean |y[t] - y[t - lag]| over the last `recent` differences; 0 where there is none."""
    differences = np.abs(y[lag:] - y[:-lag])[-recent:]
    return float(np.mean(differences)) if differences.size else 0.0


__all__ = ["SCALE", "series_scale"]
