"""Slow twins of foreproof.models: loops so plain that they are right by reading."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


# --- forecasts -------------------------------------------------------------------------------------------------------


def seasonal_naive(y: Sequence[float], season: int, horizon: int) -> list[float]:
    """Append the value one season back, again and again."""
    if len(y) < season:
        return [y[-1]] * horizon
    grown = list(y)
    for _ in range(horizon):
        grown.append(grown[len(grown) - season])
    return grown[len(y) :]


def window_mean(y: Sequence[float], window: int, horizon: int) -> list[float]:
    return [mean(y[-window:])] * horizon


def seasonal_window_mean(y: Sequence[float], season: int, window: int, horizon: int) -> list[float]:
    """Walk back from each step in whole seasons, and average the first `window` values met."""
    if len(y) < season:
        return [y[-1]] * horizon
    found = []
    for step in range(horizon):
        place, met = len(y) + step, []
        while place >= 0 and len(met) < window:
            if place < len(y):
                met.append(y[place])
            place -= season
        found.append(mean(met))
    return found


def drift(y: Sequence[float], horizon: int) -> list[float]:
    changes = [y[t] - y[t - 1] for t in range(1, len(y))]
    return [y[-1] + step * (mean(changes) if changes else 0.0) for step in range(1, horizon + 1)]


def ses(x: Sequence[float], alpha: float) -> list[float]:
    levels = [x[0]]
    for value in x[1:]:
        levels.append(alpha * value + (1 - alpha) * levels[-1])
    return levels


def croston_sba(y: Sequence[float], alpha: float) -> float:
    """Count the steps since the last demand; at each demand smooth its size and that count."""
    size = gap = None
    waited = 0
    for value in y:
        waited += 1
        if value != 0:
            size = value if size is None else alpha * value + (1 - alpha) * size
            gap = waited if gap is None else alpha * waited + (1 - alpha) * gap
            waited = 0
    return 0.0 if size is None or gap is None else (1 - alpha / 2) * size / gap


def tsb(y: Sequence[float], alpha: float, beta: float) -> float:
    size = None
    chance = 1.0 if y[0] != 0 else 0.0
    for t, value in enumerate(y):
        if t > 0:
            chance = beta * (value != 0) + (1 - beta) * chance
        if value != 0:
            size = value if size is None else alpha * value + (1 - alpha) * size
    return 0.0 if size is None else chance * size


def imapa(y: Sequence[float]) -> tuple[list[float], float]:
    """The constants of the levels, and the rate a step."""
    places = [-1, *(t for t, value in enumerate(y) if value != 0)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(places)]
    levels = min(max(1, round(mean(gaps))), 52, len(y))
    constants, rates = [], []
    for level in range(1, levels + 1):
        left = len(y) % level
        x = [sum(y[k : k + level]) for k in range(left, len(y), level)]
        best, least = 0.1, math.inf
        for hundredths in range(10, 31):
            fitted = ses(x, hundredths / 100)
            error = sum((x[t] - fitted[t - 1]) ** 2 for t in range(1, len(x)))
            if error < least - 1e-9 * abs(least if least < math.inf else 0.0):
                best, least = hundredths / 100, error
        constants.append(best)
        rates.append(ses(x, best)[-1] / level)
    return constants, mean(rates)


def demand_class(y: Sequence[float]) -> tuple[float | None, float | None, str]:
    sizes = [value for value in y if value != 0]
    if not sizes:
        return None, None, "none"
    adi, average = len(y) / len(sizes), mean(sizes)
    cv2 = mean([(size - average) ** 2 for size in sizes]) / average**2
    words = {(False, False): "smooth", (False, True): "erratic", (True, False): "intermittent", (True, True): "lumpy"}
    return adi, cv2, words[adi >= 1.32, cv2 >= 0.49]


def moving_average(y: Sequence[float], season: int) -> dict[int, float]:
    """Centred over one season, by position; an even season halves the two outermost values."""
    found = {}
    half = season // 2
    for t in range(half, len(y) - half):
        if season % 2:
            found[t] = sum(y[t - half : t + half + 1]) / season
        else:
            inner = sum(y[t - half + 1 : t + half])
            found[t] = (y[t - half] / 2 + inner + y[t + half] / 2) / season
    return found


def seasonal_indices(
    y: Sequence[float], start: int, season: int, *, multiplicative: bool
) -> tuple[float, float, list[float]]:
    """Strength, strength without paying for the indices, and the indices by period mod season."""
    trend = moving_average(y, season)
    phases: dict[int, list[float]] = {phase: [] for phase in range(season)}
    for t, level in trend.items():
        phases[(start + t) % season].append(y[t] / level if multiplicative else y[t] - level)
    raw = [mean(phases[phase]) for phase in range(season)]
    indices = [value / mean(raw) if multiplicative else value - mean(raw) for value in raw]
    left, all_of = 0.0, 0.0
    for t, level in trend.items():
        index = indices[(start + t) % season]
        fitted = level * index if multiplicative else level + index
        left += (y[t] - fitted) ** 2
        all_of += (y[t] - level) ** 2
    unpaid = 1 - left / all_of
    paid = 1 - left / all_of * (len(trend) - 1) / (len(trend) - season)
    return max(0.0, paid), unpaid, indices


# --- scales and rows -------------------------------------------------------------------------------------------------


def mean_difference(y: Sequence[float], lag: int, recent: int) -> float:
    differences = [abs(y[t] - y[t - lag]) for t in range(lag, len(y))][-recent:]
    return mean(differences) if differences else 0.0


def series_scale(series: Mapping[str, Sequence[float]], season: int) -> dict[str, float]:
    recent = max(4 * season, 30)
    seasonal, naive, found = {}, {}, {}
    for name, y in series.items():
        seasonal[name] = (mean_difference(y, season, len(y)) + mean_difference(y, season, recent)) / 2
        naive[name] = mean_difference(y, 1, recent)
    ratios = [seasonal[name] / naive[name] for name in series if seasonal[name] > 0 and naive[name] > 0]
    ratio = median(ratios) if ratios else 1.0
    for name, y in series.items():
        long, short = seasonal[name], naive[name]
        if long == 0:
            long = short * ratio
        if short == 0:
            short = long / ratio
        found[name] = max(long**0.75 * short**0.25, 0.01 * mean([abs(v) for v in y[-recent:]]))
    known = [scale for scale in found.values() if scale > 0]
    spare = median(known) if known else 1.0
    return {name: scale if scale > 0 else spare for name, scale in found.items()}


def own_unit(row: Mapping[str, float | None], levels: Sequence[str]) -> tuple[float, float]:
    """Origin and unit of a row: mean and deviation of its levels that are there."""
    there = [value for name in levels if (value := row[name]) is not None]
    scale = row["y_scale"]
    assert scale is not None
    if not there:
        return 0.0, scale
    origin = mean(there)
    return origin, max(math.sqrt(mean([(value - origin) ** 2 for value in there])), 0.01 * scale)


# --- intervals -------------------------------------------------------------------------------------------------------


def conformal_quantile(residuals: Sequence[float], level: float) -> float | None:
    """The least residual r with #{residuals <= r} >= (n + 1) level; mirrored below one half; None where there is none."""
    if level < 0.5:
        mirrored = conformal_quantile([-r for r in residuals], 1 - level)
        return None if mirrored is None else -mirrored
    for candidate in sorted(residuals):
        count = sum(r <= candidate for r in residuals)
        if count >= (len(residuals) + 1) * level - 1e-9:
            return candidate
    return None


def textbook_offsets(rows: Sequence[tuple[int, float]], level: float) -> dict[int, float | None]:
    """Split conformal by step: rows of (step, scaled residual), no borrowing, no factors."""
    steps = sorted({step for step, _ in rows})
    return {step: conformal_quantile([r for s, r in rows if s == step], level) for step in steps}


def widening(groups: Sequence[Sequence[float]]) -> float:
    """One-way random effects: groups of residuals, one an origin."""
    k, n = len(groups), sum(len(group) for group in groups)
    overall = mean([r for group in groups for r in group])
    within = sum((r - mean(group)) ** 2 for group in groups for r in group) / (n - k)
    among = sum(len(group) * (mean(group) - overall) ** 2 for group in groups) / (k - 1)
    each = (n - sum(len(group) ** 2 for group in groups) / n) / (k - 1)
    between = max(0.0, (among - within) / each)
    return math.sqrt((within + (1 + 1 / k) * between) / (within + (1 - 1 / k) * between))


def factors(rows: Sequence[tuple[str, int, float]], own: float, *, without: int | None = None) -> dict[str, float]:
    """Rows of (series, origin, residual): each series' factor from all origins but one."""
    sizes: dict[tuple[str, int], float] = {}
    for series, origin, _ in rows:
        sizes[series, origin] = mean([abs(r) for s, o, r in rows if s == series and o == origin])
    found = {}
    for series in {series for series, _ in sizes}:
        ratios = []
        for (s, o), size in sizes.items():
            if s == series and o != without:
                ratios.append(size / median([other for (_, origin), other in sizes.items() if origin == o]))
        found[series] = min(max(mean(ratios), 0.1), 10.0) ** (len(ratios) / (len(ratios) + own)) if ratios else 1.0
    return found


# --- weights ---------------------------------------------------------------------------------------------------------


def objective(
    errors: Sequence[Sequence[float]], weights: Sequence[float], towards: Sequence[float], penalty: float
) -> float:
    """Mean bent absolute error over its size under `towards`, and the penalty."""
    size = mean([abs(sum(e * w for e, w in zip(row, towards, strict=True))) for row in errors])
    losses = []
    for row in errors:
        r = abs(sum(e * w for e, w in zip(row, weights, strict=True))) / size
        losses.append(r - 0.05 if r >= 0.1 else r * r / 0.2)
    return mean(losses) + penalty * sum((w - t) ** 2 for w, t in zip(weights, towards, strict=True))


def simplex(members: int, parts: int) -> Iterator[tuple[float, ...]]:
    """Every weight vector in steps of 1 / parts."""
    for cuts in itertools.product(range(parts + 1), repeat=members - 1):
        if sum(cuts) <= parts:
            yield (*(cut / parts for cut in cuts), (parts - sum(cuts)) / parts)


def own_weights(errors: Sequence[Sequence[float]]) -> list[float]:
    """Inverse squared mean absolute error of each member; errors of one series, rows by members."""
    inverse = [1 / mean([abs(row[k]) for row in errors]) ** 2 for k in range(len(errors[0]))]
    return [value / sum(inverse) for value in inverse]
