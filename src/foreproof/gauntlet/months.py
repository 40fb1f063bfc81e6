"""A frozen probe grows old: later cutoffs must not be explained better than early ones beyond what months differ by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.judged import ALPHA, careful, point, rung, size, smallest
from foreproof.gauntlet.leaks.planted import returning
from foreproof.gauntlet.probe import Fold, Panel, forward_folds, panel_of, told
from foreproof.gauntlet.scored import Score


@dataclass(frozen=True, slots=True)
class PrequentialDecline:
    """The mean score of the later half of the cutoffs is not surely above that of the earlier half by more than `limit`.

    Dawid (1984) for the prequential view: each cutoff is judged by a probe that learned before it, here once, before the first.
    """

    limit: float = 0.05
    limit_quantity: float = 0.2
    alpha: float = ALPHA
    name: str = "prequential decline"

    @property
    def control(self) -> Leak:
        """A column that is noise for a while and knows again."""
        return returning

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where far months are known better than near ones."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        panel = panel_of(trial)
        scores = frozen_scores(panel)
        half = len(scores) // 2
        gain = _mean(scores[-half:]) - _mean(scores[:half])
        limit = self.limit if trial.kind == "chance" else self.limit_quantity
        words = f"a probe frozen before the first of {len(scores)} cutoffs gains {gain.value:+.3f} in the later half"
        evidence = {"curve": [point(k, score) for k, score in enumerate(scores)], **size(panel)}
        evidence["gain"] = point("gain", gain)
        return rung(self, gain.p_above(limit), figure=gain.value, limit=limit, told=(words, evidence))


@dataclass(frozen=True, slots=True)
class ForwardMonth:
    """No later cutoff beats the freeze month, the first that the frozen probe is judged at, surely by more than `limit`."""

    limit: float = 0.1
    limit_quantity: float = 0.3
    alpha: float = ALPHA
    name: str = "forward month"

    @property
    def control(self) -> Leak:
        """A column that is noise for a while and knows again."""
        return returning

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the month that is known too well."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        panel = panel_of(trial)
        first, *later = frozen_scores(panel)
        gains = [score - first for score in later]
        limit = self.limit if trial.kind == "chance" else self.limit_quantity
        best = min(range(len(gains)), key=lambda k: gains[k].p_above(limit))
        p = smallest(gains[best].p_above(limit), len(gains))
        words = f"cutoff {best + 2} of {len(later) + 1} scores {gains[best].value:+.3f} against the freeze month"
        evidence = {"gains": [point(k + 1, gain) for k, gain in enumerate(gains)], **size(panel)}
        return rung(self, p, figure=gains[best].value, limit=limit, told=(words, evidence))


def frozen_scores(panel: Panel) -> list[Score]:
    """By cutoff, the score of the probe that learned before the first cutoff that has enough before it."""
    first = forward_folds(panel)[0]
    since = int(panel.time[first.test[0]])
    folds = [Fold(first.train, np.flatnonzero(panel.time == code)) for code in range(since, panel.cutoffs.size)]
    if len(folds) < 2:
        raise BadInput(
            "months", found="one cutoff with labels settled before it", wanted="two", fix="judge more origins"
        )
    said = told(panel, folds)
    return [panel.score(said, fold.test) for fold in folds]


def _mean(scores: list[Score]) -> Score:
    return Score(
        float(np.mean([score.value for score in scores])), np.mean([score.influence for score in scores], axis=0)
    )


__all__ = ["ForwardMonth", "PrequentialDecline", "frozen_scores"]
