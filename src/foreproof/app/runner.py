"""Run a plan through its stages and leave a folder that can be checked: also when it fails.

Stages are values in, values out; what they cost is in content-addressed steps, so a run that was killed goes on where it
stopped. One function, `_record`, saves, and `finish` ends what it had logged when it was killed.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from filelock import FileLock

from foreproof.adapters.catalog import RunRecord
from foreproof.app import artefacts
from foreproof.app.cards import write_cards
from foreproof.app.history import mirror_run
from foreproof.app.keeping import keep_rows
from foreproof.app.page import write_page
from foreproof.app.page_pairs import write_pairs_page
from foreproof.app.page_proof import write_proof
from foreproof.app.project import Project
from foreproof.app.serving import promote, put
from foreproof.app.stages import STAGES, Work
from foreproof.app.stages_pairs import pipeline
from foreproof.core.digest import digest_bytes
from foreproof.core.log import split_checkpoint
from foreproof.core.ports import Clock, Progress
from foreproof.core.preflight import write_preflight
from foreproof.core.run import Artefact, Environment, Run, Status, run_id, verdict_status
from foreproof.errors import BadInput, ForeproofError, LawError

PROOF_FILES = frozenset({"leaves.jsonl", "checkpoint.txt"})
"""Written after the run's leaf: they prove themselves, so the leaf does not name them."""
_LIBRARIES = ("polars", "pyarrow", "numpy", "deltalake", "statsforecast", "lightgbm")


@dataclass(frozen=True)
class Outcome:
    """A run that ended: its record, its folder, what it made, and the error that ended it early."""

    run: Run
    folder: Path
    work: Work
    error: ForeproofError | None = None
    warnings: tuple[str, ...] = ()

    @property
    def page(self) -> Path:
        """The page to open."""
        return self.folder / "index.html"


@dataclass
class _Diary:
    """What was asked, and what happened when: `logs.jsonl`."""

    clock: Clock
    tag: str
    parent: str
    until: str
    publish: bool = True
    stage: str = ""
    lines: list[dict[str, Any]] = field(default_factory=list)

    def note(self, event: str, **values: Any) -> None:
        self.lines.append({"at": self.clock().isoformat(), "event": event, "stage": self.stage, **values})

    def read(self, work: Work) -> None:
        """Which sources were read, a line each with the number of its batches and what there is to know about them."""
        for (table, source, note), count in Counter((one.table, one.source, one.note) for one in work.reads).items():
            self.note("read", table=table, source=source, batches=count, **({"note": note} if note else {}))

    def write(self, path: Path) -> None:
        path.write_text("".join(json.dumps(line, default=str) + "\n" for line in self.lines), encoding="utf-8")


def execute(
    project: Project,
    *,
    progress: Progress,
    until: str = STAGES[-1],
    tag: str = "",
    parent: str = "",
    publish: bool = True,
) -> Outcome:
    """Run the stages up to and with `until`, and record what came of it. A user's error is recorded, then returned.

    publish: serve a whole run that is proven.
    """
    diary = _Diary(project.settings.now, tag, parent, until, publish)
    diary.note("start", plan=project.plan.digest)
    work = Work(project, progress)
    for stage in STAGES[: STAGES.index(until) + 1]:
        diary.stage = stage
        cpu, wall = time.process_time(), time.monotonic()
        try:
            work = pipeline(project)[stage](work)
        except ForeproofError as error:
            diary.note("error", **error.as_dict())
            return _record(work, diary, error)
        except Exception as error:
            diary.note("broken", error=repr(error), trace=traceback.format_exc())
            _record(
                work, diary, ForeproofError(stage, found=repr(error), fix="see logs.jsonl; this is a fault of ours")
            )
            raise
        if stage == "check":
            diary.read(work)
        diary.note("done", cpu_seconds=round(time.process_time() - cpu, 3), seconds=round(time.monotonic() - wall, 3))
    try:
        if kept := keep_rows(work):
            diary.note("kept", **kept)
    except ForeproofError as error:
        diary.note("error", **error.as_dict())
        return _record(work, diary, error)
    return _record(work, diary, None)


def _record(work: Work, diary: _Diary, error: ForeproofError | None) -> Outcome:
    """Write the run's folder, name every file in a leaf of the log, sign, and keep the record."""
    project = work.project
    run = _run(work, diary, error)
    folder = project.runs / run.id
    project.runs.mkdir(parents=True, exist_ok=True)
    # Two runs of the same plan on the same data share a folder: the second one waits, and writes the same.
    with FileLock(project.runs / f".{run.id}.lock"):
        draft = project.runs / f".{run.id}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        digests = _write(run, work, diary, draft)
        named = artefacts.digests_of(draft, but=PROOF_FILES)
        run = replace(run, artefacts=[Artefact(path, digest) for path, digest in named.items()])
        manifest = {"run": run.id, **run.as_dict(), "digests": digests, "loads": [dict(one) for one in work.loads]}
        manifest["planted"] = planted_in(work) if work.verdicts else ""
        manifest["looks"] = work.looks
        manifest["live"] = list(work.live)
        manifest["versions"] = {name: project.lake.version(name) for name in work.data}
        artefacts.write_json(manifest, draft / "manifest.json")
        named["manifest.json"] = digest_bytes((draft / "manifest.json").read_bytes())
        body = {"run": run.id, "plan": run.plan, "status": run.status, "digests": digests, "artefacts": named}
        project.ledger.append("run", body)
        finish(project, draft, manifest)
    if run.status == "proven" and diary.until == STAGES[-1] and diary.publish:
        promote(project, run.id, by="run")
    return Outcome(run, folder, work, error, _mirrored(project, run, whole=diary.until == STAGES[-1]))


def finish(project: Project, draft: Path, manifest: Mapping[str, Any]) -> None:
    """Sign the log over a draft whose leaf is in it, put the draft in its place, and keep the record.

    A call that was killed can be made again: each part replaces like with like.
    """
    name = str(manifest["run"])
    folder = project.runs / name
    (draft / "checkpoint.txt").write_text(project.ledger.checkpoint(), encoding="utf-8")
    project.ledger.export(draft / "leaves.jsonl")
    if draft != folder:
        put(draft, folder)
    started = datetime.fromisoformat(str(manifest["started"]))
    status, plan = str(manifest["status"]), str(manifest["plan"])
    project.catalog.save_run(RunRecord(name, status, started, plan, manifest, str(folder / "index.html")))


def _mirrored(project: Project, run: Run, *, whole: bool) -> tuple[str, ...]:
    """Mirror a whole run where the settings say so; a mirror that fails is a warning, not a fault of the run."""
    if not (whole and project.settings.mlflow):
        return ()
    try:
        mirror_run(project, run.id)
    except ForeproofError as error:
        return (str(error),)
    return ()


def _run(work: Work, diary: _Diary, error: ForeproofError | None) -> Run:
    plan = work.project.plan
    named = run_id(plan.digest, work.data, plan.seed)
    return Run(
        # A stage on its own must not take the place of a whole run.
        id=named if diary.until == STAGES[-1] else f"{named}-{diary.until}",
        name=plan.name,
        workload=plan.workload,
        plan=plan.digest,
        data=dict(work.data),
        seed=plan.seed,
        status=_status(work, error),
        started=diary.lines[0]["at"],
        finished=diary.clock().isoformat(),
        environment=environment(),
        tag=diary.tag,
        parent=diary.parent,
        cutoff=str("" if work.cutoff is None else work.cutoff),
        stage=diary.stage,
        scores=artefacts.finite(_scores(work)),
        verdicts=work.verdicts,
        error=error.as_dict() if error else None,
    )


def _scores(work: Work) -> dict[str, float]:
    if work.scored is not None:
        return {name: work.scored.value(name) for name in ("mase", "wape", "owa")}
    if work.judged is not None:
        return {name: work.judged.value(name) for name in ("auc", "capture10", "calibration_mae")}
    return {}


def _write(run: Run, work: Work, diary: _Diary, folder: Path) -> dict[str, str]:
    """Every file but the manifest and the proof; return the canonical digests."""
    tables, metrics = artefacts.tables_of(work), artefacts.metrics_of(work)
    artefacts.write_tables(tables, folder / "tables")
    for path, content in artefacts.models_of(work).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "plan_resolved.yaml").write_text(work.project.plan.text(), encoding="utf-8")
    artefacts.write_json(metrics, folder / "metrics.json")
    artefacts.write_json(write_preflight(list(work.findings)), folder / "preflight.json")
    if work.folds is not None:
        artefacts.write_json(work.folds.manifest, folder / "folds.json")
    (folder / "verify.py").write_bytes(resources.files("foreproof.core").joinpath("verifier.py").read_bytes())
    write = write_page if work.project.plan.workload == "forecast" else write_pairs_page
    write(run, work, tables, folder, head=log_head(work.project))
    write_cards(run, work, folder)
    write_proof(run, work.verdicts, folder, planted=planted_in(work))
    diary.write(folder / "logs.jsonl")
    return artefacts.canonical_digests(work, tables, metrics)


def log_head(project: Project) -> Mapping[str, Any]:
    """Size and root of the log, signed before this run's leaf, and the position that the leaf takes."""
    head, _, _ = split_checkpoint(project.ledger.checkpoint())
    return {"size": head.size, "root": head.root.hex(), "leaf": head.size}


def environment() -> Environment:
    """The commit and lock file of the program, and the machine: recorded, never digested."""
    versions = {name: metadata.version(name) for name in _LIBRARIES if _installed(name)}
    lock = digest_bytes(json.dumps(sorted((d.name, d.version) for d in metadata.distributions())).encode())
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return Environment(_commit(), lock, platform.python_version(), machine, versions)


def _commit() -> str:
    """The commit of a source checkout, else the release."""
    head = Path(__file__).parents[3] / ".git" / "HEAD"
    try:
        text = head.read_text(encoding="utf-8").strip()
        ref = head.parent / text.removeprefix("ref: ")
        return ref.read_text(encoding="utf-8").strip() if text.startswith("ref: ") else text
    except OSError:
        return f"foreproof {metadata.version('foreproof')}"


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _status(work: Work, error: ForeproofError | None) -> Status:
    if error is not None:
        return "refused" if isinstance(error, BadInput | LawError) else "broken"
    status = verdict_status(work.verdicts)
    # An escape of the zoo may pass every check; what it is in is served to nobody all the same.
    return "not proven" if status == "proven" and planted_in(work) else status


def planted_in(work: Work) -> str:
    """The leak that the plan plants on purpose."""
    return work.project.science.proof.plant


__all__ = ["PROOF_FILES", "Outcome", "environment", "execute", "finish", "log_head"]
