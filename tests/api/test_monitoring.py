"""Served predictions are judged by what came of them, once it came."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import project as forecast_project
import pytest
import shop
from fastapi.testclient import TestClient

from foreproof.app import evaluations
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.stages import Work, check, load

API = "/api/v1"


def arrive(folder: Path, days: int) -> None:
    """Load the facts of more days."""
    (folder / "sales.csv").write_text(forecast_project.csv(forecast_project.rows(days=days)), encoding="utf-8")
    load(check(Work(open_project(folder), Silent())))


def test_without_outcomes_it_says_so_and_counts_what_waits(
    client: TestClient, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = client.get(f"{API}/monitoring/summary").json()
    first = found["projects"][0]
    assert (first["scored"], first["waiting"], first["due"], first["alerts"]) == (0, 0, 35, [])
    assert first["words"][0] == "No outcome is known yet of what was served."
    monkeypatch.setenv("FOREPROOF_TODAY", "2024-05-21T22:00:00")
    assert evaluations.watch(open_project(own_home / "forecast")).waiting == 25
    rows = client.get(f"{API}/monitoring/series", params={"series": "item 1"}).json()
    assert (rows["rows"], rows["total"]) == ([], 0)
    assert client.get(f"{API}/monitoring/series", params={"series": "item 99"}).status_code == 404


def test_outcomes_stand_beside_the_published_quantiles_once(client: TestClient, own_home: Path) -> None:
    folder = own_home / "forecast"
    arrive(folder, days=143)
    project = open_project(folder)
    assert sum(evaluations.score_outcomes(project).values()) == 15
    assert evaluations.score_outcomes(project) == {}
    arrive(folder, days=146)
    assert sum(evaluations.score_outcomes(open_project(folder)).values()) == 15
    found = client.get(f"{API}/monitoring/series", params={"series": "item 2"}).json()
    published = client.get(f"{API}/forecasts/item 2").json()["steps"]
    truth = {day: y for item, day, y in forecast_project.rows(days=146) if item == "item 2"}
    assert found["total"] == 6
    for row, step in zip(found["rows"], published, strict=False):
        assert (row["quantiles"], row["mean"], row["at"]) == (step["quantiles"], step["mean"], step["at"])
        assert row["inside"] == (step["quantiles"]["0.1"] <= row["y"] <= step["quantiles"]["0.9"])
    assert [row["y"] for row in found["rows"]] == [float(truth[day]) for day in sorted(truth)[140:]]
    summary = client.get(f"{API}/monitoring/summary", params={"project": "forecast"}).json()["projects"][0]
    assert (summary["scored"], summary["due"]) == (30, 5)
    inside = [row["inside"] for row in client.get(f"{API}/monitoring/series").json()["rows"]]
    assert summary["coverage"] == pytest.approx(sum(inside) / 30)
    assert summary["alerts"] == ["the 80% interval held 66.7% of 30 outcomes; wanted 70% to 90%"]
    assert summary["alerts"][0] in client.get(f"{API}/overview").json()["projects"][0]["attention"]


def test_a_correction_is_a_new_row_and_the_newest_counts(own_home: Path) -> None:
    folder = own_home / "forecast"
    arrive(folder, days=142)
    evaluations.score_outcomes(open_project(folder))
    text = (folder / "sales.csv").read_text()
    lines = text.splitlines()
    lines[-1] = lines[-1].rpartition(",")[0] + ",999"
    (folder / "sales.csv").write_text("\n".join(lines) + "\n")
    project = open_project(folder)
    load(check(Work(project, Silent())))
    added = evaluations.score_outcomes(open_project(folder))
    assert sum(added.values()) == 1
    kept = evaluations.evaluations(open_project(folder))
    assert kept is not None
    assert kept.height == 10
    assert kept.select("item", "step").is_duplicated().sum() == 0
    assert kept.filter(pl.col("y") == 999.0).select("item", "step").rows() == [("item 4", 2)]


def test_chances_are_scored_once_their_window_has_settled(client: TestClient, own_home: Path) -> None:
    folder = own_home / "propensity"
    lines = "\n".join(shop.lines(customers=120, days=230)) + "\n"
    (folder / "lines.csv").write_text(lines, encoding="utf-8")
    project = open_project(folder)
    load(check(Work(project, Silent())))
    evaluations.score_outcomes(project)
    found = client.get(f"{API}/monitoring/series", params={"project": "propensity"}).json()
    rows = pl.DataFrame(found["rows"], infer_schema_length=None)
    assert found["total"] == rows.height == 330
    assert set(rows["y"].unique()) == {0.0, 1.0}
    summary = client.get(f"{API}/monitoring/summary", params={"project": "propensity"}).json()["projects"][0]
    assert summary["scores"]["said"] == pytest.approx(rows["chance"].mean())
    assert summary["scores"]["seen"] == pytest.approx(rows["y"].mean())
    assert sum(one["n"] for one in summary["calibration"]) == 330


def test_watch_ends_with_1_on_an_alert(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = own_home / "forecast"
    assert shop.exit_code(monkeypatch, "watch", "-C", str(folder)) == 0
    assert "No outcome is known yet" in capsys.readouterr().out
    arrive(folder, days=146)
    assert shop.exit_code(monkeypatch, "watch", "-C", str(folder)) == 1
    assert "alert: the 80% interval" in capsys.readouterr().out
    assert shop.exit_code(monkeypatch, "sql", "SELECT count(*) AS n FROM evaluations", "-C", str(folder)) == 0
    assert "30" in capsys.readouterr().out
