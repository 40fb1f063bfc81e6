"""What decisions would have cost: pure judge arithmetic. Only here does a decision meet what happened after its cutoff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, assert_never

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.compare import Interval, bootstrap_interval
from foreproof.core.decide import Decisions, Floats, look_up
from foreproof.core.predict import CUTOFF
from foreproof.decisions.newsvendor import EXPECTED_COST, ORDER_UP_TO, UnitCosts, expected_units
from foreproof.errors import BadInput

DEMAND = "demand"
OURS, BASELINE = "ours", "baseline"


def newsvendor_cost(
    order_up_to: npt.ArrayLike, demand: npt.ArrayLike, *, short: npt.ArrayLike, over: npt.ArrayLike
) -> Floats:
    """Short (d - S)+ + over (S - d)+: the money that stock S cost when demand was d.

    order_up_to, demand: n, units; short, over: n or one, money per unit. Arrow, Harris & Marschak (1951).
    """
    gap = np.asarray(demand, dtype=np.float64) - np.asarray(order_up_to, dtype=np.float64)
    return np.asarray(
        np.asarray(short) * np.maximum(gap, 0.0) + np.asarray(over) * np.maximum(-gap, 0.0), dtype=np.float64
    )


def replay(
    ours: Decisions, baseline: Decisions, *, demand: pl.DataFrame, costs: UnitCosts | pl.DataFrame
) -> pl.DataFrame:
    """Both decisions against what was then demanded, one row per entity and cutoff.

    demand: entity columns, `cutoff`, `demand`: the actual sum over (cutoff, cutoff + L], units. costs: the same for all,
    or a frame of entity columns, `short`, `over` (and `cutoff` where they differ between cutoffs).

    Returns entity columns, `cutoff`, `demand`, `saving` (money, baseline - ours: positive where ours is cheaper), and for
    each of ours and baseline, as `NAME_ours` and `NAME_baseline`: `order_up_to` (units), `money`, `cycle` (1 where all
    demand was met, else 0), `fill` (share of demand met, null without demand), `leftover` and `lost` (units); sorted.

    Raises BadInput where the two do not decide on the same entities and cutoffs, or demand or costs lack one of them.
    """
    _check_same(ours, baseline)
    rows = ours.canonical()
    keys = rows.select(ours.index)
    if CUTOFF not in demand.columns:
        raise BadInput("demand", found="no column cutoff", wanted="the demand after each cutoff", fix="add it")
    actual = look_up(keys, demand, columns=[DEMAND], subject="demand")[0]
    short, over = _costs(keys, costs)
    columns: dict[str, Floats] = {}
    for who, stock in (
        (OURS, rows[ORDER_UP_TO].to_numpy()),
        (BASELINE, baseline.canonical()[ORDER_UP_TO].to_numpy()),
    ):
        lost, leftover = np.maximum(actual - stock, 0.0), np.maximum(stock - actual, 0.0)
        columns |= {
            f"order_up_to_{who}": stock,
            f"money_{who}": newsvendor_cost(stock, actual, short=short, over=over),
            f"cycle_{who}": np.where(lost <= 0.0, 1.0, 0.0),
            f"fill_{who}": np.divide(
                np.maximum(actual - lost, 0.0), actual, out=np.full(actual.size, np.nan), where=actual > 0.0
            ),
            f"leftover_{who}": leftover,
            f"lost_{who}": lost,
        }
    saved = columns[f"money_{BASELINE}"] - columns[f"money_{OURS}"]
    return keys.with_columns(
        pl.Series(DEMAND, actual, dtype=pl.Float64),
        pl.Series("saving", saved, dtype=pl.Float64),
        *(pl.Series(name, values, dtype=pl.Float64, nan_to_null=True) for name, values in columns.items()),
    )


def service(replayed: pl.DataFrame, *, by: Sequence[str] = ()) -> pl.DataFrame:
    """Totals of a replay for ours and the baseline, for each value of the columns `by`.

    Returns `by` columns, `who`, `decisions` (count), `demand`, `money`, `cycle_service` (share of windows in which all
    demand was met), `fill_rate` (units met / units demanded, null without demand), `leftover`, `lost`.
    Silver, Pyke & Thomas (2017), chapter 6.
    """
    groups = list(by)
    parts = []
    for who in (OURS, BASELINE):
        met = (pl.col(f"fill_{who}") * pl.col(DEMAND)).sum()
        wanted = pl.col(DEMAND).filter(pl.col(DEMAND) > 0.0).sum()
        sums = [
            pl.lit(who).alias("who"),
            pl.len().cast(pl.Int64).alias("decisions"),
            pl.col(DEMAND).sum(),
            pl.col(f"money_{who}").sum().alias("money"),
            pl.col(f"cycle_{who}").mean().alias("cycle_service"),
            pl.when(wanted > 0.0).then(met / wanted).alias("fill_rate"),
            pl.col(f"leftover_{who}").sum().alias("leftover"),
            pl.col(f"lost_{who}").sum().alias("lost"),
        ]
        parts.append(replayed.group_by(groups, maintain_order=True).agg(sums) if groups else replayed.select(sums))
    return pl.concat(parts).sort(groups, maintain_order=True) if groups else pl.concat(parts)


def saving(
    replayed: pl.DataFrame,
    *,
    rng: np.random.Generator,
    blocks: Literal["entity", "cutoff"] = "entity",
    statistic: Literal["mean", "sum"] = "mean",
    replicates: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Money saved against the baseline, a decision (mean) or in all (sum), with a block-bootstrap interval.

    replayed: from `replay`. Blocks are drawn whole: "entity" keeps an item's cutoffs together, "cutoff" keeps all items
    of a cutoff together, for demand that moves together (then few cutoffs make a rough interval).
    Raises BadInput for fewer than two blocks.
    """
    match blocks:
        case "entity":
            names = replayed.columns[: replayed.columns.index(CUTOFF)]
        case "cutoff":
            names = [CUTOFF]
        case _:
            assert_never(blocks)
    if replayed.select(names or CUTOFF).n_unique() < 2 or not names:
        other = "cutoff" if blocks == "entity" else "entity"
        found = f"{min(replayed.height, 1)} block of {replayed.height} decisions"
        raise BadInput("saving", found=found, wanted="at least two blocks to draw from", fix=f"set blocks to {other}")
    label = replayed.select(pl.struct(names).rank("dense")).to_series().to_numpy()
    return bootstrap_interval(
        replayed["saving"].to_numpy(),
        blocks=label,
        rng=rng,
        replicates=replicates,
        confidence=confidence,
        statistic=statistic,
    )


def cost_curve(
    grid: npt.ArrayLike, *, levels: npt.ArrayLike, values: npt.ArrayLike, short: float, over: float
) -> pl.DataFrame:
    """Expected cost around a recommendation, for one entity: what a unit more or less would change.

    grid: m stocks (order_up_to), units; levels, values: K. Returns `order_up_to`, `short_cost`, `over_cost` and their sum
    `expected_cost`, money, under the belief. Raises BadInput for a grid that is empty or not finite.
    """
    costs = UnitCosts(short=short, over=over)
    stock = np.atleast_1d(np.asarray(grid, dtype=np.float64))
    if stock.ndim != 1 or stock.size == 0 or not np.all(np.isfinite(stock)):
        raise BadInput("cost_curve.grid", found=f"{stock.size} stocks, or one not finite", wanted="finite units")
    units_short, units_over = expected_units(stock, levels=levels, values=values)
    short_cost, over_cost = costs.short * units_short, costs.over * units_over
    return pl.DataFrame(
        {
            ORDER_UP_TO: stock,
            "short_cost": short_cost,
            "over_cost": over_cost,
            EXPECTED_COST: short_cost + over_cost,
        }
    )


def _costs(keys: pl.DataFrame, costs: UnitCosts | pl.DataFrame) -> tuple[Floats, Floats]:
    if isinstance(costs, UnitCosts):
        return np.full(keys.height, costs.short), np.full(keys.height, costs.over)
    short, over = look_up(keys, costs, columns=["short", "over"], subject="costs")
    for pair in set(zip(short.tolist(), over.tolist(), strict=True)):
        UnitCosts(*pair)
    return short, over


def _check_same(ours: Decisions, baseline: Decisions) -> None:
    """Both must decide on the same entities and cutoffs, and say up to where they order."""
    for who, decisions in ((OURS, ours), (BASELINE, baseline)):
        if ORDER_UP_TO not in decisions.actions:
            raise BadInput(f"replay.{who}", found=f"actions {decisions.actions}", wanted=f"{ORDER_UP_TO} among them")
    if ours.index != baseline.index:
        raise BadInput("replay", found=f"entities by {baseline.entity} in the baseline", wanted=f"{ours.entity}")
    left, right = (decisions.canonical().select(ours.index) for decisions in (ours, baseline))
    if left.schema != right.schema or not left.equals(right):
        raise BadInput(
            "replay",
            found=f"{left.height} decisions of ours and {right.height} of the baseline on other entities or cutoffs",
            wanted="the same entities and cutoffs on both sides",
            fix="decide both from beliefs of the same series and cutoffs",
        )


__all__ = ["BASELINE", "DEMAND", "OURS", "cost_curve", "newsvendor_cost", "replay", "saving", "service"]
