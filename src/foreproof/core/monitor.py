"""What is expected of served predictions once their outcomes are known: the plan's section `monitor`."""

from __future__ import annotations

from dataclasses import dataclass

from foreproof.core.section import Section
from foreproof.errors import PlanError


@dataclass(frozen=True, slots=True)
class Monitor:
    """Thresholds, over the outcomes of the newest `cutoffs` served cutoffs, once there are `least` of them.

    coverage: from and to, the share of outcomes inside the interval of 80%. wape: at most. worse: at most so many times the WAPE
    of the run's own backtest. calibration: at most, the gap between mean chance and share of buyers. auc: at least.
    """

    least: int = 30
    cutoffs: int = 4
    coverage: tuple[float, float] = (0.7, 0.9)
    wape: float | None = None
    worse: float = 1.5
    calibration: float = 0.1
    auc: float | None = None


def parse_monitor(section: Section) -> Monitor:
    """The section `monitor`; each setting has a default."""
    usual = Monitor()
    coverage = section.numbers("coverage", default=usual.coverage)
    if len(coverage) != 2 or not 0 <= coverage[0] <= coverage[1] <= 1:
        raise PlanError("monitor.coverage", found=str(list(coverage)), wanted="two shares, from and to: [0.7, 0.9]")
    found = Monitor(
        least=section.whole("least", default=usual.least, low=1),
        cutoffs=section.whole("cutoffs", default=usual.cutoffs, low=1),
        coverage=(coverage[0], coverage[1]),
        wape=section.number("wape", low=0.0) if "wape" in section else None,
        worse=section.number("worse", default=usual.worse, low=0.0),
        calibration=section.number("calibration", default=usual.calibration, low=0.0, high=1.0),
        auc=section.number("auc", low=0.0, high=1.0) if "auc" in section else None,
    )
    section.done()
    return found


__all__ = ["Monitor", "parse_monitor"]
