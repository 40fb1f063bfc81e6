"""The benchmarks: their arguments, what they measure, and the rows that they write."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive_retail
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


# --- whitespace -------------------------------------------------------------------------------------------------------


def imported(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A benchmark's module, and its neighbours with it, as a script finds them."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module(name)


@pytest.fixture
def retail(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return imported("retail", monkeypatch)


@pytest.fixture
def whitespace(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return imported("whitespace", monkeypatch)


AT = date(2011, 2, 28)
RANKED = {"capture10", "capture10_low", "capture10_high", "auc", "auc_whitespace", "auc_repeat", "pr_auc", "lift10"}
CHANCES = {"calibration_mae", "calibration_mae_whitespace", "brier"}


def shop(seed: int = 5, *, lines: int = 400) -> pl.DataFrame:
    """Purchases of 9 customers in 4 groups around AT; some a year and more before it, some on window edges."""
    rng = np.random.default_rng(seed)
    edges = [-365, -364, -180, -179, -90, -89, -30, -29, 0, 1, 90, 91]
    away = np.where(rng.random(lines) < 0.3, rng.choice(edges, lines), rng.integers(-430, 120, lines))
    sku = rng.integers(0, 12, lines)
    return (
        pl.DataFrame(
            {
                "customer": rng.integers(1, 10, lines) ** 2,
                "sku": [f"2000{code:x}" for code in sku],
                "grp": pl.Series(sku % 4, dtype=pl.Int32),
                "day": [AT + timedelta(days=int(one)) for one in away],
                "money": rng.integers(1, 90, lines) / 4,
            }
        )
        .group_by("customer", "sku", "grp", "day")
        .agg(pl.col("money").sum())
        .filter(pl.col("customer") != 49, ~((pl.col("customer") == 4) & (pl.col("day") > AT - timedelta(days=365))))
        .sort("customer", "sku", "day")
    )


def plain(bought: pl.DataFrame) -> list[naive_retail.Line]:
    return bought.select("customer", "grp", "day", "money").rows()


def test_pairs_and_labels_equal_plain_loops_over_the_lines(retail: ModuleType) -> None:
    bought = shop(lines=60)
    found = retail.task(bought, [AT], count=5)
    assert found.columns == ["customer", "grp", "cutoff", "y", "whitespace"]
    assert found.drop("cutoff").rows() == naive_retail.task(plain(bought), AT, 5)
    assert 4 not in found["customer"] and found["whitespace"].any() and not found["whitespace"].all()


def test_features_equal_plain_loops_over_the_lines(retail: ModuleType) -> None:
    bought = shop()
    found = retail.features(bought, retail.pairs(bought, [AT], count=4))
    numbers = found.select(pl.exclude("customer", "cutoff", "whitespace", "grp").cast(pl.Float64))
    assert numbers.width == 27
    for (customer, grp), row in zip(found.select("customer", "grp").iter_rows(), numbers.iter_rows(), strict=True):
        assert list(row) == pytest.approx(naive_retail.features(plain(bought), AT, customer, grp)), (customer, grp)


def test_lines_after_the_cutoff_change_no_pair_no_feature_and_no_score(
    retail: ModuleType, whitespace: ModuleType, tmp_path: Path
) -> None:
    bought = shop()
    later = pl.col("day") > AT
    scrambled = pl.concat([bought.filter(~later), shop(6).filter(later)])
    asked = retail.pairs(bought, [AT])
    assert retail.pairs(scrambled, [AT]).equals(asked)
    assert retail.features(scrambled, asked).equals(retail.features(bought, asked))
    asked.write_parquet(tmp_path / "asked.parquet")
    for who in whitespace.NAIVE:
        for name, lines in (("a", bought), ("b", scrambled)):
            lines.write_parquet(tmp_path / "lines.parquet")
            files = (str(tmp_path / file) for file in ("lines.parquet", "asked.parquet", f"{name}.parquet"))
            whitespace.peer(*files, who)
        first, second = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in "ab")
        assert first.equals(second) and first.select(retail.PAIR).equals(asked.select(retail.PAIR))


def test_a_model_learns_only_from_cutoffs_whose_labels_had_settled(retail: ModuleType, whitespace: ModuleType) -> None:
    assert [f"{cutoff}" for cutoff in whitespace.CUTOFFS] == ["2011-05-31", "2011-06-30", "2011-07-31", "2011-08-31"]
    for cutoff in whitespace.CUTOFFS:
        past = retail.settled(cutoff)
        assert past[0] == date(2010, 3, 31) and all(one + timedelta(days=90) <= cutoff for one in past)
        following = retail.month_ends(past[-1] + timedelta(days=1), cutoff)[0]
        assert following + timedelta(days=90) > cutoff
    with pytest.raises(ValueError, match="2011-02-28: its label ends after 2011-05-28"):
        retail.task(shop(), [AT], known=AT + timedelta(days=89))


def test_only_products_that_were_sold_to_somebody_count_and_the_files_overlap_once(
    retail: ModuleType, tmp_path: Path
) -> None:
    def sheet(path: str, rows: list[tuple[object, ...]]) -> None:
        names = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID"]
        times = pl.col("InvoiceDate").str.to_datetime()
        (tmp_path / path).parent.mkdir(exist_ok=True)
        pl.DataFrame(rows, schema=names, orient="row").with_columns(times).write_parquet(tmp_path / path)

    shared = ("5", "20001a", " Red Mug", 2, "2010-12-09 20:00", 1.5, 7)
    sheet(retail.FILES[0], [("4", "20001A", "red mug", 1, "2010-01-02 09:00", 1.0, None), shared])
    sheet(
        retail.FILES[1],
        [
            shared,
            ("6", "20002", None, 3, "2010-12-10 09:00", 2.0, 8),
            ("C7", "20002", "back", -3, "2010-12-11 09:00", 2.0, 8),
            ("8", "POST", "POSTAGE", 1, "2010-12-11 09:00", 9.0, 8),
            ("A9", "B", "Adjust bad debt", 1, "2010-12-11 09:00", 9.0, None),
            ("10", "20002", "free", 1, "2010-12-11 09:00", 0.0, 8),
        ],
    )
    assert retail.sold(tmp_path).rows() == [
        (None, "20001A", "red mug", date(2010, 1, 2), 1.0),
        (7, "20001A", "red mug", date(2010, 12, 9), 3.0),
        (8, "20002", "", date(2010, 12, 10), 6.0),
    ]


def test_groups_are_learned_before_july_2010_and_a_later_product_goes_by_its_first_words(retail: ModuleType) -> None:
    words, sizes = ("candle", "lantern", "teapot"), "ABCDEF"
    early = [(f"1000{i}{size}", f"{word} {size}", date(2010, 5, 1)) for i, word in enumerate(words) for size in sizes]
    new = [("20000", "big teapot", date(2010, 7, 1)), ("20000", "big candle", date(2011, 7, 1))]
    lines = pl.DataFrame(early + new, schema=["sku", "text", "day"], orient="row")
    found = dict(retail.groups(lines, count=3).iter_rows())
    assert len({found[f"1000{i}A"] for i in range(3)}) == 3
    assert all(len({found[f"1000{i}{size}"] for size in sizes}) == 1 for i in range(3))
    assert found["20000"] == found["10002A"]
    without = dict(retail.groups(lines.filter(pl.col("day") < date(2010, 7, 1)), count=3).iter_rows())
    assert without == {sku: grp for sku, grp in found.items() if sku != "20000"}


@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=30).filter(
        lambda rows: any(y and w for _, y, w in rows)
    ),
    share=st.sampled_from([0.1, 0.25, 0.5]),
)
def test_capture_equals_plain_loops_with_ties_as_fractions(rows: list[tuple[int, int, int]], share: float) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        module = imported("whitespace", monkeypatch)
    score, y, weight = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    found = module.capture(score, y, weight[None, :], share=share)
    assert found[0] == pytest.approx(naive_retail.capture(*map(list, zip(*rows, strict=True)), share))


def test_everyone_is_drawn_with_the_same_customers_so_equal_rankings_differ_nowhere(whitespace: ModuleType) -> None:
    rng = np.random.default_rng(2)
    score, customer = rng.random(200), rng.integers(0, 20, 200)
    y = (rng.random(200) < score).astype(np.float64)
    drawn = whitespace.captures({"a": score, "b": 2 * score, "c": -score}, y, customer, replicates=60)
    assert drawn["a"].shape == (61,) and np.ptp(drawn["a"]) > 0
    assert np.array_equal(drawn["a"], drawn["b"])
    assert np.all(drawn["a"] > drawn["c"])
    again = whitespace.captures({"a": score}, y, customer, replicates=60)
    assert np.array_equal(drawn["a"], again["a"])


def test_calibration_error_is_the_mean_gap_over_bins_of_equal_count(whitespace: ModuleType) -> None:
    p = np.linspace(0.0, 1.0, 100)
    assert whitespace.calibration_mae(p, p) == pytest.approx(0.0)
    assert whitespace.calibration_mae(p, np.clip(p + 0.1, 0, None)) == pytest.approx(0.1)
    y = np.where(np.arange(100) < 50, 0.3, 0.0)
    assert whitespace.calibration_mae(np.full(100, 0.1), y, bins=2) == pytest.approx((0.2 + 0.1) / 2)


def test_the_last_block_asks_for_three_cutoffs_ahead_of_the_best_naive(whitespace: ModuleType) -> None:
    def of(ours: float, low: float, cases: list[str]) -> list[object]:
        given = [
            ("foreproof", "capture10", ours),
            ("foreproof", "calibration_mae", 0.02),
            ("popularity", "capture10", 0.1),
            ("recency", "capture10", 0.2),
            ("popularity", "gain_low", 0.05),
            ("recency", "gain_low", low),
            ("lightgbm 4", "capture10", 0.25),
        ]
        return [whitespace.Row("whitespace", case, *row, "ratio", 9) for case in cases for row in given]

    def ended(rows: list[object]) -> int:
        rows = [*rows, *whitespace.means(rows)]
        return whitespace.expect(rows, whitespace.checks(rows))

    cases = [f"{cutoff}" for cutoff in whitespace.CUTOFFS]
    assert ended(of(0.267, 0.01, cases)) == 0
    assert ended([*of(0.4, 0.01, cases[:3]), *of(0.2, -0.01, cases[3:])]) == 0
    assert ended(of(0.265, 0.01, cases)) == 1  # below 1.33 times
    assert ended([*of(0.4, 0.01, cases[:2]), *of(0.4, -0.01, cases[2:])]) == 1  # an interval that holds 0, twice
    assert ended([row for row in of(0.4, 0.01, cases) if row.who != "foreproof"]) == 1


def test_an_unknown_who_and_a_cutoff_that_is_no_day_are_refused(
    whitespace: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--who", "SVD"], ["--who", ""], ["--cutoffs", "May"]):
        with pytest.raises(SystemExit) as stopped:
            whitespace.options_of(words)
        assert stopped.value.code == 2
        assert words[0] in capsys.readouterr().err
    assert whitespace.options_of([]).cutoffs == list(whitespace.CUTOFFS)


def test_a_pair_without_a_score_ends_the_whitespace_benchmark(whitespace: ModuleType) -> None:
    truth = pl.DataFrame({"customer": [1, 1], "grp": [0, 1], "cutoff": [AT, AT]})
    given = truth.head(1).with_columns(score=0.5)
    with pytest.raises(SystemExit, match="one finite score for each of 2 pairs"):
        whitespace.aligned(truth, given, "popularity")


def test_a_quick_whitespace_run_writes_well_formed_rows_of_everybody(data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    words = ["--quick", "--cutoffs", "2011-08-31", "--data", str(data_dir), "--json", str(out)]
    done = subprocess.run(
        [sys.executable, str(FOLDER / "whitespace.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode in (0, 1), done.stderr
    assert "as expected" in done.stdout
    rows = json.loads(out.read_text(encoding="utf-8"))
    assert all(set(row) == ROW and row["benchmark"] == "whitespace" and row["n"] > 0 for row in rows)
    peers = {row["who"].split(" ")[0] for row in rows} - {"foreproof"}
    installed = {"implicit.ALS"} if importlib.util.find_spec("implicit") else set()
    assert peers == {"popularity", "recency", "popularity_x_frequency", "lightgbm"} | installed, done.stdout
    for who in {row["who"] for row in rows}:
        figures = {row["metric"]: row["value"] for row in rows if (row["case"], row["who"]) == ("2011-08-31", who)}
        assert set(figures) >= RANKED | (CHANCES if who.startswith("lightgbm") else set()), who
        assert 0 <= figures["capture10_low"] <= figures["capture10"] <= figures["capture10_high"] <= 1
        assert {row["metric"] for row in rows if (row["case"], row["who"]) == ("all", who)} >= COSTS


@pytest.fixture
def features(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return imported("features", monkeypatch)


def test_features_of_a_pair_equal_plain_loops(features: ModuleType, tmp_path: Path) -> None:
    lines = shop().select(
        "customer",
        pl.format("g{}", pl.col("grp").cast(pl.String).str.zfill(2)).alias("grp"),
        "day",
        sales=(pl.col("money") * 100).round().cast(pl.Int64),
        quantity=pl.lit(3, dtype=pl.Int64),
    )
    features.prepare(lines, 2 * lines.height - 7, tmp_path / "lines.parquet")
    made = pl.read_parquet(tmp_path / "lines.parquet")
    assert made.height == 2 * lines.height - 7 and made["day"].is_sorted()
    cutoffs = [f"{AT}", f"{AT + timedelta(days=30)}"]
    ours = features.foreproof(str(tmp_path / "lines.parquet"), cutoffs)
    for cutoff in cutoffs:
        end = date.fromisoformat(cutoff)
        past = made.filter(pl.col("day") <= end)
        days = [end - day for day in past["day"]]
        year = [money for money, age in zip(past["sales"], days, strict=True) if age.days < 365]
        sums = dict(zip(features.FEATURES, ours[cutoff], strict=True))
        pairs = features.GROUPS * past["customer"].n_unique()
        assert sums["sales_365"] == [pairs, sum(year)] and sums["count_365"] == [pairs, len(year)]
        assert sums["quantity_365"] == [pairs, 3 * len(year)]
        assert sums["active_life"] == [pairs, past.select("customer", "grp", "day").n_unique()]
        assert sums["customer_sales_365"] == [pairs, features.GROUPS * sum(year)]
        assert sums["recency"][0] == past.select("customer", "grp").n_unique()


def test_checksums_that_differ_by_one_penny_or_one_pair_are_seen(features: ModuleType) -> None:
    ours = {"2011-11-30": [[9, 1e6 + i] for i in range(27)]}
    assert features.difference(ours, ours) == 0.0
    for i, off in ((0, 1.0), (features.FEATURES.index("mean_365"), 1e6)):
        theirs = {"2011-11-30": [[n, total + off * (j == i)] for j, (n, total) in enumerate(ours["2011-11-30"])]}
        assert features.difference(ours, theirs) >= 0.9
    fewer = {"2011-11-30": [[n - (j == 3), total] for j, (n, total) in enumerate(ours["2011-11-30"])]}
    assert math.isinf(features.difference(ours, fewer)) and math.isinf(features.difference(ours, {}))


def test_words_of_the_feature_benchmark_that_mean_nothing_are_refused(
    features: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--rows", "many"], ["--rows", "0"], ["--cutoffs", "13"], ["--who", "spark"], ["--who", ""]):
        with pytest.raises(SystemExit) as stopped:
            features.options_of(words)
        assert stopped.value.code == 2
        assert words[0] in capsys.readouterr().err


def test_a_quick_feature_run_writes_well_formed_rows_with_equal_checksums(data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    words = ["--quick", "--cutoffs", "2", "--who", "foreproof,polars", "--data", str(data_dir), "--json", str(out)]
    done = subprocess.run(
        [sys.executable, str(FOLDER / "features.py"), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert "as expected" in done.stdout
    rows = json.loads(out.read_text(encoding="utf-8"))
    assert all(set(row) == ROW and row["benchmark"] == "features" and row["n"] > 0 for row in rows)
    assert {row["case"] for row in rows} == {"rows_20000", "rows_20000_cutoffs_4"}
    for who in {row["who"] for row in rows}:
        assert {row["metric"] for row in rows if row["who"] == who} >= COSTS
    assert [row["value"] <= 1e-9 for row in rows if row["metric"] == "max_abs_diff"] == [True]
