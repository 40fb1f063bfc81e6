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
