"""The line of cutoffs that a build walks: those served, what calibrates each, and whose examples are learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import polars as pl

from foreproof.core.backtest import Backtest
from foreproof.core.clock import Moment, Ticks, moment, tick_values, ticks, time_column
from foreproof.core.ports import Progress, StepStore
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.split import RollingOrigin, Split, settles
from foreproof.errors import BadInput
from foreproof.features.series import Series, VersionedSeries


class Timed(Protocol):
    """What a task says of time."""

    @property
    def series(self) -> Series:
        """The facts that it is about."""
        ...

    @property
    def horizon(self) -> int:
        """Steps predicted."""
        ...

    @property
    def delay(self) -> str | int:
        """How long after a step its label is settled."""
        ...


class Planned(Protocol):
    """A plan of any workload, as far as its cutoffs go."""

    @property
    def task(self) -> Timed:
        """Whose time it is."""
        ...

    @property
    def backtest(self) -> Backtest:
        """How many cutoffs, how far apart."""
        ...


@dataclass(frozen=True, slots=True)
class Bench:
    """Where work is done: the store of finished steps, the number of processes, and who hears of progress.

    learned: what was learned from which content, by digest: a rebuild meets the same content again, and need not learn it twice.
    """

    store: StepStore
    workers: int
    progress: Progress
    learned: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """The cutoffs of a build: those served, with what calibrates each, and those whose examples are learned from."""

    splits: Mapping[Moment, Split]
    fitted: tuple[Moment, ...]
    examples: Mapping[Moment, tuple[Moment, ...]]

    @property
    def all(self) -> list[Moment]:
        """Every cutoff for which features are needed, in order."""
        return sorted({*self.fitted, *(o for examples in self.examples.values() for o in examples)}, key=ticks)


def ladder(plan: Planned, last: Moment, rungs: int) -> list[Moment]:
    """`rungs` cutoffs up to `last`, `backtest.every` steps apart, earliest first."""
    grid = plan.task.series.grid
    steps = [-k * plan.backtest.every for k in reversed(range(rungs))]
    return [grid.add(last, step) for step in steps]


def line_of(plan: Planned, cutoffs: Sequence[Moment], first: Moment) -> Line:
    """The cutoffs of a build over `cutoffs`, none before `first`, the earliest fact."""
    task, backtest = plan.task, plan.backtest
    grid = task.series.grid
    splitter = RollingOrigin(grid, task.horizon, task.delay, origins=1, calibrations=backtest.calibrations)
    reach = backtest.calibrations + -(-task.horizon // backtest.every) + 1
    splits = {}
    for cutoff in cutoffs:
        before = [o for o in ladder(plan, cutoff, reach + 1) if ticks(o) > ticks(first)]
        splits[cutoff] = next(iter(splitter.split([*before[:-1], cutoff])))
        if not splits[cutoff].calibrate:
            raise BadInput(
                f"cutoff {cutoff}",
                found=f"no earlier origin whose {task.horizon} steps had settled (history begins at {first})",
                wanted="at least one origin to weigh models and calibrate intervals on",
                fix="shorten the horizon, lower backtest.origins, or load more history",
            )
    fitted = tuple(sorted({*splits, *(o for split in splits.values() for o in split.calibrate)}, key=ticks))
    back = [-k * backtest.stride for k in range(1, backtest.examples + 1)]
    examples = {t: tuple(o for o in (grid.add(t, step) for step in back) if ticks(o) >= ticks(first)) for t in fitted}
    return Line(splits, fitted, examples)


def first_moment(series: VersionedSeries) -> Moment:
    """The grid point of the earliest fact of any series."""
    periods = series.cells.period
    if not periods.size:
        raise BadInput(series.spec.table, found="no facts that the series keep", wanted="a history", fix="load some")
    grid = series.spec.grid
    return moment(int(grid.at(np.array([periods.min()], dtype=np.int64))[0]), integer=grid.integer)


def settle_ticks(task: Timed, frame: pl.DataFrame) -> Ticks:
    """When the label of each row (`cutoff`, `step`) is settled."""
    return settles(task.series.grid, tick_values(frame[CUTOFF]), frame[STEP].to_numpy(), delay=task.delay)


def manifest(task: Timed, cutoff: Moment, used: pl.DataFrame, *, role: str) -> pl.DataFrame:
    """What was used, read off the very frames that learning received: see `core.trial.Forecasts`."""
    settled = time_column("settled", settle_ticks(task, used), integer=task.series.grid.integer)
    served = pl.lit(cutoff, dtype=used.schema[CUTOFF]).alias(CUTOFF)
    named = used.rename({CUTOFF: "example"}).with_columns(settled, served, pl.lit(role).alias("role"))
    return named.select(CUTOFF, "example", STEP, "settled", "role")


def with_target(labels: pl.DataFrame, task: Timed) -> pl.DataFrame:
    """Labels with `target`, the moment that each is about."""
    reached = task.series.grid.shift(tick_values(labels[CUTOFF]), labels[STEP].to_numpy())
    return labels.with_columns(time_column("target", reached, integer=task.series.grid.integer))


def at(cutoff: Moment) -> pl.Expr:
    """The rows of one cutoff."""
    return pl.col(CUTOFF).to_physical() == ticks(cutoff)


__all__ = [
    "Bench",
    "Line",
    "Planned",
    "Timed",
    "at",
    "first_moment",
    "ladder",
    "line_of",
    "manifest",
    "settle_ticks",
    "with_target",
]
