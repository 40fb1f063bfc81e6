"""Sample paths: the served quantiles step by step, tied together as past errors were.

Templates are the residual trajectories of settled origins. A path takes at each step the served quantile of its template's
rank: the Schaake shuffle (Clark, Gangopadhyay, Hay, Rajagopalan & Wilby 2004; Schefzik, Thorarinsdottir & Gneiting 2013).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from foreproof.core.paths import Paths
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE, Prediction
from foreproof.errors import BadInput
from foreproof.models.conformal import (
    RESIDUAL,
    Calibration,
    Intervals,
    factored,
    fit_intervals,
    interval_values,
    sum_residuals,
)
from foreproof.models.late import library
from foreproof.models.panel import Floats, Ints

KNOTS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999)
"""Where a quantile function is calibrated, beside the plan's levels; a straight line between, exponential tails beyond."""
_SPREAD = (0.05, 0.95)
_TIES = 21
_ROWS = 256


@dataclass(frozen=True, slots=True)
class Sampler:
    """What is believed of each series at its cutoff, and what paths are drawn from; it holds no path.

    point: the forecasts. past: entity columns, cutoff, step, `residual` of settled origins (see `conformal.residuals`).
    scales: as for `apply_intervals`. levels: those that the quantile function must meet exactly, beside KNOTS. low: no value
    lies below. count: K. seed: of the plan.
    """

    point: Prediction
    past: pl.DataFrame
    scales: pl.DataFrame
    levels: tuple[float, ...]
    low: float | None = None
    calibration: Calibration = field(default_factory=Calibration)
    count: int = 500
    seed: int = 1

    def quantiles(self, levels: Sequence[float]) -> Prediction:
        """Quantiles at any levels in (0, 1), by the quantile function that paths are drawn from; see `quantile_function`."""
        wanted = np.array(sorted(set(levels)), dtype=np.float64)
        if not wanted.size or not 0.0 < wanted[0] <= wanted[-1] < 1.0:
            raise BadInput("quantiles", found=f"levels {list(levels)}", wanted="levels strictly between 0 and 1")
        intervals = self._intervals()
        rows, values = interval_values(self.point, self.scales, intervals, low=self.low)
        found = _bounded(quantile_function(np.array(intervals.levels), values, wanted), self.low)
        quantiles = rows[np.repeat(np.arange(rows.height), wanted.size)].with_columns(
            pl.Series(LEVEL, np.tile(wanted, rows.height), dtype=pl.Float64),
            pl.Series(VALUE, found.reshape(-1), dtype=pl.Float64),
        )
        return Prediction("quantile", self.point.entity, quantiles)

    def paths(self) -> Paths:
        """K paths of each series: at each step the quantiles at (k - 1/2) / K, in the order of the templates' ranks.

        Paths of different series are drawn independently of each other, each by its own name: neither the order nor the
        number of series changes which of the ranks a path takes.
        """
        intervals = self._intervals()
        rows, values = interval_values(self.point, self.scales, intervals, low=self.low)
        horizon = rows[STEP].n_unique()
        keys = rows.select(*self.point.entity, CUTOFF).unique(maintain_order=True)
        if rows.height != keys.height * horizon:
            raise BadInput("paths", found="series without every step", wanted="every step of each series")
        grid = (np.arange(self.count) + 0.5) / self.count
        scores = dependence(
            self.past,
            intervals,
            horizon=horizon,
            count=self.count,
            rng=_rng(self.seed, keys, "templates"),
            calibration=self.calibration,
        )
        ranks = _ranks(scores)
        knots = np.array(intervals.levels)
        drawn = np.empty((keys.height, self.count, horizon))
        steps = np.arange(horizon)
        for first, last in _chunks(keys.height):
            block = values[first * horizon : last * horizon]
            sorted_values = _bounded(quantile_function(knots, block, grid), self.low).reshape(-1, horizon, self.count)
            for i in range(first, last):
                order = _rng(self.seed, keys[i], "order").permutation(self.count)
                drawn[i] = sorted_values[i - first][steps, ranks[order]]
        return Paths(keys, drawn)

    def _intervals(self) -> Intervals:
        levels = sorted({*KNOTS, *self.levels})
        return fit_intervals(self.past, entity=self.point.entity, levels=levels, calibration=self.calibration)


def quantile_function(levels: Floats, values: Floats, at: Floats) -> Floats:
    """The continuous quantile function through known levels, at others: n x (number of `at`).

    levels: L >= 2, rising, in (0, 1). values: n x L, never falling. A straight line between two levels. Beyond the last,
    p', an exponential tail through the last two, p < p': Q(u) = q' + s log((1 - p') / (1 - u)), s = (q' - q) / log((1 - p) /
    (1 - p')); mirrored below the first.
    """
    place = np.clip(np.searchsorted(levels, at, side="right") - 1, 0, levels.size - 2)
    share = np.clip((at - levels[place]) / (levels[place + 1] - levels[place]), 0.0, 1.0)
    found = (1.0 - share) * values[:, place] + share * values[:, place + 1]
    above, below = at > levels[-1], at < levels[0]
    if above.any():
        reach = np.log((1.0 - levels[-1]) / (1.0 - at[above])) / np.log((1.0 - levels[-2]) / (1.0 - levels[-1]))
        found[:, above] += (values[:, -1:] - values[:, -2:-1]) * reach
    if below.any():
        reach = np.log(levels[0] / at[below]) / np.log(levels[1] / levels[0])
        found[:, below] -= (values[:, 1:2] - values[:, :1]) * reach
    return np.asarray(found)


def dependence(
    past: pl.DataFrame,
    intervals: Intervals,
    *,
    horizon: int,
    count: int,
    rng: np.random.Generator,
    calibration: Calibration,
) -> Floats:
    """Normal scores of `count` templates, count x horizon: how the ranks of a path's steps hang together.

    Drawn from the trajectories of residuals, each by its series' factor, evenly over the order of their sums. Origins that
    went wrong together make sums wider than ranks within them show, so each path gets a common score as well: scores are
    sqrt(1 - |rho|) z + sqrt(|rho|) c, c one draw a path, or, where sums are narrower than ranks show, rho < 0 and c one draw
    a step. rho is the one for which the widths of the sums' central 90% over 1 ... L agree best, on a log scale, with those
    that are calibrated on residuals of such sums, for L a quarter, half and all of the horizon.
    """
    own, _ = factored(past, list(intervals.entity), calibration.own)
    drawn = _templates(own, intervals.entity, horizon=horizon, count=count, rng=rng)
    scores = library("scipy.special").ndtri((_ranks(drawn) + 0.5) / count)
    offsets = _offsets(intervals, horizon)
    common, alone = rng.standard_normal((count, 1)), rng.standard_normal((count, horizon))
    grid = (np.arange(count) + 0.5) / count
    values = quantile_function(np.array(intervals.levels), offsets, grid)
    wanted = _widths(past, intervals.entity, horizon, calibration)

    def mixed(rho: float) -> Floats:
        other = common if rho > 0.0 else alone
        return np.asarray(np.sqrt(1.0 - abs(rho)) * scores + np.sqrt(abs(rho)) * other)

    def loss(rho: float) -> float:
        sums = np.cumsum(np.take_along_axis(values.T, _ranks(mixed(rho)), axis=0), axis=1)
        widths = {cover: float(np.ptp(np.quantile(sums[:, cover - 1], _SPREAD))) for cover in wanted}
        return float(sum(np.log(max(widths[cover], tiny) / width) ** 2 for cover, width in wanted.items()))

    tiny = np.finfo(np.float64).tiny
    tried = np.linspace(-1.0, 1.0, 2 * _TIES - 1)
    best = min(tried, key=lambda rho: (loss(float(rho)), abs(rho))) if wanted else 0.0
    return mixed(float(best))


def _templates(
    past: pl.DataFrame, entity: Sequence[str], *, horizon: int, count: int, rng: np.random.Generator
) -> Floats:
    """Residuals, count x horizon; a step that had not settled takes the nearest one of its trajectory."""
    index = [*entity, CUTOFF]
    wide = past.filter(pl.col(STEP) <= horizon).pivot(
        on=STEP, on_columns=list(range(1, horizon + 1)), index=index, values=RESIDUAL
    )
    found = wide.sort(index).drop(index).to_numpy().astype(np.float64)
    there = np.isfinite(found)
    found, there = found[there.any(axis=1)], there[there.any(axis=1)]
    whole = there.all(axis=1)
    if whole.sum() >= min(count, found.shape[0] / 2):
        found, there = found[whole], there[whole]
    if not there.all():
        steps = np.arange(horizon)
        distance = np.where(there[:, None, :], np.abs(steps[:, None] - steps[None, :])[None], horizon)
        found = np.take_along_axis(found, distance.argmin(axis=2), axis=1)
    found = found[np.argsort(found.sum(axis=1), kind="stable")]
    # Evenly over the sums, from a random start: a sample of sums that is as spread as all of them.
    place = np.floor((np.arange(count) + rng.random()) / count * len(found)).astype(np.int64)
    drawn = found[rng.permutation(np.minimum(place, len(found) - 1))]
    # Templates that come twice, or tie, are told apart by less than any residual differs from another.
    size = float(np.std(drawn)) or 1.0
    return np.asarray(drawn + 1e-9 * size * rng.standard_normal(drawn.shape))


def _widths(past: pl.DataFrame, entity: Sequence[str], horizon: int, calibration: Calibration) -> dict[int, float]:
    """The width of the calibrated central 90% of sums over 1 ... L, in scales, for a few L; without those of width 0."""
    found = {}
    for cover in sorted({max(1, horizon // 4), max(1, horizon // 2), horizon} - {1}):
        sums = sum_residuals(past, entity, cover)
        if sums.height:
            low, high = fit_intervals(sums, entity=entity, levels=_SPREAD, calibration=calibration).offsets[0]
            found[cover] = high - low
    return {cover: width for cover, width in found.items() if width > 0.0}


def _offsets(intervals: Intervals, horizon: int) -> Floats:
    """The offsets of each step, horizon x levels, of the nearest step where it was not calibrated."""
    steps = np.array(intervals.steps)
    nearest = np.abs(np.arange(1, horizon + 1)[:, None] - steps[None, :]).argmin(axis=1)
    return np.asarray(np.array(intervals.offsets)[nearest])


def _ranks(scores: Floats) -> Ints:
    """The rank, 0 ... count - 1, of each score among those of its step."""
    return np.asarray(np.argsort(np.argsort(scores, axis=0, kind="stable"), axis=0, kind="stable"), dtype=np.int64)


def _bounded(values: Floats, low: float | None) -> Floats:
    return values if low is None else np.maximum(values, low)


def _chunks(rows: int) -> Iterator[tuple[int, int]]:
    for first in range(0, rows, _ROWS):
        yield first, min(first + _ROWS, rows)


def _rng(seed: int, keys: pl.DataFrame, what: str) -> np.random.Generator:
    """A generator for one purpose at the cutoffs of some keys: of the seed, their names, and nothing else."""
    names = keys.row(0) if what == "order" else (keys[CUTOFF].min(), keys[CUTOFF].max())
    text = "\n".join(str(part) for part in (what, seed, *names))
    return np.random.default_rng(np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=np.uint32))


__all__ = ["KNOTS", "Sampler", "dependence", "quantile_function"]
