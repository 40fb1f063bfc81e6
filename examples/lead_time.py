"""How much will be wanted over a lead time? Sample paths from past errors, and why quantiles of days cannot be added."""

from __future__ import annotations

import numpy as np
import polars as pl

from foreproof.core.predict import Prediction
from foreproof.models import Sampler, residuals

rng = np.random.default_rng(7)
ITEMS, DAYS = [f"item {i:02}" for i in range(40)], range(1, 8)


def points(cutoffs: list[int]) -> Prediction:
    """Ten a day of every item, forecast at some cutoffs."""
    rows = [(item, cutoff, day, None, 10.0) for item in ITEMS for cutoff in cutoffs for day in DAYS]
    schema = {"item": pl.String, "cutoff": pl.Int64, "step": pl.Int64, "level": pl.Float64, "value": pl.Float64}
    return Prediction("point", ("item",), pl.DataFrame(rows, schema=schema, orient="row"))


def scales(cutoffs: list[int]) -> pl.DataFrame:
    """The size of errors to expect; `foreproof.models.series_scale` measures it from a history."""
    return pl.DataFrame([{"item": item, "cutoff": cutoff, "scale": 3.0} for item in ITEMS for cutoff in cutoffs])


# What came at four settled origins: a week is good or bad as a whole, and each day has luck of its own.
settled = [7, 14, 21, 28]
weeks = [(item, cutoff, rng.normal(0.0, 2.0)) for item in ITEMS for cutoff in settled]
came = [
    (item, cutoff, day, max(0.0, 10.0 + week + rng.normal(0.0, 2.0))) for item, cutoff, week in weeks for day in DAYS
]
actuals = pl.DataFrame(came, schema=["item", "cutoff", "step", "y"], orient="row")

past = residuals(points(settled), actuals, scales(settled), low=0.0)
belief = Sampler(points([35]), past, scales([35]), levels=(0.05, 0.95), low=0.0)
paths = belief.paths()

days = belief.quantiles([0.05, 0.95]).rows.filter(pl.col("item") == "item 00")
added = [days.filter(pl.col("level") == level)["value"].sum() for level in (0.05, 0.95)]
low, high = np.quantile(paths.sums(1, 7)[0], (0.05, 0.95))
print(f"{paths.count} paths of {paths.keys.height} items over {paths.horizon} days")
print(
    f"a week of item 00: {low:.0f} to {high:.0f} with 90%; the days' quantiles added: {added[0]:.0f} to {added[1]:.0f}"
)
low, high = np.quantile(paths.sums(4, 7)[0], (0.05, 0.95))
print(f"days 4 to 7, the review period after a lead time of 3: {low:.0f} to {high:.0f}")
assert added[0] < np.quantile(paths.sums(1, 7)[0], 0.05) < 70 < np.quantile(paths.sums(1, 7)[0], 0.95) < added[1]
