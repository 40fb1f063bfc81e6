"""Lists in a run: what is known of accounts, what ranks, what past lists caught, and what drove a chance."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

import naive_lists as naive
from foreproof.core.contract import parse_contract
from foreproof.core.plan import parse_plan
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.ratios import ratio_intervals
from foreproof.core.section import Section
from foreproof.core.table import parse
from foreproof.core.view import Database
from foreproof.decisions.shortlist import ListTerms, choose, chosen_rows
from foreproof.engine.known import Known, found_by
from foreproof.engine.list_scenarios import list_scenarios
from foreproof.engine.past_lists import PastList, Ranking, list_gains, outcomes_of, ranking_at, replay_lists, thresholds
from foreproof.engine.words import plain_value, unit_of, words_of
from foreproof.errors import BadInput, LawError, PlanError
from foreproof.features.events import Over, Share, Trend
from foreproof.features.ledger import Events
from foreproof.features.rhythm import Decay, Recency, Rhythm, Tenure
from foreproof.features.viewed import CoPurchase, Custom
from foreproof.workloads.propensity import (
    PropensityPlan,
    contacted_at,
    dimensions_at,
    parse_propensity,
)

PLAN = """
schema: 1
name: calls
workload: propensity
seed: 3
tables:
  lines:
    key: [account, group, date]
    happened: date
    known: same_as_happened
    columns: {account: text, group: text, amount: {type: decimal, decimals: 2}}
  people:
    key: [account, since]
    happened: since
    known: {column: told}
    columns: {account: text, segment: text, rep: {type: text, nullable: true}, to: {type: date, nullable: true}}
  calls:
    key: [account, group, at]
    happened: at
    known: {column: told}
    columns: {account: text, group: text, channel: text}
  fixed:
    key: [account]
    constant: never changes
    columns: {account: text, segment: text, age: integer}
pairs: {table: lines, account: account, group: group, value: amount}
horizon: 14
worth: {margin: 0.5, margins: {y: 0.25}, currency: euros}
accounts: {segment: {column: people.segment, to: to}, rep: people.rep}
list: {count: 2, per_account: 1, contacts: {table: calls, group: group, where: {channel: [phone]}}}
"""
ENTITY = ("account", "group")


def plan(**parts: Any) -> PropensityPlan:
    return parse_propensity(parse_plan(PLAN).having(**parts))


def at(day: int) -> datetime:
    return datetime(2024, 1, day, 23, 59, 59, 999999, tzinfo=UTC)


def database(**rows: list[dict[str, Any]]) -> Database:
    sections = parse_plan(PLAN).root().section("tables")
    made = {}
    for name, given in rows.items():
        contract = parse_contract(name, sections.section(name))
        frame = pl.DataFrame(given, infer_schema_length=None)
        made[name] = parse(contract, frame, now=datetime(2025, 1, 1, tzinfo=UTC))
    return Database(made)


PEOPLE = [
    {"account": "a", "since": "2024-01-01", "to": None, "told": "2024-01-01", "segment": "small", "rep": "u"},
    {"account": "a", "since": "2024-01-01", "to": "2024-01-10", "told": "2024-01-12", "segment": "small", "rep": "u"},
    {"account": "a", "since": "2024-01-10", "to": None, "told": "2024-01-12", "segment": "large", "rep": "v"},
    {"account": "b", "since": "2024-01-03", "to": None, "told": "2024-01-03", "segment": "large", "rep": None},
    {"account": "c", "since": "2024-01-20", "to": None, "told": "2024-01-22", "segment": "small", "rep": "u"},
]


def people(rows: list[dict[str, Any]]) -> Database:
    contract = parse_contract("people", parse_plan(PLAN).root().section("tables").section("people"))
    now = datetime(2025, 1, 1, tzinfo=UTC)
    schema = dict.fromkeys(("account", "since", "to", "told", "segment", "rep"), pl.String)
    frames = [parse(contract, pl.DataFrame([row], schema=schema), now=now) for row in rows]
    stacked = pl.concat([one.rows.with_columns(_batch=pl.lit(i, pl.Int64)) for i, one in enumerate(frames)])
    return Database({"people": replace(frames[0], rows=stacked)})


@pytest.mark.parametrize("day", [1, 2, 4, 9, 11, 12, 20, 25])
def test_a_segment_is_that_of_the_cutoff_as_known_there(day: int) -> None:
    rows = [
        {**r, "known": at(int(r["told"][-2:])), "since": at(int(r["since"][-2:])), "to": r["to"] and date.fromisoformat(r["to"])}
        for r in PEOPLE
    ]  # fmt: skip
    wanted = {name: naive.valid(rows, name, at(day), date(2024, 1, day)) for name in "abc"}
    dimensions = plan().dimensions
    found = dimensions_at(people(PEOPLE), dimensions, at(day), account="account")
    assert dict(found["segment"].iter_rows()) == {name: min(one) for name, one in wanted.items() if one}


def test_an_account_in_two_segments_at_once_is_refused() -> None:
    both = [PEOPLE[0], {**PEOPLE[0], "since": "2024-01-02", "told": "2024-01-02", "segment": "large"}]
    with pytest.raises(BadInput, match="account a: in segments large, small at once"):
        dimensions_at(people(both), plan().dimensions, at(5), account="account")
    told_later = [PEOPLE[0], {**PEOPLE[0], "since": "2024-01-02", "segment": "large", "told": "2024-01-09"}]
    found = dimensions_at(people(told_later), plan().dimensions, at(5), account="account")
    assert found["segment"].rows() == [("a", "small")]
    assert found["rep"].rows() == [("a", "u")]


def test_days_since_a_call_count_what_was_known_of_calls_by_then() -> None:
    call = {"account": "a", "group": "x", "at": "2024-01-04", "told": "2024-01-04", "channel": "phone"}
    calls = [
        call,
        {**call, "at": "2024-01-08", "told": "2024-01-15"},
        {**call, "group": "y", "at": "2024-01-09", "told": "2024-01-09", "channel": "letter"},
        {**call, "account": "b", "at": "2024-01-11", "told": "2024-01-11"},
    ]
    own = plan().contacts
    assert own is not None
    known = database(calls=calls)
    assert contacted_at(known, own, at(10), entity=ENTITY).rows() == [("a", "x", 6.0)]
    assert contacted_at(known, own, at(15), entity=ENTITY).rows() == [("a", "x", 7.0), ("b", "x", 4.0)]
    of_all = contacted_at(known, replace(own, group="", where=()), at(10), entity=ENTITY)
    assert of_all.rows() == [("a", 1.0)]


@pytest.mark.parametrize(
    ("parts", "kind", "words"),
    [
        ({"accounts": {"shoe": "people.rep"}}, PlanError, "unknown setting"),
        ({"accounts": {"rep": "nowhere.rep"}}, PlanError, "nowhere"),
        ({"accounts": {"rep": "people.shoe"}}, PlanError, "no column 'shoe'"),
        ({"accounts": {"rep": "fixed.age"}}, PlanError, "text column"),
        ({"accounts": {"rep": {"column": "people.rep", "to": "segment"}}}, PlanError, "on which a row ends"),
        ({"list": {"count": 1, "contacts": {"table": "fixed"}}}, LawError, "law 1"),
        ({"list": {"count": 1, "contacts": {"table": "calls", "group": "shoe"}}}, PlanError, "no column 'shoe'"),
        ({"list": {"count": 1, "cool_down": 5}}, PlanError, "list.contacts"),
        ({"list": {"per_rep": 1}, "accounts": {}}, PlanError, "accounts.rep"),
        ({"list": {"count": 1, "floors": {"tiny": 0.1}}, "accounts": {}}, PlanError, "small, medium, large"),
        ({"list": {"count": 1, "scenarios": [0.1, 1.5]}}, PlanError, "whole numbers of pairs"),
        ({"list": {"count": 1, "scenarios": [0]}}, PlanError, "list.scenarios"),
        ({"list": {"count": 1, "candidates": {"each": 0}}}, PlanError, "candidates.each"),
        (
            {"list": {"count": 1, "caps": {"z": 0.1}}, "pairs": {"table": "lines", "account": "account", "group": "group",
             "value": "amount", "groups": ["x", "y"]}}, PlanError, "unknown group",
        ),
    ],
)  # fmt: skip
def test_what_a_list_needs_and_nothing_gives_is_refused(parts: dict[str, Any], kind: type, words: str) -> None:
    with pytest.raises(kind, match=words):
        plan(**parts)


def judged(p: float = 0.5) -> pl.DataFrame:
    """Two cutoffs, 40 accounts x 2 groups; every second pair bought, for as much money as its number."""
    rows = []
    for c, day in enumerate((1, 15)):
        for i in range(40):
            for g in "xy":
                y = float((i + (g == "y") + c) % 2)
                rows.append((f"a{i:02d}", g, at(day), 14, "whitespace", y, y * (i + 1), p, 0.1 + i / 100, 0.3))
    names = ["account", "group", CUTOFF, STEP, "segment", "y", "money", "p", "raw", "base"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col(CUTOFF).dt.cast_time_unit("us"), pl.col("group").replace({"x": "x"})
    )


def past_of(science: PropensityPlan, rows: pl.DataFrame, terms: ListTerms) -> dict[Any, PastList]:
    found = {}
    for day in (1, 15):
        here = rows.filter(pl.col(CUTOFF) == at(day)).drop("segment")
        i = pl.col("account").str.slice(1).cast(pl.Int64)
        beliefs = here.with_columns(
            (0.01 * ((i * 7) % 40) + 0.001 * (pl.col("group") == "y")).alias("p"), worth=pl.lit(2.0),
            segment=pl.when(i < 20).then(pl.lit("small")).otherwise(pl.lit("large")), idle=(i * 3) % 11,
        ).drop("y", "money", STEP)  # fmt: skip
        chosen = chosen_rows(beliefs, terms, entity=ENTITY)
        found[at(day)] = PastList(chosen, beliefs, terms, Ranking("value", 0.01, ""))
    return found


def test_a_list_goes_by_value_only_while_chances_are_right() -> None:
    science = plan()
    assert ranking_at(science, judged(0.5), at(31)).by == "value"
    assert "no past list" in ranking_at(science, judged(0.5), at(14)).why
    off = ranking_at(science, judged(0.6), at(31))
    assert (off.by, off.error) == ("capture", pytest.approx(0.1))
    assert "above the limit" in off.why
    # what came after the cutoff is not looked at: at day 14 the labels of day 1 have not settled
    assert ranking_at(science, judged(0.6), at(14)).by == "value"
    assert ranking_at(plan(list={"count": 1, "by": "capture"}), judged(0.5), at(31)).by == "capture"


@pytest.mark.parametrize("scenarios", [(), (0.05, 0.25, 7.0)])
def test_scenarios_equal_plain_loops(scenarios: tuple[float, ...]) -> None:
    science, rows = plan(), judged()
    terms = ListTerms(count=6, per_account=1, cap=0.5, scenarios=scenarios)
    outcomes, past = outcomes_of(science, rows), past_of(science, rows, terms)
    found = list_scenarios(science, outcomes, past, seed=1)
    sizes = (
        {"5%": 4, "25%": 20, "7 pairs": 7}
        if scenarios
        else {"0.5 x the list": 3, "1 x the list": 6, "2 x the list": 12}
    )
    assert found["scenario"].unique(maintain_order=True).to_list() == list(sizes)
    for name, size in sizes.items():
        listed = {
            (cutoff, *pair)
            for cutoff, one in past.items()
            for pair in chosen_rows(one.beliefs, terms.sized(size), entity=ENTITY).select(ENTITY).iter_rows()
        }
        for group in ("all", "x", "y"):
            wanted = naive.scenario(outcomes.to_dicts(), listed, group)
            here = found.filter(pl.col("scenario") == name, pl.col("group") == group)
            assert dict(here.select("metric", "value").iter_rows()) == pytest.approx(wanted)
            single = [naive.scenario([r for r in outcomes.to_dicts() if r["cutoff"] == c], listed, group) for c in past]
            least = dict(here.select("metric", "least").iter_rows())
            assert least["buyers"] == pytest.approx(min(one["buyers"] or 0.0 for one in single))
    whole = found.filter(pl.col("group") == "all", pl.col("metric") == "capture")
    assert (whole["low"] <= whole["value"]).all()
    assert (whole["value"] <= whole["high"]).all()
    assert (whole["low"] < whole["high"]).all()


def test_lists_are_replayed_against_recency_and_money_is_cut_to_margin() -> None:
    science, rows = plan(), judged()
    outcomes, past = outcomes_of(science, rows), past_of(science, rows, ListTerms(count=6))
    found = replay_lists(science, outcomes, past, seed=1)
    assert set(found.totals["who"]) == {"foreproof", "popularity", "recency", "chance alone", "last list"}
    ours = found.totals.filter(pl.col("who") == "foreproof").row(0, named=True)
    met = outcomes.join(past[at(1)].rows, on=[*ENTITY, CUTOFF], how="semi")
    assert ours["margin"] == pytest.approx(
        sum(r["money"] * (0.25 if r["group"] == "y" else 0.5) for r in met.to_dicts())
    )
    latest = past[at(1)].beliefs.sort("idle", "account", "group").head(6)
    won = outcomes.join(latest, on=[*ENTITY, CUTOFF], how="semi")
    recent = found.totals.filter(pl.col("who") == "recency").row(0, named=True)
    assert recent["buyers"] == won["y"].sum()
    assert set(found.gain["what"]) == {"y", "money", "margin"}
    assert (found.gain["low"] <= found.gain["value"]).all()


def test_a_threshold_outside_of_the_past_ones_is_told() -> None:
    science, rows = plan(), judged()
    past = past_of(science, rows, ListTerms(count=6))
    now = past[at(15)]
    inside = thresholds(science, past, now, at(31))
    assert inside["stands"].to_list() == ["", "", "inside"]
    dear = replace(now, rows=now.rows.with_columns(worth=pl.lit(9.0)))
    assert thresholds(science, past, dear, at(31))["stands"][-1] == "outside"
    other = replace(now, ranking=Ranking("capture", 0.1, ""))
    told = thresholds(science, past, other, at(31))
    assert told["stands"][-1] == "alone"
    assert told["least"][-1] == pytest.approx(now.rows["p"].min())


def test_gains_come_by_segment_of_account() -> None:
    science, rows = plan(), judged()
    found = list_gains(science, outcomes_of(science, rows), past_of(science, rows, ListTerms(count=6)))
    assert found["segment"].unique().sort().to_list() == ["large", "small"]
    assert found.group_by("segment").agg(pl.col("buyers").sum()).sort("segment")["buyers"].to_list() == [40.0, 40.0]
    assert list_gains(science, outcomes_of(science, rows), {}).is_empty()


def test_intervals_of_ratios_draw_customers_and_equal_plain_draws() -> None:
    rng = np.random.default_rng(2)
    above, below = rng.poisson(2.0, (30, 2)).astype(float), rng.poisson(5.0, (30, 2)).astype(float)
    value, low, high = ratio_intervals(above, below, rng=np.random.default_rng(7), replicates=400)
    draws = np.random.default_rng(7).integers(30, size=(400, 30))
    plain = np.array([[above[d, k].sum() / below[d, k].sum() for k in (0, 1)] for d in draws])
    assert value == pytest.approx(above.sum(axis=0) / below.sum(axis=0))
    assert low == pytest.approx(np.quantile(plain, 0.025, axis=0))
    assert high == pytest.approx(np.quantile(plain, 0.975, axis=0))
    _, no_low, _ = ratio_intervals(above[:1], below[:1], rng=rng)
    assert np.isnan(no_low).all()
    assert np.isnan(ratio_intervals(above, np.zeros_like(below), rng=rng)[0]).all()
    with pytest.raises(BadInput, match="customers x ratios"):
        ratio_intervals(above, below[:3], rng=rng)


def test_a_source_finds_the_best_pairs_of_each_account_and_what_none_found_has_its_price() -> None:
    rows = [("a", g, 0, p, 10.0) for g, p in zip("wxyz", (0.4, 0.3, 0.2, 0.1), strict=True)] + [
        ("b", "w", 0, 0.05, 10.0)
    ]
    beliefs = pl.DataFrame(rows, schema=["account", "group", CUTOFF, "p", "worth"], orient="row")
    features = beliefs.select(*ENTITY, CUTOFF, copurchase_lift=pl.Series([0.1, 0.2, 0.1, 5.0, None]))
    terms = ListTerms(count=2, candidates=1)
    told = found_by(beliefs, features, terms, entity=ENTITY)
    assert told.to_list() == ["chance", "", "", "copurchase", "chance"]
    found = choose(beliefs.with_columns(told), terms, entity=ENTITY)
    assert found.rows.select(ENTITY).rows() == [("a", "w"), ("a", "z")]
    price = found.prices.filter(pl.col("limit") == "candidates").row(0, named=True)
    assert (price["used"], price["price"]) == (2, pytest.approx(2.0))
    assert found.swaps.row(0, named=True)["limit"] == "candidates"
    alone = found_by(beliefs, features, replace(terms, sources=("als",)), entity=ENTITY)
    assert set(alone) == {"chance"}


def test_pairs_without_representative_or_outside_of_a_hybrid_are_not_called() -> None:
    rows = pl.DataFrame(
        {"account": ["a", "b", "c"], "group": ["x"] * 3, CUTOFF: [0] * 3, "p": [0.9, 0.5, 0.1], "worth": [1.0] * 3,
         "rep": [None, "u", "u"], "segment": ["other", "small", "small"]}
    )  # fmt: skip
    assert choose(rows, ListTerms(per_rep=2), entity=ENTITY).rows["account"].to_list() == ["b", "c"]
    assert choose(rows, ListTerms(hybrid={"small": 1}), entity=ENTITY).rows["account"].to_list() == ["b"]


def test_a_cool_down_has_its_price() -> None:
    rows = pl.DataFrame(
        {"account": ["a", "b"], "group": ["x"] * 2, CUTOFF: [0] * 2, "p": [0.9, 0.5], "worth": [1.0] * 2,
         "contacted": [3.0, None]}
    )  # fmt: skip
    found = choose(rows, ListTerms(count=1, cool_down=10), entity=ENTITY)
    assert found.prices.filter(pl.col("limit") == "cool-down")["price"][0] == pytest.approx(0.4)


def test_what_is_known_of_accounts_goes_to_each_of_their_pairs() -> None:
    pairs = pl.DataFrame({"account": ["a", "a", "b"], "group": ["x", "y", "x"]})
    accounts = pl.DataFrame({"account": ["a", "b"], "spent": [1.0, 2.0], "idle": [1, 2], "segment": ["s", "l"]})
    calls = pl.DataFrame({"account": ["a"], "group": ["y"], "contacted": [4.0]})
    found = Known(accounts, calls, pl.DataFrame()).of(pairs, "account")
    assert found["segment"].to_list() == ["s", "s", "l"]
    assert found["contacted"].to_list() == [None, 4.0, None]


def test_limits_of_groups_that_had_not_begun_are_left_out_of_a_past_list() -> None:
    terms = ListTerms(count=1, caps={"x": 0.5, "new": 0.1}, floors={"small": 0.1, "giant": 0.2})
    kept = terms.known({"x"}, {"small"})
    assert (kept.caps, kept.floors) == ({"x": 0.5}, {"small": 0.1})
    with pytest.raises(BadInput, match="some of small"):
        ListTerms(hybrid={"giant": 3}).known({"x"}, {"small"})


def test_features_are_told_in_words() -> None:
    grid = plan().task.series.grid
    pair, one = Events("lines"), Events("lines", ("account",))
    assert unit_of(grid) == "days"
    assert words_of(Over("active", pair, "", 28), grid) == "days with lines in 28 days of this pair"
    assert words_of(Over("sum", one, "amount"), grid) == "sum of amount of the account"
    assert words_of(Over("distinct", one, "group", 7), grid) == "different group in 7 days of the account"
    assert words_of(Recency(one, "log"), grid) == "days since the last of lines of the account"
    assert words_of(CoPurchase("lines", "account", "group", 28), grid).startswith("goes with the other groups")
    for feature in (Tenure(one), Rhythm("due", pair), Rhythm("hazard", pair), Decay(one, 7.0), Trend(one, 28, 2, "amount"),
                    Share(pair, 28, ("account",), "amount")):  # fmt: skip
        assert "lines" in words_of(feature, grid) or "amount" in words_of(feature, grid)
    assert words_of(Custom("mine.own:thing"), grid) == "custom thing"
    assert plain_value(Recency(one, "log"), np.log1p(4.0)) == pytest.approx(4.0)
    assert plain_value(Recency(one, "inverse"), 0.2) == pytest.approx(4.0)
    assert plain_value(Tenure(one), 3.0) == 3.0


def test_the_plan_reads_candidates_and_scenarios() -> None:
    read = plan(
        list={"count": 9, "candidates": {"each": 3, "by": ["chance", "als"]}, "scenarios": [0.01, 50]}
    ).shortlist
    assert read == ListTerms(count=9, candidates=3, sources=("chance", "als"), scenarios=(0.01, 50.0))
    assert Section({}, path="") is not None
