"""Small honest pipelines of both kinds of label, on days and with keys, for leaks to be planted into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import cache

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, tick_values, time_column
from foreproof.core.contract import Column, Contract, Known, Stamp
from foreproof.core.grid import parse_grid
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.table import parse
from foreproof.core.trial import Built, Forecasts, Kind, Trial, Witness
from foreproof.core.view import Database

GRID = parse_grid("1d")
DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(200)]
ACCOUNTS, GROUPS, H = 24, 3, 14


def cutoff(day: int) -> Moment:
    """The end of a day of the history."""
    at = pl.Series([DAYS[day]]).cast(pl.Datetime("us", "UTC")) + timedelta(days=1) - timedelta(microseconds=1)
    return at[0]


CUTOFFS = tuple(cutoff(day) for day in (100, 130, 160))


@cache
def database(seed: int = 1) -> Database:
    """Purchases of accounts by group: each pair with a rate of its own, some that stop."""
    rng = np.random.default_rng(seed)
    rate = rng.beta(0.6, 6.0, (ACCOUNTS, GROUPS))
    rows = []
    for a in range(ACCOUNTS):
        end = len(DAYS) if a % 4 else int(rng.integers(80, 190))
        for g in range(GROUPS):
            for i in np.flatnonzero(rng.random(end) < rate[a, g]):
                rows.append((f"a{a:02d}", f"g{g}", DAYS[i], float(rng.integers(1, 50))))
    frame = pl.DataFrame(rows, schema=["account", "grp", "day", "money"], orient="row")
    columns = (Column("account", "text", "account"), Column("grp", "text", "grp"), Column("money", "real", "money"))
    contract = Contract("sales", ("account", "grp", "day"), Stamp("day"), Known("same_as_happened"), columns)
    return Database({"sales": parse(contract, frame, now=None)})


def trial(kind: Kind, seed: int = 1) -> Trial:
    """An honest trial: pairs (account, group) and whether they buy, or accounts and how much they buy."""
    entity = ("account", "grp") if kind == "chance" else ("account",)
    facts = database(seed)
    return Trial(facts, CUTOFFS, entity, H, seed, builder(entity, kind), GRID, kind=kind, witness=Witness(facts))


def builder(entity: tuple[str, ...], kind: Kind) -> Callable[[Database, Sequence[Moment], int], Built]:
    """Counts and sums of 30 and 90 days; what was sold in the 14 days before is the forecast."""

    def build(given: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        parts = [_at(given, at, entity, kind) for at in cutoffs]
        rows, labels = (pl.concat([part[i] for part in parts]).sort([*entity, CUTOFF]) for i in (0, 1))
        return Built(rows.select(*entity, CUTOFF), rows, labels, lambda: _said(rows, entity, kind))

    return build


def _at(given: Database, at: Moment, entity: tuple[str, ...], kind: Kind) -> tuple[pl.DataFrame, pl.DataFrame]:
    seen = given.as_of(at)["sales"].sort([*entity, "_happened"])
    clock = pl.lit(at, dtype=pl.Datetime("us", "UTC")).alias(CUTOFF)
    age = pl.lit(at, dtype=pl.Datetime("us", "UTC")) - pl.col("_happened")
    counted = [
        pl.col("money").filter(age < timedelta(days=days)).sum().alias(f"money_{days}") for days in (H, 30, 90)
    ] + [(age < timedelta(days=days)).sum().cast(pl.Float64).alias(f"days_{days}") for days in (H, 90)]
    step = pl.lit(H, dtype=pl.Int64).alias(STEP)
    rows = seen.group_by(entity, maintain_order=True).agg(counted).select(*entity, clock, step, pl.exclude(entity))
    end = at + timedelta(days=H)  # type: ignore[operator]
    latest = (
        given["sales"]
        .rows.sort("_known", "_batch", maintain_order=True)
        .unique(["account", "grp", "_happened"], keep="last", maintain_order=True)
    )
    facts = latest.filter(pl.col("_happened") > at, pl.col("_happened") <= end).sort([*entity, "_happened"])
    came = facts.group_by(entity, maintain_order=True).agg(pl.col("money").sum().alias("y"))
    labels = rows.select(*entity, CUTOFF, STEP).join(came, on=entity, how="left", maintain_order="left")
    y = (pl.col("y") > 0).cast(pl.Float64).fill_null(0.0) if kind == "chance" else pl.col("y").fill_null(0.0)
    labels = labels.select(
        *entity, CUTOFF, STEP, pl.lit(end, dtype=pl.Datetime("us", "UTC")).alias("target"), y.alias("y")
    )
    known = given["sales"].rows["_known"].max()
    return rows, labels if known is not None and known >= end else labels.clear()


def _said(rows: pl.DataFrame, entity: tuple[str, ...], kind: Kind) -> Forecasts:
    index = [*entity, CUTOFF, STEP]
    level = pl.lit(None, dtype=pl.Float64).alias("level")
    chance = (1.0 + pl.col(f"days_{H}") * 2 + pl.col("days_90")) / (6.0 + pl.col("days_90"))
    value = (
        chance.clip(0.02, 0.98) if kind == "chance" else 0.5 * pl.col(f"money_{H}") + 0.5 * pl.col("money_90") * H / 90
    )
    base = pl.lit(0.3) if kind == "chance" else pl.col(f"money_{H}")
    cutoffs = rows[CUTOFF].unique().sort()
    at = tick_values(cutoffs)
    example = GRID.shift(at, -H)
    manifest = pl.DataFrame(
        [
            cutoffs.alias(CUTOFF),
            time_column("example", example, integer=False),
            pl.Series(STEP, [H] * len(at), dtype=pl.Int64),
            time_column("settled", GRID.shift(example, H), integer=False),
            pl.Series("role", ["learn"] * len(at)),
        ]
    )
    said, naive = (rows.select(*index, level, one.alias("value")).sort(index) for one in (value, base))
    return Forecasts(said, naive, manifest)


def market(seed: int = 1, symbols: int = 6, days: int = 160) -> pl.DataFrame:
    """`symbol`, `day`, `close`, `factor`: random walks with a wild spell; one symbol splits, one is gone before the end."""
    rng = np.random.default_rng(seed)
    parts = []
    for i in range(symbols):
        wild = np.where((np.arange(days) // 40) % 2 == 1, 0.03, 0.01)
        factor = np.ones(days)
        if i == 0:
            factor[days // 2] = 0.5
        close = 50.0 * np.exp(np.cumsum(rng.normal(0, wild))) * np.cumprod(factor)
        end = days - 30 if i == 1 else days
        parts.append(
            pl.DataFrame({"symbol": [f"S{i}"] * end, "day": DAYS[:end], "close": close[:end], "factor": factor[:end]})
        )
    return pl.concat(parts)
