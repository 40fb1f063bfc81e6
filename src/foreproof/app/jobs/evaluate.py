"""Score what was served against what came of it, as outcomes arrive: rows of the table `evaluations` beside the facts.

One row a prediction whose outcome has settled: entity columns, `cutoff`, `step`, `at` (forecasts), `mean` and `q0.1` ... or
`chance`, `y`, `inside` (the interval from the quantile 0.1 to 0.9), `run`, `scored` (the instant). Nothing is rewritten: where
an outcome was corrected later, another row says so, and the one with the latest `scored` counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app.project import Project, recorded_plan
from foreproof.core.clock import INSTANT, Moment, literal, moment, tick_values, ticks, time_column
from foreproof.core.digest import digest_json
from foreproof.core.log import decode_leaf
from foreproof.core.ports import Progress
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.split import settles
from foreproof.engine.cutoff import latest_cutoff
from foreproof.errors import BadInput, PlanError

TABLE = "evaluations"
_LOW, _HIGH = "q0.1", "q0.9"


def score_outcomes(project: Project, progress: Progress) -> dict[str, Any]:
    """Join the predictions of every run that was served with the outcomes in the lake, and keep what is new.

    Returns `rows` (new ones), `waiting` (predictions without an outcome yet) and `runs` (looked at), `left_out` (of those).
    """
    served = list(_served(project))
    progress.stage("score outcomes", len(served))
    scored_at = project.settings.now()
    data = digest_json({c.name: project.lake.data_digest(c.name) for c in project.contracts})
    rows = waiting = 0
    left = []
    for run, folder in served:
        progress.advance(1)
        try:
            predicted, outcomes, plan = _joined(project, run, folder)
        except PlanError:
            # Its own code or a plugin is another one now: what it meant by an outcome cannot be told.
            left.append(run)
            continue
        waiting += predicted.height - outcomes.height
        fresh = _fresh(project, run, outcomes.with_columns(pl.lit(run).alias("run")))
        fresh = fresh.with_columns(pl.lit(scored_at, dtype=INSTANT).alias("scored"))
        if fresh.height:
            rows += project.shelf.keep(TABLE, fresh, plan=plan, data=digest_json({"data": data, "run": run}))
    return {"rows": rows, "waiting": waiting, "runs": len(served), "left_out": left}


def _served(project: Project) -> Iterator[tuple[str, Path]]:
    """Every run that the log says was served and whose files are still here, oldest first."""
    leaves = [decode_leaf(leaf) for leaf in project.catalog.leaves()]
    names = list(dict.fromkeys(leaf["body"]["run"] for leaf in leaves if leaf["kind"] == "serve"))
    for name in names:
        folder = project.runs / name
        if (folder / "plan_resolved.yaml").is_file():
            yield name, folder


def _joined(project: Project, run: str, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, str]:
    """A run's predictions at its cutoff, one row each; those with a settled outcome, with it; and the plan's digest.

    What an outcome is, the run's own plan says.
    """
    plan = recorded_plan(project, run)
    own = Project(project.folder, plan, project.settings)
    predicted = _forecasts(folder) if plan.workload == "forecast" else _chances(folder)
    database = own.database()
    science = replace(own.science, cutoff="latest")
    try:
        now: Moment = latest_cutoff(science, database)
    except BadInput:
        return (
            predicted,
            predicted.clear().with_columns(pl.lit(0.0).alias("y"), pl.lit(None, pl.Boolean).alias("inside")),
            plan.digest,
        )
    task = own.science.task
    grid = task.series.grid
    cutoffs = [moment(tick, integer=grid.integer) for tick in tick_values(predicted[CUTOFF].unique().sort()).tolist()]
    cutoffs = [cutoff for cutoff in cutoffs if ticks(cutoff) < ticks(now)]
    # Everything that is known now counts, corrections too: this looks back, and nothing is learned from it.
    truth = task.panel(database).labels(cutoffs) if cutoffs else None
    index = [*task.entity, CUTOFF, STEP]
    if truth is None or truth.is_empty():
        truth = predicted.clear().select(*index, pl.lit(0.0).alias("y"))
    due = settles(grid, tick_values(truth[CUTOFF]), truth[STEP].to_numpy(), delay=task.delay)
    truth = truth.filter(time_column("due", due, integer=grid.integer) <= literal(now))
    truth = truth.filter(pl.col("y").is_not_null()).select(*index, pl.col("y").cast(pl.Float64))
    found = predicted.join(truth, on=index, how="inner", maintain_order="left")
    banded = {_LOW, _HIGH} <= set(found.columns)
    inside = pl.col("y").is_between(pl.col(_LOW), pl.col(_HIGH)) if banded else pl.lit(None, pl.Boolean)
    return predicted, found.with_columns(inside.alias("inside")).sort(index), plan.digest


def _forecasts(folder: Path) -> pl.DataFrame:
    rows = pl.read_parquet(folder / "tables" / "forecast.parquet", memory_map=False)
    index = [name for name in rows.columns if name not in (LEVEL, VALUE)]
    names = pl.when(pl.col(LEVEL).is_null()).then(pl.lit("mean")).otherwise(_quantile_name())
    wide = rows.with_columns(names.alias(LEVEL)).pivot(on=LEVEL, index=index, values=VALUE)
    return wide.sort(index)


def _quantile_name() -> pl.Expr:
    return pl.col(LEVEL).map_elements(lambda level: f"q{level:g}", return_dtype=pl.String)


def _chances(folder: Path) -> pl.DataFrame:
    rows = pl.read_parquet(folder / "tables" / "chances.parquet", memory_map=False)
    newest = rows.filter(pl.col(CUTOFF) == pl.col(CUTOFF).max())
    index = newest.columns[: newest.columns.index(STEP) + 1]
    return newest.select(*index, pl.col("p").alias("chance")).sort(index)


def _fresh(project: Project, run: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that are not kept yet, or whose outcome is another one now."""
    dataset = project.shelf.dataset(TABLE)
    if dataset is None or rows.is_empty():
        return rows
    import pyarrow.dataset as ds

    index = rows.columns[: rows.columns.index(STEP) + 1]
    kept = pl.DataFrame(pl.from_arrow(dataset.to_table(filter=ds.field("run") == run)))
    if kept.is_empty():
        return rows
    last = kept.sort("scored").unique(index, keep="last").select(*index, pl.col("y").alias("before"))
    joined = rows.join(last, on=index, how="left", maintain_order="left")
    return joined.filter(pl.col("before").is_null() | (pl.col("before") != pl.col("y"))).drop("before")


__all__ = ["TABLE", "score_outcomes"]
