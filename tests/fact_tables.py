"""Tables of a run as its folder holds them, of any size and seed: for facts, what is said of them, and how that is altered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from foreproof.explain.facts import About, Facts
from foreproof.explain.facts_run import run_facts

CUTOFF = datetime(2024, 5, 19, 23, 59, 59, 999_999, tzinfo=UTC)


def about(**changes: object) -> About:
    """A forecast's plan."""
    given = {
        "run": "c24d32d8196e",
        "workload": "forecast",
        "entity": ("item",),
        "unit": "units a day",
        "currency": "euros",
        "zone": "UTC",
        "step": "days",
        "additive": True,
        "cutoff": "2024-05-19",
        "horizon": 7,
        "status": "proven",
        "digests": {"forecast": "a" * 64, "orders": "b" * 64},
    }
    return About(**{**given, **changes})  # type: ignore[arg-type]


def forecast_tables(names: tuple[str, ...] = ("item 0", "item 1"), seed: int = 0) -> dict[str, pl.DataFrame]:
    """A forecast of 7 days with orders, scores and verdicts."""
    rng = np.random.default_rng(seed)
    scale = float(10.0 ** rng.uniform(-1, 4))
    forecast, history, orders, voi, scores = [], [], [], [], []
    for name in names:
        level = scale * rng.uniform(0.5, 2.0)
        for step in range(1, 8):
            mean, at = level * rng.uniform(0.8, 1.2), CUTOFF + timedelta(days=step)
            forecast.append((name, CUTOFF, step, None, mean, at))
            spread = mean * rng.uniform(0.05, 0.3)
            forecast += [
                (name, CUTOFF, step, q, mean + d * spread, at) for q, d in ((0.1, -1.0), (0.5, 0.0), (0.9, 1.0))
            ]
        history += [(name, CUTOFF - timedelta(days=d), level * rng.uniform(0.7, 1.3)) for d in range(20)]
        order = float(round(7 * level))
        ratio = float(rng.uniform(0.5, 0.9))
        orders.append((name, CUTOFF, order, order + 3.0, ratio, level * rng.uniform(0.01, 0.2)))
        voi.append((name, CUTOFF, level * rng.uniform(0.05, 0.2), level * rng.uniform(-0.01, 0.05)))
        scores.append(("combination", name, "wape", float(rng.uniform(0.02, 0.4))))
    whole = [("combination", m, float(rng.uniform(0.05, 1.5)), 100) for m in ("wape", "mase", "owa", "mae")]
    whole += [
        ("seasonal_naive", "mae", float(rng.uniform(0.5, 1.5)), 100),
        ("combination", "bias", float(rng.normal(0, 0.05)), 9),
    ]
    money = [
        (CUTOFF, who, 500.0 + float(rng.uniform(0, 100)), float(rng.uniform(0.9, 1.0)), float(rng.uniform(100, 200)))
        for who in ("ours", "baseline")
    ]
    outcomes = [("rebuild", "passed"), ("scramble", "passed"), ("intervals", "failed"), ("looks", "not applicable")]
    return {
        "forecast": pl.DataFrame(forecast, schema=["item", "cutoff", "step", "level", "value", "at"], orient="row"),
        "history": pl.DataFrame(history, schema=["item", "at", "y"], orient="row"),
        "orders": pl.DataFrame(
            orders, schema=["item", "cutoff", "order", "order_up_to", "ratio", "expected_cost"], orient="row"
        ),
        "voi": pl.DataFrame(voi, schema=["item", "cutoff", "perfect_information", "this_forecast"], orient="row"),
        "scores": pl.DataFrame(whole, schema=["model", "metric", "value", "n"], orient="row"),
        "scores_by_series": pl.DataFrame(scores, schema=["model", "item", "metric", "value"], orient="row"),
        "coverage": pl.DataFrame({"nominal": [0.8, 0.95], "coverage": [float(rng.uniform(0.7, 0.9)), 0.93]}),
        "replay_totals": pl.DataFrame(money, schema=["cutoff", "who", "money", "fill_rate", "demand"], orient="row"),
        "weights": pl.DataFrame({"cutoff": [CUTOFF] * 2, "model": ["theta", "seasonal_naive"], "weight": [0.25, 0.75]}),
        "verdicts": pl.DataFrame(outcomes, schema=["name", "outcome"], orient="row"),
    }


def pair_tables(seed: int = 0) -> dict[str, pl.DataFrame]:
    """A propensity of accounts x groups, with a list and its drivers."""
    rng = np.random.default_rng(seed)
    names = [(f"c{i:02d}", g) for i in range(4) for g in ("apples", "cheese")]
    p = rng.uniform(0.02, 0.6, len(names))
    chances = pl.DataFrame(
        {
            "customer": [n for n, _ in names],
            "kind": [g for _, g in names],
            "cutoff": CUTOFF,
            "segment": "whitespace",
            "p": p,
        }
    )
    rows = []
    for rank, place in enumerate(np.argsort(-p)[:4], 1):
        worth = float(rng.uniform(5, 50))
        drivers = (
            f"days since the last of lines of the customer: {rng.integers(1, 90)} (odds x {rng.uniform(0.4, 2.5):.2f})"
        )
        rows.append((*names[place], CUTOFF, rank, float(p[place]), worth, float(p[place]) * worth, "model", drivers))
    columns = ["customer", "kind", "cutoff", "rank", "p", "worth", "expected", "badge", "drivers"]
    scores = [
        ("all", "whitespace", "foreproof", m, float(rng.uniform(0.1, 0.9)))
        for m in ("auc", "capture10", "calibration_mae")
    ]
    return {
        "chances": chances,
        "list": pl.DataFrame(rows, schema=columns, orient="row"),
        "pair_scores": pl.DataFrame(scores, schema=["cutoff", "segment", "who", "metric", "value"], orient="row"),
        "list_gain": pl.DataFrame(
            {"against": ["popularity"] * 2, "what": ["y", "money"], "value": [3.0, float(rng.normal(0, 80))]}
        ),
        "list_replay": pl.DataFrame({"who": ["foreproof"], "cutoff": ["all"], "precision": [0.31], "capture": [0.12]}),
        "list_prices": pl.DataFrame({"limit": ["cap cheese"], "price": [float(rng.uniform(0, 9))]}),
        "base_rates": pl.DataFrame({"cutoff": ["2024-05-01"], "segment": ["whitespace"], "rate": [0.21]}),
        "list_scenarios": pl.DataFrame(
            {
                "scenario": ["0.5 x the list", "1.0 x the list"],
                "kind": "all",
                "metric": "capture",
                "value": [0.05, 0.11],
            }
        ),
        "verdicts": pl.DataFrame({"name": ["rebuild"], "outcome": ["passed"]}),
    }


def facts(seed: int = 0, names: tuple[str, ...] = ("item 0", "item 1"), **changes: object) -> Facts:
    """The ledger of a forecast's run."""
    return run_facts(forecast_tables(names, seed), about(**changes))


def pair_ledger(seed: int = 0) -> Facts:
    """The ledger of a propensity's run."""
    given = {"workload": "propensity", "entity": ("customer", "kind"), "unit": "buyers", "horizon": 14}
    return run_facts(pair_tables(seed), about(**given))
