"""Is the difference real? Tests and intervals for scores: paired losses, coverage with clusters, blocks of values.

The distributions behind them stand in `distribution`, so nothing here needs scipy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
import numpy.typing as npt

from foreproof.core.distribution import beta_quantile, student_cdf, student_quantile
from foreproof.core.score import finite
from foreproof.errors import BadInput

_SHORTEST = 8  # target days; with fewer, a long-run variance says nothing
_PLENTY = 10  # horizons of target days from which Student's t of T - 1 degrees is near enough


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two forecasts compared on paired losses.

    statistic: Diebold-Mariano with the small-sample correction; negative where a has the smaller loss.
    p_value: two-sided; p_less: one-sided, small where a is better than b. mean_difference: mean(a - b), unit of loss.
    n: number of losses; lags: autocovariances in the variance; freedom: degrees of freedom of Student's t.
    """

    statistic: float
    p_value: float
    p_less: float
    mean_difference: float
    n: int
    lags: int
    freedom: int


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate between low and high at a confidence in (0, 1)."""

    estimate: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class CoverageInterval:
    """A share of hits with its interval: n observations carry as much as n_effective independent ones.

    design_effect: variance of the share over that of n independent hits, the largest over the clusterings, at least 1.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    n: int
    n_effective: float
    design_effect: float


def diebold_mariano(loss_a: npt.ArrayLike, loss_b: npt.ArrayLike, *, horizon: int) -> Comparison:
    """Test that a and b have equal expected loss.

    loss_a, loss_b: T, the mean loss over series of each target day, in the order of days. With d = a - b, the long-run
    variance of its mean is (g[0] + 2 sum_{k=1..L} (1 - k / (L + 1)) g[k]) / T with L = horizon - 1 lags (Bartlett
    weights, Newey & West 1987: never negative); the statistic mean(d) / sqrt(variance) is multiplied by
    sqrt((T + 1 - 2 h + h (h - 1) / T) / T), h = L + 1, and compared with Student's t of T - 1 degrees of freedom.
    Diebold & Mariano (1995); Harvey, Leybourne & Newbold (1997).

    Where T is small for the horizon the p-value would be far too small (up to half of all equal forecasts "differ" at
    5%), so: L = min(horizon - 1, T // 4), as the correction reaches zero at T = h; and below ten horizons of target
    days the degrees of freedom are max(1, T // horizon - 1), one a stretch of days that shares no forecast error.

    Equal losses give p = 1; a constant difference has no variance, so the statistic is infinite and p = 0.
    Raises BadInput for fewer than 8 target days.
    """
    a, b = finite("diebold_mariano", loss_a=loss_a, loss_b=loss_b)
    n = a.size
    if n < _SHORTEST:
        raise BadInput(
            "diebold_mariano",
            found=f"losses on {n} target days",
            wanted=f"at least {_SHORTEST}",
            fix="backtest over more origins",
        )
    if horizon < 1:
        raise BadInput("diebold_mariano", found=f"horizon {horizon}", wanted="at least 1 step")
    difference = a - b
    mean = float(np.mean(difference))
    lags = min(horizon - 1, n // 4)
    freedom = n - 1 if n >= _PLENTY * horizon else max(1, n // horizon - 1)
    if not np.any(difference != 0.0):
        statistic = 0.0
    elif float(np.ptp(difference)) <= 1e-12 * float(np.max(np.abs(a) + np.abs(b))):
        statistic = math.copysign(math.inf, mean)  # constant up to rounding: the variance is rounding errors only
    else:
        h = lags + 1
        correction = math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
        statistic = correction * mean / math.sqrt(_long_run_variance(difference - mean, lags) / n)
    return Comparison(
        statistic=statistic,
        p_value=2.0 * student_cdf(-abs(statistic), freedom),
        p_less=student_cdf(statistic, freedom),
        mean_difference=mean,
        n=n,
        lags=lags,
        freedom=freedom,
    )


def clopper_pearson(k: float, n: float, confidence: float = 0.95) -> Interval:
    """Exact interval for a share, from k hits of n: each tail holds at most (1 - confidence) / 2.

    The bounds are beta quantiles B(a/2; k, n - k + 1) and B(1 - a/2; k + 1, n - k), which also take effective sizes
    that are no whole numbers. Clopper & Pearson (1934). Raises BadInput.
    """
    _check_confidence("clopper_pearson", confidence)
    if not (0.0 <= k <= n and 0.0 < n < math.inf):
        raise BadInput("clopper_pearson", found=f"{k} hits of {n}", wanted="0 <= hits <= n and n > 0")
    tail = (1.0 - confidence) / 2.0
    low = beta_quantile(tail, k, n - k + 1.0) if k > 0.0 else 0.0
    high = beta_quantile(1.0 - tail, k + 1.0, n - k) if k < n else 1.0
    return Interval(estimate=k / n, low=low, high=high, confidence=confidence)


def coverage_interval(
    hits: npt.ArrayLike, *, clusters: tuple[npt.ArrayLike, ...] = (), confidence: float = 0.95
) -> CoverageInterval:
    """Exact interval for a coverage whose hits are correlated, by the effective sample size of Korn & Graubard (1998).

    hits: n zeros and ones, with `clusters`: arrays of n labels, one a way to cluster (series, target day, origin, ...);
    or series x target days, which are then the two clusterings. For each clustering the design effect is the variance
    of the share from its cluster totals, C / (C - 1) sum_c (sum_{i in c} (hit - share))^2 / n^2, over share (1 - share)
    / n, at least 1; n_effective = n / design effect * (t[n - 1] / t[C - 1])^2, the smallest over the clusterings (t:
    Student quantiles at the confidence, because a variance from few clusters is itself uncertain). Then
    Clopper-Pearson on n_effective.

    A clustering with one cluster says nothing and is left out. All hits (or none) show no variance at all: n_effective
    is then the smallest number of clusters, as if each were one draw. Raises BadInput.
    """
    _check_confidence("coverage_interval", confidence)
    flat, labels = _hits_and_labels(hits, clusters)
    n, share = flat.size, float(np.mean(flat))
    codes = [np.unique(label, return_inverse=True)[1] for label in labels]
    counts = [int(code.max()) + 1 for code in codes]
    several = [(code, count) for code, count in zip(codes, counts, strict=True) if count > 1]
    if not several and n > 1:
        raise BadInput(
            "coverage_interval",
            found=f"{n} hits, all in one cluster",
            wanted="at least two clusters in one of the clusterings",
            fix="backtest over more target days or series",
        )
    effect, effective = 1.0, float(n)
    if 0.0 < share < 1.0:
        tail = (1.0 - confidence) / 2.0
        for code, count in several:
            totals = np.bincount(code, weights=flat - share)
            variance = count / (count - 1) * float(np.sum(totals**2)) / n**2
            one = max(1.0, variance / (share * (1.0 - share) / n))
            uncertain = (student_quantile(1.0 - tail, n - 1) / student_quantile(1.0 - tail, count - 1)) ** 2
            effect, effective = max(effect, one), min(effective, n / one * uncertain)
    else:
        effective = float(min([count for _, count in several], default=n))
        effect = n / effective
    exact = clopper_pearson(share * effective, effective, confidence)
    return CoverageInterval(
        estimate=share,
        low=exact.low,
        high=exact.high,
        confidence=confidence,
        n=n,
        n_effective=effective,
        design_effect=effect,
    )


def bootstrap_interval(
    values: npt.ArrayLike,
    *,
    blocks: npt.ArrayLike,
    rng: np.random.Generator,
    replicates: int = 2000,
    confidence: float = 0.95,
    statistic: Literal["mean", "sum"] = "mean",
) -> Interval:
    """Percentile interval of a mean or sum (of differences, say) by drawing whole blocks with replacement.

    values: n; blocks: n labels (target days, weeks, origins): values of one block stay together, so correlation inside
    a block is kept. Each replicate draws as many blocks as there are. Efron & Tibshirani (1993); blocks as in Carlstein
    (1986). Raises BadInput for fewer than two blocks.
    """
    _check_confidence("bootstrap_interval", confidence)
    (numbers,) = finite("bootstrap_interval", values=values)
    labels = np.asarray(blocks)
    if labels.shape != numbers.shape:
        raise BadInput("bootstrap_interval", found=f"{labels.shape} blocks", wanted=f"{numbers.shape}, one a value")
    code = np.unique(labels, return_inverse=True)[1]
    count = int(code.max()) + 1
    if count < 2 or replicates < 1:
        found = f"{count} blocks, {replicates} replicates"
        raise BadInput("bootstrap_interval", found=found, wanted="at least two blocks and one replicate")
    sums, sizes = np.bincount(code, weights=numbers), np.bincount(code)
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), size=replicates)
    totals = np.sum(drawn * sums, axis=1)
    match statistic:
        case "sum":
            estimate, replicated = float(np.sum(numbers)), totals
        case "mean":
            estimate, replicated = float(np.mean(numbers)), totals / np.sum(drawn * sizes, axis=1)
        case _:
            assert_never(statistic)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(replicated, [tail, 1.0 - tail])
    return Interval(estimate=estimate, low=float(low), high=float(high), confidence=confidence)


def _long_run_variance(centred: npt.NDArray[np.float64], lags: int) -> float:
    n = centred.size
    total = float(centred @ centred)
    for k in range(1, lags + 1):
        total += 2.0 * (1.0 - k / (lags + 1)) * float(centred[k:] @ centred[:-k])
    return total / n


def _hits_and_labels(
    hits: npt.ArrayLike, clusters: tuple[npt.ArrayLike, ...]
) -> tuple[npt.NDArray[np.float64], list[npt.NDArray[np.generic]]]:
    table = np.asarray(hits, dtype=np.float64)
    labels = [np.asarray(label).reshape(-1) for label in clusters]
    if table.ndim == 2 and not labels:
        series, days = np.indices(table.shape)
        labels = [series.reshape(-1), days.reshape(-1)]
    flat = table.reshape(-1)
    if not labels or any(label.size != flat.size for label in labels):
        found = f"hits of shape {table.shape} with labels of sizes {[label.size for label in labels]}"
        raise BadInput("coverage_interval", found=found, wanted="series x days, or n hits with clusters of n labels")
    if flat.size == 0 or not np.all((flat == 0.0) | (flat == 1.0)):
        found = "no hits" if flat.size == 0 else f"a hit of {flat[(flat != 0.0) & (flat != 1.0)][0]}"
        raise BadInput("coverage_interval", found=found, wanted="at least one hit, each 0 or 1")
    return flat, labels


def _check_confidence(subject: str, confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise BadInput(subject, found=f"confidence {confidence}", wanted="a share such as 0.95")


__all__ = [
    "Comparison",
    "CoverageInterval",
    "Interval",
    "bootstrap_interval",
    "clopper_pearson",
    "coverage_interval",
    "diebold_mariano",
]
