"""Sample paths: quantiles that agree with those served, and sums that are as wide as past errors were together."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import naive_paths as naive
from foreproof.core.predict import Prediction
from foreproof.errors import BadInput
from foreproof.models import (
    KNOTS,
    Calibration,
    Sampler,
    apply_intervals,
    dependence,
    fit_intervals,
    quantile_function,
    sum_residuals,
)
from foreproof.models.panel import Floats

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
PLAIN = Calibration(enough=1, own=float("inf"), shocks=False, median="residuals")
K = 500


def past_of(draw: Any, *, series: int = 60, origins: int = 4, horizon: int = 8, seed: int = 3) -> pl.DataFrame:
    """Residuals: draw(rng, series, origin) gives those of all steps."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"s{i:03}", o - origins, s + 1, float(r))
        for i in range(series)
        for o in range(origins)
        for s, r in enumerate(draw(rng, i, o, horizon))
    ]
    return pl.DataFrame(rows, schema=["id", "cutoff", "step", "residual"], orient="row")


def independent(rng: np.random.Generator, i: int, o: int, horizon: int) -> Floats:
    return rng.normal(size=horizon)


def comonotone(rng: np.random.Generator, i: int, o: int, horizon: int) -> Floats:
    return rng.normal() * np.linspace(1, 2, horizon)


def opposed(rng: np.random.Generator, i: int, o: int, horizon: int) -> Floats:
    return rng.normal() * (-1.0) ** np.arange(horizon)


def sampler_of(past: pl.DataFrame, *, low: float | None = None, value: float = 50.0, **more: Any) -> Sampler:
    horizon = int(past["step"].max())  # type: ignore[arg-type]
    names = past["id"].unique().sort().to_list()[:6]
    rows = [(name, 0, s, None, value + 10 * s) for name in names for s in range(1, horizon + 1)]
    schema = {"id": pl.String, "cutoff": pl.Int64, "step": pl.Int64, "level": pl.Float64, "value": pl.Float64}
    scales = pl.DataFrame({"id": names, "cutoff": [0] * len(names), "scale": [float(2 + i) for i in range(len(names))]})
    point = Prediction("point", ("id",), pl.DataFrame(rows, schema=schema, orient="row"))
    return Sampler(point, past, scales, LEVELS, low=low, **{"calibration": PLAIN, **more})


def spread(values: Floats) -> Floats:
    return np.ptp(np.quantile(values, (0.05, 0.95), axis=-1), axis=0)


# --- quantiles and paths agree ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [independent, comonotone, opposed])
@pytest.mark.parametrize("low", [None, 55.0])
def test_quantiles_of_paths_are_the_served_ones_within_one_path(draw: Any, low: float | None) -> None:
    sampler = sampler_of(past_of(draw), low=low, calibration=Calibration())
    paths = sampler.paths()
    assert paths.values.shape == (6, K, 8)
    for level in (0.011, 0.05, 0.1, 0.33, 0.5, 0.77, 0.9, 0.95, 0.99):
        found = paths.quantiles([level]).rows["value"].to_numpy()
        least, most = (sampler.quantiles([level + by]).rows["value"].to_numpy() for by in (-1 / K, 1 / K))
        assert (found >= least - 1e-9).all()
        assert (found <= most + 1e-9).all()


def test_quantiles_are_those_of_the_intervals_moved_to_the_mean_of_the_point() -> None:
    past = past_of(independent)
    sampler = sampler_of(past, calibration=Calibration())
    served = apply_intervals(sampler.point, sampler.scales, fit_intervals(past, entity=("id",), levels=LEVELS))
    gap = sampler.quantiles(LEVELS).canonical()["value"] - served.canonical()["value"]
    assert np.ptp(gap.to_numpy().reshape(-1, len(LEVELS)), axis=1) == pytest.approx(np.zeros(48), abs=1e-9)
    mean = sampler.paths().values.mean(axis=1).reshape(-1)
    assert mean == pytest.approx(sampler.point.canonical()["value"].to_numpy(), abs=0.05)


def test_every_step_of_the_paths_takes_each_value_of_the_grid_once() -> None:
    sampler = sampler_of(past_of(independent))
    grid = [(k + 0.5) / K for k in range(K)]
    found = np.sort(sampler.paths().values, axis=1)
    wanted = sampler.quantiles(grid).canonical()["value"].to_numpy().reshape(6, 8, K).transpose(0, 2, 1)
    assert found == pytest.approx(wanted, abs=1e-9)


def test_paths_are_the_twins_shuffle_of_the_scores() -> None:
    past = past_of(independent, horizon=3)
    sampler = sampler_of(past, count=20)
    intervals = fit_intervals(past, entity=("id",), levels=sorted({*KNOTS, *LEVELS}), calibration=PLAIN)
    ranks = np.argsort(np.argsort(sampler.paths().values[0], axis=0), axis=0)
    values = sampler.quantiles([(k + 0.5) / 20 for k in range(20)]).canonical()["value"].to_numpy().reshape(6, 3, 20)
    expected = naive.shuffled(values[0].tolist(), ranks.tolist())
    assert sampler.paths().values[0] == pytest.approx(np.array(expected), abs=1e-12)
    every = {tuple(row) for row in ranks.tolist()}
    for other in sampler.paths().values[1:]:  # the same templates, in an order of its own
        assert {tuple(row) for row in np.argsort(np.argsort(other, axis=0), axis=0).tolist()} == every
    assert intervals.levels[0] == 0.001


@pytest.mark.parametrize("at", [1e-6, 0.0004, 0.001, 0.05, 0.31, 0.5, 0.94, 0.995, 0.9999])
def test_the_quantile_function_equals_its_twin(at: float) -> None:
    values = np.sort(np.random.default_rng(5).normal(size=(4, len(KNOTS))), axis=1)
    found = quantile_function(np.array(KNOTS), values, np.array([at]))[:, 0]
    assert found == pytest.approx([naive.quantile_at(KNOTS, row.tolist(), at) for row in values], rel=1e-9)


def test_tails_go_on_where_the_last_level_ends_and_never_fall() -> None:
    values = np.array([[0.0, 1.0, 3.0]])
    grid = np.linspace(0.01, 0.99, 4001)
    found = quantile_function(np.array([0.1, 0.5, 0.9]), values, grid)[0]
    assert (np.diff(found) >= 0).all()
    assert np.abs(np.diff(found)).max() < 0.05
    assert found[-1] > 3.0 > 0.0 > found[0]


@pytest.mark.parametrize("levels", [[], [0.0], [0.5, 1.0]])
def test_levels_outside_zero_and_one_are_refused(levels: list[float]) -> None:
    with pytest.raises(BadInput, match="strictly between 0 and 1"):
        sampler_of(past_of(independent)).quantiles(levels)


def test_a_series_without_every_step_is_refused() -> None:
    sampler = sampler_of(past_of(independent))
    short = Prediction("point", ("id",), sampler.point.rows.filter((pl.col("step") < 8) | (pl.col("id") != "s000")))
    with pytest.raises(BadInput, match="every step"):
        Sampler(short, sampler.past, sampler.scales, LEVELS).paths()


def test_no_path_falls_below_the_bound() -> None:
    paths = sampler_of(past_of(independent), low=60.0).paths()
    assert paths.values.min() == 60.0


# --- dependence ------------------------------------------------------------------------------------------------------


def test_sums_over_independent_steps_are_as_wide_as_independent_sums() -> None:
    paths = sampler_of(past_of(independent, series=300)).paths()
    for last in (2, 4, 8):
        wanted = np.sqrt(last) * spread(paths.values[:, :, 0])
        assert spread(paths.sums(1, last)) == pytest.approx(wanted, rel=0.12)


def test_sums_over_comonotone_steps_are_the_sums_of_quantiles() -> None:
    paths = sampler_of(past_of(comonotone, series=300)).paths()
    for last in (2, 4, 8):
        wanted = sum(spread(paths.values[:, :, s]) for s in range(last))
        assert spread(paths.sums(1, last)) == pytest.approx(wanted, rel=0.03)


def test_errors_that_take_turns_cancel_in_sums() -> None:
    paths = sampler_of(past_of(opposed, series=300)).paths()
    assert (spread(paths.sums(1, 8)) < 0.5 * spread(paths.values[:, :, 0])).all()


def test_sums_are_as_wide_as_those_calibrated_on_sums_where_origins_differ() -> None:
    shocks = {0: -1.0, 1: 0.2, 2: 0.9, 3: -0.4}
    past = past_of(lambda rng, i, o, h: rng.normal(size=h) + shocks[o], series=200)
    calibration = Calibration(own=float("inf"))
    paths = sampler_of(past, calibration=calibration).paths()
    sums = sum_residuals(past, ("id",), 8)
    low, high = fit_intervals(sums, entity=("id",), levels=[0.05, 0.95], calibration=calibration).offsets[0]
    assert spread(paths.sums(1, 8)) == pytest.approx((high - low) * np.arange(2.0, 8.0), rel=0.1)
    calm = sampler_of(past_of(lambda rng, i, o, h: rng.normal(size=h), series=200), calibration=calibration).paths()
    assert (spread(paths.sums(1, 8)) > 1.5 * spread(calm.sums(1, 8))).all()


def test_shocks_that_two_origins_cannot_show_whole_are_added_to_paths() -> None:
    past = past_of(lambda rng, i, o, h: rng.normal(size=h) + 0.8 * o, series=200, origins=2)
    calibration = Calibration(own=float("inf"))
    intervals = fit_intervals(past, entity=("id",), levels=KNOTS, calibration=calibration)
    rng = np.random.default_rng(1)
    tied = dependence(past, intervals, horizon=8, count=K, rng=rng, calibration=calibration)
    assert tied.rho[0] > 0.0
    paths = sampler_of(past, calibration=calibration).paths()
    sums = sum_residuals(past, ("id",), 8)
    low, high = fit_intervals(sums, entity=("id",), levels=[0.05, 0.95], calibration=calibration).offsets[0]
    assert spread(paths.sums(1, 8)) == pytest.approx((high - low) * np.arange(2.0, 8.0), rel=0.12)


def test_a_template_that_comes_often_and_ties_still_gives_every_rank_once() -> None:
    past = past_of(lambda rng, i, o, h: np.zeros(h) + o, series=1, origins=3)
    tied = dependence(
        past,
        fit_intervals(past, entity=("id",), levels=KNOTS),
        horizon=8,
        count=50,
        rng=np.random.default_rng(1),
        calibration=Calibration(),
    )
    assert all(sorted(tied.ranks()[0][:, s].tolist()) == list(range(50)) for s in range(8))


def test_a_step_that_has_not_settled_takes_the_nearest_of_its_trajectory() -> None:
    past = past_of(comonotone, series=100).filter((pl.col("step") != 5) | (pl.col("cutoff") < -2))
    paths = sampler_of(past).paths()
    assert (np.corrcoef(paths.values[0, :, 4], paths.values[0, :, 7])[0, 1]) > 0.9


# --- determinism -----------------------------------------------------------------------------------------------------


def test_paths_repeat_depend_on_the_seed_and_not_on_other_series_or_row_order() -> None:
    past = past_of(independent)
    plain = sampler_of(past).paths()
    assert np.array_equal(plain.values, sampler_of(past).paths().values)
    assert not np.array_equal(plain.values, sampler_of(past, seed=2).paths().values)
    assert np.array_equal(plain.values, sampler_of(past.sample(fraction=1.0, shuffle=True, seed=4)).paths().values)
    some = sampler_of(past)
    two = Prediction("point", ("id",), some.point.rows.filter(pl.col("id").is_in(["s001", "s004"])))
    alone = Sampler(two, past, some.scales, LEVELS, calibration=PLAIN).paths()
    assert np.array_equal(alone.values, plain.values[[1, 4]])


def test_paths_of_two_series_are_not_tied_to_each_other() -> None:
    sums = sampler_of(past_of(comonotone)).paths().sums(1, 8)
    assert np.abs(np.corrcoef(sums) - np.eye(6)).max() < 0.2


def test_one_series_without_a_name_has_paths() -> None:
    past = past_of(independent, series=1).drop("id")
    rows = pl.DataFrame({"cutoff": [0] * 8, "step": range(1, 9), "level": [None] * 8, "value": [5.0] * 8})
    point = Prediction("point", (), rows.cast({"step": pl.Int64, "cutoff": pl.Int64, "level": pl.Float64}))
    paths = Sampler(point, past, pl.DataFrame({"cutoff": [0], "scale": [1.0]}), LEVELS, count=40).paths()
    assert paths.values.shape == (1, 40, 8)
