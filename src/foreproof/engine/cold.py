"""Series that a table lists and that have too little history: served from their group, as of the cutoff like all else."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.contract import HAPPENED, KNOWN
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE, Prediction
from foreproof.core.trial import Forecasts
from foreproof.core.view import Database
from foreproof.engine.serve import Served
from foreproof.models.cold import ColdPlan, Statics, cold_start
from foreproof.models.sample import Sampler
from foreproof.workloads.forecast import ForecastPlan, Panel

STEPS = "steps"


def started(plan: ForecastPlan, database: Database, panel: Panel, forecasts: Forecasts) -> Forecasts:
    """The forecasts of a build with the plan's cold series among them."""
    if plan.cold_start is None:
        return forecasts
    detail = {cutoff: with_cold(plan, database, panel, cutoff, served) for cutoff, served in forecasts.detail.items()}
    rows = pl.concat([served.rows for served in detail.values()])
    return replace(forecasts, predictions=rows.sort([*plan.task.entity, CUTOFF, STEP, LEVEL]), detail=detail)


def with_cold(plan: ForecastPlan, database: Database, panel: Panel, cutoff: Moment, served: Served) -> Served:
    """What is served, with the plan's cold series in `rows`, listed in `cold`; unchanged without `cold_start`.

    A cold series is one that the table lists at the cutoff with fewer than `least` steps from its first fact to the cutoff.
    Its rows replace those of its own short history; totals and paths, and so orders, leave it out.
    """
    cold = plan.cold_start
    if cold is None:
        return served
    entity = list(plan.task.entity)
    statics = statics_at(plan, cold, database, cutoff)
    history = panel.target_of(panel.series, cutoff).group_by(entity, maintain_order=True).len(STEPS)
    listed = statics.select(entity).join(history, on=entity, how="left", maintain_order="left")
    young = listed.with_columns(pl.col(STEPS).cast(pl.Int64).fill_null(0)).filter(pl.col(STEPS) < cold.least)
    # Too young to speak for others, whether the table lists it or not.
    grown = history.filter(pl.col(STEPS) >= cold.least)
    known = served.ours.point.rows.join(grown, on=entity, how="semi", maintain_order="left")
    if young.is_empty() or known.is_empty():
        return served
    started = cold_start(
        Prediction("point", plan.task.entity, known),
        served.held,
        Statics(statics, cold.groups, cold.size),
        new=young,
        levels=plan.levels,
        low=plan.low or 0.0,
    )
    new = started.used.select(entity)
    columns = [*entity, CUTOFF, STEP, LEVEL, VALUE]
    rows = [served.rows.select(columns).join(new, on=entity, how="anti", maintain_order="left")]
    rows += [each.canonical().select(columns) for each in (started.points, started.quantiles)]
    return replace(
        served,
        rows=pl.concat(rows),
        totals=served.totals.join(new, on=entity, how="anti", maintain_order="left"),
        baseline_totals=served.baseline_totals.join(new, on=entity, how="anti", maintain_order="left"),
        ours=_without(served.ours, new),
        naive=_without(served.naive, new),
        cold=started.used.join(young, on=entity, how="left", maintain_order="left"),
    )


def statics_at(plan: ForecastPlan, cold: ColdPlan, database: Database, cutoff: Moment) -> pl.DataFrame:
    """Entity columns, groups and size in the user's unit: the latest row that happened and was known by the cutoff.

    Rows that the series' own filters leave out by a column that both tables have are not listed.
    """
    table = database[cold.table]
    entity = list(plan.task.entity)
    rows = table.as_of(cutoff)
    clocks = [name for name in (HAPPENED, KNOWN) if name in rows.columns]
    if HAPPENED in rows.columns:
        rows = rows.filter(pl.col(HAPPENED) <= pl.lit(cutoff, dtype=rows.schema[HAPPENED]))
    for filters, wanted in ((plan.task.series.keep, True), (plan.task.series.drop, False)):
        for name, values in filters:
            if name in rows.columns:
                rows = rows.filter(pl.col(name).cast(pl.String).is_in(values) == wanted)
    latest = rows.sort([*entity, *clocks], maintain_order=True).unique(entity, keep="last", maintain_order=True)
    words = [pl.col(name).cast(pl.String) for name in (*entity, *cold.groups)]
    size = [pl.col(cold.size).cast(pl.Float64) / table.contract.column(cold.size).scale] if cold.size else []
    return latest.select(*words, *size).drop_nulls(entity).sort(entity)


def _without(belief: Sampler, new: pl.DataFrame) -> Sampler:
    """The belief about all other series."""
    kept = belief.point.rows.join(new, on=new.columns, how="anti", maintain_order="left")
    return replace(belief, point=Prediction("point", belief.point.entity, kept))


__all__ = ["STEPS", "started", "statics_at", "with_cold"]
