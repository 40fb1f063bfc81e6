"""One feature alone that is too good: the label under another name, or something that only its outcome causes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.gauntlet.judged import ALPHA, careful, point, rung, size, smallest
from foreproof.gauntlet.leaks.planted import copied
from foreproof.gauntlet.probe import Panel, alone, forward_folds, panel_of, told
from foreproof.gauntlet.scored import Score


@dataclass(frozen=True, slots=True)
class SingleFeature:
    """Failed where a feature alone surely scores above `limit`, or above `high` and by `lead` more than all others together.

    Scores: AUC, 1 - AUC where a feature says the opposite; for a quantity the correlation within series. A warning names a
    feature that is as good as everything and far from the others.
    """

    limit: float = 0.97
    high: float = 0.9
    lead: float = 0.15
    alpha: float = ALPHA
    name: str = "single feature"

    @property
    def control(self) -> Leak:
        """The label as a column."""
        return copied

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the feature's name."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        panel = panel_of(trial)
        scores = dict(alone(panel))
        whole = panel.score(told(panel, forward_folds(panel)))
        ranked = sorted(scores, key=lambda name: -scores[name].value)
        judged = {name: self._p(panel, name, scores[name]) for name in ranked[:3]}
        first = min(judged, key=lambda name: judged[name])
        p = smallest(judged[first], 2 * len(scores))
        others = [scores[name].value for name in ranked if name != first]
        words = f"{first} alone scores {scores[first].value:.3f}, all {len(scores)} features {whole.value:.3f}"
        if others:
            words += f", the next one {max(others):.3f}, the middle one {float(np.median(others)):.3f}"
        near = (
            others and scores[first].value >= whole.value - 0.005 and scores[first].value - max(others) > self.lead / 2
        )
        evidence = {
            "feature": first,
            "alone": [point(name, scores[name]) for name in ranked],
            "whole": point("all", whole),
            **size(panel),
        }
        return rung(
            self,
            p,
            figure=scores[first].value,
            limit=self.limit,
            told=(words, evidence),
            warning=f"{first} alone is as good as all features" if near else "",
        )

    def _p(self, panel: Panel, name: str, score: Score) -> float:
        """The smaller p of two ways to be too good."""
        rest = panel.columns(*(other for other in panel.names if other != name))
        others = rest.score(told(rest, forward_folds(rest)))
        leads = max(score.p_above(self.high), (score - others).p_above(self.lead))
        return min(score.p_above(self.limit), leads)


__all__ = ["SingleFeature"]
