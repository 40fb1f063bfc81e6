"""The quantile function of one step of one series: calibrated offsets, its mean put right, and what lies between levels."""

from __future__ import annotations

import numpy as np
import polars as pl

from foreproof.core.predict import VALUE, Prediction
from foreproof.models.conformal import Intervals, interval_rows, offsets_of
from foreproof.models.panel import Floats
from foreproof.models.pool import FAR, ROOM, cells_of, place_of

KNOTS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999)
"""Where a quantile function is calibrated, beside the plan's levels; a straight line between, exponential tails beyond."""
_BELIEVED = 0.5
"""The share of a class's mean residual that is expected again; see `levelled`."""


def marginal_values(
    point: Prediction, scales: pl.DataFrame, intervals: Intervals, *, low: float | None = None
) -> tuple[pl.DataFrame, Floats]:
    """Entity columns, cutoff, step and more, sorted, and of each row the quantiles at the intervals' levels, rows x levels.

    intervals: with KNOTS among its levels. None falls below `low`, and none crosses another.
    """
    rows, unit = interval_rows(point, scales, intervals, low=low)
    offsets = levelled(rows, offsets_of(rows, intervals), intervals)
    values = rows[VALUE].to_numpy()[:, None] + unit[:, None] * offsets
    return rows, np.sort(values if low is None else np.maximum(values, low), axis=1)


def levelled(rows: pl.DataFrame, offsets: Floats, intervals: Intervals) -> Floats:
    """Offsets moved so that their quantile function has the mean that sums over steps need.

    rows: as `interval_rows` gives. Errors of single steps are lopsided, and quantiles that hold two cases, that are moved
    outward or cut off at a bound, have a mean beside the point; over 28 steps that would move a sum by more than its spread.
    The mean becomes half the mean residual m of the row's class and place: a bias of few origins may come again or not. Far from
    the bound all levels are shifted alike. Near it the distance from the bound is multiplied, so that a demand of 0 stays 0.
    """
    levels = np.array(intervals.levels)
    place = place_of(rows, intervals.edges)
    target = np.zeros(rows.height)
    for name, at, inside in cells_of(rows, place):
        target[inside] = _BELIEVED * intervals.means.get((name, at), 0.0)
    offsets = above(rows, offsets)
    mean = quantile_mean(levels, offsets)
    shifted = offsets + (target - mean)[:, None]
    if ROOM not in rows.columns:
        return np.asarray(shifted)
    room = rows[ROOM].to_numpy()
    share = np.maximum(room + target, 0.0) / np.maximum(room + mean, np.finfo(np.float64).tiny)
    near = (offsets + room[:, None]) * np.minimum(share, 1.0)[:, None] - room[:, None]
    return np.where((place != FAR)[:, None], near, shifted)


def above(rows: pl.DataFrame, offsets: Floats) -> Floats:
    """Offsets that take no point below the bound."""
    return np.maximum(offsets, -rows[ROOM].to_numpy()[:, None]) if ROOM in rows.columns else offsets


def quantile_function(levels: Floats, values: Floats, at: Floats) -> Floats:
    """The continuous quantile function through known levels, at others: n x (number of `at`).

    levels: L >= 2, rising, in (0, 1). values: n x L, never falling. A straight line between two levels. Beyond the last,
    p', an exponential tail through the last two, p < p': Q(u) = q' + s log((1 - p') / (1 - u)), s = (q' - q) / log((1 - p) /
    (1 - p')); mirrored below the first.
    """
    place = np.clip(np.searchsorted(levels, at, side="right") - 1, 0, levels.size - 2)
    share = np.clip((at - levels[place]) / (levels[place + 1] - levels[place]), 0.0, 1.0)
    found = (1.0 - share) * values[:, place] + share * values[:, place + 1]
    outside, inside = at > levels[-1], at < levels[0]
    if outside.any():
        found[:, outside] += _upper(levels, values)[:, None] * np.log((1.0 - levels[-1]) / (1.0 - at[outside]))
    if inside.any():
        found[:, inside] -= _lower(levels, values)[:, None] * np.log(levels[0] / at[inside])
    return np.asarray(found)


def quantile_mean(levels: Floats, values: Floats) -> Floats:
    """The mean, n, of the quantile function through values (n x L): its integral over (0, 1), tails included."""
    inner = 0.5 * (values[:, 1:] + values[:, :-1]) @ np.diff(levels)
    tails = levels[0] * (values[:, 0] - _lower(levels, values))
    tails += (1.0 - levels[-1]) * (values[:, -1] + _upper(levels, values))
    return np.asarray(inner + tails)


def _upper(levels: Floats, values: Floats) -> Floats:
    """The scale s of each upper tail."""
    return np.asarray((values[:, -1] - values[:, -2]) / np.log((1.0 - levels[-2]) / (1.0 - levels[-1])))


def _lower(levels: Floats, values: Floats) -> Floats:
    return np.asarray((values[:, 1] - values[:, 0]) / np.log(levels[1] / levels[0]))


__all__ = ["KNOTS", "above", "levelled", "marginal_values", "quantile_function", "quantile_mean"]
