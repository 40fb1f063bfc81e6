"""What `foreproof features` does and prints beside the stage of that name."""

from __future__ import annotations

from pathlib import Path

from foreproof.app.commands import out, run
from foreproof.app.project import open_project
from foreproof.app.registry import feature_lines, write_features


def compile_features(
    folder: Path, *, horizon: int | None, policy: str | None = None, tag: str = "", parent: str = ""
) -> int:
    """The stage, then the list of what it compiled; return the exit code."""
    code = run(folder, until="features", changes={"horizon": horizon, "policy": policy}, tag=tag, parent=parent)
    if code != 2:
        list_features(folder, write=None, horizon=horizon, policy=policy)
    return code


def list_features(folder: Path, *, write: Path | None, horizon: int | None, policy: str | None = None) -> None:
    """Print each feature of the plan, or write those that it declares into a file of the project."""
    project = open_project(folder).having(horizon=horizon, policy=policy)
    if write is None:
        for line in feature_lines(project):
            out.print(line, markup=False)
        return
    path = write_features(project, write if write.is_absolute() else folder / write)
    out.print(f"wrote {path}; name it in the plan: features: {write}", markup=False)


__all__ = ["compile_features", "list_features"]
