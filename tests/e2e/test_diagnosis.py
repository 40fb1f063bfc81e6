"""The diagnosis of a run: written with the backtest, printed by `foreproof diagnose`, and equal to its files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from project import PLAN, csv, make, rows

from foreproof.app import commands
from foreproof.app.diagnosis import largest_groups, pair_matrix, show
from foreproof.app.history import repeat
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.errors import BadInput

EVENTS = """
  promotions:
    key: [date]
    happened: {column: date, formats: ["%Y-%m-%d"]}
    known: {lead: 60d, why: "Assumed: planned two months ahead."}
    zone: Europe/Paris
    ahead: true
    columns:
      active: {type: decimal, decimals: 0}
features:
  - {holiday: FR}
  - {ahead: promotions.active, aggregate: max}
series:"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two judged promotions of which no model reads: the truth is 15 higher on every sixth day of the last two weeks."""
    patch = pytest.MonkeyPatch()
    patch.setenv("FOREPROOF_WORKERS", "1")
    patch.setenv("COLUMNS", "200")
    days = sorted({day for _, day, _ in rows()})
    promoted = [days[-1] - timedelta(days=back) for back in (3, 9)]
    plan = PLAN.replace("\nseries:", EVENTS).replace(
        "{url: sales.csv}", "{url: sales.csv}\n  promotions: {url: promotions.csv}"
    )
    sold = [(item, day, units + 15 * (day in promoted)) for item, day, units in rows()]
    folder = make(tmp_path_factory.mktemp("diagnosis"), plan=plan, data=csv(sold))
    table = "date,active\n" + "".join(f"{day},{int(day in promoted)}\n" for day in days)
    table += "".join(f"{days[-1] + timedelta(days=ahead)},0\n" for ahead in range(1, 8))
    (folder / "promotions.csv").write_text(table, encoding="utf-8")
    assert commands.run(folder, until="backtest", tag="", parent="") == 0
    yield folder
    patch.undo()


def run_of(project: Path) -> Path:
    (manifest,) = (project / "runs").glob("*/manifest.json")
    return manifest.parent


def test_the_parts_of_each_dimension_make_up_the_judged_error_and_the_event_stands_out(project: Path) -> None:
    tables = run_of(project) / "tables"
    parts = pl.read_parquet(tables / "diagnosis_parts.parquet").filter(pl.col("model") == "combination")
    judged = pl.read_parquet(tables / "backtest.parquet").filter(pl.col("level").is_null())
    ours = judged.filter(pl.col("model") == "combination")
    whole = ((ours["value"] - ours["y"]) ** 2).sum()
    event = "ahead_promotions_active_max"
    assert {"overall", "series", "step", "weekday", event} <= set(parts["dimension"])
    for (name,), part in parts.group_by("dimension"):
        assert part["squared_error"].sum() == pytest.approx(whole), name
        assert part["n"].sum() == ours.height, name
    (promoted,) = parts.filter(dimension=event, group="yes").iter_rows(named=True)
    assert promoted["n"] == 2 * 5
    assert promoted["mean_error"] < -10
    found = pl.read_parquet(tables / "diagnosis_findings.parquet")
    (words,) = found.filter(topic=f"by {event}").iter_rows(named=True)
    assert words["verdict"] == "look"
    assert words["words"].startswith("yes has the largest error")
    pairs = pl.read_parquet(tables / "diagnosis_pairs.parquet")
    assert pairs.height == 3
    assert (pairs["p_holm"] >= pairs["p_value"]).all()


def test_a_repeat_gives_the_same_diagnosis(project: Path) -> None:
    digests = repeat(open_project(project), run_of(project).name, progress=Silent())
    mine = {name: pair for name, pair in digests.items() if "diagnosis" in name}
    assert len(mine) == 7
    assert all(before == after for before, after in mine.values())


def test_the_page_says_where_the_error_comes_from(project: Path) -> None:
    page = (run_of(project) / "index.html").read_text(encoding="utf-8")
    assert 'id="errors"' in page
    assert "of the squared error is bias" in page
    assert (run_of(project) / "plots" / "error_parts.png").is_file()
    assert (run_of(project) / "plots" / "error_groups.png").is_file()


def test_the_command_prints_the_latest_run_or_the_one_that_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = run_of(project).name
    assert show(project, "") == 0
    latest = capsys.readouterr().out
    assert show(project, name[:5]) == 0
    assert capsys.readouterr().out == latest
    assert f"run {name}" in latest
    assert "after Holm over 3 pairs" in latest
    assert "The combination's error by ahead_promotions_active_max" in latest
    with pytest.raises(BadInput, match="0 such runs"):
        show(project, "zzz")


def test_what_changed_between_two_origins_is_printed_and_adds_up(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    origins = pl.read_parquet(run_of(project) / "tables" / "backtest.parquet")["cutoff"].unique().sort()
    days = origins.dt.convert_time_zone("Europe/Paris").dt.strftime("%Y-%m-%d").to_list()
    assert show(project, "", between=(days[0], days[-1])) == 0
    printed = capsys.readouterr().out
    assert "all series: squared error rose" in printed, "a promotion follows the last origin, none the first"
    assert f"from {days[0]} to {days[-1]}: step" in printed
    with pytest.raises(BadInput, match="no judged origin there") as refused:
        show(project, "", between=("2023-01-01", days[-1]))
    assert days[0] in str(refused.value)
    with pytest.raises(BadInput, match="a date or an instant"):
        show(project, "", between=("soon", days[-1]))


def test_a_project_without_a_judged_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no run with judged origins"):
        show(make(tmp_path), "")


def test_files_that_are_not_as_logged_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run_of(project) / "metrics.json"
    kept = path.read_bytes()
    path.write_bytes(kept + b" ")
    try:
        assert show(project, "") == 1
        assert "does not hold" in capsys.readouterr().out
    finally:
        path.write_bytes(kept)


def test_pairs_stand_in_a_matrix_and_many_series_are_cut_to_the_largest() -> None:
    row = {"model_a": "a", "model_b": "b", "loss_a": 1.0, "loss_b": 2.0, "p_holm": 0.01}
    assert pair_matrix(pl.DataFrame([row])).rows() == [("a", "", "-50.0%, p 0.01"), ("b", "+100.0%, p 0.01", "")]
    untested = pair_matrix(
        pl.DataFrame([{**row, "loss_b": 0.0, "p_holm": None}], schema_overrides={"p_holm": pl.Float64})
    )
    assert untested.rows()[0] == ("a", "", "not tested")
    many = pl.DataFrame(
        {
            "model": "combination",
            "dimension": "series",
            "place": range(30),
            "squared_error": [float(i) for i in range(30)],
        }
    )
    assert largest_groups(many, "series")["place"].to_list() == list(range(29, 19, -1))
    assert largest_groups(many.with_columns(dimension=pl.lit("step")), "step").height == 30
