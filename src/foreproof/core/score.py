"""Scores of forecasts on arrays, one number each; `score_table` gives the same on long frames.

Errors are forecast minus actual, so a positive bias is over-forecasting. Scaled scores (MASE, RMSSE, MSIS) have no
unit; sMAPE (0..200) and MAPE are in percent; MAE, RMSE, width, mean error and pinball have the unit of `y`; the others
are ratios.
Actuals and forecasts must be finite: a missing actual is refused, never skipped, because skipping hides bad forecasts.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from foreproof.errors import BadInput

Floats = npt.NDArray[np.float64]

_CRITICAL_90 = 1.645  # the organisers' rounding of the normal quantile, kept so that their figures come out


def pinball(y: npt.ArrayLike, q: npt.ArrayLike, level: float) -> float:
    """Mean pinball (quantile) loss, max(level (y - q), (level - 1) (y - q)); at level 0.5 half the absolute error.

    y, q: n, unit of y; level in (0, 1). Koenker & Bassett (1978). Raises BadInput.
    """
    if not 0.0 < level < 1.0:
        raise BadInput("pinball", found=f"level {level}", wanted="a level strictly between 0 and 1")
    actual, quantile = finite("pinball", y=y, q=q)
    error = actual - quantile
    return float(np.mean(np.maximum(level * error, (level - 1.0) * error)))


def mase_scale(history: npt.ArrayLike, season: int) -> float:
    """Mean |y[t] - y[t - season]| of the history, unit of y: what MASE and MSIS divide by. Hyndman & Koehler (2006).

    history: n, in time order. Where the history is not longer than the season, or repeats itself exactly, season 1
    stands in; where that is too short (n = 1) or constant too, the scale is NaN: scaled scores leave the series out.
    """
    differences = _seasonal_differences("mase_scale", history, season)
    return float(np.mean(np.abs(differences))) if differences.size else math.nan


def rmsse_scale(history: npt.ArrayLike, season: int) -> float:
    """Mean (y[t] - y[t - season])^2 of the history, unit of y squared; falls back as `mase_scale` does.

    Season 1 gives the M5 definition. Makridakis, Spiliotis & Assimakopoulos (2022).
    """
    differences = _seasonal_differences("rmsse_scale", history, season)
    return float(np.mean(differences**2)) if differences.size else math.nan


def mase(y: npt.ArrayLike, f: npt.ArrayLike, *, scale: float) -> float:
    """Mean |f - y| / scale of one series; NaN where `mase_scale` is. y, f: n. Hyndman & Koehler (2006)."""
    actual, forecast = finite("mase", y=y, f=f)
    return float(np.mean(np.abs(forecast - actual))) / _scale("mase", scale)


def rmsse(y: npt.ArrayLike, f: npt.ArrayLike, *, scale: float) -> float:
    """sqrt(mean (f - y)^2 / scale) of one series; NaN where `rmsse_scale` is. y, f: n. M5, Makridakis et al. (2022)."""
    actual, forecast = finite("rmsse", y=y, f=f)
    return math.sqrt(float(np.mean((forecast - actual) ** 2)) / _scale("rmsse", scale))


def mae(y: npt.ArrayLike, f: npt.ArrayLike) -> float:
    """Mean |f - y|, unit of y. y, f: n."""
    actual, forecast = finite("mae", y=y, f=f)
    return float(np.mean(np.abs(forecast - actual)))


def rmse(y: npt.ArrayLike, f: npt.ArrayLike) -> float:
    """sqrt(mean (f - y)^2), unit of y. y, f: n."""
    actual, forecast = finite("rmse", y=y, f=f)
    return math.sqrt(float(np.mean((forecast - actual) ** 2)))


def mape(y: npt.ArrayLike, f: npt.ArrayLike) -> float:
    """Mean 100 |f - y| / |y| in percent; NaN where any actual is zero, since leaving it out would hide its error.

    y, f: n. Why to prefer `wape` or `mase`: Hyndman & Koehler (2006).
    """
    actual, forecast = finite("mape", y=y, f=f)
    size = np.abs(actual)
    return float(100.0 * np.mean(np.abs(forecast - actual) / size)) if np.all(size > 0.0) else math.nan


def smape(y: npt.ArrayLike, f: npt.ArrayLike) -> float:
    """Mean 200 |y - f| / (|y| + |f|) in percent, 0..200, with 0/0 = 0. y, f: n. M4, Makridakis et al. (2020)."""
    actual, forecast = finite("smape", y=y, f=f)
    size = np.abs(actual) + np.abs(forecast)
    ratio = np.divide(np.abs(actual - forecast), size, out=np.zeros_like(size), where=size > 0.0)
    return float(200.0 * np.mean(ratio))


def wape(y: npt.ArrayLike, f: npt.ArrayLike) -> float:
    """Sum |f - y| / sum |y|; NaN where every actual is zero. y, f: n. Kolassa & Schuetz (2007), the MAD/mean ratio."""
    actual, forecast = finite("wape", y=y, f=f)
    return _ratio(float(np.sum(np.abs(forecast - actual))), float(np.sum(np.abs(actual))))


def bias(y: npt.ArrayLike, f: npt.ArrayLike) -> float:
    """Sum (f - y) / sum y: 0.1 is ten percent too much in total; NaN where the actuals sum to zero. y, f: n."""
    actual, forecast = finite("bias", y=y, f=f)
    return _ratio(float(np.sum(forecast - actual)), float(np.sum(actual)))


def mean_error(y: npt.ArrayLike, f: npt.ArrayLike) -> float:
    """Mean f - y, unit of y; positive where the forecasts are too high. y, f: n."""
    actual, forecast = finite("mean_error", y=y, f=f)
    return float(np.mean(forecast - actual))


def coverage(y: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> float:
    """Share of actuals in the closed interval [low, high]. y, low, high: n."""
    actual, below, above = _interval("coverage", y=y, low=low, high=high)
    return float(np.mean((below <= actual) & (actual <= above)))


def width(low: npt.ArrayLike, high: npt.ArrayLike) -> float:
    """Mean high - low, unit of y. low, high: n."""
    below, above = _interval("width", low=low, high=high)
    return float(np.mean(above - below))


def msis(y: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, *, alpha: float, scale: float) -> float:
    """Mean scaled interval score of one series: width plus 2/alpha times what lies outside, over `mase_scale`.

    mean(high - low + 2/alpha (low - y)+ + 2/alpha (y - high)+) / scale, for the (1 - alpha) interval; NaN where the
    scale is. y, low, high: n. Gneiting & Raftery (2007); scaled as in M4, Makridakis et al. (2020).
    """
    if not 0.0 < alpha < 1.0:
        raise BadInput("msis", found=f"alpha {alpha}", wanted="0.05 for a 95% interval", fix="give 1 - coverage")
    actual, below, above = _interval("msis", y=y, low=low, high=high)
    outside = np.maximum(below - actual, 0.0) + np.maximum(actual - above, 0.0)
    return float(np.mean(above - below + 2.0 / alpha * outside)) / _scale("msis", scale)


def owa(smape: float, mase: float, *, smape_naive2: float, mase_naive2: float) -> float:
    """Overall weighted average of M4, (sMAPE / sMAPE of Naive2 + MASE / MASE of Naive2) / 2; below 1 beats Naive2.

    Give averages over all series: OWA is a ratio of averages. NaN where Naive2 is perfect. Makridakis et al. (2020).
    """
    return (_ratio(smape, smape_naive2) + _ratio(mase, mase_naive2)) / 2.0


def naive2(history: npt.ArrayLike, horizon: int, *, season: int) -> Floats:
    """The M4 benchmark Naive2: the last seasonally adjusted value times the seasonal indices, `horizon` values.

    The series is adjusted (classical multiplicative decomposition) only if its autocorrelation at the season passes
    the organisers' 90% test. Where their arithmetic gives no number (an index of zero under the last value, a trend
    of zero), the forecast is the last value. history: n, in time order. Makridakis, Spiliotis & Assimakopoulos (2020).
    """
    (past,) = finite("naive2", history=history)
    if horizon < 1 or season < 1:
        raise BadInput("naive2", found=f"horizon {horizon}, season {season}", wanted="both at least 1")
    naive = np.full(horizon, past[-1])
    if not _is_seasonal(past, season):
        return naive
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        indices = _seasonal_indices(past, season)
        level = past[-1] / indices[(past.size - 1) % season]
        forecast: Floats = level * indices[(past.size + np.arange(horizon)) % season]
    return forecast if np.all(np.isfinite(forecast)) else naive


def _is_seasonal(past: Floats, season: int) -> bool:
    """|r[season]| > 1.645 sqrt((1 + 2 sum_{k < season} r[k]^2) / n), the organisers' test (Bartlett 1946).

    False with fewer than three seasons, and where the season exceeds 10 log10(n) lags: R's `acf` stops there, so the
    organisers found such series not seasonal.
    """
    if season == 1 or past.size < 3 * season or season > 10.0 * math.log10(past.size):
        return False
    centred = past - past.mean()
    variance = float(centred @ centred)
    if variance <= 1e-24 * float(past @ past):  # constant up to rounding
        return False
    lags = np.array([centred[k:] @ centred[:-k] for k in range(1, season + 1)]) / variance
    limit = _CRITICAL_90 * math.sqrt((1.0 + 2.0 * float(np.sum(lags[:-1] ** 2))) / past.size)
    return bool(abs(lags[-1]) > limit)


def _seasonal_indices(past: Floats, season: int) -> Floats:
    """Mean ratio to the centred moving average by position: index i belongs to t = i (mod season).

    Ratios of 0/0 (a stretch of zeros) are left out, as in R's `decompose`; its scaling to mean 1 cancels in Naive2.
    """
    weights = np.ones(season) if season % 2 else np.concatenate([[0.5], np.ones(season - 1), [0.5]])
    trend = np.convolve(past, weights / season, mode="valid")
    start = weights.size // 2
    ratios = np.full(math.ceil(past.size / season) * season, np.nan)
    ratios[start : start + trend.size] = past[start : start + trend.size] / trend
    table = ratios.reshape(-1, season)
    usable = ~np.isnan(table)
    means: Floats = np.where(usable, table, 0.0).sum(axis=0) / usable.sum(axis=0)
    return means


def _seasonal_differences(subject: str, history: npt.ArrayLike, season: int) -> Floats:
    (past,) = finite(subject, history=history)
    if season < 1:
        raise BadInput(subject, found=f"season {season}", wanted="a whole number of steps, at least 1")
    for step in (season, 1):
        differences = past[step:] - past[:-step]
        # rounding errors of a constant history are no scale
        if differences.size and np.max(np.abs(differences)) > 1e-12 * np.max(np.abs(past)):
            return differences
    return np.empty(0)


def finite(subject: str, **named: npt.ArrayLike) -> list[Floats]:
    """The arrays as float64, in their order; BadInput unless one-dimensional, of one length, not empty, all finite."""
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in named.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        found = ", ".join(f"{name} has shape {array.shape}" for name, array in arrays.items())
        raise BadInput(subject, found=found, wanted="arrays of one dimension and one length")
    for name, array in arrays.items():
        if array.size == 0:
            raise BadInput(subject, found=f"{name} is empty", wanted="at least one value")
        bad = np.flatnonzero(~np.isfinite(array))
        if bad.size:
            found = f"{name} is missing or infinite in {bad.size} of {array.size} places (first: position {bad[0]})"
            raise BadInput(subject, found=found, wanted="finite numbers", fix="fill or drop these rows before scoring")
    return list(arrays.values())


def _interval(subject: str, **named: npt.ArrayLike) -> list[Floats]:
    arrays = finite(subject, **named)
    crossed = np.flatnonzero(arrays[-2] > arrays[-1])
    if crossed.size:
        found = f"low is above high in {crossed.size} places (first: position {crossed[0]})"
        raise BadInput(subject, found=found, wanted="low <= high", fix="sort the quantiles of each row")
    return arrays


def _scale(subject: str, scale: float) -> float:
    if scale <= 0.0 or math.isinf(scale):
        raise BadInput(subject, found=f"scale {scale}", wanted="a positive scale, or NaN for none")
    return scale


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole != 0.0 else math.nan


__all__ = [
    "bias",
    "coverage",
    "finite",
    "mae",
    "mape",
    "mase",
    "mase_scale",
    "mean_error",
    "msis",
    "naive2",
    "owa",
    "pinball",
    "rmse",
    "rmsse",
    "rmsse_scale",
    "smape",
    "wape",
    "width",
]
