"""A small shop in memory: customers with tastes and a rhythm, a plan of a propensity, and a bench that keeps nothing on disk."""

from __future__ import annotations

import random as chance
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from typing import Any

import polars as pl

from foreproof.app.progress import Silent
from foreproof.core.plan import plan_of
from foreproof.core.table import parse
from foreproof.core.view import Database
from foreproof.engine.line import Bench
from foreproof.workloads.propensity import PropensityPlan, parse_propensity

GROUPS = ("apples", "bread", "cheese")
PLAN: dict[str, Any] = {
    "schema": 1,
    "name": "shop",
    "workload": "propensity",
    "seed": 3,
    "tables": {
        "lines": {
            "key": ["customer", "kind", "day"],
            "happened": "day",
            "known": "same_as_happened",
            "zone": "Europe/Paris",
            "columns": {"customer": "text", "kind": "text", "amount": {"type": "decimal", "decimals": 2}},
        }
    },
    "pairs": {"table": "lines", "account": "customer", "group": "kind", "value": "amount", "active": 42, "owned": 42},
    "horizon": 14,
    "features": [
        {"over": ["count"], "of": "lines", "window": [14, 56]},
        {"over": ["count"], "of": "lines", "window": 56, "along": ["customer"]},
        {"recency": ["log"], "of": "lines"},
    ],
    "models": ["logistic", {"logistic": {"name": "stiff", "strength": 0.001}}],
    "backtest": {"origins": 3, "calibrations": 3, "examples": 3},
}


class Memory:
    """Finished steps in memory."""

    def __init__(self) -> None:
        self.steps: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.steps.get(key)

    def put(self, key: str, frames: Any) -> None:
        self.steps[key] = frames

    def run(self, key: str, fn: Any) -> Any:
        if key not in self.steps:
            self.steps[key] = fn()
        return self.steps[key]


def plan(**changes: Any) -> PropensityPlan:
    """The shop's plan with other settings; None leaves one out."""
    values: Mapping[str, Any] = {name: value for name, value in {**PLAN, **changes}.items() if value is not None}
    return parse_propensity(plan_of(values))


@cache
def lines(customers: int = 80, days: int = 200) -> pl.DataFrame:
    """Purchases: `customer`, `kind`, `day`, `amount`."""
    drawn, start = chance.Random(5), date(2024, 1, 1)
    rows = []
    for c in range(customers):
        often, taste = drawn.uniform(0.02, 0.25), [drawn.random() ** 2 for _ in GROUPS]
        for day in range(days):
            if drawn.random() < often:
                for g, kind in enumerate(GROUPS):
                    if drawn.random() < taste[g]:
                        at = start + timedelta(days=day)
                        rows.append((f"c{c:02d}", kind, at, round(drawn.uniform(1, 20), 2)))
    return pl.DataFrame(rows, schema=["customer", "kind", "day", "amount"], orient="row")


def database(made: PropensityPlan, rows: pl.DataFrame | None = None) -> Database:
    """The purchases under the plan's contract."""
    return Database({"lines": parse(made.contracts[0], lines() if rows is None else rows, now=None)})


def bench() -> Bench:
    """One process, nothing kept on disk."""
    return Bench(Memory(), 1, Silent())
