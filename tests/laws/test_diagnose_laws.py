"""Laws of the diagnosis: parts add up, the order of rows is irrelevant, and twins agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import naive_diagnose as naive
from foreproof.core import decompose, diagnose, rivals

numbers = st.integers(-400, 400).map(lambda k: k / 4)
exactly = {"rel": 1e-9, "abs": 1e-7}


@st.composite
def judged(draw: st.DrawFn, models: tuple[str, ...] = ("m",), origins: int = 3) -> pl.DataFrame:
    """Points of every model for the same (series, origin, step) cells; targets follow the step."""
    cells = draw(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.integers(1, origins), st.integers(1, 4)),
            min_size=2,
            max_size=14,
            unique=True,
        )
    )
    truth = {(i, cutoff + step): draw(numbers) for i, cutoff, step in cells}
    rows = [
        {"model": m, "id": i, "cutoff": c, "step": s, "target": c + s, "y": truth[i, c + s], "value": draw(numbers)}
        for m in models
        for i, c, s in cells
    ]
    return pl.DataFrame(rows)


def labels_of(points: pl.DataFrame) -> dict[str, pl.Series]:
    return {"series": decompose.series_labels(points, ["id"]), "step": points["step"]}


def shuffled(frame: pl.DataFrame, random: Any) -> pl.DataFrame:
    return frame[random.sample(range(frame.height), frame.height)]


@given(st.lists(st.one_of(st.just(math.nan), st.floats(0, 1)), max_size=12))
def test_holm_equals_its_plain_twin_and_only_raises(p: list[float]) -> None:
    ours = diagnose.holm(p)
    assert list(ours) == pytest.approx(naive.holm(p), nan_ok=True)
    for raw, corrected in zip(p, ours, strict=True):
        assert math.isnan(raw) or corrected >= raw


@given(st.lists(st.lists(numbers, min_size=1, max_size=30), min_size=1, max_size=4), st.integers(1, 6))
def test_ljung_box_equals_its_plain_twin(series: list[list[float]], lags: int) -> None:
    frame = pl.concat(
        pl.DataFrame({"id": i, "at": range(len(errors)), "error": errors}, schema_overrides={"error": pl.Float64})
        for i, errors in enumerate(series)
    )
    found = diagnose.ljung_box(frame, by=["id"], lags=lags)
    for errors, row in zip(series, found.iter_rows(named=True), strict=True):
        if len(errors) < 10 or len(set(errors)) == 1:
            assert row["p_value"] is None
        else:
            used = max(1, min(lags, len(errors) // 5))
            assert row["lags"] == used
            assert row["statistic"] == pytest.approx(naive.ljung_box(errors, used), rel=1e-7)


@given(judged(("m", "o")))
def test_parts_equal_their_twins_add_up_and_share_out_the_whole(points: pl.DataFrame) -> None:
    table = decompose.error_parts(points, dimensions=labels_of(points))
    for row in table.iter_rows(named=True):
        assert row["bias"] + row["variance"] + row["covariance"] == pytest.approx(row["mean_square"], **exactly)
        if row["mean_square"] > 0:
            assert row["um"] + row["us"] + row["uc"] == pytest.approx(1.0)
        key = {"overall": None, "series": pl.col("id") == row["group"], "step": pl.col("step") == row["place"]}
        mine = points.filter(pl.col("model") == row["model"])
        mine = mine if row["dimension"] == "overall" else mine.filter(key[row["dimension"]])
        rows = mine.to_dicts()
        wanted = naive.parts([r["value"] for r in rows], [r["y"] for r in rows])
        assert (row["bias"], row["variance"], row["covariance"]) == pytest.approx(wanted, **exactly)
        assert row["squared_error"] == pytest.approx(naive.squared(rows), **exactly)
        assert row["n"] == len(rows)
    shares = table.drop_nulls("share").group_by("model", "dimension").agg(pl.col("share").sum())
    assert shares["share"].to_list() == pytest.approx([1.0] * shares.height)


@given(judged(("m", "o")), st.randoms(use_true_random=False))
def test_row_order_cannot_change_a_byte(points: pl.DataFrame, random: Any) -> None:
    other = shuffled(points, random)
    assert decompose.error_parts(other, dimensions=labels_of(other)).equals(
        decompose.error_parts(points, dimensions=labels_of(points)), null_equal=True
    )
    assert diagnose.mean_zero(other, entity=["id"]).equals(diagnose.mean_zero(points, entity=["id"]))
    scaled, again = (diagnose.scaled_errors(frame, entity=["id"]) for frame in (points, other))
    assert diagnose.variance_by_step(again).equals(diagnose.variance_by_step(scaled))
    assert diagnose.growth_by_step(again).equals(diagnose.growth_by_step(scaled))
    assert rivals.rivals(other, entity=["id"], horizon=4).equals(rivals.rivals(points, entity=["id"], horizon=4))
    orders: tuple[diagnose.ErrorOrder, ...] = ("one step", "consecutive")
    for order in orders:
        lines = [diagnose.errors_in_order(frame, entity=["id"], order=order) for frame in (points, other)]
        assert lines[0].equals(lines[1])


@given(judged(origins=2))
def test_a_change_is_the_sum_of_its_parts_and_turns_round_with_the_origins(points: pl.DataFrame) -> None:
    cells = {c: set(part.select("id", "step").iter_rows()) for (c,), part in points.group_by("cutoff")}
    both = cells.get(1, set()) & cells.get(2, set())
    assume(both)
    there = decompose.changed(points, entity=["id"], before=1, after=2)
    back = decompose.changed(points, entity=["id"], before=2, after=1)
    rows = [row for row in points.to_dicts() if (row["id"], row["step"]) in both]
    squares = [naive.squared([row for row in rows if row["cutoff"] == c]) for c in (1, 2)]
    overall = there.row(0, named=True)
    assert (overall["before"], overall["after"]) == pytest.approx(squares)
    for row in there.iter_rows(named=True):
        total = row["truth"] + row["forecast"] + row["variance"] + row["covariance"]
        assert total == pytest.approx(row["change"], **exactly)
        (mirror,) = back.filter(dimension=row["dimension"], group=row["group"]).iter_rows(named=True)
        assert mirror["change"] == pytest.approx(-row["change"])
        assert mirror["truth"] == pytest.approx(-row["truth"], **exactly)
    for dimension in ("series", "step"):
        whole = there.filter(pl.col("dimension") == dimension)["change"].sum()
        assert whole == pytest.approx(overall["change"], **exactly)
    assert decompose.movers(there)


@given(judged())
def test_variance_by_step_equals_its_plain_twin(points: pl.DataFrame) -> None:
    errors = points.select("model", "cutoff", "step", error=pl.col("value") - pl.col("y"))
    twin = naive.variance_by_step(errors.to_dicts())
    for row in diagnose.variance_by_step(errors).iter_rows(named=True):
        variance, ratio = twin[row["step"]]
        assert row["variance"] == pytest.approx(variance, **exactly)
        assert row["ratio"] is None if math.isnan(ratio) else row["ratio"] == pytest.approx(ratio, **exactly)


@given(judged(("m", "o", "p")), st.sampled_from(["absolute", "squared"]))
def test_losses_of_rivals_equal_their_plain_twin_and_swap_sign_with_names(points: pl.DataFrame, loss: Any) -> None:
    losses = rivals.rival_losses(points, entity=["id"], loss=loss)
    power = 1 if loss == "absolute" else 2
    for model in ("m", "o", "p"):
        assert losses[model].to_list() == pytest.approx(naive.daily(points.to_dicts(), model, power), **exactly)
    table = rivals.rivals(points, entity=["id"], horizon=4, loss=loss)
    assert table.select("model_a", "model_b").rows() == [("m", "o"), ("m", "p"), ("o", "p")]
    renamed = points.with_columns(pl.col("model").replace({"m": "z"}))
    (one,), (other,) = (
        table.filter(model_a="m", model_b="o").iter_rows(named=True),
        rivals.rivals(renamed, entity=["id"], horizon=4, loss=loss)
        .filter(model_b="z", model_a="o")
        .iter_rows(named=True),
    )
    assert one["difference"] == pytest.approx(-other["difference"], **exactly)
    assert (one["p_value"] is None) == (losses.height < 8)
    if one["p_value"] is not None:
        assert one["p_value"] == pytest.approx(other["p_value"])
        assert one["p_holm"] >= one["p_value"]


@given(st.lists(st.tuples(st.integers(0, 4), numbers), min_size=2, max_size=30))
def test_centred_is_the_t_test_of_cluster_means(pairs: list[tuple[int, float]]) -> None:
    from scipy import stats

    clusters, errors = zip(*pairs, strict=True)
    assume(len(set(clusters)) > 1)
    means = [naive.mean([e for c, e in pairs if c == one]) for one in sorted(set(clusters))]
    found = diagnose.centred(errors, clusters=clusters)
    assert found.estimate == pytest.approx(naive.mean(means), **exactly)
    assume(np.ptp(means) > 1e-6)
    wanted = stats.ttest_1samp(means, 0.0)
    assert found.p_value == pytest.approx(wanted.pvalue)
    interval = wanted.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), **exactly)
