"""What is wrong with a mapping, found before anything is grouped by it: gaps, overlaps, idle rules, unknown groups, counts.

Findings are those of `core.preflight`: an error refuses the mapping, a warning is told, the rest is information.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from foreproof.core.clock import BEGINNING, FOREVER, Moment
from foreproof.core.contract import HAPPENED, UNTIL
from foreproof.core.mapping_rules import (
    END,
    FAULT,
    GROUP,
    LABEL,
    RULE,
    SINCE,
    START,
    THING,
    Expected,
    MappingTerms,
    day_number,
    day_numbers,
    match_rules,
    read_rules,
    things_of,
)
from foreproof.core.mapping_time import DAY, OTHER, OTHER_GROUP, ROW, facts_through, timeline
from foreproof.core.preflight import Finding, Severity
from foreproof.core.view import Table
from foreproof.errors import BadInput

SHOWN = 20
"""How many items or rules a finding lists in its figures."""
_AMOUNT = "_amount"


def check_mapping(
    items: pl.DataFrame,
    rules: Table,
    *,
    from_: Moment,
    to: Moment,
    terms: MappingTerms,
    expected: Mapping[str, Expected] | None = None,
) -> list[Finding]:
    """Everything wrong with the latest version of the rules over the days [from_, to), gravest first.

    items: the columns that `group_items` reads, and `terms.value` where the terms name one. With `_happened` they are
    sales: each is looked at on its own day, and those outside the days are left out. Without it each item must have a
    group on every day, and is counted in that of the last. expected: instead of what the terms expect.

    Errors: no items at all, a rule that cannot be used, one that ends before it begins, an overlap (a finding a pair, with
    its days), more without a group than `terms.unmapped` allows, a group that is not declared, a count or share out of
    bounds. Warnings: what lacks a group within the allowance, rules that match nothing, declared groups that no rule
    gives, a table whose key lets a rule hide its predecessor. Information: rules that match but never decide.
    For an earlier state of the rules give `rules.truncate(cutoff)`. Raises BadInput for an empty window, another clock or
    a missing column.
    """
    case = _case(items, rules, from_=from_, to=to, terms=terms)
    wanted = dict(terms.expected) if expected is None else dict(expected)
    found = [
        *_nothing(case),
        *_unusable(case),
        *_overlaps(case),
        *_gaps(case),
        *_groups(case, [*terms.names] or [*wanted]),
        *_outside(case, wanted),
        *_idle(case),
        *_key(rules),
    ]
    order = ("error", "warning", "info")
    return sorted(found, key=lambda finding: order.index(finding.severity))


def refusal(findings: Sequence[Finding]) -> None:
    """Raise BadInput where a finding is an error, naming the first and how many there are; else do nothing."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
        raise BadInput(f"{first.table}: {first.check}", found=first.found + more, wanted=first.wanted, fix=first.fix)


@dataclass(frozen=True, slots=True)
class _Case:
    """The mapping over the days [low, high), and what is asked of it.

    read: the current rules. matched: the numbers of those that match something. line: the timeline within the days.
    rows: one for each item (on the last day) or sale (on its own): `item`, `_amount` (1 where the terms name no value),
    `_thing`, `_day`, `_group`, `_label`, `_other`, `_other_group`.
    """

    terms: MappingTerms
    read: pl.DataFrame
    matched: pl.Series
    line: pl.DataFrame
    rows: pl.DataFrame
    dated: bool
    low: int
    high: int
    integer: bool

    def says(self, check: str, severity: Severity, found: str, **more: Any) -> Finding:
        return Finding(self.terms.table, check, severity, found, **more)

    def day(self, number: int) -> str:
        return str(number) if self.integer else f"{date(1970, 1, 1) + timedelta(days=number):%Y-%m-%d}"

    def told(self) -> pl.DataFrame:
        """`item`, `_amount`, [`_start`, `_end`) and who decides: pieces of each item's time, or the days of sales."""
        said = (GROUP, LABEL, OTHER, OTHER_GROUP)
        if self.dated:
            day = pl.col(DAY)
            return self.rows.select("item", _AMOUNT, day.alias(START), (day + 1).alias(END), *said)
        return self.rows.select("item", _AMOUNT, THING).join(self.line.select(THING, START, END, *said), on=THING)


def _case(items: pl.DataFrame, rules: Table, *, from_: Moment, to: Moment, terms: MappingTerms) -> _Case:
    zone, integer = rules.contract.zone, isinstance(from_, int)
    if integer != isinstance(to, int) or (rules.contract.happened is not None and integer != rules.contract.integer):
        raise BadInput(f"{terms.table}: window", found=f"{from_!r} to {to!r}", wanted="moments of the rules' own clock")
    low, high = day_number(from_, zone), day_number(to, zone)
    if low >= high:
        raise BadInput(f"{terms.table}: window", found=f"{from_} to {to}", wanted="at least one day (`to` is outside)")
    for name in (terms.item, *([terms.value] if terms.value else [])):
        if name not in items.columns:
            raise BadInput("items", found=f"no column {name!r}", wanted=f"one of {', '.join(items.columns)}")
    dated = HAPPENED in items.columns
    if dated:
        day = day_numbers(items[HAPPENED], zone)
        items = items.filter((day >= low) & (day < high))
    read = read_rules(rules, terms=terms).filter(pl.col(UNTIL) == FOREVER).with_columns(_int(BEGINNING).alias(SINCE))
    things, codes = things_of(items, read, terms=terms)
    pairs = match_rules(things, read, case=terms.case)
    line = timeline(pairs, read)
    spans = pl.DataFrame([codes]).with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW),
        day_numbers(items[HAPPENED], zone).alias(DAY) if dated else _int(high - 1).alias(DAY),
        _int(0).alias(SINCE),
        _int(1).alias(UNTIL),
    )
    amount = pl.col(terms.value).cast(pl.Float64).fill_null(0.0) if terms.value else pl.lit(1.0)
    rows = facts_through(spans, line).hstack(spans.select(THING, DAY))
    rows = rows.hstack(items.select(pl.col(terms.item).alias("item"), amount.alias(_AMOUNT)))
    inside = line.with_columns(pl.col(START).clip(low), pl.col(END).clip(None, high)).filter(
        pl.col(START) < pl.col(END)
    )
    return _Case(terms, read, pairs[RULE].unique(), inside, rows, dated, low, high, integer)


def _nothing(case: _Case) -> list[Finding]:
    if case.rows.height:
        return []
    words = f"no {'sales' if case.dated else 'items'} to look at within {case.day(case.low)} to {case.day(case.high)}"
    return [case.says("items", "error", words, wanted="at least one", fix="give other items, or another window")]


def _unusable(case: _Case) -> list[Finding]:
    found = []
    for fault, bad in (
        case.read.filter(pl.col(FAULT).is_not_null()).sort(FAULT, LABEL).group_by(FAULT, maintain_order=True)
    ):
        words = f"cannot be used: {fault[0]}"
        found.append(_rules(case, "unusable rule", "error", bad[LABEL], words, fix="mend them, or take them out"))
    ended = case.read.filter(pl.col(START) >= pl.col(END)).sort(LABEL)
    if ended.height:
        words = "end no later than they begin, so they are never valid"
        fix = f"{case.terms.valid_to} is the first day without the rule: mend it"
        found.append(_rules(case, "validity", "error", ended[LABEL], words, fix=fix))
    return found


def _overlaps(case: _Case) -> list[Finding]:
    pairs = (
        case.told()
        .filter(pl.col(OTHER).is_not_null())
        .group_by(LABEL, GROUP, OTHER, OTHER_GROUP)
        .agg(pl.col("item").n_unique(), pl.col("item").min().alias("_first"), pl.col(START).min(), pl.col(END).max())
        .sort(LABEL, OTHER, OTHER_GROUP)
    )
    found = []
    for row in pairs.iter_rows(named=True):
        one, other, count = row[LABEL], row[OTHER], row["item"]
        days = {"from": case.day(row[START]), "to": case.day(row[END])}
        words = (
            f"{one!r} ({row[GROUP]}) and {other!r} ({row[OTHER_GROUP]}) are of one rank and both match {count:,} items "
            f"(first: {row['_first']}) within {days['from']} to {days['to']}"
        )
        figures = {"rules": [one, other], "groups": [row[GROUP], row[OTHER_GROUP]], "items": count, **days}
        fix = "give one a priority, an end (valid_to), or name the item exactly"
        found.append(
            case.says("overlap", "error", words, wanted="one group an item at a time", fix=fix, figures=figures)
        )
    return found


def _gaps(case: _Case) -> list[Finding]:
    """What no rule maps; sales that are returned count by their size, so that they cannot cancel what is lost."""
    holes = _holes(case).sort(START, "item")
    if holes.is_empty():
        return []
    size = pl.col(_AMOUNT).abs().sort().sum()
    lost, whole = (float(frame.select(size).item()) for frame in (_once(case, holes), case.rows))
    count, first = holes["item"].n_unique(), holes.row(0, named=True)
    share = lost / whole if whole > 0 else count / case.rows["item"].n_unique()
    of = "the value" if case.terms.value else "the sales" if case.dated else "the items"
    words = (
        f"{count:,} of {case.rows['item'].n_unique():,} items, {share:.1%} of {of}, have no group for part of the time "
        f"(first: {first['item']}, {case.day(first[START])} to {case.day(first[END])})"
    )
    shown = [
        {"item": item, "from": case.day(low), "to": case.day(high)}
        for item, low, high in holes.select("item", START, END).head(SHOWN).iter_rows()
    ]
    severity: Severity = "error" if share > case.terms.unmapped else "warning"
    wanted = f"at most {case.terms.unmapped:.1%} without a group"
    fix = "add rules for them (a pattern * of low priority maps the rest), or raise unmapped:"
    figures = {"items": count, "share": share, "gaps": shown}
    return [case.says("gap", severity, words, wanted=wanted, fix=fix, figures=figures)]


def _holes(case: _Case) -> pl.DataFrame:
    """`_row`, `item`, `_amount`, [`_start`, `_end`): sales without a rule, or what lies between the pieces of each item."""
    columns = [ROW, "item", _AMOUNT, START, END]
    if case.dated:
        day = pl.col(DAY)
        return case.rows.filter(pl.col(LABEL).is_null()).select(*columns[:3], day.alias(START), (day + 1).alias(END))
    pieces = case.line.select(THING, START, END)
    # an empty piece at either end of each item's time makes every hole one between two pieces
    edges = [case.rows.select(THING, _int(at).alias(START), _int(at).alias(END)) for at in (case.low, case.high)]
    pieces = pl.concat([*edges, pieces]).unique().sort(THING, START, END)
    before = pl.col(END).shift().over(THING)
    holes = pieces.select(THING, before.alias(START), pl.col(START).alias(END)).filter(pl.col(START) < pl.col(END))
    return case.rows.select(ROW, "item", _AMOUNT, THING).join(holes, on=THING).select(columns)


def _once(case: _Case, holes: pl.DataFrame) -> pl.DataFrame:
    """The rows with holes, each once."""
    return case.rows.join(holes.select(ROW).unique(), on=ROW, how="semi")


def _groups(case: _Case, declared: list[str]) -> list[Finding]:
    if not declared:
        return []
    used = case.read.filter(pl.col(FAULT).is_null())
    unknown = used.filter(~pl.col(GROUP).is_in(declared)).sort(GROUP, LABEL)
    found = []
    for (group,), rows in unknown.group_by(GROUP, maintain_order=True):
        words, fix = f"give {group!r}, a group that is not declared", "mend the rules, or declare it (names:)"
        found.append(
            _rules(case, "unknown group", "error", rows[LABEL], words, wanted=f"one of {', '.join(declared)}", fix=fix)
        )
    for group in sorted(set(declared) - set(used[GROUP])):
        fix = "add rules for it, or take it from the plan"
        found.append(
            case.says("group without rules", "warning", f"no rule gives {group!r}, which is declared", fix=fix)
        )
    return found


def _outside(case: _Case, expected: Mapping[str, Expected]) -> list[Finding]:
    """Counts and shares by group that are out of their bounds; what rules disagree on counts as in no group."""
    if any(each.share for each in expected.values()) and not case.terms.value:
        raise BadInput("expected", found="a share without a value", wanted="a share of something", fix="set value:")
    settled = case.rows.filter(pl.col(OTHER).is_null())
    counts = {
        group: (items, amount)
        for group, items, amount in settled.group_by(GROUP)
        .agg(pl.col("item").n_unique(), pl.col(_AMOUNT).sort().sum())
        .iter_rows()
    }
    whole = float(case.rows[_AMOUNT].sort().sum())
    found = []
    for group, bounds in expected.items():
        items, amount = counts.get(group, (0, 0.0))
        share = amount / whole if whole != 0 else 0.0
        figures = {"group": group, "items": items, "share": share}
        if bounds.items and not bounds.items[0] <= items <= bounds.items[1]:
            wanted = f"{bounds.items[0]:,g} to {bounds.items[1]:,g}"
            found.append(_count(case, f"{group} has {items:,} items", wanted=wanted, figures=figures))
        if bounds.share and not bounds.share[0] <= share <= bounds.share[1]:
            wanted = f"{bounds.share[0]:.1%} to {bounds.share[1]:.1%}"
            found.append(_count(case, f"{group} has {share:.1%} of the value", wanted=wanted, figures=figures))
    return found


def _count(case: _Case, words: str, *, wanted: str, figures: Mapping[str, Any]) -> Finding:
    fix = "look at what its rules catch, or mend what is expected"
    return case.says("expected", "error", words, wanted=wanted, fix=fix, figures=figures)


def _idle(case: _Case) -> list[Finding]:
    """Rules of the window that match nothing, and those that match but are always outranked."""
    usable = pl.col(FAULT).is_null() & (pl.col(START) < pl.col(END))
    rules = case.read.filter(usable & (pl.col(START) < case.high) & (pl.col(END) > case.low)).sort(LABEL)
    idle = rules.filter(~pl.col(RULE).is_in(case.matched.implode()))
    told = case.told()
    deciding = pl.concat([told[LABEL], told[OTHER]]).unique()
    beaten = rules.filter(pl.col(RULE).is_in(case.matched.implode()) & ~pl.col(LABEL).is_in(deciding.implode()))
    found = []
    if idle.height:
        fix = "look for a misspelling; leave them if their items are yet to come"
        found.append(_rules(case, "idle rule", "warning", idle[LABEL], "match nothing", fix=fix))
    if beaten.height:
        words = "match, but another rule decides each time"
        found.append(_rules(case, "outranked rule", "info", beaten[LABEL], words))
    return found


def _key(rules: Table) -> list[Finding]:
    """A key without the date lets a later rule hide its predecessor also for the time before it."""
    contract = rules.contract
    if contract.happened is None or HAPPENED in contract.keys:
        return []
    stamp = contract.happened.column
    found = f"the key ({', '.join(contract.key)}) lacks {stamp}: a rule's successor hides it also for its own time"
    return [Finding(contract.name, "key", "warning", found, wanted=f"{stamp} in the key", fix=f"add {stamp} to key:")]


def _rules(case: _Case, check: str, severity: Severity, labels: pl.Series, words: str, **more: Any) -> Finding:
    figures = {"count": len(labels), "rules": labels.head(SHOWN).to_list()}
    found = f"{len(labels):,} rules {words} (first: {labels[0]})"
    return case.says(check, severity, found, figures=figures, **more)


def _int(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.Int64)


__all__ = ["SHOWN", "check_mapping", "refusal"]
