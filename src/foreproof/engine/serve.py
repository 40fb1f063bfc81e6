"""From members to what is served: weights and intervals learned on origins that had settled at the cutoff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.paths import Paths
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE, Prediction
from foreproof.models.combine import Weights, combine, held_out, learn_weights
from foreproof.models.conformal import apply_intervals, fit_intervals, residuals, sum_residuals, total
from foreproof.models.pool import series_class
from foreproof.models.sample import Sampler
from foreproof.models.scale import series_scale
from foreproof.workloads.forecast import BASELINE, ForecastPlan

MODEL = "model"


@dataclass(frozen=True, slots=True)
class Served:
    """What one cutoff serves. Frames are long: entity columns, `cutoff`, `step`, `level` (null = point), `value`.

    rows: the combination's points and quantiles. member_rows: the members' points, with `model`. totals,
    baseline_totals: quantiles of the sum over the decision's window, by the combination and by the seasonal naive, without
    `step`. weights: the members' mean shares. dumps: what each member learned, by name and content. ours, naive: what is
    believed by the combination and by the seasonal naive, from which quantiles at other levels and paths are drawn. held:
    entity columns, `cutoff`, `step`, `value`, `y`: the combination at the calibration origins, each with weights learned
    on the others, and what came. cold: the series of `rows` that were started from their group, see `engine.cold`; empty
    without any.
    """

    rows: pl.DataFrame
    member_rows: pl.DataFrame
    totals: pl.DataFrame
    baseline_totals: pl.DataFrame
    weights: Mapping[str, float]
    dumps: Mapping[str, pl.DataFrame]
    ours: Sampler
    naive: Sampler
    held: pl.DataFrame = field(default_factory=pl.DataFrame)
    cold: pl.DataFrame = field(default_factory=pl.DataFrame)

    def quantiles(self, levels: Sequence[float]) -> Prediction:
        """Quantiles of each step at any levels in (0, 1), without a refit; those of `rows` at the plan's levels."""
        return self.ours.quantiles(levels)

    def paths(self) -> Paths:
        """The plan's number of sample paths of each series; drawn at each call, the same ones each time."""
        return self.ours.paths()

    def baseline_paths(self) -> Paths:
        """The seasonal naive's paths, calibrated and drawn in the same way."""
        return self.naive.paths()


def serve(
    plan: ForecastPlan,
    *,
    cutoff: Moment,
    points: pl.DataFrame,
    actuals: pl.DataFrame,
    targets: Mapping[Moment, pl.DataFrame],
    dumps: Mapping[str, pl.DataFrame],
) -> Served:
    """Weigh the members and calibrate intervals at one cutoff.

    points: entity columns, `cutoff`, `step`, `model`, `value` at the cutoff and at its calibration origins. actuals: entity
    columns, `cutoff`, `step`, `y` at those origins, as known at the cutoff. targets: the target as known at each of them.
    """
    entity = plan.task.entity
    scales = pl.concat([_scales(plan, frame, c) for c, frame in targets.items()])
    known = actuals.drop_nulls("y")
    errors = points.join(known, on=[*entity, CUTOFF, STEP]).join(scales, on=[*entity, CUTOFF])
    weights = learn_weights(errors, entity=entity)
    now = _is(cutoff)
    members = {str(name): frame for (name,), frame in points.sort(MODEL).group_by([MODEL], maintain_order=True)}
    point = _clipped(combine(_predictions(members, entity, now), weights), plan.low)
    # Weights learned on the other origins: residuals of the very errors that they fit would be too small.
    past = _clipped(held_out(errors, entity=entity), plan.low)
    ours = _sampler(plan, point, residuals(past, known, scales, low=plan.low), scales.filter(now))
    baseline = members[BASELINE]
    naive_past = residuals(_prediction(baseline.filter(~now), entity), known, scales, low=plan.low)
    naive = _sampler(
        plan, _clipped(_prediction(baseline.filter(now), entity), plan.low), naive_past, scales.filter(now)
    )
    return Served(
        rows=pl.concat([point.canonical(), ours.quantiles(plan.levels).canonical()]),
        member_rows=_long(points.filter(now), entity),
        totals=_totals(plan, ours),
        baseline_totals=_totals(plan, naive),
        weights=_shares(weights, plan.task.horizon),
        dumps=dumps,
        ours=ours,
        naive=naive,
        held=past.rows.select(*entity, CUTOFF, STEP, VALUE).join(known, on=[*entity, CUTOFF, STEP]),
    )


def _scales(plan: ForecastPlan, target: pl.DataFrame, cutoff: Moment) -> pl.DataFrame:
    """The scale of each series at a cutoff, and the class that its residuals are pooled in, if the plan has classes."""
    entity = plan.task.entity
    scales = series_scale(target, plan.task.season, entity=entity, cutoff=cutoff)
    if plan.calibration.pool == "none":
        return scales
    classes = series_class(target, plan.calibration.pool, entity=entity, cutoff=cutoff)
    return scales.join(classes, on=[*entity, CUTOFF], how="left", maintain_order="left")


def _sampler(plan: ForecastPlan, point: Prediction, past: pl.DataFrame, scales: pl.DataFrame) -> Sampler:
    return Sampler(
        point,
        past,
        scales,
        plan.levels,
        low=plan.low,
        calibration=plan.calibration,
        count=plan.paths,
        seed=plan.plan.seed,
    )


def _totals(plan: ForecastPlan, belief: Sampler) -> pl.DataFrame:
    """Quantiles of the sum over the window that an order covers, from the residuals of such sums."""
    cover = plan.ordering.cover if plan.ordering else plan.task.horizon
    # Only origins of a series at which every step of the window had settled have a sum to learn from. A sum is rarely near
    # the bound, so it is cut off there and no more.
    found = sum_residuals(belief.past, plan.task.entity, cover)
    calibration = replace(belief.calibration, bound=0)
    intervals = fit_intervals(found, entity=plan.task.entity, levels=plan.levels, calibration=calibration)
    sums = apply_intervals(total(belief.point, cover), belief.scales, intervals, low=plan.low)
    return sums.canonical().select(*plan.task.entity, CUTOFF, LEVEL, VALUE)


def _shares(weights: Weights, horizon: int) -> dict[str, float]:
    """Each member's mean weight over series and steps."""
    if not weights.own or not weights.entity:
        return dict(zip(weights.members, weights.blocks[-1][1], strict=True))
    # maintain_order: without it polars adds floats per thread, in an order that differs from run to run (law 8).
    table = weights.frame(range(1, horizon + 1)).group_by(MODEL, maintain_order=True).agg(pl.col("weight").mean())
    return dict(table.sort(MODEL).iter_rows())


def _predictions(members: Mapping[str, pl.DataFrame], entity: Sequence[str], at: pl.Expr) -> dict[str, Prediction]:
    return {name: _prediction(frame.filter(at), entity) for name, frame in members.items()}


def _prediction(rows: pl.DataFrame, entity: Sequence[str]) -> Prediction:
    return Prediction("point", tuple(entity), _long(rows, entity).drop(MODEL))


def _long(rows: pl.DataFrame, entity: Sequence[str]) -> pl.DataFrame:
    level = pl.lit(None, dtype=pl.Float64).alias(LEVEL)
    return rows.select(*entity, CUTOFF, STEP, level, VALUE, MODEL)


def _clipped(point: Prediction, low: float | None) -> Prediction:
    if low is None:
        return point
    return Prediction("point", point.entity, point.rows.with_columns(pl.col(VALUE).clip(lower_bound=low)))


def _is(t: Moment) -> pl.Expr:
    return pl.col(CUTOFF).to_physical() == ticks(t)


__all__ = ["MODEL", "Served", "serve"]
