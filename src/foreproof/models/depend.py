"""How the steps of a path hang together: ranks of past errors, and a common shock where whole origins went wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from foreproof.core.predict import CUTOFF, STEP
from foreproof.models.conformal import RESIDUAL, Intervals, factored, fit_intervals, offsets_of, sum_residuals
from foreproof.models.late import library
from foreproof.models.marginal import above, levelled, quantile_function
from foreproof.models.offsets import Calibration
from foreproof.models.panel import Floats, Ints
from foreproof.models.pool import ROOM, cells_of, height_of, place_of

_SPREAD = (0.05, 0.95)
_RHOS = (-1.0, -0.5, -0.2, -0.1, 0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
_NONE = _RHOS.index(0.0)
_SOME = 24
_SLIGHT = 0.01
"""Sums that vary by less than this share of a scale do not vary."""
_FEWEST = 30


@dataclass(frozen=True, slots=True)
class Dependence:
    """How the ranks of a path's steps hang together, by how near series are to the bound.

    edges: upper edges of the groups' mean room, rising, the last infinite. scores: of each group, normal scores of its templates,
    K x horizon. rho: of each group.
    """

    edges: tuple[float, ...]
    scores: tuple[Floats, ...]
    rho: tuple[float, ...]

    def ranks(self) -> list[Ints]:
        """Of each group, the rank, 0 ... K - 1, of each path at each step, K x horizon."""
        return [_ranks(scores) for scores in self.scores]


def dependence(
    past: pl.DataFrame,
    intervals: Intervals,
    *,
    horizon: int,
    count: int,
    rng: np.random.Generator,
    calibration: Calibration,
) -> Dependence:
    """What `count` paths of any series take from past errors.

    Templates are trajectories of residuals, each by its series' factor and ranked among those of its class, place and step,
    drawn evenly over the order of their mean ranks, from series that are as near to the bound (a demand that stops is 0 at
    every step). Origins that went wrong together make sums wider than ranks within them show, so each path gets a common score as
    well: scores are sqrt(1 - |rho|) z + sqrt(|rho|) c, c one draw a path, or, where sums are narrower than ranks show, rho < 0
    and c one draw a step. rho is the one for which the widths of the sums' central 90% over 1 ... L agree best, on a log scale,
    with those that are calibrated on residuals of such sums, for L a quarter, half and all of the horizon.
    """
    entity = list(intervals.entity)
    own, _ = factored(past.sort(*entity, CUTOFF, STEP), entity, calibration.own)
    own = own.filter(pl.col(STEP) <= horizon)
    edges, group = _groups(own, intervals)
    covers = sorted({max(2, horizon // 4), max(2, horizon // 2), horizon}) if horizon > 1 else []
    fits, plain = {}, replace(calibration, bound=0)
    for cover in covers:
        sums = sum_residuals(past, entity, cover)
        if sums.height:
            fits[cover] = fit_intervals(sums, entity=entity, levels=_SPREAD, calibration=plain)
    ranked = _ranked(own, intervals, rng)
    scores, rhos = [], []
    for number in range(len(edges)):
        drawn = _templates(ranked.filter(group == number), entity, horizon=horizon, count=count, rng=rng)
        z = np.asarray(library("scipy.special").ndtri((_ranks(drawn) + 0.5) / count))
        common, alone = rng.standard_normal((count, 1)), rng.standard_normal((count, horizon))
        mixed = [np.sqrt(1.0 - abs(r)) * z + np.sqrt(abs(r)) * (common if r > 0.0 else alone) for r in _RHOS]
        values, wanted = _calibrating(own.filter(group == number), intervals, fits, horizon=horizon, count=count)
        best = _descend(mixed, values, wanted) if wanted else _NONE
        rhos.append(_RHOS[best])
        scores.append(mixed[best])
    return Dependence(edges, tuple(scores), tuple(rhos))


def _descend(mixed: Sequence[Floats], values: Floats, wanted: Mapping[int, Floats]) -> int:
    """The place of the least disagreement on the way down from no mixing: sums widen with rho, so there is one valley."""
    place, least = _NONE, _disagreement(values, _ranks(mixed[_NONE]), wanted)
    for way in (1, -1):
        while 0 <= place + way < len(mixed):
            loss = _disagreement(values, _ranks(mixed[place + way]), wanted)
            if loss >= least:
                break
            place, least = place + way, loss
        if place != _NONE:
            break
    return place


def _groups(own: pl.DataFrame, intervals: Intervals) -> tuple[tuple[float, ...], pl.Series]:
    """Groups of trajectories by mean room, `_FEWEST` in each at least, and the group of each row."""
    if ROOM not in own.columns or not intervals.edges:
        return (math.inf,), pl.zeros(own.height, dtype=pl.Int64, eager=True)
    mean = own.select(pl.col(ROOM).mean().over(*intervals.entity, CUTOFF))[ROOM].to_numpy()
    each = own.select((1 / pl.len()).over(*intervals.entity, CUTOFF).alias("share"))["share"].to_numpy()
    many = len(intervals.edges)
    edges: list[float] = []
    for edge in (*(intervals.edges[k] for k in sorted({many // 4, many // 2, 3 * many // 4, many - 1})), math.inf):
        least = edges[-1] if edges else -math.inf
        if each[(mean > least) & (mean <= edge)].sum() >= _FEWEST:
            edges.append(edge)
    edges = [*edges[:-1], math.inf]
    return tuple(edges), pl.Series(np.searchsorted(np.array(edges), mean, side="left").astype(np.int64))


def _calibrating(
    own: pl.DataFrame, intervals: Intervals, fits: Mapping[int, Intervals], *, horizon: int, count: int
) -> tuple[Floats, dict[int, Floats]]:
    """Some settled trajectories: M x count x horizon rising quantiles, and by L the M widths that sums over 1 ... L have.

    In scales times factor, about the point; nothing falls below the bound.
    """
    index = [*intervals.entity, CUTOFF]
    whole = own.filter(pl.col(STEP).n_unique().over(index) == horizon).sort(*index, STEP)
    many = whole.height // horizon
    if not fits or not many:
        return np.empty((0, count, horizon)), {}
    chosen = np.unique(np.linspace(0, many - 1, _SOME).astype(np.int64))
    rows = whole[(chosen[:, None] * horizon + np.arange(horizon)).reshape(-1)]
    values = above(rows, levelled(rows, offsets_of(rows, intervals), intervals))
    grid = quantile_function(np.array(intervals.levels), values, (np.arange(count) + 0.5) / count)
    wanted = {}
    for cover, fitted in fits.items():
        sums = sum_residuals(rows, intervals.entity, cover)
        wanted[cover] = np.ptp(above(sums, offsets_of(sums, fitted)), axis=1)
    return grid.reshape(-1, horizon, count).transpose(0, 2, 1), wanted


def _disagreement(values: Floats, ranks: Ints, wanted: Mapping[int, Floats]) -> float:
    """How much wider or narrower, on a log scale, sums along paths are than they should be. values: M x count x horizon."""
    sums = np.cumsum(np.take_along_axis(values, ranks[None], axis=1), axis=2)
    loss, edges = 0.0, [int(level * values.shape[1]) for level in _SPREAD]
    for cover, width in wanted.items():
        found = np.ptp(np.partition(sums[:, :, cover - 1], edges, axis=1)[:, edges], axis=1)
        loss += float(np.mean(np.log((found + _SLIGHT) / (width + _SLIGHT)))) ** 2
    return loss


def _ranked(own: pl.DataFrame, intervals: Intervals, rng: np.random.Generator) -> pl.DataFrame:
    """The residuals as ranks in (0, 1) among those of their class, place and step."""
    cell, place = np.zeros(own.height, dtype=np.int64), place_of(own, intervals.edges)
    for number, (_, _, inside) in enumerate(cells_of(own, place), start=1):
        cell[inside] = number
    # A residual that many share, such as that of no sale at all, lies anywhere in their ranks.
    height = pl.Series(RESIDUAL, height_of(own, place))
    held = own.with_columns(height, pl.Series("_cell", cell), pl.Series("_tie", rng.random(own.height)))
    rank = pl.struct(RESIDUAL, "_tie").rank("ordinal").over("_cell", STEP)
    return held.with_columns(((rank - 0.5) / pl.len().over("_cell", STEP)).alias(RESIDUAL))


def _templates(
    ranked: pl.DataFrame, entity: Sequence[str], *, horizon: int, count: int, rng: np.random.Generator
) -> Floats:
    """Count x horizon of the ranks; a step that had not settled takes the nearest one of its trajectory."""
    index = [*entity, CUTOFF]
    wide = ranked.pivot(on=STEP, on_columns=list(range(1, horizon + 1)), index=index, values=RESIDUAL)
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
    # Templates that come twice, or tie, are told apart by less than any rank differs from another.
    return np.asarray(drawn + 1e-9 * rng.standard_normal(drawn.shape))


def _ranks(scores: Floats) -> Ints:
    """The rank, 0 ... count - 1, of each score among those of its step."""
    return np.asarray(np.argsort(np.argsort(scores, axis=0, kind="stable"), axis=0, kind="stable"), dtype=np.int64)


__all__ = ["Dependence", "dependence"]
