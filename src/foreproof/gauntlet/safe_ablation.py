"""Full against SAFE: how much of the score rests on features that a leak near the cutoff could hide in."""

from __future__ import annotations

from dataclasses import dataclass

from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.judged import ALPHA, careful, point, rung, size
from foreproof.gauntlet.leaks.planted import copied
from foreproof.gauntlet.probe import Panel, forward_folds, frame_of, panel_of, told

NEAR = 30
"""Steps: what reads nearer than this is left out of SAFE."""


@dataclass(frozen=True, slots=True)
class SafeAblation:
    """The score of all features less that of SAFE, paired on the same rows, is not surely above `limit`.

    SAFE is the trial's own build of it, else the features that are declared to read nothing within 30 steps (or no past fact).
    The difference is one of log odds of AUC, or of atanh of a correlation: near facts rightly explain much, and 2.2 is all the
    way from nothing to an AUC of .9. Warnings where more than `much` of the score is surely lost, and where SAFE costs nothing.
    """

    limit: float = 2.2
    much: float = 0.1
    little: float = 0.01
    alpha: float = ALPHA
    name: str = "safe ablation"

    @property
    def control(self) -> Leak:
        """The label as a column, which SAFE does not have."""
        return copied

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where too much of the score is lost with SAFE."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        full, safe = _both(trial)
        ours, theirs = (panel.score(told(panel, forward_folds(panel))) for panel in (full, safe))
        loss, stretched = ours - theirs, ours.stretched(trial.kind) - theirs.stretched(trial.kind)
        band = loss.band()
        words = (
            f"all {len(full.names)} features score {ours.value:.3f}, SAFE with {len(safe.names)} {theirs.value:.3f}: "
            f"loss {loss.value:.3f} (95% {band.low:.3f} to {band.high:.3f})"
        )
        evidence = {
            "scores": [point("full", ours), point("SAFE", theirs)],
            "loss": point("loss", loss),
            "stretched": point("loss", stretched),
            "dropped": [name for name in full.names if name not in safe.names],
            **size(full),
        }
        warning = ""
        if band.low > self.much:
            warning = f"{loss.value:.2f} of the score rests on features near the cutoff"
        elif band.high <= self.little and len(safe.names) < len(full.names):
            warning = "SAFE costs nothing here: serve it"
        p = stretched.p_above(self.limit)
        told_loss = (words, evidence)
        return rung(self, p, figure=stretched.value, limit=self.limit, told=told_loss, warning=warning)


def safe_names(trial: Trial, names: tuple[str, ...]) -> tuple[str, ...]:
    """Features that are declared to read nothing within 30 steps; an undeclared one is taken for near."""
    return tuple(name for name in names if name in trial.nearness and _far(trial.nearness[name]))


def _far(nearness: int | None) -> bool:
    return nearness is None or nearness >= NEAR


def _both(trial: Trial) -> tuple[Panel, Panel]:
    frame = frame_of(trial)
    index = [*trial.entity, CUTOFF, STEP]
    if trial.safe is not None:
        # The cutoffs of the full build, so that both are judged on the same rows.
        cutoffs = frame[CUTOFF].unique().sort().to_list()
        other = frame_of(trial.with_build(trial.safe), cutoffs=cutoffs)
        other = other.join(frame.select(index), on=index, how="semi").sort(index)
        frame = frame.join(other.select(index), on=index, how="semi").sort(index)
        return panel_of(trial, frame), panel_of(trial, other)
    if not trial.nearness:
        raise BadInput(
            "safe ablation",
            found="no declared nearness and no SAFE build",
            wanted="features that say how near they read",
        )
    full = panel_of(trial, frame)
    if not safe_names(trial, full.names):
        raise BadInput(
            "safe ablation", found="no feature that reads nothing nearer than 30 steps", wanted="one at least"
        )
    return full, full.columns(*safe_names(trial, full.names))


__all__ = ["NEAR", "SafeAblation", "safe_names"]
