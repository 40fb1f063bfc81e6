"""Slow twins of `core.diagnose`, `core.decompose` and `core.rivals`: plain loops that are right by reading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def holm(p: Sequence[float]) -> list[float]:
    """For each p the largest of (number of hypotheses not yet rejected) x p over those up to it."""
    known = sorted(value for value in p if not math.isnan(value))
    out = []
    for value in p:
        if math.isnan(value):
            out.append(math.nan)
            continue
        steps = [(len(known) - i) * other for i, other in enumerate(known) if other <= value]
        first = known.index(value)  # ties share the first one's multiple, which is the largest
        out.append(min(1.0, max(steps[: first + 1])))
    return out


def ljung_box(errors: Sequence[float], lags: int) -> float:
    n = len(errors)
    average = mean(errors)
    c = [e - average for e in errors]
    zero = math.fsum(x * x for x in c)
    total = 0.0
    for k in range(1, lags + 1):
        r = math.fsum(c[t] * c[t - k] for t in range(k, n)) / zero
        total += r * r / (n - k)
    return n * (n + 2) * total


def parts(f: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """(mean error)^2, (s_f - s_y)^2, 2 (1 - r) s_f s_y."""
    n = len(f)
    s_f = math.sqrt(math.fsum((a - mean(f)) ** 2 for a in f) / n)
    s_y = math.sqrt(math.fsum((a - mean(y)) ** 2 for a in y) / n)
    together = math.fsum((a - mean(f)) * (b - mean(y)) for a, b in zip(f, y, strict=True)) / n
    r = together / (s_f * s_y) if s_f > 0 and s_y > 0 else 0.0
    return (mean(f) - mean(y)) ** 2, (s_f - s_y) ** 2, 2 * (1 - r) * s_f * s_y


def grouped(rows: Sequence[dict[str, Any]], label: str) -> dict[Any, list[dict[str, Any]]]:
    out: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        out.setdefault(row[label], []).append(row)
    return out


def squared(rows: Sequence[dict[str, Any]]) -> float:
    return math.fsum((row["value"] - row["y"]) ** 2 for row in rows)


def variance_by_step(rows: Sequence[dict[str, Any]]) -> dict[int, tuple[float, float]]:
    """step -> (variance, ratio to the first step) of `error`."""
    steps = grouped(rows, "step")
    variances = {}
    for step, part in steps.items():
        errors = [row["error"] for row in part]
        variances[step] = math.fsum((e - mean(errors)) ** 2 for e in errors) / len(errors)
    first = variances[min(variances)]
    return {step: (v, v / first if first > 0 else math.nan) for step, v in variances.items()}


def daily(rows: Sequence[dict[str, Any]], model: str, power: int) -> list[float]:
    """The loss of one model by target day: mean over rows of (|error| / mean |y| of the series) ^ power."""
    own = [row for row in rows if row["model"] == model]
    size = {name: mean([abs(row["y"]) for row in part]) for name, part in grouped(own, "id").items()}
    days: dict[Any, list[float]] = {}
    for row in own:
        if size[row["id"]] > 0:
            days.setdefault(row["target"], []).append((abs(row["value"] - row["y"]) / size[row["id"]]) ** power)
    return [mean(days[day]) for day in sorted(days)]
