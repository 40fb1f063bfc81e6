"""Split conformal intervals by step, from residuals at settled earlier origins.

Residuals are divided by a scale known at their cutoff, so that series can be pooled: Vovk, Gammerman & Shafer (2005);
Lei, G'Sell, Rinaldo, Tibshirani & Wasserman (2018). What pooling would hide is put back: a factor for each series, and
wider intervals where whole origins went wrong together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE, Prediction
from foreproof.errors import BadInput
from foreproof.models.late import library
from foreproof.models.panel import Floats, Ints, Y
from foreproof.models.scale import SCALE

Bools = npt.NDArray[np.bool_]

RESIDUAL = "residual"
_FACTOR = "_factor"
_WIDEST = 10.0
"""No series is taken to be more than this many times worse, or better, than the pool."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How residuals become intervals.

    enough: residuals that a step's quantiles need; below it the nearest steps are borrowed. own: the origins after which
    a series' factor is half its own and half 1; infinity for pooled intervals alone. shocks: whether intervals are wider
    where origins differ from each other. median: `point` keeps the 0.5 quantile at the point forecast, because a bias of
    few origins may have been theirs alone, and lets the others hold both cases (the residuals as they were, and without
    their median); `residuals` takes them as they were, the textbook's intervals.
    """

    enough: int = 100
    own: float = 4.0
    shocks: bool = True
    median: Literal["point", "residuals"] = "point"


@dataclass(frozen=True, slots=True)
class Intervals:
    """Quantiles of scaled residuals.

    offsets: for each of `steps` and `levels` (both rising) what is added to a point forecast, in scales of its series.
    factors: by series, what its scale is multiplied by. count: the residuals behind each step. origins: how many.
    """

    entity: tuple[str, ...]
    steps: tuple[int, ...]
    levels: tuple[float, ...]
    offsets: tuple[tuple[float, ...], ...]
    factors: Mapping[tuple[str, ...], float]
    count: tuple[int, ...]
    origins: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "entity": list(self.entity),
            "steps": list(self.steps),
            "levels": list(self.levels),
            "offsets": [list(row) for row in self.offsets],
            "factors": [{"series": list(key), "factor": self.factors[key]} for key in sorted(self.factors)],
            "count": list(self.count),
            "origins": self.origins,
        }


def intervals_of(values: Mapping[str, Any]) -> Intervals:
    """The inverse of `Intervals.as_dict`."""
    return Intervals(
        entity=tuple(values["entity"]),
        steps=tuple(values["steps"]),
        levels=tuple(values["levels"]),
        offsets=tuple(tuple(row) for row in values["offsets"]),
        factors={tuple(each["series"]): float(each["factor"]) for each in values["factors"]},
        count=tuple(values["count"]),
        origins=int(values["origins"]),
    )


def residuals(points: Prediction, actuals: pl.DataFrame, scales: pl.DataFrame) -> pl.DataFrame:
    """Entity columns, cutoff, step, `residual` = (y - point) / scale.

    actuals: entity columns, cutoff, step, `y`; a null y has not settled and is left out. scales: entity columns, cutoff,
    `scale` (unit of y), as `series_scale` gives. Raises BadInput where a scale is missing or not above 0, or a y infinite.
    """
    index = [*points.entity, CUTOFF, STEP]
    pairs = points.rows.select(*index, VALUE).join(actuals.select(*index, Y).drop_nulls(Y), on=index, how="inner")
    pairs = pairs.join(scales.select(*points.entity, CUTOFF, SCALE), on=[*points.entity, CUTOFF], how="left")
    sound = pl.all_horizontal(pl.col(SCALE) > 0, pl.col(SCALE).is_finite(), pl.col(Y).is_finite())
    wrong = pairs.filter(~sound.fill_null(False))
    if wrong.height:
        raise BadInput("residuals", found=f"{wrong.row(0, named=True)}", wanted="a finite y and a scale above 0")
    return pairs.select(*index, ((pl.col(Y) - pl.col(VALUE)) / pl.col(SCALE)).alias(RESIDUAL)).sort(index)


def fit_intervals(
    found: pl.DataFrame, *, entity: Sequence[str], levels: Sequence[float], calibration: Calibration | None = None
) -> Intervals:
    """Quantiles of residuals by step, at any levels strictly between 0 and 1.

    found: entity columns, cutoff, step, `residual`. Among n residuals the quantile of a level p above one half is the
    one of rank ceil((n + 1) p), below it that of rank n + 1 - ceil((n + 1) (1 - p)): if the next residual is
    exchangeable with these, it lies at or below the first with probability p at least, and between the two of a central
    interval with its nominal coverage at least. Where that rank does not exist (n too small), the outermost residual is
    moved out to the prediction quantile of a Student t, which assumes normal errors and is no guarantee.

    factor of a series: (its mean |residual|, each origin by the median of that over series)^(k / (k + own)), k its origins. The
    residuals of an origin are divided by the factor learned without it, so that they are as strange to it as the future.

    Steps: one with fewer than `enough` residuals borrows those of the nearest steps t, each times (s / t)^g; g, from 0 to 1,
    is the slope of log mean |residual| on log step, times n / (n + 50).

    Shocks: with W the variance within origins and B that between them (one-way random effects, Searle, Casella &
    McCulloch 1992), k origins show W + (1 - 1/k) B and a new one has W + (1 + 1/k) B about their mean: residuals are
    spread about their median by the root of that ratio, at most sqrt(3) for two origins and sqrt(2) for three.
    """
    calibration = calibration or Calibration()
    wanted = tuple(sorted(set(levels)))
    if not wanted or not 0.0 < wanted[0] <= wanted[-1] < 1.0:
        raise BadInput("intervals", found=f"levels {wanted}", wanted="quantile levels strictly between 0 and 1")
    if not found.height:
        raise BadInput("intervals", found="no residuals", wanted="one settled origin", fix="load more history")
    if not found[RESIDUAL].is_finite().all():
        raise BadInput("intervals", found="residuals that are no finite numbers", wanted="finite residuals")
    held, factors = factored(found.sort(*entity, CUTOFF, STEP), list(entity), calibration.own)
    steps = held[STEP].to_numpy()
    value = held[RESIDUAL].to_numpy()
    origin = held[CUTOFF].rank("dense").to_numpy() - 1
    growth = _growth(value, steps)
    offsets, count = [], []
    seen = np.unique(steps)
    for step in seen:
        inside = _near(steps, int(step), calibration.enough)
        here = value[inside] * (step / steps[inside]) ** growth
        spread = _widening(here, origin[inside]) if calibration.shocks else 1.0
        offsets.append(_offsets(here, wanted, spread, calibration.median))
        count.append(int(inside.sum()))
    return Intervals(
        entity=tuple(entity),
        steps=tuple(seen.tolist()),
        levels=wanted,
        offsets=tuple(tuple(row.tolist()) for row in offsets),
        factors=factors,
        count=tuple(count),
        origins=held[CUTOFF].n_unique(),
    )


def apply_intervals(
    point: Prediction, scales: pl.DataFrame, intervals: Intervals, *, low: float | None = None
) -> Prediction:
    """Quantiles point + scale * factor * offset, never crossing, none below `low` (for a target that cannot be).

    scales: entity columns, cutoff, `scale` of the cutoffs predicted at. A step that was not calibrated takes the
    nearest one that was. Raises BadInput where a scale is missing.
    """
    rows, values = interval_values(point, scales, intervals, low=low)
    many = len(intervals.levels)
    quantiles = rows[np.repeat(np.arange(rows.height), many)].with_columns(
        pl.Series(LEVEL, np.tile(intervals.levels, rows.height), dtype=pl.Float64),
        pl.Series(VALUE, values.reshape(-1), dtype=pl.Float64),
    )
    return Prediction("quantile", point.entity, quantiles)


def interval_values(
    point: Prediction, scales: pl.DataFrame, intervals: Intervals, *, low: float | None = None
) -> tuple[pl.DataFrame, Floats]:
    """`apply_intervals` as arrays: entity columns, cutoff, step, sorted, and a row of quantiles for each, rows x levels."""
    index = [*point.entity, CUTOFF, STEP]
    rows = point.rows.select(*index, VALUE).sort(index)
    rows = rows.join(
        scales.select(*point.entity, CUTOFF, SCALE), on=[*point.entity, CUTOFF], how="left", maintain_order="left"
    )
    if not (rows[SCALE] > 0).fill_null(False).all():
        raise BadInput("intervals", found="a series without a scale above 0", wanted="one for each series and cutoff")
    keys = rows.select(point.entity).cast(pl.String).rows() if point.entity else [()] * rows.height
    unit = rows[SCALE].to_numpy() * np.array([intervals.factors.get(key, 1.0) for key in keys])
    steps = np.array(intervals.steps)
    nearest = np.abs(rows[STEP].to_numpy()[:, None] - steps[None, :]).argmin(axis=1)
    values = rows[VALUE].to_numpy()[:, None] + unit[:, None] * np.array(intervals.offsets)[nearest]
    return rows.select(index), np.sort(values if low is None else np.maximum(values, low), axis=1)


def total(point: Prediction, cover: int) -> Prediction:
    """The sum of each series' point forecasts over steps 1 ... cover, as one row of step `cover`; all of them must be there."""
    index = [*point.entity, CUTOFF]
    sums = _sums(point.rows, index, VALUE, cover)
    if sums.height < point.rows.select(index).unique().height:
        raise BadInput("total", found=f"series without every step up to {cover}", wanted="a horizon of at least cover")
    return Prediction("point", point.entity, sums.with_columns(pl.lit(None, dtype=pl.Float64).alias(LEVEL)))


def calibrate_total(
    points: Prediction,
    actuals: pl.DataFrame,
    scales: pl.DataFrame,
    *,
    levels: Sequence[float],
    cover: int,
    calibration: Calibration | None = None,
) -> Intervals:
    """Intervals for the sum over steps 1 ... cover, from the residuals of sums; errors of steps are not independent.

    Arguments as for `residuals`; a series whose every step has not settled is left out. To be applied to
    `total(point, cover)`.
    """
    index = [*points.entity, CUTOFF]
    sums = _sums(actuals.drop_nulls(Y), index, Y, cover)
    found = residuals(total(points, cover), sums, scales)
    return fit_intervals(found, entity=points.entity, levels=levels, calibration=calibration)


def sum_residuals(found: pl.DataFrame, entity: Sequence[str], cover: int) -> pl.DataFrame:
    """Residuals of the sum over steps 1 ... cover: the sums of scaled residuals, where every step has settled."""
    return _sums(found, [*entity, CUTOFF], RESIDUAL, cover)


def _sums(rows: pl.DataFrame, index: Sequence[str], column: str, cover: int) -> pl.DataFrame:
    """Sums over steps 1 ... cover where all of them are there, added in the order of steps."""
    inside = rows.filter(pl.col(STEP) <= cover).sort(*index, STEP)
    sums = inside.group_by(index, maintain_order=True).agg(pl.col(column).sum(), pl.len().alias("_steps"))
    return sums.filter(pl.col("_steps") == cover).select(*index, pl.lit(cover, dtype=pl.Int64).alias(STEP), column)


def factored(found: pl.DataFrame, entity: list[str], own: float) -> tuple[pl.DataFrame, dict[tuple[str, ...], float]]:
    """The residuals divided by the factor that each series had without their origin, and the factors of all origins."""
    if not entity or math.isinf(own):
        return found, {}
    size = found.group_by(*entity, CUTOFF, maintain_order=True).agg(pl.col(RESIDUAL).abs().mean().alias("_size"))
    usual = pl.col("_size").median().over(CUTOFF)
    size = size.with_columns(pl.when(usual > 0).then(pl.col("_size") / usual).otherwise(1.0).alias("_size"))

    def factor(total: pl.Expr, origins: pl.Expr) -> pl.Expr:
        mean = (total / origins.clip(1)).clip(1.0 / _WIDEST, _WIDEST)
        return pl.when(origins > 0).then(mean.pow(origins / (origins + own))).otherwise(1.0).alias(_FACTOR)

    whole, many = pl.col("_size").sum().over(entity), pl.len().over(entity).cast(pl.Float64)
    without = size.select(*entity, CUTOFF, factor(whole - pl.col("_size"), many - 1.0))
    all_of = size.group_by(entity, maintain_order=True).agg(
        factor(pl.col("_size").sum(), pl.len().cast(pl.Float64)),
    )
    keys = all_of.select(entity).cast(pl.String).rows()
    joined = found.join(without, on=[*entity, CUTOFF], how="left", maintain_order="left")
    return (
        joined.with_columns(pl.col(RESIDUAL) / pl.col(_FACTOR)).drop(_FACTOR),
        dict(zip(keys, all_of[_FACTOR].to_list(), strict=True)),
    )


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


def _widening(value: Floats, origin: Floats) -> float:
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


def _offsets(value: Floats, levels: Sequence[float], spread: float, median: str) -> Floats:
    ordered = np.sort(value)
    centre = float(np.median(ordered))
    raw = np.array([conformal_quantile(ordered, level) for level in levels])
    wide = centre + spread * (raw - centre)
    if median == "point":
        above = np.asarray(levels) > 0.5
        middle = np.abs(np.asarray(levels) - 0.5) < 1e-12
        both = np.where(above, np.maximum(wide, wide - centre), np.minimum(wide, wide - centre))
        wide = np.where(middle, 0.0, both)
    return np.sort(wide)


def conformal_quantile(ordered: Floats, level: float) -> float:
    """The quantile of a level among rising residuals, by the ranks of `fit_intervals`; at one half the median."""
    if abs(level - 0.5) < 1e-12:
        return float(np.median(ordered))
    if level < 0.5:
        return -conformal_quantile(-ordered[::-1], 1.0 - level)
    size = ordered.size
    rank = math.ceil((size + 1) * level - 1e-9)
    if rank <= size:
        return float(ordered[rank - 1])
    about = float(np.std(ordered, ddof=1)) if size > 1 else abs(float(ordered[0]))
    # One residual has no degree of freedom left; one is the widest that a Student t has.
    reach = about * math.sqrt(1.0 + 1.0 / size) * float(library("scipy.special").stdtrit(max(size - 1, 1), level))
    return max(float(ordered[-1]), float(np.mean(ordered)) + reach)


__all__ = [
    "RESIDUAL",
    "Calibration",
    "Intervals",
    "apply_intervals",
    "calibrate_total",
    "conformal_quantile",
    "factored",
    "fit_intervals",
    "interval_values",
    "intervals_of",
    "residuals",
    "sum_residuals",
    "total",
]
