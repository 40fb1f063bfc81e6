"""Slow twins of `core.score_binary`, `core.clusters`, `models.calibrate` and `core.folds`: plain loops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

Numbers = Sequence[float]


def ones(y: Numbers, weight: Numbers | None) -> list[float]:
    return [1.0] * len(y) if weight is None else list(weight)


def auc(y: Numbers, p: Numbers, weight: Numbers | None = None) -> float:
    """Every pair of a positive and a negative."""
    w = ones(y, weight)
    won = pairs = 0.0
    for i in range(len(y)):
        for j in range(len(y)):
            if y[i] == 1 and y[j] == 0:
                pairs += w[i] * w[j]
                won += w[i] * w[j] * (1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0)
    return won / pairs


def pr_auc(y: Numbers, p: Numbers, weight: Numbers | None = None) -> float:
    """Each threshold by itself, from the highest."""
    w = ones(y, weight)
    positives = sum(wi for wi, yi in zip(w, y, strict=True) if yi == 1)
    total = before = 0.0
    for threshold in sorted(set(p), reverse=True):
        chosen = [i for i in range(len(p)) if p[i] >= threshold]
        hits, rows = sum(w[i] * y[i] for i in chosen), sum(w[i] for i in chosen)
        if rows > 0:
            total += (hits / positives - before) * hits / rows
            before = hits / positives
    return total


def parts(p: Numbers, w: Numbers, start: float, stop: float) -> list[float]:
    """How much of each row's weight lies between two shares of all weight, rows of the highest p first.

    Rows of equal p are cut in the same proportion.
    """
    whole = sum(w)
    low, high = start * whole, stop * whole
    found = []
    for pi, wi in zip(p, w, strict=True):
        above = sum(wj for pj, wj in zip(p, w, strict=True) if pj > pi)
        equal = sum(wj for pj, wj in zip(p, w, strict=True) if pj == pi)
        inside = max(0.0, min(high, above + equal) - max(low, above))
        found.append(wi * inside / equal if equal > 0 else 0.0)
    return found


def capture_at(y: Numbers, p: Numbers, share: float, weight: Numbers | None = None) -> float:
    w = ones(y, weight)
    taken = parts(p, w, 0.0, share)
    return sum(t * yi for t, yi in zip(taken, y, strict=True)) / sum(wi * yi for wi, yi in zip(w, y, strict=True))


def value_at(y: Numbers, p: Numbers, share: float, money: Numbers, cost: float, weight: Numbers | None = None) -> float:
    taken = parts(p, ones(y, weight), 0.0, share)
    return sum(t * (yi * m - cost) for t, yi, m in zip(taken, y, money, strict=True))


def brier(y: Numbers, p: Numbers, weight: Numbers | None = None) -> float:
    w = ones(y, weight)
    return sum(wi * (pi - yi) ** 2 for wi, pi, yi in zip(w, p, y, strict=True)) / sum(w)


def bins(y: Numbers, p: Numbers, many: int, weight: Numbers | None = None) -> list[tuple[float, float, float]]:
    """(n, mean p, mean y) of each bin of equal weight, the lowest p first."""
    w = ones(y, weight)
    found = []
    for k in reversed(range(many)):
        part = parts(p, w, float(Fraction(k, many)), float(Fraction(k + 1, many)))
        n = sum(part)
        said = sum(t * pi for t, pi in zip(part, p, strict=True)) / n
        came = sum(t * yi for t, yi in zip(part, y, strict=True)) / n
        found.append((n, said, came))
    return found


def calibration_mae(y: Numbers, p: Numbers, many: int, weight: Numbers | None = None) -> float:
    found = bins(y, p, many, weight)
    return sum(n * abs(said - came) for n, said, came in found) / sum(n for n, _, _ in found)


def log_loss(y: Numbers, p: Numbers, weight: Numbers | None = None) -> float:
    w = ones(y, weight)
    losses = [-math.log(pi) if yi == 1 else -math.log(1.0 - pi) for yi, pi in zip(y, p, strict=True)]
    return sum(wi * loss for wi, loss in zip(w, losses, strict=True)) / sum(w)


def redrawn(clusters: Sequence[object], drawn: Sequence[object]) -> list[int]:
    """The rows of a draw: all rows of each drawn cluster, as often as it was drawn."""
    return [i for label in drawn for i in range(len(clusters)) if clusters[i] == label]


def isotonic(p: Numbers, y: Numbers) -> dict[float, float]:
    """The rising fit at each p by the max-min formula: max over starts a <= p of min over stops b >= p of mean y in [a, b]."""
    x = sorted(set(p))

    def mean(low: float, high: float) -> float:
        inside = [yi for pi, yi in zip(p, y, strict=True) if low <= pi <= high]
        return sum(inside) / len(inside)

    return {at: max(min(mean(a, b) for b in x if b >= at) for a in x if a <= at) for at in x}


def shifted(p: Numbers, rate: float) -> list[float]:
    """The logits moved by the number, on a fine grid, that brings their mean probability next to the rate."""

    def moved(d: float) -> list[float]:
        return [1.0 / (1.0 + math.exp(-(math.log(pi / (1.0 - pi)) + d))) for pi in p]

    best = min((k / 1000.0 for k in range(-10_000, 10_001)), key=lambda d: abs(sum(moved(d)) / len(p) - rate))
    return moved(best)


def trend(at: Numbers, level: Numbers, now: float) -> float:
    """Mean level and least squares slope shrunk by K / (K + 6), no further ahead than the cutoffs reach back."""
    k = len(at)
    middle, height = sum(at) / k, sum(level) / k
    spread = sum((t - middle) ** 2 for t in at)
    slope = sum((t - middle) * (v - height) for t, v in zip(at, level, strict=True)) / spread if spread else 0.0
    reach = min(now, at[-1] + (at[-1] - at[0]))
    return height + slope * k / (k + 6.0) * (reach - middle)


def log_loss_of_blend(logits: Sequence[Numbers], y: Numbers, weights: Numbers) -> float:
    """Mean log loss of the sigmoid of weighted logits."""
    total = 0.0
    for row, yi in zip(logits, y, strict=True):
        x = sum(w * z for w, z in zip(weights, row, strict=True))
        total += math.log(1.0 + math.exp(-x)) if yi == 1 else math.log(1.0 + math.exp(x))
    return total / len(y)


def best_of_grid(logits: Sequence[Numbers], y: Numbers, steps: int = 200) -> tuple[float, float]:
    """The weights of two members with the least log loss, on a grid."""
    best = min((k / steps for k in range(steps + 1)), key=lambda w: log_loss_of_blend(logits, y, (w, 1.0 - w)))
    return best, 1.0 - best


def percentile_blend(members: Sequence[Numbers], weights: Numbers) -> list[float]:
    """Rows in the order of weighted logits of their percentiles; at each place the mean of the members' values there."""
    n = len(members[0])

    def percentile(values: Numbers, i: int) -> float:
        below = sum(v < values[i] for v in values)
        equal = sum(v == values[i] for v in values)
        return (below + (equal + 1) / 2.0 - 0.5) / n

    score = []
    for i in range(n):
        at = [percentile(values, i) for values in members]
        score.append(sum(w * math.log(u / (1.0 - u)) for w, u in zip(weights, at, strict=True)))
    ordered = [sorted(values) for values in members]
    found = []
    for i in range(n):
        same = [j for j in range(n) if abs(score[j] - score[i]) < 1e-9]
        below = sum(score[j] < score[i] - 1e-9 for j in range(n))
        places = range(below, below + len(same))
        means = [sum(w * values[place] for w, values in zip(weights, ordered, strict=True)) for place in places]
        found.append(sum(means) / len(means))
    return found
