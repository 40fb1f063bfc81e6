"""The benchmark of the gauntlet: its suites, its rates, and a run on a small market."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

import zoo_trials
from foreproof.core.trial import Verdict

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def gauntlet(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark as a module; it imports its neighbours as a script does."""
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("gauntlet_benchmark", FOLDER / "gauntlet.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gauntlet_benchmark", module)
    spec.loader.exec_module(module)
    return module


def said(name: str, outcome: str, *, tier: str = "structural", p: float | None = None) -> Verdict:
    return Verdict(name, outcome, None, None, "", tier=tier, p=p)  # type: ignore[arg-type]


def test_without_words_all_sets_run_and_a_quick_run_is_one_set_with_two_seeds(gauntlet: ModuleType) -> None:
    assert (gauntlet.options_of([]).sets, gauntlet.options_of([]).seeds) == (["retail", "tourism", "us_equities"], 10)
    assert 3 * gauntlet.options_of([]).clean >= 100
    quick = gauntlet.options_of(["--quick"])
    assert (quick.sets, quick.seeds) == (["retail"], 2)
    with pytest.raises(SystemExit):
        gauntlet.options_of(["--sets", "moon"])


def test_the_statistical_suite_is_judged_as_a_whole_proof_is(gauntlet: ModuleType) -> None:
    weak = [said(f"s{i}", "failed", tier="statistical", p=0.03) for i in range(3)]
    assert gauntlet.rings(gauntlet.finalised(weak))["statistical"] is False  # 3 x .03 > .05
    strong = said("s9", "failed", tier="statistical", p=0.012)
    assert gauntlet.rings(gauntlet.finalised([*weak, strong]))["statistical"]
    assert gauntlet.rings([said("rule", "failed", tier="statistical")])["statistical"]
    rang = gauntlet.rings([said("rebuild", "failed"), said("overlap", "passed")])
    assert (rang["structural"], rang["all"], rang["classic"], rang["rebuild"]) == (True, True, False, True)
    assert "statistical" not in rang  # none of that tier ran
    assert gauntlet.rings([said("overlap", "failed")])["classic"]


def test_a_check_of_how_good_a_prediction_is_stands_in_the_matrix_and_counts_in_no_suite(gauntlet: ModuleType) -> None:
    rang = gauntlet.rings([said("calibration", "failed", tier="statistical"), said("rebuild", "passed")])
    assert rang == {"calibration": True, "rebuild": False, "structural": False, "all": False}
    head, rows = gauntlet.matrix([("toy", "clean", [said("calibration", "failed"), said("rebuild", "passed")])])
    assert (head, rows) == (["leak", "runs", "calibration", "listed as"], [["clean", "1", "1", ""]])


def test_a_sample_is_not_begun_when_time_is_up_and_the_summary_counts_what_ran(gauntlet: ModuleType) -> None:
    jobs = gauntlet.jobs_of(["retail"], FOLDER, seeds=1, clean=2, until=0.0)
    assert [(job.seed, job.honest) for job in jobs] == [(1, True), (1, False), (2, True)]
    assert gauntlet.all_runs(jobs, workers=1) == []
    rows = gauntlet.rates([("toy", "clean", [said("rebuild", "passed")])] * 3)
    assert gauntlet.summary(rows, ["toy"])[1][0] == ["toy", "structural", "", "0 of 3: 0.0% (0.0% to 70.8%)"]


def test_a_run_that_was_cut_short_goes_on_where_it_ended(
    gauntlet: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran = []

    def runs_of(job: object) -> list[tuple[str, str, list[Verdict]]]:
        ran.append(job)
        return [("toy", "clean", [said("rebuild", "passed"), said("cliff", "failed", tier="statistical")])]

    monkeypatch.setattr(gauntlet, "runs_of", runs_of)
    jobs = gauntlet.jobs_of(["toy"], FOLDER, seeds=1, clean=2)
    whole = gauntlet.all_runs(jobs, workers=1)
    keep = tmp_path / "kept.jsonl"
    gauntlet.all_runs(jobs[:2], workers=1, keep=keep)
    with keep.open("a", encoding="utf-8") as file:
        file.write('{"job": "toy 2 clean", "runs": [["t')  # killed while it wrote
    ran.clear()
    assert gauntlet.rates(gauntlet.all_runs(jobs, workers=1, keep=keep)) == gauntlet.rates(whole)
    assert ran == jobs[2:]


def test_rates_have_exact_intervals_and_a_leak_that_is_missed_falls_short(gauntlet: ModuleType) -> None:
    honest = [("toy", "clean", [said("rebuild", "passed")])] * 9
    leaks = [("toy", "control.no_purge", [said("gap law", "failed")])] * 3
    missed = [("toy", "control.centred_window", [said("rebuild", "passed")])]
    rows = gauntlet.rates([*honest, *leaks, *missed])
    figures = {(row.case, row.who, row.metric): row.value for row in rows}
    assert figures["all sets/structural", "clean", "false_alarm_rate"] == 0.0
    assert figures["all sets/structural", "clean", "false_alarm_rate_high"] == pytest.approx(1 - 0.025 ** (1 / 9))
    assert figures["toy/gap law", "control.no_purge", "detection_rate"] == 1.0
    assert gauntlet.expect(rows, gauntlet.wanted(rows)) == 1
    caught = [row for row in rows if row.who != "control.centred_window"]
    statistical = [check for check in gauntlet.wanted(caught) if "statistical" not in check.case]
    assert gauntlet.expect(caught, statistical) == 0


def test_a_small_market_runs_through_with_its_matrix_and_rows(
    gauntlet: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "us_equities").mkdir()
    frame = zoo_trials.market(symbols=4, days=130)
    before = pl.col("factor").reverse().cum_prod().reverse().shift(-1).fill_null(1.0).over("symbol")
    frame.select(
        "symbol",
        pl.col("day").cast(pl.Datetime("ns")).alias("date"),
        pl.col("close").cast(pl.Float32),
        (pl.col("close") * before).cast(pl.Float32).alias("adj_close"),
    ).write_parquet(tmp_path / "us_equities" / "daily_600.parquet")
    sample = gauntlet.market_sample(tmp_path, 1, symbols=4, days=95)
    assert sample.filter(pl.col("factor") != 1)["factor"].round(4).to_list() == [0.5]
    assert sample.group_by("symbol").len()["len"].n_unique() > 1  # one is gone before the end
    runs = [
        ("us_equities", f"control.{n}", list(gauntlet._audited(gauntlet.MARKETS[n], sample)))
        for n in ("centred_volatility",)
    ]
    runs.append(("us_equities", "clean", list(gauntlet._audited(gauntlet.honest, sample))))
    for markdown in (False, True):
        gauntlet.print_grid("Leaks by checks", gauntlet.matrix(runs), markdown=markdown)
        assert "centred_volatility" in capsys.readouterr().out
    rows = gauntlet.rates(runs)
    gauntlet.write_json(rows, tmp_path / "rows.json")
    flat = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))
    assert set(flat[0]) == {"benchmark", "case", "who", "metric", "value", "unit", "n"}
    figures = {(row["case"], row["who"]): row["value"] for row in flat if row["metric"].endswith("rate")}
    assert figures["us_equities/structural", "control.centred_volatility"] == 1.0
    assert figures["us_equities/structural", "clean"] == 0.0
