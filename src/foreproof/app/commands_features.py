"""What `foreproof features` does and prints beside the stage of that name."""

from __future__ import annotations

from pathlib import Path

from foreproof.app.commands import out
from foreproof.app.project import open_project
from foreproof.app.registry import feature_lines, write_features


def list_features(folder: Path, *, write: Path | None, horizon: int | None) -> None:
    """Print each feature of the plan, or write those that it declares into a file of the project."""
    project = open_project(folder).having(horizon=horizon)
    if write is None:
        for line in feature_lines(project):
            out.print(line, markup=False)
        return
    path = write_features(project, write if write.is_absolute() else folder / write)
    out.print(f"wrote {path}; name it in the plan: features: {write}", markup=False)


__all__ = ["list_features"]
