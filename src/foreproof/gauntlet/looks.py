"""Research honesty: who looks at a hold-out ten times and keeps the best has seen ten chances, not one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Leak, Outcome, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet import leaks
from foreproof.gauntlet.drift import codes
from foreproof.gauntlet.judged import careful, smallest
from foreproof.gauntlet.scored import Score

_FEWEST = 8


@dataclass(frozen=True, slots=True)
class Looks:
    """The gain over the baseline could still be chance with a probability of at most `alpha`, times `looks` (Bonferroni).

    looks: how often this hold-out was looked at, this time included; the trial may say more, as the log counts. A claim and no
    alarm: Holm's correction over the proof does not touch it.
    """

    looks: int = 1
    alpha: float = 0.05
    name: str = "looks"

    @property
    def control(self) -> Leak:
        """The baseline served as the forecast."""
        return leaks.swapped

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where the gain does not survive the number of looks."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        looks = max(self.looks, trial.looks)
        if min(self.looks, trial.looks) < 1:
            raise BadInput("looks", found=str(self.looks), wanted="at least 1: this look counts")
        gains = gain_scores(trial)
        raw = max(score.p_above(0.0) for score in gains.values())
        p = smallest(raw, looks)
        gain = next(iter(gains.values())).value
        words = f"gain in loss {gain:.4g}, p = {raw:.2g}, and {p:.2g} after {looks} looks at this hold-out"
        outcome: Outcome = "passed" if p <= self.alpha else "failed"
        evidence = {"looks": looks, "p_raw": raw, "p_corrected": p, "gain": gain}
        warning = "the gain was beyond chance before the looks were counted" if raw <= self.alpha < p else ""
        return Verdict(self.name, outcome, p, self.alpha, words, evidence, tier="statistical", warning=warning)


def gain_scores(trial: Trial) -> dict[str, Score]:
    """The baseline's loss less ours (log loss; absolute error over the series' mean |y|), clustered by entity and by target."""
    built = trial.run()
    index = [*trial.entity, CUTOFF, STEP]
    rows = built.labels.select(*index, "target", pl.col("y").cast(pl.Float64))
    for name, frame in (("ours", built.forecasts.predictions), ("base", built.forecasts.baseline)):
        point = frame.filter(pl.col(LEVEL).is_null()).select(*index, pl.col(VALUE).alias(name))
        rows = rows.join(point, on=index, how="inner")
    rows = rows.sort(index)
    if trial.kind == "chance":
        kept = pl.col("ours", "base").clip(1e-9, 1.0 - 1e-9)
        rows = rows.with_columns(kept)
        loss = [-(pl.col("y") * pl.col(n).log() + (1 - pl.col("y")) * (1 - pl.col(n)).log()) for n in ("base", "ours")]
    else:
        scale = pl.col("y").abs().mean().over(trial.entity)
        rows = rows.with_columns(scale.alias("_scale")).filter(pl.col("_scale") > 0.0)
        loss = [(pl.col(n) - pl.col("y")).abs() / pl.col("_scale") for n in ("base", "ours")]
    difference = rows.select((loss[0] - loss[1]).alias("d"))["d"].to_numpy()
    found = {}
    for name in (trial.entity[0], "target"):
        # Targets of a window overlap, so few of them are no clusters to speak of.
        if rows.height and rows[name].n_unique() >= _FEWEST:
            place, count = codes(rows[name])
            part = np.bincount(place, weights=difference - difference.mean(), minlength=count) / difference.size
            found[name] = Score(float(difference.mean()), part)
    if not found:
        raise BadInput("looks", found="too few entities", wanted=f"at least {_FEWEST}")
    return found


__all__ = ["Looks", "gain_scores"]
