"""Rules that say which group an item belongs to: a table of dated facts like any other.

A rule is valid for what happened over [valid_from, valid_to), and known from its `_known` until its next version. Validity
counts in whole days of the contract's zone (steps on an integer clock): a rule from a day holds for all of that day,
whether facts carry the day or the second. Among the rules that match, an exact item goes before a pattern, then the
higher priority (none is 0), then the longer pattern (`re:` not counted). Rules of the deciding rank that name different
groups are an overlap, and an error; below it nobody reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from foreproof.core.clock import BEGINNING, FOREVER, Moment, ticks
from foreproof.core.contract import DELETED, HAPPENED, KNOWN, UNTIL
from foreproof.core.mapping_check import check_mapping, refusal
from foreproof.core.mapping_rules import (
    END,
    FAULT,
    GROUP,
    LABEL,
    SINCE,
    START,
    UNMAPPED,
    Expected,
    MappingTerms,
    day_number,
    day_numbers,
    match_rules,
    parse_mapping,
    read_rules,
    refuse_faults,
    things_of,
)
from foreproof.core.mapping_time import DAY, ROW, facts_through, refuse_overlaps, timeline, without_overlaps
from foreproof.core.view import Table
from foreproof.errors import BadInput

Faults = Literal["refuse", "unmapped"]
RULE_COLUMN = "rule"


@dataclass(frozen=True, slots=True)
class Mapped:
    """Items with their group at one moment.

    rows: the item's column (and the division's, where items have one), the group's column and `rule`, the rule in words;
    both are null where no rule matches. One row an item, in the order of the items.
    """

    rows: pl.DataFrame
    at: Moment
    terms: MappingTerms

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that name an item."""
        return tuple(name for name in self.rows.columns if name not in (self.terms.group, RULE_COLUMN))


def group_items(items: pl.DataFrame, rules: Table, *, at: Moment, terms: MappingTerms) -> Mapped:
    """The group of each item at one moment, by the rules with known <= at and valid_from <= at < valid_to.

    items: the item's column, the column that patterns ask about, and the division's where a rule asks for it; one row an
    item (and division). Raises BadInput for an item that repeats, a missing column, a rule that cannot be used, or an overlap.
    """
    _same_clock(rules, integer=isinstance(at, int))
    key = _item_key(items, terms=terms)
    day = day_number(at, rules.contract.zone)
    read = _visible(read_rules(rules, terms=terms), at).filter((pl.col(START) <= day) & (day < pl.col(END)))
    read = read.with_columns(_int(BEGINNING).alias(START), _int(FOREVER).alias(END))
    spans = pl.select(pl.int_range(items.height, dtype=pl.Int64).alias(ROW), _int(day).alias(DAY), *_MOMENT)
    return Mapped(items.select(key).hstack(_named(_pieces(items, spans, read, terms=terms), terms=terms)), at, terms)


def map_facts(facts: Table | pl.DataFrame, rules: Table, *, cutoff: Moment, terms: MappingTerms) -> pl.DataFrame:
    """The facts that are visible at the cutoff, each with its group as of its own `_happened`, by the rules known then.

    facts: a table, or rows with `_happened`, `_known` and, where versions matter, `_until` (ticks) and `_deleted`, as
    `Table.versions` has them; they carry the columns that the rules ask about. Adds the group's column and `rule`, null
    where no rule matches; the order stays. What is known later than the cutoff changes nothing: the answer is the same
    from tables truncated at it. Raises BadInput for another clock, a column that is missing or taken, or, among the
    rules known at the cutoff, one that cannot be used or an overlap that some fact falls into.
    """
    _same_clock(rules, integer=isinstance(cutoff, int))
    at = ticks(cutoff)
    rows = _rows(facts, rules, terms=terms).filter((pl.col(KNOWN).to_physical() <= at) & (at < pl.col(UNTIL)))
    read = _visible(read_rules(rules, terms=terms), cutoff)
    spans = _fact_spans(rows, rules).with_columns(*_MOMENT)
    return rows.drop(UNTIL).hstack(_named(_pieces(rows, spans, read, terms=terms), terms=terms))


def mapped_versions(
    facts: Table | pl.DataFrame, rules: Table, terms: MappingTerms, *, faults: Faults = "refuse"
) -> pl.DataFrame:
    """The facts with every group they ever had: one row a fact and interval of knowledge, for a compiler's one pass.

    facts: as for `map_facts`. Columns: `_row` (the fact's position among those that are no tombstones), the fact's own,
    the group's, `rule`, and `_since`, `_until` in ticks: cutoffs c with since <= c < until see the fact in that group (null:
    in none). The intervals of a fact are disjoint, together [its known, its until), and neighbours differ. A later re-mapping
    only ends an interval, so it never changes what an earlier cutoff saw. Sorted by `_row`, `_since`.

    faults: what happens to a rule that could not be used, or rules that overlapped, over the time in which they were known:
    `refuse` raises BadInput (just as `map_facts` does at a cutoff within that time); `unmapped` lets such a rule match
    nothing, and gives no group where rules overlap. A table only grows, so a fault that was mended stays in its history.
    """
    rows = _rows(facts, rules, terms=terms)
    read = read_rules(rules, terms=terms)
    read = read.filter(pl.col(SINCE) < pl.col(UNTIL))  # one that was superseded at once was never known
    if faults == "unmapped":
        read = read.filter(pl.col(FAULT).is_null())
    known = rows[KNOWN].to_physical().cast(pl.Int64).alias(SINCE)
    spans = _fact_spans(rows, rules).with_columns(known, rows[UNTIL]).filter(pl.col(SINCE) < pl.col(UNTIL))
    pieces = _pieces(rows, spans, read, terms=terms, refuse=faults == "refuse")
    said = pieces.select(ROW, *_names(terms), SINCE, UNTIL)
    numbered = rows.drop(UNTIL).with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
    return numbered.join(said, on=ROW, how="inner", maintain_order="right")


def coverage_table(mapped: Mapped, facts: pl.DataFrame, *, value: str) -> pl.DataFrame:
    """What each group holds: `group`, `items`, `rows`, `value` (its sum, in the column's stored unit), `share` of it, sorted.

    items: of the mapping; rows and value: of the facts (the item's column, and the division's where items have one). The
    last line is "(unmapped)": items without a group, and rows of such items or of none that is listed. share is null where
    the values add up to zero. Raises BadInput for a missing column or one that holds no numbers.
    """
    key, group = list(mapped.key), mapped.terms.group
    for name in (*key, value):
        if name not in facts.columns:
            raise BadInput("facts", found=f"no column {name!r}", wanted=f"{', '.join((*key, value))}")
        if name in key and facts.schema[name] != (kind := mapped.rows.schema[name]):
            raise BadInput(f"facts.{name}", found=f"a column of {facts.schema[name]}", wanted=f"{kind}, as items have")
    if not facts.schema[value].is_numeric():
        raise BadInput(f"facts.{value}", found=f"a column of {facts.schema[value]}", wanted="numbers to add up")
    named = pl.col(group).fill_null(UNMAPPED).alias("group")
    items = mapped.rows.group_by(named).agg(pl.len().cast(pl.Int64).alias("items"))
    amount = facts.select(*key, pl.col(value).alias(_VALUE))
    lines = (
        amount.join(mapped.rows.select(*key, group), on=key, how="left", nulls_equal=True)
        .group_by(named)
        .agg(pl.len().cast(pl.Int64).alias("rows"), pl.col(_VALUE).sort().sum().alias("value"))
    )
    last = pl.DataFrame({"group": [UNMAPPED]})
    groups = pl.concat([items.select("group"), lines.select("group"), last]).unique()
    whole = pl.col("value").cast(pl.Float64)
    return (
        groups.join(items, on="group", how="left")
        .join(lines, on="group", how="left")
        .with_columns(pl.col("items", "rows", "value").fill_null(0))
        .with_columns(pl.when(pl.col("value").sum() != 0).then(whole / whole.sum()).alias("share"))
        .sort(pl.col("group") == UNMAPPED, "group")
    )


def _pieces(
    frame: pl.DataFrame, spans: pl.DataFrame, read: pl.DataFrame, *, terms: MappingTerms, refuse: bool = True
) -> pl.DataFrame:
    """See `facts_through`; spans: `_row` (position in the frame), `_day`, `_since`, `_until`."""
    refuse_faults(read, terms=terms)
    things, codes = things_of(frame, read, terms=terms)
    line = timeline(match_rules(things, read, case=terms.case), read)
    pieces = facts_through(spans.with_columns(codes.gather(spans[ROW])), line if refuse else without_overlaps(line))
    refuse_overlaps(pieces, table=terms.table)
    return pieces


def _rows(facts: Table | pl.DataFrame, rules: Table, *, terms: MappingTerms) -> pl.DataFrame:
    """The facts that are no tombstones, with `_until`."""
    rows = facts.versions if isinstance(facts, Table) else facts
    for name in (HAPPENED, KNOWN):
        if name not in rows.columns:
            raise BadInput("facts", found=f"no column {name!r}", wanted="facts with two clocks")
    _same_clock(rules, integer=rows.schema[KNOWN] == pl.Int64)
    for name in (terms.group, RULE_COLUMN):
        if name in rows.columns:
            raise BadInput(
                f"facts.{name}",
                found="a column of that name",
                wanted="a free name for what the mapping adds",
                fix="leave it out, or name it otherwise in the contract (source:)",
            )
    if UNTIL not in rows.columns:
        rows = rows.with_columns(_int(FOREVER).alias(UNTIL))
    return rows.filter(~pl.col(DELETED)) if DELETED in rows.columns else rows


def _fact_spans(rows: pl.DataFrame, rules: Table) -> pl.DataFrame:
    day = day_numbers(rows[HAPPENED], rules.contract.zone).alias(DAY)
    return pl.DataFrame([pl.int_range(rows.height, dtype=pl.Int64, eager=True).alias(ROW), day])


def _item_key(items: pl.DataFrame, *, terms: MappingTerms) -> list[str]:
    if terms.item not in items.columns:
        raise BadInput("items", found=f"no column {terms.item!r}", wanted=f"one of {', '.join(items.columns)}")
    key = [terms.item] + ([terms.division] if terms.division in items.columns else [])
    if terms.group in key:
        raise BadInput("items", found=f"{terms.group!r} names an item", wanted="another name for the group's column")
    repeated = items.select(key).filter(items.select(key).is_duplicated())
    if repeated.height:
        shown = ", ".join(str(value) for value in repeated.row(0))
        raise BadInput(
            "items",
            found=f"{', '.join(key)} repeats in {repeated.height} rows (first: {shown})",
            wanted="one row an item",
            fix="keep one description of each",
        )
    return key


def _visible(read: pl.DataFrame, at: Moment) -> pl.DataFrame:
    """The rules known at a moment, as if known always."""
    tick = ticks(at)
    seen = read.filter((pl.col(SINCE) <= tick) & (tick < pl.col(UNTIL)))
    return seen.with_columns(_int(BEGINNING).alias(SINCE), _int(FOREVER).alias(UNTIL))


def _names(terms: MappingTerms) -> list[pl.Expr]:
    return [pl.col(GROUP).alias(terms.group), pl.col(LABEL).alias(RULE_COLUMN)]


def _named(pieces: pl.DataFrame, *, terms: MappingTerms) -> pl.DataFrame:
    return pieces.select(_names(terms))


def _same_clock(rules: Table, *, integer: bool) -> None:
    """A table that is declared constant without dates fits any clock."""
    if rules.contract.happened is not None and rules.contract.integer != integer:
        raise BadInput(
            rules.contract.name,
            found="rules and moments on two clocks, one of integer steps and one of instants",
            wanted="one clock",
        )


def _int(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.Int64)


_MOMENT = (_int(0).alias(SINCE), _int(1).alias(UNTIL))  # where knowledge is settled, any interval stands for it
_VALUE = "_value"

__all__ = [
    "RULE_COLUMN",
    "Expected",
    "Faults",
    "Mapped",
    "MappingTerms",
    "check_mapping",
    "coverage_table",
    "group_items",
    "map_facts",
    "mapped_versions",
    "parse_mapping",
    "refusal",
]
