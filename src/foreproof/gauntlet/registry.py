"""Every check by its name: of which tier, for which labels, and how the plan's limits make it. The one list of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from foreproof.core.plugins import Plugin
from foreproof.core.trial import Check, Kind, Tier, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.as_logged import AsLogged
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
        "as logged": Entry("structural", lambda limits: AsLogged()),
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


def entries(limits: Proof) -> Mapping[str, Entry]:
    """The list, and after it the checks of plugins that a plan asks for."""
    return {**REGISTRY, **{plugin.name: own_entry(plugin) for plugin in limits.own}}


def own_entry(plugin: Plugin) -> Entry:
    """A plugin's check: its `tier` (else structural) and `kinds` (else both) are its own, the plan's limits its arguments.

    Raises BadInput for an object that is no check, or one of another name.
    """
    check: Check = plugin.able(plugin.made(), ("name", "control", "__call__"))
    if check.name != plugin.name:
        raise BadInput(plugin.subject, found=f"a check named {check.name!r}", wanted="the name of its entry point")
    tier: Tier = getattr(check, "tier", "structural")
    kinds: tuple[Kind, ...] = tuple(getattr(check, "kinds", _BOTH))
    return Entry(tier, lambda limits: plugin.made(**limits.of(plugin.name)), kinds)


def suite(limits: Proof, kind: Kind) -> tuple[Check | Verdict, ...]:
    """The checks of a proof in order; in the place of one that does not run, the verdict "not proven" that says why."""
    known = entries(limits)
    return tuple(
        known[name].make(limits) if not (why := limits.why_not(name)) else unrun(name, why, tier=known[name].tier)
        for name in (*names_of(kind), *(plugin.name for plugin in limits.own))
    )


def unrun(name: str, why: str, *, tier: Tier | None = None) -> Verdict:
    """The verdict on a check that did not run."""
    return Verdict(name, "not proven", None, None, why, {"ran": False}, tier=tier or REGISTRY[name].tier)


__all__ = ["REGISTRY", "Entry", "entries", "names_of", "own_entry", "suite", "unrun"]
