"""Slow twins of sample paths and of intervals over classes and time: loops so plain that they are right by reading."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile_at(levels: Sequence[float], values: Sequence[float], at: float) -> float:
    """A straight line between two levels, an exponential tail beyond the last one."""
    if at < levels[0]:
        mirrored = [1 - level for level in reversed(levels)]
        return -quantile_at(mirrored, [-value for value in reversed(values)], 1 - at)
    if at > levels[-1]:
        s = (values[-1] - values[-2]) / math.log((1 - levels[-2]) / (1 - levels[-1]))
        return values[-1] + s * math.log((1 - levels[-1]) / (1 - at))
    for i in range(1, len(levels)):
        if at <= levels[i]:
            return values[i - 1] + (values[i] - values[i - 1]) * (at - levels[i - 1]) / (levels[i] - levels[i - 1])
    raise AssertionError("unreachable")


def shuffled(values: Sequence[Sequence[float]], scores: Sequence[Sequence[float]]) -> list[list[float]]:
    """values: steps x K, rising. scores: K x steps. The path with the r-th smallest score of a step takes its r-th value."""
    count, horizon = len(scores), len(values)
    paths = [[math.nan] * horizon for _ in range(count)]
    for step in range(horizon):
        order = sorted(range(count), key=lambda k: (scores[k][step], k))
        for rank, k in enumerate(order):
            paths[k][step] = values[step][rank]
    return paths


def weighted_quantile(values: Sequence[float], weights: Sequence[float], level: float) -> float | None:
    """The smallest value that carries the level of all weight, with one more of the largest weight; None beyond the last."""
    if level < 0.5:
        found = weighted_quantile([-value for value in values], weights, 1 - level)
        return None if found is None else -found
    needed = level * (sum(weights) + max(weights))
    for value in sorted(values):
        if sum(w for v, w in zip(values, weights, strict=True) if v <= value) >= needed - 1e-9:
            return value
    return None


def moved_tail(origins: Sequence[Sequence[float]], tail: float, speed: float) -> float:
    """The tail of an upper level at one step, after the misses of each origin by the quantile of those before it."""
    moved = tail
    for t in range(1, len(origins)):
        before = sorted(value for origin in origins[:t] for value in origin)
        rank = math.ceil((len(before) + 1) * (1 - moved) - 1e-9)
        missed = sum(value > before[rank - 1] for value in origins[t]) / len(origins[t])
        moved = min(max(moved + speed * (tail - missed), tail / 10), 0.5)
    return moved


def place(room: float, edges: Sequence[float]) -> int:
    """The first part near the bound whose upper edge holds the room; -1 beyond the last."""
    for i, edge in enumerate(edges):
        if room <= edge:
            return i
    return -1
