"""Members by class, a budget and a cold start, through a whole run: tables, proof, orders, and a repeat."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import project
import pytest

from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute

ITEMS = """
  items:
    key: [item]
    happened: {column: date, formats: ["%Y-%m-%d"]}
    known: same_as_happened
    zone: Europe/Paris
    columns:
      item: text
      department: text
      shelf: {type: decimal, decimals: 1, low: 0}
series:"""


def given(folder: Path) -> Path:
    """Six items with a history, one that began five days before the end, one that is listed and has sold nothing."""
    text = project.PLAN.replace("\nseries:", ITEMS, 1).replace(
        "  sales: {url: sales.csv}", "  sales: {url: sales.csv}\n  items: {url: items.csv}"
    )
    text = text.replace(
        "models: [seasonal_naive, theta]",
        "models: [auto_arima, seasonal_naive, by_class, window_mean, auto_ces]\nbudget: {ms: 700, length: 140}\n"
        "cold_start: {table: items, group: [department], size: shelf, least: 14}",
    ).replace("by_class,", "{by_class: {smooth: theta}},")
    rows = project.rows(6)
    last = rows[-1][1]
    rows += [("item young", last - timedelta(days=d), 30) for d in range(5)]
    made = project.make(folder, plan=text, data=project.csv(sorted(rows, key=lambda row: row[1])))
    first = date(2024, 1, 1)
    listed = [(f"item {i}", first, "food", 10.0 + 4 * i) for i in range(6)]
    listed += [("item young", last - timedelta(days=6), "food", 15.0), ("item new", last, "food", 20.0)]
    lines = [f"{item},{day},{department},{shelf}" for item, day, department, shelf in listed]
    (made / "items.csv").write_text("item,date,department,shelf\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return made


def test_a_run_with_cold_series_and_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    folder = given(tmp_path / "p")
    opened = open_project(folder)
    assert [model.name for model in opened.forecast.models] == ["seasonal_naive", "by_class", "window_mean", "auto_ces"]
    assert [left.name for left in opened.forecast.left_out] == ["auto_arima"]
    outcome = execute(opened, progress=Silent())
    assert outcome.error is None
    tables = {path.stem: pl.read_parquet(path) for path in (outcome.folder / "tables").glob("*.parquet")}
    assert tables["cold"].select("item", "group", "known", "steps").rows() == [
        ("item new", "department=food", 6, 0),
        ("item young", "department=food", 6, 5),
    ]
    points = tables["forecast"].filter(pl.col("level").is_null())
    assert points.group_by("item").len().rows_by_key("item").keys() >= {"item new", "item young", "item 0"}
    sizes = points.filter(pl.col("step") == 1).select("item", "value").rows_by_key("item", unique=True)
    assert sizes["item new"][0] / sizes["item young"][0] == pytest.approx(20 / 15)
    assert set(tables["orders"]["item"]) == {f"item {i}" for i in range(6)}
    verdicts = dict(tables["verdicts"].select("name", "outcome").iter_rows())
    assert verdicts["rebuild"] == "passed"
    assert verdicts["gap law"] == "passed"
    dumped = json.loads((outcome.folder / "models" / "by_class" / "by_class.json").read_text(encoding="utf-8"))
    assert {each["class"] for each in dumped["classes"]} == {"smooth"}
