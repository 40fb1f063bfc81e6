"""From a frame to forecasts, scores and orders, all from Python.

Makes half a year of daily demand for six items, writes it with a plan into a temporary project, runs every stage and reads
the results off the outcome. The same folder could be run by `foreproof run`.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute

PLAN = """
schema: 1
name: Six items, one week ahead
workload: forecast
seed: 7
sources:
  demand: {url: demand.parquet}
tables:
  demand:
    key: [item, day]
    happened: day
    known: same_as_happened
    columns:
      item: text
      units: {type: decimal, low: 0, unit: units a day}
series: {table: demand, by: [item], value: units, every: 1d}
horizon: 7
models: [seasonal_naive, theta, {boost: {trees: 100}}]
backtest: {origins: 4, calibrations: 3, examples: 8, stride: 7}
decision: {cover: 7, short: 2.0, over: 1.0, currency: euros}
"""


def demand(items: int = 6, days: int = 182) -> pl.DataFrame:
    """Columns item, day, units: a level, a week, a slow rise and a wobble of its own for each item. No randomness."""
    start = date(2024, 1, 1)
    rows = [
        (
            f"item {i}",
            start + timedelta(days=d),
            round(40 + 15 * i + 0.05 * d * i + 6 * math.sin(2 * math.pi * d / 7) + 5 * math.sin(d * (1.3 + 0.7 * i))),
        )
        for i in range(items)
        for d in range(days)
    ]
    return pl.DataFrame(rows, schema=["item", "day", "units"], orient="row")


def main() -> None:
    """Write the project, run it, show what came of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demand().write_parquet(folder / "demand.parquet")
        (folder / "foreproof.yaml").write_text(PLAN, encoding="utf-8")

        project = open_project(folder)
        # Six series are fitted sooner than a second process starts; FOREPROOF_WORKERS=1 says the same.
        project = replace(project, settings=replace(project.settings, workers=1))
        outcome = execute(project, progress=Silent())
        work = outcome.work
        assert outcome.error is None
        assert work.cutoff is not None and work.scored is not None
        assert work.decisions is not None and work.replayed is not None
        assert outcome.page.is_file()

        forecast = work.served[work.cutoff].rows  # item, cutoff, step, level (null: the point forecast), value
        assert forecast.height == 6 * 7 * (1 + 15), "six items, seven steps, a point and fifteen quantiles"
        assert (forecast["value"] >= 0).all(), "the contract says that units are not negative"
        fan = forecast.filter(pl.col("level").is_in([0.05, 0.5, 0.95])).pivot(
            "level", index=["item", "step"], values="value"
        )
        print(fan.filter(pl.col("step") == 1), "\n")

        ours, naive = (work.scored.value("mase", model=model) for model in ("combination", "seasonal_naive"))
        assert ours < naive
        print(f"mean scaled error over four origins: {ours:.3f}, seasonal naive {naive:.3f}\n")

        orders = work.decisions.rows
        assert orders["item"].n_unique() == orders.height == 6
        print(orders.select("item", "order", "expected_cost", "because"), "\n")
        print(work.replayed.totals.select("cutoff", "who", "money", "fill_rate"), "\n")

        for verdict in work.verdicts:
            asked = verdict.outcome != "not applicable"  # six items are too few for some questions of chance
            assert verdict.control_caught or not asked, f"{verdict.name} did not see its planted fault"
            print(f"{verdict.name}: {verdict.outcome}. {verdict.words}")


if __name__ == "__main__":
    main()
