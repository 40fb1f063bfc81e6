"""From probabilities to probabilities that come true: calibrators, each fitted on settled cutoffs.

A `Calibrator` is a frozen value; `fit` gives a `Calibrated`, another one, which maps probabilities and goes to JSON and
back. All keep p in [1e-6, 1 - 1e-6], and none ever reverses an order. Which of them to trust: `choose_calibrator` in
`calibrate_choice`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl

from foreproof.core.clock import is_integer, tick_values
from foreproof.core.logistic import logistic_coefficients, logit, sigmoid
from foreproof.core.score import finite
from foreproof.errors import BadInput
from foreproof.models.panel import Floats, Ints

EDGE = 1e-6
"""How near to 0 and 1 a probability may come."""
_OWN = 6.0
"""Settled cutoffs after which the trend of the base rate goes half of its own way."""


class Calibrated(Protocol):
    """A fitted calibrator."""

    def __call__(self, p: Floats, when: pl.Series) -> Floats:
        """p: n probabilities; when: the n cutoffs they were made at. Returns n in [1e-6, 1 - 1e-6]."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with `calibrator`; `calibrated_of` is the inverse."""
        ...


class Calibrator(Protocol):
    """A way to calibrate, as a frozen value."""

    @property
    def name(self) -> str:
        """The word for it in plans and tables."""
        ...

    def fit(self, p: Floats, y: Floats, when: pl.Series) -> Calibrated:
        """p: n probabilities; y: n outcomes, 0 or 1; when: n cutoffs, all settled. Raises BadInput."""
        ...


def clipped(p: Floats) -> Floats:
    """Probabilities kept 1e-6 away from 0 and 1; BadInput for what is none."""
    (values,) = finite("calibrator", p=p)
    if values.min() < 0.0 or values.max() > 1.0:
        raise BadInput("calibrator", found=f"p from {values.min()} to {values.max()}", wanted="probabilities")
    found: Floats = np.clip(values, EDGE, 1.0 - EDGE)
    return found


@dataclass(frozen=True, slots=True)
class Raw:
    """Leaves probabilities as they are; its own `Calibrated`."""

    name: str = "raw"

    def fit(self, p: Floats, y: Floats, when: pl.Series) -> Raw:
        """Itself: there is nothing to learn."""
        return self

    def __call__(self, p: Floats, when: pl.Series) -> Floats:
        """p, kept 1e-6 away from 0 and 1."""
        return clipped(p)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"calibrator": self.name}


@dataclass(frozen=True, slots=True)
class Platt:
    """A logistic curve through logit p. Platt, Probabilistic outputs for support vector machines (1999).

    sigmoid(slope logit p + intercept), by maximum likelihood with his targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2) in the
    place of 1 and 0, so that a separation gives no infinite slope. A negative slope counts as 0.
    """

    name: str = "platt"

    def fit(self, p: Floats, y: Floats, when: pl.Series) -> Lines:
        """Raises BadInput without both outcomes."""
        x, outcome = logit(clipped(p)), _outcomes(self.name, y)
        up = float(outcome.sum())
        target = np.where(outcome > 0.0, (up + 1.0) / (up + 2.0), 1.0 / (outcome.size - up + 2.0))
        slope, intercept = logistic_coefficients(np.column_stack([x, np.ones_like(x)]), target)
        if slope < 0.0:
            slope, intercept = 0.0, float(logit(target.mean()))
        return Lines(self.name, float(slope), float(slope), float(intercept))


@dataclass(frozen=True, slots=True)
class Beta:
    """Beta calibration: Kull, Silva Filho & Flach, Beyond sigmoids (2017).

    sigmoid(a log p - b log(1 - p) + c) with a, b >= 0, the map between two beta distributions; it holds the identity and
    bends at both ends by itself. As in their algorithm, a negative coefficient is set to 0 and the others fitted again.
    """

    name: str = "beta"

    def fit(self, p: Floats, y: Floats, when: pl.Series) -> Lines:
        """Raises BadInput without both outcomes, or where p separates them."""
        given, outcome = clipped(p), _outcomes(self.name, y)
        columns = np.column_stack([np.log(given), -np.log1p(-given), np.ones_like(given)])
        kept = [0, 1, 2]
        while True:
            found = logistic_coefficients(columns[:, kept], outcome)
            negative = [place for place, value in zip(kept, found, strict=True) if place < 2 and value < 0.0]
            if not negative:
                break
            lowest = min(negative, key=lambda place: float(found[kept.index(place)]))
            kept.remove(lowest)
        value = dict(zip(kept, found.tolist(), strict=True))
        return Lines(self.name, value.get(0, 0.0), value.get(1, 0.0), value[2])


@dataclass(frozen=True, slots=True)
class Lines:
    """sigmoid(a log p - b log(1 - p) + c): what Platt (a = b) and beta calibration learn."""

    name: str
    a: float
    b: float
    c: float

    def __call__(self, p: Floats, when: pl.Series) -> Floats:
        """The curve at each p."""
        given = clipped(p)
        return clipped(sigmoid(self.a * np.log(given) - self.b * np.log1p(-given) + self.c))

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"calibrator": self.name, "a": self.a, "b": self.b, "c": self.c}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """The rising step function with the least squared error, joined by lines between its steps.

    Zadrozny & Elkan, Transforming classifier scores into accurate multiclass probability estimates (2002); pool adjacent
    violators: Ayer, Brunk, Ewing, Reid & Silverman (1955). It makes ties, and needs many positives.
    """

    name: str = "isotonic"

    def fit(self, p: Floats, y: Floats, when: pl.Series) -> Steps:
        """Raises BadInput without both outcomes."""
        given, outcome = clipped(p), _outcomes(self.name, y)
        x, place = np.unique(given, return_inverse=True)
        hits, rows = np.bincount(place, weights=outcome), np.bincount(place).astype(np.float64)
        blocks: list[list[float]] = []
        for i in range(x.size):
            blocks.append([hits[i], rows[i], x[i], x[i]])
            while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
                last = blocks.pop()
                blocks[-1] = [blocks[-1][0] + last[0], blocks[-1][1] + last[1], blocks[-1][2], last[3]]
        knots = [(at, float(up / n)) for up, n, low, high in blocks for at in dict.fromkeys((float(low), float(high)))]
        return Steps(tuple(at for at, _ in knots), tuple(value for _, value in knots))


@dataclass(frozen=True, slots=True)
class Steps:
    """What isotonic calibration learns: rising knots at rising probabilities, flat outside."""

    at: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, p: Floats, when: pl.Series) -> Floats:
        """Lines between knots, at each p."""
        return clipped(np.interp(clipped(p), self.at, self.values))

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"calibrator": "isotonic", "at": list(self.at), "values": list(self.values)}


@dataclass(frozen=True, slots=True)
class Seasonal:
    """Moves all logits of a cutoff by one number, so that their mean probability is a forecast of the base rate.

    The forecast for cutoff t: where earlier settled cutoffs lie in the same month of the year (of `zone`), their pooled
    rate, (positives + 1/2) / (rows + 1). Else, and on a clock of integers always, a shrunk trend: with r_k the logit of
    the rate of each of K settled cutoffs at t_k, mean r + s (min(t, last + (last - first)) - mean t), where s is the
    slope by least squares times K / (K + 6): a line leaves the mean only as far as its length speaks for it, and reaches
    no further ahead than it reaches back. Prior correction by an intercept: King & Zeng (2001), Saerens, Latinne &
    Decaestecker (2002).

    The shift is solved over the rows of a cutoff that are given together: give a cutoff's whole list, never one row.
    """

    name: str = "seasonal"
    zone: str = "UTC"

    def fit(self, p: Floats, y: Floats, when: pl.Series) -> SeasonalRates:
        """Rows and positives of each cutoff; p is not looked at. Raises BadInput."""
        (outcome,) = finite(self.name, y=y)
        _check_when(when, outcome.size)
        at, place = np.unique(tick_values(when), return_inverse=True)
        rows = np.bincount(place)
        positives = np.bincount(place, weights=outcome)
        months = [0] * at.size if is_integer(when) else _months(pl.Series(at).cast(when.dtype), self.zone)
        known = tuple(
            (int(t), int(month), int(n), float(up)) for t, month, n, up in zip(at, months, rows, positives, strict=True)
        )
        return SeasonalRates(self.zone, known)


@dataclass(frozen=True, slots=True)
class SeasonalRates:
    """What `Seasonal` learns: (tick, month of the year or 0, rows, positives) of each settled cutoff, rising."""

    zone: str
    known: tuple[tuple[int, int, int, float], ...]

    def rate(self, tick: int, month: int) -> float:
        """The forecast of the base rate at a cutoff, strictly between 0 and 1."""
        same = [each for each in self.known if month and each[1] == month and each[0] < tick]
        if same:
            return (sum(each[3] for each in same) + 0.5) / (sum(each[2] for each in same) + 1.0)
        at = np.array([each[0] for each in self.known], dtype=np.float64)
        level = logit(np.array([(up + 0.5) / (n + 1.0) for _, _, n, up in self.known]))
        # From the first cutoff on, in spans of all: microseconds squared would eat the digits.
        span = max(float(at[-1] - at[0]), 1.0)
        x, now = (at - at[0]) / span, min((tick - at[0]) / span, 2.0)
        spread = float(np.sum((x - x.mean()) ** 2))
        slope = float((x - x.mean()) @ level) / spread if spread > 0.0 else 0.0
        shrunk = slope * at.size / (at.size + _OWN)
        return float(sigmoid(level.mean() + shrunk * (now - x.mean())))

    def __call__(self, p: Floats, when: pl.Series) -> Floats:
        """Each cutoff's probabilities, moved together."""
        given = logit(clipped(p))
        _check_when(when, given.size)
        ticks = tick_values(when)
        months = np.zeros(given.size, dtype=np.int64) if is_integer(when) else _months(when, self.zone)
        found = np.empty_like(given)
        for tick in np.unique(ticks):
            here = ticks == tick
            found[here] = _moved(given[here], self.rate(int(tick), int(months[here][0])))
        return clipped(found)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"calibrator": "seasonal", "zone": self.zone, "known": [list(each) for each in self.known]}


CALIBRATORS: Mapping[str, Calibrator] = {each.name: each for each in (Raw(), Platt(), Isotonic(), Beta(), Seasonal())}
"""Every kind of calibrator, by name."""


def calibrated_of(values: Mapping[str, Any]) -> Calibrated:
    """The inverse of `as_dict`; BadInput for an unknown calibrator."""
    match values.get("calibrator"):
        case "raw":
            return Raw()
        case "platt" | "beta" as name:
            return Lines(str(name), float(values["a"]), float(values["b"]), float(values["c"]))
        case "isotonic":
            return Steps(tuple(map(float, values["at"])), tuple(map(float, values["values"])))
        case "seasonal":
            known = tuple((int(t), int(month), int(n), float(up)) for t, month, n, up in values["known"])
            return SeasonalRates(str(values["zone"]), known)
        case other:
            raise BadInput("calibrator", found=f"{other!r}", wanted=f"one of {', '.join(CALIBRATORS)}")


def _moved(logits: Floats, rate: float) -> Floats:
    """sigmoid(logits + d) with the d that makes their mean the rate, by bisection: the mean rises with d."""
    low, high = float(logit(rate)) - float(logits.max()), float(logit(rate)) - float(logits.min())
    for _ in range(80):
        middle = (low + high) / 2.0
        if float(sigmoid(logits + middle).mean()) < rate:
            low = middle
        else:
            high = middle
    return sigmoid(logits + (low + high) / 2.0)


def _months(when: pl.Series, zone: str) -> Ints:
    return when.dt.convert_time_zone(zone).dt.month().cast(pl.Int64).to_numpy()


def _outcomes(name: str, y: Floats) -> Floats:
    (outcome,) = finite(name, y=y)
    if np.any((outcome != 0.0) & (outcome != 1.0)):
        raise BadInput(f"calibrator {name}", found="an outcome other than 0 and 1", wanted="0 or 1")
    if not 0.0 < outcome.sum() < outcome.size:
        raise BadInput(
            f"calibrator {name}",
            found=f"{outcome.sum():g} positives among {outcome.size} settled rows",
            wanted="both outcomes",
            fix="settle more cutoffs, or leave probabilities raw",
        )
    return outcome


def _check_when(when: pl.Series, n: int) -> None:
    if len(when) != n or when.null_count():
        found = f"{len(when)} cutoffs, {when.null_count()} of them missing, for {n} probabilities"
        raise BadInput("calibrator", found=found, wanted="one cutoff a probability")


__all__ = [
    "CALIBRATORS",
    "EDGE",
    "Beta",
    "Calibrated",
    "Calibrator",
    "Isotonic",
    "Lines",
    "Platt",
    "Raw",
    "Seasonal",
    "SeasonalRates",
    "Steps",
    "calibrated_of",
    "clipped",
]
