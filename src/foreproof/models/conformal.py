"""Split conformal intervals by step, from residuals at settled earlier origins.

Residuals are divided by a scale known at their cutoff, so that series can be pooled: Vovk, Gammerman & Shafer (2005);
Lei, G'Sell, Rinaldo, Tibshirani & Wasserman (2018). What pooling would hide is put back: a factor for each series, and
wider intervals where whole origins went wrong together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE, Prediction
from foreproof.errors import BadInput
from foreproof.models.offsets import Bools, Calibration, Errors, conformal_quantile, step_offsets
from foreproof.models.panel import Floats, Ints, Y
from foreproof.models.pool import FAR, POOL, ROOM, cells_of, edges_of, height_of, place_of
from foreproof.models.scale import SCALE

Table = tuple[tuple[float, ...], ...]

RESIDUAL = "residual"
_FACTOR = "_factor"
_WIDEST = 10.0
"""No series is taken to be more than this many times worse, or better, than the pool."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Quantiles of scaled residuals.

    offsets: for each of `steps` and `levels` (both rising) what is added to a point forecast, in scales of its series.
    factors: by series, what its scale is multiplied by. count: the residuals behind each step. origins: how many.
    edges: of the places near the bound, in scales (see `pool.edges_of`). pools: the offsets of each other class and place,
    by `pool.cells_of`; a class or place that is not among them takes those of the pool. means: the mean residual of each.
    """

    entity: tuple[str, ...]
    steps: tuple[int, ...]
    levels: tuple[float, ...]
    offsets: Table
    factors: Mapping[tuple[str, ...], float]
    count: tuple[int, ...]
    origins: int
    edges: tuple[float, ...] = ()
    pools: Mapping[tuple[str, int], Table] = field(default_factory=dict)
    means: Mapping[tuple[str, int], float] = field(default_factory=dict)

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
            "edges": list(self.edges),
            "pools": [
                {"pool": c, "place": b, "offsets": [list(row) for row in self.pools[c, b]], "mean": self.means[c, b]}
                for c, b in sorted(self.pools)
            ],
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
        edges=tuple(values.get("edges", ())),
        pools={
            (each["pool"], int(each["place"])): tuple(tuple(row) for row in each["offsets"])
            for each in values.get("pools", ())
        },
        means={(each["pool"], int(each["place"])): float(each["mean"]) for each in values.get("pools", ())},
    )


def residuals(
    points: Prediction, actuals: pl.DataFrame, scales: pl.DataFrame, *, low: float | None = None
) -> pl.DataFrame:
    """Entity columns, cutoff, step, `residual` = (y - point) / scale; with `low`, `room` = (point - low) / scale, at least 0.

    actuals: entity columns, cutoff, step, `y`; a null y has not settled and is left out. scales: entity columns, cutoff,
    `scale` (unit of y), as `series_scale` gives, and a class, `pool`, if there is one. low: the bound of y. Raises BadInput
    where a scale is missing or not above 0, or a y infinite.
    """
    index = [*points.entity, CUTOFF, STEP]
    pairs = points.rows.select(*index, VALUE).join(actuals.select(*index, Y).drop_nulls(Y), on=index, how="inner")
    pairs = pairs.join(scales.select(*points.entity, CUTOFF, *_known(scales)), on=[*points.entity, CUTOFF], how="left")
    sound = pl.all_horizontal(pl.col(SCALE) > 0, pl.col(SCALE).is_finite(), pl.col(Y).is_finite())
    wrong = pairs.filter(~sound.fill_null(False))
    if wrong.height:
        raise BadInput("residuals", found=f"{wrong.row(0, named=True)}", wanted="a finite y and a scale above 0")
    columns = [((pl.col(Y) - pl.col(VALUE)) / pl.col(SCALE)).alias(RESIDUAL)]
    if low is not None:
        columns.append(((pl.col(VALUE) - low).clip(0.0) / pl.col(SCALE)).alias(ROOM))
    return pairs.select(*index, *columns, *([POOL] if POOL in pairs.columns else [])).sort(index)


def fit_intervals(
    found: pl.DataFrame, *, entity: Sequence[str], levels: Sequence[float], calibration: Calibration | None = None
) -> Intervals:
    """Quantiles of residuals by step, at any levels strictly between 0 and 1.

    found: entity columns, cutoff, step, `residual`, and, where they matter, `room` and `pool` (see `residuals`). Among n
    residuals the quantile of a level p above one half is the one of rank ceil((n + 1) p), below it that of rank
    n + 1 - ceil((n + 1) (1 - p)): if the next residual is
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

    Classes (Mondrian: Vovk, Lindsay, Nouretdinov & Gammerman 2003): the residuals of each `pool` have offsets of their own,
    drawn n / (n + `enough`) of the way from those of all. Points near the bound have theirs too, because there errors are
    lopsided; see `pool.edges_of`.

    `adaptive` and `recent`: see `offsets.moved_levels` and `offsets.conformal_quantile`.
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
    origin = held[CUTOFF].rank("dense").cast(pl.Int64).to_numpy() - 1
    errors = Errors(held[RESIDUAL].to_numpy(), held[STEP].to_numpy(), origin)
    edges = edges_of(held, errors.value, calibration)
    place = place_of(held, edges)
    steps = np.unique(errors.step)
    heights = Errors(height_of(held, place), errors.step, errors.origin)

    def fitted(rows: Bools, near: bool) -> tuple[Floats, Ints]:
        those = (heights if near else errors).where(rows)
        return step_offsets(those, steps, levels=wanted, calibration=calibration, near=near)

    far = place == FAR
    offsets, count = fitted(far if far.sum() >= calibration.enough else np.ones_like(far), False)
    pools: dict[tuple[str, int], Floats] = {}
    for name, at, rows in cells_of(held, place):
        parent = pools.get(("", at), offsets)
        mine, many = fitted(rows, at != FAR)
        share = (many / (many + calibration.enough))[:, None] if name else 1.0
        pools[name, at] = np.sort(share * mine + (1.0 - share) * parent, axis=1)
    return Intervals(
        entity=tuple(entity),
        steps=tuple(steps.tolist()),
        levels=wanted,
        offsets=_table(offsets),
        factors=factors,
        count=tuple(count.tolist()),
        origins=held[CUTOFF].n_unique(),
        edges=edges,
        pools={key: _table(found) for key, found in pools.items()},
        means={(name, at): float(errors.value[rows].mean()) for name, at, rows in cells_of(held, place)},
    )


def apply_intervals(
    point: Prediction, scales: pl.DataFrame, intervals: Intervals, *, low: float | None = None
) -> Prediction:
    """Quantiles point + scale * factor * offset, never crossing, none below `low` (for a target that cannot be).

    scales: entity columns, cutoff, `scale` of the cutoffs predicted at. A step that was not calibrated takes the
    nearest one that was. Raises BadInput where a scale is missing.
    """
    rows, unit = interval_rows(point, scales, intervals, low=low)
    values = rows[VALUE].to_numpy()[:, None] + unit[:, None] * offsets_of(rows, intervals)
    values = np.sort(values if low is None else np.maximum(values, low), axis=1)
    return long_quantiles(point.entity, rows, levels=intervals.levels, values=values)


def long_quantiles(entity: Sequence[str], rows: pl.DataFrame, *, levels: Sequence[float], values: Floats) -> Prediction:
    """The prediction of quantiles, rows x levels, of the series, cutoffs and steps of some rows."""
    many = len(levels)
    quantiles = rows.select(*entity, CUTOFF, STEP)[np.repeat(np.arange(rows.height), many)].with_columns(
        pl.Series(LEVEL, np.tile(np.asarray(levels, dtype=np.float64), rows.height)),
        pl.Series(VALUE, values.reshape(-1), dtype=pl.Float64),
    )
    return Prediction("quantile", tuple(entity), quantiles)


def interval_rows(
    point: Prediction, scales: pl.DataFrame, intervals: Intervals, *, low: float | None = None
) -> tuple[pl.DataFrame, Floats]:
    """Entity columns, cutoff, step, `value` and, where they matter, `room` and `pool`, sorted; and of each row scale x factor.

    room: (value - low) by scale and factor, at least 0. Raises BadInput where a scale is missing.
    """
    index = [*point.entity, CUTOFF, STEP]
    rows = point.rows.select(*index, VALUE).sort(index)
    known = scales.select(*point.entity, CUTOFF, *_known(scales))
    rows = rows.join(known, on=[*point.entity, CUTOFF], how="left", maintain_order="left")
    if not (rows[SCALE] > 0).fill_null(False).all():
        raise BadInput("intervals", found="a series without a scale above 0", wanted="one for each series and cutoff")
    keys = rows.select(point.entity).cast(pl.String).rows() if point.entity else [()] * rows.height
    unit = rows[SCALE].to_numpy() * np.array([intervals.factors.get(key, 1.0) for key in keys])
    if low is not None:
        rows = rows.with_columns(pl.Series(ROOM, np.maximum(rows[VALUE].to_numpy() - low, 0.0) / unit))
    return rows.drop(SCALE), unit


def offsets_of(rows: pl.DataFrame, intervals: Intervals) -> Floats:
    """Rows x levels: the offsets of each row's step, `room` (by scale and factor) and `pool`, of the nearest step calibrated."""
    steps = np.array(intervals.steps)
    nearest = np.abs(rows[STEP].to_numpy()[:, None] - steps[None, :]).argmin(axis=1)
    found: Floats = np.array(intervals.offsets)[nearest]
    for name, at, inside in cells_of(rows, place_of(rows, intervals.edges)):
        table = intervals.pools.get((name, at))
        if table is not None:
            found[inside] = np.array(table)[nearest[inside]]
            if at != FAR:
                found[inside] -= rows[ROOM].to_numpy()[inside, None]
    return found


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
    """Residuals of the sum over steps 1 ... cover: the sums of scaled residuals, and of room, where every step has settled."""
    index = [*entity, CUTOFF]
    sums = _sums(found, index, RESIDUAL, cover)
    if ROOM in found.columns:
        sums = sums.join(_sums(found, index, ROOM, cover), on=[*index, STEP], how="left", maintain_order="left")
    if POOL in found.columns:
        classes = found.select(*index, POOL).unique(index, keep="first", maintain_order=True)
        sums = sums.join(classes, on=index, how="left", maintain_order="left")
    return sums


def _known(scales: pl.DataFrame) -> list[str]:
    return [name for name in (SCALE, POOL) if name in scales.columns]


def _table(offsets: Floats) -> Table:
    return tuple(tuple(row) for row in offsets.tolist())


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
        joined.with_columns(pl.col(RESIDUAL, *([ROOM] if ROOM in found.columns else [])) / pl.col(_FACTOR)).drop(
            _FACTOR
        ),
        dict(zip(keys, all_of[_FACTOR].to_list(), strict=True)),
    )


__all__ = [
    "RESIDUAL",
    "Calibration",
    "Intervals",
    "apply_intervals",
    "calibrate_total",
    "conformal_quantile",
    "factored",
    "fit_intervals",
    "interval_rows",
    "intervals_of",
    "long_quantiles",
    "offsets_of",
    "residuals",
    "sum_residuals",
    "total",
]
