from __future__ import annotations

import math

import pytest
from scipy import stats

from foreproof.core.distribution import chi_square_tail, f_tail, student_cdf, student_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 10, 24, 61])
@pytest.mark.parametrize("statistic", [1e-9, 0.1, 1.0, 3.0, 12.5, 80.0, 500.0])
def test_the_tail_of_chi_square_equals_scipys(statistic: float, freedom: int) -> None:
    assert chi_square_tail(statistic, freedom) == pytest.approx(stats.chi2.sf(statistic, freedom), rel=1e-11)


@pytest.mark.parametrize(("between", "within"), [(1, 3), (2, 10), (6, 700), (27, 40)])
@pytest.mark.parametrize("statistic", [0.01, 0.7, 1.0, 2.5, 9.0, 40.0])
def test_the_tail_of_f_equals_scipys(statistic: float, between: int, within: int) -> None:
    assert f_tail(statistic, between, within) == pytest.approx(stats.f.sf(statistic, between, within), rel=1e-9)


@pytest.mark.parametrize("freedom", [1, 2, 5, 30, 400])
def test_students_distribution_equals_scipys(freedom: int) -> None:
    for t in (-12.0, -2.0, -0.1, 0.0, 0.3, 2.2, 9.0):
        assert student_cdf(t, freedom) == pytest.approx(stats.t.cdf(t, freedom), rel=1e-10)
    assert student_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


def test_tails_end_where_they_must() -> None:
    assert chi_square_tail(0.0, 3) == 1.0
    assert chi_square_tail(1e6, 3) == 0.0
    assert f_tail(0.0, 2, 9) == 1.0
    assert f_tail(math.inf, 2, 9) == 0.0
    assert student_cdf(math.inf, 4) == 1.0
