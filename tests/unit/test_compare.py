from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from tests import naive_score

from foreproof.core.compare import (
    bootstrap_interval,
    clopper_pearson,
    coverage_interval,
    diebold_mariano,
)
from foreproof.errors import BadInput


def losses(n: int, seed: int = 3) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return rng.gamma(2.0, size=n), rng.gamma(2.2, size=n)


# --- Diebold-Mariano -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "horizon"), [(40, 1), (60, 6), (300, 28)])
def test_diebold_mariano_equals_a_regression_on_a_constant_with_hac_errors(n: int, horizon: int) -> None:
    linear_model = pytest.importorskip("statsmodels.regression.linear_model")
    a, b = losses(n)
    fit = linear_model.OLS(a - b, np.ones(n)).fit(
        cov_type="HAC", cov_kwds={"maxlags": horizon - 1, "use_correction": False}
    )
    # Harvey, Leybourne & Newbold's factor, written as in the paper
    factor = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    ours = diebold_mariano(a, b, horizon=horizon)
    assert ours.statistic == pytest.approx(factor * float(fit.tvalues[0]), rel=1e-9)
    assert ours.p_value == pytest.approx(2 * scipy.stats.t.sf(abs(ours.statistic), n - 1), rel=1e-9)
    assert ours.p_less == pytest.approx(scipy.stats.t.cdf(ours.statistic, n - 1), rel=1e-9)
    assert (ours.n, ours.lags, ours.freedom) == (n, horizon - 1, n - 1)


def test_at_horizon_one_it_is_the_paired_t_test() -> None:
    a, b = losses(25)
    paired = scipy.stats.ttest_rel(a, b)
    ours = diebold_mariano(a, b, horizon=1)
    assert ours.statistic == pytest.approx(paired.statistic, rel=1e-9)
    assert ours.p_value == pytest.approx(paired.pvalue, rel=1e-9)


def test_few_target_days_for_the_horizon_have_fewer_lags_and_degrees_of_freedom() -> None:
    a, b = losses(112)
    four_origins = diebold_mariano(a, b, horizon=28)
    assert (four_origins.lags, four_origins.freedom) == (27, 3)
    one_origin = diebold_mariano(a[:28], b[:28], horizon=28)
    assert (one_origin.lags, one_origin.freedom) == (7, 1)
    assert one_origin.statistic == pytest.approx(naive_score.diebold_mariano(list(a[:28]), list(b[:28]), 7), rel=1e-9)
    assert one_origin.p_value == pytest.approx(2 * scipy.stats.t.sf(abs(one_origin.statistic), 1), rel=1e-9)
    assert diebold_mariano(a[:8], b[:8], horizon=28).lags == 2


def test_equal_losses_do_not_differ() -> None:
    a, _ = losses(20)
    equal = diebold_mariano(a, a, horizon=3)
    assert (equal.statistic, equal.p_value, equal.p_less, equal.mean_difference) == (0.0, 1.0, 0.5, 0.0)


def test_a_constant_difference_is_certain() -> None:
    a, _ = losses(20)
    better = diebold_mariano(a, a + 0.1, horizon=3)
    assert (better.statistic, better.p_value, better.p_less) == (-math.inf, 0.0, 0.0)
    assert diebold_mariano(a + 0.1, a, horizon=3).p_less == 1.0


def test_losses_that_cannot_be_compared_are_refused() -> None:
    a, b = losses(8)
    with pytest.raises(BadInput, match="losses on 7 target days; wanted at least 8"):
        diebold_mariano(a[:7], b[:7], horizon=1)
    with pytest.raises(BadInput, match=r"loss_a has shape \(8,\), loss_b has shape \(7,\)"):
        diebold_mariano(a, b[:7], horizon=1)
    with pytest.raises(BadInput, match="loss_b is missing or infinite"):
        diebold_mariano(a, np.where(b == b.max(), np.nan, b), horizon=1)
    with pytest.raises(BadInput, match="horizon 0"):
        diebold_mariano(a, b, horizon=0)
    with pytest.raises(BadInput, match="empty"):
        diebold_mariano([], [], horizon=1)


# --- exact intervals -------------------------------------------------------------------------------------------------


def test_clopper_pearson_has_the_tabulated_bounds() -> None:
    eight = clopper_pearson(8, 10)
    assert (eight.low, eight.high) == (pytest.approx(0.4439, abs=5e-5), pytest.approx(0.9748, abs=5e-5))
    none = clopper_pearson(0, 10)
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 10), rel=1e-12))
    every = clopper_pearson(10, 10, 0.9)
    assert (every.low, every.high) == (pytest.approx(0.05 ** (1 / 10), rel=1e-12), 1.0)


@pytest.mark.parametrize(("k", "n"), [(1, 7), (19.4, 24.7), (0.2, 0.9), (5_041, 5_600), (899_000, 1_000_000)])
def test_clopper_pearson_equals_scipys_beta_quantiles(k: float, n: float) -> None:
    ours = clopper_pearson(k, n, 0.99)
    assert ours.low == pytest.approx(scipy.stats.beta.ppf(0.005, k, n - k + 1), rel=1e-8)
    assert ours.high == pytest.approx(scipy.stats.beta.ppf(0.995, k + 1, n - k), rel=1e-8)


def test_counts_that_are_none_are_refused() -> None:
    for k, n in ((-1, 10), (11, 10), (0, 0), (math.nan, 10)):
        with pytest.raises(BadInput, match="wanted 0 <= hits <= n"):
            clopper_pearson(k, n)
    with pytest.raises(BadInput, match="confidence 95"):
        clopper_pearson(1, 2, 95)


def test_a_bad_day_for_all_series_widens_the_interval() -> None:
    together, apart = np.ones((20, 28)), np.ones((20, 28))
    together[:, [3, 17]] = 0.0  # two days on which every series missed
    for series in range(20):
        apart[series, [series, (series + 9) % 28]] = 0.0
    correlated, spread = coverage_interval(together), coverage_interval(apart)
    assert correlated.estimate == spread.estimate == pytest.approx(26 / 28)
    # 28 days of equal hits: C / (C - 1) times 20 equal observations a day
    assert correlated.design_effect == pytest.approx(20 * 28 / 27)
    assert correlated.high - correlated.low > 2 * (spread.high - spread.low)


def test_coverage_in_a_matrix_and_in_long_form_is_the_same() -> None:
    hits = (np.random.default_rng(5).random((6, 9)) < 0.8).astype(int)
    series, days = np.indices(hits.shape)
    long = coverage_interval(hits.ravel(), clusters=(series.ravel().astype(str), days.ravel()), confidence=0.9)
    assert long == coverage_interval(hits, confidence=0.9)
    assert long != coverage_interval(hits.ravel(), clusters=(series.ravel(),), confidence=0.9)


def test_all_hits_count_once_a_cluster() -> None:
    every = coverage_interval(np.ones((30, 7)))
    assert (every.n, every.n_effective, every.high) == (210, 7.0, 1.0)
    assert every.low == pytest.approx(0.025 ** (1 / 7))
    none = coverage_interval(np.zeros((1, 9)))
    assert (none.n_effective, none.low) == (9.0, 0.0)


def test_hits_that_give_no_interval_are_refused() -> None:
    with pytest.raises(BadInput, match=r"a hit of 0\.5"):
        coverage_interval(np.full((2, 2), 0.5))
    with pytest.raises(BadInput, match="a hit of nan"):
        coverage_interval(np.array([[1.0, np.nan]]))
    with pytest.raises(BadInput, match="no hits"):
        coverage_interval(np.ones((0, 3)))
    with pytest.raises(BadInput, match="labels of sizes"):
        coverage_interval([1, 0, 1])
    with pytest.raises(BadInput, match="labels of sizes"):
        coverage_interval([1, 0, 1], clusters=([1, 2],))
    with pytest.raises(BadInput, match="all in one cluster"):
        coverage_interval([1, 0, 1], clusters=(["a", "a", "a"],))


# --- bootstrap -------------------------------------------------------------------------------------------------------


def test_the_bootstrap_repeats_under_its_generator_and_covers_the_estimate() -> None:
    values = np.random.default_rng(1).normal(2.0, 1.0, 200)
    blocks = np.repeat(np.arange(20), 10)
    first, second = (bootstrap_interval(values, blocks=blocks, rng=np.random.default_rng(9)) for _ in range(2))
    assert first == second
    assert first.low < first.estimate < first.high
    # independent values: near the normal interval
    half = 1.96 * float(np.std(values)) / math.sqrt(200)
    assert first.high - first.low == pytest.approx(2 * half, rel=0.5)


def test_values_that_move_together_in_blocks_have_a_wider_interval() -> None:
    rng = np.random.default_rng(2)
    values = np.repeat(rng.normal(size=20), 10)
    within = bootstrap_interval(values, blocks=np.repeat(np.arange(20), 10), rng=rng)
    alone = bootstrap_interval(values, blocks=np.arange(200), rng=rng)
    assert within.high - within.low > 2 * (alone.high - alone.low)


def test_blocks_that_give_no_interval_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(BadInput, match="1 blocks"):
        bootstrap_interval([1.0, 2.0], blocks=["a", "a"], rng=rng)
    with pytest.raises(BadInput, match=r"\(3,\) blocks"):
        bootstrap_interval([1.0, 2.0], blocks=[1, 2, 3], rng=rng)
    with pytest.raises(BadInput, match="values is missing"):
        bootstrap_interval([1.0, math.nan], blocks=[1, 2], rng=rng)
    with pytest.raises(BadInput, match="0 replicates"):
        bootstrap_interval([1.0, 2.0], blocks=[1, 2], rng=rng, replicates=0)
