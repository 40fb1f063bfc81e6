from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foreproof.core.score import (
    bias,
    coverage,
    mae,
    mape,
    mase,
    mase_scale,
    mean_error,
    msis,
    naive2,
    owa,
    pinball,
    rmse,
    rmsse,
    rmsse_scale,
    smape,
    wape,
    width,
)
from foreproof.core.score_table import score_table
from foreproof.errors import BadInput

HISTORY = [10.0, 20.0, 12.0, 23.0]  # season 2: differences 2, 3; season 1: 10, -8, 11


def test_scores_equal_figures_worked_by_hand() -> None:
    y, f = [10.0, 20.0, 0.0, 30.0], [12.0, 15.0, 0.0, 30.0]
    assert smape(y, f) == pytest.approx(200 * (2 / 22 + 5 / 35) / 4)
    assert wape(y, f) == pytest.approx(7 / 60)
    assert bias(y, f) == pytest.approx(-3 / 60)
    errors = [b - a for a, b in zip(y, f, strict=True)]
    assert mae(y, f) == pytest.approx(sum(abs(e) for e in errors) / len(errors))
    assert rmse(y, f) == pytest.approx(math.sqrt(sum(e * e for e in errors) / len(errors)))
    assert mape([10.0, -20.0], [12.0, -15.0]) == pytest.approx((20 + 25) / 2)
    assert math.isnan(mape(y, f)), "one actual is zero: there is no MAPE"
    assert mean_error(y, f) == pytest.approx(-3 / 4)
    assert mase(y, f, scale=2.5) == pytest.approx(7 / 4 / 2.5)
    assert rmsse(y, f, scale=6.5) == pytest.approx(math.sqrt(29 / 4 / 6.5))
    assert pinball([10.0, 10.0], [8.0, 13.0], 0.9) == pytest.approx((0.9 * 2 + 0.1 * 3) / 2)
    assert owa(11.0, 0.9, smape_naive2=10.0, mase_naive2=1.0) == pytest.approx(1.0)


def test_interval_scores_equal_figures_worked_by_hand() -> None:
    y, low, high = [5.0, 1.0, 9.0, 4.0], [4.0, 2.0, 2.0, 4.0], [6.0, 5.0, 8.0, 4.0]
    assert coverage(y, low, high) == 0.5  # the ends belong to the interval
    assert width(low, high) == pytest.approx((2 + 3 + 6 + 0) / 4)
    assert msis(y, low, high, alpha=0.2, scale=2.0) == pytest.approx((2 + (3 + 10) + (6 + 10) + 0) / 4 / 2)


def test_scales_are_mean_seasonal_differences() -> None:
    assert mase_scale(HISTORY, 2) == 2.5
    assert rmsse_scale(HISTORY, 2) == 6.5
    assert mase_scale(HISTORY, 1) == pytest.approx(29 / 3)


@pytest.mark.parametrize("history", [HISTORY[:2], [1.0, 3.0, 1.0, 3.0]], ids=["too short", "repeats exactly"])
def test_a_scale_falls_back_to_season_one(history: list[float]) -> None:
    assert mase_scale(history, 2) == mase_scale(history, 1) > 0
    assert rmsse_scale(history, 2) == rmsse_scale(history, 1) > 0


@pytest.mark.parametrize("history", [[7.0], [0.0] * 9, [0.3, 0.1 + 0.2, 0.3]], ids=["one point", "zeros", "rounding"])
def test_a_history_without_change_has_no_scale(history: list[float]) -> None:
    assert math.isnan(mase_scale(history, 2))
    assert math.isnan(rmsse_scale(history, 2))
    assert math.isnan(mase([1.0], [2.0], scale=mase_scale(history, 2)))


def test_a_ratio_to_nothing_is_nan_and_no_error_on_nothing_is_no_smape() -> None:
    zeros = [0.0, 0.0]
    assert smape(zeros, zeros) == 0.0
    assert math.isnan(wape(zeros, [1.0, 2.0]))
    assert math.isnan(bias([1.0, -1.0], [1.0, 2.0]))
    assert math.isnan(owa(1.0, 1.0, smape_naive2=0.0, mase_naive2=1.0))


def test_bad_arrays_are_refused_with_the_place() -> None:
    with pytest.raises(BadInput, match=r"smape: y is missing or infinite in 1 of 2 places \(first: position 1\)"):
        smape([1.0, math.nan], [1.0, 1.0])
    with pytest.raises(BadInput, match="f is missing or infinite"):
        wape([1.0, 2.0], [math.inf, 1.0])
    with pytest.raises(BadInput, match="y is empty"):
        mean_error([], [])
    with pytest.raises(BadInput, match="history is empty"):
        mase_scale([], 1)
    with pytest.raises(BadInput, match=r"y has shape \(2,\), f has shape \(3,\)"):
        bias([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(BadInput, match="low is above high in 1 places"):
        coverage([1.0, 1.0], [0.0, 3.0], [2.0, 2.0])


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(BadInput, match="level"):
        pinball([1.0], [1.0], 1.0)
    with pytest.raises(BadInput, match="alpha"):
        msis([1.0], [0.0], [2.0], alpha=95, scale=1.0)
    with pytest.raises(BadInput, match="scale 0"):
        mase([1.0], [1.0], scale=0.0)
    with pytest.raises(BadInput, match="season 0"):
        mase_scale([1.0, 2.0], 0)
    with pytest.raises(BadInput, match="horizon 0"):
        naive2([1.0, 2.0], 0, season=1)


# --- Naive2 ----------------------------------------------------------------------------------------------------------


def test_naive2_continues_a_multiplicative_season_exactly() -> None:
    season = np.array([0.5, 1.0, 2.0, 0.5])
    history = 8.0 * np.tile(season, 6)[:22]
    assert naive2(history, 5, season=4) == pytest.approx(8.0 * np.array([2.0, 0.5, 0.5, 1.0, 2.0]))


def test_naive2_is_the_last_value_without_a_proven_season() -> None:
    flat = [5.0] * 30
    rising = list(np.arange(1.0, 9.0))  # two seasons only
    assert list(naive2(flat, 3, season=7)) == [5.0] * 3
    assert list(naive2(rising, 3, season=4)) == [8.0] * 3
    assert list(naive2(rising, 2, season=1)) == [8.0] * 2
    # R's acf ends at 10 log10(n) lags, so 156 weeks never show a yearly season
    assert list(naive2(np.tile(np.arange(1.0, 53.0), 3), 2, season=52)) == [52.0] * 2


def test_naive2_is_finite_when_the_last_day_is_always_closed() -> None:
    weeks = np.tile([4.0, 5.0, 6.0, 5.0, 7.0, 9.0, 0.0], 8)
    assert list(naive2(weeks, 2, season=7)) == [0.0, 0.0]  # level 0/0: the plain naive
    assert naive2(weeks[:-1], 3, season=7) == pytest.approx([0.0, 4.0, 5.0])


@pytest.mark.parametrize(("frequency", "season"), [("hourly", 24), ("weekly", 1), ("yearly", 1)])
def test_naive2_has_the_official_m4_figures(data_dir: Path, frequency: str, season: int) -> None:
    facts = pl.read_parquet(data_dir / "m4" / f"{frequency}.parquet").sort("unique_id", "ds")
    train, test = (
        facts.filter(pl.col("split") == split).group_by("unique_id", maintain_order=True).agg("y")
        for split in ("train", "test")
    )
    horizon = test["y"].list.len().max()
    histories = [history.to_numpy() for history in train["y"]]
    forecasts = train.select(
        "unique_id", naive2=pl.Series([naive2(past, horizon, season=season) for past in histories])
    )
    scales = train.select(
        "unique_id",
        mase_scale=pl.Series([mase_scale(past, season) for past in histories]),
        rmsse_scale=pl.Series([rmsse_scale(past, season) for past in histories]),
    )
    rows = test.join(forecasts, on="unique_id").with_columns(step=pl.lit(range(horizon), pl.List(pl.Int64)))
    rows = rows.explode("y", "naive2", "step").with_columns(cutoff=0)
    points = rows.select("unique_id", "cutoff", "step", level=pl.lit(None, pl.Float64), value="naive2")
    ours = score_table(points, rows.select("unique_id", "step", "y", "naive2"), scales, by=[])
    scores = dict(zip(ours["metric"], ours["value"], strict=True))

    with (data_dir / "m4" / "official_point_by_frequency.csv").open(newline="") as file:
        groups, names, *methods = csv.reader(file)
    official = next(row for row in methods if row[0] == "Naive2")
    smape_at = groups.index("sMAPE") + names[1:].index(frequency.title())
    mase_at = groups.index("MASE") + names[1:].index(frequency.title())
    # they printed three decimals
    assert scores["smape"] == pytest.approx(float(official[smape_at]), abs=0.0005)
    assert scores["mase"] == pytest.approx(float(official[mase_at]), abs=0.0005)
    assert scores["owa"] == pytest.approx(1.0)


# --- the table -------------------------------------------------------------------------------------------------------


def frames() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Two series, one cutoff, two steps; point, median and an 80% interval."""
    y = {("a", 1): 10.0, ("a", 2): 20.0, ("b", 1): 4.0, ("b", 2): 0.0}
    offsets = {None: 1.0, 0.1: -2.0, 0.5: 0.5, 0.9: 3.0}
    predictions = pl.DataFrame(
        [
            {"id": i, "cutoff": 7, "step": step, "level": level, "value": actual + offset}
            for (i, step), actual in y.items()
            for level, offset in offsets.items()
        ],
        schema_overrides={"level": pl.Float64},
    )
    actuals = pl.DataFrame([{"id": i, "step": step, "y": v, "naive2": v + 2.0} for (i, step), v in y.items()])
    scales = pl.DataFrame({"id": ["a", "b"], "mase_scale": [2.0, 4.0], "rmsse_scale": [4.0, 16.0]})
    return predictions, actuals, scales


def scores(table: pl.DataFrame, *where: pl.Expr) -> dict[str, tuple[float | None, int]]:
    return {metric: (value, n) for metric, value, n in table.filter(*where).select("metric", "value", "n").iter_rows()}


def test_the_table_equals_figures_worked_by_hand() -> None:
    overall = scores(score_table(*frames(), by=[]))
    assert set(overall) == {
        *("mae", "rmse", "mape", "mase", "rmsse", "smape", "owa", "wape", "bias", "mean_error", "pinball"),
        *("coverage80", "width80", "msis80"),
    }
    assert overall["mase"] == (pytest.approx((1 / 2 + 1 / 4) / 2), 4)
    assert overall["rmsse"] == (pytest.approx((1 / 2 + 1 / 4) / 2), 2)
    assert overall["wape"] == (pytest.approx(4 / 34), 4)
    assert overall["bias"] == (pytest.approx(4 / 34), 4)
    assert overall["mean_error"] == (1.0, 4)
    assert overall["mae"] == (1.0, 4)
    assert overall["rmse"] == (1.0, 4)
    assert overall["mape"] == (None, 3), "one of the four actuals is zero: no MAPE, and the count says so"
    assert scores(score_table(*frames(), by=["id"]), pl.col("id") == "a")["mape"] == (pytest.approx((10 + 5) / 2), 2)
    assert overall["pinball"] == (pytest.approx((0.1 * 2 + 0.5 * 0.5 + 0.1 * 3) / 3), 12)
    assert overall["coverage80"] == (1.0, 4)
    assert overall["width80"] == (5.0, 4)
    assert overall["msis80"] == (pytest.approx((5 / 2 + 5 / 4) / 2), 4)
    ours, theirs = 200 * (1 / 21 + 1 / 41 + 1 / 9 + 1), 200 * (2 / 22 + 2 / 42 + 2 / 10 + 1)
    assert overall["smape"] == (pytest.approx(ours / 4), 4)
    assert overall["owa"] == (pytest.approx((ours / theirs + 1 / 2) / 2), 4)


def test_the_table_groups_by_series_and_step_and_level() -> None:
    by_series = score_table(*frames(), by=["id"])
    assert by_series.columns == ["id", "metric", "value", "n"]
    assert scores(by_series, pl.col("id") == "b")["mase"] == (0.25, 2)
    assert scores(by_series, pl.col("id") == "b")["rmsse"] == (0.25, 1)
    by_step = score_table(*frames(), by=["step"])
    assert scores(by_step, pl.col("step") == 2)["wape"] == (pytest.approx(2 / 20), 2)
    by_level = score_table(*frames(), by=["level"])
    assert scores(by_level, pl.col("level") == 0.1)["pinball"] == (pytest.approx(0.2), 4)
    assert set(scores(by_level, pl.col("level") == 0.8)) == {"coverage80", "width80", "msis80"}
    assert scores(by_level, pl.col("level").is_null())["mean_error"] == (1.0, 4)


def test_the_median_stands_in_for_the_point_only_where_there_is_no_point() -> None:
    predictions, actuals, scales = frames()
    quantiles = predictions.filter(pl.col("level").is_not_null())
    assert scores(score_table(quantiles, actuals, scales, by=[]))["mean_error"] == (0.5, 4)
    assert scores(score_table(predictions, actuals, scales, by=[]))["mean_error"] == (1.0, 4)
    tails = quantiles.filter(pl.col("level") != 0.5)
    assert set(scores(score_table(tails, actuals, scales, by=[]))) == {"pinball", "coverage80", "width80", "msis80"}


def test_points_alone_give_no_quantile_scores_and_no_naive2_gives_no_owa() -> None:
    predictions, actuals, scales = frames()
    points = predictions.filter(pl.col("level").is_null()).with_columns(level=None)
    table = scores(score_table(points, actuals.drop("naive2"), scales, by=["cutoff"]))
    assert set(table) == {"mae", "rmse", "mape", "mase", "rmsse", "smape", "wape", "bias", "mean_error"}


def test_a_series_without_a_scale_is_left_out_of_scaled_scores_only() -> None:
    predictions, actuals, scales = frames()
    unscaled = scales.with_columns(
        pl.when(pl.col("id") == "b").then(math.nan).otherwise(pl.col("mase_scale", "rmsse_scale")).name.keep()
    )
    table = score_table(predictions, actuals, unscaled, by=["id"])
    assert scores(table, pl.col("id") == "b")["mase"] == (None, 0)
    assert scores(table, pl.col("id") == "b")["rmsse"] == (None, 0)
    assert scores(table, pl.col("id") == "b")["owa"] == (None, 0)
    assert scores(table, pl.col("id") == "b")["wape"] == (pytest.approx(2 / 4), 2)
    assert scores(score_table(predictions, actuals, unscaled, by=[]))["mase"] == (0.5, 2)


def test_levels_pair_although_their_floats_do_not_mirror() -> None:
    predictions, actuals, scales = frames()
    moved = predictions.with_columns(
        pl.when(pl.col("level") == 0.9).then(1 - 0.1 + 1e-13).otherwise("level").alias("level")
    )
    assert scores(score_table(moved, actuals, scales, by=[]))["coverage80"] == (1.0, 4)


def test_frames_that_cannot_be_scored_are_refused_with_the_first_row() -> None:
    predictions, actuals, scales = frames()
    missing = actuals.with_columns(y=pl.when(pl.col("step") == 2).then(None).otherwise("y"))
    infinite = predictions.with_columns(value=pl.lit(math.inf))
    crossed = predictions.with_columns(value=-pl.col("value"))
    text = actuals.with_columns(y=pl.col("y").cast(pl.String))
    cases: list[tuple[str, tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]]] = [
        (r"actuals: a missing or infinite y in 2 rows \(first: id=a, step=2\)", (predictions, missing, scales)),
        ("actuals: a missing or infinite naive2", (predictions, actuals.with_columns(naive2=math.nan), scales)),
        ("predictions: a missing or infinite value in 16 rows", (infinite, actuals, scales)),
        ("predictions: quantiles that cross in 4 rows", (crossed, actuals, scales)),
        ("predictions: a level outside", (predictions.with_columns(level=90.0 + pl.col("level")), actuals, scales)),
        ("predictions: a repeated key in 32 rows", (pl.concat([predictions, predictions]), actuals, scales)),
        ("actuals: a repeated key", (predictions, pl.concat([actuals, actuals]), scales)),
        ("scales: a repeated key", (predictions, actuals, pl.concat([scales, scales]))),
        ("scales: a mase_scale that is neither", (predictions, actuals, scales.with_columns(mase_scale=0.0))),
        ("predictions: no row of actuals to score it with in 4 rows", (predictions, actuals[:3], scales)),
        ("predictions: no row of scales to score it with in 8 rows", (predictions, actuals, scales[:1])),
        ("predictions: no rows", (predictions.clear(), actuals, scales)),
        ("actuals: column y is String", (predictions, text, scales)),
        ("actuals: column step is Int8", (predictions, actuals.cast({"step": pl.Int8}), scales)),
        ("actuals: no column besides y", (predictions, actuals.select("y"), scales)),
        ("wanted also value", (predictions.drop("value"), actuals, scales)),
        ("wanted also shop", (predictions, actuals.with_columns(shop=1), scales)),
    ]
    for message, given in cases:
        with pytest.raises(BadInput, match=message):
            score_table(*given, by=[])
    with pytest.raises(BadInput, match="wanted also region"):
        score_table(predictions, actuals, scales, by=["region"])


def test_inputs_are_left_as_they_were() -> None:
    given, copies = frames(), frames()
    score_table(*given, by=["id"])
    assert all(frame.equals(copy) for frame, copy in zip(given, copies, strict=True))
