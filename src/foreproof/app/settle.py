"""End what a killed process had begun: a run whose leaf is in the log gets its folder and its record, and is logged once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from foreproof.app.project import Project
from foreproof.app.runner import finish
from foreproof.core.digest import digest_bytes
from foreproof.core.log import decode_leaf

_MANIFEST = "manifest.json"


def settle(project: Project) -> list[str]:
    """Finish each draft of a run that the log names, and remove the others; a draft that somebody works on is left alone.

    Returns the ids of the runs that were finished.
    """
    found = []
    for draft in sorted(project.runs.glob(".*.draft")):
        name = draft.name.removeprefix(".").removesuffix(".draft")
        try:
            with FileLock(project.runs / f".{name}.lock", timeout=0):
                if not draft.is_dir():
                    continue
                manifest = _logged(project, draft)
                if manifest is None:
                    shutil.rmtree(draft, ignore_errors=True)
                else:
                    finish(project, draft, manifest)
                    found.append(name)
        except Timeout:
            continue
    return found


def recorded(project: Project, tag: str) -> Mapping[str, Any] | None:
    """The manifest of the whole or partial run that was recorded under a tag, or None; what was killed is settled first.

    A run that is in the log and in its folder, and whose record a kill prevented, gets its record.
    """
    settle(project)
    for folder in sorted(project.runs.glob("*")):
        manifest = _read(folder)
        if manifest is not None and manifest.get("tag") == tag and _logged(project, folder) is not None:
            if not any(one.manifest == manifest for one in project.catalog.runs()):
                finish(project, folder, manifest)
            return manifest
    return None


def _logged(project: Project, folder: Path) -> Mapping[str, Any] | None:
    """A folder's manifest where the newest leaf of its run names exactly these bytes."""
    manifest = _read(folder)
    if manifest is None:
        return None
    digest = digest_bytes((folder / _MANIFEST).read_bytes())
    for leaf in reversed(project.catalog.leaves()):
        said = decode_leaf(leaf)
        if said["kind"] == "run" and said["body"].get("run") == manifest["run"]:
            return manifest if said["body"]["artefacts"].get(_MANIFEST) == digest else None
    return None


def _read(folder: Path) -> Mapping[str, Any] | None:
    try:
        found = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


__all__ = ["recorded", "settle"]
