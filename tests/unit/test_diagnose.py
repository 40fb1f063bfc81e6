"""Planted faults of forecasts are found, and their absence is not: white and autocorrelated errors, bias, growth."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from scipy import stats

from foreproof.core.decompose import calendar_labels, changed, error_parts, event_labels, movers, top_groups
from foreproof.core.diagnose import (
    brown_forsythe,
    centred,
    errors_in_order,
    growth_by_step,
    ljung_box,
    mean_zero,
    rejections,
    scaled_errors,
    variance_by_step,
)
from foreproof.core.rivals import rivals
from foreproof.errors import BadInput


def lines(rng: np.random.Generator, *, series: int, n: int, rho: float) -> pl.DataFrame:
    """Errors of an AR(1) with coefficient rho, one series below the other."""
    shocks = rng.normal(size=(series, n + 50))
    errors = np.zeros_like(shocks)
    for t in range(1, n + 50):
        errors[:, t] = rho * errors[:, t - 1] + shocks[:, t]
    kept = errors[:, 50:]
    return pl.DataFrame(
        {
            "model": "m",
            "id": np.repeat(np.arange(series), n),
            "at": np.tile(np.arange(n), series),
            "error": kept.ravel(),
        }
    )


def points(rng: np.random.Generator, *, bias: float = 0.0, growth: float = 0.0, origins: int = 12) -> pl.DataFrame:
    """Ten series, twelve steps; errors whose variance is step ** growth, around the bias."""
    cells = pl.DataFrame({"id": [f"s{i}" for i in range(10)]}).join(
        pl.DataFrame({"cutoff": range(0, 12 * origins, 12)}, schema_overrides={"cutoff": pl.Int64}), how="cross"
    )
    cells = cells.join(pl.DataFrame({"step": range(1, 13)}), how="cross")
    y = 50 + rng.normal(size=cells.height)
    spread = cells["step"].to_numpy() ** (growth / 2)
    error = bias + spread * rng.normal(size=cells.height)
    return cells.with_columns(
        model=pl.lit("m"), target=pl.col("cutoff") + pl.col("step"), y=pl.Series(y), value=pl.Series(y + error)
    )


def test_autocorrelated_errors_are_found_and_white_ones_at_most_at_the_rate_of_chance() -> None:
    rng = np.random.default_rng(1)
    white = rejections(ljung_box(lines(rng, series=400, n=60, rho=0.0), by=["model", "id"], lags=8), by=["model"])
    found = rejections(ljung_box(lines(rng, series=100, n=60, rho=0.6), by=["model", "id"], lags=8), by=["model"])
    assert white["tested"].to_list() == [400]
    assert white["share"][0] < 0.09, "about 5% by chance"
    assert white["share_holm"][0] <= 0.005
    assert found["share"][0] > 0.9
    assert found["share_holm"][0] > 0.3


def test_ljung_box_gives_chi_squares_tail_and_corrects_within_each_model() -> None:
    rng = np.random.default_rng(2)
    two = pl.concat([lines(rng, series=3, n=40, rho=0.4).with_columns(model=pl.lit(name)) for name in ("a", "b")])
    table = ljung_box(two, by=["model", "id"], lags=5)
    for row in table.iter_rows(named=True):
        assert row["p_value"] == pytest.approx(stats.chi2.sf(row["statistic"], row["lags"]))
    alone = ljung_box(two.filter(pl.col("model") == "a"), by=["model", "id"], lags=5)
    assert table.filter(pl.col("model") == "a").equals(alone)


def test_a_series_that_cannot_be_tested_is_counted_and_not_judged() -> None:
    frame = pl.DataFrame(
        {"model": "m", "id": [0] * 20 + [1] * 5, "at": range(25), "error": [0.1] * 20 + [1.0, 2.0, 0.0, 1.0, 3.0]}
    )
    table = ljung_box(frame, by=["model", "id"], lags=3)
    assert table["p_value"].to_list() == [None, None]
    assert rejections(table, by=["model"]).row(0) == ("m", 2, 0, None, None)
    with pytest.raises(BadInput, match="0 lags"):
        ljung_box(frame, by=["id"], lags=0)


def test_errors_in_order_take_step_one_or_the_latest_origin_of_each_target() -> None:
    rows = [
        {"model": "m", "id": "a", "cutoff": c, "step": s, "target": c + s, "y": 0.0, "value": 10.0 * c + s}
        for c in (0, 2)
        for s in (1, 2, 3)
    ]
    frame = pl.DataFrame(rows)
    one = errors_in_order(frame, entity=["id"], order="one step")
    line = errors_in_order(frame, entity=["id"], order="consecutive")
    assert one["error"].to_list() == [1.0, 21.0]
    assert line.select("at", "error").rows() == [(1, 1.0), (2, 2.0), (3, 21.0), (4, 22.0), (5, 23.0)]


def test_bias_is_found_and_its_absence_is_not() -> None:
    rng = np.random.default_rng(3)
    off = mean_zero(points(rng, bias=0.5), entity=["id"])
    fair = mean_zero(points(rng), entity=["id"])
    assert off["cluster"].to_list() == ["origin", "series"]
    assert (off["p_value"] < 1e-4).all()
    assert ((off["low"] < 0.5) & (off["high"] > 0.5)).all()
    assert (fair["p_value"] > 0.05).all()


def test_errors_that_share_their_origins_shock_are_no_proof_of_bias() -> None:
    rng = np.random.default_rng(4)
    frame = points(rng, origins=6).with_columns(
        value=pl.col("value")
        + pl.col("cutoff").replace_strict(dict(zip(range(0, 72, 12), rng.normal(size=6) * 3, strict=True)))
    )
    (origin,) = mean_zero(frame, entity=["id"]).filter(cluster="origin").iter_rows(named=True)
    naive = stats.ttest_1samp((frame["value"] - frame["y"]).to_numpy(), 0.0).pvalue
    assert naive < 0.01 < origin["p_value"]


def test_one_cluster_is_left_untested_and_no_error_is_no_bias() -> None:
    frame = points(np.random.default_rng(5), origins=1)
    table = mean_zero(frame.drop("id"), entity=[])
    assert table["p_value"].to_list() == [None, None]
    with pytest.raises(BadInput, match="1 cluster"):
        centred([1.0, 2.0], clusters=[0, 0])
    with pytest.raises(BadInput, match="one an error"):
        centred([1.0, 2.0], clusters=[0])
    assert centred([0.0, 0.0], clusters=[0, 1]).p_value == 1.0
    constant = centred([2.0, 2.0], clusters=[0, 1])
    assert (constant.statistic, constant.p_value, constant.low) == (math.inf, 0.0, 2.0)


@pytest.mark.parametrize("growth", [0.0, 1.0])
def test_the_growth_of_the_error_by_step_is_found(growth: float) -> None:
    scaled = scaled_errors(points(np.random.default_rng(6), growth=growth, origins=20), entity=["id"])
    (found,) = growth_by_step(scaled).iter_rows(named=True)
    assert found["low"] < growth < found["high"]
    assert abs(found["exponent"] - growth) < 0.2
    assert found["origins"] == 20
    assert (found["p_value"] < 1e-6) == (growth > 0)
    by_step = variance_by_step(scaled)
    assert by_step["ratio"][0] == 1.0
    assert by_step["ratio"][11] == pytest.approx(12**growth, rel=0.5)


def test_brown_forsythe_equals_scipys() -> None:
    rng = np.random.default_rng(7)
    groups = [rng.normal(size=9) * scale for scale in (1.0, 1.5, 2.0)]
    wanted = stats.levene(*groups, center="median")
    assert brown_forsythe(groups) == pytest.approx((wanted.statistic, wanted.pvalue))
    assert math.isnan(brown_forsythe(groups[:1])[0])
    assert math.isnan(brown_forsythe([np.zeros(3), np.zeros(3)])[0])
    assert brown_forsythe([np.array([1.0, -1.0]), np.array([2.0, -2.0])]) == (math.inf, 0.0)


def test_a_series_of_zeros_has_no_size_and_is_left_out() -> None:
    frame = pl.DataFrame(
        {"model": "m", "id": ["a", "b"], "cutoff": 0, "step": 1, "target": 1, "y": [0.0, 4.0], "value": [1.0, 5.0]}
    )
    assert scaled_errors(frame, entity=["id"])["error"].to_list() == [0.25]


def test_each_planted_part_of_the_error_stands_where_it_was_planted() -> None:
    y = np.tile([0.0, 2.0, 4.0, 2.0], 5)
    faults = {"bias": y + 3.0, "variance": 2.0 + 1.5 * (y - 2.0), "covariance": np.roll(y, 1)}
    frame = pl.concat(pl.DataFrame({"model": name, "value": f, "y": y}) for name, f in faults.items())
    table = error_parts(frame, dimensions={})
    for row in table.iter_rows(named=True):
        assert row[row["model"]] == pytest.approx(row["mean_square"]), row["model"]


def test_events_weekdays_and_months_are_named() -> None:
    assert event_labels(pl.Series([0.0, 1.0, None, math.nan])).to_list() == ["no", "yes", None, None]
    assert event_labels(pl.Series([0.0, 2.0, 2.5])).to_list() == ["0", "2", "2.5"]
    assert event_labels(pl.Series(range(30))).value_counts(sort=True)["count"].to_list() == [10, 10, 10]
    assert event_labels(pl.Series(["eid", None])).to_list() == ["eid", "none"]
    assert set(event_labels(pl.Series([*(f"h{i}" for i in range(20)), None]))) == {"none", "some"}
    targets = pl.Series([datetime(2024, 1, 31, 23, 30, tzinfo=UTC), datetime(2024, 2, 3, 23, 30, tzinfo=UTC)])
    labels = calendar_labels(targets, zone="Europe/Paris")
    assert {name: part.to_list() for name, part in labels.items()} == {"weekday": [4, 7]}, "both are in February there"
    frame = pl.DataFrame({"model": "m", "value": [1.0, 4.0], "y": [0.0, 0.0]})
    labels["promotion"] = event_labels(pl.Series([1.0, None]))
    table = error_parts(frame, dimensions=labels)
    assert table.select("dimension", "group", "squared_error").rows() == [
        ("overall", "all", 17.0),
        ("weekday", "Thursday", 1.0),
        ("weekday", "Sunday", 16.0),
        ("promotion", "yes", 1.0),
        ("promotion", "unknown", 16.0),
    ]
    assert top_groups(table, dimension="weekday", count=1)["group"].to_list() == ["Sunday"]


def test_a_jump_of_the_truth_is_named_as_what_moved_the_error() -> None:
    rows = [
        {"id": i, "cutoff": c, "step": s, "y": 10.0 + (20.0 if i == "b" and c == 1 else 0.0), "value": 10.5}
        for i in "ab"
        for c in (0, 1)
        for s in (1, 2)
    ]
    table = changed(pl.DataFrame(rows), entity=["id"], before=0, after=1)
    (b,) = table.filter(dimension="series", group="b").iter_rows(named=True)
    assert (b["change"], b["truth"], b["forecast"]) == pytest.approx((2 * (19.5**2 - 0.25), 2 * (19.5**2 - 0.25), 0.0))
    words = movers(table)
    assert words[0].startswith("all series: squared error rose")
    assert words[1].startswith("b: squared error rose from 0.5 to 760.5, most by the level")
    assert "truth 10 to 30 (+20)" in words[1]
    assert len(words) == 2, "series a did not move"
    with pytest.raises(BadInput, match="judged at both"):
        changed(pl.DataFrame(rows), entity=["id"], before=0, after=9)


def test_the_better_of_two_models_is_found_and_equals_are_not_told_apart() -> None:
    rng = np.random.default_rng(8)
    good = points(rng)
    bad = good.with_columns(model=pl.lit("worse"), value=pl.col("y") + 3 * (pl.col("value") - pl.col("y")))
    equal = good.with_columns(model=pl.lit("other"), value=2 * pl.col("y") - pl.col("value"))
    table = rivals(pl.concat([good, bad, equal]), entity=["id"], horizon=12)
    assert table.height == 3
    (pair,) = table.filter(model_a="m", model_b="worse").iter_rows(named=True)
    assert pair["p_holm"] < 0.01
    assert pair["difference"] < 0
    assert pair["words"].startswith("m beats worse: its loss is 66.7% lower")
    (same,) = table.filter(model_a="m", model_b="other").iter_rows(named=True)
    assert same["p_holm"] == 1.0
    assert "may be chance" in same["words"]
    few = rivals(pl.concat([good, bad]).filter(pl.col("target") < 5), entity=["id"], horizon=12)
    assert few["p_value"].to_list() == [None]
    assert few["words"][0].startswith("not tested")


def test_rows_that_one_model_does_not_predict_count_for_none() -> None:
    good = points(np.random.default_rng(9))
    bad = good.with_columns(model=pl.lit("other"), value=pl.col("value") + 1.0)
    part = bad.filter(pl.col("step") > 3)
    whole = rivals(pl.concat([good.filter(pl.col("step") > 3), part]), entity=["id"], horizon=12)
    assert rivals(pl.concat([good, part]), entity=["id"], horizon=12).equals(whole)
