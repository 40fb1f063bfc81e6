"""Every check by its name: of which tier, for which labels, and how the plan's limits make it. The one list of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from foreproof.core.trial import Check, Kind, Tier, Verdict
from foreproof.gauntlet.baseline import BeatsBaseline
from foreproof.gauntlet.chances import BeatsRate, Calibrated
from foreproof.gauntlet.coverage import Coverage
from foreproof.gauntlet.duplicates import Duplicates
from foreproof.gauntlet.gap import GapLaw
from foreproof.gauntlet.intervals import Intervals
from foreproof.gauntlet.limits import Proof
from foreproof.gauntlet.overlap import Overlap
from foreproof.gauntlet.population import SamePopulation
from foreproof.gauntlet.rebuild import Rebuild
from foreproof.gauntlet.repetition import Repetition
from foreproof.gauntlet.replay import Replay
from foreproof.gauntlet.scramble import FutureScramble
from foreproof.gauntlet.serving import Serving
from foreproof.gauntlet.statistical import CHANCES_ONLY, STATISTICAL, Factory

_BOTH: tuple[Kind, ...] = ("quantity", "chance")


@dataclass(frozen=True, slots=True)
class Entry:
    """One check of the list. kinds: of label that it can judge. make: the check under a plan's limits."""

    tier: Tier
    make: Callable[[Proof], Check]
    kinds: tuple[Kind, ...] = _BOTH


def _statistical(name: str, factory: Factory) -> Entry:
    return Entry(
        "statistical", lambda limits: factory(**limits.of(name)), ("chance",) if name in CHANCES_ONLY else _BOTH
    )


REGISTRY: Mapping[str, Entry] = MappingProxyType(
    {
        "rebuild": Entry("structural", lambda limits: Rebuild()),
        "replay": Entry("structural", lambda limits: Replay()),
        "future scramble": Entry("structural", lambda limits: FutureScramble(cutoffs=limits.scrambles)),
        "same population": Entry("structural", lambda limits: SamePopulation()),
        "intervals": Entry("structural", lambda limits: Intervals()),
        "gap law": Entry("structural", lambda limits: GapLaw()),
        "overlap": Entry("structural", lambda limits: Overlap()),
        "duplicates": Entry("structural", lambda limits: Duplicates()),
        "repetition": Entry("structural", lambda limits: Repetition()),
        "serving": Entry("structural", lambda limits: Serving(entities=limits.alone)),
        "beats the baseline": Entry("statistical", lambda limits: BeatsBaseline(alpha=limits.alpha), ("quantity",)),
        "coverage": Entry(
            "statistical", lambda limits: Coverage(nominal=limits.coverage, alpha=limits.alpha), ("quantity",)
        ),
        "beats the base rate": Entry("statistical", lambda limits: BeatsRate(alpha=limits.alpha), ("chance",)),
        "calibration": Entry("statistical", lambda limits: Calibrated(limit=limits.calibration), ("chance",)),
        **{name: _statistical(name, factory) for name, factory in STATISTICAL.items()},
    }
)


def names_of(kind: Kind, tier: Tier | None = None) -> tuple[str, ...]:
    """The checks for a kind of label, in order; of one tier or of both."""
    return tuple(name for name, one in REGISTRY.items() if kind in one.kinds and tier in (None, one.tier))


def suite(limits: Proof, kind: Kind) -> tuple[Check | Verdict, ...]:
    """The checks of a proof in order; in the place of one that does not run, the verdict "not proven" that says why."""
    return tuple(
        REGISTRY[name].make(limits) if not (why := limits.why_not(name)) else unrun(name, why)
        for name in names_of(kind)
    )


def unrun(name: str, why: str) -> Verdict:
    """The verdict on a check that did not run."""
    return Verdict(name, "not proven", None, None, why, {"ran": False}, tier=REGISTRY[name].tier)


__all__ = ["REGISTRY", "Entry", "names_of", "suite", "unrun"]
