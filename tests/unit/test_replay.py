from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from tests import naive_decisions as naive

from foreproof.core.decide import Decisions
from foreproof.decisions.newsvendor import UnitCosts, recommend_qty
from foreproof.decisions.replay import cost_curve, newsvendor_cost, replay, saving, service
from foreproof.errors import BadInput

KEYS = {"sku": ["a", "a", "b", "b"], "cutoff": [1, 2, 1, 2]}
COSTS = UnitCosts(3.0, 1.0)
OURS, BASELINE, ACTUAL = [10.0, 12.0, 5.0, 0.0], [8.0, 20.0, 5.0, 2.0], [11.0, 12.0, 2.0, 4.0]


def decisions(stock: list[float], **keys: list[Any]) -> Decisions:
    rows = {**(keys or KEYS), "order_up_to": stock, "because": ["planned"] * len(stock)}
    return Decisions(("sku",), ("order_up_to",), pl.DataFrame(rows))


def demanded(values: list[float]) -> pl.DataFrame:
    return pl.DataFrame({**KEYS, "demand": values})


def replayed() -> pl.DataFrame:
    return replay(decisions(OURS), decisions(BASELINE), demand=demanded(ACTUAL), costs=COSTS)


def test_cost_by_hand() -> None:
    assert newsvendor_cost([10.0, 10.0, 10.0], [12.0, 7.0, 10.0], short=3.0, over=1.0).tolist() == [6.0, 3.0, 0.0]


def test_a_replay_equals_its_plain_twin() -> None:
    for i, row in enumerate(replayed().rows(named=True)):
        plain = naive.replay_row(OURS[i], BASELINE[i], ACTUAL[i], 3.0, 1.0)
        assert {name: row[name] for name in plain} == pytest.approx(plain, rel=1e-12)
        assert row.keys() == plain.keys() | KEYS.keys()


def test_a_saving_is_positive_where_ours_is_cheaper() -> None:
    # money ours 3, 0, 3, 12; baseline 9, 8, 3, 6
    assert replayed()["saving"].to_list() == [6.0, 8.0, 0.0, -6.0]


def test_stock_that_is_owed_meets_no_demand_and_no_demand_has_no_fill() -> None:
    frame = replay(
        decisions([-2.0, 0.0, 0.0, 0.0]), decisions(BASELINE), demand=demanded([3.0, 0.0, 0.0, 1.0]), costs=COSTS
    )
    assert frame["fill_ours"].to_list() == [0.0, None, None, 0.0]
    assert frame["lost_ours"].to_list() == [5.0, 0.0, 0.0, 1.0]
    assert frame["cycle_ours"].to_list() == [0.0, 1.0, 1.0, 0.0]


def test_service_totals_equal_their_plain_twins() -> None:
    rows = replayed().rows(named=True)
    totals = {row["who"]: row for row in service(replayed()).rows(named=True)}
    for who in ("ours", "baseline"):
        plain = naive.service(rows, who)
        assert {name: totals[who][name] for name in plain} == pytest.approx(plain, rel=1e-12)
        assert totals[who]["decisions"] == 4
        assert totals[who]["demand"] == sum(ACTUAL)


def test_service_by_cutoff_adds_up_to_the_total() -> None:
    by = service(replayed(), by=["cutoff"])
    assert by.select("cutoff", "who").rows() == [(1, "ours"), (1, "baseline"), (2, "ours"), (2, "baseline")]
    assert by.filter(pl.col("who") == "ours")["money"].to_list() == [6.0, 12.0]
    assert by["money"].sum() == service(replayed())["money"].sum()


def test_service_without_demand_has_no_fill_rate() -> None:
    frame = replay(decisions(OURS), decisions(BASELINE), demand=demanded([0.0] * 4), costs=COSTS)
    assert service(frame)["fill_rate"].to_list() == [None, None]


def test_costs_may_differ_between_entities() -> None:
    costs = pl.DataFrame({"sku": ["b", "a"], "short": [10.0, 1.0], "over": [2.0, 5.0]})
    frame = replay(decisions(OURS), decisions(BASELINE), demand=demanded(ACTUAL), costs=costs)
    assert frame["money_ours"].to_list() == [1.0, 0.0, 6.0, 40.0]


def test_the_order_of_rows_changes_no_replay() -> None:
    ours, baseline = decisions(OURS), decisions(BASELINE)
    turned = [Decisions(d.entity, d.actions, d.rows.reverse()) for d in (ours, baseline)]
    assert replay(*turned, demand=demanded(ACTUAL).reverse(), costs=COSTS).equals(replayed())
    assert replay(turned[0], baseline, demand=demanded(ACTUAL), costs=COSTS).equals(replayed())


def test_a_perfect_decision_costs_nothing() -> None:
    frame = replay(decisions(ACTUAL), decisions(BASELINE), demand=demanded(ACTUAL), costs=COSTS)
    assert frame["money_ours"].to_list() == [0.0] * 4
    assert frame["saving"].to_list() == frame["money_baseline"].to_list()


# --- what cannot be judged -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"demand": demanded(ACTUAL).head(3)}, r"demand: no row for 1 of 4 decisions \(first: sku b, cutoff 2\)"),
        ({"demand": demanded([1.0, 2.0, 3.0, float("nan")])}, r"demand\.demand: missing or infinite for 1 of 4"),
        ({"demand": demanded(ACTUAL).drop("cutoff").unique("sku")}, "demand: no column cutoff"),
        ({"demand": demanded(ACTUAL).rename({"demand": "y"})}, "demand: no column demand"),
        ({"costs": pl.DataFrame({"sku": ["a"], "short": [1], "over": [1]})}, r"costs: no row for 2 of 4 .*sku b"),
        (
            {"costs": pl.DataFrame({"sku": ["a", "b"], "short": [1, -1], "over": [1, 1]})},
            r"costs\.short: -1; wanted a finite number >= 0",
        ),
        (
            {"costs": pl.DataFrame({"sku": ["a", "b"], "short": [1, 0], "over": [1, 0]})},
            r"costs\.short and costs\.over: 0",
        ),
        ({"baseline": decisions([1.0], sku=["a"], cutoff=[1])}, "4 decisions of ours and 1 of the baseline"),
        ({"baseline": decisions(OURS, sku=["a", "a", "b", "c"], cutoff=[1, 2, 1, 2])}, "other entities or cutoffs"),
        (
            {"baseline": Decisions((), ("order_up_to",), decisions(OURS).rows.head(1).drop("sku"))},
            "entities by .* in the baseline",
        ),
        (
            {"baseline": Decisions(("sku",), ("order",), decisions(OURS).rows.rename({"order_up_to": "order"}))},
            r"replay\.baseline: actions \('order',\); wanted order_up_to",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(changes: dict[str, Any], words: str) -> None:
    given = {"ours": decisions(OURS), "baseline": decisions(BASELINE), "demand": demanded(ACTUAL), "costs": COSTS}
    given |= changes
    with pytest.raises(BadInput, match=words):
        replay(given["ours"], given["baseline"], demand=given["demand"], costs=given["costs"])


# --- the interval ----------------------------------------------------------------------------------------------------


def many(saved: list[list[float]]) -> pl.DataFrame:
    """A replay of items x cutoffs that saved this much."""
    rows = [(f"s{i}", j, value) for i, row in enumerate(saved) for j, value in enumerate(row)]
    return pl.DataFrame(rows, schema={"sku": pl.String, "cutoff": pl.Int64, "saving": pl.Float64}, orient="row")


def test_the_estimate_is_the_mean_or_the_sum() -> None:
    rng = np.random.default_rng(7)
    assert saving(replayed(), rng=rng).estimate == 2.0
    assert saving(replayed(), rng=rng, statistic="sum").estimate == 8.0


def test_equal_seeds_give_equal_intervals() -> None:
    first, second = (saving(replayed(), rng=np.random.default_rng(3)) for _ in range(2))
    assert first == second
    assert first.low <= first.estimate <= first.high


def test_blocks_keep_together_what_moves_together() -> None:
    # items differ and cutoffs do not: without whole items the interval would be far too narrow
    rng = np.random.default_rng(0)
    frame = many([[float(i)] * 25 for i in range(8)])
    by_item = saving(frame, rng=rng)
    by_cutoff = saving(frame, rng=rng, blocks="cutoff")
    assert by_cutoff.high - by_cutoff.low == pytest.approx(0.0, abs=1e-12)
    assert by_item.high - by_item.low > 2.0


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(200):
        items = rng.normal(5.0, 3.0, size=(40, 1)) + rng.normal(0.0, 1.0, size=(40, 4))
        interval = saving(many(items.tolist()), rng=rng, replicates=300, confidence=0.9)
        hits += interval.low <= 5.0 <= interval.high
    assert 165 <= hits <= 193  # 180 wanted; the binomial leaves this range once in about 500 times


@pytest.mark.parametrize(("blocks", "fix"), [("entity", "set blocks to cutoff"), ("cutoff", "set blocks to entity")])
def test_one_block_gives_no_interval(blocks: Any, fix: str) -> None:
    frame = many([[1.0, 2.0]] if blocks == "entity" else [[1.0], [2.0]])
    with pytest.raises(BadInput, match=fix):
        saving(frame, rng=np.random.default_rng(0), blocks=blocks)
    other = "cutoff" if blocks == "entity" else "entity"
    assert saving(frame, rng=np.random.default_rng(0), blocks=other).estimate == 1.5


def test_a_replay_without_entity_columns_draws_cutoffs() -> None:
    frame = many([[1.0, 2.0]]).drop("sku")
    with pytest.raises(BadInput, match="at least two blocks"):
        saving(frame, rng=np.random.default_rng(0))
    assert saving(frame, rng=np.random.default_rng(0), blocks="cutoff").estimate == 1.5


# --- the curve -------------------------------------------------------------------------------------------------------


def test_the_cost_curve_is_lowest_at_the_recommendation() -> None:
    belief = {0.1: 10.0, 0.5: 20.0, 0.9: 40.0}
    order = recommend_qty(belief, short=3, over=1, pack=0.5)
    curve = cost_curve(np.arange(0.0, 60.0, 0.5), levels=list(belief), values=list(belief.values()), short=3, over=1)
    lowest = curve.row(curve["expected_cost"].arg_min(), named=True)
    assert lowest["order_up_to"] == order.order_up_to
    assert lowest["expected_cost"] == pytest.approx(order.expected_cost, rel=1e-12)
    for stock, short, over, total in curve.gather_every(10).rows():
        plain = naive.expected_cost(stock, list(belief), list(belief.values()), 3.0, 1.0)
        assert total == pytest.approx(plain, rel=1e-9)
        assert short + over == total


@pytest.mark.parametrize("grid", [[], [1.0, float("nan")], [[1.0, 2.0]]])
def test_a_grid_that_cannot_be_drawn_is_refused(grid: Any) -> None:
    with pytest.raises(BadInput, match=r"cost_curve\.grid"):
        cost_curve(grid, levels=[0.5], values=[1.0], short=1, over=1)
    with pytest.raises(BadInput, match=r"costs\.short"):
        cost_curve([1.0], levels=[0.5], values=[1.0], short=-1, over=1)
