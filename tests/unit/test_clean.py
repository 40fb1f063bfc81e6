"""Cleaning rules: what each does, what it refuses, and what it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute
from foreproof.core.clean import clean, parse_rules
from foreproof.core.section import Section
from foreproof.errors import BadInput, PlanError


def ruled(frame: pl.DataFrame, *rules: dict[str, Any]) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    done = clean(frame, parse_rules([Section(rule, path=f"clean[{i}]") for i, rule in enumerate(rules)]))
    return done.rows, done.report.to_dicts()


def column(rule: dict[str, Any], values: list[Any], name: str = "a") -> list[Any]:
    return ruled(pl.DataFrame({name: values}), rule)[0][name].to_list()


def test_no_rules_change_nothing() -> None:
    frame = pl.DataFrame({"a": ["x", None], "b": [1, 2]})
    rows, report = ruled(frame)
    assert rows.equals(frame)
    assert report == []


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ({"trim": "a"}, ["  x\u00a0 y ", None, "z"], ["x y", None, "z"]),
        ({"case": {"upper": "a"}}, ["aB", None], ["AB", None]),
        ({"case": {"lower": ["a"]}}, ["aB"], ["ab"]),
        ({"map": {"a": {"N": "north", "S": "south"}}}, ["N", "S", "E"], ["north", "south", "E"]),
        ({"fill": {"a": "none"}}, ["x", None], ["x", "none"]),
        ({"number": {"columns": "a", "form": "1.234,5"}}, ["1.234,50", "-7", "0,5"], ["1234.50", "-7", "0.5"]),
        ({"number": {"columns": "a", "suffix": ["kg", "%"]}}, ["1,234.5 kg", "12%", ""], ["1234.5", "12", None]),
        ({"number": {"columns": "a", "else": "empty"}}, ["7", "unknown"], ["7", None]),
        ({"drop": {"a": "x"}}, ["x", "y", None], ["y", None]),
        ({"drop": {"a": {"is": ["x", "y"]}}}, ["x", "y", "z"], ["z"]),
        ({"drop": {"a": {"matches": "^C"}}}, ["C1", "1C"], ["1C"]),
        ({"drop": {"a": {"below": 0}}}, ["-1", "0", "text"], ["0", "text"]),
        ({"drop": {"a": {"above": 10}}}, ["9", "11"], ["9"]),
        ({"drop": {"a": {"empty": True}}}, ["x", " ", None], ["x"]),
        ({"deduplicate": {}}, ["x", "y", "x"], ["x", "y"]),
        ({"align": {"column": "a", "to": "1mo"}}, ["2024-03-17", None], ["2024-03-01", None]),
        ({"align": {"column": "a", "to": "1w"}}, ["2024-03-17"], ["2024-03-11"]),
    ],
)
def test_a_rule_does_what_it_says(rule: dict[str, Any], before: list[Any], after: list[Any]) -> None:
    assert column(rule, before) == after


def test_rename_unit_and_the_last_of_repeats() -> None:
    frame = pl.DataFrame({"art": ["x", "x", "y"], "n": ["2", "3", "1.5"], "uom": ["box", "piece", "box"]})
    rows, report = ruled(
        frame,
        {"rename": {"item": "art"}},
        {"unit": {"column": "n", "by": "uom", "factors": {"box": 12, "piece": 1}}},
        {"deduplicate": {"by": "item", "keep": "last"}},
    )
    assert rows.select("item", "n").rows() == [("x", "3"), ("y", "18")]
    assert [(line["rows_in"], line["rows_out"]) for line in report] == [(3, 3), (3, 3), (3, 2)]
    assert report[1]["changed"] == 2
    assert report[1]["example"] == "row 1: n '2' -> '24'"
    assert report[2]["example"] == "row 1 left out"
    assert report[0]["rule"] == "rename {item: art}"


@pytest.mark.parametrize(
    ("treat", "kept"),
    [("drop", [("A1", "5")]), ("keep", [("A1", "5"), ("C2", "3")]), ("adjust", [("A1", "5"), ("C2", "-3")])],
)
def test_returns_are_dropped_kept_or_count_against_their_own_day(treat: str, kept: list[Any]) -> None:
    frame = pl.DataFrame({"invoice": ["A1", "C2"], "qty": ["5", "3"]})
    rule = {"returns": {"amount": "qty", "column": "invoice", "prefix": "C", "treat": treat}}
    assert ruled(frame, rule)[0].rows() == kept
    signed = pl.DataFrame({"qty": ["5", "-3"]})
    assert ruled(signed, {"returns": {"amount": "qty"}})[0]["qty"].to_list() == ["5", "-3"]
    assert ruled(signed, {"returns": {"amount": "qty", "treat": "drop"}})[0]["qty"].to_list() == ["5"]


@given(
    rows=st.lists(st.tuples(st.sampled_from("ab"), st.integers(-3, 3)), max_size=12),
    more=st.lists(st.tuples(st.sampled_from("ab"), st.integers(-3, 3)), max_size=6),
)
def test_later_rows_never_change_what_rules_made_of_earlier_ones(rows: list[Any], more: list[Any]) -> None:
    """A return that comes later must not rewrite a sale: rules of rows alone cannot leak."""
    schema = {"item": pl.String, "qty": pl.Int64}
    rules = (
        {"returns": {"amount": "qty", "treat": "adjust"}},
        {"deduplicate": {}},
        {"drop": {"qty": {"above": 2}}},
    )
    first = ruled(pl.DataFrame(rows, schema=schema, orient="row"), *rules)[0]
    both = ruled(pl.DataFrame([*rows, *more], schema=schema, orient="row"), *rules)[0]
    assert both.head(first.height).equals(first)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"number": {"columns": "a"}}, "'1.2.3' in row 2"),
        ({"unit": {"column": "n", "by": "a", "factors": {"x": 2}}}, "'1.2.3' in row 2"),
        ({"unit": {"column": "a", "by": "b", "factors": {"p": 2}}}, "a number"),
        ({"align": {"column": "a", "to": "1d"}}, "form"),
        ({"trim": "weight"}, "weight"),
        ({"drop": {"weight": "x"}}, "weight"),
    ],
)
def test_what_cannot_be_read_for_certain_is_refused_with_its_row(rule: dict[str, Any], words: str) -> None:
    frame = pl.DataFrame({"a": ["x" if "unit" in rule else "1", "1.2.3"], "b": ["p", "p"], "n": ["1", "2"]})
    with pytest.raises(BadInput, match=words):
        ruled(frame, rule)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"tirm": "a"}, "one rule: rename"),
        ({"trim": "a", "fill": {"a": 1}}, "one rule"),
        ({"drop": {"a": {}}}, "is, matches"),
        ({"drop": {"a": {"matches": "("}}}, "a pattern"),
        ({"returns": {"amount": "q", "prefix": "C"}}, "both, or neither"),
        ({"number": {"columns": "a", "form": "1'234"}}, "one of"),
        ({"deduplicate": {"kep": "last"}}, "did you mean 'keep'"),
    ],
)
def test_a_rule_that_is_none_is_refused(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        ruled(pl.DataFrame({"a": ["x"]}), rule)


PLAN = """
schema: 1
name: messy
workload: forecast
sources:
  sales:
    url: sales.csv
    delimiter: ";"
    clean:
      - rename: {item: Artikel, day: Tag, units: Menge}
      - trim: item
      - number: {columns: units, form: "1.234,5"}
      - returns: {amount: units, column: Beleg, prefix: C}
      - deduplicate: {}
tables:
  sales:
    key: []
    happened: {column: day, formats: ["%d.%m.%Y"]}
    known: same_as_happened
    columns: {item: text, units: {type: decimal, decimals: 1}}
series: {table: sales, by: [item], value: units, every: 1d, gap: missing}
horizon: 2
"""
ROWS = "Beleg;Artikel;Tag;Menge\nA1; tea ;01.03.2024;1.200,5\nA1; tea ;01.03.2024;1.200,5\nC2;tea;03.03.2024;2,0\n"


def test_a_plan_cleans_before_its_contract_and_the_run_counts(tmp_path: Path) -> None:
    (tmp_path / "foreproof.yaml").write_text(PLAN, encoding="utf-8")
    (tmp_path / "sales.csv").write_text(ROWS, encoding="utf-8")
    outcome = execute(open_project(tmp_path), progress=Silent(), until="load")
    assert outcome.error is None
    project = open_project(tmp_path)
    stored = project.lake.table(project.forecast.contracts[0]).rows.sort("_happened")
    assert stored.select("item", "units").rows() == [("tea", 12005), ("tea", -20)]
    table = pl.read_parquet(outcome.folder / "tables" / "cleaning.parquet")
    assert table["rows_out"].to_list() == [3, 3, 3, 3, 2]
    assert "What each rule of the plan did" in outcome.page.read_text(encoding="utf-8")


def test_a_batch_that_a_rule_refuses_leaves_the_lake_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "foreproof.yaml").write_text(PLAN, encoding="utf-8")
    (tmp_path / "sales.csv").write_text(ROWS + "A9;oats;04.03.2024;many\n", encoding="utf-8")
    outcome = execute(open_project(tmp_path), progress=Silent(), until="load")
    assert isinstance(outcome.error, BadInput)
    assert "'many' in row 4" in str(outcome.error)
    assert open_project(tmp_path).lake.version("sales") is None
