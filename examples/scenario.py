"""What would a promotion in steps 3 to 5 bring? Demand is made with a known lift, so the answer can be checked."""

from __future__ import annotations

import random

import polars as pl

from foreproof.core.plan import parse_plan
from foreproof.core.scenario import Override, Scenario
from foreproof.core.table import parse
from foreproof.core.view import Database, Table
from foreproof.engine.scale import quiet_bench
from foreproof.engine.scenario import compare, words_of
from foreproof.workloads.forecast import parse_forecast

CUTOFF, LIFT = 159, 20.0
PLAN = """
schema: 1
name: What a promotion brings
workload: forecast
tables:
  demand:
    key: [item, step]
    happened: {column: step, period: integer}
    known: same_as_happened
    columns: {item: text, units: {type: real, low: 0}}
  promotions:
    key: [item, step]
    happened: {column: step, period: integer}
    known: {lead: 30, why: Decided 30 steps ahead.}
    ahead: true
    columns: {item: text, share_off: {type: decimal, decimals: 2, low: 0, high: 1}}
series: {table: demand, by: [item], value: units, every: integer, aggregate: last, gap: missing}
horizon: 6
season: 4
features: [{lag: [1, 2, 4]}, {ahead: promotions.share_off, aggregate: max}]
models: [seasonal_naive, {boost: {trees: 60, least: 5}}]
backtest: {origins: 2, every: 6, calibrations: 3, examples: 16, stride: 6}
decision: {cover: 6, short: 2.0, over: 1.0, currency: euros}
"""


def rows() -> dict[str, pl.DataFrame]:
    """Six items; where a promotion ran, LIFT units more were sold."""
    draw = random.Random(7)
    demand, plans = [], []
    for item in ("tea", "oats", "rice", "salt", "milk", "eggs"):
        for step in range(CUTOFF + 7):
            off = 0.5 if step <= CUTOFF and draw.random() < 0.25 else 0.0
            plans.append((item, step, off))
            if step <= CUTOFF:
                demand.append((item, step, 100.0 + LIFT * (off > 0) + draw.gauss(0, 2)))
    return {
        "demand": pl.DataFrame(demand, schema=["item", "step", "units"], orient="row"),
        "promotions": pl.DataFrame(plans, schema=["item", "step", "share_off"], orient="row"),
    }


def main() -> None:
    """Ask twice: for what was often done, and for what nobody ever did."""
    plan = parse_forecast(parse_plan(PLAN))
    tables = {c.name: parse(c, rows()[c.name], now=None) for c in plan.contracts}
    first = pl.lit(1, dtype=pl.Int64).alias("_batch")
    database = Database({name: Table(t.contract, t.rows.with_columns(first)) for name, t in tables.items()})
    for share in (0.5, 0.9):
        asked = Override("promotions", "share_off", "set", share, 3, 5, (("item", ("oats", "milk")),))
        scenario = Scenario(f"{share:.0%} off", "demand planning", "a supplier pays for it", (asked,))
        found = compare(plan, database, scenario, cutoff=CUTOFF, bench=quiet_bench())
        print("\n".join(words_of(found, currency="euros")), "\n")
        assert found.effect.low < found.effect.units < found.effect.high
        assert set(found.path.filter(pl.col("difference").abs() > 5)["item"]) == {"oats", "milk"}
        assert bool(found.warnings) == (share > 0.5), "nobody ever gave 90% off"


if __name__ == "__main__":
    main()
