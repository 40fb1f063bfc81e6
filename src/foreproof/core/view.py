"""Tables, the database, and the one door to the past: a `View` cut at a cutoff.

A view at cutoff c holds, for each key, the version with the largest `known <= c` (ties: the later batch); a tombstone
version hides its key; nothing is overwritten. As intervals: version v of a key is visible for c in `[known(v), until(v))`,
where until(v) is the `known` of the version that follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from foreproof.core.clock import FOREVER, INSTANT, Moment, literal, ticks
from foreproof.core.contract import BATCH, DELETED, KNOWN, UNTIL, Contract
from foreproof.errors import BadInput, LawError


@dataclass(frozen=True)
class Table:
    """Rows that kept their contract: key and value columns, `_happened`, `_known`, `_batch` (Int64), `_deleted`.

    All versions are there; `core.table.parse` and the lake are the only makers.
    """

    contract: Contract
    rows: pl.DataFrame

    @cached_property
    def versions(self) -> pl.DataFrame:
        """The rows with `_until` in ticks: the `_known` of the next version of the key, else FOREVER."""
        keys = list(self.contract.keys)
        known = pl.col(KNOWN).to_physical()
        if not _repeats(self.rows.select(keys)):
            return self.rows.with_columns(pl.lit(FOREVER, dtype=pl.Int64).alias(UNTIL))
        ordered = self.rows.sort([*keys, KNOWN, BATCH], maintain_order=True)
        return ordered.with_columns(known.shift(-1).over(keys).fill_null(FOREVER).alias(UNTIL))

    def as_of(self, cutoff: Moment) -> pl.DataFrame:
        """The visible rows: known <= cutoff < until, tombstones dropped."""
        self._same_clock(cutoff)
        at = ticks(cutoff)
        visible = (pl.col(KNOWN).to_physical() <= at) & (pl.col(UNTIL) > at) & ~pl.col(DELETED)
        return self.versions.filter(visible).drop(UNTIL)

    def truncate(self, cutoff: Moment) -> Table:
        """All versions known at the cutoff, as if nothing later had ever been written."""
        self._same_clock(cutoff)
        return Table(self.contract, self.rows.filter(pl.col(KNOWN) <= literal(cutoff)))

    def _same_clock(self, cutoff: Moment) -> None:
        if (self.rows[KNOWN].dtype != INSTANT) != isinstance(cutoff, int):
            raise BadInput(
                f"{self.contract.name}: cutoff",
                found=f"{cutoff!r} on a clock of {self.rows[KNOWN].dtype}",
                wanted="a cutoff on the table's own clock",
            )


@dataclass(frozen=True, slots=True)
class View:
    """What could be known at a cutoff: one version a key, no row known later."""

    cutoff: Moment
    tables: Mapping[str, Table]

    def __post_init__(self) -> None:
        for name, table in self.tables.items():
            later = table.rows.filter(pl.col(KNOWN) > literal(self.cutoff))
            if later.height:
                raise LawError(
                    f"view at {self.cutoff}",
                    found=f"{later.height} rows of {name} that were known later",
                    wanted="known <= cutoff (law 1, two clocks)",
                )

    def __getitem__(self, name: str) -> pl.DataFrame:
        """The visible rows of one table."""
        return _find(self.tables, name).rows


@dataclass(frozen=True, slots=True)
class Database:
    """All versions of all tables. Only the engine, `Task.labels` and the compiler hold one; models get a `View`."""

    tables: Mapping[str, Table]

    def __getitem__(self, name: str) -> Table:
        """One table by name."""
        return _find(self.tables, name)

    def as_of(self, cutoff: Moment) -> View:
        """The view at a cutoff."""
        return View(cutoff, {name: Table(t.contract, t.as_of(cutoff)) for name, t in self.tables.items()})

    def truncate(self, cutoff: Moment) -> Database:
        """The database as it was at the cutoff: every row with known > cutoff gone, older versions kept."""
        return Database({name: table.truncate(cutoff) for name, table in self.tables.items()})


def _repeats(keys: pl.DataFrame) -> bool:
    """Whether a key has several versions; rows whose hashes all differ need no closer look."""
    return keys.hash_rows().n_unique() < keys.height and bool(keys.is_duplicated().any())


def _find(tables: Mapping[str, Table], name: str) -> Table:
    if name not in tables:
        raise BadInput("database", found=f"no table {name!r}", wanted=f"one of {', '.join(sorted(tables))}")
    return tables[name]


__all__ = ["Database", "Table", "View"]
