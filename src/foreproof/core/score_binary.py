"""Scores of probabilities against outcomes of 0 and 1, one number each.

y: n outcomes, each 0 or 1. p: n probabilities in [0, 1]; scores that look at the order alone (`auc`, `pr_auc`, `lift_at`,
`capture_at`, `value_at`) take any finite numbers. weight: n, finite and at least 0: a row of weight k counts as k rows.
Rows of equal p are never put in an order: where a share or a bin ends among them, it takes the same fraction of each, so
no score depends on the order of rows. Missing values are refused, never skipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.compare import clopper_pearson
from foreproof.core.logistic import logistic_coefficients, logit
from foreproof.core.score import finite
from foreproof.errors import BadInput

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BINS = 10
_LEAST = float(np.finfo(np.float64).eps)
"""`log_loss` keeps this distance from 0 and 1, as scikit-learn does: one outcome that was called impossible is not infinite."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Rows put in the order of their p once, so that many weightings can be scored without sorting again.

    order: n, places of the rows, p falling. starts: the place in that order where each run of equal p begins.
    y: n, outcomes in that order. p: the probability of each run, falling.
    """

    order: Ints
    starts: Ints
    y: Floats
    p: Floats


@dataclass(frozen=True, slots=True)
class Curve:
    """Weights of the runs of equal p, from the highest p down, one entry a run.

    p: of the run; rows: its weight; positives: the weight of its rows with y = 1.
    """

    p: Floats
    rows: Floats
    positives: Floats


def ranked(y: npt.ArrayLike, p: npt.ArrayLike, *, subject: str = "ranked") -> Ranked:
    """Checks y and p, and sorts them. Raises BadInput where y is not 0 or 1, or something is missing."""
    outcome, probability = finite(subject, y=y, p=p)
    _check_outcomes(subject, outcome)
    order = np.argsort(-probability, kind="stable").astype(np.int64)
    falling = probability[order]
    starts = np.flatnonzero(np.append(True, falling[1:] != falling[:-1])).astype(np.int64)
    return Ranked(order, starts, outcome[order], falling[starts])


def curve_of(rows: Ranked, weight: npt.ArrayLike | None = None, *, subject: str = "weight") -> Curve:
    """The runs of equal p under one weighting of the rows (n, in their first order; None: 1 each). Raises BadInput."""
    if weight is None:
        sizes = np.diff(np.append(rows.starts, rows.order.size)).astype(np.float64)
        return Curve(rows.p, sizes, np.add.reduceat(rows.y, rows.starts))
    given = np.asarray(weight, dtype=np.float64)
    _check_weight(subject, given, rows.order.size)
    here = given[rows.order]
    hits = here * rows.y
    if rows.starts.size == rows.order.size:
        return Curve(rows.p, here, hits)
    return Curve(rows.p, np.add.reduceat(here, rows.starts), np.add.reduceat(hits, rows.starts))


def auc(y: npt.ArrayLike, p: npt.ArrayLike, *, weight: npt.ArrayLike | None = None) -> float:
    """The chance that a random positive has a higher p than a random negative, equal p counting one half, in [0, 1].

    The area under the ROC curve: Mann & Whitney (1947); Hanley & McNeil (1982). Raises BadInput without both outcomes.
    """
    return auc_of(curve_of(ranked(y, p, subject="auc"), weight, subject="auc"))


def auc_of(curve: Curve) -> float:
    """`auc` of a curve."""
    negatives = curve.rows - curve.positives
    up, down = _both("auc", curve)
    before = np.cumsum(curve.positives) - curve.positives / 2.0
    return _dot(negatives, before) / (up * down)


def pr_auc(y: npt.ArrayLike, p: npt.ArrayLike, *, weight: npt.ArrayLike | None = None) -> float:
    """Average precision: sum over falling thresholds of (recall - recall before) x precision, in (0, 1].

    The area under the precision-recall curve without interpolation (which flatters: Davis & Goadrich 2006). A p that
    says nothing has the base rate. Raises BadInput without a positive.
    """
    return pr_auc_of(curve_of(ranked(y, p, subject="pr_auc"), weight, subject="pr_auc"))


def pr_auc_of(curve: Curve) -> float:
    """`pr_auc` of a curve."""
    up = _positives("pr_auc", curve)
    hits, rows = np.cumsum(curve.positives), np.cumsum(curve.rows)
    precision = np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0.0)
    return _dot(curve.positives, precision) / up


def capture_at(y: npt.ArrayLike, p: npt.ArrayLike, *, share: float, weight: npt.ArrayLike | None = None) -> float:
    """The share of all positives among the top `share` of the rows by p, in [0, 1]; `share` in (0, 1].

    A point of the cumulative gains curve. Raises BadInput without a positive.
    """
    return capture_of(curve_of(ranked(y, p, subject="capture_at"), weight, subject="capture_at"), share)


def capture_of(curve: Curve, share: float) -> float:
    """`capture_at` of a curve."""
    return float(_top(curve.positives, curve, share)) / _positives("capture_at", curve)


def lift_at(y: npt.ArrayLike, p: npt.ArrayLike, *, share: float, weight: npt.ArrayLike | None = None) -> float:
    """The rate of positives among the top `share` of the rows by p, over the rate among all: `capture_at` / share.

    1 is what a list in random order has; 1 / share is the most. Raises BadInput without a positive.
    """
    return lift_of(curve_of(ranked(y, p, subject="lift_at"), weight, subject="lift_at"), share)


def lift_of(curve: Curve, share: float) -> float:
    """`lift_at` of a curve."""
    return capture_of(curve, share) / share


def value_at(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    *,
    share: float,
    money: npt.ArrayLike,
    cost: float = 0.0,
    weight: npt.ArrayLike | None = None,
) -> float:
    """Money from acting on the top `share` of the rows by p: the sum of y x money - cost over them, in the unit of money.

    money: one number or n, what a positive row brings; cost: what acting on one row costs. Raises BadInput.
    """
    outcome, probability = finite("value_at", y=y, p=p)
    rows = ranked(outcome, probability, subject="value_at")
    (worth,) = finite("value_at", money=np.broadcast_to(np.asarray(money, dtype=np.float64), outcome.shape))
    curve = curve_of(rows, weight, subject="value_at")
    counts = np.ones(outcome.size) if weight is None else np.asarray(weight, dtype=np.float64)
    brought = np.add.reduceat((outcome * worth * counts)[rows.order], rows.starts)
    return float(_top(brought - cost * curve.rows, curve, share))


def brier(y: npt.ArrayLike, p: npt.ArrayLike, *, weight: npt.ArrayLike | None = None) -> float:
    """Mean (p - y)^2, in [0, 1]; smaller is better. Brier (1950). Raises BadInput."""
    outcome, probability, counts = _probabilities("brier", y, p, weight)
    return _dot(counts, squared_losses(outcome, probability)) / float(counts.sum())


def log_loss(y: npt.ArrayLike, p: npt.ArrayLike, *, weight: npt.ArrayLike | None = None) -> float:
    """Mean -(y log p + (1 - y) log(1 - p)), natural logarithm, p kept 2.2e-16 away from 0 and 1. Good (1952).

    Raises BadInput.
    """
    outcome, probability, counts = _probabilities("log_loss", y, p, weight)
    return _dot(counts, log_losses(outcome, probability)) / float(counts.sum())


def squared_losses(y: Floats, p: Floats) -> Floats:
    """(p - y)^2, one a row: n outcomes and n probabilities that were checked."""
    found: Floats = (p - y) ** 2
    return found


def log_losses(y: Floats, p: Floats) -> Floats:
    """-(y log p + (1 - y) log(1 - p)), one a row, p kept 2.2e-16 away from 0 and 1."""
    inside = np.clip(p, _LEAST, 1.0 - _LEAST)
    found: Floats = -np.where(y > 0.0, np.log(inside), np.log1p(-inside))
    return found


def calibration_mae(
    y: npt.ArrayLike, p: npt.ArrayLike, *, bins: int = BINS, weight: npt.ArrayLike | None = None
) -> float:
    """Mean |mean p - mean y| over `bins` bins of equal weight along p, a probability; 0 is calibrated.

    The expected calibration error with bins of equal counts (Naeini, Cooper & Hauskrecht 2015; Nguyen & O'Connor 2015).
    It is above 0 also for true probabilities, the more so the fewer rows there are. Raises BadInput.
    """
    outcome, probability, counts = _probabilities("calibration_mae", y, p, weight)
    return calibration_mae_of(curve_of(ranked(outcome, probability), counts), bins)


def calibration_mae_of(curve: Curve, bins: int = BINS) -> float:
    """`calibration_mae` of a curve whose p are probabilities; BadInput where they are not."""
    if curve.p[0] > 1.0 or curve.p[-1] < 0.0:
        raise BadInput("calibration_mae", found=f"p from {curve.p[-1]} to {curve.p[0]}", wanted="probabilities")
    rows, said, came = _binned(curve, bins)
    return float(np.sum(np.abs(said - came)) / np.sum(rows))


def reliability(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    *,
    bins: int = BINS,
    confidence: float = 0.95,
    weight: npt.ArrayLike | None = None,
) -> pl.DataFrame:
    """The reliability diagram as a frame: `bin` (1 ..., p rising), `n`, `mean_p`, `mean_y`, `low`, `high`.

    Bins of equal weight n (a fraction where n does not divide, or equal p straddle an edge). low and high: the exact
    interval of mean_y as if rows were independent (Clopper & Pearson 1934), too narrow where customers come several
    times: then see `clusters.cluster_bootstrap`. Murphy & Winkler (1977). Raises BadInput.
    """
    outcome, probability, counts = _probabilities("reliability", y, p, weight)
    rows, said, came = (each[::-1] for each in _binned(curve_of(ranked(outcome, probability), counts), bins))
    exact = [clopper_pearson(float(min(max(k, 0.0), n)), float(n), confidence) for k, n in zip(came, rows, strict=True)]
    return pl.DataFrame(
        {
            "bin": pl.Series(np.arange(1, bins + 1), dtype=pl.Int64),
            "n": rows,
            "mean_p": said / rows,
            "mean_y": came / rows,
            "low": [each.low for each in exact],
            "high": [each.high for each in exact],
        }
    )


def calibration_slope_intercept(
    y: npt.ArrayLike, p: npt.ArrayLike, *, weight: npt.ArrayLike | None = None
) -> tuple[float, float]:
    """(slope, intercept) of the logistic regression of y on logit p; (1, 0) is calibrated, a slope below 1 overconfident.

    p is kept 1e-6 away from 0 and 1. Cox (1958). Raises BadInput without both outcomes, where all p are equal, or where p
    separates the outcomes.
    """
    outcome, probability, counts = _probabilities("calibration_slope_intercept", y, p, weight)
    _both("calibration_slope_intercept", curve_of(ranked(outcome, probability), counts))
    x = logit(np.clip(probability, 1e-6, 1.0 - 1e-6))
    if float(np.ptp(x[counts > 0.0])) == 0.0:
        raise BadInput(
            "calibration_slope_intercept", found="one probability for all rows", wanted="at least two different ones"
        )
    slope, intercept = logistic_coefficients(np.column_stack([x, np.ones_like(x)]), outcome, weight=counts)
    return float(slope), float(intercept)


def _binned(curve: Curve, bins: int) -> tuple[Floats, Floats, Floats]:
    """Weight, sum of p and sum of y of bins of equal weight, p falling; a run on an edge is cut in proportion."""
    if bins < 1:
        raise BadInput("bins", found=f"{bins} bins", wanted="at least 1")
    ends = np.append(0.0, np.cumsum(curve.rows))
    edges = ends[-1] * np.arange(bins + 1) / bins

    def summed(values: Floats) -> Floats:
        return np.diff(np.interp(edges, ends, np.append(0.0, np.cumsum(values))))

    return np.diff(edges), summed(curve.p * curve.rows), summed(curve.positives)


def _top(values: Floats, curve: Curve, share: float) -> float:
    """The sum of values over the top share of the weight; of the run where it ends, a fraction."""
    if not 0.0 < share <= 1.0:
        raise BadInput("share", found=f"{share}", wanted="above 0 and at most 1", fix="0.1 is the top tenth")
    ends = np.append(0.0, np.cumsum(curve.rows))
    return float(np.interp(share * ends[-1], ends, np.append(0.0, np.cumsum(values))))


def _positives(subject: str, curve: Curve) -> float:
    up = float(curve.positives.sum())
    if up <= 0.0:
        raise BadInput(
            subject,
            found=f"no positive outcome among {curve.rows.sum():g} rows",
            wanted="at least one row with y = 1",
            fix="score more rows or a more frequent outcome",
        )
    return up


def _both(subject: str, curve: Curve) -> tuple[float, float]:
    up = _positives(subject, curve)
    down = float((curve.rows - curve.positives).sum())
    if down <= 0.0:
        raise BadInput(
            subject,
            found=f"no negative outcome among {up:g} rows",
            wanted="at least one row with y = 0",
            fix="score all rows, not the positive ones alone",
        )
    return up, down


def _dot(a: Floats, b: Floats) -> float:
    """Without BLAS: two of its threads on two busy cores take many times as long as one, and bootstraps call this often."""
    return float((a * b).sum())


def _probabilities(
    subject: str, y: npt.ArrayLike, p: npt.ArrayLike, weight: npt.ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    outcome, probability = finite(subject, y=y, p=p)
    _check_outcomes(subject, outcome)
    outside = np.flatnonzero((probability < 0.0) | (probability > 1.0))
    if outside.size:
        raise BadInput(
            subject,
            found=f"p = {probability[outside[0]]} at position {outside[0]}, and {outside.size} in all outside [0, 1]",
            wanted="probabilities",
            fix="calibrate the scores first",
        )
    counts = np.ones(outcome.size) if weight is None else np.asarray(weight, dtype=np.float64)
    _check_weight(subject, counts, outcome.size)
    return outcome, probability, counts


def _check_outcomes(subject: str, y: Floats) -> None:
    odd = np.flatnonzero((y != 0.0) & (y != 1.0))
    if odd.size:
        found = f"y = {y[odd[0]]} at position {odd[0]}"
        raise BadInput(subject, found=found, wanted="outcomes that are 0 or 1")


def _check_weight(subject: str, weight: Floats, n: int) -> None:
    if weight.shape != (n,):
        raise BadInput(subject, found=f"weights of shape {weight.shape}", wanted=f"({n},), one a row")
    # One pass in the usual case: NaN fails the first comparison, infinity makes the sum infinite.
    if not (float(weight.min()) >= 0.0 and 0.0 < float(weight.sum()) < np.inf):
        raise BadInput(
            subject,
            found="a weight that is missing, negative or infinite, or weights that are all 0",
            wanted="weights of at least 0, some above it",
        )


__all__ = [
    "BINS",
    "Curve",
    "Ranked",
    "auc",
    "auc_of",
    "brier",
    "calibration_mae",
    "calibration_mae_of",
    "calibration_slope_intercept",
    "capture_at",
    "capture_of",
    "curve_of",
    "lift_at",
    "lift_of",
    "log_loss",
    "log_losses",
    "pr_auc",
    "pr_auc_of",
    "ranked",
    "reliability",
    "squared_losses",
    "value_at",
]
