"""The forecast benchmark: its arguments, what it measures, and the rows that it writes."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from foreproof.core import score

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
ROW = {"benchmark", "case", "who", "metric", "value", "unit", "n"}
SCORES = {"owa", "mase", "smape", "coverage80", "coverage95", "msis95"}
COSTS = {"cpu_seconds", "peak_mb"}


@pytest.fixture
def forecast(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark as a module; it imports its neighbour `common` as a script does."""
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("forecast_benchmark", FOLDER / "forecast.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "forecast_benchmark", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def one_set(tmp_path: Path) -> Path:
    """Two series of unequal ends, the test part of three steps."""
    parts = []
    for name, end in (("a", 20), ("b", 33)):
        ds = np.arange(1, end + 4)
        split = ["train"] * end + ["test"] * 3
        parts.append(pl.DataFrame({"unique_id": name, "ds": ds, "y": 10.0 + ds % 4 + ds / 7, "split": split}))
    path = tmp_path / "set.parquet"
    pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=3).write_parquet(path)
    return path


def test_without_words_every_set_and_everybody_is_measured_on_all_series(forecast: ModuleType) -> None:
    options = forecast.options_of([])
    assert options.sets == ["m4_hourly", "m4_weekly", "m4_yearly", "m3_monthly", "m3_quarterly"]
    assert options.who[0] == "foreproof" and set(options.who[1:]) == set(forecast.PEERS)
    assert options.sample is None


def test_a_quick_run_is_never_longer_than_the_sample_that_was_asked_for(forecast: ModuleType) -> None:
    assert forecast.options_of(["--quick"]).sample == forecast.QUICK
    assert forecast.options_of(["--quick", "--sample", "5"]).sample == 5
    assert forecast.options_of(["--quick", "--sample", "5000"]).sample == forecast.QUICK


@pytest.mark.parametrize(
    "words", [["--sets", "m4_daily"], ["--sets", ""], ["--who", "Prophet"], ["--sample", "0"], ["--sample", "few"]]
)
def test_words_that_mean_nothing_are_refused(
    forecast: ModuleType, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        forecast.options_of(words)
    assert stopped.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_every_train_part_ends_at_step_0_and_every_test_part_begins_at_step_1(
    forecast: ModuleType, one_set: Path
) -> None:
    train, test = (forecast.read(one_set, None, split) for split in ("train", "test"))
    assert train.group_by("unique_id").agg(pl.col("ds").max()).sort("unique_id").rows() == [("a", 0), ("b", 0)]
    assert train.filter(pl.col("unique_id") == "a")["ds"].to_list() == list(range(-19, 1))
    assert test["ds"].to_list() == [1, 2, 3, 1, 2, 3]


def test_the_same_seed_draws_the_same_series(forecast: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "names.parquet"
    pl.DataFrame({"unique_id": [f"s{i:03}" for i in range(90)]}).write_parquet(path)
    drawn = forecast.sampled(path, sample=12, seed=4)
    assert drawn == forecast.sampled(path, sample=12, seed=4)
    assert drawn == sorted(set(drawn)) and len(drawn) == 12
    assert drawn != forecast.sampled(path, sample=12, seed=5)
    assert forecast.sampled(path, sample=90, seed=4) is None


def test_scores_equal_plain_means_over_series_relative_to_naive2(forecast: ModuleType, one_set: Path) -> None:
    chosen = forecast.Set("set.parquet", horizon=3, scored=4, season=4)
    actuals, scales = forecast.truth(one_set, None, chosen)
    rows = [
        {"unique_id": name, "cutoff": 0, "step": step, "level": level, "value": 12.0 + step + reach}
        for name in ("a", "b")
        for step in (1, 2, 3)
        for level, reach in ((None, 0.0), (0.025, -4.0), (0.1, -1.0), (0.9, 1.0), (0.975, 4.0))
    ]
    frame = pl.DataFrame(rows, schema_overrides={"level": pl.Float64})
    found = forecast.scores(frame, actuals, scales)

    ours: dict[str, list[float]] = {name: [] for name in ("mase", "smape", "coverage80", "coverage95", "msis95")}
    theirs: dict[str, list[float]] = {"mase": [], "smape": []}
    for end in (20, 33):
        ds = np.arange(1, end + 4)
        y = 10.0 + ds % 4 + ds / 7
        past, future = y[:end], y[end:]
        scale = score.mase_scale(past, 4)
        point = np.array([13.0, 14.0, 15.0])
        naive = score.naive2(past, 3, season=4)
        ours["mase"].append(score.mase(future, point, scale=scale))
        ours["smape"].append(score.smape(future, point))
        ours["coverage80"].append(score.coverage(future, point - 1, point + 1))
        ours["coverage95"].append(score.coverage(future, point - 4, point + 4))
        ours["msis95"].append(score.msis(future, point - 4, point + 4, alpha=0.05, scale=scale))
        theirs["mase"].append(score.mase(future, naive, scale=scale))
        theirs["smape"].append(score.smape(future, naive))
    for metric, values in ours.items():
        assert found[metric] == pytest.approx(np.mean(values)), metric
    ratios = [np.mean(ours[metric]) / np.mean(theirs[metric]) for metric in ("mase", "smape")]
    assert found["owa"] == pytest.approx(np.mean(ratios))


def test_a_forecaster_that_leaves_a_step_out_is_not_scored(forecast: ModuleType, one_set: Path) -> None:
    chosen = forecast.Set("set.parquet", horizon=3, scored=4, season=4)
    actuals, scales = forecast.truth(one_set, None, chosen)
    frame = pl.DataFrame(
        {"unique_id": ["a"], "cutoff": [0], "step": [1], "level": [None], "value": [1.0]},
        schema_overrides={"level": pl.Float64},
    )
    with pytest.raises(SystemExit, match="every step"):
        forecast.scores(frame, actuals, scales)


def test_intervals_of_a_peer_keep_their_side_and_level(forecast: ModuleType, tmp_path: Path) -> None:
    values = {"m": 5.0, "m-lo-95": 1.0, "m-lo-80": 2.0, "m-hi-80": 8.0, "m-hi-95": 9.0}
    wide = pl.DataFrame({"unique_id": ["a"], "ds": [1], **{name: [value] for name, value in values.items()}})
    forecast._write(wide, "m", str(tmp_path / "long.parquet"))
    long = pl.read_parquet(tmp_path / "long.parquet").sort("value")
    assert long["value"].to_list() == [1.0, 2.0, 5.0, 8.0, 9.0]
    assert [level and round(level, 6) for level in long["level"]] == [0.025, 0.1, None, 0.9, 0.975]


def test_the_last_block_asks_for_the_best_peers_owa_and_for_coverage(forecast: ModuleType) -> None:
    def row(who: str, metric: str, value: float) -> object:
        return forecast.Row("forecast", "m4_hourly", who, metric, value, "ratio", 3)

    good = [
        row("foreproof", "owa", 0.5),
        row("foreproof", "coverage95", 0.95),
        row("p", "owa", 0.6),
        row("q", "owa", 0.51),
    ]
    assert forecast.expect(good, forecast.checks(good)) == 0
    for wrong in (row("foreproof", "owa", 0.52), row("foreproof", "coverage95", 0.91)):
        bad = [wrong if (r.who, r.metric) == (wrong.who, wrong.metric) else r for r in good]
        assert forecast.expect(bad, forecast.checks(bad)) == 1
    assert forecast.expect(good[2:], forecast.checks(good[2:])) == 1  # without our figures nothing is as expected
    wide = [row("foreproof", "coverage95", 0.98) if r.metric == "coverage95" else r for r in good]
    assert forecast.expect(wide, forecast.checks(wide)) == 1


def test_a_run_on_six_series_writes_well_formed_rows(data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    words = ["--sets", "m3_quarterly", "--sample", "6", "--who", "foreproof,SeasonalNaive"]
    done = subprocess.run(
        [sys.executable, str(FOLDER / "forecast.py"), *words, "--data", str(data_dir), "--json", str(out)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode in (0, 1), done.stderr
    assert "as expected" in done.stdout
    rows = json.loads(out.read_text(encoding="utf-8"))
    assert all(set(row) == ROW for row in rows), done.stdout
    assert {(row["benchmark"], row["case"], row["n"]) for row in rows} == {("forecast", "m3_quarterly", 6)}
    names = {row["who"] for row in rows}
    assert "foreproof" in names and any(name.startswith("statsforecast.SeasonalNaive ") for name in names)
    for who in names:
        figures = {row["metric"]: row["value"] for row in rows if row["who"] == who}
        assert set(figures) == SCORES | COSTS, done.stdout
        assert all(math.isfinite(value) and value >= 0 for value in figures.values())
        assert 0 <= figures["coverage80"] <= figures["coverage95"] <= 1
