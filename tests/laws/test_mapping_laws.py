"""Laws of mappings: plain loops agree, nothing known later counts, and every version of a fact has its own interval."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import naive_mapping as naive
from foreproof.core.contract import Column, Contract, Known, Stamp
from foreproof.core.mapping import MappingTerms, check_mapping, group_items, map_facts, mapped_versions
from foreproof.core.mapping_patterns import Case, matching_texts, pattern_fault
from foreproof.core.mapping_table import mapped_table
from foreproof.core.view import Table
from foreproof.errors import BadInput

KEY = ["sku", "pattern", "division", "_happened"]
TERMS = MappingTerms(on="text")
RULES = Contract(
    "group_rules",
    ("sku", "pattern", "division", "day"),
    Stamp("day", period="integer"),
    Known("column", "seen"),
    (
        Column("sku", "text", nullable=True),
        Column("pattern", "text", nullable=True),
        Column("division", "text", nullable=True),
        Column("group", "text"),
        Column("valid_to", "integer", nullable=True),
        Column("priority", "integer", nullable=True),
    ),
    ahead=True,
)
SALES = Contract("sales", ("n",), Stamp("day", period="integer"), Known("column", "seen"), (Column("n", "integer"),))
CLOCKS = {"_happened": pl.Int64, "_known": pl.Int64, "_batch": pl.Int64, "_deleted": pl.Boolean}
RULE_SCHEMA = {
    **dict.fromkeys(("sku", "pattern", "division", "group"), pl.String),
    "valid_to": pl.Int64,
    "priority": pl.Int64,
    **CLOCKS,
}
FACT_SCHEMA = {"n": pl.Int64, **dict.fromkeys(("item", "text", "division"), pl.String), **CLOCKS}
PATTERNS = ["a*", "*b", "a?", "*", "[ab]*", "*a*", "ab", "re:a.*", "re:[^b]+", "re:(a|ab)b?"]
DIVISIONS = st.sampled_from([None, None, "x", "y"])


@st.composite
def rule_rows(draw: st.DrawFn, *, groups: str = "pq") -> Table:
    """Rules with corrections, tombstones, ties of rank, plans made ahead and re-mappings after the fact."""
    found = {}
    for batch in range(draw(st.integers(0, 10))):
        exact = draw(st.booleans())
        sku = draw(st.sampled_from(["a", "ab", "b"])) if exact else None
        pattern = None if exact else draw(st.sampled_from(PATTERNS))
        start = draw(st.integers(0, 4))
        row = {
            "sku": sku,
            "pattern": pattern,
            "division": draw(DIVISIONS),
            "group": draw(st.sampled_from(groups)),
            "valid_to": draw(st.one_of(st.none(), st.integers(0, 6))),
            "priority": draw(st.sampled_from([None, 0, 0, 1, 2])),
            "_happened": start,
            "_known": draw(st.integers(-1, 8)),
            "_batch": batch,
            "_deleted": draw(st.integers(0, 4)) == 0,
        }
        found[batch] = row
    return Table(RULES, pl.DataFrame(list(found.values()), schema=RULE_SCHEMA, orient="row"))


@st.composite
def sales(draw: st.DrawFn) -> Table:
    """Late facts and corrections of them."""
    found = []
    for batch in range(draw(st.integers(0, 8))):
        day = draw(st.integers(0, 6))
        found.append(
            {
                "n": draw(st.integers(0, 4)),
                "item": draw(st.sampled_from(["a", "ab", "b", None])),
                "text": draw(st.sampled_from(["a", "ab", "ba", "bb", None])),
                "division": draw(DIVISIONS),
                "_happened": day,
                "_known": day + draw(st.integers(0, 3)),
                "_batch": batch,
                "_deleted": draw(st.integers(0, 5)) == 0,
            }
        )
    return Table(SALES, pl.DataFrame(found, schema=FACT_SCHEMA, orient="row"))


def attempt(verb: Callable[[], Any]) -> Any:
    """What a verb gives, or None where rules overlap."""
    try:
        return verb()
    except BadInput as error:
        if "overlap" in error.found:
            return None
        raise
    except naive.Overlap:
        return None


def plain(table: Table) -> list[dict[str, Any]]:
    return list(table.rows.iter_rows(named=True))


@given(rules=rule_rows(), facts=sales(), cutoff=st.integers(-1, 10))
def test_facts_are_mapped_as_a_plain_loop_maps_them(rules: Table, facts: Table, cutoff: int) -> None:
    rows = list(facts.versions.filter(~pl.col("_deleted")).iter_rows(named=True))
    expected = attempt(lambda: naive.map_facts(rows, plain(rules), cutoff=cutoff, key=KEY, on="text"))
    found = attempt(lambda: map_facts(facts, rules, cutoff=cutoff, terms=TERMS))
    assert (found is None) == (expected is None)
    if expected is not None:
        assert sorted(found.select("n", "group").iter_rows()) == sorted(expected)
        assert found["group"].is_null().to_list() == found["rule"].is_null().to_list()


@given(rules=rule_rows(), at=st.integers(-1, 10))
def test_items_are_grouped_as_a_plain_loop_groups_them(rules: Table, at: int) -> None:
    items = pl.DataFrame(
        [(i, t, d) for i in ("a", "ab", "b") for t in ("ab",) for d in ("x", "y", None)],
        schema=["item", "text", "division"],
        orient="row",
    )
    seen = naive.visible(plain(rules), KEY, at)
    expected = attempt(lambda: [naive.group_of(row, at, seen, "text") for row in items.iter_rows(named=True)])
    found = attempt(lambda: group_items(items, rules, at=at, terms=TERMS))
    assert (found is None) == (expected is None)
    if expected is not None:
        assert found.rows["group"].to_list() == expected
        assert found.rows.select("item", "division").equals(items.select("item", "division"))


@given(rules=rule_rows(), facts=sales(), cutoff=st.integers(-1, 10), seed=st.integers(0, 99))
def test_what_is_known_later_and_the_order_of_rows_change_nothing(
    rules: Table, facts: Table, cutoff: int, seed: int
) -> None:
    whole = attempt(lambda: map_facts(facts, rules, cutoff=cutoff, terms=TERMS))
    cut = attempt(lambda: map_facts(facts.truncate(cutoff), rules.truncate(cutoff), cutoff=cutoff, terms=TERMS))
    shuffled = Table(rules.contract, rules.rows.sample(fraction=1, shuffle=True, seed=seed))
    again = attempt(lambda: map_facts(facts, shuffled, cutoff=cutoff, terms=TERMS))
    assert (whole is None) == (cut is None) == (again is None)
    if whole is not None:
        assert_frame_equal(whole, cut, check_row_order=False)
        assert_frame_equal(whole, again)


@given(rules=rule_rows(), facts=sales(), cutoffs=st.sets(st.integers(-1, 10), min_size=1, max_size=3))
def test_versions_at_each_cutoff_are_what_the_facts_were_mapped_to(
    rules: Table, facts: Table, cutoffs: set[int]
) -> None:
    versions = attempt(lambda: mapped_versions(facts, rules, TERMS))
    told = mapped_versions(facts, rules, TERMS, faults="unmapped")
    for cutoff in cutoffs:
        view = attempt(lambda c=cutoff: map_facts(facts, rules, cutoff=c, terms=TERMS))
        assert view is not None or versions is None
        if view is not None:
            seen = told.filter((pl.col("_since") <= cutoff) & (cutoff < pl.col("_until")))
            assert_frame_equal(seen.drop("_row", "_since", "_until"), view)
    if versions is not None:
        assert_frame_equal(versions, told)
    else:
        views = (attempt(lambda c=c: map_facts(facts, rules, cutoff=c, terms=TERMS)) for c in range(-1, 12))
        assert any(view is None for view in views)


@given(rules=rule_rows(), facts=sales())
def test_the_intervals_of_a_fact_are_its_life_cut_where_the_mapping_changes(rules: Table, facts: Table) -> None:
    told = mapped_versions(facts, rules, TERMS, faults="unmapped")
    living = facts.versions.filter(~pl.col("_deleted")).with_row_index("_row")
    for row in living.filter(pl.col("_known") < pl.col("_until")).iter_rows(named=True):
        pieces = list(told.filter(pl.col("_row") == row["_row"]).iter_rows(named=True))
        assert pieces[0]["_since"] == row["_known"] and pieces[-1]["_until"] == row["_until"]
        for one, other in pairwise(pieces):
            assert one["_until"] == other["_since"]
            assert (one["group"], one["rule"]) != (other["group"], other["rule"])


@given(rules=rule_rows(), facts=sales(), cutoff=st.integers(0, 8))
def test_a_later_batch_only_ends_intervals_that_were_open(rules: Table, facts: Table, cutoff: int) -> None:
    """Cut at c, the pieces from whole tables are those of the tables as they were at c."""
    whole = mapped_versions(facts, rules, TERMS, faults="unmapped").filter(pl.col("_since") <= cutoff)
    then = mapped_versions(facts.truncate(cutoff), rules.truncate(cutoff), TERMS, faults="unmapped")
    names = ["n", "item", "group", "rule", "_happened", "_known", "_since"]
    order = ["n", "_known", "_batch", "_since"]
    assert_frame_equal(whole.sort(order).select(names), then.sort(order).select(names))


@given(rules=rule_rows(), facts=sales(), cutoff=st.integers(-1, 10))
def test_deriving_groups_and_cutting_in_time_commute_row_for_row(rules: Table, facts: Table, cutoff: int) -> None:
    whole = mapped_table(facts, rules, TERMS)
    then = mapped_table(facts.truncate(cutoff), rules.truncate(cutoff), TERMS)
    assert_frame_equal(whole.truncate(cutoff).rows, then.rows, check_exact=True)
    assert_frame_equal(whole.as_of(cutoff), then.as_of(cutoff), check_exact=True, check_row_order=False)


@given(rules=rule_rows(), facts=sales(), cutoff=st.integers(-1, 10))
def test_a_derived_table_shows_the_group_that_a_plain_loop_gives(rules: Table, facts: Table, cutoff: int) -> None:
    seen = naive.visible(plain(rules), KEY, cutoff)
    wanted = []
    for row in facts.as_of(cutoff).iter_rows(named=True):
        status = naive.group_status(row, row["_happened"], seen, "text")
        wanted.append((row["n"], None if status == "overlap" else status))
    found = mapped_table(facts, rules, TERMS).as_of(cutoff).select("n", "group").rows()
    assert sorted(found, key=str) == sorted(wanted, key=str)


@given(rules=rule_rows(), facts=sales())
def test_a_derived_table_keeps_every_fact_and_says_nothing_twice(rules: Table, facts: Table) -> None:
    """A version of a fact with the same words as the one before it would only cost; one that is lost would be a leak."""
    found = mapped_table(facts, rules, TERMS)
    # rows that some cutoff sees, whatever their group
    before = facts.versions.filter(pl.col("_known") < pl.col("_until"), ~pl.col("_deleted"))
    after = found.versions.filter(pl.col("_known") < pl.col("_until"), ~pl.col("_deleted"))
    names = ["n", "item", "text", "division", "_happened", "_batch"]
    assert sorted(before.select(names).rows(), key=str) == sorted(after.select(names).unique().rows(), key=str)
    ordered = after.sort("n", "_known").with_columns(
        (pl.col("group").eq_missing(pl.col("group").shift()) & (pl.col("_batch") == pl.col("_batch").shift()))
        .over("n")
        .alias("same")
    )
    assert not ordered["same"].any()


def test_a_late_rule_a_correction_and_a_tombstone_end_intervals_and_change_nothing_before() -> None:
    def rule(group: str, known: int, batch: int, deleted: bool = False) -> dict[str, Any]:
        at = {"_happened": 0, "_known": known, "_batch": batch, "_deleted": deleted}
        return {"pattern": "a*", "group": group, **at}

    def fact(n: int, known: int, batch: int, deleted: bool = False) -> dict[str, Any]:
        at = {"_happened": 1, "_known": known, "_batch": batch, "_deleted": deleted}
        return {"n": n, "item": "a", "text": "a", **at}

    rules = [rule("p", 2, 0), rule("q", 5, 1), rule("q", 8, 2, deleted=True)]
    facts = [fact(1, 1, 0), fact(2, 3, 0), fact(2, 6, 1, deleted=True), fact(3, 7, 1)]
    found = mapped_table(
        Table(SALES, pl.DataFrame(facts, schema=FACT_SCHEMA)),
        Table(RULES, pl.DataFrame(rules, schema=RULE_SCHEMA)),
        TERMS,
    )
    assert found.rows.select("n", "_known", "_deleted", "group").rows() == [
        (1, 1, False, None),
        (1, 2, False, "p"),
        (1, 5, False, "q"),
        (1, 8, False, None),
        (2, 3, False, "p"),
        (2, 5, False, "q"),
        (2, 6, True, None),
        (3, 7, False, "q"),
        (3, 8, False, None),
    ]
    assert found.contract.columns[-1] == Column("group", "text", nullable=True)


# the last two are the Kelvin sign and the long s: capitals and small letters beyond ASCII that fold into it
LETTERS = st.text("abksK-!]*?[^\\&~.\u212a\u017f", max_size=6)


@given(
    patterns=st.lists(LETTERS.filter(bool), min_size=1, max_size=4, unique=True),
    texts=st.lists(LETTERS, max_size=8, unique=True),
    case=st.sampled_from(["exact", "ignore"]),
)
def test_globs_mean_what_fnmatch_means_by_them(patterns: list[str], texts: list[str], case: Case) -> None:
    # a set that runs backwards is a fault here, where fnmatch skips it
    patterns = [pattern for pattern in patterns if not pattern_fault(pattern, case=case)]
    flags = re.IGNORECASE if case == "ignore" else re.NOFLAG
    expected = {(p, t) for p in patterns for t in texts if re.match(fnmatch.translate(p), t, flags)}
    found = matching_texts(pl.Series(texts, dtype=pl.String), patterns, case=case)
    assert sorted(found.iter_rows()) == sorted(expected)


@given(rules=rule_rows(), window=st.tuples(st.integers(0, 6), st.integers(1, 4)), dated=st.booleans())
def test_gaps_and_overlaps_are_those_that_a_walk_through_the_days_meets(
    rules: Table, window: tuple[int, int], dated: bool
) -> None:
    low, high = window[0], sum(window)
    items = pl.DataFrame(
        [("a", "a", "x", 0), ("ab", "ab", "y", 3), ("b", "ba", None, 5), ("c", "bb", "x", 7)],
        schema=["item", "text", "division", "_happened"],
        orient="row",
    )
    rows = list(items.iter_rows(named=True))
    findings = check_mapping(items if dated else items.drop("_happened"), rules, from_=low, to=high, terms=TERMS)
    seen = naive.visible(plain(rules), KEY, 99)
    gaps, clashes = set(), set()
    for row in rows:
        for day in range(low, high):
            if dated and day != row["_happened"]:
                continue
            status = naive.group_status(row, day, seen, "text")
            (gaps if status is None else clashes if status == "overlap" else set()).add(row["item"])
    gap = [finding for finding in findings if finding.check == "gap"]
    assert (gap[0].figures["items"] if gap else 0) == len(gaps)
    assert any(finding.check == "overlap" for finding in findings) == bool(clashes)
    idle = {label for f in findings if f.check == "idle rule" for label in f.figures["rules"]}
    lonely = [
        rule
        for rule in seen
        if rule["_happened"] < high
        and low < (99 if rule["valid_to"] is None else rule["valid_to"])
        and rule["_happened"] < (99 if rule["valid_to"] is None else rule["valid_to"])
        and not any(naive.matches(rule, row, "text") for row in rows if not dated or low <= row["_happened"] < high)
    ]
    assert len(idle) == len({(r["sku"], r["pattern"], r["division"], r["_happened"]) for r in lonely})


def test_a_fault_in_a_rule_refuses_a_mapping_at_the_cutoffs_that_know_it() -> None:
    rows = [
        {"pattern": "re:(", "group": "p", "_happened": 0, "_known": 2, "_batch": 0, "_deleted": False},
        {"pattern": "re:(", "group": "p", "_happened": 0, "_known": 4, "_batch": 1, "_deleted": True},
    ]
    rules = Table(RULES, pl.DataFrame(rows, schema=RULE_SCHEMA))
    facts = pl.DataFrame({"item": ["a"], "text": ["a"], "_happened": [1], "_known": [1]})
    assert map_facts(facts, rules, cutoff=1, terms=TERMS)["group"].to_list() == [None]
    with pytest.raises(BadInput, match="cannot be read: unclosed group"):
        map_facts(facts, rules, cutoff=3, terms=TERMS)
    assert map_facts(facts, rules, cutoff=4, terms=TERMS)["group"].to_list() == [None]
    with pytest.raises(BadInput, match="1 rules that cannot be used"):
        mapped_versions(facts, rules, TERMS)
    assert mapped_versions(facts, rules, TERMS, faults="unmapped").height == 1
