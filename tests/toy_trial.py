"""A small honest pipeline and its trial, for tests of the gauntlet: twelve series, four cutoffs, six steps ahead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from foreproof.core.contract import Column, Contract, Known, Stamp
from foreproof.core.grid import Grid
from foreproof.core.trial import Built, Forecasts, Trial, Witness
from foreproof.core.view import Database, Table

CONTRACT = Contract(
    "sales",
    ("sku", "t"),
    Stamp("t", period="integer"),
    Known("same_as_happened"),
    (Column("sku", "text"), Column("y", "real")),
)
CUTOFFS = (60, 66, 72, 78)
H = 6


def database(seed: int = 3, n: int = 90) -> Database:
    """Twelve series with a season of six and a level of their own."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"s{i:02d}", 20.0 + 5 * np.sin(t * np.pi / 3) * (1 + i % 3) + rng.normal(0, 1.5), t, t, 1, False)
        for i in range(12)
        for t in range(n)
    ]
    names = ["sku", "y", "_happened", "_known", "_batch", "_deleted"]
    return Database({"sales": Table(CONTRACT, pl.DataFrame(rows, schema=names, orient="row"))})


def build(database: Database, cutoffs: Sequence[int], seed: int) -> Built:
    """An honest pipeline: the mean of the last two seasons, intervals from its own past errors."""
    rows, points, truth = [], [], []
    everything = database["sales"].rows
    for cutoff in cutoffs:
        seen = database.as_of(cutoff)["sales"]
        for (sku,), part in seen.sort("sku", "_happened").group_by(["sku"], maintain_order=True):
            y = part["y"].to_numpy()
            for step in range(1, H + 1):
                at = -H - 1 + step
                rows.append((sku, cutoff, step, y[at], y[at - H]))
                middle = (y[at] + y[at - H] + y[at - 2 * H]) / 3
                points += [(sku, cutoff, step, None, middle), (sku, cutoff, step, 0.5, middle)]
                points += [(sku, cutoff, step, q, middle + z * 1.75) for q, z in ((0.05, -1.645), (0.95, 1.645))]
        future = everything.filter(pl.col("_happened").is_between(cutoff + 1, cutoff + H))
        truth += [(sku, cutoff, t - cutoff, t, y) for sku, t, y in future.select("sku", "_happened", "y").iter_rows()]
    features = pl.DataFrame(rows, schema=["sku", "cutoff", "step", "lag_6", "lag_12"], orient="row")
    kind = {"level": pl.Float64, "value": pl.Float64}
    predictions = pl.DataFrame(
        points, schema=["sku", "cutoff", "step", "level", "value"], schema_overrides=kind, orient="row"
    )
    naive = features.select(
        "sku", "cutoff", "step", pl.lit(None, dtype=pl.Float64).alias("level"), pl.col("lag_6").alias("value")
    )
    labels = pl.DataFrame(
        truth,
        schema={"sku": pl.String, "cutoff": pl.Int64, "step": pl.Int64, "target": pl.Int64, "y": pl.Float64},
        orient="row",
    )
    used = [(c, c - H - k, s, c - H - k + s, "learn") for c in cutoffs for k in range(3) for s in range(1, H + 1)]
    manifest = pl.DataFrame(used, schema=["cutoff", "example", "step", "settled", "role"], orient="row")
    return Built(
        features.select("sku", "cutoff").unique().sort("sku", "cutoff"),
        features,
        labels.sort("sku", "cutoff", "step"),
        lambda: Forecasts(predictions, naive, manifest),
    )


_FACTS = database()
TRIAL = Trial(_FACTS, CUTOFFS, ("sku",), H, 1, build, Grid("integer"), witness=Witness(_FACTS))
