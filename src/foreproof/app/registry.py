"""What features a project has, and the file that they are written to."""

from __future__ import annotations

import os
from pathlib import Path

from foreproof.app.project import Project
from foreproof.errors import BadInput
from foreproof.features.declare import Feature
from foreproof.features.registry import described, registry_text


def declared_features(project: Project) -> tuple[Feature, ...]:
    """The features that a project's plan declares, before a policy swaps any."""
    return project.forecast.features if project.plan.workload == "forecast" else project.propensity.declared


def feature_lines(project: Project) -> list[str]:
    """Each feature that is used: its family, window, lag and nearness in steps, and what it reads, as maths."""
    plan = project.science
    return [described(feature.meta(plan.task.horizon)) for feature in plan.features]


def write_features(project: Project, path: Path) -> Path:
    """Write the declared features to a file, whole or not at all; one that is there is refused unless it is a registry."""
    text = registry_text(declared_features(project), horizon=project.science.task.horizon)
    if path.exists() and not (path.is_file() and "features:" in path.read_text(encoding="utf-8", errors="replace")):
        raise BadInput(str(path), found="a file that holds no features", wanted="a new file", fix="choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.half")
    half.write_text(text, encoding="utf-8")
    os.replace(half, path)
    return path


__all__ = ["declared_features", "feature_lines", "write_features"]
