"""Older rows must not know more: the score at shifts of weeks against the score at the cutoff.

The classic rule "the curve falls monotonically" rings on honest data. What no honest pipeline does is to explain a label
surely better from rows that are weeks older: then rows stand under the wrong cutoff, or the label does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.judged import ALPHA, careful, point, rung, size, smallest
from foreproof.gauntlet.leaks.planted import far_sighted
from foreproof.gauntlet.probe import Panel, forward_folds, lighter, told
from foreproof.gauntlet.scored import Floats, Score
from foreproof.gauntlet.shifted import shifted_panels, stepped


@dataclass(frozen=True, slots=True)
class ShiftGrid:
    """s(d) - s(0) is surely above `epsilon` for no shift d; a warning where it is above, or lift at 10% by `epsilon_lift`."""

    shifts: tuple[int, ...] = (7, 14, 28, 56)
    epsilon: float = 0.01
    epsilon_quantity: float = 0.03
    epsilon_lift: float = 0.25
    alpha: float = ALPHA
    name: str = "shift grid"

    @property
    def control(self) -> Leak:
        """Rows that hold the label of a later cutoff."""
        return _later(self.shifts)

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the shift that knows more."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        trial = lighter(trial)
        limit = self.epsilon if trial.kind == "chance" else self.epsilon_quantity
        gains: dict[int, tuple[Score, Score, float]] = {}
        rows: dict[str, object] = {}
        for d in _fitting(trial, self.shifts):
            try:
                panels = shifted_panels(trial, (0, d))
                folds = forward_folds(panels[0])
            except BadInput:
                continue
            said = {shift: told(panel, folds) for shift, panel in panels.items()}
            scores = {shift: panel.score(said[shift]) for shift, panel in panels.items()}
            lift = lift10(panels[d], said[d]) - lift10(panels[0], said[0]) if trial.kind == "chance" else 0.0
            gains[d] = (scores[d] - scores[0], scores[d], lift)
            rows = size(panels[0])
        if not gains:
            raise BadInput(self.name, found="no shift that fits history and horizon", wanted="a longer history")
        d = min(gains, key=lambda shift: gains[shift][0].p_above(limit))
        gain = gains[d][0]
        p = smallest(gain.p_above(limit), len(gains))
        words = f"rows {d} steps older score {gain.value:+.3f} against those of the cutoff ({len(gains)} shifts)"
        louder = [
            f"{shift} steps older: score {one.value:+.3f}, lift at 10% {lift:+.2f}"
            for shift, (one, _, lift) in gains.items()
            if one.value > limit or lift > self.epsilon_lift
        ]
        evidence = {
            "curve": [point(shift, score) for shift, (_, score, _) in gains.items()],
            "gains": [point(shift, one) for shift, (one, _, _) in gains.items()],
            "lift_gains": {shift: lift for shift, (_, _, lift) in gains.items()},
            **rows,
        }
        return rung(
            self,
            p,
            figure=gain.value,
            limit=limit,
            told=(words, evidence),
            warning="; ".join(louder),
        )


def lift10(panel: Panel, said: Floats) -> float:
    """The rate among the tenth with the largest score of each cutoff, over the rate of all."""
    seen = np.isfinite(said)
    top = np.zeros(seen.size, dtype=bool)
    for code in np.unique(panel.time[seen]):
        rows = np.flatnonzero(seen & (panel.time == code))
        best = rows[np.argsort(-said[rows], kind="stable")][: max(1, rows.size // 10)]
        top[best] = True
    base = float(panel.y[seen].mean())
    return float(panel.y[top].mean()) / base if base > 0.0 else 0.0


def _fitting(trial: Trial, shifts: tuple[int, ...]) -> list[int]:
    """The shifts that leave a step to look at; a horizon shorter than all of them is looked at half way."""
    if not stepped(trial):
        return list(shifts)
    fitting = [d for d in shifts if d < trial.horizon]
    return fitting or [max(1, trial.horizon // 2)]


def _later(shifts: tuple[int, ...]) -> Leak:
    def knows_later(trial: Trial) -> Trial:
        """A column that holds the label of the first shift later."""
        return far_sighted(min(_fitting(trial, shifts)))(trial)

    return knows_later


__all__ = ["ShiftGrid", "lift10"]
