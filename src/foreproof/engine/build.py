"""The one path: from a database and cutoffs to population, features and forecasts; backtest, proof and serving all walk it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, Ticks, moment, ticks, time_column
from foreproof.core.model import Model
from foreproof.core.ports import Progress, StepStore
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.split import RollingOrigin, Split, settles
from foreproof.core.trial import Build, Built, Forecasts
from foreproof.core.view import Database
from foreproof.engine.fit import Job, fit_members
from foreproof.engine.serve import Served, serve
from foreproof.errors import BadInput
from foreproof.features import compile_rows
from foreproof.workloads.forecast import BASELINE, ForecastPlan

MODEL = "model"


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
        line = line_of(plan, cutoffs, task.first(database))
        rows = compile_rows(database, task.series, plan.features, line.all, task.horizon)
        population = {t: task.entities(database.as_of(t)) for t in line.fitted}
        served = pl.concat([_members(population[c], task.entity).with_columns(_cutoff(c, rows)) for c in cutoffs])
        labels = _with_target(task.labels(database, cutoffs), plan)
        keys = [*task.entity, CUTOFF]
        return Built(
            entities=served.sort(keys),
            rows=rows.join(served, on=keys, how="semi").sort([*keys, STEP]),
            labels=labels.join(served, on=keys, how="semi").sort([*keys, STEP]),
            forecast=_once(lambda: serve_all(plan, bench, database, line, rows, population, seed)),
        )

    return build


def serve_all(
    plan: ForecastPlan,
    bench: Bench,
    database: Database,
    line: Line,
    rows: pl.DataFrame,
    population: Mapping[Moment, pl.DataFrame],
    seed: int,
) -> Forecasts:
    """Fit the members at every cutoff of the line, then weigh and calibrate each served one on its settled origins."""
    task = plan.task
    targets = {t: _only(task.target(database.as_of(t)), population[t], task.entity) for t in line.fitted}
    order = [(t, model) for t in line.fitted for model in plan.models]
    manifests: list[pl.DataFrame] = []
    jobs: list[Job] = []
    for t in line.fitted:
        learned = _examples(plan, database, t, line.examples[t], rows, population[t])
        if t in line.splits:
            manifests.append(_manifest(plan, t, learned.select(CUTOFF, STEP).unique(), role="learn"))
        now = _only(rows.filter(_is(t)), population[t], task.entity)
        jobs += [_job(plan, t, model, seed, targets[t], learned, now) for model in plan.models]
    results = fit_members(jobs, store=bench.store, workers=bench.workers, progress=bench.progress)
    points = pl.concat(
        [result["points"].with_columns(pl.lit(model.name).alias(MODEL)) for (_, model), result in zip(order, results)]
    )
    dumps = {(t, model.name): result["dumps"] for (t, model), result in zip(order, results)}
    out: dict[Moment, Served] = {}
    for cutoff, split in line.splits.items():
        actuals = task.labels(database, split.calibrate, at=cutoff)
        used = actuals.select(CUTOFF, STEP).unique()
        manifests.append(_manifest(plan, cutoff, used, role="calibrate"))
        out[cutoff] = serve(
            plan,
            cutoff=cutoff,
            points=points.filter(pl.any_horizontal(_is(t) for t in (cutoff, *split.calibrate))),
            actuals=actuals,
            targets={t: targets[t] for t in (cutoff, *split.calibrate)},
            dumps={name: frame for (t, name), frame in dumps.items() if t == cutoff},
        )
    index = [*task.entity, CUTOFF, STEP]
    baseline = points.filter(pl.col(MODEL) == BASELINE).join(
        pl.concat([s.point_rows for s in out.values()]).select(index), on=index, how="semi"
    )
    return Forecasts(
        predictions=pl.concat([s.rows for s in out.values()]).sort([*index, LEVEL]),
        baseline=baseline.with_columns(pl.lit(None, dtype=pl.Float64).alias(LEVEL))
        .select(*index, LEVEL, VALUE)
        .sort(index),
        manifest=pl.concat(manifests).sort(CUTOFF, "role", "example", STEP),
        detail=out,
    )


def _examples(
    plan: ForecastPlan,
    database: Database,
    t: Moment,
    cutoffs: Sequence[Moment],
    rows: pl.DataFrame,
    population: pl.DataFrame,
) -> pl.DataFrame:
    """Training rows at t: features as of each example's cutoff, labels as known at t, gap law applied."""
    task = plan.task
    labels = _settled(plan, task.labels(database, cutoffs, at=t), t) if cutoffs else task.labels(database, (t,), at=t).clear()
    index = [*task.entity, CUTOFF, STEP]
    joined = rows.join(labels.select(*index, pl.col("y").alias("label")), on=index, how="inner", maintain_order="left")
    return _only(joined.filter(pl.col("label").is_not_null()), population, task.entity)


def _settled(plan: ForecastPlan, labels: pl.DataFrame, t: Moment) -> pl.DataFrame:
    return labels.filter(pl.Series(_settle_ticks(plan, labels) <= ticks(t)))


def _settle_ticks(plan: ForecastPlan, frame: pl.DataFrame) -> Ticks:
    cutoffs = frame[CUTOFF].to_physical().to_numpy()
    return settles(plan.task.series.grid, cutoffs, frame[STEP].to_numpy(), delay=plan.task.delay)


def _manifest(plan: ForecastPlan, cutoff: Moment, used: pl.DataFrame, *, role: str) -> pl.DataFrame:
    """What was used, read off the very frames that learning received."""
    integer = plan.task.series.grid.integer
    settled = time_column("settled", _settle_ticks(plan, used), integer=integer)
    return used.rename({CUTOFF: "example"}).with_columns(
        settled, _cutoff(cutoff, used.rename({CUTOFF: "x"}), integer=integer), pl.lit(role).alias("role")
    ).select(CUTOFF, "example", STEP, "settled", "role")


def _job(
    plan: ForecastPlan,
    t: Moment,
    model: Model,
    seed: int,
    target: pl.DataFrame,
    learned: pl.DataFrame,
    now: pl.DataFrame,
) -> Job:
    if not model.reads_rows:
        learned, now = learned.clear(), now.clear()
    return Job(plan.task.frame, t, model, seed, target, learned, now)


def _with_target(labels: pl.DataFrame, plan: ForecastPlan) -> pl.DataFrame:
    grid = plan.task.series.grid
    reached = grid.shift(labels[CUTOFF].to_physical().to_numpy(), labels[STEP].to_numpy())
    return labels.with_columns(time_column("target", reached, integer=grid.integer))


def _members(population: pl.DataFrame, entity: tuple[str, ...]) -> pl.DataFrame:
    return population if entity else pl.DataFrame({"_": [0]}).select([])


def _only(frame: pl.DataFrame, population: pl.DataFrame, entity: tuple[str, ...]) -> pl.DataFrame:
    """The rows of series in the population; with no entity column there is one series, and it stays."""
    return frame.join(population, on=list(entity), how="semi", maintain_order="left") if entity else frame


def _cutoff(at: Moment, like: pl.DataFrame, *, integer: bool | None = None) -> pl.Expr:
    dtype = pl.Int64() if (isinstance(at, int) if integer is None else integer) else pl.Datetime("us", "UTC")
    return pl.lit(at, dtype=dtype).alias(CUTOFF)


def _is(t: Moment) -> pl.Expr:
    return pl.col(CUTOFF).to_physical() == ticks(t)


def _once(make: Callable[[], Forecasts]) -> Callable[[], Forecasts]:
    made: list[Forecasts] = []

    def forecast() -> Forecasts:
        if not made:
            made.append(make())
        return made[0]

    return forecast


__all__ = ["Bench", "Line", "builder", "ladder", "line_of", "serve_all"]
