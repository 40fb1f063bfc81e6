"""What was served is scored as its outcomes arrive: each prediction once, a corrected outcome once more."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))

import project as shop

from foreproof.app import serving
from foreproof.app.intake import take_in
from foreproof.app.jobs.evaluate import TABLE, score_outcomes
from foreproof.app.progress import Silent
from foreproof.app.project import Project, open_project
from foreproof.app.runner import execute

DAYS = 100
PLAN = shop.PLAN.replace("examples: 4", "examples: 2").replace("origins: 4", "origins: 2")


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose forecast from day 100 on is served."""
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    data = shop.csv(shop.rows(items=2, days=DAYS))
    found = open_project(shop.make(tmp_path / "shop", plan=PLAN, data=data))
    run = execute(found, progress=Silent(), until="train").run.id
    serving.promote(found, run, by="run")
    return found


def arrive(project: Project, days: int, *, more: int = 0) -> None:
    """Sales of the days after the cutoff; `more` is added to the first one."""
    rows = [
        {"item": item, "date": str(day), "units": units + (more if day == date(2024, 1, 1) + timedelta(DAYS) else 0)}
        for item, day, units in shop.rows(items=2, days=DAYS + days)
        if day >= date(2024, 1, 1) + timedelta(DAYS)
    ]
    take_in(project, "sales", pl.DataFrame(rows), source="api")


def kept(project: Project) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(project.shelf.dataset(TABLE).to_table()))
    return frame.sort("scored", "item", "step")


def test_outcomes_are_joined_as_they_arrive_and_each_counts_once(opened: Project) -> None:
    assert score_outcomes(opened, Silent()) == {"rows": 0, "waiting": 14, "runs": 1, "left_out": []}
    arrive(opened, 3)
    assert score_outcomes(opened, Silent()) == {"rows": 6, "waiting": 8, "runs": 1, "left_out": []}
    assert score_outcomes(opened, Silent()) == {"rows": 0, "waiting": 8, "runs": 1, "left_out": []}
    arrive(opened, 9)
    assert score_outcomes(opened, Silent()) == {"rows": 8, "waiting": 0, "runs": 1, "left_out": []}
    found = kept(opened)
    truth = {(item, day): units for item, day, units in shop.rows(items=2, days=DAYS + 7)}
    assert found.height == 14
    for row in found.iter_rows(named=True):
        day = date(2024, 1, 1) + timedelta(DAYS - 1 + row["step"])
        assert row["y"] == truth[row["item"], day]
        assert row["inside"] == (row["q0.1"] <= row["y"] <= row["q0.9"])
        assert row["run"].endswith("-train")
    forecast = pl.read_parquet(opened.runs / found["run"][0] / "tables" / "forecast.parquet")
    median = forecast.filter(pl.col("level") == 0.5).select("item", "step", pl.col("value"))
    both = found.join(median, on=["item", "step"])
    assert both["q0.5"].to_list() == both["value"].to_list()


def test_a_corrected_outcome_is_another_row_and_the_newest_counts(opened: Project) -> None:
    arrive(opened, 7)
    assert score_outcomes(opened, Silent())["rows"] == 14
    arrive(opened, 1, more=5)
    assert score_outcomes(opened, Silent())["rows"] == 2
    assert score_outcomes(opened, Silent())["rows"] == 0
    found = kept(opened)
    assert found.tail(2)["y"].to_list() == [y + 5 for y in found.head(14).filter(pl.col("step") == 1)["y"]]
    assert found.tail(2)["scored"].min() > found.head(14)["scored"].max()  # type: ignore[operator]
