"""What each step of a job does to its project. Any can be made again: what it had done is found, not done twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app import scenarios, serving
from foreproof.app.evaluations import score_outcomes, watch
from foreproof.app.history import manifest, manifests
from foreproof.app.home import Place
from foreproof.app.jobs.kinds import STEPS
from foreproof.app.project import Project
from foreproof.app.runner import execute
from foreproof.app.settle import recorded
from foreproof.app.stages import STAGES, Work
from foreproof.app.stages_pairs import pipeline
from foreproof.core.ports import Progress
from foreproof.core.predict import CUTOFF, LEVEL
from foreproof.engine.scenario import words_of
from foreproof.errors import BadInput

_RECORDED = {"load": "load", "features": "features", "train": "train", "backtest": "backtest", "prove": STAGES[-1]}
"""Up to which stage a step goes that records a run."""
_WARMED = {"load": "load", "train": "backtest"}
"""Up to which stage a step goes that prepares another one of its job."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A step of a job at a place."""

    place: Place
    job: str
    kind: str
    step: str
    request: Mapping[str, Any]

    @property
    def tag(self) -> str:
        """By what the job's run is found again."""
        return f"job {self.job}"


def do_step(asked: Asked, progress: Progress) -> dict[str, Any]:
    """Do one step and say what came of it, as plain values. Raises ForeproofError."""
    project = asked.place.project()
    match asked.step:
        case "publish":
            return _publish(project, asked)
        case "score_outcomes":
            return _scored(project, progress)
        case "scenario":
            return _scenario(project, asked, progress)
        case _:
            last = asked.step == _last_recorded(asked.kind)
            return _recorded(project, asked, progress) if last else _warmed(project, asked, progress)


def _last_recorded(kind: str) -> str:
    """The step of a kind that leaves a run: a job leaves one."""
    return [step for step in STEPS[kind] if step in _RECORDED][-1]


def _warmed(project: Project, asked: Asked, progress: Progress) -> dict[str, Any]:
    """Do the work of some stages without recording it: facts go into the lake, fits into the project's finished steps."""
    work = Work(project, progress)
    for stage in STAGES[: STAGES.index(_WARMED[asked.step]) + 1]:
        work = pipeline(project)[stage](work)
    return {"loads": [dict(one) for one in work.loads]} if asked.step == "load" else {"cutoff": str(work.cutoff)}


def _recorded(project: Project, asked: Asked, progress: Progress) -> dict[str, Any]:
    """Record a run, once: a job that was killed after its run was logged finds it."""
    found = recorded(project, asked.tag)
    if found is None:
        outcome = execute(project, progress=progress, until=_RECORDED[asked.step], tag=asked.tag, publish=False)
        if outcome.error is not None:
            raise outcome.error
        if outcome.work.problems:
            raise outcome.work.problems[0]
        found = manifest(project, outcome.run.id)
    return {**_said(found), "predicted": _predicted(project.runs / str(found["run"]))}


def _said(found: Mapping[str, Any]) -> dict[str, Any]:
    verdicts: dict[str, int] = {}
    for verdict in found["verdicts"]:
        verdicts[verdict["outcome"]] = verdicts.get(verdict["outcome"], 0) + 1
    kept = {name: found[name] for name in ("run", "status", "stage", "cutoff", "scores", "loads")}
    return {**kept, "verdicts": verdicts}


def _predicted(folder: Path) -> int:
    """How many predictions a run made at its last cutoff, each of all its levels."""
    for name, columns in (("forecast", [LEVEL]), ("chances", [CUTOFF])):
        path = folder / "tables" / f"{name}.parquet"
        if path.is_file():
            rows = pl.read_parquet(path, columns=columns, memory_map=False)
            one = rows[CUTOFF].max() if name == "chances" else rows[LEVEL][0]
            return rows.filter(pl.col(columns[0]).eq_missing(pl.lit(one, dtype=rows.schema[columns[0]]))).height
    return 0


def _publish(project: Project, asked: Asked) -> dict[str, Any]:
    """Serve the run that was asked for, the job's own, or the newest whole one; only a proven one is.

    A whole job ends well where its proof fails: what is served stays. A job that was asked to publish fails.
    """
    run = str(asked.request.get("run") or "")
    if asked.kind == "run":
        found: Mapping[str, Any] | None = recorded(project, asked.tag)
    elif run:
        found = manifest(project, run)
    else:
        whole = [one for one in manifests(project) if one["stage"] == STAGES[-1] and not str(one["error"] or "")]
        found = whole[-1] if whole else None
    if found is None:
        raise BadInput(
            f"job {asked.job}", found="no run to publish", wanted="a whole run", fix="ask for a job of kind run"
        )
    name, now = str(found["run"]), serving.served(project)
    if found["status"] == "proven" and not (now and now["run"] == name and _same(project, name)):
        if asked.kind == "run":
            serving.promote(project, name, by="run")
        else:
            serving.restore(project, name)
    elif found["status"] != "proven" and asked.kind != "run":
        serving.restore(project, name)  # refuses, in its own words
    after = serving.served(project)
    return {**_said(found), "served": bool(after and after["run"] == name), "pointer": after}


def _scored(project: Project, progress: Progress) -> dict[str, Any]:
    progress.stage("score outcomes", 1)
    added = score_outcomes(project)
    progress.advance(1)
    now = watch(project)
    return {
        "rows": sum(added.values()),
        "runs": added,
        "waiting": now.waiting,
        "due": now.due,
        "words": list(now.words),
    }


def _same(project: Project, run: str) -> bool:
    """Whether what is served of a run is what is recorded of it."""
    served = serving.snapshot(project)
    if served is None:
        return False
    return (served / "manifest.json").read_bytes() == (project.runs / run / "manifest.json").read_bytes()


def _scenario(project: Project, asked: Asked, progress: Progress) -> dict[str, Any]:
    price = asked.request.get("price")
    found, page = scenarios.run(project, str(asked.request["name"]), price=price, progress=progress)
    currency = project.forecast.ordering.currency if project.forecast.ordering else "money"
    words = words_of(found, currency=currency)
    return {"name": asked.request["name"], "words": list(words), "page": str(page.relative_to(project.folder))}


__all__ = ["Asked", "do_step"]
