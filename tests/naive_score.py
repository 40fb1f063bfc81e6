"""Slow twins of core.score, core.score_table and core.compare: loops so plain that they are right by reading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def pinball(y: Sequence[float], q: Sequence[float], level: float) -> float:
    losses = []
    for actual, quantile in zip(y, q, strict=True):
        if actual >= quantile:
            losses.append(level * (actual - quantile))
        else:
            losses.append((1.0 - level) * (quantile - actual))
    return mean(losses)


def seasonal_differences(history: Sequence[float], season: int) -> list[float]:
    for step in (season, 1):
        differences = [history[t] - history[t - step] for t in range(step, len(history))]
        if any(abs(d) > 1e-12 * max(abs(v) for v in history) for d in differences):
            return differences
    return []


def mase_scale(history: Sequence[float], season: int) -> float:
    differences = seasonal_differences(history, season)
    return mean([abs(d) for d in differences]) if differences else math.nan


def rmsse_scale(history: Sequence[float], season: int) -> float:
    differences = seasonal_differences(history, season)
    return mean([d * d for d in differences]) if differences else math.nan


def smape(y: Sequence[float], f: Sequence[float]) -> float:
    terms = []
    for actual, forecast in zip(y, f, strict=True):
        if actual == 0.0 and forecast == 0.0:
            terms.append(0.0)
        else:
            terms.append(200.0 * abs(actual - forecast) / (abs(actual) + abs(forecast)))
    return mean(terms)


def msis(y: Sequence[float], low: Sequence[float], high: Sequence[float], alpha: float, scale: float) -> float:
    terms = []
    for actual, below, above in zip(y, low, high, strict=True):
        score = above - below
        if actual < below:
            score += 2.0 / alpha * (below - actual)
        if actual > above:
            score += 2.0 / alpha * (actual - above)
        terms.append(score / scale)
    return mean(terms)


def naive2(history: Sequence[float], horizon: int, season: int) -> list[float]:
    """The organisers' steps, one by one; NaN where theirs give NaN."""
    n = len(history)
    plain = [history[-1]] * horizon
    if season == 1 or n < 3 * season or season > math.floor(10 * math.log10(n)):
        return plain
    average = mean(history)
    squares = math.fsum((v - average) ** 2 for v in history)
    if squares < 1e-24 * math.fsum(v * v for v in history):
        return plain
    r = {}
    for k in range(1, season + 1):
        r[k] = math.fsum((history[t] - average) * (history[t - k] - average) for t in range(k, n)) / squares
    limit = 1.645 / math.sqrt(n) * math.sqrt(1.0 + 2.0 * math.fsum(r[k] ** 2 for k in range(1, season)))
    if abs(r[season]) <= limit:
        return plain
    by_position: dict[int, list[float]] = {i: [] for i in range(season)}
    for t in range(n):
        if season % 2:
            window = [(t + j, 1.0) for j in range(-(season // 2), season // 2 + 1)]
        else:
            half = season // 2
            window = [(t + j, 0.5 if abs(j) == half else 1.0) for j in range(-half, half + 1)]
        if window[0][0] < 0 or window[-1][0] >= n:
            continue
        trend = math.fsum(history[i] * weight for i, weight in window) / season
        if trend == 0.0:  # a window of zeros: 0/0, which R leaves out of the mean
            assert history[t] == 0.0, "non-negative series only"
            continue
        by_position[t % season].append(history[t] / trend)
    if not all(by_position.values()):
        return [math.nan] * horizon
    figures = [mean(by_position[i]) for i in range(season)]
    indices = [figure / mean(figures) for figure in figures]
    if indices[(n - 1) % season] == 0.0:
        return [math.nan] * horizon
    level = history[-1] / indices[(n - 1) % season]
    return [level * indices[(n + j) % season] for j in range(horizon)]


def score_table(
    predictions: list[dict[str, Any]],
    actuals: dict[tuple[Any, int, int], tuple[float, float | None]],
    scales: dict[tuple[Any, int], tuple[float, float]],
    by: Sequence[str],
) -> dict[tuple[Any, ...], tuple[float | None, int]]:
    """For series `id`: predictions rows; (id, cutoff, step) -> (y, naive2); (id, cutoff) -> scales."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in predictions:
        if row["level"] is None:
            groups.setdefault(tuple(row[name] for name in by), []).append(row)
    out: dict[tuple[Any, ...], tuple[float | None, int]] = {}
    for group, rows in groups.items():
        for metric, result in _points(rows, actuals, scales).items():
            out[(*group, metric)] = result
    groups = {}
    for row in predictions:
        if row["level"] is not None:
            groups.setdefault(tuple(row[name] for name in by), []).append(row)
    for group, rows in groups.items():
        losses = [pinball([actuals[_key(row)][0]], [row["value"]], row["level"]) for row in rows]
        out[(*group, "pinball")] = (mean(losses), len(losses))
    out.update(_intervals(predictions, actuals, scales, by))
    return out


def _key(row: dict[str, Any]) -> tuple[Any, int, int]:
    return (row["id"], row["cutoff"], row["step"])


def _points(
    rows: list[dict[str, Any]],
    actuals: dict[tuple[Any, int, int], tuple[float, float | None]],
    scales: dict[tuple[Any, int], tuple[float, float]],
) -> dict[str, tuple[float | None, int]]:
    errors, sizes, ys, smapes = [], [], [], []
    scaled, scaled_smapes, scaled_naive2, smapes_naive2 = [], [], [], []
    squares: dict[tuple[Any, int], list[float]] = {}
    for row in rows:
        y, other = actuals[_key(row)]
        scale, square_scale = scales[row["id"], row["cutoff"]]
        errors.append(row["value"] - y)
        ys.append(y)
        sizes.append(abs(y))
        smapes.append(smape([y], [row["value"]]))
        if not math.isnan(scale):
            scaled.append(abs(row["value"] - y) / scale)
            if other is not None:
                scaled_smapes.append(smapes[-1])
                scaled_naive2.append(abs(other - y) / scale)
                smapes_naive2.append(smape([y], [other]))
        if not math.isnan(square_scale):
            squares.setdefault((row["id"], row["cutoff"]), []).append((row["value"] - y) ** 2 / square_scale)
    roots = [math.sqrt(mean(terms)) for terms in squares.values()]
    n = len(rows)
    percents = [100 * abs(e) / abs(y) for e, y in zip(errors, ys, strict=True) if y != 0]
    out: dict[str, tuple[float | None, int]] = {
        "mae": (mean([abs(e) for e in errors]), n),
        "rmse": (math.sqrt(mean([e * e for e in errors])), n),
        "mape": (mean(percents) if len(percents) == n else None, len(percents)),
        "mase": (mean(scaled) if scaled else None, len(scaled)),
        "rmsse": (mean(roots) if roots else None, len(roots)),
        "smape": (mean(smapes), n),
        "wape": (math.fsum(abs(e) for e in errors) / math.fsum(sizes) if math.fsum(sizes) > 0 else None, n),
        "bias": (math.fsum(errors) / math.fsum(ys) if math.fsum(ys) != 0 else None, n),
        "mean_error": (mean(errors), n),
    }
    if all(actuals[_key(row)][1] is not None for row in rows):
        value = None
        if scaled and mean(smapes_naive2) > 0 and mean(scaled_naive2) > 0:
            value = (mean(scaled_smapes) / mean(smapes_naive2) + mean(scaled) / mean(scaled_naive2)) / 2.0
        out["owa"] = (value, len(scaled))
    return out


def _intervals(
    predictions: list[dict[str, Any]],
    actuals: dict[tuple[Any, int, int], tuple[float, float | None]],
    scales: dict[tuple[Any, int], tuple[float, float]],
    by: Sequence[str],
) -> dict[tuple[Any, ...], tuple[float | None, int]]:
    terms: dict[tuple[Any, ...], dict[str, list[float]]] = {}
    for lower in predictions:
        for upper in predictions:
            if lower["level"] is None or upper["level"] is None or _key(lower) != _key(upper):
                continue
            if lower["level"] >= 0.5 or abs(lower["level"] + upper["level"] - 1.0) > 1e-9:
                continue
            y, _ = actuals[_key(lower)]
            scale, _ = scales[lower["id"], lower["cutoff"]]
            low, high = lower["value"], upper["value"]
            nominal = round(upper["level"] - lower["level"], 9)
            group = tuple(nominal if name == "level" else lower[name] for name in by)
            name = f"{100 * nominal:.10g}"
            ours = terms.setdefault((*group, name), {"coverage": [], "width": [], "msis": []})
            ours["coverage"].append(1.0 if low <= y <= high else 0.0)
            ours["width"].append(high - low)
            if not math.isnan(scale):
                ours["msis"].append(msis([y], [low], [high], 1.0 - nominal, scale))
    out: dict[tuple[Any, ...], tuple[float | None, int]] = {}
    for (*group, name), lists in terms.items():
        for metric, values in lists.items():
            out[(*group, metric + name)] = (mean(values) if values else None, len(values))
    return out


def diebold_mariano(a: Sequence[float], b: Sequence[float], lags: int) -> float:
    """The corrected statistic with `lags` Bartlett-weighted autocovariances."""
    n = len(a)
    d = [x - y for x, y in zip(a, b, strict=True)]
    average = mean(d)
    gamma = [math.fsum((d[t] - average) * (d[t - k] - average) for t in range(k, n)) / n for k in range(lags + 1)]
    variance = gamma[0]
    for k in range(1, lags + 1):
        variance += 2.0 * (1.0 - k / (lags + 1)) * gamma[k]
    h = lags + 1
    correction = (n + 1 - 2 * h + h * (h - 1) / n) / n
    return math.sqrt(correction) * average / math.sqrt(variance / n)


def coverage_interval(
    hits: Sequence[int], clusters: Sequence[Sequence[Any]], confidence: float
) -> tuple[float, float, float, float]:
    """(low, high, n_effective, design effect) by scipy's distributions."""
    n = len(hits)
    share = sum(hits) / n
    upper = 1.0 - (1.0 - confidence) / 2.0
    effects, sizes = [1.0], [float(n)]
    smallest = []
    for labels in clusters:
        names = sorted(set(labels))
        if len(names) < 2:
            continue
        smallest.append(len(names))
        if share in (0.0, 1.0):
            continue
        total = 0.0
        for name in names:
            total += math.fsum(hit - share for hit, label in zip(hits, labels, strict=True) if label == name) ** 2
        variance = len(names) / (len(names) - 1) * total / n**2
        effect = max(1.0, variance / (share * (1.0 - share) / n))
        ratio = scipy.stats.t.ppf(upper, n - 1) / scipy.stats.t.ppf(upper, len(names) - 1)
        effects.append(effect)
        sizes.append(n / effect * ratio**2)
    size, effect = min(sizes), max(effects)
    if share in (0.0, 1.0):
        size = float(min(smallest))
        effect = n / size
    k = share * size
    low = float(scipy.stats.beta.ppf(1.0 - upper, k, size - k + 1.0)) if k > 0 else 0.0
    high = float(scipy.stats.beta.ppf(upper, k + 1.0, size - k)) if share < 1.0 else 1.0
    return low, high, size, effect


def bootstrap_interval(
    values: Sequence[float], blocks: Sequence[Any], drawn: Sequence[Sequence[int]], confidence: float, statistic: str
) -> tuple[float, float]:
    """drawn[r][j]: how often replicate r holds the j-th block, in sorted order of labels."""
    names = sorted(set(blocks))
    replicated = []
    for counts in drawn:
        sample: list[float] = []
        for name, count in zip(names, counts, strict=True):
            sample += [v for v, block in zip(values, blocks, strict=True) if block == name] * int(count)
        replicated.append(math.fsum(sample) if statistic == "sum" else mean(sample))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(replicated, [tail, 1.0 - tail])
    return float(low), float(high)
