from __future__ import annotations

import doctest
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests import naive_decisions as naive

from foreproof.core.decide import Decisions, look_up, parse_beliefs, quantile_arrays
from foreproof.decisions import newsvendor, order_words
from foreproof.decisions.newsvendor import (
    ACTIONS,
    Newsvendor,
    UnitCosts,
    critical_ratio,
    expected_cost,
    expected_units,
    quantile_at,
    recommend_qty,
    unit_costs,
)
from foreproof.errors import BadInput, LawError

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
LEVELS = [0.1, 0.5, 0.9]
BELIEF = {0.1: 10.0, 0.5: 20.0, 0.9: 40.0}


def beliefs(**values: list[float]) -> pl.DataFrame:
    """Quantiles at LEVELS of the items named."""
    rows = [(sku, NEW_YEAR, u, v) for sku, row in values.items() for u, v in zip(LEVELS, row, strict=True)]
    schema = {"sku": pl.String, "cutoff": pl.Datetime("us", "UTC"), "level": pl.Float64, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


TWO = beliefs(a=[10.0, 20.0, 40.0], b=[1.0, 2.0, 3.0])


# --- arithmetic ------------------------------------------------------------------------------------------------------


def test_unit_costs_are_margin_and_goodwill_against_loss_and_holding() -> None:
    costs = unit_costs(10.0, 6.0, salvage=2.0, goodwill=1.0, holding=0.5)
    assert (costs.short, costs.over) == (5.0, 4.5)


def test_the_ratio_is_short_over_the_sum_and_takes_its_ends() -> None:
    assert critical_ratio(3.0, 1.0) == 0.75
    assert critical_ratio([0.0, 5.0], [1.0, 0.0]).tolist() == [0.0, 1.0]


def test_quantiles_are_straight_between_levels_and_flat_outside() -> None:
    at = quantile_at([0.0, 0.05, 0.1, 0.3, 0.5, 0.6, 0.9, 1.0], levels=LEVELS, values=[10.0, 20.0, 40.0])
    assert at.tolist() == pytest.approx([10.0, 10.0, 10.0, 15.0, 20.0, 25.0, 40.0, 40.0], rel=1e-15)


def test_each_row_of_quantiles_has_its_own_ratio() -> None:
    rows = [[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]
    assert quantile_at([0.5, 0.9], levels=LEVELS, values=rows).tolist() == [2.0, 30.0]
    assert quantile_at(0.1, levels=LEVELS, values=rows).tolist() == [1.0, 10.0]


def test_one_level_is_a_point_forecast() -> None:
    assert quantile_at([0.01, 0.99], levels=[0.5], values=[7.0]).tolist() == [7.0, 7.0]
    assert expected_cost([5.0, 9.0], levels=[0.5], values=[7.0], short=3.0, over=1.0).tolist() == [6.0, 2.0]


def test_expected_units_by_hand() -> None:
    # u in (0, .1): 10; (.1, .9): from 10 to 30 evenly; (.9, 1): 30
    short, over = expected_units(20.0, levels=[0.1, 0.9], values=[10.0, 30.0])
    assert float(over) == pytest.approx(0.1 * 10.0 + 0.4 * 5.0, rel=1e-15)
    assert float(short) == pytest.approx(0.4 * 5.0 + 0.1 * 10.0, rel=1e-15)
    short, over = expected_units(15.0, levels=[0.1, 0.9], values=[10.0, 30.0])
    assert float(over) == pytest.approx(0.1 * 5.0 + 0.2 * 2.5, rel=1e-15)
    assert float(short) == pytest.approx(0.6 * 7.5 + 0.1 * 15.0, rel=1e-15)


@pytest.mark.parametrize("stock", [-3.0, 10.0, 12.5, 20.0, 33.3, 40.0, 55.0])
def test_expected_cost_equals_the_fine_integral(stock: float) -> None:
    levels, values = [0.05, 0.1, 0.5, 0.6, 0.95], [10.0, 12.0, 20.0, 20.0, 40.0]
    exact = float(expected_cost(stock, levels=levels, values=values, short=3.0, over=0.7))
    assert exact == pytest.approx(naive.expected_cost_integrated(stock, levels, values, 3.0, 0.7), rel=1e-6)


def test_expected_cost_broadcasts_stocks_over_rows_and_rows_over_stocks() -> None:
    rows = [[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]
    both = expected_cost([2.5, 25.0], levels=LEVELS, values=rows, short=[3.0, 1.0], over=1.0)
    first = expected_cost(2.5, levels=LEVELS, values=rows[0], short=3.0, over=1.0)
    second = expected_cost(25.0, levels=LEVELS, values=rows[1], short=1.0, over=1.0)
    assert both.tolist() == [float(first), float(second)]
    one_stock = expected_cost(2.5, levels=LEVELS, values=rows, short=3.0, over=1.0)
    assert one_stock[0] == first
    assert one_stock.shape == (2,)


# --- orders ----------------------------------------------------------------------------------------------------------


def test_the_order_fills_up_to_the_critical_quantile() -> None:
    order = recommend_qty(BELIEF, short=3, over=1, held={"on_hand": 5, "on_order": 4.5}, pack=0.5)
    assert (order.ratio, order.target) == (0.75, 32.5)
    assert (order.quantity, order.order_up_to) == (23.0, 32.5)
    assert order.expected_cost == pytest.approx(naive.expected_cost(32.5, LEVELS, [10, 20, 40], 3, 1), rel=1e-12)
    assert order.because == (
        "A unit short costs 3 and a unit over 1: critical ratio 0.75. Demand stays at or below 32.5 with that "
        "probability. 5 on hand and 4.5 on order: 23 needed. Order 23."
    )


def test_a_pack_is_rounded_to_the_cheaper_side_and_says_against_what() -> None:
    order = recommend_qty(BELIEF, short=3, over=1, held={"on_hand": 5}, pack=6)
    up, down = (naive.expected_cost(5.0 + q, LEVELS, [10, 20, 40], 3, 1) for q in (30, 24))
    assert up < down
    assert order.quantity == 30.0
    assert "In packs of 6: 30 (expected cost 15) against 24 (15.24)." in order.because


def test_the_nearer_pack_loses_where_it_costs_more() -> None:
    # 10 is nearer to 0 than to 21, but being short costs as much as being over and demand is rarely near 0
    belief = {0.01: 9.0, 0.5: 10.0, 0.99: 60.0}
    order = recommend_qty(belief, short=1, over=1, pack=21)
    assert order.target == 10.0
    assert order.quantity == 21.0
    at = [naive.expected_cost(q, list(belief), list(belief.values()), 1.0, 1.0) for q in (0.0, 21.0)]
    assert at[1] < at[0]


@pytest.mark.parametrize(("short", "wanted"), [(9.0, 100.0), (0.5, 0.0)])
def test_below_the_minimum_it_is_the_minimum_or_nothing_by_expected_cost(short: float, wanted: float) -> None:
    order = recommend_qty(BELIEF, short=short, over=1, pack=20, minimum=90)
    assert order.quantity == wanted
    assert "In packs of 20, at least 90" in order.because
    assert order.because.endswith("Order 100." if wanted else "Order nothing.")


def test_a_minimum_that_float_division_puts_above_a_pack_is_that_pack() -> None:
    order = recommend_qty({0.5: 0.3}, short=1, over=1, pack=0.1, minimum=3 * 0.1)
    assert order.quantity == pytest.approx(0.3)


def test_enough_stock_orders_nothing() -> None:
    order = recommend_qty(BELIEF, short=3, over=1, held={"on_hand": 30, "on_order": 10}, minimum=50)
    assert (order.quantity, order.order_up_to) == (0.0, 40.0)
    assert order.because.endswith("30 on hand and 10 on order: the need is covered, order nothing.")


def test_units_owed_to_customers_are_ordered_too() -> None:
    assert recommend_qty(BELIEF, short=1, over=1, held={"on_hand": -7}).quantity == 27.0


@pytest.mark.parametrize(
    ("short", "target", "words"), [(99, 40.0, "above the highest level of the belief, 0.9"), (0.01, 10.0, "below")]
)
def test_a_ratio_outside_the_levels_is_said(short: float, target: float, words: str) -> None:
    order = recommend_qty(BELIEF, short=short, over=1)
    assert order.target == target
    assert words in order.because
    assert "the true optimum is not known" in order.because


@pytest.mark.parametrize("short", [1, 9])
def test_a_ratio_at_the_outermost_level_is_inside(short: float) -> None:
    assert "stands in" not in recommend_qty(BELIEF, short=short, over=10 - short).because


def test_without_shortage_cost_nothing_is_ordered() -> None:
    order = recommend_qty(BELIEF, short=0, over=1)
    assert order.quantity == 0.0
    assert "Being short costs nothing" in order.because


def test_without_stock_the_reason_says_so() -> None:
    assert "No stock was given, so 0 on hand" in recommend_qty(BELIEF, short=3, over=1).because


def test_costs_packs_and_minimum_may_differ_between_entities() -> None:
    held = pl.DataFrame(
        {"sku": ["b", "a", "z"], "on_hand": [0, 1, 9], "cu": [3.0, 1.0, 1.0], "lot": [2, 5, 1], "least": [0, 30, 0]}
    )
    rows = Newsvendor(short="cu", over=1.0, pack="lot", minimum="least").decide(TWO, held=held).rows
    assert rows["ratio"].to_list() == [0.5, 0.75]
    assert rows["target"].to_list() == [20.0, 2.625]
    assert rows["order"].to_list() == [30.0, 2.0]
    assert rows["order_up_to"].to_list() == [31.0, 2.0]


def test_stock_may_differ_between_cutoffs() -> None:
    later = datetime(2024, 2, 1, tzinfo=UTC)
    frame = pl.concat([TWO, TWO.with_columns(cutoff=pl.lit(later).cast(pl.Datetime("us", "UTC")))])
    held = frame.select("sku", "cutoff").unique().sort("sku", "cutoff").with_columns(on_hand=pl.Series([0, 5, 0, 1]))
    rows = Newsvendor(1.0, 1.0).decide(frame, held=held).rows
    assert rows["order"].to_list() == [20.0, 15.0, 2.0, 1.0]


def test_one_entity_is_decided_as_if_it_were_alone() -> None:
    held = pl.DataFrame({"sku": ["a", "b"], "on_hand": [4.0, 0.0]})
    policy = Newsvendor(3.0, 1.0, 2.0)
    both = policy.decide(TWO, held=held).rows
    for sku in ("a", "b"):
        one = pl.col("sku") == sku
        assert policy.decide(TWO.filter(one), held=held.filter(one)).rows.equals(both.filter(one))


def test_a_series_without_entity_columns_is_one_entity() -> None:
    frame = TWO.filter(pl.col("sku") == "a").drop("sku")
    decisions = recommend_qty(frame, short=3, over=1, held=pl.DataFrame({"on_hand": [5]}))
    assert decisions.entity == ()
    assert decisions.rows["order"].to_list() == [recommend_qty(BELIEF, short=3, over=1, held={"on_hand": 5}).quantity]


def test_pandas_frames_decide_as_polars_ones() -> None:
    held = pl.DataFrame({"sku": ["a", "b"], "on_hand": [3, 1]})
    ours = recommend_qty(TWO, short=3, over=1, held=held)
    theirs = recommend_qty(TWO.to_pandas(), short=3, over=1, held=pd.DataFrame(held.to_dict(as_series=False)))
    assert theirs.rows.drop("cutoff").equals(ours.rows.drop("cutoff"))


def test_decisions_hold_an_action_and_a_reason_for_each_entity() -> None:
    decisions = recommend_qty(TWO, short=3, over=1)
    assert decisions.actions == ACTIONS
    assert decisions.rows.columns == ["sku", "cutoff", *ACTIONS, "because"]
    assert decisions.rows["sku"].to_list() == ["a", "b"]


def test_the_example_in_the_docstring_runs() -> None:
    result = doctest.testmod(newsvendor)
    assert result.attempted >= 2
    assert result.failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (12345.678, "12,345.68"), (2.5, "2.5"), (40.0, "40"), (0.00001, "1e-05"), (-7.25, "-7.25")],
)
def test_numbers_are_written_for_reading(value: float, text: str) -> None:
    assert order_words._text(value) == text


# --- what cannot be used ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "subject", "found"),
    [
        ({"short": -1.0, "over": 1.0}, "newsvendor.short", "-1"),
        ({"short": 1.0, "over": -0.5}, "newsvendor.over", "-0.5"),
        ({"short": 0.0, "over": 0.0}, "newsvendor.short and newsvendor.over", "0"),
        ({"short": math.nan, "over": 1.0}, "newsvendor.short", "nan"),
        ({"short": 1.0, "over": math.inf}, "newsvendor.over", "inf"),
        ({"short": 1.0, "over": 1.0, "pack": 0.0}, "newsvendor.pack", "0"),
        ({"short": 1.0, "over": 1.0, "pack": -6.0}, "newsvendor.pack", "-6"),
        ({"short": 1.0, "over": 1.0, "minimum": -2.0}, "newsvendor.minimum", "-2"),
        ({"short": [1.0, "x"], "over": 1.0}, "newsvendor.short", "[1.0, 'x']"),
    ],
)
def test_terms_that_cannot_be_used_are_refused_when_the_policy_is_made(terms: Any, subject: str, found: str) -> None:
    with pytest.raises(BadInput) as caught:
        Newsvendor(**terms)
    assert (caught.value.subject, caught.value.found) == (subject, found)
    assert caught.value.wanted


def test_a_sale_at_a_loss_is_no_shortage_cost() -> None:
    with pytest.raises(BadInput, match=r"costs\.short: -1; wanted a finite number >= 0, money per unit"):
        unit_costs(5.0, 6.0)
    with pytest.raises(BadInput, match=r"costs\.over: -1"):
        unit_costs(9.0, 6.0, salvage=7.0)
    with pytest.raises(BadInput, match=r"costs\.over"):
        UnitCosts(1.0, "much")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="critical_ratio"):
        critical_ratio([1.0, 0.0], [1.0, 0.0])


@pytest.mark.parametrize(
    ("column", "value", "subject"),
    [("cu", -1.0, "newsvendor.short"), ("lot", 0.0, "newsvendor.pack"), ("on_order", -1.0, "held.on_order")],
)
def test_a_term_of_one_entity_is_refused_with_its_name(column: str, value: float, subject: str) -> None:
    held = {"sku": ["a", "b"], "on_hand": [0.0, 0.0], "on_order": [0.0, 0.0], "cu": [1.0, 1.0], "lot": [1.0, 1.0]}
    held[column] = [1.0, value]
    with pytest.raises(BadInput) as caught:
        Newsvendor("cu", 1.0, "lot").decide(TWO, held=pl.DataFrame(held))
    assert caught.value.subject == subject
    assert "1 of 2 decisions" in caught.value.found
    assert "'b'" in caught.value.found


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (pl.DataFrame({"sku": ["a"], "on_hand": [1]}), r"held: no row for 1 of 2 decisions \(first: sku b\)"),
        (pl.DataFrame({"sku": ["a", "b"], "stock": [1, 1]}), r"held: no column on_hand \(there are: sku, stock\)"),
        (pl.DataFrame({"on_hand": [1]}), "held: no column sku"),
        (pl.DataFrame({"sku": ["a", "b"], "on_hand": [1, None]}), r"held\.on_hand: missing .*first: sku b"),
        (pl.DataFrame({"sku": ["a", "b"], "on_hand": [1.0, math.nan]}), r"held\.on_hand: missing .*first: sku b"),
        (pl.DataFrame({"sku": ["a", "b"], "on_hand": ["1", "2"]}), r"held\.on_hand: type String; wanted numbers"),
        (pl.DataFrame({"sku": ["a", "b", "a"], "on_hand": [1, 1, 2]}), "held: sku a comes more than once"),
        (pl.DataFrame({"sku": [1, 2], "on_hand": [1, 1]}), "held: sku of type Int64; wanted String"),
        (
            pl.DataFrame({"sku": ["a", "b"], "on_hand": [1, 1], "on_order": [0, None]}),
            r"held\.on_order: missing",
        ),
    ],
)
def test_stock_that_cannot_be_used_is_refused(held: pl.DataFrame, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Newsvendor(1.0, 1.0).decide(TWO, held=held)


def test_a_cost_column_needs_a_frame_that_has_it() -> None:
    with pytest.raises(BadInput, match=r"newsvendor\.short: column 'cu', but no held frame"):
        Newsvendor("cu", 1.0).decide(TWO)
    with pytest.raises(BadInput, match="held: no column cu"):
        Newsvendor("cu", 1.0).decide(TWO, held=pl.DataFrame({"sku": ["a", "b"], "on_hand": [0, 0]}))


def test_one_entity_takes_one_row_of_stock() -> None:
    frame = TWO.filter(pl.col("sku") == "a").drop("sku")
    with pytest.raises(BadInput, match="the one entity comes more than once"):
        Newsvendor(1.0, 1.0).decide(frame, held=pl.DataFrame({"on_hand": [5, 6]}))
    with pytest.raises(BadInput, match="no row for 1 of 1 decisions"):
        Newsvendor(1.0, 1.0).decide(frame, held=pl.DataFrame({"on_hand": pl.Series([], dtype=pl.Int64)}))


def put(column: str, value: Any, row: int = 1) -> pl.DataFrame:
    """TWO with one value replaced."""
    values = TWO[column].to_list()
    values[row] = value
    return TWO.with_columns(pl.Series(column, values, dtype=TWO.schema[column]))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (put("value", math.nan), r"beliefs: value is missing or infinite in 1 of 6 rows \(first: .*'sku': 'a'"),
        (put("value", None), "beliefs: value is missing or infinite"),
        (put("value", math.inf), "beliefs: value is missing or infinite"),
        (put("value", 9.0), "beliefs: value is below that of a lower level in 1 of 6 rows"),
        (put("level", 0.1), "beliefs: level comes twice in 2 of 6 rows"),
        (put("level", 1.0), "beliefs: level is not strictly between 0 and 1"),
        (put("level", 0.0), "beliefs: level is not strictly between 0 and 1"),
        (put("level", None), "beliefs: level is not strictly between 0 and 1"),
        (put("level", 0.4), r"beliefs: levels .*'b'.*wanted the same for all: \[0\.1, 0\.4, 0\.9\]"),
        (TWO.head(5), r"beliefs: levels .*'b'.*wanted the same for all"),
        (TWO.drop("level"), "beliefs: no column level"),
        (TWO.clear(), "beliefs: no rows"),
        (put("sku", None), "beliefs: an empty place in sku, cutoff"),
        (TWO.with_columns(pl.col("value").cast(pl.String)), r"beliefs\.value: type String; wanted numbers"),
        (TWO.with_columns(pl.col("cutoff").cast(pl.String)), r"beliefs\.cutoff: type String"),
        (TWO.with_columns(demand=pl.lit(3.0)), r"beliefs\.demand: type Float64; wanted text or integers"),
    ],
)
def test_beliefs_that_cannot_be_used_are_refused(frame: pl.DataFrame, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Newsvendor(1.0, 1.0).decide(frame)


@pytest.mark.parametrize(
    ("levels", "values", "words"),
    [
        ([0.5, 0.1], [1.0, 2.0], "rising levels"),
        ([0.1, 1.0], [1.0, 2.0], "rising levels"),
        ([0.1, math.nan], [1.0, 2.0], "rising levels"),
        ([0.1, 0.5], [1.0, math.nan], "missing or infinite"),
        ([0.1, 0.5], [2.0, 1.0], "below that of a lower level"),
        ([0.1, 0.5], [1.0, 2.0, 3.0], r"levels \(2,\), values \(3,\)"),
        ([], [], r"levels \(0,\)"),
    ],
)
def test_bare_quantiles_are_checked_as_well(levels: list[float], values: list[float], words: str) -> None:
    for call in (
        lambda: quantile_arrays(levels, values),
        lambda: quantile_at(0.5, levels=levels, values=values),
        lambda: expected_cost(1.0, levels=levels, values=values, short=1.0, over=1.0),
    ):
        with pytest.raises(BadInput, match=words):
            call()


def test_what_is_neither_mapping_nor_frame_is_refused() -> None:
    with pytest.raises(BadInput, match="recommend_qty: a list; wanted a mapping, or a polars or pandas frame"):
        recommend_qty([1, 2], short=1, over=1)
    with pytest.raises(BadInput, match=r"beliefs\.value: \['many'\]; wanted numbers"):
        recommend_qty({0.5: "many"}, short=1, over=1)
    with pytest.raises(BadInput, match="held: no column on_hand"):
        recommend_qty(BELIEF, short=1, over=1, held={"onhand": 3})


# --- the nouns -------------------------------------------------------------------------------------------------------


def test_beliefs_are_sorted_whatever_the_order_of_rows() -> None:
    parsed = parse_beliefs(TWO.reverse())
    assert parsed.entity == ("sku",)
    assert parsed.keys["sku"].to_list() == ["a", "b"]
    assert parsed.levels.tolist() == LEVELS
    assert parsed.values.tolist() == [[10.0, 20.0, 40.0], [1.0, 2.0, 3.0]]


def test_facts_come_in_the_order_of_the_keys() -> None:
    keys = pl.DataFrame({"sku": ["b", "a"], "cutoff": [1, 1]})
    facts = pl.DataFrame({"sku": ["a", "b", "c"], "x": [1, 2, 3], "y": [4.0, 5.0, 6.0]})
    x, y = look_up(keys, facts, columns=["x", "y"], subject="facts")
    assert (x.tolist(), y.tolist()) == ([2.0, 1.0], [5.0, 4.0])


def decided(**changes: Any) -> Decisions:
    rows = {"sku": ["a", "b"], "cutoff": [1, 1], "order": [1.0, 2.0], "because": ["so", "so"], **changes}
    return Decisions(("sku",), ("order",), pl.DataFrame(rows))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"order": [1.0, math.nan]}, "1 of 2 decisions: one holds no finite number"),
        ({"order": [1.0, None]}, "1 of 2 decisions: one holds no finite number"),
        ({"sku": ["a", "a"]}, "2 of 2 decisions: one comes twice"),
        ({"because": ["so", " "]}, "1 of 2 decisions: one gives no reason"),
        ({"because": ["so", None]}, "1 of 2 decisions: one gives no reason"),
        ({"extra": [1, 2]}, "decisions: columns"),
    ],
)
def test_decisions_that_say_too_little_do_not_exist(changes: dict[str, Any], words: str) -> None:
    assert decided().index == ["sku", "cutoff"]
    with pytest.raises(LawError, match=words):
        decided(**changes)


def test_canonical_decisions_do_not_depend_on_the_order_of_rows() -> None:
    ours = decided()
    assert Decisions(ours.entity, ours.actions, ours.rows.reverse()).canonical().equals(ours.canonical())


def test_numpy_numbers_are_terms_too() -> None:
    assert Newsvendor(np.float64(3.0), np.int64(1)).decide(TWO).rows["ratio"].to_list() == [0.75, 0.75]
