"""What the errors of a forecast still say: are they white, centred, and of one size at every step?

Errors are forecast minus actual, in the unit of y unless said otherwise. Every p-value that belongs to a family is given
raw and after Holm's correction. The frames are long: entity columns, `cutoff`, `step`, `target`, `model`, `value`, `y`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.distribution import chi_square_tail, f_tail, student_cdf, student_quantile
from foreproof.core.score import finite
from foreproof.errors import BadInput

ErrorOrder = Literal["one step", "consecutive"]
MODEL = "model"

_SHORTEST = 10  # errors; with fewer, autocorrelations say nothing
_PARTS = 5  # the lags are at most this part of the errors (Hyndman & Athanasopoulos 2021, section 5.4)


@dataclass(frozen=True, slots=True)
class Centred:
    """Whether errors average to zero, from the means of clusters.

    estimate: mean of the cluster means, unit of the errors, with its interval; n: clusters.
    """

    estimate: float
    low: float
    high: float
    statistic: float
    p_value: float
    n: int


def holm(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """p-values such that rejecting those below alpha errs once or more with probability at most alpha. Holm (1979).

    p_values: m; the family is those that are not NaN, and NaN stays NaN. The ith smallest is multiplied by m - i + 1 and
    is never below the one before it. Holds under any dependence.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * (order.size - np.arange(order.size))))
    return adjusted


def errors_in_order(points: pl.DataFrame, *, entity: Sequence[str], order: ErrorOrder) -> pl.DataFrame:
    """model, entity columns, `at`, `error`: one error a series and time, in the order of time.

    one step: those of step 1, in the order of origins. consecutive: at each target the error of the latest origin
    that predicts it, so that origins a horizon apart give one unbroken line.
    """
    kept = points.filter(pl.col("step") == 1) if order == "one step" else points
    line = kept.sort(MODEL, *entity, "target", "cutoff", maintain_order=True)
    latest = line.unique([MODEL, *entity, "target"], keep="last", maintain_order=True)
    return latest.select(MODEL, *entity, pl.col("target").alias("at"), (pl.col("value") - pl.col("y")).alias("error"))


def ljung_box(errors: pl.DataFrame, *, by: Sequence[str], lags: int) -> pl.DataFrame:
    """Are the errors of each series uncorrelated with those before? by..., n, lags, statistic, p_value, p_holm; sorted.

    errors: by..., `at`, `error`, finite; `lags`: as many, at most n // 5. n (n + 2) sum_{k <= lags} r[k]^2 / (n - k)
    against chi-square of `lags` degrees of freedom: errors of forecasts, so no parameter was fitted to them. Ljung & Box
    (1978). Errors count by position: a gap in time is not seen. Statistic and p are null with fewer than 10 errors or
    where all errors are equal. p_holm corrects within each `model`, if that is in `by`, else over all.
    """
    if lags < 1:
        raise BadInput("ljung_box", found=f"{lags} lags", wanted="at least 1")
    keys = list(by)
    centred = (pl.col("error") - pl.col("error").mean()).over(keys).alias("c") if keys else _centred()
    line = errors.sort(*keys, "at").with_columns(centred)
    c = pl.col("c")
    products = [(c * c.shift(k)).sum().alias(f"_{k}") for k in range(1, lags + 1)]
    sums = [pl.len().cast(pl.Int64).alias("n"), (c**2).sum().alias("_0"), pl.col("error").abs().max().alias("size")]
    table = line.with_columns(_all=0).group_by([*keys, "_all"], maintain_order=True).agg(*sums, *products).drop("_all")
    n, zero = table["n"].to_numpy(), table["_0"].to_numpy()
    used = np.clip(n // _PARTS, 1, lags)
    fine = (n >= _SHORTEST) & (zero > 1e-24 * n * table["size"].to_numpy() ** 2)  # equal up to rounding: no variance
    terms = np.zeros((table.height, lags))
    for k in range(1, lags + 1):
        r = np.divide(table[f"_{k}"].to_numpy(), zero, out=np.zeros(table.height), where=fine)
        terms[:, k - 1] = np.where(k <= used, r**2 / np.maximum(n - k, 1), 0.0)
    statistic = np.where(fine, n * (n + 2) * terms.sum(axis=1), np.nan)
    p = [chi_square_tail(q, int(k)) if ok else math.nan for q, k, ok in zip(statistic, used, fine, strict=True)]
    found = table.select(*keys, "n", lags=pl.Series(used, dtype=pl.Int64), statistic=statistic, p_value=pl.Series(p))
    return with_holm(found, family=[MODEL] if MODEL in keys else []).with_columns(
        pl.col("statistic", "p_value", "p_holm").fill_nan(None)
    )


def rejections(tests: pl.DataFrame, *, by: Sequence[str], alpha: float = 0.05) -> pl.DataFrame:
    """by..., series, tested, share (of the tested with p < alpha), share_holm: what a family of tests says together."""
    alone, corrected = (pl.col("p_value") < alpha).mean(), (pl.col("p_holm") < alpha).mean()
    counts = (pl.len().cast(pl.Int64).alias("series"), pl.col("p_value").count().cast(pl.Int64).alias("tested"))
    shares = (alone.alias("share"), corrected.alias("share_holm"))
    return tests.group_by(list(by), maintain_order=True).agg(*counts, *shares).sort(by)


def centred(errors: npt.ArrayLike, *, clusters: npt.ArrayLike, confidence: float = 0.95) -> Centred:
    """Student's t on the means of clusters: errors within a cluster (an origin, a series) may depend on each other.

    errors, clusters: n. With G cluster means m, mean(m) / (sd(m) / sqrt(G)) against t of G - 1 degrees of freedom
    (Ibragimov & Mueller 2010). Equal means that are not zero give an infinite statistic and p = 0. BadInput for fewer
    than two clusters.
    """
    (numbers,) = finite("centred", errors=errors)
    labels = np.asarray(clusters)
    if labels.shape != numbers.shape:
        raise BadInput("centred", found=f"{labels.shape} clusters", wanted=f"{numbers.shape}, one an error")
    code = np.unique(labels, return_inverse=True)[1]
    means = np.bincount(code, weights=numbers) / np.bincount(code)
    count = means.size
    if count < 2:
        raise BadInput("centred", found="1 cluster", wanted="at least two", fix="backtest over more origins")
    estimate = float(np.mean(means))
    spread = float(np.std(means, ddof=1)) / math.sqrt(count)
    if spread <= 1e-12 * float(np.max(np.abs(means))):
        spread = 0.0
    half = student_quantile((1.0 + confidence) / 2.0, count - 1) * spread
    if estimate == 0.0:
        statistic = 0.0
    else:
        statistic = estimate / spread if spread > 0.0 else math.copysign(math.inf, estimate)
    p = min(1.0, 2.0 * student_cdf(-abs(statistic), count - 1))
    return Centred(estimate, estimate - half, estimate + half, statistic, p, count)


def mean_zero(points: pl.DataFrame, *, entity: Sequence[str], confidence: float = 0.95) -> pl.DataFrame:
    """model, cluster (`origin` | `series`), mean_error, low, high, statistic, p_value, p_holm, n (clusters); sorted.

    A clustering with one cluster is left null. p_holm corrects over the models within a clustering. See `centred`.
    """
    rows: list[tuple[object, ...]] = []
    for (model,), part in points.sort(MODEL, *entity, "cutoff", "step").group_by([MODEL], maintain_order=True):
        error = (part["value"] - part["y"]).to_numpy()
        series = part.select(pl.struct(entity).rank("dense") if entity else pl.col("step") * 0).to_series()
        for name, labels in (("origin", part["cutoff"].to_physical()), ("series", series)):
            count = labels.n_unique()
            if count < 2:
                rows.append((model, name, float(np.mean(error)), None, None, None, None, count))
                continue
            found = centred(error, clusters=labels.to_numpy(), confidence=confidence)
            rows.append((model, name, found.estimate, found.low, found.high, found.statistic, found.p_value, found.n))
    real = dict.fromkeys(("mean_error", "low", "high", "statistic", "p_value"), pl.Float64)
    schema = {MODEL: pl.String, "cluster": pl.String, **real, "n": pl.Int64}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return with_holm(table, family=["cluster"]).sort(MODEL, "cluster")


def scaled_errors(points: pl.DataFrame, *, entity: Sequence[str]) -> pl.DataFrame:
    """model, cutoff, step, `error` over the mean |y| of its series in these rows: series of any size count alike.

    A series of zeros has no size and is left out.
    """
    size = pl.col("y").abs().mean().over(MODEL, *entity)
    rows = points.sort(MODEL, *entity, "cutoff", "step").with_columns(size.alias("size")).filter(pl.col("size") > 0.0)
    error = (pl.col("value") - pl.col("y")) / pl.col("size")
    return rows.select(MODEL, "cutoff", "step", error.alias("error"))


def variance_by_step(errors: pl.DataFrame) -> pl.DataFrame:
    """model, step, n, mean_error, variance, mean_square, ratio (of variance to the first step's); sorted.

    errors: model, cutoff, step, error (scaled, so without unit). variance is around the step's own mean, over n.
    """
    e = pl.col("error")
    sums = (
        pl.len().cast(pl.Int64).alias("n"),
        e.mean().alias("mean_error"),
        ((e - e.mean()) ** 2).mean().alias("variance"),
    )
    line = errors.sort(MODEL, "step", maintain_order=True)
    table = line.group_by([MODEL, "step"], maintain_order=True).agg(*sums, (e**2).mean().alias("mean_square"))
    first = pl.col("variance").first().over(MODEL)
    return table.with_columns(pl.when(first > 0.0).then(pl.col("variance") / first).alias("ratio"))


def growth_by_step(errors: pl.DataFrame, *, confidence: float = 0.95) -> pl.DataFrame:
    """model, exponent, low, high, origins, statistic, p_value, p_holm: does the error grow with the step; sorted.

    exponent: the slope of log mean square error on log step, fitted at each origin and averaged, with Student's t over
    the origins (as `centred`): 0 is no growth, 1 a random walk's. statistic, p_value: Brown & Forsythe (1974), equal
    variance at all steps: the F of the absolute deviations from each step's median. That test takes errors as
    independent, and errors of one origin are not: read its p beside the exponent's interval. p_holm is over the models.
    """
    rows = []
    for (model,), part in errors.sort(MODEL, "cutoff", "step", maintain_order=True).group_by(
        [MODEL], maintain_order=True
    ):
        slopes = _slopes(part)
        exponent = float(np.mean(slopes)) if slopes.size else None
        low = high = None
        if slopes.size > 1:
            found = centred(slopes, clusters=np.arange(slopes.size), confidence=confidence)
            low, high = found.low, found.high
        groups = [one["error"].to_numpy() for _, one in part.group_by("step", maintain_order=True)]
        statistic, p = brown_forsythe(groups)
        rows.append((model, exponent, low, high, slopes.size, statistic, p))
    real = dict.fromkeys(("exponent", "low", "high"), pl.Float64)
    schema = {MODEL: pl.String, **real, "origins": pl.Int64, "statistic": pl.Float64, "p_value": pl.Float64}
    table = with_holm(pl.DataFrame(rows, schema=schema, orient="row"), family=[]).sort(MODEL)
    return table.with_columns(pl.col("statistic", "p_value", "p_holm").fill_nan(None))


def brown_forsythe(groups: Sequence[npt.NDArray[np.float64]]) -> tuple[float, float]:
    """F and p of equal variances: analysis of variance of |x - median of its group|. Brown & Forsythe (1974).

    groups: k arrays. NaN, NaN with fewer than two groups, no degrees of freedom within, or no deviation at all.
    """
    deviations = [np.abs(group - np.median(group)) for group in groups if group.size]
    count, total = len(deviations), sum(one.size for one in deviations)
    if count < 2 or total <= count:
        return math.nan, math.nan
    overall = float(np.mean(np.concatenate(deviations)))
    between = math.fsum(one.size * (float(np.mean(one)) - overall) ** 2 for one in deviations)
    within = math.fsum(float(np.sum((one - np.mean(one)) ** 2)) for one in deviations)
    if within <= 0.0:
        return (math.nan, math.nan) if between <= 0.0 else (math.inf, 0.0)
    statistic = (between / (count - 1)) / (within / (total - count))
    return statistic, f_tail(statistic, count - 1, total - count)


def with_holm(table: pl.DataFrame, *, family: Sequence[str]) -> pl.DataFrame:
    """The table with `p_holm` after `p_value`, corrected within each group of `family` (none: the whole table)."""
    place = table.columns.index("p_value") + 1
    codes = table.select(pl.struct(family).rank("dense")).to_series().to_numpy() if family else np.zeros(table.height)
    p = table["p_value"].fill_null(math.nan).to_numpy()
    corrected = np.full(table.height, np.nan)
    for code in np.unique(codes):
        corrected[codes == code] = holm(p[codes == code])
    return table.insert_column(place, pl.Series("p_holm", corrected, dtype=pl.Float64).fill_nan(None))


def _centred() -> pl.Expr:
    return (pl.col("error") - pl.col("error").mean()).alias("c")


def _slopes(part: pl.DataFrame) -> npt.NDArray[np.float64]:
    """The slope of log mean square on log step of each origin that has two steps with an error."""
    squares = part.group_by(["cutoff", "step"], maintain_order=True).agg((pl.col("error") ** 2).mean().alias("square"))
    found = []
    for _, one in squares.filter(pl.col("square") > 0.0).group_by("cutoff", maintain_order=True):
        if one.height > 1:
            x, y = np.log(one["step"].to_numpy()), np.log(one["square"].to_numpy())
            x = x - x.mean()
            found.append(float(x @ y / (x @ x)))
    return np.array(found)


__all__ = [
    "Centred",
    "ErrorOrder",
    "brown_forsythe",
    "centred",
    "errors_in_order",
    "growth_by_step",
    "holm",
    "ljung_box",
    "mean_zero",
    "rejections",
    "scaled_errors",
    "variance_by_step",
    "with_holm",
]
