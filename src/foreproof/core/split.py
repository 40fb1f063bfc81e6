"""The one gap law, and the splits that obey it.

An example of cutoff o and step s may be used at time t only if its label had settled:
`Grid.add(o, s) + delay <= t`. Purge and embargo are this inequality, and it stands only here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from foreproof.core.clock import Moment, Ticks, shift_ticks, ticks
from foreproof.core.grid import Grid
from foreproof.errors import BadInput


def settles(grid: Grid, cutoffs: Ticks, steps: int | Ticks, *, delay: str | int) -> Ticks:
    """When each label is settled, in ticks: `Grid.add(cutoff, step) + delay`."""
    offset = 0 if delay in ("0d", 0) else delay
    return shift_ticks(grid.shift(cutoffs, steps), offset, zone=grid.zone)


def settled(grid: Grid, cutoff: Moment, steps: int, *, delay: str | int, at: Moment) -> bool:
    """The gap law for one example: `Grid.add(cutoff, steps) + delay <= at`."""
    return int(settles(grid, np.array([ticks(cutoff)], dtype=np.int64), steps, delay=delay)[0]) <= ticks(at)


@dataclass(frozen=True, slots=True)
class Split:
    """Cutoffs to learn from, to calibrate on, and to be judged at; each earlier one settled at the later one."""

    train: tuple[Moment, ...]
    calibrate: tuple[Moment, ...]
    test: tuple[Moment, ...]


class Splitter(Protocol):
    """Makes splits of a line of cutoffs; deterministic, in order of time."""

    def split(self, cutoffs: Sequence[Moment]) -> Iterator[Split]:
        """One split for each cutoff that is judged."""
        ...


@dataclass(frozen=True, slots=True)
class RollingOrigin:
    """Judge at each of the last `origins` cutoffs; calibrate on up to `calibrations` settled ones before it; learn from the rest.

    A cutoff o is calibrated on at test cutoff t if `Grid.add(o, horizon) + delay <= t`, and learned from (that is, models
    whose residuals calibrate saw it) if it had settled at the earliest calibration cutoff.
    """

    grid: Grid
    horizon: int
    delay: str | int = 0
    origins: int = 4
    calibrations: int = 3

    def split(self, cutoffs: Sequence[Moment]) -> Iterator[Split]:
        """Splits by rolling origin, earliest first."""
        line = sorted(cutoffs, key=ticks)
        if len(line) < self.origins:
            raise BadInput(
                "backtest.origins",
                found=f"{len(line)} cutoffs in the history",
                wanted=f"{self.origins}",
                fix="lower backtest.origins, backtest.every or the horizon",
            )
        for test in line[len(line) - self.origins :]:
            ready = [o for o in line if settled(self.grid, o, self.horizon, delay=self.delay, at=test)]
            calibrate = ready[-self.calibrations :] if self.calibrations else []
            first = calibrate[0] if calibrate else test
            train = [o for o in ready if settled(self.grid, o, self.horizon, delay=self.delay, at=first)]
            yield Split(tuple(train), tuple(calibrate), (test,))


__all__ = ["RollingOrigin", "Split", "Splitter", "settled", "settles"]
