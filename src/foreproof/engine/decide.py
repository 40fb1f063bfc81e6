"""Orders from beliefs, what they and more information are worth, and what following them would have cost at past origins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.compare import Interval
from foreproof.core.decide import Decisions
from foreproof.core.paths import Paths
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Built
from foreproof.core.view import View
from foreproof.decisions.information import voi
from foreproof.decisions.inventory import curve, economics, position_of, recommend_stock
from foreproof.decisions.newsvendor import Newsvendor, UnitCosts
from foreproof.decisions.ordering import Ordering
from foreproof.decisions.ranking import rank_lots
from foreproof.decisions.replay import replay, saving, service
from foreproof.decisions.simulate import PERIOD, replay_stock, stock_saving, stock_totals
from foreproof.engine.serve import Served
from foreproof.errors import BadInput
from foreproof.workloads.forecast import ForecastPlan

S = TypeVar("S")
_CURVE = 21
"""Levels around an order at which its cost curve is drawn."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What to do now. orders: see the policy. The others are empty under a service level without costs.

    lots: see `decisions.ranking`. worth: see `decisions.information`. curves: entity columns, `cutoff`, `order_up_to` (21
    levels about the recommended one), `expected_cost`, `short_cost` (the part of it that units short make), `recommended` (flag).
    """

    orders: Decisions
    lots: pl.DataFrame
    worth: pl.DataFrame
    curves: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Replayed:
    """The policy on our beliefs against the same policy on the seasonal naive's, over past origins.

    rows, totals: one window an origin, each from empty stock, for the newsvendor; see `decisions.replay`. stock,
    stock_totals: step by step with stock carried over; see `decisions.simulate`. saved: money an order (newsvendor)
    or an item (stock) with its bootstrap interval, None where too few were judged. note: why something could not be
    judged.
    """

    rows: pl.DataFrame
    totals: pl.DataFrame
    stock: pl.DataFrame
    stock_totals: pl.DataFrame
    saved: Interval | None
    stock_saved: Interval | None
    note: str = ""


def decide(ordering: Ordering, served: Served, view: View) -> Decided:
    """Orders at the cutoff, from the stock and the costs that the view shows."""
    held = held_at(ordering, served.totals, view)
    paths, baseline = served.paths(), served.baseline_paths()
    orders = ordering.decides.decide(served.totals, held=held) if ordering.decides else None
    orders = orders or recommend_stock(paths, ordering.terms, held=held)
    if not ordering.terms.priced:
        return Decided(orders, lots=pl.DataFrame(), worth=pl.DataFrame(), curves=pl.DataFrame())
    return Decided(
        orders=orders,
        lots=rank_lots(paths, ordering.terms, held=held, uses=ordering.uses),
        worth=voi(paths, baseline, ordering.terms, cut=ordering.cut, held=held),
        curves=_curves(ordering, paths, orders, held),
    )


def replay_decisions(
    plan: ForecastPlan, built: Built, served: Mapping[Moment, Served], *, view: View, seed: int
) -> Replayed:
    """Both policies decide at each origin as it was then; the judge then shows them what was demanded.

    view: where costs by item are read, where the plan names columns, for the items of any origin: today's costs judge them
    all. Its stock is left aside, since every replay starts on its own.
    """
    ordering = plan.ordering
    if ordering is None:
        raise BadInput("decision", found="none", wanted="costs of a unit short and of a unit over", fix="add decision:")
    held = held_at(ordering, pl.concat([s.totals for s in served.values()]), view) if served else None
    costs = held.drop("on_hand", "on_order", strict=False) if held is not None else None
    rows, why = _windows(plan, ordering, built, served, costs) if ordering.decides else (pl.DataFrame(), "")
    stock, note = _carried(plan, ordering, built, served, costs)
    rng = np.random.default_rng(seed)
    return Replayed(
        rows=rows,
        totals=service(rows, by=[CUTOFF]) if rows.height else pl.DataFrame(),
        stock=stock,
        stock_totals=stock_totals(stock) if stock.height else pl.DataFrame(),
        saved=_saved(rows, seed) if rows.height else None,
        stock_saved=stock_saving(stock, rng=rng) if stock.height and ordering.terms.priced else None,
        note=" ".join(part for part in (why, note) if part),
    )


def held_at(ordering: Ordering, totals: pl.DataFrame, view: View) -> pl.DataFrame | None:
    """Stock and costs as known at the cutoff: the latest row of each series; a series without one holds nothing."""
    if not ordering.stock:
        return None
    entity = [name for name in totals.columns if name not in (CUTOFF, "level", "value")]
    stock = view[ordering.stock]
    units = [name for name in ("on_hand", "on_order") if name in stock.columns]
    contract = view.tables[ordering.stock].contract
    order = [name for name in ("_happened", "_known") if name in stock.columns]
    latest = stock.sort(order).group_by(entity, maintain_order=True).last() if entity else stock.sort(order).tail(1)
    columns = [*units, *ordering.columns]
    found = latest.select(*entity, *(pl.col(name) / contract.column(name).scale for name in columns))
    if not entity:
        return found
    keys = totals.select(entity).unique(maintain_order=True)
    return keys.join(found, on=entity, how="left", maintain_order="left").with_columns(pl.col(units).fill_null(0.0))


def origins(served: Mapping[Moment, S], *, before: Moment) -> dict[Moment, S]:
    """The served cutoffs before a moment, in order."""
    return {c: s for c, s in sorted(served.items(), key=lambda item: ticks(item[0])) if ticks(c) < ticks(before)}


def _windows(
    plan: ForecastPlan, ordering: Ordering, built: Built, served: Mapping[Moment, Served], costs: pl.DataFrame | None
) -> tuple[pl.DataFrame, str]:
    """One window an origin, each from empty stock."""
    cover, priced, decides = ordering.cover, ordering.policy, ordering.decides
    if priced is None or decides is None:
        return pl.DataFrame(), ""
    entity = list(plan.task.entity)
    covered = built.labels.filter(pl.col(STEP) <= cover).sort([*entity, CUTOFF, STEP])
    whole = covered.group_by([*entity, CUTOFF], maintain_order=True).agg(
        pl.col("y").sum().alias("demand"), pl.col("y").count().alias("known")
    )
    demand = whole.filter(pl.col("known") == cover).drop("known")
    ours, theirs = (
        pl.concat([getattr(s, name) for s in served.values()]).join(demand, on=[*entity, CUTOFF], how="semi")
        for name in ("totals", "baseline_totals")
    )
    if ours.is_empty():
        return pl.DataFrame(), f"No origin has all {cover} steps of a window with an outcome, so no order was judged."
    held = costs.with_columns(pl.lit(0.0).alias("on_hand")) if costs is not None else None
    rows = replay(
        decides.decide(ours, held=held),
        decides.decide(theirs, held=held),
        demand=demand,
        costs=_unit_costs(priced, costs, entity),
    )
    return rows, ""


def _unit_costs(policy: Newsvendor, costs: pl.DataFrame | None, entity: list[str]) -> UnitCosts | pl.DataFrame:
    if not isinstance(policy.short, str) and not isinstance(policy.over, str):
        return UnitCosts(policy.short, policy.over)
    if costs is None:
        raise BadInput("decision", found="costs by column, but no stock table", wanted="a stock table with them")
    named = {
        name: pl.col(value) if isinstance(value, str) else pl.lit(float(value))
        for name, value in (("short", policy.short), ("over", policy.over))
    }
    return costs.select(*entity, *(expression.alias(name) for name, expression in named.items()))


def _carried(
    plan: ForecastPlan,
    ordering: Ordering,
    built: Built,
    served: Mapping[Moment, Served],
    costs: pl.DataFrame | None,
) -> tuple[pl.DataFrame, str]:
    """Step by step from the first origin on, stock carried over."""
    spacing, horizon = plan.backtest.every, plan.task.horizon
    if spacing > horizon:
        return pl.DataFrame(), "Stock is not replayed: between origins there are steps that no forecast covers."
    if not served:
        return pl.DataFrame(), "No past origin was judged."
    entity = list(plan.task.entity)
    place = {ticks(origin): i for i, origin in enumerate(served)}
    known = built.labels.filter(pl.col("y").is_not_null(), pl.col(CUTOFF).to_physical().is_in(list(place)))
    first = pl.col(CUTOFF).to_physical().replace_strict(place, return_dtype=pl.Int64) * spacing
    # Of two origins that reach a step the later one names it: the outcome is the same.
    truth = known.with_columns((first + pl.col(STEP)).alias(PERIOD)).sort(*entity, PERIOD, CUTOFF)
    demand = truth.select(*entity, PERIOD, "y").unique([*entity, PERIOD], keep="last", maintain_order=True)
    if demand.is_empty():
        return pl.DataFrame(), "No outcome is known after any origin."
    sides = ([s.paths() for s in served.values()], [s.baseline_paths() for s in served.values()])
    stock = replay_stock(sides, demand, ordering.terms, spacing=spacing, season=plan.task.season, held=costs)
    return stock, ""


def _curves(ordering: Ordering, paths: Paths, orders: Decisions, held: pl.DataFrame | None) -> pl.DataFrame:
    terms = ordering.terms
    costs = economics(terms, paths.keys, held)
    position = position_of(paths.keys, held)
    chosen = paths.keys.join(orders.rows, on=[*paths.entity, CUTOFF], how="left", maintain_order="left")
    parts = []
    for i, (level, order) in enumerate(chosen.select("order_up_to", "order").iter_rows()):
        reach = max(order, 0.5 * abs(level), 1.0)
        levels = np.linspace(max(level - reach, min(position[i], level)), level + reach, _CURVE)
        levels = np.unique(np.append(levels, level))
        found = curve(paths.values[i], levels, lead=terms.lead, window=terms.window)
        money = found.cost(terms, float(costs.short[i]), float(costs.over[i]), float(costs.holding[i]))
        short = found.short_cost(terms, float(costs.short[i]))
        frame = pl.DataFrame(
            {"order_up_to": levels, "expected_cost": money, "short_cost": short, "recommended": levels == level}
        )
        parts.append(paths.keys[[i] * levels.size].hstack(frame))
    return pl.concat(parts)


def _saved(rows: pl.DataFrame, seed: int) -> Interval | None:
    try:
        return saving(rows, rng=np.random.default_rng(seed))
    except BadInput:
        return None


__all__ = ["Decided", "Replayed", "decide", "held_at", "origins", "replay_decisions"]
