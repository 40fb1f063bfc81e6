"""Which entities are asked about at which cutoffs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.clock import Ticks, tick_values, time_column
from foreproof.core.grid import Grid
from foreproof.core.predict import CUTOFF
from foreproof.errors import BadInput
from foreproof.features.kernels import Bools


@dataclass(frozen=True, slots=True)
class Population:
    """K entities at C cutoffs.

    keys: K rows, the entity's columns (text), distinct and sorted. cutoffs: C rising period numbers of the grid. member: K x C.
    """

    grid: Grid
    keys: pl.DataFrame
    cutoffs: Ticks
    member: Bools

    @property
    def entity(self) -> tuple[str, ...]:
        """The columns that name an entity."""
        return tuple(self.keys.columns)

    def frame(self) -> pl.DataFrame:
        """Entity columns and `cutoff`, one row a member, sorted."""
        row, cutoff = np.nonzero(self.member)
        at = self.grid.at(self.cutoffs)[cutoff]
        return self.keys[row].with_columns(time_column(CUTOFF, at, integer=self.grid.integer))

    def at(self, place: int) -> pl.DataFrame:
        """The members at the cutoff of a place."""
        return self.keys.filter(pl.Series(self.member[:, place]))


def population_of(pairs: pl.DataFrame, entity: Sequence[str], *, grid: Grid) -> Population:
    """A population from rows of entity columns and `cutoff` (grid points). Raises BadInput for repeated or off-grid rows."""
    names = list(entity)
    if pairs.select(*names, CUTOFF).is_duplicated().any():
        raise BadInput("population", found="an entity twice at one cutoff", wanted="one row for each", fix="drop one")
    at = tick_values(pairs[CUTOFF])
    periods = grid.index(at)
    if (grid.at(periods) != at).any():
        raise BadInput("population.cutoff", found="an instant inside a period", wanted="the last instant of a period")
    keys = pairs.select(names).unique().sort(names)
    codes = pairs.select(names).join(
        keys.with_columns(pl.int_range(pl.len()).alias("_code")), on=names, how="left", maintain_order="left"
    )["_code"]
    cutoffs = np.unique(periods)
    member = np.zeros((keys.height, len(cutoffs)), dtype=bool)
    member[codes.to_numpy(), np.searchsorted(cutoffs, periods)] = True
    return Population(grid, keys, cutoffs, member)


__all__ = ["Population", "population_of"]
