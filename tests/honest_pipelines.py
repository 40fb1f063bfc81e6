"""Small honest pipelines of both kinds, of many shapes by their seed: what a statistical check must not ring on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from foreproof.core.contract import Column, Contract, Known, Stamp
from foreproof.core.grid import Grid
from foreproof.core.trial import Built, Forecasts, Trial
from foreproof.core.view import Database, Table

BUYS = Contract(
    "buys", (), Stamp("t", period="integer"), Known("same_as_happened"), (Column("a", "text"), Column("g", "text"))
)
DEMAND = Contract(
    "demand",
    ("a", "t"),
    Stamp("t", period="integer"),
    Known("same_as_happened"),
    (Column("a", "text"), Column("y", "real")),
)
WINDOW, STEPS = 28, 14
CHANCE_NEARNESS = {"few": 0, "many": 0, "age": 0, "account": 0, "group": 0, "long_ago": 30}
QUANTITY_NEARNESS = {"last": 0, "week": 0, "mean": 0, "season": 0, "weekday": None, "old": 30}


def chance_trial(seed: int, *, accounts: int = 150, days: int = 420) -> Trial:
    """Who buys in which of four groups within 28 days: own rates, bursts, seasons and a drift that the seed decides."""
    rng = np.random.default_rng(seed)
    rate = (
        rng.lognormal(rng.uniform(-6.5, -5), rng.uniform(0.5, 1.2), size=(accounts, 1))
        * rng.dirichlet(np.ones(4) * 3)
        * 4
    )
    fade = rng.uniform(0.6, 0.97)
    burst = rng.uniform(0, 0.6) * (1 - fade)
    season, drift = rng.uniform(0, 0.4), rng.uniform(-0.3, 0.3)
    heat = np.zeros_like(rate)
    rows = []
    for t in range(days):
        level = (1 + season * np.sin(2 * np.pi * t / 365)) * (1 + drift * t / days)
        hit = rng.random(rate.shape) < np.minimum(rate * level + burst * heat, 0.9)
        heat = fade * heat + hit
        who, what = np.nonzero(hit)
        rows += [(f"a{i:03d}", f"g{j}", t, t, 1, k, False) for k, (i, j) in enumerate(zip(who, what, strict=True))]
    names = ["a", "g", "_happened", "_known", "_batch", "_occurrence", "_deleted"]
    kept = [name for name in names if name != "_occurrence"]
    database = Database({"buys": Table(BUYS, pl.DataFrame(rows, schema=names, orient="row").select(kept))})
    cutoffs = tuple(range(days - WINDOW * 6 - 1, days - WINDOW, WINDOW))
    return Trial(
        database, cutoffs, ("a", "g"), WINDOW, seed, chance_build, Grid("integer"), "chance", nearness=CHANCE_NEARNESS
    )


def chance_build(database: Database, cutoffs: Sequence[int], seed: int) -> Built:
    """Counts, recency, tenure and the group's rate as known; labels where the window is over."""
    table = database["buys"].rows
    who = np.array([int(a[1:]) for a in table["a"]])
    what = np.array([int(g[1:]) for g in table["g"]])
    when, known = table["_happened"].to_numpy(), table["_known"].to_numpy()
    size = int(who.max()) + 1
    pair = who * 4 + what
    rows, labels, said = [], [], []
    end = int(when.max())
    for cutoff in cutoffs:
        seen = known <= cutoff

        def count(days: int, back: int = 0, seen: np.ndarray = seen, cutoff: int = cutoff) -> np.ndarray:
            inside = seen & (when > cutoff - back - days) & (when <= cutoff - back)
            return np.bincount(pair[inside], minlength=size * 4).astype(float)

        last = np.full(size * 4, -1.0)
        np.maximum.at(last, pair[seen], when[seen].astype(float))
        few, many, old = count(WINDOW), count(112), count(90, 30)
        account = np.repeat(many.reshape(-1, 4).sum(axis=1), 4)
        group = np.tile(many.reshape(-1, 4).mean(axis=0), size)
        frame = pl.DataFrame(
            {
                "a": [f"a{i:03d}" for i in np.repeat(np.arange(size), 4)],
                "g": [f"g{j}" for j in np.tile(np.arange(4), size)],
                "cutoff": np.full(size * 4, cutoff),
                "step": np.full(size * 4, WINDOW),
                "few": few,
                "many": many,
                "age": np.where(last >= 0, cutoff - last, np.nan),
                "account": account,
                "group": group,
                "long_ago": old,
            }
        ).with_columns(pl.col("age").fill_nan(None), pl.col("cutoff", "step").cast(pl.Int64))
        rows.append(frame)
        # A rate drawn towards its group's, as for a gamma-Poisson.
        p = 1 - np.exp(-WINDOW * (many + 3 * group) / (4 * 112))
        said.append(frame.select("a", "g", "cutoff", "step").with_columns(value=pl.Series(np.clip(p, 1e-3, 0.98))))
        if cutoff + WINDOW <= end:
            future = (when > cutoff) & (when <= cutoff + WINDOW)
            y = (np.bincount(pair[future], minlength=size * 4) > 0).astype(float)
            told = frame.select("a", "g", "cutoff", "step").with_columns(
                pl.lit(cutoff + WINDOW, dtype=pl.Int64).alias("target"), pl.Series("y", y)
            )
            labels.append(told)
    everything = pl.concat(rows).sort("a", "g", "cutoff")
    none = {"target": pl.Int64, "y": pl.Float64}
    empty = (
        rows[0].select("a", "g", "cutoff", "step", *(pl.lit(None, dtype=t).alias(n) for n, t in none.items())).clear()
    )
    truth = pl.concat([empty, *labels])
    points = pl.concat(said).with_columns(level=pl.lit(None, dtype=pl.Float64)).sort("a", "g", "cutoff")
    base = points.with_columns(value=pl.col("value").mean().over("g", "cutoff"))
    return Built(
        everything.select("a", "g", "cutoff"),
        everything,
        truth.sort("a", "g", "cutoff"),
        lambda: Forecasts(points, base, pl.DataFrame()),
    )


def quantity_trial(seed: int, *, series: int = 40, days: int = 300) -> Trial:
    """Demand over the next 14 days: level, week, memory, common shocks and noise that the seed decides."""
    rng = np.random.default_rng(seed)
    memory, noise = rng.uniform(0.0, 0.97), rng.uniform(0.3, 2.0)
    level = rng.lognormal(3, 1, size=series)
    week = rng.normal(0, rng.uniform(0, 1.5), size=(series, 7))
    common = rng.normal(0, rng.uniform(0, 0.7), size=days)
    state = np.zeros(series)
    y = np.zeros((series, days))
    for t in range(days):
        state = memory * state + rng.normal(0, np.sqrt(1 - memory**2), size=series)
        y[:, t] = level * (6 + week[:, t % 7] + state + common[t] + noise * rng.normal(size=series))
    names = ["a", "y", "_happened", "_known", "_batch", "_deleted"]
    rows = [(f"s{i:03d}", float(y[i, t]), t, t, 1, False) for i in range(series) for t in range(days)]
    database = Database({"demand": Table(DEMAND, pl.DataFrame(rows, schema=names, orient="row"))})
    cutoffs = tuple(range(days - STEPS * 6 - 1, days - STEPS, STEPS))
    return Trial(
        database, cutoffs, ("a",), STEPS, seed, quantity_build, Grid("integer"), "quantity", nearness=QUANTITY_NEARNESS
    )


def quantity_build(database: Database, cutoffs: Sequence[int], seed: int) -> Built:
    """The last value, the same weekday, means: each as known at the cutoff, the last known value where one is missing."""
    table = database["demand"].rows.sort("a", "_happened")
    names = table["a"].unique().sort().to_list()
    days = int(table["_happened"].max()) + 1  # type: ignore[arg-type]
    values = table["y"].to_numpy().reshape(len(names), days)
    arrives = table["_known"].to_numpy().reshape(len(names), days)[0]
    rows, labels, said = [], [], []
    steps = np.arange(1, STEPS + 1)
    for cutoff in cutoffs:
        known = int((arrives <= cutoff).sum())
        past = values[:, :known]
        # Whole weeks back from the target, as far as rows have come.
        back = cutoff + steps - 7 * np.ceil((cutoff + steps - known + 1) / 7).astype(int)
        index = {
            "a": np.repeat(names, STEPS),
            "cutoff": np.full(len(names) * STEPS, cutoff),
            "step": np.tile(steps, len(names)),
        }

        def spread(column: np.ndarray) -> np.ndarray:
            return np.repeat(column, STEPS)

        week = past[:, back]
        season = np.mean([past[:, back - 7 * k] for k in range(4)], axis=0)
        frame = pl.DataFrame(
            {
                **index,
                "last": spread(past[:, -1]),
                "week": week.ravel(),
                "mean": spread(past[:, -28:].mean(axis=1)),
                "season": season.ravel(),
                "weekday": np.tile((cutoff + steps) % 7, len(names)),
                "old": spread(past[:, -84:-30].mean(axis=1)),
            }
        ).with_columns(pl.col("cutoff", "step").cast(pl.Int64))
        rows.append(frame)
        here = frame.select("a", "cutoff", "step")
        said.append(
            here.with_columns(
                value=pl.Series(
                    (season * 0.7 + spread(past[:, -28:].mean(axis=1)).reshape(season.shape) * 0.3).ravel()
                ),
                base=pl.Series(week.ravel()),
            )
        )
        inside = steps[cutoff + steps < days]
        if inside.size:
            y = values[:, cutoff + inside]
            truth = here.filter(pl.col("step") <= int(inside.max()))
            labels.append(
                truth.with_columns((pl.col("cutoff") + pl.col("step")).alias("target"), y=pl.Series(y.ravel()))
            )
    everything = pl.concat(rows).sort("a", "cutoff", "step")
    points = pl.concat(said).with_columns(level=pl.lit(None, dtype=pl.Float64)).sort("a", "cutoff", "step")
    return Built(
        everything.select("a", "cutoff").unique().sort("a", "cutoff"),
        everything,
        pl.concat(labels).sort("a", "cutoff", "step"),
        lambda: Forecasts(points.drop("base"), points.drop("value").rename({"base": "value"}), pl.DataFrame()),
    )
