"""The list: never better than what brute force finds, never worse, and every limit has its price."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import naive_shortlist as naive
from foreproof.core.section import Section
from foreproof.decisions.listed import (
    badges,
    balance,
    capacity_curve,
    diversity,
    fairness,
    gains,
    overlap,
    realised,
    saved_by_account,
    size_segments,
)
from foreproof.decisions.shortlist import (
    Chosen,
    ListTerms,
    capacity_of,
    choose,
    chosen_rows,
    one_segment_each,
    parse_list,
)
from foreproof.errors import BadInput, ForeproofError, PlanError

ENTITY = ("account", "group")


@st.composite
def worlds(draw: st.DrawFn) -> pl.DataFrame:
    accounts, groups = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    rows = []
    for a in range(accounts):
        segment, rep = draw(st.sampled_from(["small", "large"])), draw(st.sampled_from(["r1", "r2"]))
        for g in range(groups):
            p = draw(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.5, 0.9]))
            contacted = draw(st.sampled_from([None, None, 5.0, 40.0]))
            worth = draw(st.sampled_from([0.0, 1.0, 3.0, 10.0]))
            rows.append((f"a{a}", f"g{g}", 0, p, worth, segment, rep, contacted))
    schema = ["account", "group", "cutoff", "p", "worth", "segment", "rep", "contacted"]
    return pl.DataFrame(rows, schema=schema, orient="row", schema_overrides={"contacted": pl.Float64})


@st.composite
def terms_of(draw: st.DrawFn, beliefs: pl.DataFrame) -> ListTerms:
    kind = draw(st.sampled_from(["count", "top", "per_rep", "hybrid"]))
    capacity: dict[str, Any] = {
        "count": {"count": draw(st.integers(1, 5))},
        "top": {"top": draw(st.sampled_from([0.1, 0.3, 0.5]))},
        "per_rep": {"per_rep": draw(st.integers(1, 2))},
        "hybrid": {"hybrid": {name: draw(st.integers(1, 2)) for name in beliefs["segment"].unique().sort()}},
    }[kind]
    return ListTerms(
        by=draw(st.sampled_from(["value", "capture"])),
        cap=draw(st.sampled_from([None, None, 0.5, 0.7])),
        floors=draw(st.sampled_from([{}, {}, {beliefs["segment"][0]: 0.5}])),
        per_account=draw(st.sampled_from([None, 1, 2])),
        cool_down=draw(st.sampled_from([0.0, 30.0])),
        **capacity,
    )


@given(st.data())
def test_the_list_is_worth_what_brute_force_finds(data: st.DataObject) -> None:
    beliefs = data.draw(worlds())
    terms = data.draw(terms_of(beliefs))
    capacity = capacity_of(beliefs, terms)
    assume(capacity <= 6)
    best = naive.best(beliefs, terms, capacity)
    if best is None:
        with pytest.raises(BadInput, match="cannot be met together"):
            choose(beliefs, terms, entity=ENTITY)
        return
    found = choose(beliefs, terms, entity=ENTITY)
    assert found.value == pytest.approx(best)
    names = {(row["account"], row["group"]) for row in beliefs.to_dicts()}
    rows = beliefs.to_dicts()
    places = tuple(
        i for i, r in enumerate(rows) if (r["account"], r["group"]) in set(found.rows.select(ENTITY).iter_rows())
    )
    assert naive.feasible(rows, places, terms, capacity)
    assert set(found.rows.select(ENTITY).iter_rows()) <= names
    assert (found.prices["price"] >= 0).all()
    assert (found.prices["marginal"] >= 0).all()
    assert found.rows["rank"].to_list() == list(range(1, found.rows.height + 1))
    assert found.rows["because"].str.contains("rank").all()


@given(st.data(), st.integers(0, 99))
def test_the_order_of_rows_cannot_change_the_list(data: st.DataObject, seed: int) -> None:
    beliefs = data.draw(worlds())
    terms = ListTerms(count=3, cap=0.7, per_account=2)
    shuffled = beliefs.sample(fraction=1.0, shuffle=True, seed=seed)
    ours, theirs = (choose(one, terms, entity=ENTITY).rows for one in (beliefs, shuffled))
    assert ours.select(*ENTITY, "rank").equals(theirs.select(*ENTITY, "rank"))


@given(st.data())
def test_more_capacity_is_never_worth_less(data: st.DataObject) -> None:
    beliefs = data.draw(worlds())
    values = [choose(beliefs, ListTerms(count=count, per_account=2), entity=ENTITY).value for count in (1, 2, 4)]
    assert values == sorted(values)


def beliefs(**columns: Any) -> pl.DataFrame:
    base = {
        "account": ["a", "a", "b", "b", "c", "c"],
        "group": ["x", "y"] * 3,
        "cutoff": [0] * 6,
        "p": [0.9, 0.8, 0.7, 0.2, 0.6, 0.1],
        "worth": [1.0] * 6,
        "segment": ["large", "large", "small", "small", "small", "small"],
    }
    return pl.DataFrame({**base, **columns})


def chosen(**terms: Any) -> Chosen:
    return choose(beliefs(), ListTerms(**terms), entity=ENTITY)


def test_a_price_is_what_the_list_would_gain_without_the_limit() -> None:
    found = chosen(count=2, per_account=1)
    assert found.rows.select(*ENTITY).rows() == [("a", "x"), ("b", "x")]
    assert found.prices.filter(pl.col("limit") == "per account")["price"][0] == pytest.approx(0.1)
    swap = found.swaps.row(0, named=True)
    assert (swap["account"], swap["group"], swap["limit"], swap["account_instead"]) == ("a", "y", "per account", "b")
    assert swap["lost"] == pytest.approx(0.1)


def test_a_cap_and_a_floor_push_out_what_they_must() -> None:
    capped = chosen(count=4, caps={"x": 0.5})
    assert capped.rows["group"].value_counts().sort("group")["count"].to_list() == [2, 2]
    assert "at its cap" in " ".join(capped.rows["because"])
    floored = chosen(count=2, floors={"small": 1.0})
    assert set(floored.rows["segment"]) == {"small"}
    assert floored.swaps["limit"].to_list() == ["floor", "floor"]


def test_a_pair_called_lately_is_left_alone() -> None:
    rows = beliefs(contacted=[3.0, None, None, None, None, None])
    found = choose(rows, ListTerms(count=1, cool_down=10), entity=ENTITY)
    assert found.rows.select(*ENTITY).rows() == [("a", "y")]
    assert found.swaps["limit"].to_list() == ["cool-down"]


def test_a_fair_list_has_each_segments_share_of_buyers() -> None:
    found = choose(beliefs(), ListTerms(count=4, fair=0.05), entity=ENTITY)
    shares = fairness(found.rows, beliefs(), "segment")
    assert shares["listed"].to_list() == [0.5, 0.5]
    assert shares["population"].sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({}, "one of top, count"),
        ({"count": 2, "top": 0.5}, "one of top, count"),
        ({"count": 0}, "at least 1"),
        ({"top": 0.0}, "above 0"),
        ({"top": 1.5}, "at most 1"),
        ({"count": 2, "caps": {"x": 0.0}}, "caps.x"),
        ({"count": 2, "floors": {"small": 0.7, "large": 0.6}}, "at most 1"),
        ({"count": 2, "cool_down": -1.0}, "0 or more"),
        ({"hybrid": {"small": 0}}, "at least 1"),
        ({"count": 2, "per_account": 0}, "at least 1"),
    ],
)
def test_terms_that_cannot_be_are_refused(terms: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        ListTerms(**terms)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"count": 2, "caps": {"nowhere": 0.5}}, "nowhere"),
        ({"count": 2, "floors": {"giant": 0.5}}, "giant"),
        ({"count": 4, "floors": {"large": 1.0}}, "floor large"),
        ({"per_rep": 1}, "no column rep"),
        ({"count": 2, "cool_down": 5.0}, "no column contacted"),
    ],
)
def test_a_list_that_cannot_be_made_says_what_clashes(terms: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        chosen(**terms)


def test_beliefs_that_are_none_are_refused() -> None:
    terms = ListTerms(count=1)
    with pytest.raises(BadInput, match="no pair"):
        choose(beliefs().clear(), terms, entity=ENTITY)
    with pytest.raises(BadInput, match="twice"):
        choose(pl.concat([beliefs(), beliefs()]), terms, entity=ENTITY)
    with pytest.raises(BadInput, match="p in"):
        choose(beliefs(p=[2.0] + [0.1] * 5), terms, entity=ENTITY)
    with pytest.raises(BadInput, match="segments large, small at once"):
        one_segment_each(beliefs(segment=["large", "small", *["small"] * 4]), "account", "segment")


def test_the_plan_reads_terms_and_refuses_by_its_own_name() -> None:
    read = parse_list(Section({"top": 0.1, "cap": 0.2, "floors": {"small": 0.3}, "per_account": 2}, path="list"))
    assert read == ListTerms(top=0.1, cap=0.2, floors={"small": 0.3}, per_account=2)
    with pytest.raises(PlanError, match=r"list\.count"):
        parse_list(Section({"count": 0}, path="list"))
    with pytest.raises(ForeproofError, match="surprise"):
        parse_list(Section({"count": 1, "surprise": 1}, path="list"))


def test_reports_of_a_list() -> None:
    found = chosen(count=3)
    curve = capacity_curve(beliefs(), ListTerms(count=3), [1, 3, 9], entity=ENTITY)
    assert curve["count"].to_list() == [1, 3, 6]
    assert curve["buyers"].to_list() == pytest.approx([0.9, 2.4, 3.3])
    assert curve["capture"][2] == pytest.approx(1.0)
    assert diversity(found.rows, "group") == {"largest": 2 / 3, "evenness": pytest.approx(0.918, abs=1e-3), "groups": 2}
    jaccard, moves = overlap(found.rows, beliefs().tail(4), beliefs=beliefs(), entity=ENTITY)
    assert jaccard == pytest.approx(1 / 6)
    assert moves["move"].to_list() == ["came", "came", "left", "left", "left"]
    gone = beliefs().tail(1).with_columns(account=pl.lit("z"))
    assert overlap(found.rows, gone, beliefs=beliefs(), entity=ENTITY)[1]["why"][-1] == "no longer in the population"
    assert overlap(found.rows.clear(), found.rows.clear(), beliefs=beliefs(), entity=ENTITY)[0] == 1.0
    counted, told = balance(
        chosen_rows(beliefs(rep=["u", "u", "v", "w", "w", "w"]), ListTerms(count=6), entity=ENTITY), "rep"
    )
    assert counted["pairs"].to_list() == [2, 1, 3]
    assert told == []
    with pytest.raises(BadInput, match="empty list"):
        diversity(found.rows.clear(), "group")


def test_sizes_are_thirds_and_ties_part_by_name() -> None:
    accounts = pl.DataFrame({"account": list("fedcba"), "spent": [1.0] * 6})
    found = size_segments(accounts, "account", "spent")
    assert found["segment"].to_list() == ["small", "small", "medium", "medium", "large", "large"]


def test_what_came_of_a_list_is_counted_among_all_buyers() -> None:
    outcomes = beliefs().with_columns(y=pl.Series([1.0, 0, 1, 0, 0, 1]), money=pl.Series([5.0, 0, 2, 0, 0, 3]))
    met = realised(chosen(count=2).rows, outcomes, entity=ENTITY)
    assert met == {
        "pairs": 2.0, "buyers": 1.0, "precision": 0.5, "capture": 1 / 3, "money": 5.0, "value_capture": 0.5,
    }  # fmt: skip
    saved = saved_by_account(chosen(count=2).rows, beliefs().slice(2, 2), outcomes, entity=ENTITY, what="money")
    assert saved.tolist() == [5.0, -2.0, 0.0]
    table = gains(beliefs(), outcomes, entity=ENTITY)
    assert table["buyers"].sum() == 3.0
    assert table["capture"][-1] == pytest.approx(1.0)
    assert table["lift"][-1] == pytest.approx(1.0)


def test_groups_with_few_buyers_are_badged_heuristic() -> None:
    settled = pl.DataFrame({"group": ["x"] * 5 + ["y"] * 5, "y": [1.0] * 5 + [0.0] * 4 + [1.0]})
    found = badges(beliefs(), settled, group="group", fewest=3)
    assert dict(found.select("group", "badge").iter_rows()) == {"x": "model", "y": "heuristic"}


def test_a_large_list_keeps_its_caps() -> None:
    rng = np.random.default_rng(3)
    many = pl.DataFrame(
        {"account": [f"a{i:05d}" for i in range(4000) for _ in range(5)], "group": list("vwxyz") * 4000}
    )
    many = many.with_columns(
        cutoff=pl.lit(0), p=pl.Series(rng.beta(1, 9, 20_000)), worth=pl.Series(rng.gamma(2.0, 10.0, 20_000))
    )
    found = choose(many, ListTerms(top=0.01, cap=0.25, per_account=1), entity=ENTITY)
    assert found.rows.height == 200
    assert found.rows["group"].value_counts()["count"].max() <= 50
    assert found.rows["account"].is_unique().all()
