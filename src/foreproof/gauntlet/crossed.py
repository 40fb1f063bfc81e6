"""Random folds against forward in time: what a shuffled split would have reported beyond what can be had."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.gauntlet.judged import ALPHA, careful, point, rung, size
from foreproof.gauntlet.leaks.planted import hindsight
from foreproof.gauntlet.probe import forward_folds, mixed_folds, panel_of, told


@dataclass(frozen=True, slots=True)
class Crossed:
    """The score of random folds less the forward score, of the same rows, is not surely above `limit`.

    Random folds learn from later rows and from the same entity. A little gain is drift; a large one is knowledge of the time
    itself: history restated, statistics over all data, rows that come twice.
    """

    limit: float = 0.05
    limit_quantity: float = 0.15
    alpha: float = ALPHA
    name: str = "cross-validated minus forward"

    @property
    def control(self) -> Leak:
        """History restated with what came."""
        return hindsight

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where random folds see what the past does not show."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        panel = panel_of(trial)
        folds = forward_folds(panel)
        rows = np.concatenate([fold.test for fold in folds])
        ahead = panel.score(told(panel, folds))
        mixed = panel.score(told(panel, mixed_folds(panel, rows, seed=trial.seed)))
        gain = mixed - ahead
        limit = self.limit if trial.kind == "chance" else self.limit_quantity
        words = f"random folds score {mixed.value:.3f}, forward {ahead.value:.3f}: {gain.value:+.3f}"
        evidence = {"scores": [point("random folds", mixed), point("forward", ahead)], **size(panel)}
        evidence["gain"] = point("gain", gain)
        return rung(self, gain.p_above(limit), figure=gain.value, limit=limit, told=(words, evidence))


__all__ = ["Crossed"]
