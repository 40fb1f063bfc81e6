"""Does importance stay? A column that means another thing from some date on was coded anew, restated, or leaks in part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.judged import ALPHA, careful, rung, size
from foreproof.gauntlet.leaks.planted import turned
from foreproof.gauntlet.probe import Panel, panel_of
from foreproof.gauntlet.scored import Floats, Score, weights


@dataclass(frozen=True, slots=True)
class Stability:
    """Importance in both halves of the cutoffs: their agreement is not surely below `limit`, and no feature turns its sign.

    importance of a feature: its correlation with the label within cutoffs, with its sign. agreement: the cosine of the two
    halves' vectors, so that strong features count and noise does not; draws of whole entities give its p. A feature turns where
    it is surely beyond `turn` in one half and beyond -`turn` in the other. Spearman's rank is reported.
    """

    limit: float = 0.2
    turn: float = 0.1
    replicates: int = 1999
    alpha: float = ALPHA
    name: str = "stability"

    @property
    def control(self) -> Leak:
        """A column that turns its sign half way."""
        return turned

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the feature that changes most."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        panel = panel_of(trial)
        early, late = halves(panel)
        rng = np.random.default_rng(trial.seed)
        drawn = weights(rng, panel.entities, self.replicates)
        agreement = _cosines(drawn @ early, drawn @ late)
        first, second = early.sum(axis=0), late.sum(axis=0)
        figure = float(_cosines(first[None, :], second[None, :])[0])
        moved = (1.0 + float((agreement >= self.limit).sum())) / (1.0 + self.replicates)
        turns = [self._turns(early[:, k], late[:, k]) for k in range(early.shape[1])]
        p = min(1.0, 2.0 * min(moved, len(turns) * min(turns)))
        low, high = np.quantile(agreement, [0.025, 0.975])
        worst = panel.owner[int(np.argmax(np.abs(first - second)))]
        words = f"importance agrees by {figure:.2f} ({low:.2f} to {high:.2f}) between both halves; most moved: {worst}"
        evidence = {
            "feature": worst,
            "rank": _spearman(first, second),
            "importance": [
                {"feature": name, "early": float(a), "late": float(b)}
                for name, a, b in zip(panel.owner, first, second, strict=True)
            ],
            **size(panel),
        }
        return rung(self, p, figure=figure, limit=self.limit, told=(words, evidence))

    def _turns(self, early: Floats, late: Floats) -> float:
        """The p of "this feature does not turn": both halves have to be sure."""
        a, b = (Score(float(part.sum()), part - part.mean()) for part in (early, late))
        return min(max(x.p_above(self.turn), y.times(-1.0).p_above(self.turn)) for x, y in ((a, b), (b, a)))


def halves(panel: Panel) -> tuple[Floats, Floats]:
    """Entities x columns, twice: what each entity adds to the covariance with the label, over both halves of the cutoffs."""
    if panel.cutoffs.size < 2 or not panel.owner:
        raise BadInput("stability", found=f"{panel.cutoffs.size} cutoffs", wanted="two, and a feature")
    y = panel.y - (np.bincount(panel.stratum, weights=panel.y) / np.bincount(panel.stratum))[panel.stratum]
    found = []
    later = panel.time >= (panel.cutoffs.size + 1) // 2
    for chosen in (~later, later):
        spread = float(y[chosen].std()) or 1.0
        part = np.zeros((panel.entities, len(panel.owner)))
        np.add.at(part, panel.entity[chosen], panel.x[chosen] * (y[chosen, None] / spread / chosen.sum()))
        found.append(part)
    return found[0], found[1]


def _cosines(a: Floats, b: Floats) -> Floats:
    size_of = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.where(size_of > 0.0, size_of, 1.0))


def _spearman(a: Floats, b: Floats) -> float:
    first, second = (np.argsort(np.argsort(np.abs(values))).astype(np.float64) for values in (a, b))
    return float(np.corrcoef(first, second)[0, 1]) if a.size > 1 else 1.0


__all__ = ["Stability", "halves"]
