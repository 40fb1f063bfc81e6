"""Classes of residuals, nearness to a bound, recency and levels that past misses move."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest

import naive_paths as naive
from foreproof.core.predict import Prediction
from foreproof.core.section import Section
from foreproof.errors import PlanError
from foreproof.models import Calibration, Errors, Sampler, conformal_quantile, fit_intervals, intervals_of, moved_levels
from foreproof.models.offsets import parse_calibration
from foreproof.models.pool import demand_class, edges_of, place_of, series_class

RNG = np.random.default_rng(17)
PLAIN = Calibration(enough=1, own=math.inf, shocks=False, median="residuals")


def found_of(draw: Any, *, series: int = 60, origins: int = 4, steps: int = 2, **columns: Any) -> pl.DataFrame:
    rng = np.random.default_rng(2)
    rows = [
        {"id": f"s{i:03}", "cutoff": o, "step": s, "residual": float(draw(rng, i, o, s))}
        | {name: make(i) for name, make in columns.items()}
        for i in range(series)
        for o in range(origins)
        for s in range(1, steps + 1)
    ]
    return pl.DataFrame(rows)


def errors_of(origins: list[list[float]]) -> Errors:
    value = np.array([v for origin in origins for v in origin])
    where = np.array([t for t, origin in enumerate(origins) for _ in origin], dtype=np.int64)
    return Errors(value, np.ones(value.size, dtype=np.int64), where)


# --- recency ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.02, 0.1, 0.3, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("count", [5, 40])
def test_a_weighted_quantile_equals_its_twin(level: float, count: int) -> None:
    values, weights = np.sort(RNG.normal(size=count)), 0.5 ** RNG.integers(0, 4, size=count)
    expected = naive.weighted_quantile(values.tolist(), weights.tolist(), level)
    found = conformal_quantile(values, level, weights)
    if expected is None:
        assert found >= values.max() if level > 0.5 else found <= values.min()
    else:
        assert found == expected


def test_equal_weights_change_nothing() -> None:
    values = np.sort(RNG.normal(size=30))
    for level in (0.05, 0.5, 0.9, 0.99):
        assert conformal_quantile(values, level, np.full(30, 0.25)) == pytest.approx(conformal_quantile(values, level))


def test_recent_origins_weigh_more() -> None:
    calm_then_wild = found_of(lambda rng, i, o, s: rng.normal() * (1 + 4 * (o == 3)))
    even, recent = (
        fit_intervals(calm_then_wild, entity=("id",), levels=[0.9], calibration=Calibration(own=math.inf, recent=r))
        for r in (math.inf, 0.5)
    )
    assert recent.offsets[0][0] > 1.3 * even.offsets[0][0]


# --- levels that move ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0.05, 0.3, 1.0])
def test_a_moved_level_equals_its_twin_on_both_sides(speed: float) -> None:
    origins = [(RNG.normal(size=50) * (1 + t)).tolist() for t in range(4)]
    calibration = Calibration(adaptive=speed)
    up = moved_levels(errors_of(origins), [0.9], calibration)
    assert up == pytest.approx([1 - naive.moved_tail(origins, 0.1, speed)], abs=1e-12)
    mirrored = [[-v for v in origin] for origin in origins]
    assert moved_levels(errors_of(mirrored), [0.1], calibration) == pytest.approx([1 - up[0]], abs=1e-12)


def test_misses_move_levels_outward_and_their_absence_inward() -> None:
    calibration = Calibration(adaptive=0.2)
    wilder = [(RNG.normal(size=80) * (1 + t)).tolist() for t in range(4)]
    calmer = [(RNG.normal(size=80) * (4 - t)).tolist() for t in range(4)]
    assert moved_levels(errors_of(wilder), [0.05, 0.95], calibration)[1] > 0.95
    assert moved_levels(errors_of(wilder), [0.05, 0.95], calibration)[0] < 0.05
    assert moved_levels(errors_of(calmer), [0.05, 0.95], calibration)[1] < 0.95
    assert moved_levels(errors_of(calmer), [0.5], calibration) == [0.5]


def test_without_adaptation_or_with_one_origin_levels_stay() -> None:
    origins = [RNG.normal(size=20).tolist() for _ in range(3)]
    assert moved_levels(errors_of(origins), [0.1, 0.9], Calibration()) == [0.1, 0.9]
    assert moved_levels(errors_of(origins[:1]), [0.1, 0.9], Calibration(adaptive=1.0)) == [0.1, 0.9]


@pytest.mark.parametrize("adaptive", [0.1, 1.0])
def test_moved_levels_do_not_make_quantiles_cross(adaptive: float) -> None:
    found = found_of(lambda rng, i, o, s: rng.normal() * (1 + 3 * (o % 2)))
    levels = [0.01, 0.05, 0.2, 0.4, 0.5, 0.6, 0.8, 0.95, 0.99]
    intervals = fit_intervals(found, entity=("id",), levels=levels, calibration=Calibration(adaptive=adaptive))
    assert all(list(row) == sorted(row) for row in intervals.offsets)


# --- classes ---------------------------------------------------------------------------------------------------------


def test_a_class_with_many_residuals_has_its_own_quantiles_and_one_with_few_the_pools() -> None:
    found = found_of(
        lambda rng, i, o, s: rng.normal() * (5 if i < 300 else 1),
        series=610,
        pool=lambda i: "wild" if i < 300 else "calm" if i < 605 else "rare",
    )
    intervals = fit_intervals(found, entity=("id",), levels=[0.9], calibration=Calibration(own=math.inf, shocks=False))
    wild, calm, rare = (intervals.pools[name, -1][0][0] for name in ("wild", "calm", "rare"))
    assert wild == pytest.approx(5 * 1.28, rel=0.25)
    assert calm == pytest.approx(1.28, rel=0.6)
    assert calm < rare < wild
    assert abs(rare - intervals.offsets[0][0]) < abs(calm - intervals.offsets[0][0])


def test_shrinkage_goes_by_the_residuals_of_a_class() -> None:
    found = found_of(lambda rng, i, o, s: rng.normal() * (1 + i % 2), series=100, pool=lambda i: "ab"[i % 2])
    calibration = Calibration(enough=200, own=math.inf, shocks=False, median="residuals")
    whole = fit_intervals(found.drop("pool"), entity=("id",), levels=[0.9], calibration=calibration)
    one = found.filter(pl.col("pool") == "b").drop("pool")
    alone = fit_intervals(one, entity=("id",), levels=[0.9], calibration=calibration)
    both = fit_intervals(found, entity=("id",), levels=[0.9], calibration=calibration)
    count = alone.count[0]
    expected = (count * alone.offsets[0][0] + 200 * whole.offsets[0][0]) / (count + 200)
    assert both.pools["b", -1][0][0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([5.0, 6.0, 5.0, 6.0], "smooth"),
        ([1.0, 20.0, 1.0, 1.0], "erratic"),
        ([0.0, 5.0, 0.0, 5.0], "intermittent"),
        ([0.0, 1.0, 0.0, 30.0, 0.0, 1.0], "lumpy"),
        ([0.0, 0.0], "intermittent"),
    ],
)
def test_demand_is_classed_by_how_often_and_how_evenly_it_comes(y: list[float], expected: str) -> None:
    assert demand_class(np.array(y)) == expected


def test_classes_of_series_are_those_of_their_history() -> None:
    target = pl.DataFrame(
        {"id": ["a"] * 4 + ["b"] * 4 + ["c"] * 2, "period": [0, 1, 2, 3, 0, 1, 2, 3, 2, 3]}
    ).with_columns(y=pl.Series([1.0, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0, 0.0, 5.0, 5.0]))

    def classes(by: str) -> list[str]:
        return series_class(target, by, entity=("id",), cutoff=3)["pool"].to_list()

    assert classes("intermittency") == ["zeros3", "zeros1", "zeros0"]
    assert classes("scale") == ["third1", "third3", "third2"]
    assert classes("length")[2] == "third1"
    assert classes("id") == ["a", "b", "c"]


# --- near a bound ----------------------------------------------------------------------------------------------------


def slow(series: int = 200, origins: int = 4, steps: int = 8) -> tuple[pl.DataFrame, Prediction, pl.DataFrame]:
    """Poisson demand of 0.3 a step with the right mean for a point, and scale 1."""
    rng = np.random.default_rng(9)
    rows = [
        (f"s{i:03}", o, s, float(rng.poisson(0.3)) - 0.3, 0.3)
        for i in range(series)
        for o in range(origins)
        for s in range(1, steps + 1)
    ]
    past = pl.DataFrame(rows, schema=["id", "cutoff", "step", "residual", "room"], orient="row")
    now = [(f"s{i:03}", 9, s, None, 0.3) for i in range(20) for s in range(1, steps + 1)]
    schema = {"id": pl.String, "cutoff": pl.Int64, "step": pl.Int64, "level": pl.Float64, "value": pl.Float64}
    scales = pl.DataFrame({"id": [f"s{i:03}" for i in range(20)], "cutoff": [9] * 20, "scale": [1.0] * 20})
    return past, Prediction("point", ("id",), pl.DataFrame(now, schema=schema, orient="row")), scales


def test_slow_demand_keeps_its_mean_and_its_zeros() -> None:
    past, point, scales = slow()
    paths = Sampler(point, past, scales, (0.05, 0.95), low=0.0).paths()
    assert paths.values.mean() == pytest.approx(0.3, abs=0.05)
    assert (paths.values == 0.0).mean() == pytest.approx(math.exp(-0.3), abs=0.08)
    cut_off = Sampler(point, past.drop("room"), scales, (0.05, 0.95), low=0.0).paths()
    assert abs(cut_off.values.mean() - 0.3) > abs(paths.values.mean() - 0.3)


def test_sums_of_slow_demand_are_covered() -> None:
    past, point, scales = slow()
    sums = Sampler(point, past, scales, (0.05, 0.95), low=0.0).paths().sums(1, 8)
    truth = np.random.default_rng(4).poisson(2.4, size=4000)
    low, high = np.quantile(sums, (0.05, 0.95), axis=1)
    assert np.mean((truth[:, None] >= low) & (truth[:, None] <= high)) == pytest.approx(0.92, abs=0.06)


def test_the_place_near_the_bound_equals_its_twin() -> None:
    rooms = np.abs(RNG.normal(size=4000)) * 3
    held = pl.DataFrame({"residual": RNG.normal(size=4000), "room": rooms})
    edges = edges_of(held, held["residual"].to_numpy(), Calibration(enough=10))
    assert 2 <= len(edges) <= 8
    assert list(edges) == sorted(edges)
    assert edges[-1] == pytest.approx(-np.quantile(held["residual"].to_numpy(), 0.005))
    assert place_of(held, edges).tolist() == [naive.place(room, edges) for room in rooms.tolist()]
    assert edges_of(held, held["residual"].to_numpy(), Calibration(bound=0)) == ()
    assert edges_of(held.drop("room"), held["residual"].to_numpy(), Calibration()) == ()


def test_classes_and_places_survive_json() -> None:
    past, _, _ = slow()
    found = past.with_columns(pool=pl.col("id").str.slice(3))
    intervals = fit_intervals(found, entity=("id",), levels=[0.1, 0.9])
    assert intervals.pools
    assert intervals_of(json.loads(json.dumps(intervals.as_dict()))) == intervals


# --- settings --------------------------------------------------------------------------------------------------------


def test_settings_of_the_plan_are_read_and_wrong_ones_refused() -> None:
    read = parse_calibration(
        Section({"pool": "shop", "adaptive": 0.2, "recent": 2, "own": 1, "enough": 50, "bound": 0}, path="intervals"),
        columns=("shop",),
    )
    assert read == Calibration(enough=50, own=1.0, adaptive=0.2, recent=2.0, bound=0, pool="shop")
    assert parse_calibration(Section({}, path="intervals")) == Calibration()
    for wrong in ({"pool": "shop"}, {"adaptive": 1.5}, {"recent": 0}, {"recent": -1}, {"enough": 0}, {"wide": 1}):
        with pytest.raises(PlanError, match="intervals"):
            parse_calibration(Section(wrong, path="intervals"))
