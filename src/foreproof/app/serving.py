"""What is served: a copy of the last proven run, and a pointer to it that moves in one piece.

A run that fails its proof never replaces it, and `restore` makes an earlier proven run the served one again. Only `override`
serves a run without a passing proof, by somebody's name and for a reason, which then stand beside every answer. Each move is
a leaf of the log.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from foreproof.app.history import manifest, verify
from foreproof.app.project import Project
from foreproof.app.stages import STAGES
from foreproof.core.log import decode_leaf
from foreproof.errors import BadInput, IntegrityError

_POINTER = "current.json"


def served(project: Project) -> Mapping[str, Any] | None:
    """`run`, `previous`, `by` (run | restore | override), `since`, `leaf`, and of an override `name` and `reason`.

    None before the first run that was served.
    """
    path = _folder(project) / _POINTER
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def snapshot(project: Project) -> Path | None:
    """The folder of the served run's files: a copy, which outlives the run's own folder."""
    now = served(project)
    return _folder(project) / str(now["run"]) if now else None


def promote(project: Project, run_id: str, *, by: str, override: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """Copy a run's files, log the move, then point to them; the run served before stays beside it, older ones go.

    override: `name` and `reason` of who serves a run without a passing proof. A call that was killed leaves the pointer where
    it was; where its leaf is in the log already, the next such call moves the pointer to that leaf.
    """
    folder = _folder(project)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        before = served(project)
        if not _copied(project, run_id):
            draft = folder / f".{run_id}.draft"
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(project.runs / run_id, draft)
            put(draft, folder / run_id)
        previous = _previous(before, run_id)
        said = dict(override or {})
        body = {"run": run_id, "previous": previous, "by": by, **said}
        leaf = _unfinished(project, body, before)
        if leaf is None:
            leaf = project.ledger.append("serve", body)
        project.ledger.checkpoint()
        since = project.settings.now().isoformat()
        pointer = {"run": run_id, "previous": previous, "by": by, "since": since, "leaf": leaf, **said}
        beside = folder / f".{_POINTER}"
        beside.write_text(json.dumps(pointer, indent=2) + "\n", encoding="utf-8")
        os.replace(beside, folder / _POINTER)
        for old in folder.iterdir():
            if old.is_dir() and old.name not in (run_id, previous):
                shutil.rmtree(old, ignore_errors=True)
    return pointer


def put(draft: Path, folder: Path) -> None:
    """Put a folder in the place of another one; whoever reads meets the old one or the new one, but for a moment between."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def restore(project: Project, run_id: str) -> Mapping[str, Any]:
    """Make an earlier run the served one again, after its files were found to be as logged.

    Raises BadInput for a run that is unknown, ended early or is not proven, IntegrityError where a file is not as logged.
    """
    found = manifest(project, run_id)
    name = str(found["run"])
    if found["status"] != "proven":
        raise BadInput(
            f"run {name}",
            found=f"status {found['status']}",
            wanted="a proven run",
            fix="foreproof runs list shows which runs are; `runs override` serves another one by your name",
        )
    return _as_logged(project, name, by="restore")


def override(project: Project, run_id: str, *, name: str, reason: str) -> Mapping[str, Any]:
    """Serve a run that is not proven, by somebody's name and for a reason; both are in the log and beside every answer.

    Raises BadInput without a name or a reason, for a run that is proven (nothing to override), ended early, or predicted nothing;
    IntegrityError where a file is not as logged.
    """
    for what, words in (("name", name), ("reason", reason)):
        if not words.strip():
            raise BadInput(
                f"override: {what}", found="nothing", wanted="who answers for it, and why", fix=f"--{what} TEXT"
            )
    found = manifest(project, run_id)
    run = str(found["run"])
    if found["status"] not in ("failed", "not proven") or found["stage"] != STAGES[-1]:
        raise BadInput(
            f"run {run}",
            found=f"status {found['status']} at stage {found['stage']}",
            wanted="a whole run whose proof failed or is open",
            fix="a proven run is served by `runs restore`; one that stopped early has nothing to serve",
        )
    if found.get("planted"):
        raise BadInput(
            f"run {run}",
            found=f"a leak planted on purpose: {found['planted']}",
            wanted="a run without one",
            fix="foreproof run",
        )
    left = [str(one["name"]) for one in found["verdicts"] if one["evidence"].get("ran") is False]
    if left:
        raise BadInput(
            f"run {run}",
            found=f"checks that did not run: {', '.join(left)}",
            wanted="a run of the whole gauntlet: what was left out cannot be answered for",
            fix="take proof.off and proof.only out of the plan, and run again",
        )
    return _as_logged(project, run, by="override", said={"name": name.strip(), "reason": reason.strip()})


def served_words(pointer: Mapping[str, Any] | None) -> str:
    """What to say beside an answer: nothing of a proven run, who overrode the proof and why of another."""
    if pointer is None or pointer["by"] != "override":
        return ""
    return (
        f"served without a passing proof: {pointer['name']} overrode it ({pointer['reason']}), leaf {pointer['leaf']}"
    )


def _as_logged(project: Project, name: str, *, by: str, said: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """Promote a run after its files were found to be as logged."""
    if not (project.runs / name).is_dir() and (_folder(project) / name).is_dir():
        shutil.copytree(_folder(project) / name, project.runs / name)
    faults = verify(project, run=name)
    if faults:
        raise IntegrityError(f"run {name}", found=faults[0], fix="choose a run whose files are as logged")
    return promote(project, name, by=by, override=said)


def _copied(project: Project, run_id: str) -> bool:
    """Whether the files of a run are served from a whole copy already: one that is pointed to is not touched for nothing."""
    ours, copy = ((folder / run_id / "manifest.json") for folder in (project.runs, _folder(project)))
    return copy.is_file() and copy.read_bytes() == ours.read_bytes()


def _unfinished(project: Project, body: Mapping[str, Any], before: Mapping[str, Any] | None) -> int | None:
    """The leaf of this very move, logged by a call that was killed before it moved the pointer."""
    start = 0 if before is None else int(before["leaf"]) + 1
    for number, leaf in reversed(list(enumerate(project.catalog.leaves(start), start=start))):
        said = decode_leaf(leaf)
        if said["kind"] == "serve":
            return number if said["body"] == body else None
    return None


def _previous(before: Mapping[str, Any] | None, run_id: str) -> str:
    """What was served before; the same run served again keeps its own."""
    if before is None:
        return ""
    return str(before["previous"] if before["run"] == run_id else before["run"])


def _folder(project: Project) -> Path:
    return project.folder / "served"


__all__ = ["override", "promote", "put", "restore", "served", "served_words", "snapshot"]
