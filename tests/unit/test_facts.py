"""The ledger of facts: what is made from a run's tables, and how a fact is told."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fact_tables
from foreproof.core.units import per_total
from foreproof.errors import BadInput
from foreproof.explain.claims import check
from foreproof.explain.facts import WHOLE, Fact, Facts, as_dicts, direction_of, ledger
from foreproof.explain.facts_common import day, span
from foreproof.explain.facts_run import names_of, run_facts, scenario_facts, subjects_of
from foreproof.explain.render import clean, number, quoted, told
from foreproof.explain.writer import explain, summarize


def texts(facts: Facts, subject: str, field: str = "value") -> dict[str, str]:
    return {fact.what: told(fact, field) for fact in facts.of(subject)}


def test_a_forecasts_facts_are_those_of_its_tables() -> None:
    tables = fact_tables.forecast_tables(seed=4)
    facts = run_facts(tables, fact_tables.about())
    means = tables["forecast"].filter(pl.col("item") == "item 0", pl.col("level").is_null())["value"]
    past = tables["history"].filter(pl.col("item") == "item 0").sort("at")["y"].tail(7)
    mine = {fact.what: fact for fact in facts.of("item 0") if fact.kind != "comparison"}
    assert mine["expected total"].value == pytest.approx(means.sum())
    assert mine["expected total"].unit == "units" and mine["expected total"].period == "2024-05-20 to 2024-05-26"
    assert mine["expected mean per day"].value == pytest.approx(means.mean())
    assert mine["expected value at the peak"].value == pytest.approx(means.max())
    moved = facts.of("item 0", "comparison")[0]
    assert moved.value == pytest.approx(means.mean() / past.mean() - 1.0)  # type: ignore[operator]
    assert moved.direction == ("up" if float(moved.value) > 0 else "down")
    order = tables["orders"].filter(pl.col("item") == "item 0")
    assert mine["recommended order quantity"].value == order["order"].item()
    assert mine["critical ratio of its costs"].kind == "attribution"
    ends = tables["forecast"].filter(pl.col("item") == "item 0", pl.col("step") == 7)
    assert mine["lower end of the 80% interval at the final step"].value == ends.filter(level=0.1)["value"].item()
    assert mine["upper end of the 80% interval at the final step"].value == ends.filter(level=0.9)["value"].item()
    whole = texts(facts, WHOLE)
    assert whole["verdict of the proof"] == "proven" and whole["number of checks passed"] == "2"
    assert facts.of("check intervals")[0].value == "failed"
    assert {fact.source for fact in facts.of("item 0", "order")} == {"b" * 64}


def test_no_value_of_the_past_is_a_fact() -> None:
    tables = fact_tables.forecast_tables(seed=4)
    raw = set(tables["history"]["y"])
    for horizon in (1, 7):
        facts = run_facts(tables, fact_tables.about(horizon=horizon))
        assert not {fact.value for fact in facts.items} & raw


def test_a_propensitys_facts_are_those_of_its_tables() -> None:
    tables = fact_tables.pair_tables(2)
    facts = fact_tables.pair_ledger(2)
    top = tables["list"].row(0, named=True)
    name = f"{top['customer']} / {top['kind']}"
    mine = {(fact.kind, fact.what): fact for fact in facts.of(name)}
    assert mine["probability", "chance of a purchase"].value == top["p"]
    assert mine["order", "rank on the list"].value == 1.0
    drivers = facts.of(name, "attribution")
    assert len(drivers) == 1 and drivers[0].what.startswith(
        "odds factor of days since the last of lines of the customer: "
    )
    assert f"(odds x {drivers[0].value:.2f})" in top["drivers"]
    against = tables["chances"].filter(pl.col("kind") == top["kind"])["p"].mean()
    assert mine["comparison", "chance of a purchase"].value == pytest.approx(top["p"] / against - 1.0)
    halved = facts.of("scenario 0.5 x the list", "scenario")[0]
    assert halved.value == pytest.approx(0.05 / 0.11 - 1.0) and halved.direction == "down"
    assert facts.of("limit cap cheese")[0].kind == "money"


def test_a_pair_off_the_list_has_its_chance() -> None:
    tables = fact_tables.pair_tables(2)
    listed = set(zip(tables["list"]["customer"], tables["list"]["kind"], strict=True))
    off = next(pair for pair in tables["chances"].select("customer", "kind").iter_rows() if pair not in listed)
    plan = fact_tables.about(workload="propensity", entity=("customer", "kind"))
    facts = run_facts(tables, plan, subject=" / ".join(off))
    mine = {fact.what: told(fact, "value") for fact in facts.of(" / ".join(off)) if not fact.signed}
    assert mine["place of the pair"] == "off the list" and mine["chance of a purchase"].endswith("%")


def test_a_subject_is_chosen_before_its_facts_are_made() -> None:
    names = tuple(f"item {i}" for i in range(12))
    tables = fact_tables.forecast_tables(names, seed=1)
    one = run_facts(tables, fact_tables.about(), subject="item 7")
    assert {fact.subject for fact in one.items if fact.kind == "order"} == {"item 7", WHOLE}
    assert (
        len(
            {
                fact.subject
                for fact in run_facts(tables, fact_tables.about(), subject=WHOLE).items
                if fact.kind == "order"
            }
        )
        == 6
    )
    everything = run_facts(tables, fact_tables.about())
    assert list(texts(one, "item 7").items()) == list(texts(everything, "item 7").items())
    assert one.names == everything.names == frozenset(names)
    assert not run_facts(tables, fact_tables.about(), subject="item 99").of("item 99")


def test_a_single_series_without_a_name_has_facts() -> None:
    tables = {name: frame.filter(pl.col("item") == "item 0").drop("item") if "item" in frame.columns else frame
              for name, frame in fact_tables.forecast_tables(seed=3).items()}  # fmt: skip
    facts = run_facts(tables, fact_tables.about(entity=()), subject=WHOLE)
    assert facts.subjects[-1] == "the series" and check(explain(facts, "the series"), facts) == []
    assert subjects_of(tables, fact_tables.about(entity=())) == {"the series"}


def test_a_run_that_made_little_has_few_facts() -> None:
    facts = run_facts({}, fact_tables.about())
    assert [fact.kind for fact in facts.items] == ["date", "verdict"]
    assert check(summarize(facts), facts) == []
    pairs = run_facts({}, fact_tables.about(workload="propensity", entity=("a", "b")))
    assert len(pairs.items) == 2 and names_of({}, fact_tables.about()) == frozenset()


def test_a_scenario_is_a_change_against_the_plan() -> None:
    series = pl.DataFrame({"item": ["item 0"], "baseline": [70.0], "scenario": [84.0], "difference": [14.0]})
    found = ledger(scenario_facts("sale in May", series, fact_tables.about(), source="c" * 64))
    assert told(found.items[0], "value") == "+14 units" and found.items[0].direction == "up"
    assert found.items[0].source == "c" * 64 and check(explain(found, "item 0"), found) == []


def test_a_ledger_has_a_digest_and_is_looked_up() -> None:
    one, two = fact_tables.facts(1), fact_tables.facts(1)
    assert one.digest == two.digest != fact_tables.facts(2).digest
    assert one.by_id["f1"].kind == "date" and len(as_dicts(one)) == len(one.items)
    assert [fact.id for fact in one.cited(["f2", "f1", "f2", "f999"]).items] == ["f2", "f1"]
    assert {fact.subject for fact in one.about("item 0").items} == {"item 0", WHOLE}


@pytest.mark.parametrize("bad", [{"kind": "nonsense"}, {"value": float("nan")}, {"kind": "comparison"}])
def test_a_fact_that_cannot_be_told_is_refused(bad: dict[str, object]) -> None:
    good = {"id": "f1", "subject": "x", "what": "total", "value": 1.0, "unit": "", "period": "", "direction": None,
            "kind": "level", "source": ""}  # fmt: skip
    with pytest.raises(BadInput, match="fact total"):
        Fact(**{**good, **bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "unit", "money", "text"),
    [
        (203.4, "units", False, "203.4 units"),
        (1_569.3, "units", False, "1,569 units"),
        (371.0, "units", False, "371 units"),
        (12.345, "units", False, "12.35 units"),
        (0.5, "", False, "0.5"),
        (0.0, "units", False, "0 units"),
        (0.00001, "", False, "0.0000"),
        (0.821, "%", False, "82.1%"),
        (0.0016, "%", False, "0.16%"),
        (0.9781, "ratio", False, "0.978"),
        (1.85, "times", False, "1.85 times"),
        (1234.5, "euros", True, "1,234.50 euros"),
        (-3.0, "units", False, "3 units"),
    ],
)
def test_numbers_are_told_in_one_way(value: float, unit: str, money: bool, text: str) -> None:
    assert number(value, unit, money=money) == text


@given(st.text(max_size=300))
def test_a_name_is_one_quoted_printable_line_that_holds_no_placeholder(name: str) -> None:
    said = quoted(name)
    assert said[0] == said[-1] == '"' and not set(said[1:-1]) & set('"{}\n') and said.isprintable() and len(said) <= 82
    assert clean(clean(name)) == clean(name)


def test_long_names_that_differ_late_stay_apart() -> None:
    assert quoted("x" * 200 + "a") != quoted("x" * 200 + "b")


def test_a_change_that_rounds_to_nothing_is_level() -> None:
    assert (direction_of(0.0004, digits=3), direction_of(-0.001, digits=3), direction_of(0.1, digits=3)) == (
        "level",
        "down",
        "up",
    )


def test_days_are_local_and_sums_lose_their_step() -> None:
    end = datetime(2024, 5, 19, 21, 59, 59, 999_999, tzinfo=UTC)
    assert day(end, "Europe/Paris") == "2024-05-19" and day(7, "UTC") == "7"
    assert day(datetime(2024, 5, 19, 12, 30, tzinfo=UTC), "UTC") == "2024-05-19 12:30"
    assert span(3, 10, "UTC") == "steps 4 to 10"
    assert [per_total(unit) for unit in ("units a day", "kWh/h", "trips per week", "units")] == [
        "units",
        "kWh",
        "trips",
        "units",
    ]
