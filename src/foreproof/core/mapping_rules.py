"""Mapping rules: what a plan says of them, how they are read, ranked and matched."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import get_args

import polars as pl

from foreproof.core.clock import BEGINNING, FOREVER, Moment, ticks, time_column
from foreproof.core.contract import DELETED, HAPPENED, KNOWN, UNTIL
from foreproof.core.mapping_patterns import REGEX, Case, matching_texts, pattern_fault
from foreproof.core.section import Section
from foreproof.core.view import Table
from foreproof.errors import BadInput, PlanError

UNMAPPED = "(unmapped)"
"""The line of what no rule maps; no group may have this name."""

THING, ITEM, ON, DIVISION = "_thing", "_item", "_on", "_division"
RULE, SKU, PATTERN, GROUP, START, END = "_rule", "_sku", "_pattern", "_group", "_start", "_end"
SINCE, RANK, LABEL, FAULT = "_since", "_rank", "_label", "_fault"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a plan expects of a group: how many items, and which share of the value, as (low, high), both included."""

    items: tuple[float, float] | None = None
    share: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class MappingTerms:
    """Where a mapping is found, and what is expected of it.

    table: the rules' table. item, on, division: columns of items and facts; patterns are matched against `on`, by default
    the item itself. sku, pattern, division, group, valid_to, priority: columns of the rules; one that keeps its default
    name may be absent, group may not. case: whether patterns tell capitals from small letters.
    value: the column of items that is added up in checks ("" for none). unmapped: the share of items, or of the value,
    that may lack a group. names: the groups that exist (empty: not declared). expected: by group.
    """

    table: str = "group_rules"
    item: str = "item"
    on: str = ""
    division: str = "division"
    sku: str = "sku"
    pattern: str = "pattern"
    group: str = "group"
    valid_to: str = "valid_to"
    priority: str = "priority"
    case: Case = "exact"
    value: str = ""
    unmapped: float = 0.0
    names: tuple[str, ...] = ()
    expected: tuple[tuple[str, Expected], ...] = ()

    @property
    def text(self) -> str:
        """The column of items that patterns are matched against."""
        return self.on or self.item


def parse_mapping(section: Section) -> MappingTerms:
    """The terms of a plan's section `groups:`; `group_rules` and the usual column names where it is silent.

    `expected` is a mapping of group to `{items: [low, high], share: [low, high]}`. Raises PlanError.
    """
    names = section.texts("names", default=())
    terms = MappingTerms(
        table=section.text("table", default="group_rules"),
        item=section.text("item"),
        on=section.text("on", default=""),
        division=section.text("division", default="division"),
        sku=section.text("sku", default="sku"),
        pattern=section.text("pattern", default="pattern"),
        group=section.text("group", default="group"),
        valid_to=section.text("valid_to", default="valid_to"),
        priority=section.text("priority", default="priority"),
        case=section.choice("case", get_args(Case), default="exact"),
        value=section.text("value", default=""),
        unmapped=section.number("unmapped", default=0.0, low=0.0, high=1.0),
        names=names,
        expected=_expected(section.section("expected", default={}), names, valued="value" in section),
    )
    section.done()
    return terms


def _expected(section: Section, names: tuple[str, ...], *, valued: bool) -> tuple[tuple[str, Expected], ...]:
    found = []
    for group in section:
        if names and group not in names:
            raise PlanError(
                f"{section.path}.{group}",
                found="a group that names: does not list",
                wanted=f"one of {', '.join(names)}",
            )
        inner = section.section(group)
        bounds = Expected(_bounds(inner, "items"), _bounds(inner, "share"))
        inner.done()
        if bounds.share is not None and not valued:
            path = f"{inner.path}.share"
            raise PlanError(path, found="a share without a value", wanted="a share of something", fix="set value:")
        found.append((group, bounds))
    return tuple(found)


def _bounds(section: Section, name: str) -> tuple[float, float] | None:
    found = section.numbers(name, default=())
    if name not in section:
        return None
    if len(found) != 2 or found[0] > found[1]:
        raise PlanError(f"{section.path}.{name}", found=f"{list(found)}", wanted="[low, high]")
    return found[0], found[1]


def read_rules(rules: Table, *, terms: MappingTerms) -> pl.DataFrame:
    """All versions of the rules that are no tombstones, one row each, in comparable columns.

    `_rule` (position), `_sku`, `_pattern`, `_division`, `_group`; `_start`, `_end`: valid over [start, end), in days of
    the contract's zone or integer steps; `_since`, `_until`: known over [since, until), in ticks; `_rank`: the larger
    decides (exact before pattern, then priority, then the length of the pattern); `_label`: the rule in words;
    `_fault`: why it cannot be used, null where it can. Raises BadInput where a column is missing or of another kind.
    """
    found = rules.versions.filter(~pl.col(DELETED))
    if terms.group not in found.columns:
        raise _missing(terms.table, terms.group, found)
    usual = {each.name: each.default for each in fields(MappingTerms)}
    for name in ("sku", "pattern", "division", "valid_to", "priority"):
        column = getattr(terms, name)
        if column not in found.columns and column != usual[name]:
            raise _missing(terms.table, column, found)
    start, end = _validity(rules, found, terms=terms)
    exact, pattern = pl.col(SKU).is_not_null(), pl.col(PATTERN).str.strip_prefix(REGEX)
    length = pl.when(exact).then(0).otherwise(pattern.str.len_chars().cast(pl.Int64).fill_null(0))
    read = found.select(
        *(_text(found, name, made) for name, made in zip(_texts(terms), (SKU, PATTERN, DIVISION, GROUP), strict=True)),
        start,
        end,
        pl.col(KNOWN).to_physical().cast(pl.Int64).alias(SINCE),
        pl.col(UNTIL),
        _priority(found, terms=terms).alias("_priority"),
    ).with_columns(exact.alias("_exact"), length.alias("_length"))
    order = ["_exact", "_priority", "_length"]
    ranks = read.select(order).unique().sort(order).with_row_index(RANK)
    ranked = read.join(ranks, on=order, how="left", maintain_order="left").drop(order)
    labelled = ranked.with_row_index(RULE).with_columns(_label(found, rules.contract.zone))
    return labelled.with_columns(_faults(labelled, case=terms.case))


def match_rules(things: pl.DataFrame, read: pl.DataFrame, *, case: Case) -> pl.DataFrame:
    """Pairs (`_thing`, `_rule`) of what matches at whatever time; rules with a fault or no time match nothing.

    things: `_thing`, `_item`, `_on`, `_division` (text). Each pattern is matched once against each distinct text.
    """
    used = read.filter(pl.col(FAULT).is_null() & (pl.col(START) < pl.col(END))).select(RULE, SKU, PATTERN, DIVISION)
    exact = things.join(used, left_on=ITEM, right_on=SKU, how="inner", suffix="_rule")
    texts = things.select(ON).drop_nulls().unique(maintain_order=True)
    hits = matching_texts(texts[ON], used[PATTERN].drop_nulls().unique(maintain_order=True).to_list(), case=case)
    hits = hits.rename({"pattern": PATTERN, "text": ON})
    by_pattern = used.join(hits, on=PATTERN, how="inner").join(things, on=ON, how="inner", suffix="_thing")
    asked, has = pl.col(f"{DIVISION}_rule"), pl.col(DIVISION)
    direct = exact.filter((asked == has) | asked.is_null()).select(THING, RULE)
    asked, has = pl.col(DIVISION), pl.col(f"{DIVISION}_thing")
    return pl.concat([direct, by_pattern.filter((asked == has) | asked.is_null()).select(THING, RULE)])


def things_of(frame: pl.DataFrame, read: pl.DataFrame, *, terms: MappingTerms) -> tuple[pl.DataFrame, pl.Series]:
    """What rules can tell apart in a frame of items or facts, once each, and for each row which of them it is.

    Raises BadInput where the frame lacks the item, or the column that some rule's pattern or division asks about.
    """
    wanted = {ITEM: terms.item}
    if terms.on or read[PATTERN].null_count() < read.height:
        wanted[ON] = terms.text
    if read[DIVISION].null_count() < read.height:
        wanted[DIVISION] = terms.division
    for column in wanted.values():
        if column not in frame.columns:
            raise BadInput(
                f"{terms.table}: items",
                found=f"no column {column!r} among {', '.join(frame.columns)}",
                wanted=f"{', '.join(dict.fromkeys(wanted.values()))}, which the rules ask about",
                fix="join it to the rows before they are mapped",
            )
    keys = [ITEM, ON, DIVISION]
    keyed = frame.select(
        pl.col(wanted[key]).cast(pl.String).alias(key) if key in wanted else pl.lit(None, dtype=pl.String).alias(key)
        for key in keys
    )
    things = keyed.unique(maintain_order=True).with_row_index(THING)
    return things, keyed.join(things, on=keys, how="left", nulls_equal=True, maintain_order="left")[THING]


def refuse_faults(read: pl.DataFrame, *, terms: MappingTerms) -> None:
    """Raise BadInput where a rule cannot be used, naming the first and how many."""
    bad = read.filter(pl.col(FAULT).is_not_null()).sort(LABEL, GROUP)
    if bad.height:
        first = bad.row(0, named=True)
        raise BadInput(
            terms.table,
            found=f"{bad.height} rules that cannot be used (first: {first[LABEL]}: {first[FAULT]})",
            wanted="rules with a group and either an exact item or a pattern that can be read",
            fix="mend them, or take them out",
        )


def day_numbers(column: pl.Series, zone: str) -> pl.Series:
    """A time column (instants, dates or integer steps) as Int64: days since 1970 in the zone, or the steps."""
    if isinstance(column.dtype, pl.Datetime):
        column = column.dt.convert_time_zone(zone).dt.date()
    return column.to_physical().cast(pl.Int64)


def day_number(at: Moment, zone: str) -> int:
    """The day in the zone, or the step, of one moment."""
    return int(day_numbers(time_column("at", pl.Series([ticks(at)]).to_numpy(), integer=isinstance(at, int)), zone)[0])


def _missing(table: str, column: str, found: pl.DataFrame) -> BadInput:
    names = ", ".join(name for name in found.columns if not name.startswith("_"))
    return BadInput(f"{table}.{column}", found="no such column", wanted=f"one of {names}", fix="name it in groups:")


def _texts(terms: MappingTerms) -> tuple[str, ...]:
    return terms.sku, terms.pattern, terms.division, terms.group


def _text(found: pl.DataFrame, column: str, name: str) -> pl.Expr:
    """A text column of the rules under its own name; absent or empty is null."""
    if column not in found.columns:
        return pl.lit(None, dtype=pl.String).alias(name)
    text = pl.col(column).cast(pl.String)
    return pl.when(text.str.len_bytes() > 0).then(text).alias(name)


def _priority(found: pl.DataFrame, *, terms: MappingTerms) -> pl.Expr:
    if terms.priority not in found.columns:
        return pl.lit(0, dtype=pl.Int64)
    if not found.schema[terms.priority].is_integer():
        raise BadInput(
            f"{terms.table}.{terms.priority}", found=f"{found.schema[terms.priority]}", wanted="an integer column"
        )
    return pl.col(terms.priority).cast(pl.Int64).fill_null(0)


def _validity(rules: Table, found: pl.DataFrame, *, terms: MappingTerms) -> tuple[pl.Series, pl.Series]:
    """[start, end) of each rule; a table that is declared constant without dates is valid from the beginning."""
    start = day_numbers(found[HAPPENED], rules.contract.zone).alias(START)
    if rules.contract.happened is None:
        start = pl.Series(START, [BEGINNING], dtype=pl.Int64).new_from_index(0, found.height)
    if terms.valid_to not in found.columns:
        return start, pl.Series(END, [FOREVER], dtype=pl.Int64).new_from_index(0, found.height)
    kind = found.schema[terms.valid_to]
    if not (kind.is_integer() if rules.contract.integer else kind.is_temporal()):
        wanted = "an integer step" if rules.contract.integer else "a date"
        raise BadInput(f"{terms.table}.{terms.valid_to}", found=f"{kind}", wanted=f"{wanted}, the first without it")
    end = day_numbers(found[terms.valid_to], rules.contract.zone).fill_null(FOREVER).alias(END)
    return start, end


def _label(found: pl.DataFrame, zone: str) -> pl.Expr:
    at = found[HAPPENED]
    begins = at.dt.convert_time_zone(zone).dt.date() if isinstance(at.dtype, pl.Datetime) else at
    words = [
        pl.lit("item ") + pl.col(SKU),
        pl.lit("pattern ") + pl.col(PATTERN),
        pl.lit("division ") + pl.col(DIVISION),
    ]
    told = pl.when(pl.col(START) > BEGINNING).then(pl.lit("from ") + pl.lit(begins.cast(pl.String)))
    return pl.concat_str([*words, told], separator=", ", ignore_nulls=True).alias(LABEL)


def _faults(read: pl.DataFrame, *, case: Case) -> pl.Expr:
    bad = {
        pattern: words
        for pattern in read[PATTERN].drop_nulls().unique()
        if (words := pattern_fault(pattern, case=case))
    }
    exact, pattern, group = pl.col(SKU).is_not_null(), pl.col(PATTERN).is_not_null(), pl.col(GROUP)
    unreadable = pl.col(PATTERN).replace_strict(bad, default=None, return_dtype=pl.String)
    return pl.coalesce(
        pl.when(exact & pattern).then(pl.lit("it names both an exact item and a pattern")),
        pl.when(~exact & ~pattern).then(pl.lit("it names neither an exact item nor a pattern")),
        pl.when(group.is_null()).then(pl.lit("it names no group")),
        pl.when(group == UNMAPPED).then(pl.lit(f"no group may be named {UNMAPPED}")),
        unreadable,
    ).alias(FAULT)


__all__ = [
    "UNMAPPED",
    "Expected",
    "MappingTerms",
    "day_number",
    "day_numbers",
    "match_rules",
    "parse_mapping",
    "read_rules",
    "refuse_faults",
    "things_of",
]
