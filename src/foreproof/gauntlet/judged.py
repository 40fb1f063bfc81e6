"""How a statistical check says what it found: by its p, and "not applicable" where the data cannot answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from foreproof.core.trial import Outcome, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.probe import Panel
from foreproof.gauntlet.scored import Score

ALPHA = 0.003
"""The p below which one check fails by itself: a chance of 5% for the proof, over some sixteen checks (Bonferroni).

Holm's correction over a whole proof is at least as quick to fail, see `gauntlet.holm`.
"""


def careful(name: str, judge: Callable[[Trial], Verdict], trial: Trial) -> Verdict:
    """What a check says of a trial; input that it cannot judge is a verdict too."""
    if not trial.entity:
        return Verdict(name, "not applicable", None, None, "one series: no entities to draw whole", tier="statistical")
    try:
        return judge(trial)
    except BadInput as error:
        return Verdict(name, "not applicable", None, None, str(error), tier="statistical")


class Alarm(Protocol):
    """A check that fails by a small p."""

    @property
    def name(self) -> str:
        """The name in plans, tables and pages."""
        ...

    @property
    def alpha(self) -> float:
        """The p below which it fails by itself."""
        ...


def rung(
    check: Alarm, p: float, *, figure: float, limit: float, told: tuple[str, Mapping[str, Any]], warning: str = ""
) -> Verdict:
    """The verdict of an alarm: failed where p is below its alpha. told: words and evidence."""
    words, evidence = told
    outcome: Outcome = "failed" if p < check.alpha else "passed"
    words = f"{words}; p = {p:.2g}"
    return Verdict(check.name, outcome, figure, limit, words, evidence, tier="statistical", p=p, warning=warning)


def smallest(p: float, tries: int) -> float:
    """The smallest of so many p-values, corrected for having looked at all of them (Bonferroni)."""
    return min(1.0, p * tries)


def size(panel: Panel) -> dict[str, Any]:
    """How much was looked at, for the evidence."""
    return {"rows": panel.y.size, "of_rows": panel.whole, "entities": panel.entities, "cutoffs": panel.cutoffs.size}


def point(x: object, score: Score) -> dict[str, Any]:
    """One row of a curve: x, the score and its 95% band."""
    band = score.band()
    return {"x": x, "score": band.estimate, "low": band.low, "high": band.high}


__all__ = ["ALPHA", "Alarm", "careful", "point", "rung", "size", "smallest"]
