"""A CPU budget picks members by a table, keeps the baseline, and says what it left out and why."""

from __future__ import annotations

from typing import Any

import pytest

from foreproof.core.plan import plan_of
from foreproof.engine.line import line_of
from foreproof.errors import PlanError
from foreproof.models import (
    MSTL,
    AutoARIMA,
    AutoCES,
    AutoETS,
    Budget,
    ByClass,
    ForeignSeries,
    GlobalBoost,
    Load,
    Naive,
    Pool,
    SeasonalNaive,
    Theta,
    candidates,
    choose,
    nominal_ms,
)
from foreproof.models.registry import KINDS
from foreproof.workloads.forecast import ForecastPlan, parse_forecast

LOAD = Load(season=12, horizon=18, examples=12, fits=8)


def pool(ms: float, *, models: Any = None, load: Load = LOAD, length: int = 0) -> Pool:
    return choose(models or candidates(load.season), Budget(ms, length), load, baseline="seasonal_naive")


def names(found: Pool) -> list[str]:
    return [model.name for model in found.models]


def test_the_baseline_stays_whatever_the_budget() -> None:
    found = pool(0.001)
    assert names(found) == ["seasonal_naive"]
    assert [left.name for left in found.left_out] == ["theta", "auto_ets", "boost", "auto_ces", "mstl", "auto_arima"]


def test_a_large_budget_leaves_nothing_out_and_keeps_the_plans_order() -> None:
    found = pool(1e9)
    assert found.models == candidates(12)
    assert found.left_out == ()


@pytest.mark.parametrize("ms", [1.0, 20.0, 100.0, 300.0, 2000.0])
@pytest.mark.parametrize("season", [1, 4, 12, 24, 168])
def test_what_is_kept_costs_no_more_than_the_budget_and_what_is_left_out_would(ms: float, season: int) -> None:
    load = Load(season, 12, 12, 8)
    found = pool(ms, load=load)
    costs = {model.name: (nominal_ms(model, load) or 0.0) * load.fits for model in candidates(season)}
    spent = sum(costs[name] for name in names(found))
    assert found.ms == pytest.approx(spent)
    assert spent <= max(ms, costs["seasonal_naive"])
    for left in found.left_out:
        assert left.ms == pytest.approx(costs[left.name])
        assert left.ms + costs["seasonal_naive"] > ms - (spent - costs["seasonal_naive"])
        assert f"of {ms:g} ms were left" in left.words


def test_a_dear_member_does_not_stop_a_cheap_one_behind_it() -> None:
    found = pool(30.0, models=[SeasonalNaive(), AutoETS(), Naive()])
    assert names(found) == ["seasonal_naive", "naive"]
    assert found.left_out[0].words.startswith("8 fits of 173 ms cost 1.38e+03 ms a series, and 28.4 of 30 ms were left")


def test_a_short_series_costs_less_than_a_long_one() -> None:
    for model in candidates(12):
        costs = [nominal_ms(model, LOAD, length=n) or 0.0 for n in (20, 50, 80, 120, 200, 2000)]
        assert costs == sorted(costs)
        assert costs[-1] == nominal_ms(model, LOAD)
    assert (nominal_ms(AutoETS(), LOAD, length=85) or 0) == pytest.approx((64.3 + 144.7) / 2)


def test_settings_change_the_cost() -> None:
    def cost(model: Any, load: Load = LOAD) -> float:
        return nominal_ms(model, load) or 0.0

    assert cost(AutoETS(longest_season=1)) < cost(AutoETS())
    assert cost(AutoARIMA(history=50)) < cost(AutoARIMA())
    assert cost(MSTL(seasons=(24, 168))) > 4 * cost(MSTL(seasons=(24,)))
    assert cost(GlobalBoost(trees=800)) == pytest.approx(2 * cost(GlobalBoost()) - 0.2)
    assert cost(GlobalBoost(strategy="recursive")) < cost(GlobalBoost())
    assert cost(ByClass()) == pytest.approx(cost(AutoETS()) + 0.2)
    assert cost(Theta()) > cost(AutoCES(), Load(1, 6, 12, 8))


def test_a_model_of_another_library_has_no_cost_and_is_left_out() -> None:
    other = ForeignSeries("tbats", "AutoTBATS")
    found = pool(1e9, models=[SeasonalNaive(), other, ByClass(lumpy=other)])
    assert names(found) == ["seasonal_naive"]
    assert [(left.name, left.ms) for left in found.left_out] == [("by_class", None), ("tbats", None)]


def test_every_kind_of_ours_has_a_cost() -> None:
    from foreproof.models import parse_models

    for model in parse_models([kind for kind in KINDS if kind not in ("statsforecast", "sklearn")]):
        assert (nominal_ms(model, LOAD) or 0.0) > 0.0


# --- the plan --------------------------------------------------------------------------------------------------------

PLAN: dict[str, Any] = {
    "schema": 1,
    "name": "budget",
    "workload": "forecast",
    "tables": {
        "sales": {
            "key": ["sku", "t"],
            "happened": {"column": "t", "period": "integer"},
            "known": "same_as_happened",
            "columns": {"sku": "text", "y": "decimal"},
        }
    },
    "series": {"table": "sales", "by": ["sku"], "value": "y", "every": "integer"},
    "horizon": 6,
    "season": 4,
}


def plan(**changes: Any) -> ForecastPlan:
    return parse_forecast(plan_of({**PLAN, **changes}))


def test_a_plan_with_a_budget_has_a_pool_and_says_what_is_missing() -> None:
    parsed = plan(budget="20 ms per series")
    assert [model.name for model in parsed.models] == ["seasonal_naive"]
    assert {left.name for left in parsed.left_out} >= {"theta", "auto_ets", "boost"}
    richer = plan(budget={"ms": 140, "length": 60})
    assert [model.name for model in richer.models] == ["seasonal_naive", "theta", "boost", "auto_ces"]
    assert plan().left_out == ()


def test_a_list_is_what_may_be_chosen_from() -> None:
    parsed = plan(budget="0.1 s per series", models=["theta", "auto_arima", "seasonal_naive", "drift"])
    assert [model.name for model in parsed.models] == ["theta", "seasonal_naive", "drift"]
    assert [left.name for left in parsed.left_out] == ["auto_arima"]


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("20", r"budget: '20'.*per series"),
        ("0 ms per series", r"budget: '0 ms per series'"),
        ("20 min per series", r"budget: "),
        ({"ms": 0}, r"budget.ms: 0"),
        ({"ms": 5, "lenght": 60}, r"budget.lenght.*did you mean 'length'"),
    ],
)
def test_a_budget_that_cannot_be_read_is_refused(budget: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan(budget=budget)


@pytest.mark.parametrize(("horizon", "every"), [(6, 6), (6, 2), (6, 4), (3, 9)])
def test_the_fits_are_those_that_a_run_makes(horizon: int, every: int) -> None:
    parsed = plan(horizon=horizon, backtest={"origins": 3, "calibrations": 2, "every": every})
    cutoffs = [1000 - k * every for k in range(4)]
    assert len(line_of(parsed, cutoffs, 0).fitted) == parsed.backtest.fits(horizon)
