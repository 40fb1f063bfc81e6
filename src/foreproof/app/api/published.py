"""What a project serves: its last good run, read once and kept in memory by its digest.

A run that is being made, or that fails its proof, changes nothing here: the pointer in `served/` moves in one piece, and only
to a run that is proven or was overridden by name.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app.home import Place
from foreproof.core.digest import digest_bytes
from foreproof.errors import NotFound

_POINTER = "current.json"


@dataclass(frozen=True)
class Published:
    """One published run: its folder, manifest and pointer; `etag` changes with either of the two, and with nothing else."""

    tenant: str
    project: str
    folder: Path
    manifest: Mapping[str, Any] = field(repr=False)
    pointer: Mapping[str, Any]
    etag: str
    _tables: dict[str, pl.DataFrame] = field(repr=False, default_factory=dict)

    @property
    def run(self) -> str:
        """The run's id."""
        return str(self.manifest["run"])

    @property
    def workload(self) -> str:
        """`forecast` or `propensity`."""
        return str(self.manifest["workload"])

    def table(self, name: str) -> pl.DataFrame:
        """A table of the run, read once. Raises NotFound where the run made none such."""
        found = self._tables.get(name)
        if found is None:
            path = self.folder / "tables" / f"{name}.parquet"
            if not path.is_file():
                raise NotFound(
                    f"table {name}", found=f"run {self.run} made none", fix="GET /api/v1/runs/{run} lists them"
                )
            # Read whole: a mapped file would keep the folder of a run that is no longer served.
            found = pl.read_parquet(path, memory_map=False)
            self._tables[name] = found
        return found

    def provenance(self, now: datetime) -> dict[str, Any]:
        """What stands beside every answer that predicts: run, cutoff, data age in seconds, verdict, and who overrode it."""
        cutoff = str(self.manifest["cutoff"])
        found: dict[str, Any] = {
            "project": self.project,
            "run": self.run,
            "cutoff": cutoff,
            "data_age_seconds": _age(cutoff, now),
            "proof": str(self.manifest["status"]),
            "leaf": self.pointer.get("leaf"),
        }
        if self.pointer.get("by") == "override":
            found["overridden"] = {name: self.pointer[name] for name in ("name", "reason", "since")}
        return found


class Shelves:
    """Published runs by place, read once for each state of the pointer; tables stay in memory for the newest few runs."""

    def __init__(self, *, runs: int = 64) -> None:
        self._kept: OrderedDict[Path, tuple[tuple[int, int], Published]] = OrderedDict()
        self._runs = runs
        self._lock = threading.Lock()

    def published(self, place: Place) -> Published:
        """What a place serves now. Raises NotFound before anything was."""
        path = place.folder / "served" / _POINTER
        try:
            stat = path.stat()
        except FileNotFoundError:
            raise NotFound(
                f"project {place.name}",
                found="nothing is served yet",
                wanted="a run whose proof passed",
                fix='POST /api/v1/jobs {"kind": "run"}, or `foreproof run`',
            ) from None
        state = (stat.st_mtime_ns, stat.st_ino)
        kept = self._kept.get(place.folder)
        if kept is not None and kept[0] == state:
            return kept[1]
        found = _read(place, path)
        with self._lock:
            self._kept[place.folder] = (state, found)
            self._kept.move_to_end(place.folder)
            while len(self._kept) > self._runs:
                self._kept.popitem(last=False)
        return found


def _read(place: Place, path: Path) -> Published:
    text = path.read_bytes()
    pointer = json.loads(text)
    folder = path.parent / str(pointer["run"])
    manifest = (folder / "manifest.json").read_bytes()
    etag = digest_bytes(text + manifest)[:24]
    return Published(place.tenant, place.name, folder, json.loads(manifest), pointer, etag)


def _age(cutoff: str, now: datetime) -> float | None:
    """Seconds since the cutoff; None for a clock of integer steps."""
    try:
        at = datetime.fromisoformat(cutoff)
    except ValueError:
        return None
    return max(0.0, (now - (at if at.tzinfo else at.replace(tzinfo=UTC))).total_seconds())


__all__ = ["Published", "Shelves"]
