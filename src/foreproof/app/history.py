"""Earlier runs: what they were, whether their files are as logged, and the same again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from foreproof.adapters.steps import Steps
from foreproof.adapters.tracking import mirror
from foreproof.app import artefacts
from foreproof.app.project import Project, recorded_plan
from foreproof.app.stages import STAGES, Work
from foreproof.app.stages_pairs import pipeline
from foreproof.core.log import ConsistencyProof, InclusionProof
from foreproof.core.plan import flat, parse_plan
from foreproof.core.ports import Progress
from foreproof.errors import BadInput, IntegrityError

# MLflow retries for minutes by default, but a mirror must not hold up a run; and it prints an address for each run.
_MLFLOW = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def manifests(project: Project) -> list[Mapping[str, Any]]:
    """The manifests of all runs, oldest first."""
    return [record.manifest for record in project.catalog.runs()]


def manifest(project: Project, run_id: str) -> Mapping[str, Any]:
    """The manifest of one run, by its id or the beginning of it."""
    found = [one for one in manifests(project) if str(one["run"]).startswith(run_id)]
    if len(found) != 1:
        ids = ", ".join(str(one["run"]) for one in manifests(project)) or "none yet"
        raise BadInput(f"run {run_id}", found=f"{len(found)} such runs", wanted=f"one of: {ids}")
    return found[0]


def table(project: Project, run_id: str, name: str) -> pl.DataFrame:
    """One table of a recorded run; of the newest whole run that has it where no id is given."""
    chosen = [manifest(project, run_id)] if run_id else list(reversed(manifests(project)))
    for one in chosen:
        path = project.runs / str(one["run"]) / "tables" / f"{name}.parquet"
        if path.is_file():
            return pl.read_parquet(path)
    raise BadInput(
        f"run {run_id or 'newest'}",
        found=f"no table {name}",
        wanted="a run that made orders with costs on both sides",
        fix="add decision: with short and over to the plan, then `foreproof run`",
    )


def verify(project: Project, *, run: str = "", checkpoints: Sequence[Path] = ()) -> list[str]:
    """What does not hold in the log, in any checkpoint, or in a run's files, in words; empty where all does."""
    ids = [str(manifest(project, run)["run"])] if run else [str(one["run"]) for one in manifests(project)]
    external = [(str(path), _text(path)) for path in checkpoints]
    external += [(f"runs/{i}/checkpoint.txt", _text(project.runs / i / "checkpoint.txt")) for i in ids]
    found = [str(fault) for fault in project.ledger.verify(external=external)]
    for one in ids:
        found += [str(fault) for fault in project.ledger.verify(run=project.runs / one)]
    return list(dict.fromkeys(found))


def repeat(project: Project, run_id: str, *, progress: Progress) -> dict[str, tuple[str, str]]:
    """Make a run again from its logged plan and data versions, nothing cached: name -> (digest then, digest now)."""
    before = manifest(project, run_id)
    faults = verify(project, run=str(before["run"]))
    if faults:
        raise IntegrityError(f"run {before['run']}", found=faults[0], fix="repeat a run whose files are as logged")
    again = Project(project.folder, recorded_plan(project, str(before["run"])), project.settings)
    database = again.database(before["versions"])
    with TemporaryDirectory() as empty:
        again.__dict__["steps"] = Steps(Path(empty))
        work = Work(
            again,
            progress,
            database=database,
            data=before["data"],
            versions=before["versions"],
            looks=before["looks"],
            live=tuple(before.get("live", ())),
        )
        for stage in STAGES[STAGES.index("features") : STAGES.index(str(before["stage"])) + 1]:
            work = pipeline(work.project)[stage](work)
    tables = artefacts.tables_of(work)
    now = artefacts.canonical_digests(work, tables, artefacts.metrics_of(work))
    then: Mapping[str, str] = before["digests"]
    return {name: (then.get(name, "absent"), now.get(name, "absent")) for name in sorted({*then, *now})}


def mirror_run(project: Project, run_id: str) -> str:
    """Write a recorded run to MLflow, as the settings name it; return MLflow's id. Again changes nothing but what differs."""
    if not project.settings.mlflow:
        raise BadInput("FOREPROOF_MLFLOW", found="not set", wanted="a tracking URI", fix="set it, then run this again")
    for name, value in _MLFLOW.items():
        os.environ.setdefault(name, value)
    found = manifest(project, run_id)
    folder = project.runs / str(found["run"])
    plan = parse_plan((folder / "plan_resolved.yaml").read_text(encoding="utf-8"))
    return mirror(project.settings.mlflow, found, folder, parameters=flat(plan.values))


def proof_text(proof: InclusionProof | ConsistencyProof) -> str:
    """A proof as JSON."""
    return json.dumps(proof.as_dict(), indent=2)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(str(path), found=f"{error.strerror}", wanted="a signed checkpoint") from None


__all__ = ["manifest", "manifests", "mirror_run", "proof_text", "repeat", "table", "verify"]
