"""Order quantities from beliefs, and what following them would have cost at past origins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.compare import Interval
from foreproof.core.decide import Decisions
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Built
from foreproof.core.view import View
from foreproof.decisions.newsvendor import UnitCosts
from foreproof.decisions.replay import replay, saving, service
from foreproof.engine.serve import Served
from foreproof.errors import BadInput
from foreproof.workloads.forecast import ForecastPlan, Ordering


@dataclass(frozen=True, slots=True)
class Replayed:
    """The policy on our beliefs against the same policy on the seasonal naive's, over past origins.

    rows: see `decisions.replay`. totals: by origin. saved: money a decision, with its bootstrap interval.
    """

    rows: pl.DataFrame
    totals: pl.DataFrame
    saved: Interval | None


def decide(ordering: Ordering, served: Served, view: View) -> Decisions:
    """Orders for the demand over (cutoff, cutoff + cover], from the stock that the view shows."""
    return ordering.policy.decide(served.totals, held=_held(ordering, served, view))


def replay_decisions(plan: ForecastPlan, built: Built, served: Mapping[Moment, Served], *, seed: int) -> Replayed:
    """Both policies decide at each origin as it was then, without stock; the judge then shows them what was demanded."""
    ordering = plan.ordering
    if ordering is None or not isinstance(ordering.policy.short, float) or not isinstance(ordering.policy.over, float):
        raise BadInput(
            "decision", found="no unit costs", wanted="short and over in money per unit", fix="add decision:"
        )
    entity = list(plan.task.entity)
    covered = built.labels.filter(pl.col(STEP) <= ordering.cover).sort([*entity, CUTOFF, STEP])
    whole = covered.group_by([*entity, CUTOFF], maintain_order=True).agg(
        pl.col("y").sum().alias("demand"), pl.col("y").count().alias("known")
    )
    demand = whole.filter(pl.col("known") == ordering.cover).drop("known")
    ours, theirs = (
        pl.concat([getattr(s, name) for s in served.values()]).join(demand, on=[*entity, CUTOFF], how="semi")
        for name in ("totals", "baseline_totals")
    )
    rows = replay(
        ordering.policy.decide(ours),
        ordering.policy.decide(theirs),
        demand=demand,
        costs=UnitCosts(ordering.policy.short, ordering.policy.over),
    )
    return Replayed(rows, service(rows, by=[CUTOFF]), _saved(rows, seed))


def _saved(rows: pl.DataFrame, seed: int) -> Interval | None:
    try:
        return saving(rows, rng=np.random.default_rng(seed))
    except BadInput:
        return None


def _held(ordering: Ordering, served: Served, view: View) -> pl.DataFrame | None:
    """Stock as known at the cutoff: the latest row of each series in the stock table; a series without one holds nothing."""
    if not ordering.stock:
        return None
    entity = [name for name in served.totals.columns if name not in (CUTOFF, "level", "value")]
    stock = view[ordering.stock]
    columns = [name for name in ("on_hand", "on_order") if name in stock.columns]
    contract = view.tables[ordering.stock].contract
    latest = stock.sort("_happened", "_known").group_by(entity, maintain_order=True).last()
    units = latest.select(*entity, *(pl.col(name) / contract.column(name).scale for name in columns))
    keys = served.totals.select(entity).unique(maintain_order=True)
    return keys.join(units, on=entity, how="left").with_columns(pl.col(columns).fill_null(0.0))


def origins(served: Mapping[Moment, Served], *, before: Moment) -> dict[Moment, Served]:
    """The served cutoffs before a moment, in order."""
    return {c: s for c, s in sorted(served.items(), key=lambda item: ticks(item[0])) if ticks(c) < ticks(before)}


__all__ = ["Replayed", "decide", "origins", "replay_decisions"]
