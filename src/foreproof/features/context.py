"""What the families see: for a chunk of series, every past period that the features asked for, as known at each cutoff.

E series, C cutoffs, S steps. A family is a pair of functions: which lags a feature reads, and its column as an array that
broadcasts to [E, C, S]. The context answers lags and windows; it knows no family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.clock import Ticks
from foreproof.core.grid import Grid
from foreproof.features.cells import FAR, Cells, Gap, Reading, Values
from foreproof.features.declare import Anchor, Feature
from foreproof.features.kernels import Bools, Panel, carried, panel, window_sum
from foreproof.features.ledger import Events, EventSource, Ledger

Floats = npt.NDArray[np.float64]
"""NaN is null: no fact is NaN."""
Demand = Iterable[tuple[Reading | None, int]]
"""Readings (None: the series' own y) and the lags from the cutoff at which they are needed."""


@dataclass(frozen=True, slots=True)
class Text:
    """A column of categories: a position in `values` for each [E, C, S], -1 for null."""

    values: pl.Series
    place: Ticks


@dataclass(frozen=True, slots=True)
class Asked:
    """A column with one value for each row of the context, the same for all steps."""

    values: Floats


Column = Floats | Text | Asked


@dataclass(frozen=True, slots=True)
class Shape:
    """What a feature may ask before anything is read.

    steps: S; deepest: the largest lag at which the series have a fact. sweeps: whether sums of y over windows come from
    `window_sum` instead of the panel.
    """

    steps: Ticks
    deepest: int
    sweeps: bool


@dataclass(frozen=True, slots=True)
class Sourced:
    """Cells by the keys of their own table, and each series' key: one row may speak for several series.

    values: what the cells' values are positions of, for columns that are looked up and not added up.
    """

    cells: Cells
    key: Ticks
    gap: Gap
    values: pl.Series | None = None

    def part(self, codes: Ticks) -> Sourced:
        """The same for some series."""
        keys, key = np.unique(self.key[codes], return_inverse=True)
        return Sourced(self.cells.pick(keys), key.reshape(-1).astype(np.int64), self.gap, self.values)

    @property
    def size(self) -> int:
        """How many keys there are."""
        return int(self.key.max(initial=-1)) + 1


def _none() -> Ticks:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Context:
    """A chunk of E series at C cutoffs (period numbers) for S steps, and the R of E x C that are asked for.

    start: E x C, the first period with a visible fact, FAR where a series had not begun. sources: by `None` for y, by
    reading, and by feature for what is looked up. ledgers: events, for what needs no
    series. viewed: by feature, a frame a cutoff. names: the entities' columns. entity, turn: R each, whose row it is, and the
    position of its cutoff.
    """

    grid: Grid
    cutoffs: Ticks
    steps: Ticks
    start: Ticks
    sources: Mapping[Reading | Feature | None, Sourced]
    panels: Mapping[Reading | None, Panel]
    shape: Shape
    ledgers: Mapping[Events, Ledger] = field(default_factory=dict)
    viewed: Mapping[Feature, Sequence[pl.DataFrame]] = field(default_factory=dict)
    names: pl.DataFrame = field(default_factory=pl.DataFrame)
    entity: Ticks = field(default_factory=_none)
    turn: Ticks = field(default_factory=_none)

    @property
    def ends(self) -> Ticks:
        """R: the cutoff of each row."""
        return np.take(self.cutoffs, self.turn)

    def at(self, reading: Reading | None, lag: int) -> tuple[Values, Bools]:
        """E x C: the stored value `lag` steps before each cutoff, by the gap rule, and where there is one."""
        found, key, gap = self.panels[reading], self.sources[reading].key, self.sources[reading].gap
        place = found.slot[lag]
        value, present = found.value[place][key], found.present[place][key]
        if gap == "zero":
            present = present | (self.cutoffs - lag >= self.start)
        return value, present

    def life(self, lag: int, window: int) -> Ticks:
        """E x C: how many steps of (cutoff - lag - window, cutoff - lag] lie in the series' life."""
        end = self.cutoffs - lag
        steps: Ticks = np.maximum(end - np.maximum(end - window + 1, self.start) + 1, 0)
        return steps

    def sums(self, lag: int, window: int, *, nonzero: bool = False) -> tuple[Ticks, Ticks]:
        """E x C: the sum of y (or the count of y != 0) over (cutoff - lag - window, cutoff - lag], and its divisor."""
        own = self.sources[None]
        weights = (own.cells.value != 0).astype(np.int64) if nonzero else own.cells.value
        total = self._swept(weights, lag, window)
        count = self.life(lag, window) if own.gap == "zero" else self._swept(np.ones_like(weights), lag, window)
        return total, count

    def scale(self, reading: Reading | None) -> int:
        """What stored values are divided by."""
        return self.sources[reading].cells.scale

    def _swept(self, weights: Ticks, lag: int, window: int) -> Ticks:
        own = self.sources[None]
        total = window_sum(own.cells, weights, cutoffs=self.cutoffs, lag=lag, window=window, size=own.size)
        return total[own.key]


def anchored(lag: int, anchor: Anchor, steps: Ticks) -> list[int]:
    """Lags from the cutoff: a lag from the target of step s is lag - s from the cutoff."""
    return [lag] if anchor == "cutoff" else [lag - step for step in steps.tolist()]


def by_step(lags: Sequence[int], make: Callable[[int], Floats]) -> Floats:
    """E x C x len(lags): the column of each lag, made once however many steps share it."""
    made = {lag: make(lag) for lag in sorted(set(lags))}
    return np.stack([made[lag] for lag in lags], axis=-1)


def open_chunk(
    context: Context, demands: Mapping[Reading | None, Ticks], codes: Ticks, ledgers: Ledgers, *, exists: Bools
) -> Context:
    """The context of some entities, with the panels and ledgers that the features asked for. codes: rising. exists: E x C."""
    sources = {name: source.part(codes) for name, source in context.sources.items()}
    panels = {}
    for reading, lags in demands.items():
        source = sources[reading]
        if source.gap == "carry":
            # a carried value passes through every period between the lags
            lags = np.arange(lags[0], lags[-1] + 1, dtype=np.int64)
        gather = carried if source.gap == "carry" else panel
        panels[reading] = gather(source.cells, cutoffs=context.cutoffs, lags=lags, size=source.size)
    entity, turn = np.nonzero(exists)
    opened = {events: source.open(codes[entity], turn, cutoffs=context.cutoffs) for events, source in ledgers.items()}
    names = context.names[codes] if context.names.width else context.names
    return replace(
        context,
        start=context.start[codes],
        sources=sources,
        panels=panels,
        ledgers=opened,
        names=names,
        entity=entity,
        turn=turn,
    )


Ledgers = Mapping[Events, EventSource]
"""What events are read from."""
NEVER = FAR

__all__ = [
    "Asked",
    "Column",
    "Context",
    "Demand",
    "Floats",
    "Shape",
    "Sourced",
    "Text",
    "anchored",
    "by_step",
    "open_chunk",
]
