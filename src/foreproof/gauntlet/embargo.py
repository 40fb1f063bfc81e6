"""The embargo audit: events just after the cutoff must not be known better than those that come later.

Labels say that something happened in a window, not when. But a label of 1 at the cutoff and of 0 some steps later dates the last
event in between: these entities are compared with the other positives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.judged import ALPHA, careful, point, rung, size
from foreproof.gauntlet.leaks.planted import fragment, later_labels
from foreproof.gauntlet.probe import FEWEST_ENTITIES, Panel, forward_folds, lighter, panel_of, told
from foreproof.gauntlet.scored import Floats, scored


@dataclass(frozen=True, slots=True)
class Embargo:
    """AUC of positives whose last event lies within `steps` of the cutoff, less that of the others, is not surely above `limit`.

    Both against the same rows without an event. Honest rows know frequent entities best, and those have events late in the
    window too, so the difference is below 0 as a rule. For chances only: a row of a quantity is of one date.

    Each score rests on the entities that have such an event, and on no others, so these are the draws of its band: with fewer
    than 10 of them on either side nothing is said, and Student's degrees of freedom are those of the smaller side (the safe
    choice for two means of unequal spread: Welch 1938, Biometrika 29).
    """

    steps: int = 7
    limit: float = 0.05
    alpha: float = ALPHA
    name: str = "embargo"

    @property
    def control(self) -> Leak:
        """A look-ahead by so many steps."""
        return fragment(self.steps)

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where the score is owed to events next to the cutoff."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        if trial.kind != "chance":
            raise BadInput(self.name, found="a quantity", wanted="labels of 0 and 1 over a window")
        trial = lighter(trial)
        panel = panel_of(trial)
        near = near_events(trial, panel, steps=self.steps)
        said = told(panel, forward_folds(panel))
        if near is None or self.steps >= trial.horizon:
            raise BadInput(self.name, found="no labels some steps later", wanted=f"a horizon above {self.steps} steps")
        known = np.isfinite(said)
        sides = [np.unique(panel.entity[known & (near == side)]).size for side in (1.0, 0.0)]
        if min(sides) < FEWEST_ENTITIES:
            raise BadInput(
                self.name,
                found=f"{sides[0]} entities with an event within {self.steps} steps, {sides[1]} with a later one",
                wanted=f"at least {FEWEST_ENTITIES} of each, to be drawn whole",
                fix="judge more cutoffs or more entities",
            )
        parts = []
        for other in (1.0, 0.0):
            # Positives of the other sort are left out; a row whose label later is not there is left out as well.
            kept = np.isfinite(said) & np.isfinite(near) | np.isfinite(said) & (panel.y < 0.5)
            kept &= ~((panel.y > 0.5) & (near != other))
            part = scored(
                "chance",
                panel.y[kept],
                said[kept],
                entity=panel.entity[kept],
                stratum=panel.stratum[kept],
                entities=panel.entities,
            )
            parts.append(part)
        gap = parts[0] - parts[1]
        words = f"events within {self.steps} steps score {parts[0].value:.3f}, later ones {parts[1].value:.3f}"
        evidence = {"scores": [point("near", parts[0]), point("later", parts[1])], "gap": point("gap", gap)}
        return rung(
            self,
            gap.p_above(self.limit, entities=min(sides)),
            figure=gap.value,
            limit=self.limit,
            told=(words, {**evidence, "near": int((near == 1.0).sum()), "near_entities": sides[0], **size(panel)}),
        )


def near_events(trial: Trial, panel: Panel, *, steps: int) -> Floats | None:
    """Of n rows: 1 for a positive whose last event lies within `steps` of the cutoff, 0 for a later one, NaN where unknown."""
    if trial.kind != "chance":
        return None
    index = [*trial.entity, CUTOFF, STEP]
    try:
        later = later_labels(trial, panel.index[CUTOFF].unique().sort().to_list(), steps)
    except BadInput:
        return None
    frame = panel.index.join(later, on=index, how="left", maintain_order="left")
    then = frame["_later"].to_numpy().astype(np.float64)
    return np.where((panel.y > 0.5) & np.isfinite(then), 1.0 - then, np.nan)


__all__ = ["Embargo", "near_events"]
