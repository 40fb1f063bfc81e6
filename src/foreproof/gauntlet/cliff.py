"""A cliff at the cutoff: what rows know should fade with their age, and not break off within a day or a week.

With s(d) the probe's score when rows are made d steps earlier, honest knowledge fades, fast at first: s(0) - s(d) may exceed
s(d) - s(2d), but not by much more than its double for one that fades as a power or slowly, and never by more than what d steps
of true foresight would add, s(-d) - s(0). A look-ahead by d breaks both: without it both differences are those of plain age.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.judged import ALPHA, careful, point, rung, smallest
from foreproof.gauntlet.leaks.planted import fragment, look_ahead
from foreproof.gauntlet.probe import lighter
from foreproof.gauntlet.scored import Score
from foreproof.gauntlet.shifted import curve, stepped


@dataclass(frozen=True, slots=True)
class Cliff:
    """(s(0) - s(d)) - steep (s(d) - s(2d)) is surely above `limit`, and s(0) - s(d) above `foresight` (s(-d) - s(0)).

    Scores are AUC for a chance, atanh of the correlation for a quantity. Where a row is of one step of several, leads take the
    place of shifts: steps up to d, the target kept, and s(-d) does not exist.
    """

    steps: tuple[int, ...] = (1, 7, 14, 30)
    steep: float = 2.0
    foresight: float = 0.5
    limit: float = 0.0
    limit_quantity: float = 0.3
    alpha: float = ALPHA
    name: str = "cliff"

    @property
    def control(self) -> Leak:
        """A look-ahead by the longest of the steps that is no more than half of a window."""
        return _longest(self.steps)

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the shift at which the score breaks off."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        trial = lighter(trial)
        limit = self.limit if trial.kind == "chance" else self.limit_quantity
        found = []
        curves: dict[int, list[dict[str, object]]] = {}
        for d in self.steps:
            scores = _scores(trial, d)
            if scores is None:
                continue
            excess, p = self.excess(scores, d, limit)
            curves[d] = [point(shift, score) for shift, score in sorted(scores.items())]
            found.append((p, d, excess, scores))
        if not found:
            raise BadInput(
                self.name,
                found=f"a horizon of {trial.horizon} steps and too little history",
                wanted=f"rows {2 * self.steps[0]} steps older and younger",
            )
        p, d, excess, scores = min(found, key=lambda one: one[0])
        words = (
            f"{d} steps of age cost {scores[0].value - scores[d].value:.3f}, {d} more "
            f"{scores[d].value - scores[2 * d].value:.3f}: {excess.value:+.3f} beyond {self.steep:g} times that"
        )
        evidence = {"curves": curves, "steps": d, "excess": point(d, excess)}
        return rung(
            self,
            smallest(p, len(found)),
            figure=excess.value,
            limit=limit,
            told=(words, evidence),
        )

    def excess(self, scores: Mapping[int, Score], d: int, limit: float) -> tuple[Score, float]:
        """By how much the first difference is too large, and the p of "it is not": the larger of both conditions'."""
        first, second = scores[0] - scores[d], scores[d] - scores[2 * d]
        # Knowledge that grows with age is no fading to compare with.
        excess = first if second.value < 0.0 else first - second.times(self.steep)
        p = excess.p_above(limit)
        if -d in scores:
            p = max(p, (first - (scores[-d] - scores[0]).times(self.foresight)).p_above(0.0))
        return excess, p


def _longest(steps: tuple[int, ...]) -> Leak:
    def too_late(trial: Trial) -> Trial:
        """Rows made after the cutoff, and what happened in between as a column: as many steps as can be told."""
        fits = [d for d in steps if _possible(trial, d)]
        steps_ahead = max([d for d in fits if stepped(trial) or 2 * d <= trial.horizon], default=max(fits, default=1))
        late = trial if stepped(trial) else look_ahead(steps_ahead)(trial)
        return fragment(steps_ahead)(late)

    return too_late


def _possible(trial: Trial, d: int) -> bool:
    return trial.horizon >= 1 + 2 * d if stepped(trial) else trial.horizon >= d


def _scores(trial: Trial, d: int) -> Mapping[int, Score] | None:
    """By shift, or None where there are no such rows."""
    if not _possible(trial, d):
        return None
    try:
        if stepped(trial):
            return {shift: score.fisher() for shift, score in curve(trial, (0, d, 2 * d), nearest=d).items()}
        found = curve(trial, (0, -d, d, 2 * d))
    except BadInput:
        return None
    return found if trial.kind == "chance" else {shift: score.fisher() for shift, score in found.items()}


__all__ = ["Cliff"]
