from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests import naive_decisions as naive

from foreproof.decisions.newsvendor import (
    Order,
    critical_ratio,
    expected_cost,
    expected_units,
    quantile_at,
    recommend_qty,
)
from foreproof.decisions.replay import newsvendor_cost

POOL = [0.01, 0.05, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.95, 0.99]

eighths = st.integers(-80, 400).map(lambda i: i / 8.0)
costs = st.integers(0, 60).map(lambda i: i / 4.0)
some_cost = st.integers(1, 60).map(lambda i: i / 4.0)
stocks = st.integers(-40, 400).map(lambda i: i / 8.0)
packs = st.sampled_from([0.5, 1.0, 2.5, 6.0, 25.0])
minima = st.sampled_from([0.0, 3.0, 10.0, 37.5])


@st.composite
def beliefs(draw: st.DrawFn) -> dict[float, float]:
    levels = sorted(draw(st.lists(st.sampled_from(POOL), min_size=1, max_size=6, unique=True)))
    values = sorted(draw(st.lists(eighths, min_size=len(levels), max_size=len(levels))))
    return dict(zip(levels, values, strict=True))


def order(belief: dict[float, float], stock: float, **terms: Any) -> Order:
    return recommend_qty(belief, held={"on_hand": stock}, **terms)


@given(beliefs(), stocks, some_cost, costs, packs, minima)
def test_no_allowed_order_is_cheaper_than_the_one_recommended(
    belief: dict[float, float], stock: float, short: float, over: float, pack: float, minimum: float
) -> None:
    terms = {"short": short, "over": over, "pack": pack, "minimum": minimum}
    ours = order(belief, stock, **terms)
    levels, values = list(belief), list(belief.values())
    best, lowest = naive.best_order(levels, values, terms, stock)
    cost = naive.expected_cost(stock + ours.quantity, levels, values, short, over)
    assert cost == pytest.approx(lowest, rel=1e-9, abs=1e-8)
    assert ours.expected_cost == pytest.approx(cost, rel=1e-9, abs=1e-9)
    # of orders that cost the same the smaller; the twin tells costs apart to 1e-9 only
    assert ours.quantity <= best + pack or cost < lowest + 1e-8


@given(beliefs(), stocks, some_cost, some_cost, costs, packs, minima)
def test_more_shortage_cost_never_orders_less(
    belief: dict[float, float], stock: float, low: float, more: float, over: float, pack: float, minimum: float
) -> None:
    few = order(belief, stock, short=low, over=over, pack=pack, minimum=minimum)
    many = order(belief, stock, short=low + more, over=over, pack=pack, minimum=minimum)
    assert many.quantity >= few.quantity
    assert many.target >= few.target


@given(beliefs(), stocks, some_cost, costs, some_cost, packs, minima)
def test_more_leftover_cost_never_orders_more(
    belief: dict[float, float], stock: float, short: float, low: float, more: float, pack: float, minimum: float
) -> None:
    many = order(belief, stock, short=short, over=low, pack=pack, minimum=minimum)
    few = order(belief, stock, short=short, over=low + more, pack=pack, minimum=minimum)
    assert few.quantity <= many.quantity


@given(beliefs(), stocks, stocks.map(abs), some_cost, costs, packs, minima)
def test_more_stock_never_orders_more(
    belief: dict[float, float], stock: float, more: float, short: float, over: float, pack: float, minimum: float
) -> None:
    terms = {"short": short, "over": over, "pack": pack, "minimum": minimum}
    few = order(belief, stock, **terms)
    assert order(belief, stock + more, **terms).quantity <= few.quantity
    on_order = recommend_qty(belief, held={"on_hand": stock, "on_order": more}, **terms)
    assert on_order.quantity == order(belief, stock + more, **terms).quantity


@given(beliefs(), stocks, some_cost, costs, packs, minima)
def test_an_order_is_nothing_or_whole_packs_of_at_least_the_minimum(
    belief: dict[float, float], stock: float, short: float, over: float, pack: float, minimum: float
) -> None:
    ours = order(belief, stock, short=short, over=over, pack=pack, minimum=minimum)
    assert ours.quantity == round(ours.quantity / pack) * pack
    assert ours.quantity == 0.0 or ours.quantity >= minimum
    assert ours.quantity >= 0.0
    assert ours.order_up_to == stock + ours.quantity


@given(beliefs(), stocks, some_cost, costs, packs, minima, st.sampled_from([1e-3, 0.1, 0.3, 7.0, 1e6]))
def test_money_counted_in_another_unit_changes_no_quantity(
    belief: dict[float, float], stock: float, short: float, over: float, pack: float, minimum: float, factor: float
) -> None:
    ours = order(belief, stock, short=short, over=over, pack=pack, minimum=minimum)
    scaled = order(belief, stock, short=short * factor, over=over * factor, pack=pack, minimum=minimum)
    assert scaled.quantity == ours.quantity
    assert scaled.expected_cost == pytest.approx(factor * ours.expected_cost, rel=1e-9)


@given(beliefs(), stocks, some_cost, costs, packs, minima, st.sampled_from([0.25, 2.0, 16.0]))
def test_units_counted_in_another_measure_scale_the_quantity(
    belief: dict[float, float], stock: float, short: float, over: float, pack: float, minimum: float, factor: float
) -> None:
    ours = order(belief, stock, short=short, over=over, pack=pack, minimum=minimum)
    larger = {level: value * factor for level, value in belief.items()}
    scaled = order(larger, stock * factor, short=short, over=over, pack=pack * factor, minimum=minimum * factor)
    assert scaled.quantity == factor * ours.quantity


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), some_cost, costs)
def test_the_newsvendor_optimum_of_a_discrete_demand_is_found_at_every_ratio(
    outcomes: list[int], short: float, over: float
) -> None:
    # each outcome is a flat stretch of the quantile function, with next to nothing between stretches
    outcomes = sorted(outcomes)
    n, gap = len(outcomes), 1e-10
    edges = [(i + gap, i + 1 - gap) for i in range(n)]
    belief = {u / n: float(outcome) for pair, outcome in zip(edges, outcomes, strict=True) for u in pair}
    ours = recommend_qty(belief, short=short, over=over)
    assert ours.quantity == ours.order_up_to
    mean = np.mean(newsvendor_cost(np.full(n, ours.quantity), outcomes, short=short, over=over))
    assert float(mean) == pytest.approx(naive.discrete_best(outcomes, short, over), rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("outcomes", [[0, 1, 2, 3], [5, 5, 5], [0, 0, 9], [1, 4, 4, 4, 20]])
def test_the_optimum_is_found_for_every_pair_of_whole_costs(outcomes: list[int]) -> None:
    n = len(outcomes)
    belief = {u / n: float(d) for i, d in enumerate(outcomes) for u in (i + 1e-10, i + 1 - 1e-10)}
    for short in range(1, 13):
        for over in range(13):
            ours = recommend_qty(belief, short=short, over=over).quantity
            mean = float(np.mean(newsvendor_cost(np.full(n, ours), outcomes, short=short, over=over)))
            assert mean == pytest.approx(naive.discrete_best(outcomes, short, over), abs=1e-7), (short, over)


@given(beliefs(), stocks, costs, costs)
def test_expected_cost_equals_its_plain_twin(
    belief: dict[float, float], stock: float, short: float, over: float
) -> None:
    levels, values = list(belief), list(belief.values())
    ours = float(expected_cost(stock, levels=levels, values=values, short=short, over=over))
    assert ours == pytest.approx(naive.expected_cost(stock, levels, values, short, over), rel=1e-9, abs=1e-9)


@given(beliefs(), st.lists(st.integers(0, 1000).map(lambda i: i / 1000.0), min_size=1, max_size=9))
def test_a_quantile_equals_its_plain_twin_and_never_falls(belief: dict[float, float], ratios: list[float]) -> None:
    levels, values = list(belief), list(belief.values())
    ours = quantile_at(sorted(ratios), levels=levels, values=values)
    assert ours.tolist() == pytest.approx([naive.quantile(levels, values, u) for u in sorted(ratios)], rel=1e-9)
    assert np.all(np.diff(ours) >= 0.0)


@given(beliefs())
def test_a_quantile_at_a_given_level_is_the_given_value(belief: dict[float, float]) -> None:
    levels, values = list(belief), list(belief.values())
    assert quantile_at(levels, levels=levels, values=values).tolist() == values


@given(beliefs(), stocks)
def test_units_short_less_units_over_are_mean_demand_less_stock(belief: dict[float, float], stock: float) -> None:
    levels, values = list(belief), list(belief.values())
    short, over = expected_units(stock, levels=levels, values=values)
    nothing, mean = expected_units(values[0], levels=levels, values=values)[::-1]
    assert float(nothing) == 0.0
    assert float(short - over) == pytest.approx(float(mean) + values[0] - stock, rel=1e-9, abs=1e-9)


@given(beliefs(), stocks, stocks, costs, costs)
def test_expected_cost_is_convex_in_stock(
    belief: dict[float, float], one: float, other: float, short: float, over: float
) -> None:
    levels, values = list(belief), list(belief.values())
    low, middle, high = expected_cost(
        [one, (one + other) / 2.0, other], levels=levels, values=[values] * 3, short=short, over=over
    )
    assert middle <= (low + high) / 2.0 + 1e-9


@given(some_cost, some_cost, costs)
def test_the_critical_ratio_never_falls_in_shortage_cost(low: float, more: float, over: float) -> None:
    assume(low + over > 0.0)
    less, greater = critical_ratio([low, low + more], over)
    assert 0.0 <= less <= greater <= 1.0
    assert less == pytest.approx(low / (low + over), rel=1e-12)


@given(st.lists(st.tuples(stocks, stocks, costs, costs), min_size=1, max_size=20))
def test_replayed_cost_equals_its_plain_twin(rows: list[tuple[float, float, float, float]]) -> None:
    stock, demand, short, over = (list(column) for column in zip(*rows, strict=True))
    ours = newsvendor_cost(stock, demand, short=short, over=over)
    assert ours.tolist() == [naive.loss(*row) for row in zip(stock, demand, short, over, strict=True)]
