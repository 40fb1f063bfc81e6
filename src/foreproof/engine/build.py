"""The one path: from a database and cutoffs to population, features and forecasts; backtest, proof and serving all walk it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Build, Built, Forecasts
from foreproof.core.view import Database
from foreproof.engine.cold import started
from foreproof.engine.fit import Job, fit_members
from foreproof.engine.line import Bench, Line, at, first_moment, line_of, manifest, settle_ticks, with_target
from foreproof.engine.serve import MODEL, Served, serve
from foreproof.features.compile import compile_rows
from foreproof.workloads.forecast import BASELINE, ForecastPlan, Panel, among, in_target_unit


def builder(plan: ForecastPlan, bench: Bench) -> Build:
    """The pipeline of a plan as a callable of (database, cutoffs, seed)."""

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        task = plan.task
        panel = task.panel(database)
        line = line_of(plan, cutoffs, first_moment(panel.series))
        rows = scaled_rows(plan, database, panel, sorted(set(cutoffs), key=ticks))
        served = pl.concat([panel.entities(cutoff) for cutoff in cutoffs])
        keys = [*task.entity, CUTOFF]

        def every() -> pl.DataFrame:
            return scaled_rows(plan, database, panel, line.all)

        labels = with_target(panel.labels(cutoffs), task)
        return Built(
            entities=served.sort(keys),
            rows=rows.join(served, on=keys, how="semi").sort([*keys, STEP]),
            labels=labels.join(served, on=keys, how="semi").sort([*keys, STEP]),
            # Most checks ask for rows alone: those of the cutoffs that are learned from wait until something is fitted.
            forecast=lambda: started(plan, database, panel, _forecasts(plan, bench, panel, line, every(), seed)),
        )

    return build


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the members are given at one cutoff: see `core.model.Past` and `Now`."""

    target: pl.DataFrame
    examples: pl.DataFrame
    rows: pl.DataFrame


def inputs_at(plan: ForecastPlan, database: Database, cutoff: Moment) -> Inputs:
    """The frames of a fit at a cutoff, by the same path as every build."""
    task = plan.task
    panel = task.panel(database)
    line = line_of(plan, (cutoff,), first_moment(panel.series))
    cutoffs = sorted({cutoff, *line.examples[cutoff]}, key=ticks)
    rows = scaled_rows(plan, database, panel, cutoffs)
    population = panel.entities(cutoff)
    filled = pl.col("y").forward_fill().over(task.entity) if task.entity else pl.col("y").forward_fill()
    return Inputs(
        target=panel.target(cutoff).with_columns(filled),
        examples=_examples(plan, panel, cutoff, line.examples[cutoff], rows, population),
        rows=among(rows.filter(at(cutoff)), population, task.entity),
    )


def scaled_rows(plan: ForecastPlan, database: Database, panel: Panel, cutoffs: Sequence[Moment]) -> pl.DataFrame:
    """Entity columns, `cutoff`, `step`, features: with `y_` before each name in the target's unit, and `y_scale`, which is what
    a model across series needs.
    """
    rows = compile_rows(database, plan.task.series, plan.features, cutoffs, plan.task.horizon)
    named = {feature.name: f"y_{feature.name}" for feature in plan.features if in_target_unit(feature)}
    scales = pl.concat([panel.scale(cutoff) for cutoff in cutoffs])
    return rows.rename(named).join(scales, on=[*plan.task.entity, CUTOFF], maintain_order="left")


def _forecasts(plan: ForecastPlan, bench: Bench, panel: Panel, line: Line, rows: pl.DataFrame, seed: int) -> Forecasts:
    """Fit the members at every cutoff of the line, then weigh and calibrate each served one on its settled origins."""
    task = plan.task
    index = [*task.entity, CUTOFF, STEP]
    population = {t: panel.entities(t) for t in line.fitted}
    # Models want a value at every step: where the plan leaves gaps missing, the last value before stands in.
    filled = pl.col("y").forward_fill().over(task.entity) if task.entity else pl.col("y").forward_fill()
    targets = {t: panel.target(t).with_columns(filled) for t in line.fitted}
    jobs: list[Job] = []
    manifests: list[pl.DataFrame] = []
    for t in line.fitted:
        learned = _examples(plan, panel, t, line.examples[t], rows, population[t])
        if t in line.splits:
            manifests.append(manifest(task, t, learned.select(CUTOFF, STEP).unique(), role="learn"))
        now = among(rows.filter(at(t)), population[t], task.entity)
        for model in plan.models:
            examples, rows_now = (learned, now) if model.reads_rows else (learned.clear(), now.clear())
            jobs.append(Job(task.frame, t, model, seed, targets[t], examples, rows_now))
    results = fit_members(jobs, store=bench.store, workers=bench.workers, progress=bench.progress)
    done = list(zip(jobs, results, strict=True))
    points = pl.concat([result["points"].with_columns(pl.lit(job.model.name).alias(MODEL)) for job, result in done])
    out: dict[Moment, Served] = {}
    for cutoff, split in line.splits.items():
        actuals = panel.labels(split.calibrate, at=cutoff)
        manifests.append(manifest(task, cutoff, actuals.select(CUTOFF, STEP).unique(), role="calibrate"))
        used = (cutoff, *split.calibrate)
        out[cutoff] = serve(
            plan,
            cutoff=cutoff,
            points=points.filter(pl.any_horizontal(at(t) for t in used)),
            actuals=actuals,
            targets={t: targets[t] for t in used},
            dumps={job.model.name: result["dumps"] for job, result in done if job.cutoff == cutoff},
        )
    baseline = points.filter((pl.col(MODEL) == BASELINE) & pl.any_horizontal(at(t) for t in out))
    return Forecasts(
        predictions=pl.concat([one.rows for one in out.values()]).sort([*index, LEVEL]),
        baseline=baseline.select(*index, pl.lit(None, dtype=pl.Float64).alias(LEVEL), VALUE).sort(index),
        manifest=pl.concat(manifests).sort(CUTOFF, "role", "example", STEP),
        detail=out,
    )


def _examples(
    plan: ForecastPlan, panel: Panel, t: Moment, cutoffs: Sequence[Moment], rows: pl.DataFrame, population: pl.DataFrame
) -> pl.DataFrame:
    """Training rows at t: features as of each example's cutoff, labels as known at t, gap law applied."""
    labels = panel.labels(cutoffs, at=t)
    settled = labels.filter(
        pl.Series(settle_ticks(plan.task, labels) <= ticks(t), dtype=pl.Boolean), pl.col("y").is_not_null()
    )
    index = [*plan.task.entity, CUTOFF, STEP]
    joined = rows.join(settled.select(*index, pl.col("y").alias("label")), on=index, maintain_order="left")
    return among(joined, population, plan.task.entity)


__all__ = ["Inputs", "builder", "inputs_at", "scaled_rows"]
