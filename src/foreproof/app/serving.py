"""What is served: a copy of the last proven run, and a pointer to it that moves in one piece.

A run that fails its proof never replaces it, and `restore` makes an earlier proven run the served one again. Each move is a
leaf of the log.
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
from foreproof.errors import BadInput, IntegrityError

_POINTER = "current.json"


def served(project: Project) -> Mapping[str, Any] | None:
    """`run`, `previous`, `by` (run | restore), `since`, `leaf`; None before the first proven run."""
    path = _folder(project) / _POINTER
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def snapshot(project: Project) -> Path | None:
    """The folder of the served run's files: a copy, which outlives the run's own folder."""
    now = served(project)
    return _folder(project) / str(now["run"]) if now else None


def promote(project: Project, run_id: str, *, by: str) -> Mapping[str, Any]:
    """Copy a run's files, log the move, then point to them; the run served before stays beside it, older ones go.

    A call that was killed leaves the pointer where it was.
    """
    folder = _folder(project)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        before = served(project)
        draft = folder / f".{run_id}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(project.runs / run_id, draft)
        shutil.rmtree(folder / run_id, ignore_errors=True)
        draft.rename(folder / run_id)
        previous = _previous(before, run_id)
        leaf = project.ledger.append("serve", {"run": run_id, "previous": previous, "by": by})
        project.ledger.checkpoint()
        since = project.settings.now().isoformat()
        pointer = {"run": run_id, "previous": previous, "by": by, "since": since, "leaf": leaf}
        beside = folder / f".{_POINTER}"
        beside.write_text(json.dumps(pointer, indent=2) + "\n", encoding="utf-8")
        os.replace(beside, folder / _POINTER)
        for old in folder.iterdir():
            if old.is_dir() and old.name not in (run_id, previous):
                shutil.rmtree(old, ignore_errors=True)
    return pointer


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
            fix="foreproof runs list shows which runs are",
        )
    if not (project.runs / name).is_dir() and (_folder(project) / name).is_dir():
        shutil.copytree(_folder(project) / name, project.runs / name)
    faults = verify(project, run=name)
    if faults:
        raise IntegrityError(f"run {name}", found=faults[0], fix="restore a run whose files are as logged")
    return promote(project, name, by="restore")


def _previous(before: Mapping[str, Any] | None, run_id: str) -> str:
    """What was served before; the same run served again keeps its own."""
    if before is None:
        return ""
    return str(before["previous"] if before["run"] == run_id else before["run"])


def _folder(project: Project) -> Path:
    return project.folder / "served"


__all__ = ["promote", "restore", "served", "snapshot"]
