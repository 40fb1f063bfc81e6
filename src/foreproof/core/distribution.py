"""Tails of the distributions that tests compare with: Student's t, F, chi-square and beta.

Student's t, F and the binomial rest on one function, the regularised incomplete beta; chi-square with whole degrees of
freedom has a finite sum. So core needs no scipy; the tests compare with it.
"""

from __future__ import annotations

import math
from functools import lru_cache


def student_cdf(t: float, freedom: float) -> float:
    """P(T <= t) by the incomplete beta. Abramowitz & Stegun (1964) 26.7.1."""
    if math.isinf(t):
        return 0.0 if t < 0.0 else 1.0
    # for small t the complement: 1 - x keeps its digits there
    square = t * t / freedom
    half = 0.5 * (
        beta_cdf(1.0 / (1.0 + square), freedom / 2.0, 0.5)
        if square > 1.0
        else 1.0 - beta_cdf(square / (1.0 + square), 0.5, freedom / 2.0)
    )
    return half if t <= 0.0 else 1.0 - half


def student_quantile(p: float, freedom: float) -> float:
    """The t with P(T <= t) = p, for p >= 0.5: t^2 / (freedom + t^2) is beta(1/2, freedom/2)."""
    x = beta_quantile(2.0 * p - 1.0, 0.5, freedom / 2.0)
    return math.sqrt(freedom * x / (1.0 - x))


@lru_cache(maxsize=4096)  # a service is asked for the same few intervals again and again
def beta_quantile(p: float, a: float, b: float) -> float:
    """The x with P(X <= x) = p for X beta(a, b), by bisection to the last bit that counts."""
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2.0
        low, high = (middle, high) if beta_cdf(middle, a, b) < p else (low, middle)
    return (low + high) / 2.0


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta I_x(a, b), by its continued fraction. Abramowitz & Stegun (1964) 26.5.8."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast below the mean only
        return 1.0 - beta_cdf(1.0 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    # Lentz's method, from the left: f = 1 / (1 + d1 / (1 + d2 / (1 + ...)))
    tiny = 1e-300
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0), tiny)
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for coefficient in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + coefficient * d, tiny)
            c = _away_from_zero(1.0 + coefficient / c, tiny)
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return front * value


def _away_from_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def f_tail(statistic: float, between: float, within: float) -> float:
    """P(F > statistic) with `between` and `within` degrees of freedom. Abramowitz & Stegun (1964) 26.6.2."""
    if math.isinf(statistic):
        return 0.0
    # within / (within + between F) is beta(within / 2, between / 2)
    return beta_cdf(within / (within + between * statistic), within / 2.0, between / 2.0) if statistic > 0.0 else 1.0


def chi_square_tail(statistic: float, freedom: int) -> float:
    """P(chi-square > statistic), whole degrees of freedom >= 1, by its finite sum. Abramowitz & Stegun (1964) 26.4.4-5.

    All terms are positive, so nothing cancels; each is taken through its logarithm, so nothing overflows.
    """
    if statistic <= 0.0:
        return 1.0
    half = statistic / 2.0
    odd = freedom % 2
    powers = [k + 0.5 * odd for k in range(freedom // 2)]  # 0, 1 ... or 1/2, 3/2 ... below freedom / 2
    terms = [math.exp(power * math.log(half) - half - math.lgamma(power + 1.0)) for power in powers]
    return min(1.0, math.fsum(terms) + (math.erfc(math.sqrt(half)) if odd else 0.0))


__all__ = ["beta_cdf", "beta_quantile", "chi_square_tail", "f_tail", "student_cdf", "student_quantile"]
