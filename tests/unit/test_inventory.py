"""Stock over lead time and review: against brute force, against slow twins, and against what cannot be."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import naive_inventory as naive

from foreproof.core.decide import Decisions
from foreproof.core.paths import Paths
from foreproof.decisions.information import perfect_cost, voi, voi_words
from foreproof.decisions.inventory import (
    StockTerms,
    best_level,
    curve,
    economic_quantity,
    economics,
    leftover_cost,
    order_quantity,
    recommend_stock,
)
from foreproof.decisions.newsvendor import Order, critical_ratio
from foreproof.decisions.ranking import rank_lots, shadow_price, within
from foreproof.decisions.recommend import recommend_qty
from foreproof.decisions.simulate import replay_stock, simulate, stock_totals
from foreproof.errors import BadInput

WHOLE = st.integers(0, 6)


def paths(values: Any, names: tuple[str, ...] = ()) -> Paths:
    array = np.asarray(values, dtype=np.float64)
    items = names or tuple(f"i{i}" for i in range(array.shape[0]))
    return Paths(pl.DataFrame({"item": items, "cutoff": [3] * len(items)}), array)


def drawn(seed: int, n: int = 3, many: int = 60, steps: int = 6) -> Paths:
    return paths(np.random.default_rng(seed).poisson(4.0, (n, many, steps)))


def money(terms: StockTerms) -> dict[str, Any]:
    return {"short": terms.short, "over": terms.over, "holding": terms.holding}


@given(
    demand=st.lists(st.tuples(WHOLE, WHOLE, WHOLE, WHOLE), min_size=1, max_size=6),
    lead=st.integers(0, 2),
    review=st.integers(1, 2),
    costs=st.tuples(st.integers(1, 9), st.integers(0, 4), st.integers(1, 4)),
    unmet=st.sampled_from(["lost", "owed"]),
)
def test_the_level_is_the_cheapest_of_all_by_brute_force(
    demand: list[tuple[int, ...]], lead: int, review: int, costs: tuple[int, ...], unmet: Any
) -> None:
    short, over, holding = map(float, costs)
    terms = StockTerms(short=short, over=over, holding=holding, lead=lead, review=review, unmet=unmet)
    found = best_level(np.array(demand, dtype=float), terms, short=short, over=over, holding=holding)
    twin = {"lead": lead, "window": terms.window, "owed": unmet == "owed", **money(terms)}
    levels = [float(level) for level in range(25)]
    cost, level = naive.cheapest(levels, demand, **twin)
    assert naive.expected_cost(found, demand, **twin) == pytest.approx(cost, abs=1e-8)
    assert found == pytest.approx(level)
    made = curve(np.array(demand, dtype=float), np.array(levels), lead=lead, window=terms.window)
    slow = [naive.expected_cost(one, demand, **twin) for one in levels]
    np.testing.assert_allclose(made.cost(terms, short, over, holding), slow, atol=1e-9)


@pytest.mark.parametrize("ratio", [k / 20 for k in range(1, 20)])
def test_one_period_without_lead_time_is_the_newsvendor_at_every_cost_ratio(ratio: float) -> None:
    demand = np.arange(1.0, 101.0)[:, None]
    short, over = ratio, 1.0 - ratio
    level = best_level(demand, StockTerms(short=short, over=over), short=short, over=over, holding=0.0)
    costs = {s: np.mean(short * np.maximum(demand - s, 0) + over * np.maximum(s - demand, 0)) for s in range(102)}
    assert costs[int(level)] == pytest.approx(min(costs.values()))
    assert np.mean(demand <= level) >= critical_ratio(short=short, over=over) - 1e-9
    assert np.mean(demand <= level - 1) <= critical_ratio(short=short, over=over)


def test_a_dearer_unit_short_never_orders_less_and_a_dearer_unit_over_never_more() -> None:
    demand = drawn(1).values[0]
    base = StockTerms(short=1.0, over=1.0, holding=0.1, lead=1, review=2)
    by_short = [best_level(demand, base, short=p, over=1.0, holding=0.1) for p in (0.5, 1, 2, 5, 20)]
    by_over = [best_level(demand, base, short=1.0, over=c, holding=0.1) for c in (0.0, 0.5, 1, 5)]
    assert by_short == sorted(by_short)
    assert by_over == sorted(by_over, reverse=True)


@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.95, 0.99])
def test_a_service_level_is_reached_and_no_smaller_level_reaches_it(wanted: float) -> None:
    demand = drawn(2).values[0]
    by_cycle = StockTerms(cycle=wanted, lead=1, review=3)
    level = best_level(demand, by_cycle, short=0.0, over=0.0, holding=0.0)
    whole = demand[:, :4].sum(axis=1)
    assert np.mean(whole <= level) >= wanted > np.mean(whole <= level - 1)
    by_fill = StockTerms(fill=wanted, lead=1, review=3)
    level = best_level(demand, by_fill, short=0.0, over=0.0, holding=0.0)

    def fill(stock: float) -> float:
        missed = np.mean(np.maximum(whole - stock, 0) - np.maximum(demand[:, 0] - stock, 0))
        return float(1.0 - missed / np.mean(demand[:, 1:4].sum(axis=1)))

    assert fill(level) == pytest.approx(wanted, abs=1e-6)
    assert fill(level - 0.5) < wanted


def test_orders_come_in_packs_reach_the_minimum_and_say_why() -> None:
    held = pl.DataFrame({"item": ["i0", "i1", "i2"], "on_hand": [5.0, 200.0, 0.0], "on_order": [2.0, 0.0, 0.0]})
    terms = StockTerms(short=4.0, over=1.0, pack=6.0, minimum=20.0, lead=1, review=2)
    found = recommend_stock(drawn(3), terms, held=held).rows
    assert found["order"].to_list()[1] == 0.0
    for order in found["order"]:
        assert order == 0.0 or (order >= 20.0 and order % 6.0 == 0.0)
    assert found["order_up_to"][0] == 7.0 + found["order"][0]
    assert found["because"].str.contains("cheapest for 3 steps").all()
    alone = recommend_stock(drawn(3), StockTerms(short=4.0, over=1.0, lead=1, review=2)).rows
    exact = best_level(
        drawn(3).values[2], StockTerms(short=4.0, over=1.0, lead=1, review=2), short=4, over=1, holding=0
    )
    assert alone["order"][2] == pytest.approx(exact)


def test_s_S_waits_for_its_point_and_orders_an_economic_quantity() -> None:
    terms = StockTerms(short=4.0, holding=0.2, order_cost=30.0, lead=1, review=1, policy="s_S")
    found = recommend_stock(drawn(4), terms).rows
    rate = drawn(4).values[:, :, :2].mean(axis=(1, 2))
    extra = np.sqrt(2 * 30.0 * rate / 0.2)
    np.testing.assert_allclose(found["order_up_to"] - found["reorder_point"], np.ceil(extra))  # in whole packs
    full = pl.DataFrame({"item": ["i0", "i1", "i2"], "on_hand": (found["reorder_point"] + 0.5).to_list()})
    assert recommend_stock(drawn(4), terms, held=full).rows["order"].to_list() == [0.0, 0.0, 0.0]
    free = economic_quantity(rate, order_cost=np.zeros(3), holding=np.full(3, 0.2))
    assert free.tolist() == [0.0, 0.0, 0.0]


def test_lot_for_lot_orders_the_expected_demand_and_nothing_for_safety() -> None:
    terms = StockTerms(short=50.0, over=1.0, lead=1, review=2, policy="lot_for_lot")
    found = recommend_stock(drawn(5), terms).rows
    expected = drawn(5).values[:, :, :3].sum(axis=2).mean(axis=1)
    np.testing.assert_allclose(found["order"], np.ceil(expected))  # in whole packs


def test_goods_that_spoil_are_ordered_for_as_long_as_they_keep() -> None:
    demand = drawn(6).values[0]
    keeps = StockTerms(short=3.0, over=1.0, review=5, shelf_life=2)
    assert keeps.window == 2
    two = best_level(demand, StockTerms(short=3.0, over=1.0, review=2), short=3, over=1, holding=0)
    assert best_level(demand, keeps, short=3, over=1, holding=0) == two


# What information is worth ------------------------------------------------------------------------------------------------


@given(
    demand=st.lists(st.tuples(WHOLE, WHOLE, WHOLE), min_size=1, max_size=5),
    other=st.lists(st.tuples(WHOLE, WHOLE, WHOLE), min_size=1, max_size=5),
    lead=st.integers(0, 1),
    costs=st.tuples(st.integers(1, 9), st.integers(0, 4), st.integers(1, 4)),
    unmet=st.sampled_from(["lost", "owed"]),
)
def test_the_value_of_information_equals_brute_force(
    demand: list[tuple[int, ...]], other: list[tuple[int, ...]], lead: int, costs: tuple[int, ...], unmet: Any
) -> None:
    short, over, holding = map(float, costs)
    terms = StockTerms(short=short, over=over, holding=holding, lead=lead, review=2, unmet=unmet)
    twin = {"lead": lead, "window": terms.window, "owed": unmet == "owed", **money(terms)}
    levels = [k / 2 for k in range(50)]
    best, level = naive.cheapest(levels, demand, **twin)
    _, theirs = naive.cheapest(levels, other, **twin)
    known = sum(naive.cheapest(levels, [path], **twin)[0] for path in demand) / len(demand)
    sharp = [[x + 0.5 * (m - x) for x, m in zip(path, np.median(demand, axis=0), strict=True)] for path in demand]
    row = voi(paths([demand]), paths([other]), terms, cut=0.5).row(0, named=True)
    assert row["level"] == pytest.approx(level)
    assert row["expected_cost"] == pytest.approx(best, abs=1e-8)
    assert row["perfect_information"] == pytest.approx(best - known, abs=1e-8)
    assert row["this_forecast"] == pytest.approx(naive.expected_cost(theirs, demand, **twin) - best, abs=1e-8)
    fine = [k / 8 for k in range(200)]
    assert row["sharper_forecast"] == pytest.approx(best - naive.cheapest(fine, sharp, **twin)[0], abs=0.3)
    assert row["perfect_information"] >= -1e-9
    assert row["this_forecast"] >= -1e-9


def test_a_forecast_without_errors_is_worth_what_perfect_information_is_where_all_is_sold_in_one_period() -> None:
    own = drawn(7)
    found = voi(own, drawn(8), StockTerms(short=3.0, over=1.0), cut=1.0)
    np.testing.assert_allclose(found["sharper_forecast"], found["perfect_information"], atol=1e-9)
    assert perfect_cost(own.values[0], StockTerms(short=3.0, over=1.0), short=3, over=1, holding=0) == 0.0
    assert "perfect information would save" in voi_words(found, cut=1.0, currency="euros")
    same = voi(own, own, StockTerms(short=3.0, over=1.0), cut=0.0)
    assert same["this_forecast"].abs().max() == same["sharper_forecast"].abs().max() == 0.0


# A budget ---------------------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 500), budget=st.integers(1, 12), unmet=st.sampled_from(["lost", "owed"]))
def test_a_budget_spent_from_the_top_saves_as_much_as_the_best_of_all_baskets(
    seed: int, budget: int, unmet: Any
) -> None:
    own = paths(np.random.default_rng(seed).integers(0, 5, (3, 6, 2)))
    terms = StockTerms(short=5.0, over=1.0, holding=0.3, review=2, unmet=unmet)
    twin = {"lead": 0, "window": 2, "owed": unmet == "owed", **money(terms)}
    ranked = rank_lots(own, terms)
    got = float(within(ranked, budget)["saves"].sum())

    def saved(units: tuple[int, ...]) -> float:
        return sum(
            naive.expected_cost(0.0, own.values[i].tolist(), **twin)
            - naive.expected_cost(float(k), own.values[i].tolist(), **twin)
            for i, k in enumerate(units)
        )

    best = max(saved(units) for units in itertools.product(range(9), repeat=3) if sum(units) <= budget)
    assert got == pytest.approx(best, abs=1e-8)
    assert ranked["saves_per_use"].to_list() == sorted(ranked["saves_per_use"].to_list(), reverse=True)
    assert shadow_price(ranked, 1e9) == 0.0


def test_a_dear_unit_stands_behind_a_cheap_one_that_saves_as_much() -> None:
    same = drawn(9, n=1).values[0]
    held = pl.DataFrame({"item": ["a", "b"], "on_hand": [0.0, 0.0], "price": [1.0, 10.0]})
    ranked = rank_lots(
        paths([same, same], ("a", "b")), StockTerms(short=5.0, over=1.0, review=2), held=held, uses="price"
    )
    assert ranked.head(3)["item"].to_list() == ["a", "a", "a"]
    assert within(ranked, 15.0)["uses"].sum() <= 15.0
    for wrong in (0.0, -3.0):
        with pytest.raises(BadInput, match="capacity"):
            within(ranked, wrong)
    with pytest.raises(BadInput, match="each unit"):
        rank_lots(paths([same, same]), StockTerms(short=5.0, over=1.0), uses=0.0)


# The replay --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unmet", ["lost", "owed"])
@pytest.mark.parametrize(("lead", "review", "shelf_life"), [(0, 1, 0), (2, 3, 0), (1, 2, 2), (0, 4, 3), (3, 1, 4)])
def test_the_replay_equals_units_that_are_followed_one_by_one(
    lead: int, review: int, shelf_life: int, unmet: Any
) -> None:
    rng = np.random.default_rng(lead * 100 + review * 10 + shelf_life)
    demand = rng.poisson(3.0, (2, 17)).astype(float)
    beliefs = {0: rng.poisson(3.0, (2, 30, 8)).astype(float), 8: rng.poisson(3.5, (2, 30, 8)).astype(float)}
    terms = StockTerms(
        short=4.0, over=0.5, holding=0.1, order_cost=2.0, lead=lead, review=review, shelf_life=shelf_life, unmet=unmet
    )
    keys = pl.DataFrame({"item": ["a", "b"], "cutoff": [0, 0]})
    costs = economics(terms, keys, None)
    start = np.array([5.0, 0.0])
    flows = simulate(beliefs, demand, terms, costs, start=start, season=2)
    for i in range(2):

        def orders(t: int, position: float, i: int = i) -> float:
            served = 8 if t >= 8 else 0
            own = beliefs[served][i]
            steps = []
            for step in range(t - served, t - served + terms.window):
                while step >= 8:
                    step -= 2
                steps.append(step)
            level = best_level(own[:, steps], terms, short=4.0, over=0.5, holding=0.1)
            return float(max(0.0, np.ceil(level - position - 1e-9)))

        slow = naive.replay(
            orders, demand[i], lead=lead, review=review, start=start[i], shelf_life=shelf_life, owed=unmet == "owed",
            costs={"short": 4.0, "over": 0.5, "holding": 0.1, "order_cost": 2.0},
        )  # fmt: skip
        for name in slow[0]:
            np.testing.assert_allclose(getattr(flows, name)[i], [step[name] for step in slow], atol=1e-9, err_msg=name)


def test_no_unit_is_made_or_lost_in_a_replay() -> None:
    rng = np.random.default_rng(5)
    demand = rng.poisson(3.0, (4, 40)).astype(float)
    terms = StockTerms(short=4.0, over=0.5, holding=0.1, lead=2, review=3, shelf_life=5)
    costs = economics(terms, pl.DataFrame({"item": list("abcd"), "cutoff": [0] * 4}), None)
    start = np.full(4, 7.0)
    flows = simulate({0: rng.poisson(3.0, (4, 50, 10)).astype(float)}, demand, terms, costs, start=start)
    came = start + flows.ordered.sum(axis=1) - flows.on_order[:, -1]
    went = flows.sold.sum(axis=1) + flows.scrapped.sum(axis=1) + flows.on_hand[:, -1]
    np.testing.assert_allclose(came, went, atol=1e-9)
    np.testing.assert_allclose(flows.sold + flows.unmet, demand)


def test_both_sides_meet_the_same_demand_and_the_better_belief_costs_less() -> None:
    rng = np.random.default_rng(11)
    truth = rng.poisson(6.0, (5, 24)).astype(float)
    names = tuple("abcde")

    def sides(mean: float) -> list[Paths]:
        return [paths(rng.poisson(mean, (5, 200, 12)), names) for _ in range(2)]

    demand = pl.DataFrame(
        {"item": np.repeat(names, 24), "period": np.tile(np.arange(100, 124), 5), "y": truth.reshape(-1)}
    )
    terms = StockTerms(short=5.0, over=0.2, holding=0.1, lead=1, review=3)
    replayed = replay_stock((sides(6.0), sides(10.0)), demand, terms, spacing=12, season=1)
    assert replayed.height == 5 * 24
    assert replayed["demand"].to_list() == demand["y"].to_list()
    totals = stock_totals(replayed)
    assert totals["money"][0] < totals["money"][1]
    assert totals["stock"][0] < totals["stock"][1]
    assert replayed["saving"].sum() == pytest.approx(totals["money"][1] - totals["money"][0])
    assert stock_totals(replayed, by=["item"]).height == 10
    again = replay_stock((sides(6.0)[:1], sides(6.0)[:1]), demand, terms, spacing=12)
    assert again["on_hand_ours"].max() > 0.0
    with pytest.raises(BadInput, match="both sides"):
        replay_stock((sides(6.0), sides(6.0)[:1]), demand, terms, spacing=12)


# What cannot be ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_terms", "words"),
    [
        ({"short": -1.0, "over": 1.0}, "short"),
        ({"short": 0.0, "over": 1.0}, "service level"),
        ({"short": 0.0, "over": 0.0}, "service level"),
        ({"short": 1.0}, "service level"),
        ({"short": float("nan"), "over": 1.0}, "short"),
        ({"short": 1.0, "over": 1.0, "pack": 0.0}, "pack"),
        ({"short": 1.0, "over": 1.0, "lead": -1}, "lead"),
        ({"short": 1.0, "over": 1.0, "review": 0}, "review"),
        ({"cycle": 1.0}, "cycle"),
        ({"fill": 0.0}, "fill"),
        ({"cycle": 0.9, "fill": 0.9}, "one of them"),
    ],
)
def test_terms_that_make_no_sense_are_refused(given_terms: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        StockTerms(**given_terms)


def test_windows_beyond_the_paths_unknown_columns_and_other_items_are_refused() -> None:
    terms = StockTerms(short=1.0, over=1.0, lead=4, review=3)
    with pytest.raises(BadInput, match="raise horizon"):
        recommend_stock(drawn(1), terms)
    named = StockTerms(short="margin", over=1.0)
    with pytest.raises(BadInput, match="no held frame"):
        recommend_stock(drawn(1), named)
    held = pl.DataFrame({"item": ["i0", "i1", "i2"], "on_hand": [0.0] * 3, "margin": [1.0, -2.0, 1.0]})
    with pytest.raises(BadInput, match="short"):
        recommend_stock(drawn(1), named, held=held)
    good = held.with_columns(margin=pl.Series([1.0, 9.0, 1.0]))
    assert recommend_stock(drawn(1), named, held=good).rows["order"][1] > 0.0
    with pytest.raises(BadInput, match="other items"):
        voi(drawn(1), drawn(1, n=2), StockTerms(short=1.0, over=1.0))
    with pytest.raises(BadInput, match="cut"):
        voi(drawn(1), drawn(1), StockTerms(short=1.0, over=1.0), cut=1.5)
    with pytest.raises(BadInput, match="before the first step"):
        simulate({3: drawn(1).values}, np.ones((3, 4)), terms, economics(terms, drawn(1).keys, None), start=np.zeros(3))


def test_one_verb_orders_from_quantiles_and_from_paths() -> None:
    one = recommend_qty({0.1: 10, 0.5: 20, 0.9: 40}, short=3, over=1, held={"on_hand": 5}, pack=6)
    assert isinstance(one, Order)
    assert one.quantity == 30.0
    terms = {"short": 4.0, "over": 1.0, "lead": 1, "review": 2}
    held = pl.DataFrame({"item": ["i0", "i1", "i2"], "on_hand": [5.0, 0.0, 2.0]})
    many = recommend_qty(drawn(3), held=held.to_pandas(), **terms)
    assert isinstance(many, Decisions)
    assert many.rows.equals(recommend_stock(drawn(3), StockTerms(**terms), held=held).rows)
    for beliefs, wrong in ((drawn(3), {"shrot": 1.0}), ({0.5: 1.0}, {"short": 1.0, "over": 1.0, "lead": 2})):
        with pytest.raises(BadInput, match="recommend_qty"):
            recommend_qty(beliefs, **wrong)


def test_what_a_leftover_unit_loses() -> None:
    assert leftover_cost(10.0, salvage=4.0, obsolescence=0.5) == 3.0
    for wrong in ({"obsolescence": 1.5}, {"salvage": 11.0}):
        with pytest.raises(BadInput):
            leftover_cost(10.0, **wrong)
    low, high = order_quantity(np.array([7.0, 0.0, 2.0]), pack=np.full(3, 5.0), minimum=np.array([0, 0, 8.0]), up=False)
    assert (low.tolist(), high.tolist()) == ([5.0, 0.0, 0.0], [10.0, 0.0, 10.0])
