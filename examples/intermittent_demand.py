"""Intermittent demand: what class each item is of, what each class's model forecasts, and how that goes on without a refit.

Spare parts sell on few days. Smoothing all days alike forecasts too little after a sale and too much before; the models for
intermittent demand smooth how often and how much apart. `by_class` gives each item the model of its class.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from foreproof.core.grid import Grid
from foreproof.core.model import Frame, Now, Past
from foreproof.models import ByClass, SeasonalNaive, demand_classes, load_fitted

DAYS, LATER = 120, 20
FRAME = Frame(("part",), Grid("integer", unit="step"), horizon=14, season=7)


def sales() -> pl.DataFrame:
    """Five parts over 140 days: entity column `part`, `period`, `y` in units."""
    rng = np.random.default_rng(7)
    days = np.arange(DAYS + LATER)
    series = {
        "filter": 40 + 8 * np.sin(2 * np.pi * days / 7) + rng.normal(0, 2, days.size),
        "kit": rng.lognormal(1.5, 1.2, days.size),
        "belt": (rng.random(days.size) < 0.3) * rng.integers(3, 6, days.size),
        "engine": (rng.random(days.size) < 0.15) * rng.lognormal(2.0, 1.2, days.size),
        "discontinued": np.zeros(days.size),
    }
    parts = [pl.DataFrame({"part": name, "period": days, "y": y}, strict=False) for name, y in series.items()]
    return pl.concat([part.cast({"period": pl.Int64, "y": pl.Float64}) for part in parts])


def no_rows() -> pl.DataFrame:
    """These models read no features."""
    return pl.DataFrame()


def main() -> None:
    """Classes, a fit at day 120, its forecast, and the same fit twenty days later."""
    whole = sales()
    known = whole.filter(pl.col("period") < DAYS)
    classes = demand_classes(known, ["part"])
    print(classes, "\n")
    found = dict(classes.select("part", "demand_class").iter_rows())
    assert found == {
        "filter": "smooth",
        "kit": "erratic",
        "belt": "intermittent",
        "engine": "lumpy",
        "discontinued": "none",
    }

    fitted = ByClass().fit(Past(FRAME, DAYS - 1, known, no_rows), seed=1)
    first = fitted.predict(Now(FRAME, DAYS - 1, known, no_rows)).rows
    rates = dict(first.filter(pl.col("step") == 1).select("part", "value").iter_rows())
    print("units a day:", {part: round(value, 2) for part, value in rates.items()}, "\n")
    assert rates["discontinued"] == 0.0

    # The naive repeats the last week, sale or no sale; a rate is closer to what comes.
    naive = SeasonalNaive().fit(Past(FRAME, DAYS - 1, known, no_rows), seed=1)
    plain = naive.predict(Now(FRAME, DAYS - 1, known, no_rows)).rows
    came = whole.filter(pl.col("period") >= DAYS).with_columns(step=pl.col("period") - DAYS + 1)
    for name, forecast in (("by_class", first), ("seasonal_naive", plain)):
        joined = forecast.join(came, on=["part", "step"])
        error = joined.select(((pl.col("value") - pl.col("y")) ** 2).mean().sqrt()).item()
        print(f"{name}: root mean squared error {error:.2f} units")

    # Twenty days later: what was learned is kept as text and read back, and only the forecast moves.
    again = load_fitted(ByClass(), dict(fitted.dump()), season=FRAME.season)
    later = again.predict(Now(FRAME, DAYS + LATER - 1, whole, no_rows)).rows
    moved = dict(later.filter(pl.col("step") == 1).select("part", "value").iter_rows())
    print("\ntwenty days later:", {part: round(value, 2) for part, value in moved.items()})
    assert moved["belt"] != rates["belt"]
    assert dict(again.dump()) == dict(fitted.dump()), "nothing was learned again"


if __name__ == "__main__":
    main()
