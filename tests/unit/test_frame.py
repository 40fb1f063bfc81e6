"""A project from a frame in memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from foreproof.app.frame import project_of
from foreproof.app.progress import Silent
from foreproof.app.runner import execute
from foreproof.errors import BadInput, PlanError


def frame(days: int = 140) -> pd.DataFrame:
    at = pd.date_range("2024-01-01", periods=days)
    rows = [(item, day, 20 + 3 * day.dayofweek) for item in ("a", "b") for day in at]
    return pd.DataFrame(rows, columns=["item", "day", "units"])


def test_a_pandas_and_a_polars_frame_give_the_same_plan(tmp_path: Path) -> None:
    one = project_of(frame(), tmp_path / "one", horizon=5)
    other = project_of(pl.from_pandas(frame()), tmp_path / "two", horizon=5)
    assert one.plan.digest == other.plan.digest
    assert one.forecast.task.horizon == 5
    assert one.forecast.task.series.by == ("item",)


def test_a_named_index_becomes_a_column(tmp_path: Path) -> None:
    made = project_of(frame().set_index("day"), tmp_path / "p")
    assert made.forecast.contracts[0].happened.column == "day"  # type: ignore[union-attr]


def test_newer_rows_are_the_next_batch_under_the_same_plan(tmp_path: Path) -> None:
    first = project_of(frame(), tmp_path / "p", horizon=7)
    execute(first, progress=Silent(), until="load")
    second = project_of(frame(147), tmp_path / "p")
    outcome = execute(second, progress=Silent(), until="load")
    assert outcome.error is None
    assert second.plan.digest == first.plan.digest
    assert second.lake.batches("data")["added"].to_list() == [280, 14]


def test_what_is_no_frame_or_holds_nothing_is_refused_and_leaves_no_folder(tmp_path: Path) -> None:
    for wrong, words in (([1, 2], "a list"), (frame().head(0), "no rows"), (frame()["units"], "a Series")):
        with pytest.raises(BadInput, match=words):
            project_of(wrong, tmp_path / "p")
    assert not (tmp_path / "p").exists()
    with pytest.raises(PlanError, match="horizn"):
        project_of(frame(), tmp_path / "q", horizn=3).forecast  # noqa: B018 - parsing is what is tried


def test_a_plan_that_reads_other_data_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "foreproof.yaml").write_text("schema: 1\n", encoding="utf-8")
    with pytest.raises(BadInput, match="other data"):
        project_of(frame(), tmp_path)
