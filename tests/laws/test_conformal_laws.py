"""Laws of intervals and weights: coverage on exchangeable data by exact binomial bounds, order, scale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

import naive_models as naive
from foreproof.core.predict import Prediction
from foreproof.models import (
    Calibration,
    apply_intervals,
    conformal_quantile,
    fit_intervals,
    learn_weights,
    series_scale,
    solve_simplex,
)

TEXTBOOK = Calibration(enough=1, own=math.inf, shocks=False, median="residuals")

numbers = st.integers(-400, 400).map(lambda i: i / 8.0)
levels = st.lists(st.integers(1, 99).map(lambda i: i / 100.0), min_size=1, max_size=7, unique=True)
calibrations = st.builds(
    Calibration,
    enough=st.sampled_from([1, 5, 100]),
    own=st.sampled_from([0.0, 2.0, math.inf]),
    shocks=st.booleans(),
    median=st.sampled_from(["point", "residuals"]),
)


@st.composite
def residual_frames(draw: st.DrawFn) -> pl.DataFrame:
    """Few series, origins and steps, with holes."""
    cells = [(i, o, s) for i in range(3) for o in range(3) for s in range(1, 4)]
    kept = draw(st.lists(st.sampled_from(cells), min_size=1, max_size=len(cells), unique=True))
    rows = [{"id": f"s{i}", "cutoff": -o, "step": s, "residual": draw(numbers)} for i, o, s in sorted(kept)]
    return pl.DataFrame(rows)


def point(values: dict[str, float]) -> Prediction:
    rows = [
        {"id": n, "cutoff": 9, "step": s, "level": None, "value": v} for n, v in values.items() for s in range(1, 5)
    ]
    schema = {"id": pl.String, "cutoff": pl.Int64, "step": pl.Int64, "level": pl.Float64, "value": pl.Float64}
    return Prediction("point", ("id",), pl.DataFrame(rows, schema=schema))


def scales(values: dict[str, float]) -> pl.DataFrame:
    return pl.DataFrame({"id": list(values), "cutoff": [9] * len(values), "scale": list(values.values())})


# --- coverage --------------------------------------------------------------------------------------------------------


def covered(count: int, level: float, trials: int, draw: Any) -> int:
    """In how many trials the next of count + 1 exchangeable residuals lies at or below the quantile of the others."""
    rng = np.random.default_rng(20240)
    hits = 0
    for _ in range(trials):
        values = draw(rng, count + 1)
        hits += values[-1] <= conformal_quantile(np.sort(values[:-1]), level)
    return hits


DRAWS: dict[str, Any] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "cauchy": lambda rng, n: rng.standard_cauchy(size=n),
    "skewed": lambda rng, n: rng.exponential(size=n) ** 2,
    "ties": lambda rng, n: rng.integers(0, 3, size=n).astype(float),
    "one shock for all": lambda rng, n: rng.normal() * 5 + rng.normal(size=n),
}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize(("count", "level"), [(9, 0.9), (19, 0.75), (40, 0.95), (30, 0.55)])
def test_the_next_exchangeable_residual_is_covered_as_often_as_promised(draw: str, count: int, level: float) -> None:
    trials = 2000
    hits = covered(count, level, trials, DRAWS[draw])
    # at least the level; without ties at most 1 / (n + 1) more (Lei et al. 2018, theorem 2.2)
    assert scipy.stats.binomtest(hits, trials, level, alternative="less").pvalue > 1e-4
    if draw != "ties":
        most = math.ceil((count + 1) * level - 1e-9) / (count + 1)
        assert scipy.stats.binomtest(hits, trials, most, alternative="greater").pvalue > 1e-4


def test_the_coverage_law_finds_a_quantile_without_the_finite_sample_correction() -> None:
    rng = np.random.default_rng(20240)
    hits = 0
    for _ in range(2000):
        values = rng.normal(size=10)
        hits += values[-1] <= np.sort(values[:-1])[math.ceil(9 * 0.85) - 1]
    assert scipy.stats.binomtest(hits, 2000, 0.9, alternative="less").pvalue < 1e-4


@pytest.mark.parametrize("calibration", [TEXTBOOK, Calibration()])
def test_central_intervals_cover_outcomes_of_new_series_and_origins(calibration: Calibration) -> None:
    """Each trial has its own spread by series; the last origin is predicted, the others calibrate."""
    rng = np.random.default_rng(5)
    hits = trials = 0
    for _ in range(60):
        size = np.exp(rng.normal(size=12) * 0.5)
        draws = rng.standard_t(4, size=(12, 4, 3)) * size[:, None, None]
        rows = [
            {"id": f"s{i:02}", "cutoff": o, "step": s + 1, "residual": draws[i, o, s]}
            for i in range(12)
            for o in range(3)
            for s in range(3)
        ]
        intervals = fit_intervals(pl.DataFrame(rows), entity=("id",), levels=[0.1, 0.9], calibration=calibration)
        names = [f"s{i:02}" for i in range(12)]
        found = apply_intervals(point(dict.fromkeys(names, 0.0)), scales(dict.fromkeys(names, 1.0)), intervals)
        wide = found.canonical().filter(pl.col("step") <= 3)["value"].to_numpy().reshape(12, 3, 2)
        inside = (wide[:, :, 0] <= draws[:, 3]) & (draws[:, 3] <= wide[:, :, 1])
        hits, trials = hits + int(inside[:, 0].sum()), trials + 12
    assert scipy.stats.binomtest(hits, trials, 0.8, alternative="less").pvalue > 1e-3
    assert hits / trials < 0.9


# --- order -----------------------------------------------------------------------------------------------------------


@given(residual_frames(), levels, calibrations)
def test_offsets_never_fall_as_levels_rise(found: pl.DataFrame, wanted: list[float], calibration: Calibration) -> None:
    intervals = fit_intervals(found, entity=("id",), levels=wanted, calibration=calibration)
    assert all(list(row) == sorted(row) for row in intervals.offsets)
    applied = apply_intervals(point({"s0": 1.0, "new": 2.0}), scales({"s0": 1.0, "new": 3.0}), intervals, low=0.0)
    assert applied.rows["value"].min() >= 0.0
    assert applied.levels == tuple(sorted(wanted))


@given(residual_frames(), levels, calibrations)
def test_intervals_do_not_depend_on_the_order_of_rows(
    found: pl.DataFrame, wanted: list[float], calibration: Calibration
) -> None:
    first = fit_intervals(found, entity=("id",), levels=wanted, calibration=calibration)
    assert fit_intervals(found.reverse(), entity=("id",), levels=wanted[::-1], calibration=calibration) == first


@given(st.lists(numbers, min_size=1, max_size=60), st.integers(1, 99).map(lambda i: i / 100.0))
def test_the_conformal_quantile_equals_its_twin_and_mirrors(values: list[float], level: float) -> None:
    ordered = np.sort(np.array(values))
    found = conformal_quantile(ordered, level)
    expected = naive.median(values) if level == 0.5 else naive.conformal_quantile(values, level)
    if expected is not None:
        assert found == pytest.approx(expected, rel=1e-12)
    mirrored = conformal_quantile(np.sort(-ordered), 1.0 - level)
    assert mirrored == pytest.approx(-found, rel=1e-9, abs=1e-9)


@given(st.lists(numbers, min_size=1, max_size=40), st.integers(1, 98), st.integers(1, 30))
def test_a_larger_residual_never_lowers_a_quantile(values: list[float], percent: int, more: int) -> None:
    level = percent / 100.0
    ordered = np.sort(np.array(values))
    raised = ordered.copy()
    raised[-1] += more
    if (len(values) + 1) * min(level, 1 - level) >= 1:  # ranks that exist
        assert conformal_quantile(raised, level) >= conformal_quantile(ordered, level)


# --- scale -----------------------------------------------------------------------------------------------------------


@given(residual_frames(), levels, calibrations, st.sampled_from([0.25, 2.0, 1024.0]))
def test_intervals_move_with_the_unit_of_the_residuals(
    found: pl.DataFrame, wanted: list[float], calibration: Calibration, unit: float
) -> None:
    plain = fit_intervals(found, entity=("id",), levels=wanted, calibration=calibration)
    scaled = fit_intervals(
        found.with_columns(pl.col("residual") * unit), entity=("id",), levels=wanted, calibration=calibration
    )
    assert np.array(scaled.offsets) == pytest.approx(np.array(plain.offsets) * unit, rel=1e-9, abs=1e-9)
    assert scaled.factors == pytest.approx(plain.factors)


@given(residual_frames(), levels, numbers, st.sampled_from([0.25, 2.0, 1024.0]))
def test_quantiles_move_with_the_unit_of_the_target(
    found: pl.DataFrame, wanted: list[float], value: float, unit: float
) -> None:
    intervals = fit_intervals(found, entity=("id",), levels=wanted)
    plain = apply_intervals(point({"s0": value}), scales({"s0": 3.0}), intervals).canonical()["value"].to_numpy()
    larger = apply_intervals(point({"s0": value * unit}), scales({"s0": 3.0 * unit}), intervals).canonical()
    assert larger["value"].to_numpy() == pytest.approx(plain * unit, rel=1e-12, abs=1e-12)


@given(
    st.lists(st.lists(numbers, min_size=1, max_size=20), min_size=1, max_size=5),
    st.integers(1, 6),
    st.sampled_from([0.25, 2.0, 1024.0]),
)
def test_the_scale_of_series_is_positive_equals_its_twin_and_moves_with_the_unit(
    series: list[list[float]], season: int, unit: float
) -> None:
    def frame(factor: float) -> pl.DataFrame:
        return pl.concat(
            pl.DataFrame({"id": [f"s{i}"] * len(y), "period": range(len(y)), "y": [factor * v for v in y]})
            for i, y in enumerate(series)
        )

    found = series_scale(frame(1.0), season, entity=("id",), cutoff=0)["scale"].to_list()
    expected = naive.series_scale({f"s{i}": y for i, y in enumerate(series)}, season)
    assert found == pytest.approx(list(expected.values()), rel=1e-9)
    assert min(found) > 0
    if any(v != 0 for y in series for v in y):
        larger = series_scale(frame(unit), season, entity=("id",), cutoff=0)["scale"].to_list()
        assert larger == pytest.approx([unit * v for v in found], rel=1e-9)


# --- weights ---------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=15),
    st.sampled_from([0.0, 0.03, 1.0]),
    st.sampled_from([0.25, 1024.0]),
)
def test_weights_lie_on_the_simplex_beat_the_mean_and_ignore_the_unit(
    rows: list[tuple[float, float, float]], penalty: float, unit: float
) -> None:
    matrix, towards = np.array(rows), np.full(3, 1 / 3)
    found = solve_simplex(matrix, towards, penalty)
    assert found.min() >= 0.0
    assert found.sum() == pytest.approx(1.0, abs=1e-9)
    if np.mean(np.abs(matrix @ towards)) > 1e-9:
        ours, equal = (naive.objective(rows, w.tolist(), towards.tolist(), penalty) for w in (found, towards))
        assert ours <= equal + 1e-9
        other = solve_simplex(matrix * unit, towards, penalty)
        again = naive.objective(rows, other.tolist(), towards.tolist(), penalty)
        assert again == pytest.approx(ours, abs=1e-6)


@given(st.permutations(["a", "b", "c"]), st.integers(0, 5))
def test_the_names_of_members_do_not_matter(names: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = 10.0 + rng.normal(size=(3, 2, 4, 3)) * [1.0, 2.0, 4.0]
    rows = [
        {"id": f"s{i}", "cutoff": o, "step": s, "member": k, "y": 10.0, "scale": 1.0, "value": values[i, o, s, k]}
        for i in range(3)
        for o in range(2)
        for s in range(4)
        for k in range(3)
    ]
    frame = pl.DataFrame(rows).with_columns(step=pl.col("step") + 1)

    def learned(order: list[str]) -> dict[str, float]:
        named = frame.with_columns(
            model=pl.col("member").replace_strict(dict(enumerate(order)), return_dtype=pl.String)
        )
        weights = learn_weights(named.drop("member"), entity=("id",))
        return dict(zip(weights.members, weights.blocks[0][1], strict=True))

    plain, other = learned(["a", "b", "c"]), learned(list(names))
    for k in range(3):
        assert other[names[k]] == pytest.approx(plain["abc"[k]], abs=1e-4)
