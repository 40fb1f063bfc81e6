"""A project from a frame in memory: what `foreproof new forecast` does for a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app.guess import guess_plan
from foreproof.app.project import PLAN_FILE, Project, open_project
from foreproof.errors import BadInput

DATA = "data.parquet"


def project_of(frame: Any, folder: Path | str, **changes: object) -> Project:
    """Write a pandas or polars frame of dated numbers into a folder, with a plan that is guessed from it.

    The plan says in comments what it was read off; read it before you believe a forecast. changes: top-level settings of
    the plan, such as `horizon=7` or `decision={"cover": 7, "short": 2.0, "over": 1.0}`; they are written into it. The same
    call on other rows replaces the data and keeps the lake, so the new rows become its next batch.

    Raises BadInput for what is no frame, has no date or no number, and for a folder whose plan reads other data.
    """
    target = Path(folder)
    rows = _rows(frame)
    plan = target / PLAN_FILE
    if plan.is_file() and not (target / DATA).is_file():
        raise BadInput(
            str(plan), found="a plan that reads other data", wanted="a new folder", fix="name another folder"
        )
    target.mkdir(parents=True, exist_ok=True)
    draft = target / f".{DATA}"
    rows.write_parquet(draft)
    draft.replace(target / DATA)
    if not plan.is_file():
        plan.write_text(guess_plan(target / DATA, url=DATA, now=datetime.now(UTC)), encoding="utf-8")
    project = open_project(target)
    changed = project.having(**changes)
    if changed.plan.digest != project.plan.digest:
        plan.write_text(changed.plan.text(), encoding="utf-8")
    return changed


def _rows(frame: Any) -> pl.DataFrame:
    """Polars rows of what a user has; the index of a pandas frame becomes columns where it is named."""
    if isinstance(frame, pl.DataFrame):
        rows = frame
    elif type(frame).__module__.split(".")[0] == "pandas" and hasattr(frame, "columns"):
        named = any(name is not None for name in frame.index.names)
        rows = pl.from_pandas(frame.reset_index() if named else frame)
    else:
        raise BadInput("frame", found=f"a {type(frame).__name__}", wanted="a polars or pandas frame")
    if rows.is_empty():
        raise BadInput("frame", found="no rows", wanted="a history")
    return rows


__all__ = ["project_of"]
