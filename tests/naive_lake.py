"""The lake as plain lists and loops: slow, and right by reading. Also the tables that its tests are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from foreproof.core.clock import Ticks, time_column
from foreproof.core.contract import (
    BATCH,
    DELETED,
    HAPPENED,
    KNOWN,
    OCCURRENCE,
    Column,
    Contract,
    Known,
    Stamp,
)
from foreproof.core.view import Table

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

COLUMNS = (
    Column("sku", "text"),
    Column("qty", "decimal", decimals=2, nullable=True),
    Column("price", "real", nullable=True),
)
CONTRACTS = {
    # One fact a sku and day.
    "daily": Contract("daily", ("sku", "day"), Stamp("day", period="1d"), Known("column", "loaded"), COLUMNS),
    # One fact a sku, valid from an instant: `_happened` is a value here.
    "slow": Contract("slow", ("sku",), Stamp("valid_from"), Known("same_as_happened"), COLUMNS),
    # No key: a row is its own key, with its number among exact repeats.
    "lines": Contract("lines", (), Stamp("at"), Known("delay", offset="1h"), COLUMNS),
    # Integer steps: no load time.
    "steps": Contract("steps", ("sku", "t"), Stamp("t", period="integer"), Known("column", "seen"), COLUMNS),
}


def at(tick: int) -> datetime:
    """The instant of a tick."""
    return EPOCH + timedelta(microseconds=tick)


@dataclass(frozen=True)
class Row:
    """One row of a batch; known and happened in ticks, qty scaled."""

    sku: str
    happened: int
    known: int
    qty: int | None = 1
    price: float | None = None
    deleted: bool = False
    occurrence: int = 0


def _ticks(values: Iterable[int]) -> Ticks:
    return np.array(list(values), dtype=np.int64)


def table_of(contract: Contract, rows: list[Row]) -> Table:
    """The rows as `core.table.parse` hands them on."""
    integer = contract.integer
    frame = pl.DataFrame(
        {
            "sku": pl.Series([row.sku for row in rows], dtype=pl.String),
            "qty": pl.Series([row.qty for row in rows], dtype=pl.Int64),
            "price": pl.Series([row.price for row in rows], dtype=pl.Float64),
            HAPPENED: time_column(HAPPENED, _ticks(r.happened for r in rows), integer=integer),
            KNOWN: time_column(KNOWN, _ticks(r.known for r in rows), integer=integer),
            BATCH: pl.Series([0] * len(rows), dtype=pl.Int64),
            DELETED: pl.Series([row.deleted for row in rows], dtype=pl.Boolean),
        }
    )
    if not contract.key:
        frame = frame.with_columns(pl.Series(OCCURRENCE, [row.occurrence for row in rows], dtype=pl.Int64))
    return Table(contract, frame)


def batch(n: int) -> Table:
    """Batch n of a history: the 300 rows of day n, and a correction of one row of each earlier day."""
    rows = [Row(f"s{i}", n, n, i) for i in range(300)]
    return table_of(CONTRACTS["daily"], rows + [Row("s0", day, day, 1000 * n) for day in range(n)])


def noise(rows: int) -> Table:
    """Rows whose names hardly compress: about ten bytes each on disk."""
    names = [f"{value:x}" for value in np.random.default_rng(1).integers(0, 2**62, rows)]
    return table_of(CONTRACTS["daily"], [Row(name, 100, 100) for name in names])


Stored = tuple[str, int, int, int | None, float | None, bool, int, int]


def stored_rows(table: Table) -> list[Stored]:
    """A table's rows as sorted tuples: sku, happened, known, qty, price, deleted, occurrence, batch."""
    frame = table.rows.with_columns(pl.col(HAPPENED, KNOWN).to_physical())
    if OCCURRENCE not in frame.columns:
        frame = frame.with_columns(pl.lit(0, dtype=pl.Int64).alias(OCCURRENCE))
    rows = frame.select("sku", HAPPENED, KNOWN, "qty", "price", DELETED, OCCURRENCE, BATCH).rows()
    return sorted(rows, key=repr)


class Refused(Exception):
    """The batch breaks a rule of versions."""


@dataclass
class Version:
    """One stored row."""

    row: Row
    key: tuple[object, ...]
    known: int
    batch: int


@dataclass
class NaiveLake:
    """One table's versions in a list; each load walks it."""

    contract: Contract
    versions: list[Version] = field(default_factory=list)
    batches: list[list[Row]] = field(default_factory=list)
    last_load: int | None = None

    def key(self, row: Row) -> tuple[object, ...]:
        if not self.contract.key:
            return (row.sku, row.qty, row.price, row.happened, row.occurrence)
        return (row.sku,) if self.contract.name == "slow" else (row.sku, row.happened)

    def load(self, rows: list[Row], now: int) -> tuple[int, int, int, bool]:
        """added, superseding, unchanged, whether the batch was there already."""
        this = sorted(rows, key=repr)
        if this in self.batches:
            return 0, 0, 0, True
        load_time = now if self.last_load is None else max(now, self.last_load + 1)
        before = list(self.versions)
        old_keys = [version.key for version in before]
        for row in rows:
            living = [other for other in rows if self.key(other) == self.key(row) and not other.deleted]
            if row.deleted and self.key(row) not in old_keys and not living:
                raise Refused
        written: list[Version] = []
        added = superseding = unchanged = 0
        number = len(self.batches) + 1
        for key in sorted({self.key(row) for row in rows}, key=repr):
            mine = sorted((row for row in rows if self.key(row) == key), key=lambda row: row.known)
            if key not in old_keys:
                written += [Version(row, key, row.known, number) for row in mine]
                added += len(mine)
                continue
            placed: dict[int, Row] = {}
            for row in mine:
                placed[row.known if self.contract.integer else max(row.known, load_time)] = row
            line = [version for version in before if version.key == key]
            newest = max(version.known for version in line)
            for known in sorted(placed):
                row = placed[known]
                earlier = [version for version in line if version.known <= known]
                last = max(earlier, key=lambda version: (version.known, version.batch), default=None)
                if last is not None and self._says_the_same(last.row, row) and row.known <= last.known:
                    continue
                if self.contract.integer and known <= newest:
                    raise Refused
                version = Version(row, key, known, number)
                written.append(version)
                line.append(version)
                superseding += 1
            unchanged += len(mine) - sum(1 for version in written if version.key == key)
        self.versions += written
        self.batches.append(this)
        self.last_load = load_time
        return added, superseding, unchanged, False

    def rows(self) -> list[Stored]:
        """As `stored_rows` gives them."""
        out = [
            (v.row.sku, v.row.happened, v.known, v.row.qty, v.row.price, v.row.deleted, v.row.occurrence, v.batch)
            for v in self.versions
        ]
        return sorted(out, key=repr)

    def visible(self, tick: int) -> dict[tuple[object, ...], Stored]:
        """By key, the version with the largest (known, batch) known at the tick, tombstones left out."""
        found: dict[tuple[object, ...], Version] = {}
        for version in self.versions:
            if version.known <= tick:
                best = found.get(version.key)
                if best is None or (version.known, version.batch) >= (best.known, best.batch):
                    found[version.key] = version
        return {
            key: (v.row.sku, v.row.happened, v.known, v.row.qty, v.row.price, False, v.row.occurrence, v.batch)
            for key, v in found.items()
            if not v.row.deleted
        }

    @staticmethod
    def _says_the_same(a: Row, b: Row) -> bool:
        if a.deleted or b.deleted:
            return a.deleted and b.deleted
        return (a.happened, a.qty, a.price) == (b.happened, b.qty, b.price)


__all__ = ["CONTRACTS", "NaiveLake", "Refused", "Row", "Stored", "at", "batch", "noise", "stored_rows", "table_of"]
