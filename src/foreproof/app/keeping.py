"""What a plan keeps of its runs in the lake, by cutoff: `keep: [features, chances]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from foreproof.app.project import Project
from foreproof.app.stages import Work
from foreproof.core.clock import ticks
from foreproof.core.digest import digest_json
from foreproof.core.plan import KEPT
from foreproof.core.predict import CUTOFF

EVALUATIONS = "evaluations"
"""Where served predictions stand beside their outcomes: see `app.evaluations`."""


def keep_rows(work: Work) -> dict[str, int]:
    """Keep what the plan names of what the finished stages made; return how many rows were new, by name."""
    project, made = work.project, _made(work)
    data = digest_json(dict(work.data))
    return {
        name: project.shelf.keep(name, made[name], plan=project.plan.digest, data=data)
        for name in project.science.keep
        if name in made
    }


def kept_rows(project: Project) -> Mapping[str, Any]:
    """The datasets of what is kept, by name."""
    found = {name: project.shelf.dataset(name) for name in (*KEPT, EVALUATIONS)}
    return {name: dataset for name, dataset in found.items() if dataset is not None}


def _made(work: Work) -> dict[str, pl.DataFrame]:
    """Rows by name, sorted by cutoff and entity."""
    found: dict[str, pl.DataFrame] = {}
    built = work.built or work.final
    if built is not None:
        found["features"] = built.rows
    if work.chances:
        found["chances"] = pl.concat([work.chances[cutoff].rows for cutoff in sorted(work.chances, key=ticks)])
    entity = work.project.science.task.entity
    return {name: frame.sort(CUTOFF, *entity, maintain_order=True) for name, frame in found.items()}


__all__ = ["EVALUATIONS", "keep_rows", "kept_rows"]
