"""Random folds against forward in time: what rows of all times say of each other beyond what the past says of what comes."""

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

    Random folds learn from later rows as well; they learn from as many rows as forward in time, and never from the entity that is
    scored, so an honest pipeline gains nothing by more rows or by meeting an account again whose labels overlap. A little gain is
    drift; a large one is knowledge of the time itself: history restated, statistics over all data.
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
        mix = told(panel, mixed_folds(panel, folds, seed=trial.seed))
        # A row that random folds could not score, for want of other entities, is not scored forward either.
        rows = np.flatnonzero(np.isfinite(mix))
        ahead, mixed = panel.score(told(panel, folds), rows), panel.score(mix)
        gain = mixed - ahead
        limit = self.limit if trial.kind == "chance" else self.limit_quantity
        words = f"random folds score {mixed.value:.3f}, forward {ahead.value:.3f}: {gain.value:+.3f}"
        evidence = {"scores": [point("random folds", mixed), point("forward", ahead)], **size(panel)}
        evidence["gain"] = point("gain", gain)
        return rung(self, gain.p_above(limit), figure=gain.value, limit=limit, told=(words, evidence))


__all__ = ["Crossed"]
