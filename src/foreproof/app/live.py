"""Rows as they were scored live: what earlier runs of the same plan served from, held against the replay of their cutoffs now.

A row that has changed since was made from facts that were not there yet, whatever their clocks say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from foreproof.core.clock import Moment

if TYPE_CHECKING:
    from foreproof.app.project import Project


def live_runs(project: Project, cutoffs: Sequence[Moment]) -> tuple[str, ...]:
    """Judged runs of the same plan whose last cutoff is one of these; the oldest of each, as what was known first."""
    wanted, found = {str(cutoff) for cutoff in cutoffs}, dict[str, str]()
    for record in project.catalog.runs():
        said, cutoff = record.manifest, str(record.manifest.get("cutoff"))
        same = said.get("plan") == project.plan.digest and said.get("scores") and cutoff in wanted
        if same and _rows(project, record.run_id).is_file():
            found.setdefault(cutoff, record.run_id)
    return tuple(found.values())


def live_rows(project: Project, runs: Sequence[str]) -> pl.DataFrame | None:
    """The rows that these runs made at their last cutoffs; None without runs whose rows are still there."""
    found = [pl.read_parquet(path, memory_map=False) for run in runs if (path := _rows(project, run)).is_file()]
    return pl.concat(found, how="diagonal_relaxed") if found else None


def _rows(project: Project, run: str) -> Path:
    return project.runs / run / "tables" / "features.parquet"


__all__ = ["live_rows", "live_runs"]
