"""Preflight of a table that comes in several batches: each on its own, between them, and all of them as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from foreproof.core.contract import BATCH, HAPPENED, KNOWN, Contract
from foreproof.core.preflight import Finding, Subject, preflight, repeated_rows
from foreproof.core.view import Table


def one_batch(subject: Subject, name: str) -> list[Finding]:
    """What can be said of one batch among several only while its raw rows are there. name: the batch's."""
    return [replace(finding, found=f"{name}: {finding.found}") for finding in repeated_rows(subject)]


def many_batches(subject: Subject, tables: Sequence[Table]) -> list[Finding]:
    """What looks wrong in several batches. subject: of the first one; tables: all of them in the order of loading."""
    rows = _numbered(tables)
    table = Table(subject.contract, _last(subject.contract, rows))
    whole = replace(subject, table=table, raw=rows.clear())
    return [*between(subject, rows), *preflight(whole)]


def between(subject: Subject, rows: pl.DataFrame) -> list[Finding]:
    """Keys that come in more than one batch. rows: of all batches, with `_batch`."""
    keys = list(subject.contract.keys)
    values = [column.name for column in subject.contract.columns if column.name not in keys]
    again = rows.filter(rows.select(keys).is_duplicated()).sort([*keys, BATCH, KNOWN])
    if again.is_empty():
        return []
    same_key = pl.all_horizontal([pl.col(name).eq_missing(pl.col(name).shift()) for name in keys])
    same = pl.all_horizontal([pl.lit(True), *(pl.col(name).eq_missing(pl.col(name).shift()) for name in values)])
    first = pl.int_range(pl.len()) == 0
    told = again.select(((~same_key) | first).sum().alias("keys"), (same_key & ~same & ~first).sum().alias("changed"))
    count, changed = told.row(0)
    words = f"{count:,} keys come in more than one batch, {changed:,} times with other values"
    fix = "the later batch supersedes, as known from the time of loading" if changed else "nothing to do"
    figures = {"keys": count, "changed": changed}
    return [subject.says("overlap", "warning" if changed else "info", words, fix=fix, figures=figures)]


def _numbered(tables: Sequence[Table]) -> pl.DataFrame:
    frames = [each.rows.with_columns(pl.lit(i, dtype=pl.Int64).alias(BATCH)) for i, each in enumerate(tables, start=1)]
    return pl.concat(frames)


def _last(contract: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows as the lake will show them: of a key that comes again, the one of the latest batch."""
    last = rows.sort(BATCH, KNOWN, maintain_order=True).unique(list(contract.keys), keep="last", maintain_order=True)
    return last.sort(HAPPENED, maintain_order=True)


__all__ = ["between", "many_batches", "one_batch"]
