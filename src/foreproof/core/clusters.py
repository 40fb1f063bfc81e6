"""Intervals for any score by drawing whole customers with replacement, and paired differences on the same draws.

Rows of one customer are alike, so an interval that draws rows is too narrow; one that draws customers is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from foreproof.core.compare import Interval
from foreproof.core.score_binary import (
    Curve,
    auc_of,
    brier,
    calibration_mae_of,
    capture_of,
    curve_of,
    lift_of,
    log_loss,
    log_losses,
    pr_auc_of,
    ranked,
    squared_losses,
)
from foreproof.errors import BadInput

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], float]
"""A score as a function of the weights of its rows (n, whole numbers of at least 0)."""

_UNDEFINED = 0.05
"""The share of draws on which a statistic may have no value, such as an AUC without a positive."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What `cluster_bootstrap` found.

    intervals: by statistic, the estimate on all rows between percentiles of the draws. differences: by pair (a, b), the
    same of a - b. draws: by statistic, one value a draw, NaN where it has none. clusters: how many were drawn from.
    """

    intervals: Mapping[str, Interval]
    differences: Mapping[tuple[str, str], Interval]
    draws: Mapping[str, Floats]
    clusters: int


def cluster_bootstrap(
    clusters: npt.ArrayLike,
    statistics: Mapping[str, Statistic],
    *,
    rng: np.random.Generator,
    pairs: Sequence[tuple[str, str]] = (),
    replicates: int = 1000,
    confidence: float = 0.95,
) -> Bootstrap:
    """Percentile intervals of statistics when whole clusters are drawn with replacement, as many as there are.

    clusters: n labels, one a row (the customer). statistics: by name, each a function of n row weights: how often the
    row's cluster was drawn. pairs: names (a, b) whose difference a - b gets an interval from the same draws, which is
    narrower than that of two apart, because both columns meet the same customers. Davison & Hinkley, Bootstrap Methods
    and their Application (1997), 3.8; Field & Welsh (2007).

    A statistic that raises BadInput on a draw has no value there; more than 5% such draws raise BadInput, and so do fewer
    than two clusters. What it raises on all rows goes through.
    """
    codes = _codes(clusters, replicates=replicates, confidence=confidence)
    unknown = [name for pair in pairs for name in pair if name not in statistics]
    if unknown:
        raise BadInput("cluster_bootstrap", found=f"a pair with {unknown[0]!r}", wanted=", ".join(statistics))
    count = int(codes.max()) + 1
    once = np.ones(codes.size)
    estimates = {name: float(statistic(once)) for name, statistic in statistics.items()}
    draws = {name: np.full(replicates, np.nan) for name in statistics}
    for place in range(replicates):
        drawn = np.bincount(rng.integers(count, size=count), minlength=count)
        weight = drawn.astype(np.float64)[codes]
        for name, statistic in statistics.items():
            try:
                draws[name][place] = statistic(weight)
            except BadInput:
                continue
    tail = (1.0 - confidence) / 2.0

    def interval(what: str, estimate: float, values: Floats) -> Interval:
        known = values[np.isfinite(values)]
        if known.size < (1.0 - _UNDEFINED) * replicates:
            raise BadInput(
                "cluster_bootstrap",
                found=f"{what} has no value on {replicates - known.size} of {replicates} draws of {count} clusters",
                wanted="both outcomes in nearly every draw",
                fix="take more customers or a more frequent outcome",
            )
        low, high = np.quantile(known, [tail, 1.0 - tail])
        return Interval(estimate, float(low), float(high), confidence)

    return Bootstrap(
        intervals={name: interval(name, estimates[name], draws[name]) for name in statistics},
        differences={
            (a, b): interval(f"{a} - {b}", estimates[a] - estimates[b], draws[a] - draws[b]) for a, b in pairs
        },
        draws=draws,
        clusters=count,
    )


def statistics_of(
    y: npt.ArrayLike, p: npt.ArrayLike, *, shares: Sequence[float] = (0.1,), names: Sequence[str] = ()
) -> dict[str, Statistic]:
    """The scores of `core.score_binary` as functions of weights, over rows that are sorted once.

    `auc`, `pr_auc`, `brier`, `log_loss`, `calibration_mae`, and for each share `lift10`, `capture10` (the share in
    percent). names: which of them; none for all, where p must be probabilities. Raises BadInput.
    """
    rows = ranked(y, p, subject="statistics_of")
    of_curves: dict[str, Callable[[Curve], float]] = {
        "auc": auc_of,
        "pr_auc": pr_auc_of,
        "calibration_mae": calibration_mae_of,
    }
    for share in shares:
        of_curves[f"lift{100 * share:g}"] = partial(lift_of, share=share)
        of_curves[f"capture{100 * share:g}"] = partial(capture_of, share=share)

    held: list[tuple[Floats, Curve]] = []

    def curve(weight: Floats) -> Curve:
        """The curve of a weighting, made once for all scores of it: they are asked for one after the other."""
        if not held or held[0][0] is not weight:
            held[:] = [(weight, curve_of(rows, weight))]
        return held[0][1]

    def curved(score: Callable[[Curve], float]) -> Statistic:
        return lambda weight: score(curve(weight))

    found = {name: curved(score) for name, score in of_curves.items()}
    for name, whole, losses in (("brier", brier, squared_losses), ("log_loss", log_loss, log_losses)):
        if not names or name in names:
            whole(y, p)  # refuses what is no probability, once for all weightings
            found[name] = _mean_of(losses(np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)))
    unknown = [name for name in names if name not in found]
    if unknown:
        raise BadInput("statistics_of", found=f"{unknown[0]!r}", wanted=f"some of {', '.join(found)}")
    return {name: found[name] for name in (names or found)}


def _mean_of(losses: Floats) -> Statistic:
    """The weighted mean of one loss a row."""

    def mean(weight: Floats) -> float:
        total = float(weight.sum())
        if not total > 0.0:
            raise BadInput(
                "statistics_of", found="weights that are all 0", wanted="weights of at least 0, some above it"
            )
        # no BLAS: two of its threads on two busy cores take many times as long
        return float((weight * losses).sum()) / total

    return mean


def _codes(clusters: npt.ArrayLike, *, replicates: int, confidence: float) -> npt.NDArray[np.intp]:
    labels = np.asarray(clusters)
    if labels.ndim != 1 or labels.size == 0:
        raise BadInput("cluster_bootstrap", found=f"clusters of shape {labels.shape}", wanted="one label a row")
    if replicates < 1 or not 0.0 < confidence < 1.0:
        found = f"{replicates} replicates at confidence {confidence}"
        raise BadInput("cluster_bootstrap", found=found, wanted="at least one, and a share such as 0.95")
    missing = [place for place, label in enumerate(labels.tolist()) if label is None or label != label]
    if missing:
        found = f"no label in {len(missing)} rows (first: position {missing[0]})"
        raise BadInput("cluster_bootstrap", found=found, wanted="the customer of every row")
    codes = np.unique(labels, return_inverse=True)[1]
    if int(codes.max()) < 1:
        raise BadInput(
            "cluster_bootstrap", found="one cluster", wanted="at least two", fix="score more than one customer"
        )
    return codes


__all__ = ["Bootstrap", "Statistic", "cluster_bootstrap", "statistics_of"]
