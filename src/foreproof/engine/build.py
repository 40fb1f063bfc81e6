"""The one path: from a database and cutoffs to population, features and forecasts; backtest, proof and serving all walk it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, Ticks, moment, tick_values, ticks, time_column
from foreproof.core.ports import Progress, StepStore
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.split import RollingOrigin, Split, settles
from foreproof.core.trial import Build, Built, Forecasts
from foreproof.core.view import Database
from foreproof.engine.cold import started
from foreproof.engine.fit import Job, fit_members
from foreproof.engine.serve import MODEL, Served, serve
from foreproof.errors import BadInput
from foreproof.features.compile import compile_rows
from foreproof.workloads.forecast import BASELINE, ForecastPlan, Panel, among, in_target_unit


@dataclass(frozen=True, slots=True)
class Bench:
    """Where work is done: the store of finished steps, the number of processes, and who hears of progress."""

    store: StepStore
    workers: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class Line:
    """The cutoffs of a build: those served, with what calibrates each, and those whose examples are learned from."""

    splits: Mapping[Moment, Split]
    fitted: tuple[Moment, ...]
    examples: Mapping[Moment, tuple[Moment, ...]]

    @property
    def all(self) -> list[Moment]:
        """Every cutoff for which features are needed, in order."""
        return sorted({*self.fitted, *(o for examples in self.examples.values() for o in examples)}, key=ticks)


def ladder(plan: ForecastPlan, last: Moment, rungs: int) -> list[Moment]:
    """`rungs` cutoffs up to `last`, `backtest.every` steps apart, earliest first."""
    grid = plan.task.series.grid
    steps = [-k * plan.backtest.every for k in reversed(range(rungs))]
    return [grid.add(last, step) for step in steps]


def line_of(plan: ForecastPlan, cutoffs: Sequence[Moment], first: Moment) -> Line:
    """The cutoffs of a build over `cutoffs`, none before `first`, the earliest fact."""
    task, backtest = plan.task, plan.backtest
    grid = task.series.grid
    splitter = RollingOrigin(grid, task.horizon, task.delay, origins=1, calibrations=backtest.calibrations)
    reach = backtest.calibrations + -(-task.horizon // backtest.every) + 1
    splits = {}
    for cutoff in cutoffs:
        before = [o for o in ladder(plan, cutoff, reach + 1) if ticks(o) > ticks(first)]
        splits[cutoff] = next(iter(splitter.split([*before[:-1], cutoff])))
        if not splits[cutoff].calibrate:
            raise BadInput(
                f"cutoff {cutoff}",
                found=f"no earlier origin whose {task.horizon} steps had settled (history begins at {first})",
                wanted="at least one origin to weigh models and calibrate intervals on",
                fix="shorten the horizon, lower backtest.origins, or load more history",
            )
    fitted = tuple(sorted({*splits, *(o for split in splits.values() for o in split.calibrate)}, key=ticks))
    back = [-k * backtest.stride for k in range(1, backtest.examples + 1)]
    examples = {t: tuple(o for o in (grid.add(t, step) for step in back) if ticks(o) >= ticks(first)) for t in fitted}
    return Line(splits, fitted, examples)


def builder(plan: ForecastPlan, bench: Bench) -> Build:
    """The pipeline of a plan as a callable of (database, cutoffs, seed)."""

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        task = plan.task
        panel = task.panel(database)
        line = line_of(plan, cutoffs, first_moment(panel))
        rows = _scaled(
            plan, panel, compile_rows(database, task.series, plan.features, line.all, task.horizon), line.all
        )
        served = pl.concat([panel.entities(cutoff) for cutoff in cutoffs])
        keys = [*task.entity, CUTOFF]
        labels = _with_target(panel.labels(cutoffs), plan)
        return Built(
            entities=served.sort(keys),
            rows=rows.join(served, on=keys, how="semi").sort([*keys, STEP]),
            labels=labels.join(served, on=keys, how="semi").sort([*keys, STEP]),
            forecast=lambda: started(plan, database, panel, _forecasts(plan, bench, panel, line, rows, seed)),
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
    line = line_of(plan, (cutoff,), first_moment(panel))
    cutoffs = sorted({cutoff, *line.examples[cutoff]}, key=ticks)
    rows = _scaled(plan, panel, compile_rows(database, task.series, plan.features, cutoffs, task.horizon), cutoffs)
    population = panel.entities(cutoff)
    filled = pl.col("y").forward_fill().over(task.entity) if task.entity else pl.col("y").forward_fill()
    return Inputs(
        target=panel.target(cutoff).with_columns(filled),
        examples=_examples(plan, panel, cutoff, line.examples[cutoff], rows, population),
        rows=among(rows.filter(_is(cutoff)), population, task.entity),
    )


def _scaled(plan: ForecastPlan, panel: Panel, rows: pl.DataFrame, cutoffs: Sequence[Moment]) -> pl.DataFrame:
    """The rows with `y_` before each name in the target's unit, and `y_scale`: what a model across series needs."""
    named = {feature.name: f"y_{feature.name}" for feature in plan.features if in_target_unit(feature)}
    scales = pl.concat([panel.scale(cutoff) for cutoff in cutoffs])
    return rows.rename(named).join(scales, on=[*plan.task.entity, CUTOFF], maintain_order="left")


def first_moment(panel: Panel) -> Moment:
    """The grid point of the earliest fact of any series."""
    periods = panel.series.cells.period
    if not periods.size:
        raise BadInput(
            panel.task.series.table, found="no facts that the series keep", wanted="a history", fix="load some"
        )
    grid = panel.task.series.grid
    return moment(int(grid.at(np.array([periods.min()], dtype=np.int64))[0]), integer=grid.integer)


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
            manifests.append(_manifest(plan, t, learned.select(CUTOFF, STEP).unique(), role="learn"))
        now = among(rows.filter(_is(t)), population[t], task.entity)
        for model in plan.models:
            examples, rows_now = (learned, now) if model.reads_rows else (learned.clear(), now.clear())
            jobs.append(Job(task.frame, t, model, seed, targets[t], examples, rows_now))
    results = fit_members(jobs, store=bench.store, workers=bench.workers, progress=bench.progress)
    done = list(zip(jobs, results, strict=True))
    points = pl.concat([result["points"].with_columns(pl.lit(job.model.name).alias(MODEL)) for job, result in done])
    out: dict[Moment, Served] = {}
    for cutoff, split in line.splits.items():
        actuals = panel.labels(split.calibrate, at=cutoff)
        manifests.append(_manifest(plan, cutoff, actuals.select(CUTOFF, STEP).unique(), role="calibrate"))
        used = (cutoff, *split.calibrate)
        out[cutoff] = serve(
            plan,
            cutoff=cutoff,
            points=points.filter(pl.any_horizontal(_is(t) for t in used)),
            actuals=actuals,
            targets={t: targets[t] for t in used},
            dumps={job.model.name: result["dumps"] for job, result in done if job.cutoff == cutoff},
        )
    baseline = points.filter((pl.col(MODEL) == BASELINE) & pl.any_horizontal(_is(t) for t in out))
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
        pl.Series(_settle_ticks(plan, labels) <= ticks(t), dtype=pl.Boolean), pl.col("y").is_not_null()
    )
    index = [*plan.task.entity, CUTOFF, STEP]
    joined = rows.join(settled.select(*index, pl.col("y").alias("label")), on=index, maintain_order="left")
    return among(joined, population, plan.task.entity)


def _settle_ticks(plan: ForecastPlan, frame: pl.DataFrame) -> Ticks:
    return settles(plan.task.series.grid, tick_values(frame[CUTOFF]), frame[STEP].to_numpy(), delay=plan.task.delay)


def _manifest(plan: ForecastPlan, cutoff: Moment, used: pl.DataFrame, *, role: str) -> pl.DataFrame:
    """What was used, read off the very frames that learning received."""
    settled = time_column("settled", _settle_ticks(plan, used), integer=plan.task.series.grid.integer)
    served = pl.lit(cutoff, dtype=used.schema[CUTOFF]).alias(CUTOFF)
    named = used.rename({CUTOFF: "example"}).with_columns(settled, served, pl.lit(role).alias("role"))
    return named.select(CUTOFF, "example", STEP, "settled", "role")


def _with_target(labels: pl.DataFrame, plan: ForecastPlan) -> pl.DataFrame:
    grid = plan.task.series.grid
    reached = grid.shift(tick_values(labels[CUTOFF]), labels[STEP].to_numpy())
    return labels.with_columns(time_column("target", reached, integer=grid.integer))


def _is(t: Moment) -> pl.Expr:
    return pl.col(CUTOFF).to_physical() == ticks(t)


__all__ = ["Bench", "Inputs", "Line", "builder", "first_moment", "inputs_at", "ladder", "line_of"]
