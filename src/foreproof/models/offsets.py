"""Quantiles of scaled residuals, on plain arrays: ranks, borrowing from near steps, shocks, recency, and moved levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from foreproof.core.section import Section
from foreproof.errors import PlanError
from foreproof.models.late import library
from foreproof.models.panel import Floats, Ints

Bools = npt.NDArray[np.bool_]
POOLS = ("none", "demand_class", "scale", "intermittency", "length")
_MIDDLE = 1e-12
_LEAST = 0.1
"""No level moves further out than this share of its tail."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How residuals become intervals.

    enough: residuals that a step's quantiles need; below it the nearest steps are borrowed, and the residuals at which a
    class counts as much as the pool. own: the origins after which a series' factor is half its own and half 1; infinity for
    pooled intervals alone. shocks: whether intervals are wider where origins differ from each other. median: `point` keeps
    the 0.5 quantile at the point forecast, because a bias of few origins may have been theirs alone, and lets the others hold
    both cases (the residuals as they were, and without their median); `residuals` takes them as they were, the textbook's
    intervals. adaptive: how far past misses move a level, 0 to 1. recent: the origins after which a residual's weight halves.
    bound: the most classes of residuals by how near the point was to the target's bound; 0 for none. pool: the classes of
    series (see `pool.series_class`); `none` for one.
    """

    enough: int = 100
    own: float = 4.0
    shocks: bool = True
    median: Literal["point", "residuals"] = "point"
    adaptive: float = 0.0
    recent: float = math.inf
    bound: int = 8
    pool: str = "none"


def parse_calibration(section: Section, *, columns: Sequence[str] = ()) -> Calibration:
    """The plan's `intervals`; columns: those that name a series, by which residuals may be pooled too."""
    recent = section.number_or_none("recent")
    found = Calibration(
        enough=section.whole("enough", default=100, low=1),
        own=section.number("own", default=4.0, low=0.0),
        adaptive=section.number("adaptive", default=0.0, low=0.0, high=1.0),
        recent=math.inf if recent is None else recent,
        bound=section.whole("bound", default=8, low=0, high=100),
        pool=section.choice("pool", (*POOLS, *columns), default="none"),
    )
    if not found.recent > 0.0:
        raise PlanError(f"{section.path}.recent", found=f"{found.recent}", wanted="a half-life above 0 origins")
    section.done()
    return found


@dataclass(frozen=True, slots=True)
class Errors:
    """Scaled residuals as arrays of n: their size, their step, and their origin, 0 the earliest."""

    value: Floats
    step: Ints
    origin: Ints

    def where(self, rows: Bools) -> Errors:
        """Those of some rows."""
        return Errors(self.value[rows], self.step[rows], self.origin[rows])


def step_offsets(
    errors: Errors, steps: Ints, *, levels: Sequence[float], calibration: Calibration, near: bool = False
) -> tuple[Floats, Ints]:
    """What is added to a point at each of `steps` (S x levels), and the residuals behind each (S).

    near: the points lay near a bound, so that errors are lopsided by nature: quantiles are of the residuals as they were, and
    shocks spread them about their mean.
    """
    growth = _growth(errors.value, errors.step)
    latest = int(errors.origin.max())
    moved = moved_levels(errors, levels, calibration)
    offsets, count = [], []
    for step in steps:
        inside = _near(errors.step, int(step), calibration.enough)
        here = errors.value[inside] * (step / errors.step[inside]) ** growth
        spread = _widening(here, errors.origin[inside]) if calibration.shocks else 1.0
        weights = 0.5 ** ((latest - errors.origin[inside]) / calibration.recent)
        order = np.argsort(here, kind="stable")
        raw = np.array([conformal_quantile(here[order], level, weights[order]) for level in moved])
        if near:
            centre = float(np.average(here, weights=weights))
            offsets.append(np.sort(centre + spread * (raw - centre)))
        else:
            centre = conformal_quantile(here[order], 0.5, weights[order])
            offsets.append(_held(centre + spread * (raw - centre), centre, levels, calibration.median))
        count.append(int(inside.sum()))
    return np.array(offsets), np.array(count)


def moved_levels(errors: Errors, levels: Sequence[float], calibration: Calibration) -> list[float]:
    """Levels after the misses of past origins: adaptive conformal inference (Gibbs & Candes 2021, 2024).

    With a the tail of a level (p, or 1 - p above one half) and a[1] = a: at each origin t but the first, m[t] is the share of its
    residuals beyond the quantile, by step, of tail a[t] among the earlier origins; then a[t + 1] = a[t] + adaptive (a - m[t]),
    between a / 10 and 1 / 2. More misses than promised move a level outward, fewer inward.
    """
    origins = np.unique(errors.origin)
    if calibration.adaptive <= 0.0 or origins.size < 2:
        return list(levels)
    moved = []
    for level in levels:
        sign = 1.0 if level > 0.5 else -1.0
        promised = min(level, 1.0 - level)
        tail = promised
        for t in origins[1:] if abs(level - 0.5) > _MIDDLE else ():
            missed = _misses(errors, int(t), tail, sign)
            tail = min(max(tail + calibration.adaptive * (promised - missed), _LEAST * promised), 0.5)
        moved.append(1.0 - tail if sign > 0 else tail)
    return moved


def conformal_quantile(ordered: Floats, level: float, weights: Floats | None = None) -> float:
    """The quantile of a level among n rising residuals; at one half the median.

    Above one half it is the smallest residual with sum of weights up to it >= level (W + w'), W the sum of all and w' the
    largest weight, that of what is to come: rank ceil((n + 1) level) where weights are equal (Vovk, Gammerman & Shafer
    2005; with weights Barber, Candes, Ramdas & Tibshirani 2023). Below one half it is mirrored. Where no residual is far
    enough out, the outermost is moved to the prediction quantile of a Student t, which assumes normal errors.
    """
    weights = np.ones(ordered.size) if weights is None else weights
    if abs(level - 0.5) < _MIDDLE:
        if np.ptp(weights) <= 0.0:
            return float(np.median(ordered))
        return float(ordered[np.searchsorted(np.cumsum(weights), 0.5 * float(weights.sum()))])
    if level < 0.5:
        return -conformal_quantile(-ordered[::-1], 1.0 - level, weights[::-1])
    heaviest = float(weights.max())
    share = np.cumsum(weights) / heaviest
    rank = int(np.searchsorted(share, level * (float(share[-1]) + 1.0) - 1e-9))
    if rank < ordered.size:
        return float(ordered[rank])
    size = float(weights.sum()) ** 2 / float(np.sum(weights**2))
    mean = float(np.average(ordered, weights=weights))
    if ordered.size > 1:
        variance = float(np.average((ordered - mean) ** 2, weights=weights))
        about = math.sqrt(variance * size / max(size - 1.0, _LEAST))
    else:
        about = abs(float(ordered[0]))
    # One residual has no degree of freedom left; one is the widest that a Student t has.
    reach = about * math.sqrt(1.0 + 1.0 / size) * float(library("scipy.special").stdtrit(max(size - 1.0, 1.0), level))
    return max(float(ordered[-1]), mean + reach)


def _misses(errors: Errors, origin: int, tail: float, sign: float) -> float:
    """The share of one origin's residuals beyond the quantile of the earlier ones, step by step where both have some."""
    before, here = errors.where(errors.origin < origin), errors.where(errors.origin == origin)
    missed = total = 0
    for step in np.unique(here.step):
        known, seen = np.sort(sign * before.value[before.step == step]), sign * here.value[here.step == step]
        if known.size:
            missed += int(np.sum(seen > conformal_quantile(known, 1.0 - tail)))
            total += seen.size
    return missed / total if total else tail


def _held(wide: Floats, centre: float, levels: Sequence[float], median: str) -> Floats:
    if median == "point":
        above = np.asarray(levels) > 0.5
        middle = np.abs(np.asarray(levels) - 0.5) < _MIDDLE
        both = np.where(above, np.maximum(wide, wide - centre), np.minimum(wide, wide - centre))
        wide = np.where(middle, 0.0, both)
    return np.sort(wide)


def _near(steps: Ints, step: int, enough: int) -> Bools:
    """The rows of the fewest steps around `step` that hold enough residuals."""
    distance = np.abs(steps - step)
    near: Bools = distance <= np.sort(distance)[min(enough, distance.size) - 1]
    return near


def _growth(value: Floats, steps: Ints) -> float:
    """How errors grow with the step: the exponent g of `fit_intervals`."""
    seen, place, count = np.unique(steps, return_inverse=True, return_counts=True)
    size = np.bincount(place, weights=np.abs(value)) / count
    if seen.size < 2 or size.min() <= 0.0:
        return 0.0
    x, y = np.log(seen), np.log(size)
    x, y = x - np.average(x, weights=count), y - np.average(y, weights=count)
    slope = float(np.sum(count * x * y) / np.sum(count * x**2))
    return min(max(slope, 0.0), 1.0) * value.size / (value.size + 50.0)


def _widening(value: Floats, origin: Ints) -> float:
    """The root of the variance of a new origin's residuals over that of those seen; 1 with fewer than two origins."""
    drawn = np.clip(value, *np.quantile(value, (0.025, 0.975)))  # a few wild residuals must not decide
    _, place, count = np.unique(origin, return_inverse=True, return_counts=True)
    many, size = count.size, drawn.size
    if many < 2 or size <= many:
        return 1.0
    means = np.bincount(place, weights=drawn) / count
    within = float(np.sum((drawn - means[place]) ** 2)) / (size - many)
    among = float(np.sum(count * (means - drawn.mean()) ** 2)) / (many - 1)
    each = (size - float(np.sum(count**2)) / size) / (many - 1)
    between = max(0.0, (among - within) / each)
    seen = within + (1.0 - 1.0 / many) * between
    return math.sqrt((within + (1.0 + 1.0 / many) * between) / seen) if seen > 0.0 else 1.0


__all__ = [
    "POOLS",
    "Bools",
    "Calibration",
    "Errors",
    "conformal_quantile",
    "moved_levels",
    "parse_calibration",
    "step_offsets",
]
