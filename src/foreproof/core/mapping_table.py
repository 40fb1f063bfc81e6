"""A table of facts that carry their group: the one place where rules become a column.

A fact's group is decided by the rules that were valid when it happened and known at the cutoff. So a fact has a version for
each interval of knowledge, [since, until), over which its group stays the same, and everything that reads versions (views,
the one pass, truncation) needs no word about rules. With M the derivation and T(c) truncation at c:

    T(c)(M(facts, rules)) = M(T(c)(facts), T(c)(rules)), row for row.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import polars as pl

from foreproof.core.clock import FOREVER, Moment
from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN, UNTIL, Column, Contract
from foreproof.core.mapping import mapped_versions
from foreproof.core.mapping_check import check_mapping
from foreproof.core.mapping_rules import SINCE, UNMAPPED, Expected, MappingTerms
from foreproof.core.mapping_time import ROW
from foreproof.core.preflight import Finding
from foreproof.core.view import Table


def mapped_table(facts: Table, rules: Table, terms: MappingTerms) -> Table:
    """The facts with the column `terms.group` (text, null where no rule maps them), a version for each group a fact ever had.

    A version of a fact, known over [known, until), becomes one row for each piece of that interval over which its group
    stays the same, known from the piece's beginning; tombstones stay. Rules that could not be used match nothing while
    they were known, and rules that overlap give no group (`check_facts` refuses both in what holds now): a table only
    grows, so a fault that was mended would else refuse the facts for ever. Sorted by happened, key, known, batch.
    Raises BadInput for another clock, or a column that is missing or taken.
    """
    contract = mapped_contract(facts.contract, terms)
    order = [*facts.rows.columns, terms.group]
    pieces = mapped_versions(facts, rules, terms, faults="unmapped")
    group = pl.col(terms.group)
    # Pieces of one group by different rules are one version: who said it is nobody's business further in.
    begins = (pl.col(ROW) != pl.col(ROW).shift()) | group.ne_missing(group.shift())
    kept = pieces.filter(begins.fill_null(True))
    living = kept.with_columns(pl.col(SINCE).cast(facts.rows.schema[KNOWN]).alias(KNOWN)).select(order)
    dead = facts.rows.filter(DELETED).with_columns(pl.lit(None, dtype=pl.String).alias(terms.group)).select(order)
    rows = pl.concat([living, dead]).sort(list(dict.fromkeys([HAPPENED, *contract.keys, KNOWN, BATCH])))
    return Table(contract, rows)


def mapped_contract(contract: Contract, terms: MappingTerms) -> Contract:
    """The contract of the facts with their group: it is no part of the key, else a fact that moves would be two facts."""
    columns = (*contract.columns, Column(terms.group, "text", nullable=True))
    return replace(contract, columns=columns, key=contract.key or contract.keys)


def check_facts(facts: Table, rules: Table, terms: MappingTerms) -> list[Finding]:
    """What is wrong with the rules as they are now, over the days of the facts as they are now: see `check_mapping`."""
    rows = _now(facts)
    if rows.is_empty():
        return []
    days = rows[HAPPENED]
    first, last = cast(Moment, days.min()), cast(Moment, days.max())
    end = last + timedelta(days=1) if isinstance(last, datetime) else last + 1
    return check_mapping(rows, rules, from_=first, to=end, terms=terms)


def group_table(mapped: Table, terms: MappingTerms, *, at: Moment | None = None) -> pl.DataFrame:
    """What each group holds as known at a moment (None: now): `group`, `items`, `rows`, `value`, `share`, `expected`, sorted.

    items: different ones. value: the sum of `terms.value` in the user's unit, null where the terms name none. share: of the
    value of all, of the rows where the terms name none; null where that is zero. expected: the plan's bounds, in words.
    Declared groups without a row are there too; the last line is "(unmapped)".
    """
    seen = _now(mapped) if at is None else mapped.as_of(at)
    column = mapped.contract.column(terms.value) if terms.value else None
    value = pl.col(column.name).sort().sum() / column.scale if column else pl.lit(None, dtype=pl.Float64)
    lines = (
        seen.with_columns(pl.col(terms.group).fill_null(UNMAPPED).alias("group"))
        .group_by("group")
        .agg(pl.col(terms.item).n_unique().alias("items"), pl.len().alias("rows"), value.alias("value"))
    )
    bounds = {name: _words(expected) for name, expected in terms.expected}
    named = pl.DataFrame({"group": [*terms.names, *bounds, UNMAPPED]})
    size = pl.col("value" if column else "rows").cast(pl.Float64).fill_null(0.0)
    return (
        pl.concat([named, lines.select("group")])
        .unique()
        .join(lines, on="group", how="left")
        .sort(pl.col("group") == UNMAPPED, "group")
        .with_columns(
            pl.col("items", "rows").cast(pl.Int64).fill_null(0),
            pl.when(column is not None).then(size).alias("value"),
            pl.when(size.sum() != 0).then(size / size.sum()).alias("share"),
            pl.col("group").replace_strict(bounds, default="", return_dtype=pl.String).alias("expected"),
        )
    )


def _now(table: Table) -> pl.DataFrame:
    return table.versions.filter((pl.col(UNTIL) == FOREVER) & ~pl.col(DELETED)).drop(UNTIL)


def _words(expected: Expected) -> str:
    said = [f"{expected.items[0]:,g} to {expected.items[1]:,g} items"] if expected.items else []
    said += [f"{expected.share[0]:.1%} to {expected.share[1]:.1%} of the value"] if expected.share else []
    return ", ".join(said)


__all__ = ["check_facts", "group_table", "mapped_contract", "mapped_table"]
