"""Probabilities: better than the base rate of each group, and calibrated, with accounts drawn as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.clusters import cluster_bootstrap, statistics_of
from foreproof.core.predict import CUTOFF, STEP, VALUE
from foreproof.core.trial import Leak, Outcome, Trial, Verdict
from foreproof.gauntlet import leaks

_OURS, _BASE, _SCORE = "ours", "base", "log_loss"
_NOTHING = "no cutoff with buyers and others has an outcome yet"


@dataclass(frozen=True, slots=True)
class BeatsRate:
    """The log loss is below that of the base rate, with the whole interval of the difference (accounts drawn) below 0."""

    alpha: float = 0.05
    name: str = "beats the base rate"

    @property
    def control(self) -> Leak:
        """The base rate served as the chance, and the chance called the base rate."""
        return leaks.swapped

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where the interval reaches 0."""
        rows = _judged(trial)
        if not _both(rows):
            return Verdict(self.name, "not proven", None, 0.0, _NOTHING, tier="statistical")
        y = rows["y"].to_numpy()
        statistics = {name: statistics_of(y, rows[name].to_numpy(), names=(_SCORE,))[_SCORE] for name in (_OURS, _BASE)}
        drawn = cluster_bootstrap(
            rows[trial.entity[0]].to_numpy(),
            statistics,
            rng=np.random.default_rng(trial.seed),
            pairs=[(_OURS, _BASE)],
            confidence=1.0 - 2.0 * self.alpha,
        )
        found = drawn.differences[_OURS, _BASE]
        outcome: Outcome = "passed" if found.high < 0.0 else "failed"
        base = drawn.intervals[_BASE].estimate
        words = (
            f"log loss {-found.estimate / base:.1%} below the base rate's; difference {found.estimate:.4f}, "
            f"{found.confidence:.0%} interval {found.low:.4f} to {found.high:.4f}, {drawn.clusters} accounts drawn"
        )
        evidence = {"difference": found.estimate, "low": found.low, "high": found.high, "pairs": rows.height}
        return Verdict(self.name, outcome, found.high, 0.0, words, evidence, tier="statistical")


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The calibration error (ten bins of equal weight) over all judged pairs is at most `limit`."""

    limit: float = 0.03
    name: str = "calibration"

    @property
    def control(self) -> Leak:
        """Chances twice as far from one half."""
        return leaks.overconfident

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where the error itself is above the limit."""
        rows = _judged(trial)
        if not _both(rows):
            return Verdict(self.name, "not proven", None, self.limit, _NOTHING, tier="statistical")
        metric = "calibration_mae"
        statistics = statistics_of(rows["y"].to_numpy(), rows[_OURS].to_numpy(), names=(metric,))
        rng = np.random.default_rng(trial.seed)
        found = cluster_bootstrap(rows[trial.entity[0]].to_numpy(), statistics, rng=rng).intervals[metric]
        outcome: Outcome = "passed" if found.estimate <= self.limit else "failed"
        error = f"chances are off by {found.estimate:.3f} in the mean of ten bins"
        words = f"{error} (95% interval {found.low:.3f} to {found.high:.3f})"
        evidence = {"low": found.low, "high": found.high}
        return Verdict(self.name, outcome, found.estimate, self.limit, words, evidence, tier="statistical")


def _judged(trial: Trial) -> pl.DataFrame:
    """Entity columns, `y`, `ours`, `base`, in order."""
    built = trial.run()
    index = [*trial.entity, CUTOFF, STEP]
    said = built.forecasts
    sides = ((said.predictions, _OURS), (said.baseline, _BASE))
    rows = built.labels.select(*index, "y")
    for frame, name in sides:
        rows = rows.join(frame.select(*index, pl.col(VALUE).alias(name)), on=index, how="inner", maintain_order="left")
    return rows.sort(index)


def _both(rows: pl.DataFrame) -> bool:
    return rows.height > 0 and 0.0 < float(rows["y"].sum()) < rows.height


__all__ = ["BeatsRate", "Calibrated"]
