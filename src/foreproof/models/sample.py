"""Sample paths: the served quantiles step by step, tied together as past errors were.

Templates are the residual trajectories of settled origins. A path takes at each step the served quantile of its template's
rank: the Schaake shuffle (Clark, Gangopadhyay, Hay, Rajagopalan & Wilby 2004; Schefzik, Thorarinsdottir & Gneiting 2013).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from foreproof.core.paths import Paths
from foreproof.core.predict import CUTOFF, STEP, Prediction
from foreproof.errors import BadInput
from foreproof.models.conformal import Intervals, fit_intervals, long_quantiles
from foreproof.models.depend import dependence
from foreproof.models.marginal import KNOTS, marginal_values, quantile_function
from foreproof.models.offsets import Calibration
from foreproof.models.panel import Floats
from foreproof.models.pool import ROOM

_ROWS = 256
"""Series whose quantiles are held at once."""


@dataclass(frozen=True, slots=True)
class Sampler:
    """What is believed of each series at its cutoff, and what paths are drawn from; it holds no path.

    point: the forecasts. past: residuals of settled origins, as `conformal.residuals` gives them with `low`.
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
        rows, values = marginal_values(self.point, self.scales, intervals, low=self.low)
        found = _bounded(quantile_function(np.array(intervals.levels), values, wanted), self.low)
        return long_quantiles(self.point.entity, rows, levels=wanted.tolist(), values=found)

    def paths(self) -> Paths:
        """K paths of each series: at each step the quantiles at (k - 1/2) / K, in the order of the templates' ranks.

        Paths of different series are drawn independently of each other, each by its own name: neither the order nor the
        number of series changes which of the ranks a path takes.
        """
        intervals = self._intervals()
        rows, values = marginal_values(self.point, self.scales, intervals, low=self.low)
        horizon = rows[STEP].n_unique()
        keys = rows.select(*self.point.entity, CUTOFF).unique(maintain_order=True)
        if rows.height != keys.height * horizon:
            raise BadInput("paths", found="series without every step", wanted="every step of each series")
        grid = (np.arange(self.count) + 0.5) / self.count
        tied = dependence(
            self.past,
            intervals,
            horizon=horizon,
            count=self.count,
            rng=_rng(self.seed, keys, "templates"),
            calibration=self.calibration,
        )
        ranks = tied.ranks()
        room = rows[ROOM].to_numpy().reshape(-1, horizon).mean(axis=1) if ROOM in rows.columns else math.inf
        group = np.broadcast_to(np.searchsorted(np.array(tied.edges), room, side="left"), keys.height)
        knots = np.array(intervals.levels)
        drawn = np.empty((keys.height, self.count, horizon))
        steps = np.arange(horizon)
        for first, last in _chunks(keys.height):
            block = values[first * horizon : last * horizon]
            sorted_values = _bounded(quantile_function(knots, block, grid), self.low).reshape(-1, horizon, self.count)
            for i in range(first, last):
                order = _rng(self.seed, keys[i], "order").permutation(self.count)
                drawn[i] = sorted_values[i - first][steps, ranks[group[i]][order]]
        return Paths(keys, drawn)

    def _intervals(self) -> Intervals:
        levels = sorted({*KNOTS, *self.levels})
        return fit_intervals(self.past, entity=self.point.entity, levels=levels, calibration=self.calibration)


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


__all__ = ["Sampler"]
