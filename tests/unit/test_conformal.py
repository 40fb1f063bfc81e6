"""Intervals: arithmetic against plain twins, and what few origins, odd series and bounds do to them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.stats

import naive_models as naive
from foreproof.core.predict import Prediction
from foreproof.errors import BadInput
from foreproof.models import (
    Calibration,
    Intervals,
    apply_intervals,
    calibrate_total,
    conformal_quantile,
    fit_intervals,
    intervals_of,
    residuals,
    total,
)

LEVELS = (0.05, 0.2, 0.5, 0.8, 0.95)
TEXTBOOK = Calibration(enough=1, own=math.inf, shocks=False, median="residuals")
RNG = np.random.default_rng(11)


def found_of(draw: Any, *, series: int = 30, origins: int = 3, steps: int = 4, seed: int = 1) -> pl.DataFrame:
    """Residuals draw(rng, series, origin, step)."""
    rng = np.random.default_rng(seed)
    rows = [
        {"id": f"s{i:03}", "cutoff": o - origins, "step": s, "residual": float(draw(rng, i, o, s))}
        for i in range(series)
        for o in range(origins)
        for s in range(1, steps + 1)
    ]
    return pl.DataFrame(rows)


def normal(rng: np.random.Generator, *_: int) -> float:
    return float(rng.normal())


def point_of(values: dict[str, float], steps: int = 4, cutoffs: Sequence[int] = (0,)) -> Prediction:
    rows = [
        {"id": name, "cutoff": cutoff, "step": step, "level": None, "value": value}
        for name, value in values.items()
        for cutoff in cutoffs
        for step in range(1, steps + 1)
    ]
    schema = {"id": pl.String, "cutoff": pl.Int64, "step": pl.Int64, "level": pl.Float64, "value": pl.Float64}
    return Prediction("point", ("id",), pl.DataFrame(rows, schema=schema))


def scales_of(values: dict[str, float], cutoffs: Sequence[int] = (0,)) -> pl.DataFrame:
    return pl.DataFrame([{"id": n, "cutoff": c, "scale": v} for n, v in values.items() for c in cutoffs])


def fitted(found: pl.DataFrame, levels: Sequence[float] = LEVELS, calibration: Calibration | None = None) -> Intervals:
    return fit_intervals(found, entity=("id",), levels=levels, calibration=calibration)


# --- residuals -------------------------------------------------------------------------------------------------------


def test_a_residual_is_actual_minus_point_by_scale() -> None:
    actuals = pl.DataFrame({"id": ["a", "a", "b"], "cutoff": [0] * 3, "step": [1, 2, 1], "y": [7.0, None, 1.0]})
    found = residuals(point_of({"a": 3.0, "b": 5.0}, steps=2), actuals, scales_of({"a": 2.0, "b": 8.0}))
    assert found.rows() == [("a", 0, 1, 2.0), ("b", 0, 1, -0.5)]


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, None])
def test_a_scale_that_is_not_above_zero_is_refused(scale: float | None) -> None:
    actuals = pl.DataFrame({"id": ["a"], "cutoff": [0], "step": [1], "y": [7.0]})
    scales = pl.DataFrame({"id": ["a"], "cutoff": [0], "scale": pl.Series([scale], dtype=pl.Float64)})
    with pytest.raises(BadInput, match="scale above 0"):
        residuals(point_of({"a": 3.0}), actuals, scales)
    with pytest.raises(BadInput, match="scale above 0"):
        residuals(point_of({"a": 3.0}), actuals, scales_of({"b": 1.0}))


def test_an_actual_that_is_not_finite_is_refused() -> None:
    actuals = pl.DataFrame({"id": ["a"], "cutoff": [0], "step": [1], "y": [math.nan]})
    with pytest.raises(BadInput, match="finite y"):
        residuals(point_of({"a": 3.0}), actuals, scales_of({"a": 1.0}))


# --- quantiles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5, 9, 10, 19, 20, 99, 100])
@pytest.mark.parametrize("level", [0.01, 0.05, 0.1, 0.25, 0.4, 0.55, 0.6, 0.75, 0.9, 0.95, 0.99])
def test_the_conformal_quantile_equals_its_twin(count: int, level: float) -> None:
    values = RNG.normal(size=count)
    expected = naive.conformal_quantile(values.tolist(), level)
    found = conformal_quantile(np.sort(values), level)
    if expected is None:  # too few residuals for this level: further out than all of them
        assert found >= values.max() if level > 0.5 else found <= values.min()
    else:
        assert found == expected


def test_beyond_the_last_rank_a_student_t_takes_over() -> None:
    values = np.sort(RNG.normal(size=12))
    expected = scipy.stats.t.ppf(0.99, 11) * values.std(ddof=1) * math.sqrt(13 / 12) + values.mean()
    assert conformal_quantile(values, 0.99) == pytest.approx(max(expected, values.max()))
    mirrored = -scipy.stats.t.ppf(0.99, 11) * values.std(ddof=1) * math.sqrt(13 / 12) + values.mean()
    assert conformal_quantile(values, 0.01) == pytest.approx(min(mirrored, values.min()))


def test_residuals_that_are_all_alike_have_one_quantile() -> None:
    for count in (1, 2, 50):
        if count > 1:
            assert conformal_quantile(np.full(count, 3.0), 0.99) == 3.0
        assert conformal_quantile(np.zeros(count), 0.99) == 0.0


def test_offsets_by_step_are_the_textbooks() -> None:
    found = found_of(normal, series=40)
    rows = list(found.select("step", "residual").iter_rows())
    intervals = fitted(found, calibration=TEXTBOOK)
    for place, level in enumerate(LEVELS):
        expected = (
            naive.textbook_offsets(rows, level)
            if level != 0.5
            else {step: naive.median([r for s, r in rows if s == step]) for step in range(1, 5)}
        )
        for step, row in zip(intervals.steps, intervals.offsets, strict=True):
            assert row[place] == pytest.approx(expected[step], rel=1e-12)
    assert intervals.count == (120,) * 4
    assert intervals.origins == 3


def test_intervals_are_asymmetric_where_residuals_are() -> None:
    found = found_of(lambda rng, *_: rng.exponential() - 0.3, series=60)
    low, high = (row for row in zip(*fitted(found, [0.05, 0.95]).offsets, strict=True))
    assert all(2 * -a < b for a, b in zip(low, high, strict=True))


# --- the median ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [0.7, -0.7])
def test_a_bias_of_few_origins_moves_the_outer_levels_and_not_the_median(bias: float) -> None:
    found = found_of(lambda rng, *_: rng.normal() + bias, series=50)
    raw = np.array(fitted(found, calibration=TEXTBOOK).offsets)
    held = np.array(fitted(found, calibration=Calibration(enough=1, own=math.inf, shocks=False)).offsets)
    centre = raw[:, [2]]
    assert held[:, 2].tolist() == [0.0] * 4
    assert held[:, 3:] == pytest.approx(np.maximum(raw, raw - centre)[:, 3:])
    assert held[:, :2] == pytest.approx(np.minimum(raw, raw - centre)[:, :2])
    assert (held[:, 0] < raw[:, 0]).all() == (bias > 0)
    assert (held[:, 4] > raw[:, 4]).all() == (bias < 0)


# --- borrowing and growth --------------------------------------------------------------------------------------------


def test_a_step_with_few_residuals_borrows_from_its_neighbours_alone() -> None:
    found = found_of(lambda rng, i, o, s: 100.0 if s == 6 else rng.normal(), series=4, steps=6)
    intervals = fitted(found, [0.9], Calibration(enough=36, own=math.inf, shocks=False, median="residuals"))
    assert intervals.count == (36, 36, 36, 36, 36, 36)
    assert max(row[0] for row in intervals.offsets[:4]) < 60.0
    assert intervals.offsets[5][0] == pytest.approx(100.0)


def test_a_step_with_enough_residuals_borrows_none() -> None:
    found = found_of(normal, series=40, steps=3)
    alone = fitted(found.filter(pl.col("step") == 2), calibration=Calibration(own=math.inf))
    among = fitted(found, calibration=Calibration(own=math.inf))
    assert among.offsets[1] == pytest.approx(alone.offsets[0], rel=1e-12)
    assert among.count == (120, 120, 120)


def test_what_is_borrowed_grows_with_the_step() -> None:
    found = found_of(lambda rng, i, o, s: rng.normal() * s**0.8, series=1, origins=6, steps=30)
    rows = fitted(found, [0.1, 0.9], Calibration(enough=180, shocks=False)).offsets
    widths = [high - low for low, high in rows]
    assert widths[29] > 4 * widths[0]
    slope = math.log(widths[29] / widths[0]) / math.log(30)
    assert 0.3 < slope < 0.9
    flat = fitted(found_of(normal, series=1, origins=6, steps=30), [0.1, 0.9], Calibration(enough=180, shocks=False))
    widths = [high - low for low, high in flat.offsets]
    assert widths[29] < 1.8 * widths[0]


# --- factors of series -----------------------------------------------------------------------------------------------


def test_a_series_factor_equals_its_twin() -> None:
    found = found_of(lambda rng, i, o, s: rng.normal() * (1 + i), series=7)
    rows = list(found.select("id", "cutoff", "residual").iter_rows())
    intervals = fitted(found, calibration=Calibration(own=4.0))
    expected = naive.factors(rows, 4.0)
    assert {key[0]: value for key, value in intervals.factors.items()} == pytest.approx(expected, rel=1e-9)
    assert expected["s006"] > 1.2 > 0.8 > expected["s000"]


def test_an_origin_is_judged_by_the_factors_that_the_others_give() -> None:
    found = found_of(lambda rng, i, o, s: rng.normal() * (1 + i), series=7, steps=1)
    rows = list(found.select("id", "cutoff", "residual").iter_rows())
    calibration = Calibration(enough=1, own=4.0, shocks=False, median="residuals")
    ours = fitted(found, [0.8], calibration).offsets[0][0]
    divided = [r / naive.factors(rows, 4.0, without=origin)[name] for name, origin, r in rows]
    assert ours == pytest.approx(naive.conformal_quantile(divided, 0.8), rel=1e-9)


def test_with_one_origin_a_factor_is_not_tested_and_stays_out_of_the_residuals() -> None:
    found = found_of(lambda rng, i, o, s: rng.normal() * (1 + i), series=40, origins=1)
    plain = fitted(found, calibration=Calibration(own=math.inf))
    assert fitted(found, calibration=Calibration(own=4.0)).offsets == plain.offsets
    assert plain.factors == {}


def test_no_factor_leaves_its_bounds() -> None:
    found = found_of(lambda rng, i, o, s: 0.0 if i == 0 else 1e9 if i == 1 else rng.normal(), series=40)
    factors = fitted(found, calibration=Calibration(own=0.0)).factors
    assert factors["s000",] == pytest.approx(0.1)
    assert factors["s001",] == pytest.approx(10.0)


# --- shocks ----------------------------------------------------------------------------------------------------------


def test_common_shocks_widen_intervals_as_their_twin_says() -> None:
    shocks = {0: -2.0, 1: 0.0, 2: 2.0}
    found = found_of(lambda rng, i, o, s: rng.uniform(-1, 1) + shocks[o], series=40, steps=1)
    calm = Calibration(enough=1, own=math.inf, shocks=False, median="residuals")
    wide = Calibration(enough=1, own=math.inf, shocks=True, median="residuals")
    before, after = (np.array(fitted(found, calibration=c).offsets[0]) for c in (calm, wide))
    values = found["residual"].to_numpy()
    low, high = np.quantile(values, [0.025, 0.975])
    groups = [found.filter(pl.col("cutoff") == c)["residual"].clip(low, high).to_list() for c in (-3, -2, -1)]
    spread = naive.widening(groups)
    assert 1.3 < spread < math.sqrt(2)
    assert after == pytest.approx(before[2] + spread * (before - before[2]), rel=1e-9)


def test_without_shocks_or_with_one_origin_intervals_hardly_widen() -> None:
    for origins, most in ((1, 1.0), (3, 1.05)):
        found = found_of(normal, series=200, origins=origins, steps=1)
        calm, wide = (
            fitted(found, [0.05, 0.95], Calibration(own=math.inf, shocks=s, median="residuals")) for s in (False, True)
        )
        width = [row[1] - row[0] for row in (calm.offsets[0], wide.offsets[0])]
        assert width[0] <= width[1] <= most * width[0] + 1e-12


def test_runs_of_errors_in_a_single_series_count_as_shocks() -> None:
    found = found_of(lambda rng, i, o, s: rng.normal() * 0.1 + (o - 1), series=1, steps=28)
    calm, wide = (fitted(found, [0.1, 0.9], Calibration(shocks=s)).offsets[9] for s in (False, True))
    assert wide[1] - wide[0] > 1.3 * (calm[1] - calm[0])


# --- intervals as predictions ----------------------------------------------------------------------------------------


def hand_made(offsets: Sequence[Sequence[float]], *, factors: Any = None, steps: Sequence[int] = (1, 3)) -> Intervals:
    return Intervals(("id",), tuple(steps), (0.1, 0.5, 0.9), tuple(map(tuple, offsets)), factors or {}, (9, 9), 1)


def test_a_quantile_is_point_plus_scale_times_factor_times_offset() -> None:
    intervals = hand_made([[-1.0, 0.0, 2.0], [-3.0, 0.0, 4.0]], factors={("b",): 0.5})
    found = apply_intervals(point_of({"a": 10.0, "b": 20.0}), scales_of({"a": 2.0, "b": 4.0}), intervals)
    table = {
        (name, step): frame["value"].to_list()
        for (name, step), frame in found.canonical().group_by(["id", "step"], maintain_order=True)
    }
    assert table["a", 1] == [8.0, 10.0, 14.0]
    assert table["a", 3] == [4.0, 10.0, 18.0]
    assert table["b", 1] == [18.0, 20.0, 24.0]
    assert table["a", 4] == table["a", 3]  # the nearest calibrated step
    assert found.kind == "quantile"
    assert found.levels == (0.1, 0.5, 0.9)


def test_no_quantile_falls_below_the_bound() -> None:
    intervals = hand_made([[-9.0, 0.0, 2.0], [-9.0, -8.0, -7.0]])
    found = apply_intervals(point_of({"a": 3.0}), scales_of({"a": 1.0}), intervals, low=0.0)
    assert found.rows["value"].min() == 0.0
    assert found.rows.filter((pl.col("step") == 1) & (pl.col("level") == 0.9))["value"].to_list() == [5.0]


def test_quantiles_never_cross_even_where_offsets_do() -> None:
    found = apply_intervals(point_of({"a": 3.0}), scales_of({"a": 1.0}), hand_made([[2.0, 0.0, -1.0]] * 2))
    assert found.rows.filter(pl.col("step") == 1).sort("level")["value"].to_list() == [2.0, 3.0, 5.0]


def test_a_series_without_a_scale_is_refused() -> None:
    with pytest.raises(BadInput, match="without a scale"):
        apply_intervals(point_of({"a": 3.0}), scales_of({"b": 1.0}), hand_made([[-1.0, 0.0, 1.0]] * 2))


@pytest.mark.parametrize("levels", [[], [0.0, 0.5], [0.5, 1.0], [-0.1]])
def test_levels_outside_zero_and_one_are_refused(levels: list[float]) -> None:
    with pytest.raises(BadInput, match="wanted quantile levels strictly between 0 and 1"):
        fitted(found_of(normal), levels)


def test_no_residuals_or_infinite_ones_are_refused() -> None:
    found = found_of(normal)
    with pytest.raises(BadInput, match="no residuals"):
        fitted(found.clear())
    with pytest.raises(BadInput, match="no finite numbers"):
        fitted(found.with_columns(residual=pl.lit(math.nan)))


def test_levels_are_sorted_and_each_kept_once() -> None:
    assert fitted(found_of(normal), [0.9, 0.1, 0.5, 0.9]).levels == (0.1, 0.5, 0.9)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_residuals_that_are_all_alike_give_intervals(value: float) -> None:
    intervals = fitted(found_of(lambda *_: value, series=2, origins=2))
    found = apply_intervals(point_of({"s000": 5.0}), scales_of({"s000": 1.0}), intervals)
    assert found.rows["value"].is_between(4.999, 6.001).all()


def test_a_single_residual_gives_an_interval() -> None:
    intervals = fitted(found_of(lambda *_: 2.0, series=1, origins=1, steps=1))
    low, *_, high = intervals.offsets[0]
    assert low <= 0.0 <= 2.0 <= high


def test_one_series_without_entity_columns_has_intervals() -> None:
    found = found_of(normal, series=1, origins=4, steps=3).drop("id")
    intervals = fit_intervals(found, entity=(), levels=LEVELS)
    point = Prediction("point", (), point_of({"a": 1.0}, steps=3).rows.drop("id"))
    applied = apply_intervals(point, scales_of({"a": 2.0}).drop("id"), intervals)
    assert applied.rows.height == 15


def test_order_of_rows_does_not_matter() -> None:
    found = found_of(normal)
    assert fitted(found.sample(fraction=1.0, shuffle=True, seed=2)) == fitted(found)


def test_intervals_survive_json() -> None:
    intervals = fitted(found_of(normal))
    assert intervals_of(json.loads(json.dumps(intervals.as_dict()))) == intervals


# --- totals ----------------------------------------------------------------------------------------------------------


def test_a_total_is_the_sum_of_the_first_steps() -> None:
    found = total(point_of({"a": 2.0, "b": 5.0}), 3)
    assert found.canonical().select("id", "cutoff", "step", "value").rows() == [("a", 0, 3, 6.0), ("b", 0, 3, 15.0)]
    with pytest.raises(BadInput, match="every step up to 5"):
        total(point_of({"a": 2.0}), 5)


def test_totals_are_calibrated_on_sums_and_not_on_steps() -> None:
    rng = np.random.default_rng(4)
    names, cutoffs = [f"s{i:03}" for i in range(40)], (-2, -1)
    shock = {(n, c): float(rng.normal()) for n in names for c in cutoffs}
    actuals = pl.DataFrame(
        [
            {"id": n, "cutoff": c, "step": s, "y": 10.0 + shock[n, c] + 0.1 * float(rng.normal())}
            for n in names
            for c in cutoffs
            for s in range(1, 5)
        ]
    )
    points, scales = (
        point_of(dict.fromkeys(names, 10.0), cutoffs=cutoffs),
        scales_of(dict.fromkeys(names, 2.0), cutoffs),
    )
    intervals = calibrate_total(points, actuals, scales, levels=[0.1, 0.5, 0.9], cover=4, calibration=TEXTBOOK)
    sums = [
        sum(actuals.filter((pl.col("id") == n) & (pl.col("cutoff") == c))["y"].to_list())
        for n in names
        for c in cutoffs
    ]
    expected = naive.conformal_quantile([(s - 40.0) / 2.0 for s in sums], 0.9)
    assert intervals.steps == (4,)
    assert intervals.offsets[0][2] == pytest.approx(expected, rel=1e-9)
    # errors that go together add up: the total is four times as uncertain as a step, not twice
    step = fit_intervals(residuals(points, actuals, scales), entity=("id",), levels=[0.9], calibration=TEXTBOOK)
    assert intervals.offsets[0][2] > 3.5 * step.offsets[0][0]
    now = apply_intervals(total(point_of({"s000": 10.0}), 4), scales_of({"s000": 2.0}), intervals)
    assert now.rows["value"].to_list() == pytest.approx([40.0 + 2.0 * o for o in intervals.offsets[0]])


def test_a_total_whose_steps_have_not_all_settled_is_left_out() -> None:
    actuals = pl.DataFrame(
        [{"id": n, "cutoff": 0, "step": s, "y": None if (n, s) == ("b", 2) else 11.0} for n in "ab" for s in (1, 2)],
        schema={"id": pl.String, "cutoff": pl.Int64, "step": pl.Int64, "y": pl.Float64},
    )
    points, scales = point_of({"a": 10.0, "b": 0.0}, steps=2), scales_of({"a": 1.0, "b": 1.0})
    intervals = calibrate_total(points, actuals, scales, levels=[0.5], cover=2, calibration=TEXTBOOK)
    assert intervals.count == (1,)
    assert intervals.offsets == ((2.0,),)
