"""Who reads near the cutoff, and what it brings: the features a leak would hide in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.embargo import near_events
from foreproof.gauntlet.judged import ALPHA, careful, rung, size
from foreproof.gauntlet.leaks.planted import copied
from foreproof.gauntlet.probe import Panel, coefficients, lighter, panel_of
from foreproof.gauntlet.safe_ablation import safe_names
from foreproof.gauntlet.scored import Floats, weights


@dataclass(frozen=True, slots=True)
class Adjacency:
    """The share of the probe's gain that comes from features without a declared nearness is not surely above `limit`.

    gain of a feature: coefficient x covariance with the label, its part of what is explained (Pratt 1987). A warning where the
    features that SAFE would drop carry more than `most` of it. Draws of whole entities give the p.
    """

    limit: float = 0.5
    most: float = 0.9
    replicates: int = 1999
    alpha: float = ALPHA
    name: str = "adjacency"

    @property
    def control(self) -> Leak:
        """The label as a column of which nobody said how near it reads."""
        return copied

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where an undeclared feature carries the score."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        if not trial.nearness:
            raise BadInput(self.name, found="no declared nearness", wanted="features that say how near they read")
        trial = lighter(trial)
        panel = panel_of(trial)
        gains = entity_gains(panel)
        safe = safe_names(trial, panel.names)
        undeclared = np.array([name not in trial.nearness for name in panel.names])
        near = np.array([name not in safe for name in panel.names])
        rng = np.random.default_rng(trial.seed)
        drawn = _shares(weights(rng, panel.entities, self.replicates) @ gains, undeclared)
        p = (1.0 + float((drawn <= self.limit).sum())) / (1.0 + self.replicates)
        whole = gains.sum(axis=0)[None, :]
        share, of_near = float(_shares(whole, undeclared)[0]), float(_shares(whole, near)[0])
        rows = _rows(trial, panel, whole[0], safe)
        words = (
            f"SAFE would drop {int(near.sum())} of {len(panel.names)} features with {of_near:.0%} of the probe's gain"
        )
        words += f"; {int(undeclared.sum())} undeclared ones carry {share:.0%}"
        loud = f"features near the cutoff carry {of_near:.0%} of the gain" if of_near > self.most else ""
        return rung(
            self,
            p,
            figure=share,
            limit=self.limit,
            told=(words, {"features": rows, **size(panel)}),
            warning=loud,
        )


def entity_gains(panel: Panel) -> Floats:
    """Entities x features: what each adds to the explained covariance, fitted once on all rows."""
    fitted = coefficients(panel, np.arange(panel.y.size), panel.y)
    y = panel.y - panel.y.mean()
    by_column = np.zeros((panel.entities, len(panel.owner)))
    np.add.at(by_column, panel.entity, panel.x * (y[:, None] * fitted[None, :]))
    owner = np.array([panel.names.index(name) for name in panel.owner])
    found = np.zeros((panel.entities, len(panel.names)))
    np.add.at(found.T, owner, by_column.T)
    return found


def _shares(gains: Floats, kept: npt.NDArray[np.bool_]) -> Floats:
    held = np.maximum(gains, 0.0)
    total = held.sum(axis=1)
    return np.asarray(np.where(total > 0.0, held[:, kept].sum(axis=1) / np.where(total > 0.0, total, 1.0), 0.0))


def _rows(trial: Trial, panel: Panel, gains: Floats, safe: tuple[str, ...]) -> list[dict[str, object]]:
    """By feature: nearness, share of the gain, whether SAFE keeps it, correlation to how near the event is."""
    total = float(np.maximum(gains, 0.0).sum()) or 1.0
    near = near_events(trial, panel, steps=max(1, min(7, trial.horizon // 2)))
    found: list[dict[str, object]] = []
    for place, name in enumerate(panel.names):
        column = panel.x[:, panel.owner.index(name)]
        known = np.isfinite(near) if near is not None else np.zeros(0, dtype=bool)
        to_date = _correlation(column[known], near[known]) if near is not None and known.sum() > 2 else None
        row = {"feature": name, "nearness": trial.nearness.get(name), "declared": name in trial.nearness}
        found.append({**row, "gain": max(0.0, float(gains[place])) / total, "safe": name in safe, "event": to_date})
    return sorted(found, key=lambda one: -float(str(one["gain"])))


def _correlation(a: Floats, b: Floats) -> float | None:
    if a.std() < 1e-9 or b.std() < 1e-9:
        return None
    return float(np.corrcoef(a, b)[0, 1])


__all__ = ["Adjacency", "entity_gains"]
