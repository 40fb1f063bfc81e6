"""Plans and their sections: every error names the setting, and nothing is read silently."""

from __future__ import annotations

import pytest

from foreproof.core.contract import parse_contract
from foreproof.core.plan import parse_plan, plan_of
from foreproof.core.section import Section
from foreproof.errors import LawError, PlanError

BASE = "schema: 1\nname: a\nworkload: forecast\n"


def test_comments_and_order_do_not_change_the_digest_but_meaning_does() -> None:
    first = parse_plan(BASE + "seed: 2\nhorizon: 7\n")
    same = parse_plan("# a comment\nhorizon: 7\nseed: 2\nname: a\nworkload: forecast\nschema: 1\n")
    assert first.digest == same.digest
    assert first.digest != first.having(horizon=8).digest
    assert first.digest == first.having(horizon=None).digest
    assert parse_plan(first.text()).digest == first.digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE + "name: b\n", "sets 'name' twice"),
        ("name: [\n", "line 2"),
        ("just words", "no settings"),
        ("schema: 2\nname: a\nworkload: forecast\n", "schema"),
        ("schema: 1\nname: a\nworkload: guess\n", "one of forecast"),
        (BASE + "seed: -1\n", "seed"),
    ],
)
def test_a_plan_that_cannot_be_read_says_where(text: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        parse_plan(text)


def test_a_plan_of_odd_values_is_refused() -> None:
    with pytest.raises(PlanError, match="type object"):
        _ = plan_of({"schema": 1, "name": "a", "workload": "forecast", "x": object()}).digest


def test_an_unknown_setting_is_refused_with_the_nearest_known_one() -> None:
    section = Section({"horizn": 3}, path="plan")
    section.raw("horizon", default=1)
    with pytest.raises(PlanError, match=r"plan.horizn: an unknown setting; did you mean 'horizon'"):
        section.done()


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda s: s.whole("a"), "wanted a whole number"),
        (lambda s: s.flag("a"), "wanted true or false"),
        (lambda s: s.number("n", low=5), "at least 5"),
        (lambda s: s.number("n", low=5, high=9), "5 to 9"),
        (lambda s: s.choice("a", ("x", "y")), "one of x, y"),
        (lambda s: s.texts("n"), "a list of texts"),
        (lambda s: s.numbers("a"), "a list of numbers"),
        (lambda s: s.zone("a"), "a time zone"),
        (lambda s: s.section("a"), "a mapping"),
        (lambda s: s.sections("n"), "a list of mappings"),
        (lambda s: s.text("missing"), "set missing"),
        (lambda s: s.whole("yes"), "wanted a whole number"),
    ],
)
def test_a_setting_of_the_wrong_type_names_its_path(read: object, said: str) -> None:
    with pytest.raises(PlanError, match=said) as error:
        read(Section({"a": "words", "n": 3, "yes": True}, path="part"))  # type: ignore[operator]
    assert str(error.value).startswith("part.")


CONTRACT = {
    "key": ["sku", "date"],
    "happened": "date",
    "known": "same_as_happened",
    "columns": {"sku": "text", "qty": {"type": "decimal"}},
}


def test_a_contract_names_its_key_by_the_clock_that_it_reads() -> None:
    contract = parse_contract("sales", Section(CONTRACT, path="tables.sales"))
    assert contract.keys == ("sku", "_happened")
    with pytest.raises(PlanError, match="no column 'price'"):
        contract.column("price")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"known": None}, "known: nothing"),
        ({"known": "later"}, "same_as_happened"),
        ({"known": {"lead": "28d"}}, "ahead: true"),
        ({"known": {"delay": "-2d"}}, "not negative"),
        ({"happened": None}, "when each row took place"),
        ({"happened": None, "known": None, "constant": " "}, "words that say why"),
        ({"key": ["store"]}, "store"),
        ({"duplicates": "sum", "columns": {"sku": "text"}}, "a decimal column"),
        ({"columns": {"_x": "text"}}, "leading underscore"),
        ({"zone": "Mars/Olympus"}, "a time zone"),
        ({"colums": {}}, "unknown setting"),
    ],
)
def test_a_contract_that_is_silent_or_impossible_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises((PlanError, LawError), match=said):
        parse_contract("sales", Section({**CONTRACT, **change}, path="tables.sales"))


@pytest.mark.parametrize(
    "change",
    [
        {"known": None},
        {"happened": None},
        {"happened": None, "known": None},
        {"happened": None, "known": None, "constant": " "},
    ],
)
def test_silence_about_a_clock_breaks_the_law_of_two_clocks(change: dict[str, object]) -> None:
    with pytest.raises(LawError, match=r"law 1, two clocks.*; .") as told:
        parse_contract("sales", Section({**CONTRACT, **change}, path="tables.sales"))
    assert told.value.fix


def test_gaps_that_count_as_zero_are_refused_where_facts_are_known_with_a_delay() -> None:
    from foreproof.workloads.forecast import parse_forecast

    plan = plan_of(
        {
            "schema": 1,
            "name": "late",
            "workload": "forecast",
            "tables": {"sales": {**CONTRACT, "known": {"delay": "2d"}}},
            "series": {"table": "sales", "by": ["sku"], "value": "qty", "every": "1d", "gap": "zero"},
            "horizon": 7,
        }
    )
    with pytest.raises(PlanError, match="learned from as zeros"):
        parse_forecast(plan)
    series = {"table": "sales", "by": ["sku"], "value": "qty", "every": "1d", "gap": "carry"}
    assert parse_forecast(plan.having(series=series)).task.series.gap == "carry"
