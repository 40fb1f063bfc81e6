"""Mapping rules: precedence, validity in days, what a check finds, and what is refused."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from foreproof.core.contract import parse_contract
from foreproof.core.mapping import (
    Expected,
    MappingTerms,
    check_mapping,
    coverage_table,
    group_items,
    map_facts,
    mapped_versions,
    parse_mapping,
    refusal,
)
from foreproof.core.preflight import Finding
from foreproof.core.section import Section
from foreproof.core.table import parse
from foreproof.core.view import Table
from foreproof.errors import BadInput, PlanError

COLUMNS: dict[str, Any] = {
    **{name: {"type": "text", "nullable": True} for name in ("sku", "pattern", "division", "group")},
    "priority": {"type": "integer", "nullable": True},
    "valid_to": {"type": "date", "nullable": True},
}
SECTION: dict[str, Any] = {
    "key": ["sku", "pattern", "division", "valid_from"],
    "happened": "valid_from",
    "known": {"column": "entered", "formats": ["%Y-%m-%d"]},
    "ahead": True,
    "columns": COLUMNS,
}
START = date(2024, 1, 1)
TERMS = MappingTerms(on="description")
ITEMS = pl.DataFrame(
    {
        "item": ["m1", "m2", "t1"],
        "description": ["red mug", "blue mug", "tin tray"],
        "division": ["north", "south", None],
    }
)


def rules(*rows: dict[str, Any], **section: Any) -> Table:
    """Rules from 2024 on, entered long before, unless a row says otherwise."""
    usual: dict[str, Any] = dict.fromkeys(COLUMNS)
    full = [{**usual, "valid_from": START, "entered": date(2023, 1, 1), **row} for row in rows]
    schema = {
        **dict.fromkeys(("sku", "pattern", "division", "group"), pl.String),
        "priority": pl.Int64,
        **dict.fromkeys(("valid_to", "valid_from", "entered"), pl.Date),
    }
    contract = parse_contract("group_rules", Section({**SECTION, **section}, path="tables.group_rules"))
    return parse(contract, pl.DataFrame(full, schema=schema), now=None)


def at(day: date, *, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def groups(*rows: dict[str, Any], terms: MappingTerms = TERMS, items: pl.DataFrame = ITEMS) -> list[str | None]:
    return group_items(items, rules(*rows), at=at(date(2024, 6, 1)), terms=terms).rows["group"].to_list()


def facts(*days: date, item: str = "m1") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item": [item] * len(days),
            "description": ["red mug"] * len(days),
            "_happened": [at(day) for day in days],
            "_known": [at(day) for day in days],
        },
        schema_overrides={"_happened": pl.Datetime("us", "UTC"), "_known": pl.Datetime("us", "UTC")},
    )


def check(
    *rows: dict[str, Any], items: pl.DataFrame = ITEMS, terms: MappingTerms = TERMS, **more: Any
) -> list[Finding]:
    found = check_mapping(items, rules(*rows), from_=at(START), to=at(date(2025, 1, 1)), terms=terms, **more)
    assert all(isinstance(finding.as_dict()["figures"], dict) for finding in found)
    return found


def brief(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.check) for finding in findings]


ALL = {"pattern": "*", "group": "rest", "priority": -1}


# Precedence -----------------------------------------------------------------------------------------------------------


def test_an_exact_item_goes_before_a_pattern_whatever_its_priority() -> None:
    assert groups({"sku": "m1", "group": "p"}, {"pattern": "*mug", "group": "q", "priority": 9}) == ["p", "q", None]


def test_the_higher_priority_goes_before_the_longer_pattern_and_none_is_zero() -> None:
    short, long = {"pattern": "*mug", "group": "p", "priority": 1}, {"pattern": "red *mug*", "group": "q"}
    assert groups(short, long) == ["p", "p", None]
    assert groups({**short, "priority": -1}, long) == ["q", "p", None]


def test_the_longer_pattern_goes_before_the_shorter_and_its_mark_does_not_count() -> None:
    assert groups({"pattern": "*mug*", "group": "p"}, {"pattern": "re:.*[m]ug", "group": "q"}) == ["q", "q", None]
    assert groups({"pattern": "*mug*", "group": "p"}, {"pattern": "re:.+ug", "group": "q"}) == ["p", "p", None]


def test_two_rules_of_one_rank_that_disagree_are_refused_with_both_their_names() -> None:
    rows = {"pattern": "*mug", "group": "p"}, {"pattern": "red*", "group": "q"}
    with pytest.raises(BadInput, match=r"1 pairs .*'pattern \*mug, from 2024-01-01' for p, 'pattern red\*, .* for q"):
        groups(*rows)
    assert groups(*rows, {"sku": "m1", "group": "s"}) == ["s", "p", None], "a higher rank decides, so nobody chooses"
    assert groups(*(row | {"group": "p"} for row in rows)) == ["p", "p", None]


def test_a_division_restricts_a_rule_and_none_restricts_nothing() -> None:
    assert groups({"pattern": "*", "division": "north", "group": "p"}) == ["p", None, None]
    assert groups({"sku": "m2", "division": "north", "group": "p"}) == [None, None, None]
    both = pl.concat([ITEMS, ITEMS.with_columns(division=pl.lit("west"))])
    found = group_items(both, rules({"sku": "m1", "division": "west", "group": "p"}), at=at(START), terms=TERMS)
    assert found.key == ("item", "division")
    assert found.rows.filter(pl.col("group") == "p").rows() == [
        ("m1", "west", "p", "item m1, division west, from 2024-01-01")
    ]


def test_patterns_match_the_whole_text_and_capitals_unless_told_otherwise() -> None:
    assert groups({"pattern": "mug", "group": "p"}) == [None, None, None]
    assert groups({"pattern": "re:mug", "group": "p"}) == [None, None, None]
    assert groups({"pattern": "RED*", "group": "p"}) == [None, None, None]
    loose = MappingTerms(on="description", case="ignore")
    assert groups({"pattern": "RED*", "group": "p"}, terms=loose) == ["p", None, None]
    assert groups({"pattern": "re:.*MU[F-H]", "group": "p"}, terms=loose) == ["p", "p", None]


def test_letters_beyond_ascii_fold_like_the_others() -> None:
    items = pl.DataFrame({"item": ["\u212aelvin", "CAF\u00c9", "x"]})  # the first begins with the Kelvin sign
    loose = MappingTerms(case="ignore")
    assert groups({"pattern": "kel*", "group": "p"}, terms=loose, items=items) == ["p", None, None]
    assert groups({"pattern": "caf\u00e9", "group": "p"}, terms=loose, items=items) == [None, "p", None]


def test_patterns_are_matched_against_the_item_where_the_terms_name_no_column() -> None:
    assert groups({"pattern": "m?", "group": "p"}, terms=MappingTerms(), items=ITEMS.select("item")) == ["p", "p", None]


def test_items_may_be_numbers() -> None:
    items = pl.DataFrame({"item": [85123, 7]})
    found = group_items(items, rules({"sku": "7", "group": "p"}), at=at(START), terms=MappingTerms())
    assert found.rows["item"].to_list() == [85123, 7] and found.rows["group"].to_list() == [None, "p"]


def test_empty_texts_in_rules_are_as_good_as_none() -> None:
    assert groups({"sku": "m1", "pattern": "", "division": "", "group": "p"}) == ["p", None, None]


# Validity and knowledge -----------------------------------------------------------------------------------------------


def test_a_rule_holds_from_its_first_day_to_the_day_before_valid_to() -> None:
    table = rules({"sku": "m1", "group": "p", "valid_to": date(2024, 3, 1)})
    days = [date(2023, 12, 31), START, date(2024, 2, 29), date(2024, 3, 1)]
    found = map_facts(facts(*days), table, cutoff=at(date(2025, 1, 1)), terms=TERMS)
    assert found["group"].to_list() == [None, "p", "p", None]
    for day, group in zip(days, found["group"], strict=True):
        assert group_items(ITEMS, table, at=at(day), terms=TERMS).rows["group"][0] == group


def test_a_day_is_whole_for_facts_of_a_second_and_for_facts_of_a_day() -> None:
    table = rules({"sku": "m1", "group": "p"}, zone="Europe/Paris")
    early = datetime(2023, 12, 31, 23, 0, tzinfo=UTC)  # midnight in Paris: the rule's first day
    last = datetime(2024, 1, 1, 22, 59, 59, 999999, tzinfo=UTC)
    for moment, group in ((early, "p"), (last, "p"), (early - timedelta(microseconds=1), None)):
        one = facts(START).with_columns(pl.lit(moment).cast(pl.Datetime("us", "UTC")).alias("_happened"))
        assert map_facts(one, table, cutoff=at(date(2025, 1, 1)), terms=TERMS)["group"].to_list() == [group]


def test_a_later_re_mapping_never_rewrites_what_an_earlier_cutoff_saw() -> None:
    first = {"sku": "m1", "group": "p"}
    again = {"sku": "m1", "group": "q", "valid_from": date(2023, 6, 1), "entered": date(2024, 5, 1), "priority": 1}
    table, rows = rules(first, again), facts(date(2024, 2, 1), date(2024, 6, 1))
    march, july = at(date(2024, 3, 1)), at(date(2024, 7, 1))
    assert map_facts(rows, table, cutoff=march, terms=TERMS)["group"].to_list() == ["p"]
    assert map_facts(rows, table, cutoff=july, terms=TERMS)["group"].to_list() == ["q", "q"]
    versions = mapped_versions(rows, table, TERMS)
    assert versions.select("_row", "group").rows() == [(0, "p"), (0, "q"), (1, "q")]
    assert versions["_until"][0] == versions["_since"][1] == int(table.rows["_known"].to_physical().max())  # type: ignore[call-overload]
    assert group_items(ITEMS, table, at=march, terms=TERMS).rows["group"][0] == "p"


def test_an_overlap_that_became_known_later_leaves_earlier_cutoffs_alone() -> None:
    table = rules({"pattern": "*mug", "group": "p"}, {"pattern": "red*", "group": "q", "entered": date(2024, 5, 1)})
    rows, march, july = facts(date(2024, 2, 1)), at(date(2024, 3, 1)), at(date(2024, 7, 1))
    assert map_facts(rows, table, cutoff=march, terms=TERMS)["group"].to_list() == ["p"]
    for verb in (
        lambda: map_facts(rows, table, cutoff=july, terms=TERMS),
        lambda: mapped_versions(rows, table, TERMS),
    ):
        with pytest.raises(BadInput, match="1 pairs of rules of one rank that overlap"):
            verb()
    told = mapped_versions(rows, table, TERMS, faults="unmapped")
    assert told.select("group", "rule").rows() == [("p", "pattern *mug, from 2024-01-01"), (None, None)]


def test_rules_of_a_table_that_is_declared_constant_hold_always() -> None:
    section = {key: value for key, value in SECTION.items() if key not in ("happened", "known", "ahead")}
    section |= {"key": ["sku"], "constant": "the groups are the product catalogue's own"}
    contract = parse_contract("group_rules", Section(section, path="t"))
    frame = pl.DataFrame([{**dict.fromkeys(COLUMNS), "sku": "m1", "group": "p"}])
    table = parse(contract, frame, now=None)
    found = map_facts(facts(date(1990, 1, 1)), table, cutoff=at(date(1990, 2, 1)), terms=TERMS)
    assert found.select("group", "rule").rows() == [("p", "item m1")]
    steps = pl.DataFrame({"item": ["m1"], "_happened": [3], "_known": [4]})
    assert map_facts(steps, table, cutoff=4, terms=MappingTerms())["group"].to_list() == ["p"]
    assert brief(check_mapping(ITEMS, table, from_=at(START), to=at(date(2025, 1, 1)), terms=TERMS)) == [
        ("error", "gap")
    ]


def test_no_items_no_facts_and_no_rules_are_no_fault_of_a_mapping() -> None:
    table = rules({"sku": "m1", "group": "p"})
    none = Table(table.contract, table.rows.clear())
    assert groups({"sku": "m1", "group": "p"}, items=ITEMS.clear()) == []
    assert map_facts(facts().cast({"item": pl.String}), table, cutoff=at(START), terms=TERMS).height == 0
    assert mapped_versions(facts(START), none, TERMS)["group"].to_list() == [None]
    assert group_items(ITEMS, none, at=at(START), terms=TERMS).rows["group"].null_count() == 3


def test_deleted_facts_have_no_group_and_columns_of_the_facts_stay() -> None:
    rows = facts(START, START).with_columns(_deleted=pl.Series([True, False]), units=pl.Series([1, 2]))
    found = map_facts(rows, rules({"sku": "m1", "group": "p"}), cutoff=at(date(2024, 2, 1)), terms=TERMS)
    assert found.columns == [*rows.columns, "group", "rule"] and found["units"].to_list() == [2]


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"sku": "m1", "pattern": "m*", "group": "p"}, "both an exact item and a pattern"),
        ({"group": "p"}, "neither an exact item nor a pattern"),
        ({"sku": "m1"}, "it names no group"),
        ({"sku": "m1", "group": "(unmapped)"}, "no group may be named"),
        ({"pattern": "re:(", "group": "p"}, "unclosed group"),
        ({"pattern": "re:a)|(b", "group": "p"}, "unopened group"),
        ({"pattern": "re:(?=a)", "group": "p"}, "look-around"),
        ({"pattern": "[z-a]", "group": "p"}, "invalid character class range"),
        ({"pattern": "re:(a{999}){999}", "group": "p"}, "exceeds size limit"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_and_found(row: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=f"1 rules that cannot be used .*{re.escape(words)}"):
        groups(row)
    found = check(row, ALL)
    assert brief(found)[0] == ("error", "unusable rule") and words in found[0].found


def test_columns_that_terms_name_must_be_there_and_those_of_the_usual_name_need_not() -> None:
    table = rules({"sku": "m1", "group": "p"}, key=["sku", "valid_from"])
    bare = Table(table.contract, table.rows.drop("pattern", "division", "priority", "valid_to"))
    assert group_items(ITEMS, bare, at=at(START), terms=TERMS).rows["group"].to_list() == ["p", None, None]
    for terms, name in (
        (MappingTerms(group="department"), "department"),
        (MappingTerms(valid_to="valid_untill"), "valid_untill"),
        (MappingTerms(sku="code"), "code"),
    ):
        with pytest.raises(BadInput, match=f"group_rules.{name}: no such column; wanted one of sku, "):
            group_items(ITEMS, table, at=at(START), terms=terms)


def test_columns_of_another_kind_are_refused() -> None:
    table = rules({"sku": "m1", "group": "p"})
    for terms, wanted in (
        (MappingTerms(priority="group"), "an integer column"),
        (MappingTerms(valid_to="group"), "a date, the first without it"),
    ):
        with pytest.raises(BadInput, match=wanted):
            group_items(ITEMS, table, at=at(START), terms=terms)


def test_items_must_have_what_the_rules_ask_about() -> None:
    for column, row in (("description", ALL), ("division", {"sku": "m1", "division": "north", "group": "p"})):
        with pytest.raises(BadInput, match=f"no column '{column}'"):
            groups(row, items=ITEMS.drop(column))
    with pytest.raises(BadInput, match="no column 'item'"):
        groups(ALL, items=ITEMS.drop("item"))
    assert groups({"sku": "m1", "group": "p"}, terms=MappingTerms(), items=ITEMS.select("item")) == ["p", None, None]


def test_an_item_that_repeats_and_a_group_that_names_an_item_are_refused() -> None:
    with pytest.raises(BadInput, match="repeats in 6 rows"):
        groups(ALL, items=pl.concat([ITEMS, ITEMS]))
    with pytest.raises(BadInput, match="another name"):
        groups(ALL, terms=MappingTerms(group="division", division="division"))


def test_facts_without_clocks_and_columns_that_are_taken_are_refused() -> None:
    table, rows = rules(ALL), facts(START)
    for name in ("_happened", "_known"):
        with pytest.raises(BadInput, match=f"no column '{name}'"):
            mapped_versions(rows.drop(name), table, TERMS)
    for name in ("group", "rule"):
        with pytest.raises(BadInput, match=f"facts.{name}: a column of that name"):
            map_facts(rows.with_columns(pl.lit("x").alias(name)), table, cutoff=at(START), terms=TERMS)


def test_moments_of_another_clock_are_refused() -> None:
    table, rows = rules(ALL), facts(START)
    steps = rows.with_columns(pl.lit(1, dtype=pl.Int64).alias(name) for name in ("_happened", "_known"))
    for verb in (
        lambda: group_items(ITEMS, table, at=3, terms=TERMS),
        lambda: map_facts(rows, table, cutoff=3, terms=TERMS),
        lambda: map_facts(steps, table, cutoff=at(START), terms=TERMS),
        lambda: mapped_versions(steps, table, TERMS),
        lambda: check_mapping(ITEMS, table, from_=1, to=2, terms=TERMS),
        lambda: check_mapping(ITEMS, table, from_=at(START), to=2, terms=TERMS),
    ):
        with pytest.raises(BadInput, match="clock"):
            verb()


# Checks ---------------------------------------------------------------------------------------------------------------


def test_a_whole_mapping_has_no_findings() -> None:
    found = check({"pattern": "*mug", "group": "mugs"}, {"sku": "t1", "group": "trays"})
    assert found == []
    refusal(found)


def test_an_item_without_a_group_for_part_of_the_time_is_a_gap_with_its_days() -> None:
    row = {"pattern": "*mug", "group": "mugs", "valid_to": date(2024, 5, 1)}
    back = {"pattern": "red*", "group": "mugs", "valid_from": date(2024, 6, 1)}
    (found,) = check(row, back, {"sku": "t1", "group": "trays"})
    assert (found.severity, found.check) == ("error", "gap")
    assert found.figures == {
        "items": 2,
        "share": 2 / 3,
        "gaps": [
            {"item": "m1", "from": "2024-05-01", "to": "2024-06-01"},
            {"item": "m2", "from": "2024-05-01", "to": "2025-01-01"},
        ],
    }
    assert "2 of 3 items, 66.7% of the items" in found.found and "first: m1, 2024-05-01 to 2024-06-01" in found.found


def test_a_gap_is_weighed_by_value_and_within_the_allowance_it_is_a_warning() -> None:
    items = ITEMS.with_columns(value=pl.Series([90.0, 8.0, -2.0]))
    terms = MappingTerms(on="description", value="value", unmapped=0.02)
    rows = {"pattern": "*mug", "group": "mugs"}, {"sku": "t1", "group": "trays"}
    (found,) = check(rows[0], items=items, terms=terms)
    assert (found.severity, found.figures["share"]) == ("warning", 0.02)
    (found,) = check(rows[1], items=items, terms=terms)
    assert (found.severity, found.figures["share"]) == ("error", 0.98)
    (found,) = check(rows[0], items=items.with_columns(value=pl.lit(0)), terms=terms)
    assert (found.severity, found.figures["share"]) == ("error", 1 / 3)


def test_sales_need_a_group_on_their_own_day_only() -> None:
    row = {"pattern": "*mug", "group": "mugs", "valid_to": date(2024, 5, 1)}
    inside, outside = facts(date(2024, 4, 30), date(2023, 1, 1)), facts(date(2024, 4, 30), date(2024, 5, 1))
    assert check(row, items=inside) == []
    (found,) = check(row, items=outside)
    assert found.figures == {
        "items": 1,
        "share": 0.5,
        "gaps": [{"item": "m1", "from": "2024-05-01", "to": "2024-05-02"}],
    }


def test_an_overlap_is_found_with_the_pair_and_its_days() -> None:
    one = {"pattern": "*mug", "group": "p", "valid_to": date(2024, 9, 1)}
    found = check(one, {"pattern": "red*", "group": "q", "valid_from": date(2024, 3, 1)}, ALL)
    assert brief(found) == [("error", "overlap")]
    assert found[0].figures == {
        "rules": ["pattern *mug, from 2024-01-01", "pattern red*, from 2024-03-01"],
        "groups": ["p", "q"],
        "items": 1,
        "from": "2024-03-01",
        "to": "2024-09-01",
    }
    with pytest.raises(BadInput, match=r"group_rules: overlap: 'pattern \*mug, .*; wanted one group an item"):
        refusal(found)


def test_a_rule_that_ends_before_it_begins_is_found_and_never_holds() -> None:
    row = {"sku": "m1", "group": "p", "valid_to": START}
    found = check(row, ALL)
    assert brief(found) == [("error", "validity")] and "item m1, from 2024-01-01" in found[0].found
    assert groups(row, ALL) == ["rest", "rest", "rest"]


def test_rules_that_match_nothing_are_told_and_those_that_never_decide() -> None:
    found = check(
        {"pattern": "*cup", "group": "p"}, {"sku": "m1", "group": "p"}, {"pattern": "red mug", "group": "q"}, ALL
    )
    assert brief(found) == [("warning", "idle rule"), ("info", "outranked rule")]
    assert found[0].figures == {"count": 1, "rules": ["pattern *cup, from 2024-01-01"]}
    assert found[1].figures == {"count": 1, "rules": ["pattern red mug, from 2024-01-01"]}
    later = {"pattern": "*cup", "group": "p", "valid_from": date(2025, 1, 1)}
    ended = {"pattern": "*cup", "group": "p", "valid_from": date(2023, 1, 1), "valid_to": START}
    assert check(later, ended, ALL) == [], "they are of another time"


def test_groups_that_are_not_declared_are_refused_and_declared_ones_without_rules_told() -> None:
    terms = MappingTerms(on="description", names=("mugs", "trays"))
    found = check({"pattern": "*", "group": "mugz"}, {"sku": "t1", "group": "trays"}, terms=terms)
    assert brief(found) == [("error", "unknown group"), ("warning", "group without rules")]
    assert "'mugz'" in found[0].found and found[0].wanted == "one of mugs, trays" and "'mugs'" in found[1].found


def test_counts_and_shares_out_of_bounds_are_found() -> None:
    items = ITEMS.with_columns(value=pl.Series([50, 25, 25]))
    terms = MappingTerms(on="description", value="value")
    rows = {"pattern": "*mug", "group": "mugs"}, {"sku": "t1", "group": "trays"}
    fine = {"mugs": Expected(items=(2, 2), share=(0.75, 0.75)), "trays": Expected()}
    assert check(*rows, items=items, terms=terms, expected=fine) == []
    until = [{**row, "valid_to": date(2025, 1, 1)} for row in rows]
    assert check(*until, items=items, terms=terms, expected=fine) == [], "the last day is the one before `to`"
    off = {"mugs": Expected(items=(3, 9)), "trays": Expected(share=(0.3, 1.0))}
    found = check(*rows, items=items, terms=terms, expected=off)
    assert [(f.severity, f.found, f.wanted) for f in found] == [
        ("error", "mugs has 2 items", "3 to 9"),
        ("error", "trays has 25.0% of the value", "30.0% to 100.0%"),
    ]
    with pytest.raises(BadInput, match=r"mugs has 2 items \(and 1 more errors\)"):
        refusal(found)
    planned = MappingTerms(on="description", expected=(("mugs", Expected(items=(3, 9))), ("trays", Expected())))
    assert brief(check(*rows, terms=planned)) == [("error", "expected")]
    with pytest.raises(BadInput, match="a share without a value"):
        check(*rows, expected=off)


def test_a_key_without_the_date_is_told() -> None:
    table = rules(ALL, key=["sku", "pattern", "division"])
    found = check_mapping(ITEMS, table, from_=at(START), to=at(date(2025, 1, 1)), terms=TERMS)
    assert brief(found) == [("warning", "key")] and found[0].wanted == "valid_from in the key"


def test_a_check_of_nothing_is_no_check() -> None:
    assert brief(check(ALL, items=ITEMS.clear()))[0] == ("error", "items")
    assert brief(check(ALL, items=facts(date(2023, 1, 1))))[0] == ("error", "items")
    table = rules(ALL)
    with pytest.raises(BadInput, match="at least one day"):
        check_mapping(ITEMS, table, from_=at(START), to=at(START), terms=TERMS)
    with pytest.raises(BadInput, match="no column 'money'"):
        check(ALL, terms=MappingTerms(on="description", value="money"))


def test_a_check_looks_at_the_latest_rules_and_truncation_at_earlier_ones() -> None:
    wrong = {"sku": "m1", "group": "p"}
    table = rules(wrong, ALL)
    mended = table.rows.filter(pl.col("sku") == "m1").with_columns(
        pl.col("_known").dt.offset_by("1y"), pl.lit(1, dtype=pl.Int64).alias("_batch"), group=pl.lit("rest")
    )
    both = Table(table.contract, pl.concat([table.rows, mended]))
    terms = MappingTerms(on="description", names=("rest",))
    window = {"from_": at(START), "to": at(date(2025, 1, 1)), "terms": terms}
    assert check_mapping(ITEMS, both, **window) == []  # type: ignore[arg-type]
    before = check_mapping(ITEMS, both.truncate(at(date(2023, 6, 1))), **window)  # type: ignore[arg-type]
    assert brief(before) == [("error", "unknown group")]


# Coverage and the plan ------------------------------------------------------------------------------------------------


def test_coverage_counts_items_rows_and_value_and_what_is_unmapped_comes_last() -> None:
    mapped = group_items(ITEMS.drop("division"), rules({"pattern": "*mug", "group": "mugs"}), at=at(START), terms=TERMS)
    sold = pl.DataFrame({"item": ["m1", "m1", "t1", "x9"], "units": [3, 1, 3, 1]})
    assert coverage_table(mapped, sold, value="units").rows() == [
        ("mugs", 2, 2, 4, 0.5),
        ("(unmapped)", 1, 2, 4, 0.5),
    ]
    nothing = coverage_table(mapped, sold.clear(), value="units")
    assert nothing.rows() == [("mugs", 2, 0, 0, None), ("(unmapped)", 1, 0, 0, None)]
    with pytest.raises(BadInput, match="no column 'money'"):
        coverage_table(mapped, sold, value="money")
    with pytest.raises(BadInput, match=r"facts.item: a column of Int64; wanted String"):
        coverage_table(mapped, sold.with_columns(item=pl.lit(1, dtype=pl.Int64)), value="units")
    with pytest.raises(BadInput, match="numbers to add up"):
        coverage_table(mapped, sold, value="item")


def test_a_plan_names_columns_and_expectations() -> None:
    section = {
        "table": "departments",
        "item": "product_id",
        "on": "description",
        "group": "department",
        "case": "ignore",
        "value": "sales",
        "unmapped": 0.01,
        "names": ["garden", "kitchen"],
        "expected": {"garden": {"items": [10, 20]}, "kitchen": {"share": [0.1, 0.5]}},
    }
    terms = parse_mapping(Section(section, path="groups"))
    assert terms == MappingTerms(
        table="departments",
        item="product_id",
        on="description",
        group="department",
        case="ignore",
        value="sales",
        unmapped=0.01,
        names=("garden", "kitchen"),
        expected=(("garden", Expected(items=(10, 20))), ("kitchen", Expected(share=(0.1, 0.5)))),
    )
    assert hash(terms) and parse_mapping(Section({"item": "item"}, path="groups")) == MappingTerms()


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, "groups.item"),
        ({"itm": "x", "item": "item"}, "did you mean 'item'"),
        ({"case": "upper"}, "one of exact, ignore"),
        ({"unmapped": 2}, "0.0 to 1.0"),
        (
            {"expected": {"garden": {"items": [3, 1]}}},
            r"groups.expected.garden.items: \[3.0, 1.0\]; wanted \[low, high\]",
        ),
        ({"expected": {"garden": {"items": [3]}}}, "low, high"),
        ({"expected": {"garden": {"item": [3, 4]}}}, "did you mean 'items'"),
        ({"expected": {"garden": {"share": [0, 1]}}}, "a share without a value; .*set value:"),
        (
            {"names": ["kitchen"], "expected": {"garden": {"items": [1, 2]}}},
            "names: does not list; wanted one of kitchen",
        ),
    ],
)
def test_a_plan_that_cannot_be_read_is_refused(section: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        parse_mapping(Section({"item": "item", **section} if section else {}, path="groups"))
