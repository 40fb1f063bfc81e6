"""Rolling origins: which past cutoffs a plan judges, calibrates on, and learns from."""

from __future__ import annotations

from dataclasses import dataclass

from foreproof.core.section import Section
from foreproof.errors import LawError


@dataclass(frozen=True, slots=True)
class Backtest:
    """How many origins are judged, how far apart in steps, how many settled ones calibrate each; examples for each fit.

    examples: cutoffs before a fit whose rows are learned from, `stride` steps apart.
    """

    origins: int
    every: int
    calibrations: int
    examples: int
    stride: int

    def fits(self, horizon: int) -> int:
        """How many cutoffs a run fits at: the served and judged ones, and before them those that calibrate the earliest."""
        return 1 + self.origins + self.calibrations + -(-horizon // self.every) - 1


def parse_backtest(section: Section, *, horizon: int, stride: int) -> Backtest:
    """The plan's `backtest`; stride: the default. Raises LawError for a random split, PlanError for what cannot be."""
    if section.text("split", default="time") != "time":
        raise LawError(
            f"{section.path}.split",
            found=section.text("split"),
            wanted="time: learn from what had settled before each cutoff (law 4, the gap law)",
            fix="leave split out; for customers apart use core.folds, which purges in time as well",
        )
    backtest = Backtest(
        origins=section.whole("origins", default=4, low=1),
        every=section.whole("every", default=horizon, low=1),
        calibrations=section.whole("calibrations", default=3, low=1),
        examples=section.whole("examples", default=12, low=1),
        stride=section.whole("stride", default=stride, low=1),
    )
    section.done()
    return backtest


__all__ = ["Backtest", "parse_backtest"]
