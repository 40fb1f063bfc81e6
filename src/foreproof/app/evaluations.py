"""Served predictions beside what came of them: kept in the lake as `evaluations`, judged against the plan's `monitor`.

A row is added when an outcome is known, and again when a correction changes it; the newest `scored` of a row counts. Nothing is
overwritten. What a run predicted is read from its own files, and what happened by its own plan.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app.keeping import EVALUATIONS
from foreproof.app.own_code import with_code
from foreproof.app.project import Project
from foreproof.core.clock import Moment, is_integer, literal, moment, tick_values, ticks, time_column
from foreproof.core.digest import digest_frame
from foreproof.core.log import decode_leaf
from foreproof.core.monitor import Monitor
from foreproof.core.plan import parse_plan
from foreproof.core.predict import CUTOFF, LEVEL, STEP
from foreproof.core.split import settles
from foreproof.core.view import Database
from foreproof.engine.cutoff import latest_cutoff
from foreproof.engine.evaluate import Standing, Y, evaluate, standing
from foreproof.errors import PlanError

RUN, SCORED = "run", "scored"
_MARKS = ("_plan", "_data")


@dataclass(frozen=True, slots=True)
class Watch:
    """How a project's served predictions stand.

    scored: predictions with a known outcome. waiting: those whose time has not come. due: those whose time has come, without an
    outcome yet. last: when outcomes were last scored. words: all of it in sentences.
    """

    scored: int
    waiting: int
    due: int
    last: datetime | None
    standing: Standing
    terms: Monitor
    words: tuple[str, ...]
    rows: pl.DataFrame = field(repr=False)


def score_outcomes(project: Project) -> dict[str, int]:
    """Join every served run's predictions with the lake as it is now, and keep what is new; return rows added, by run.

    Runs whose files are gone, or whose own code has changed, are left out. The same call again adds nothing.
    """
    database = project.database()
    before, added = evaluations(project), {}
    for run in served_runs(project):
        own, said = _own_plan(project, run), predictions(project, run)
        if own is None or said is None:
            continue
        truth = _truth(own, database, _cutoffs(said))
        found = evaluate(_timed(own, said), truth).with_columns(pl.lit(run).alias(RUN))
        new = _news(found, before, entity=own.science.task.entity)
        if new.is_empty():
            continue
        data = digest_frame(new, keys=[*own.science.task.entity, CUTOFF, STEP])
        stamped = new.with_columns(literal(project.settings.now()).alias(SCORED))
        added[run] = project.shelf.keep(EVALUATIONS, stamped.sort(CUTOFF, maintain_order=True), plan=run, data=data)
    return added


def evaluations(project: Project) -> pl.DataFrame | None:
    """What is kept, each prediction once, by its newest scoring; None before anything was."""
    dataset = project.shelf.dataset(EVALUATIONS)
    if dataset is None:
        return None
    found = pl.from_arrow(dataset.to_table())
    assert isinstance(found, pl.DataFrame)
    key = [*project.science.task.entity, RUN, CUTOFF, STEP]
    newest = found.drop(_MARKS, strict=False).sort(SCORED).unique(key, keep="last", maintain_order=True)
    return newest.sort([CUTOFF, RUN, *project.science.task.entity, STEP])


def served_runs(project: Project) -> list[str]:
    """Every run that was ever served, in the order in which the log says so."""
    leaves = (decode_leaf(leaf) for leaf in project.catalog.leaves())
    return list(dict.fromkeys(str(one["body"]["run"]) for one in leaves if one["kind"] == "serve"))


def predictions(project: Project, run: str) -> pl.DataFrame | None:
    """What a run predicted at its last cutoff; None where its files are gone."""
    folder = _folder(project, run)
    name = "forecast" if project.plan.workload == "forecast" else "chances"
    path = folder / "tables" / f"{name}.parquet"
    if not path.is_file():
        return None
    rows = pl.read_parquet(path, memory_map=False)
    return rows.filter(pl.col(CUTOFF) == pl.col(CUTOFF).max())


def watch(project: Project) -> Watch:
    """What is known of the served predictions, as of the last scoring of outcomes."""
    found, now = evaluations(project), project.settings.now()
    terms = project.science.monitor
    waiting, due = _open(project, found, now)
    rows = pl.DataFrame() if found is None else found
    stands = standing(rows, terms, usual_wape=_usual(project, rows)) if rows.height else _nothing()
    last = None if found is None or found.is_empty() else _instant(found[SCORED].max())
    said = _words(rows.height, waiting, due, stands, terms)
    return Watch(rows.height, waiting, due, last, stands, terms, said, rows)


def _words(scored: int, waiting: int, due: int, stands: Standing, terms: Monitor) -> tuple[str, ...]:
    said = []
    if not scored:
        said.append("No outcome is known yet of what was served.")
    elif stands.scored < terms.least:
        said.append(f"{stands.scored} outcomes are known; {terms.least} are needed before anything is said about them.")
    elif not stands.alerts:
        said.append(f"{stands.scored} outcomes are known, and all is within its thresholds.")
    if waiting:
        said.append(f"{waiting} predictions wait for their time to come.")
    if due:
        said.append(f"{due} predictions have had their time, and no outcome was scored: load new facts, then score.")
    return (*stands.alerts, *said)


def _nothing() -> Standing:
    return Standing(0, {}, pl.DataFrame(), pl.DataFrame(), ())


def _own_plan(project: Project, run: str) -> Project | None:
    """The project under the plan that a run was made by; None where its files are gone, or its code is another one now."""
    path = _folder(project, run) / "plan_resolved.yaml"
    if not path.is_file():
        return None
    try:
        plan = with_code(parse_plan(path.read_text(encoding="utf-8")), project.folder)
    except PlanError:
        return None
    return Project(project.folder, plan, project.settings) if plan.digest != project.plan.digest else project


def _truth(own: Project, database: Database, cutoffs: list[Moment]) -> pl.DataFrame:
    """What happened after each cutoff, as the lake knows it now: whole periods, and labels that have settled there."""
    latest = latest_cutoff(replace(own.science, cutoff="latest"), database)
    task = own.science.task
    found = task.panel(database).labels(cutoffs)
    if found.is_empty():
        return found
    done = settles(task.series.grid, tick_values(found[CUTOFF]), found[STEP].to_numpy(), delay=task.delay)
    return found.filter(pl.Series(done <= ticks(latest)))


def _news(found: pl.DataFrame, before: pl.DataFrame | None, *, entity: tuple[str, ...]) -> pl.DataFrame:
    """The rows that are not kept yet, or with another outcome."""
    if before is None:
        return found
    return found.join(before, on=[*entity, RUN, CUTOFF, STEP, Y], how="anti", maintain_order="left")


def _open(project: Project, found: pl.DataFrame | None, now: datetime) -> tuple[int, int]:
    """How many served predictions have no outcome: those whose time has not come, and those whose time has."""
    waiting = due = 0
    grid = project.science.task.series.grid
    for run in served_runs(project):
        rows = predictions(project, run)
        if rows is None:
            continue
        if LEVEL in rows.columns:
            first = rows[LEVEL][0]
            rows = rows.filter(pl.col(LEVEL).is_null() if first is None else pl.col(LEVEL) == first)
        if found is not None:
            key = [*project.science.task.entity, CUTOFF, STEP]
            done = found.filter(pl.col(RUN) == run)
            rows = rows.join(done, on=key, how="anti")
        if grid.integer:
            waiting += rows.height
            continue
        ends = grid.shift(tick_values(rows[CUTOFF]), rows[STEP].to_numpy())
        late = int((ends <= ticks(now)).sum())
        due, waiting = due + late, waiting + rows.height - late
    return waiting, due


def _usual(project: Project, rows: pl.DataFrame) -> float | None:
    """The WAPE that the newest of these runs had in its backtest."""
    newest = rows.filter(pl.col(CUTOFF) == pl.col(CUTOFF).max())[RUN][-1]
    path = _folder(project, str(newest)) / "manifest.json"
    if not path.is_file():
        return None
    scores: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["scores"]
    return scores.get("wape")


def _folder(project: Project, run: str) -> Path:
    """Where a run's files are: beside the others, or only as the copy that is served."""
    folder = project.runs / run
    return folder if folder.is_dir() else project.folder / "served" / run


def _timed(own: Project, said: pl.DataFrame) -> pl.DataFrame:
    """The predictions with `at`: the moment that each speaks of, or up to which."""
    grid = own.science.task.series.grid
    ends = grid.shift(tick_values(said[CUTOFF]), said[STEP].to_numpy())
    return said.with_columns(time_column("at", ends, integer=grid.integer))


def _cutoffs(rows: pl.DataFrame) -> list[Moment]:
    integer = is_integer(rows[CUTOFF])
    return [moment(tick, integer=integer) for tick in tick_values(rows[CUTOFF].unique().sort())]


def _instant(value: Any) -> datetime | None:
    return value.astimezone(UTC) if isinstance(value, datetime) else None


__all__ = [
    "RUN",
    "SCORED",
    "Watch",
    "evaluations",
    "predictions",
    "score_outcomes",
    "served_runs",
    "watch",
]
