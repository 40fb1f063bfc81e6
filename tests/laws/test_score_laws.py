from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests import naive_score as naive

from foreproof.core import compare, score
from foreproof.core.score_table import score_table

# eighths: sums are exact, so a ratio to a sum near zero cannot hide a fault or invent one
numbers = st.integers(-800, 800).map(lambda i: i / 8.0)
factors = st.sampled_from([0.5, 2.0, 8.0, 1000.0])
shares = st.sampled_from([0.05, 0.1, 0.25, 0.5, 0.9])
exactly = {"rel": 1e-9, "abs": 1e-9}


def vectors(count: int, least: int = 1) -> st.SearchStrategy[list[list[float]]]:
    """`count` vectors of one length."""
    rows = st.lists(st.tuples(*[numbers] * count), min_size=least, max_size=30)
    return rows.map(lambda rows: [list(column) for column in zip(*rows, strict=True)])


# --- arrays ----------------------------------------------------------------------------------------------------------


@given(vectors(2), shares)
def test_point_and_quantile_scores_equal_their_plain_twins(pair: list[list[float]], level: float) -> None:
    y, f = pair
    assert score.pinball(y, f, level) == pytest.approx(naive.pinball(y, f, level), **exactly)
    assert score.smape(y, f) == pytest.approx(naive.smape(y, f), **exactly)


@given(st.lists(numbers, min_size=1, max_size=40), st.integers(1, 9))
def test_scales_equal_their_plain_twins(history: list[float], season: int) -> None:
    assert score.mase_scale(history, season) == pytest.approx(naive.mase_scale(history, season), nan_ok=True, **exactly)
    assert score.rmsse_scale(history, season) == pytest.approx(
        naive.rmsse_scale(history, season), nan_ok=True, **exactly
    )


@given(vectors(3), st.sampled_from([0.05, 0.2, 0.5]), factors)
def test_msis_equals_its_plain_twin(columns: list[list[float]], alpha: float, scale: float) -> None:
    y, one, other = columns
    low, high = np.minimum(one, other), np.maximum(one, other)
    ours = score.msis(y, low, high, alpha=alpha, scale=scale)
    assert ours == pytest.approx(naive.msis(y, list(low), list(high), alpha, scale), **exactly)


@given(
    st.integers(1, 8),
    st.lists(st.integers(0, 6), min_size=8, max_size=8),
    st.lists(st.integers(0, 8), min_size=1, max_size=60),
    st.integers(1, 20),
    st.integers(0, 20),
)
def test_naive2_equals_its_plain_twin(
    season: int, pattern: list[int], noise: list[int], horizon: int, unsold: int
) -> None:
    history = [0.0] * unsold + [8.0 * pattern[t % season] + noise[t] for t in range(len(noise))]
    twin = naive.naive2(history, horizon, season)
    wanted = twin if all(math.isfinite(v) for v in twin) else [history[-1]] * horizon
    assert list(score.naive2(history, horizon, season=season)) == pytest.approx(wanted, **exactly)


@given(vectors(2))
def test_pinball_at_the_median_is_half_the_absolute_error(pair: list[list[float]]) -> None:
    y, f = pair
    assert score.pinball(y, f, 0.5) == pytest.approx(np.mean(np.abs(np.subtract(y, f))) / 2, **exactly)


@given(vectors(2), shares)
def test_pinball_of_a_level_and_its_mirror_swap_under_reflection(pair: list[list[float]], level: float) -> None:
    y, f = np.array(pair)
    assert score.pinball(y, f, level) == pytest.approx(score.pinball(-y, -f, 1.0 - level), **exactly)


@given(st.lists(numbers, min_size=2, max_size=30), shares)
def test_the_empirical_quantile_has_the_least_pinball(y: list[float], level: float) -> None:
    best = np.quantile(y, level, method="inverted_cdf")
    least = score.pinball(y, np.full(len(y), best), level)
    assert all(least <= score.pinball(y, np.full(len(y), other), level) + 1e-9 for other in y)


@given(vectors(4), st.lists(numbers, min_size=4, max_size=30), factors)
def test_units_scale_widths_and_not_scaled_scores(
    columns: list[list[float]], history: list[float], factor: float
) -> None:
    y, f, one, other = np.array(columns)
    past = np.array(history)
    scale = score.mase_scale(past, 2)
    square = score.rmsse_scale(past, 2)
    assume(not math.isnan(scale))
    low, high = np.minimum(one, other), np.maximum(one, other)
    larger, larger_square = score.mase_scale(factor * past, 2), score.rmsse_scale(factor * past, 2)
    assert score.width(factor * low, factor * high) == pytest.approx(factor * score.width(low, high), **exactly)
    assert score.coverage(factor * y, factor * low, factor * high) == score.coverage(y, low, high)
    assert score.smape(factor * y, factor * f) == pytest.approx(score.smape(y, f), **exactly)
    assert score.mase(factor * y, factor * f, scale=larger) == pytest.approx(score.mase(y, f, scale=scale), **exactly)
    assert score.rmsse(factor * y, factor * f, scale=larger_square) == pytest.approx(
        score.rmsse(y, f, scale=square), **exactly
    )
    assert score.msis(factor * y, factor * low, factor * high, alpha=0.1, scale=larger) == pytest.approx(
        score.msis(y, low, high, alpha=0.1, scale=scale), **exactly
    )


@given(vectors(3), st.integers(0, 50))
def test_a_wider_interval_never_covers_less(columns: list[list[float]], more: int) -> None:
    y, one, other = columns
    low, high = np.minimum(one, other), np.maximum(one, other)
    assert score.coverage(y, low - more, high + more) >= score.coverage(y, low, high)
    assert score.width(low - more, high + more) == pytest.approx(score.width(low, high) + 2 * more, **exactly)


@given(vectors(2))
def test_over_forecasting_is_positive_bias_and_wape_bounds_it(pair: list[list[float]]) -> None:
    y, f = np.abs(np.array(pair))
    assume(float(np.sum(y)) > 0.0)
    assert score.mean_error(y, y + 1.0) == pytest.approx(1.0)
    assert score.bias(y, y + 1.0) > 0.0
    assert abs(score.bias(y, f)) <= score.wape(y, f) + 1e-12
    assert score.smape(y, f) <= 200.0 + 1e-9
    assert score.smape(y, f) == pytest.approx(score.smape(f, y), **exactly)


# --- the table -------------------------------------------------------------------------------------------------------


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[Any, Any], dict[Any, Any]]:
    """Ragged rows: series x cutoffs x steps, points and up to four quantiles, some series without a scale."""
    cells = draw(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.integers(1, 4)),
            min_size=1,
            max_size=12,
            unique=True,
        )
    )
    levels = draw(st.sampled_from([(), (0.5,), (0.1, 0.9), (0.025, 0.1, 0.9, 0.975), (0.1, 0.5, 0.8)]))
    with_naive2 = draw(st.booleans())
    rows, actuals, scales = [], {}, {}
    for series, cutoff, step in cells:
        actuals[series, cutoff, step] = (draw(numbers), draw(numbers) if with_naive2 else None)
        scale = draw(st.sampled_from([math.nan, 0.5, 3.0]))
        scales.setdefault((series, cutoff), (scale, 2.0 * scale))
        place = {"id": series, "cutoff": cutoff, "step": step}
        rows.append({**place, "level": None, "value": draw(numbers)})
        quantiles = sorted(draw(st.lists(numbers, min_size=len(levels), max_size=len(levels))))
        rows += [{**place, "level": level, "value": value} for level, value in zip(levels, quantiles, strict=True)]
    return rows, actuals, scales


def framed(
    rows: list[dict[str, Any]], actuals: dict[Any, Any], scales: dict[Any, Any]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    facts = pl.DataFrame([(*key, *values) for key, values in actuals.items()], orient="row", infer_schema_length=None)
    facts.columns = ["id", "cutoff", "step", "y", "naive2"]
    if facts["naive2"].null_count():
        facts = facts.drop("naive2")
    units = pl.DataFrame([(*key, *values) for key, values in scales.items()], orient="row")
    units.columns = ["id", "cutoff", "mase_scale", "rmsse_scale"]
    return pl.DataFrame(rows, schema_overrides={"level": pl.Float64}), facts, units


groupings = st.sampled_from([[], ["id"], ["step"], ["level"], ["cutoff", "id"], ["id", "step", "level"]])


@given(tables(), groupings)
def test_the_table_equals_its_plain_twin(given_rows: tuple[Any, Any, Any], by: list[str]) -> None:
    table = score_table(*framed(*given_rows), by=by)
    ours = {tuple(row[:-2]): row[-2:] for row in table.iter_rows()}
    twin = naive.score_table(*given_rows, by)
    assert ours.keys() == twin.keys()
    for key, (value, n) in twin.items():
        assert ours[key][1] == n, key
        if value is None:
            assert ours[key][0] is None, key
        else:
            assert ours[key][0] == pytest.approx(value, **exactly), key


@given(tables(), groupings, st.randoms(use_true_random=False))
def test_row_order_cannot_change_a_byte_of_the_table(
    given_rows: tuple[Any, Any, Any], by: list[str], random: Any
) -> None:
    frames = framed(*given_rows)
    shuffled = [frame[random.sample(range(frame.height), frame.height)] for frame in frames]
    assert score_table(*shuffled, by=by).equals(score_table(*frames, by=by), null_equal=True)


@given(tables())
def test_a_perfect_forecast_scores_nothing(given_rows: tuple[Any, Any, Any]) -> None:
    rows, actuals, scales = given_rows
    perfect = [{**row, "value": actuals[row["id"], row["cutoff"], row["step"]][0]} for row in rows]
    for metric, value, _ in score_table(*framed(perfect, actuals, scales), by=[]).iter_rows():
        assert value is None or value == (1.0 if metric.startswith("coverage") else 0.0), metric


@given(tables())
def test_naive2_against_itself_is_one(given_rows: tuple[Any, Any, Any]) -> None:
    rows, actuals, scales = given_rows
    assume(next(iter(actuals.values()))[1] is not None)
    same = [{**row, "value": actuals[row["id"], row["cutoff"], row["step"]][1]} for row in rows]
    table = score_table(*framed(same, actuals, scales), by=[])
    ((value,),) = table.filter(pl.col("metric") == "owa").select("value").iter_rows()
    assert value is None or value == pytest.approx(1.0)


# --- comparisons -----------------------------------------------------------------------------------------------------


@given(vectors(2, least=8), st.integers(1, 12))
def test_diebold_mariano_equals_its_plain_twin_and_is_antisymmetric(pair: list[list[float]], horizon: int) -> None:
    a, b = pair
    ours, swapped = compare.diebold_mariano(a, b, horizon=horizon), compare.diebold_mariano(b, a, horizon=horizon)
    assert swapped.statistic == pytest.approx(-ours.statistic, **exactly)
    assert swapped.mean_difference == pytest.approx(-ours.mean_difference, **exactly)
    assert swapped.p_value == pytest.approx(ours.p_value, **exactly)
    assert swapped.p_less == pytest.approx(1.0 - ours.p_less, **exactly)
    assert ours.p_value == pytest.approx(2.0 * min(ours.p_less, 1.0 - ours.p_less), **exactly)
    if len({x - y for x, y in zip(a, b, strict=True)}) > 1:
        assert ours.statistic == pytest.approx(naive.diebold_mariano(a, b, ours.lags), rel=1e-6, abs=1e-9)


@given(vectors(2, least=8), st.integers(1, 5), factors)
def test_the_unit_of_the_loss_cannot_change_the_test(pair: list[list[float]], horizon: int, factor: float) -> None:
    a, b = np.array(pair)
    one, other = (compare.diebold_mariano(k * a, k * b, horizon=horizon) for k in (1.0, factor))
    assert other.statistic == pytest.approx(one.statistic, rel=1e-6, abs=1e-9)
    assert other.mean_difference == pytest.approx(factor * one.mean_difference, **exactly)


@given(st.integers(0, 60), st.integers(1, 60), st.sampled_from([0.5, 0.8, 0.95, 0.99]))
def test_clopper_pearson_leaves_the_same_in_each_tail(hits: int, n: int, confidence: float) -> None:
    k = min(hits, n)
    interval = compare.clopper_pearson(k, n, confidence)
    tail = (1.0 - confidence) / 2.0

    def at_least(p: float) -> float:
        return math.fsum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))

    assert interval.low <= k / n <= interval.high
    assert interval.low == 0.0 if k == 0 else at_least(interval.low) == pytest.approx(tail, rel=1e-7)
    more = math.comb(n, k) * interval.high**k * (1 - interval.high) ** (n - k)
    at_most = 1.0 - at_least(interval.high) + more
    assert interval.high == 1.0 if k == n else at_most == pytest.approx(tail, rel=1e-6)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=40),
    st.sampled_from([0.8, 0.95]),
)
def test_coverage_interval_equals_its_plain_twin(rows: list[tuple[int, int, int]], confidence: float) -> None:
    hits, series, days = (list(column) for column in zip(*rows, strict=True))
    assume(len(set(series)) > 1 or len(set(days)) > 1)
    ours = compare.coverage_interval(hits, clusters=(series, days), confidence=confidence)
    low, high, effective, effect = naive.coverage_interval(hits, (series, days), confidence)
    assert ours.n_effective == pytest.approx(effective, rel=1e-8)
    assert ours.design_effect == pytest.approx(effect, rel=1e-8)
    assert (ours.low, ours.high) == (pytest.approx(low, rel=1e-7, abs=1e-9), pytest.approx(high, rel=1e-7, abs=1e-9))
    assert ours.low - 1e-12 <= ours.estimate <= ours.high + 1e-12
    assert ours.n_effective <= len(hits) + 1e-9


@given(
    st.lists(st.tuples(numbers, st.integers(0, 5)), min_size=2, max_size=25),
    st.sampled_from(["mean", "sum"]),
    st.integers(0, 1000),
)
def test_the_bootstrap_equals_its_plain_twin(rows: list[tuple[float, int]], statistic: Any, seed: int) -> None:
    values, blocks = (list(column) for column in zip(*rows, strict=True))
    count = len(set(blocks))
    assume(count > 1)
    drawn = np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=30)
    ours = compare.bootstrap_interval(
        values, blocks=blocks, rng=np.random.default_rng(seed), replicates=30, confidence=0.9, statistic=statistic
    )
    assert (ours.low, ours.high) == pytest.approx(
        naive.bootstrap_interval(values, blocks, drawn.tolist(), 0.9, statistic), **exactly
    )
    assert ours.estimate == pytest.approx(sum(values) / (len(values) if statistic == "mean" else 1), **exactly)
