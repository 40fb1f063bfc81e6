from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
import sklearn.metrics as peers
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

import naive_binary as naive
from foreproof.core.compare import clopper_pearson
from foreproof.core.logistic import logistic_coefficients, logit, sigmoid
from foreproof.core.score_binary import (
    auc,
    brier,
    calibration_mae,
    calibration_slope_intercept,
    capture_at,
    lift_at,
    log_loss,
    pr_auc,
    reliability,
    value_at,
)
from foreproof.errors import BadInput

SCORES: dict[str, Callable[..., float]] = {
    "auc": auc,
    "pr_auc": pr_auc,
    "lift": lambda y, p, weight=None: lift_at(y, p, share=0.3, weight=weight),
    "capture": lambda y, p, weight=None: capture_at(y, p, share=0.15, weight=weight),
    "value": lambda y, p, weight=None: value_at(y, p, share=0.4, money=3.0, cost=0.5, weight=weight),
    "brier": brier,
    "log_loss": log_loss,
    "calibration_mae": lambda y, p, weight=None: calibration_mae(y, p, bins=4, weight=weight),
}
NAIVE: dict[str, Callable[..., float]] = {
    "auc": naive.auc,
    "pr_auc": naive.pr_auc,
    "lift": lambda y, p, w: naive.capture_at(y, p, 0.3, w) / 0.3,
    "capture": lambda y, p, w: naive.capture_at(y, p, 0.15, w),
    "value": lambda y, p, w: naive.value_at(y, p, 0.4, [3.0] * len(y), 0.5, w),
    "brier": naive.brier,
    "log_loss": naive.log_loss,
    "calibration_mae": lambda y, p, w: naive.calibration_mae(y, p, 4, w),
}
EVERY = pytest.mark.parametrize("name", SCORES)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], list[float], list[int]]:
    """Few different p, so that most rows are tied; both outcomes with some weight."""
    n = draw(st.integers(2, 25))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    p = draw(st.lists(st.sampled_from([0.05, 0.1, 0.1 + 1e-9, 0.3, 0.5, 0.99]), min_size=n, max_size=n))
    w = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return [0, 1, *y], [*draw(st.permutations([0.2, 0.6])), *p], [1, 2, *w]


# --- right by reading, and as others have it --------------------------------------------------------------------------


@EVERY
@given(case=cases(), weighted=st.booleans())
def test_a_score_equals_its_slow_twin(name: str, case: Any, weighted: bool) -> None:
    y, p, w = case
    weight = w if weighted else None
    assert SCORES[name](y, p, weight=weight) == pytest.approx(NAIVE[name](y, p, weight), rel=1e-9, abs=1e-12)


@EVERY
@given(case=cases())
def test_a_row_of_weight_k_counts_as_k_rows(name: str, case: Any) -> None:
    y, p, w = case
    repeated = SCORES[name](np.repeat(y, w), np.repeat(p, w))
    assert SCORES[name](y, p, weight=w) == pytest.approx(repeated, rel=1e-9, abs=1e-12)


@EVERY
@given(case=cases(), seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(name: str, case: Any, seed: int) -> None:
    y, p, w = (np.asarray(each) for each in case)
    mixed = np.random.default_rng(seed).permutation(y.size)
    there = SCORES[name](y[mixed], p[mixed], weight=w[mixed])
    assert there == pytest.approx(SCORES[name](y, p, weight=w), rel=1e-9, abs=1e-12)


@given(case=cases())
def test_scores_are_those_of_scikit_learn(case: Any) -> None:
    y, p, w = case
    assert auc(y, p, weight=w) == pytest.approx(peers.roc_auc_score(y, p, sample_weight=w), abs=1e-12)
    assert pr_auc(y, p, weight=w) == pytest.approx(peers.average_precision_score(y, p, sample_weight=w), abs=1e-12)
    assert brier(y, p, weight=w) == pytest.approx(peers.brier_score_loss(y, p, sample_weight=w), abs=1e-12)
    assert log_loss(y, p, weight=w) == pytest.approx(peers.log_loss(y, p, sample_weight=w), rel=1e-12)


@given(case=cases())
def test_a_rising_map_of_p_changes_no_score_of_order(case: Any) -> None:
    y, p, _ = case
    moved = np.asarray(p) ** 3 * 50.0 - 7.0
    assert auc(y, moved) == pytest.approx(auc(y, p), abs=1e-12)
    assert pr_auc(y, moved) == pytest.approx(pr_auc(y, p), abs=1e-12)
    assert capture_at(y, moved, share=0.2) == pytest.approx(capture_at(y, p, share=0.2), abs=1e-12)


def test_small_cases_by_hand() -> None:
    y, p = [1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1]
    assert auc(y, p) == pytest.approx(0.75)
    assert pr_auc(y, p) == pytest.approx(0.5 * 1.0 + 0.5 * 2.0 / 3.0)
    assert capture_at(y, p, share=0.25) == pytest.approx(0.5)
    assert lift_at(y, p, share=0.25) == pytest.approx(2.0)
    assert capture_at(y, p, share=0.625) == pytest.approx(0.75)  # half of the third row
    assert value_at(y, p, share=0.5, money=[10, 20, 30, 40], cost=1.0) == pytest.approx(8.0)
    assert brier(y, p) == pytest.approx((0.01 + 0.64 + 0.09 + 0.01) / 4)


def test_a_p_that_says_nothing_has_the_scores_of_chance() -> None:
    y, p = [1, 0, 0, 0, 1] * 4, [0.4] * 20
    assert auc(y, p) == 0.5
    assert pr_auc(y, p) == pytest.approx(0.4)
    assert lift_at(y, p, share=0.1) == pytest.approx(1.0)
    assert calibration_mae(y, p) == pytest.approx(0.0, abs=1e-12)


def test_the_share_of_all_rows_captures_all_positives() -> None:
    y, p = [1, 0, 1], [0.1, 0.5, 0.5]
    assert capture_at(y, p, share=1.0) == pytest.approx(1.0)


def test_an_impossible_outcome_that_came_has_a_large_but_finite_loss() -> None:
    assert 17.0 < log_loss([1, 0], [0.0, 0.0]) < 19.0
    assert brier([1, 1], [1.0, 0.0]) == 0.5


# --- reliability ------------------------------------------------------------------------------------------------------


@given(case=cases())
def test_the_reliability_frame_equals_its_slow_twin(case: Any) -> None:
    y, p, w = case
    found = reliability(y, p, bins=3, weight=w)
    for row, (n, said, came) in zip(found.iter_rows(named=True), naive.bins(y, p, 3, w), strict=True):
        assert (row["n"], row["mean_p"], row["mean_y"]) == pytest.approx((n, said, came), abs=1e-9)
        exact = clopper_pearson(min(max(came * n, 0.0), n), n)
        assert (row["low"], row["high"]) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_reliability_bins_rise_and_hold_equal_counts() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(size=1003)
    found = reliability((rng.uniform(size=1003) < p).astype(int), p)
    assert found["bin"].to_list() == list(range(1, 11))
    assert found["n"].to_list() == pytest.approx([100.3] * 10)
    assert found["mean_p"].is_sorted()
    assert found.filter(pl.col("mean_p").is_between("low", "high")).height >= 8
    weighted = float((found["n"] * (found["mean_p"] - found["mean_y"]).abs()).sum()) / 1003
    assert calibration_mae((rng.uniform(size=1003) < p).astype(int), p) < 0.1
    assert weighted < 0.1


# --- slope and intercept, and the regression behind them --------------------------------------------------------------


def test_calibration_slope_is_that_of_a_regression_on_the_logit() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=3000)
    y = (rng.uniform(size=3000) < sigmoid(0.5 * x - 1.0)).astype(float)
    slope, intercept = calibration_slope_intercept(y, sigmoid(x))
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x[:, None], y)
    assert slope == pytest.approx(peer.coef_[0, 0], rel=1e-4)
    assert intercept == pytest.approx(peer.intercept_[0], rel=1e-4)


@given(case=cases())
def test_at_the_maximum_the_slope_of_the_likelihood_is_zero(case: Any) -> None:
    y, p, w = (np.asarray(each, dtype=float) for each in case)
    target = 0.1 + 0.8 * y  # inside (0, 1), so that no column can separate
    X = np.column_stack([logit(p), np.ones_like(p)])
    beta = logistic_coefficients(X, target, weight=w)
    assert np.max(np.abs(X.T @ (w * (target - sigmoid(X @ beta))))) < 1e-6


def test_sigmoid_and_logit_are_inverse_and_never_overflow() -> None:
    assert sigmoid([-1000.0, 0.0, 1000.0]).tolist() == [0.0, 0.5, 1.0]
    assert logit(sigmoid([-9.0, 0.3])).tolist() == pytest.approx([-9.0, 0.3])


def test_outcomes_that_p_separates_have_no_slope() -> None:
    with pytest.raises(BadInput, match="separates"):
        calibration_slope_intercept([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    with pytest.raises(BadInput, match="one probability for all rows"):
        calibration_slope_intercept([0, 1, 1], [0.1, 0.1, 0.1])


# --- what is refused --------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
@pytest.mark.parametrize("where", ["y", "p"])
def test_missing_values_are_refused_with_their_place(name: str, bad: float | None, where: str) -> None:
    columns: dict[str, list[Any]] = {"y": [0, 1, 1], "p": [0.1, 0.2, 0.3]}
    columns[where][2] = bad
    with pytest.raises(BadInput, match=f"{where} is missing or infinite in 1 of 3 places"):
        SCORES[name](columns["y"], columns["p"])


def test_a_polars_null_is_refused_too() -> None:
    with pytest.raises(BadInput, match="missing"):
        auc(pl.Series([0, 1, None]), pl.Series([0.1, 0.2, 0.3]))


@pytest.mark.parametrize("name", ["auc", "pr_auc", "lift", "capture"])
def test_no_positive_outcome_is_refused_where_a_score_needs_one(name: str) -> None:
    with pytest.raises(BadInput, match="no positive outcome among 3 rows"):
        SCORES[name]([0, 0, 0], [0.1, 0.2, 0.3])


def test_no_negative_outcome_is_refused_by_auc_alone() -> None:
    with pytest.raises(BadInput, match="no negative outcome"):
        auc([1, 1], [0.1, 0.2])
    assert pr_auc([1, 1], [0.1, 0.2]) == 1.0
    assert brier([0, 0], [0.1, 0.1]) == pytest.approx(0.01)
    assert log_loss([0, 0], [0.1, 0.1]) == pytest.approx(-math.log(0.9))
    assert calibration_mae([0, 0], [0.1, 0.1]) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: auc([0, 2], [0.1, 0.2]), "y = 2.0 at position 1"),
        (lambda: auc([], []), "empty"),
        (lambda: auc([0, 1], [0.1]), "one length"),
        (lambda: brier([0, 1], [0.1, 1.2]), "outside"),
        (lambda: auc([0, 1], [0.1, 0.2], weight=[1.0]), "weights of shape"),
        (lambda: auc([0, 1], [0.1, 0.2], weight=[1.0, -1.0]), "negative"),
        (lambda: auc([0, 1], [0.1, 0.2], weight=[1.0, math.nan]), "missing"),
        (lambda: brier([0, 1], [0.1, 0.2], weight=[0.0, 0.0]), "all 0"),
        (lambda: capture_at([0, 1], [0.1, 0.2], share=0.0), "above 0"),
        (lambda: lift_at([0, 1], [0.1, 0.2], share=1.1), "at most 1"),
        (lambda: value_at([0, 1], [0.1, 0.2], share=0.5, money=[1.0, math.nan]), "money is missing"),
        (lambda: calibration_mae([0, 1], [0.1, 0.2], bins=0), "0 bins"),
    ],
)
def test_bad_input_is_refused_in_words(call: Callable[[], float], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        call()
