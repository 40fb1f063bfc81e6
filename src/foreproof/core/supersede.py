"""What one batch adds to a table that only grows: which rows are new, which supersede, which say nothing new.

Let L be the load time, and a row r of the batch have a key that an earlier batch holds. It becomes a version with
known(r) = max(declared known(r), L); L is later than every load before, so no view at a cutoff before L changes. A clock of
integer steps has no L: there the declared known must be larger than that of every stored version of the key.

A version is written only if it says something: v is left out where the version just before it (by known, then batch) has
the same values and was known no earlier than v declares. A tombstone has no values but itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from foreproof.core.clock import INSTANT
from foreproof.core.contract import BATCH, DELETED, KNOWN, Contract
from foreproof.errors import ContractError

_AT, _NEW, _DECLARED = "_at", "_new", "_declared"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Change:
    """The rows to write (without a batch number), and how many came of each kind."""

    rows: pl.DataFrame
    added: int
    superseding: int
    unchanged: int


def supersede(contract: Contract, batch: pl.DataFrame, stored: pl.DataFrame, *, load_tick: int) -> Change:
    """The change that a batch makes.

    batch: rows without `_batch`. stored: all stored versions of the keys that occur in the batch (other keys may be
    there). load_tick: L in ticks; a table of integer steps ignores it.
    Raises ContractError for a tombstone of a key that does not exist, and on an integer clock for a version that is
    not known later than the one it supersedes.
    """
    keys = list(contract.keys)
    if stored.is_empty():
        _refuse_lone_tombstones(contract, batch)
        return Change(batch, batch.height, 0, 0)
    fresh = batch.join(stored, on=keys, how="anti", nulls_equal=True, maintain_order="left")
    again = batch.join(stored, on=keys, how="semi", nulls_equal=True, maintain_order="left")
    _refuse_lone_tombstones(contract, fresh)
    written = _versions(contract, again, stored, load_tick)
    rows = pl.concat([fresh, written]) if written.height else fresh
    return Change(rows, fresh.height, written.height, again.height - written.height)


def _versions(contract: Contract, again: pl.DataFrame, stored: pl.DataFrame, load_tick: int) -> pl.DataFrame:
    """The rows of `again` that become versions, with their `_known`."""
    keys = list(contract.keys)
    declared = pl.col(KNOWN).to_physical()
    instants = again.schema[KNOWN] == INSTANT
    placed = pl.max_horizontal(declared, pl.lit(load_tick, dtype=pl.Int64)) if instants else declared
    # Versions that land on one instant hide each other: the one that declares the latest `known` remains.
    new = (
        again.with_columns(declared.alias(_DECLARED), placed.alias(_AT), pl.lit(True).alias(_NEW))
        .sort([*keys, _AT, _DECLARED])
        .unique([*keys, _AT], keep="last", maintain_order=True)
    )
    old = stored.sort([*keys, KNOWN, BATCH]).select(
        *again.columns, declared.alias(_DECLARED), declared.alias(_AT), pl.lit(False).alias(_NEW)
    )
    line = pl.concat([old, new]).sort([*keys, _AT, _NEW], maintain_order=True)
    values = [name for name in again.columns if name not in {*keys, KNOWN, DELETED}]
    same_key = pl.all_horizontal([_as_before(name) for name in keys])
    same_values = pl.all_horizontal([_as_before(name) for name in values]) if values else pl.lit(True)
    same = _as_before(DELETED) & (pl.col(DELETED) | same_values) & (pl.col(_DECLARED) <= pl.col(_AT).shift())
    written = line.filter(pl.col(_NEW) & ~(same_key & same).fill_null(False))
    if not instants:
        _refuse_older(contract, written, old)
    return written.with_columns(pl.col(_AT).cast(again.schema[KNOWN]).alias(KNOWN)).select(again.columns)


def _as_before(name: str) -> pl.Expr:
    return pl.col(name).eq_missing(pl.col(name).shift())


def _refuse_lone_tombstones(contract: Contract, fresh: pl.DataFrame) -> None:
    """A tombstone needs a row to delete, in the lake or in its own batch."""
    dead = fresh.filter(pl.col(DELETED))
    if dead.is_empty():
        return
    living = fresh.filter(~pl.col(DELETED))
    lone = dead.join(living, on=list(contract.keys), how="anti", nulls_equal=True, maintain_order="left")
    if lone.height:
        raise ContractError(
            f"{contract.name}: deletions",
            found=f"{lone.height} of keys that were never loaded (first: {_shown(contract, lone)})",
            wanted="tombstones of rows that exist",
            fix="load the rows first, or take these deletions out",
            column=contract.deleted or None,
        )


def _refuse_older(contract: Contract, written: pl.DataFrame, old: pl.DataFrame) -> None:
    keys = list(contract.keys)
    newest = old.group_by(keys, maintain_order=True).agg(pl.col(_AT).max().alias("_newest"))
    late = written.join(newest, on=keys, how="left", nulls_equal=True, maintain_order="left").filter(
        pl.col(_AT) <= pl.col("_newest")
    )
    if late.height:
        raise ContractError(
            f"{contract.name}: {KNOWN}",
            found=f"{late.height} rows that change what an earlier batch says (first: {_shown(contract, late)}) "
            "without being known later",
            wanted="a known step after that of the version they supersede, since integer steps have no load time",
            fix="give the table a column for it (known: {column: ...}) that grows with each correction",
            column=contract.known.column or None,
        )


def _shown(contract: Contract, rows: pl.DataFrame) -> str:
    """The key of the first row, as the user wrote it; a key of many columns is cut short."""
    first = rows.select(pl.col(list(contract.keys)).cast(pl.String)).row(0)
    text = ", ".join("empty" if value is None else value for value in first[:_SHOWN])
    return text + (", ..." if len(first) > _SHOWN else "")


__all__ = ["Change", "supersede"]
