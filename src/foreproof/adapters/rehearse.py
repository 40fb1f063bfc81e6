"""What loading several batches would come to, before anything of them is written.

A load of one batch is all or nothing by itself. Several batches are several commits, so what the lake would refuse in the
third must be known before the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from foreproof.adapters.lake import Lake
from foreproof.adapters.shape import batch_digest, canonical
from foreproof.core.clock import ticks
from foreproof.core.contract import BATCH, Contract
from foreproof.core.supersede import supersede
from foreproof.core.view import Table


def rehearse(lake: Lake, tables: Sequence[Table]) -> Iterator[int]:
    """Go through the batches of one table in order, giving the number of rows that each would write.

    Raises ContractError at the batch that `Lake.load` would refuse after those before it. What is in the lake already writes 0.
    """
    contract = tables[0].contract
    there = lake.version(contract.name) is not None
    # Only a deletion or a clock without load times can be refused because of what other batches say.
    alone = not contract.deleted and not contract.integer
    done = set(lake.batches(contract.name)["digest"]) if there and not alone else set()
    stored = lake.table(contract).rows if there and not alone else None
    for number, table in enumerate(tables, start=1):
        lake.fits(table)
        if alone:
            yield table.rows.height
            continue
        rows = canonical(table)
        digest = batch_digest(contract, rows)
        if digest in done:
            yield 0
            continue
        done.add(digest)
        stored, written = _added(lake, contract, stored, rows, number)
        yield written


def foreseen(lake: Lake, contract: Contract, tables: Sequence[Table]) -> Table | None:
    """A table as it would be after loading some batches, without writing anything; None where it would have no rows at all.

    Raises ContractError at the batch that `Lake.load` would refuse.
    """
    there = lake.version(contract.name) is not None
    done = set(lake.batches(contract.name)["digest"]) if there else set()
    stored = lake.table(contract).rows if there else None
    for number, table in enumerate(tables, start=1):
        rows = canonical(table)
        digest = batch_digest(contract, rows)
        if digest not in done:
            done.add(digest)
            stored, _ = _added(lake, contract, stored, rows, number)
    return None if stored is None else Table(contract, stored)


def _added(
    lake: Lake, contract: Contract, stored: pl.DataFrame | None, rows: pl.DataFrame, number: int
) -> tuple[pl.DataFrame, int]:
    """What would be stored after one more batch, and how many rows it would write."""
    before = _with_batch(rows.clear(), 0) if stored is None else stored
    change = supersede(contract, rows, before, load_tick=ticks(lake.clock()) + number)
    top = int(before[BATCH].max() or 0)  # type: ignore[arg-type]
    return pl.concat([before, _with_batch(change.rows, top + 1).select(before.columns)]), change.rows.height


def _with_batch(rows: pl.DataFrame, number: int) -> pl.DataFrame:
    return rows.with_columns(pl.lit(number, dtype=pl.Int64).alias(BATCH))


__all__ = ["foreseen", "rehearse"]
