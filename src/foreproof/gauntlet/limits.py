"""The limits of the checks, and which of them run: the plan's section `proof`, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from foreproof.core.plugins import Plugin

Limit = float | int | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """alpha: of each statistical check. coverage: nominal, of the intervals that are tested. calibration: the largest
    calibration error. scrambles: cutoffs at which the future is scrambled. alone: entities served alone. off: checks that do not
    run. only: if not empty, the checks that do. limits: by check, those of its own limits that are not the usual ones. family:
    the rate of false alarms of all statistical checks together, after Holm. plant: a leak of the zoo that is planted on purpose.
    own: checks of plugins that the plan asks for.
    """

    alpha: float = 0.05
    coverage: float = 0.9
    calibration: float = 0.03
    scrambles: int = 1
    alone: int = 2
    off: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    limits: tuple[tuple[str, tuple[tuple[str, Limit], ...]], ...] = ()
    family: float = 0.05
    plant: str = ""
    own: tuple[Plugin, ...] = ()

    def of(self, name: str) -> dict[str, Limit]:
        """The limits that the plan sets for one check."""
        return dict(dict(self.limits).get(name, ()))

    def why_not(self, name: str) -> str:
        """Why a check does not run, in words; empty where it does."""
        if name in self.off:
            return "switched off in the plan (proof.off)"
        return "not asked for (proof.only)" if self.only and name not in self.only else ""


__all__ = ["Limit", "Proof"]
