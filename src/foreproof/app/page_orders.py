"""The page's part about orders: what to order, which units first, what it is worth, and how it would have gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from foreproof.app import plots
from foreproof.app.stages import Work
from foreproof.core.compare import Interval
from foreproof.decisions.information import voi_words
from foreproof.decisions.inventory import StockTerms
from foreproof.decisions.ordering import Ordering

_LOTS = 100


def order_figures(work: Work, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """The cost curve of the largest order, and stock over time; empty where there is none."""
    found: dict[str, Any] = {}
    entity = list(work.project.forecast.task.entity)
    ordering = work.project.forecast.ordering
    if ordering is None:
        return found
    if "cost_curve" in tables:
        largest = tables["orders"].sort(["order", *entity], descending=[True, *([False] * len(entity))]).head(1)
        curve = tables["cost_curve"]
        curve = curve.join(largest.select(entity), on=entity, how="semi") if entity else curve
        name = " / ".join(str(part) for part in largest.select(entity).row(0)) if entity else "the series"
        found["cost_curve"] = plots.cost_curve(curve, title=name, currency=ordering.currency)
    if "replay_stock" in tables:
        steps = (
            tables["replay_stock"]
            .group_by("period", maintain_order=True)
            .agg(pl.col("on_hand_ours", "on_hand_baseline", "unmet_ours", "unmet_baseline").sum())
        )
        found["stock"] = plots.stock(steps.sort("period"))
    return found


def orders_part(
    work: Work, tables: Mapping[str, pl.DataFrame], drawn: Mapping[str, str], *, html: Any
) -> dict[str, Any]:
    """What the template wants. html: a frame as an HTML table."""
    ordering = work.project.forecast.ordering
    if ordering is None or "orders" not in tables:
        return {"orders_table": "", "orders_note": "", "order_charts": [], "lots_table": "", "stock_table": ""}
    captions = {
        "replayed_cost": "Replayed cost by past origin, each from empty stock.",
        "stock": "Replayed stock over all items, carried over from step to step.",
        "cost_curve": "Expected cost around the largest order: how dear a unit more or less is.",
    }
    entity = list(work.project.forecast.task.entity)
    orders = tables["orders"].sort("order", descending=True)
    shown = ("order", "order_up_to", "target", "reorder_point", "expected_cost", "fill_rate", "because")
    lots = tables["order_ranking"].sort("rank").head(_LOTS) if "order_ranking" in tables else pl.DataFrame()
    kept = [*entity, "rank", "units", "saves", "saves_per_use", "uses_so_far", "saves_so_far"]
    totals = tables.get("replay_stock_totals", pl.DataFrame())
    return {
        "orders_table": html(orders.select(*entity, *(name for name in shown if name in orders.columns))),
        "orders_note": " ".join(_notes(work, ordering, tables)),
        "order_charts": [{"svg": drawn[name], "caption": words} for name, words in captions.items() if name in drawn],
        "lots_table": html(lots.select(kept)) if lots.height else "",
        "stock_table": html(totals) if totals.height else "",
    }


def _notes(work: Work, ordering: Ordering, tables: Mapping[str, pl.DataFrame]) -> list[str]:
    terms, money = ordering.terms, ordering.currency
    if ordering.policy is not None:
        said = [
            f"Each order covers the next {ordering.cover} steps. A unit short costs {_term(ordering.policy.short)} and a unit "
            f"over costs {_term(ordering.policy.over)} {money}."
        ]
    else:
        unmet = "lost" if terms.unmet == "lost" else "owed and a step"
        said = [
            f"Policy {terms.policy.replace('_', ' ')}: an order arrives after {terms.lead} steps and is reviewed every "
            f"{terms.review}. {_service(terms)}A unit {unmet} costs {_term(terms.short)}, one left when a cycle ends "
            f"{_term(terms.over)}, one held a step {_term(terms.holding)} {money}."
        ]
    if not terms.priced:
        said.append(
            "The plan prices only one side, so nothing here is in money: give short and over, or holding, for that."
        )
    replayed = work.replayed
    if replayed is not None and replayed.saved is not None:
        said.append(f"Followed at the past origins, this would have saved {_saved(replayed.saved, money, 'an order')}.")
    if replayed is not None and replayed.stock_saved is not None:
        said.append(f"With stock carried over it would have saved {_saved(replayed.stock_saved, money, 'an item')}.")
    if replayed is not None and replayed.note:
        said.append(replayed.note)
    if "voi" in tables:
        said.append(voi_words(tables["voi"], cut=ordering.cut, currency=money))
    return said


def _service(terms: StockTerms) -> str:
    if terms.cycle is not None:
        return f"Stock lasts a cycle with probability {terms.cycle:g}. "
    return "" if terms.fill is None else f"A share of {terms.fill:g} of demand is met from stock. "


def _saved(saved: Interval, money: str, each: str) -> str:
    return (
        f"{saved.estimate:,.1f} {money} {each} against the same policy on the seasonal naive "
        f"(95% interval {saved.low:,.1f} to {saved.high:,.1f})"
    )


def _term(value: float | str) -> str:
    return f"its {value}" if isinstance(value, str) else f"{value:g}"


__all__ = ["order_figures", "orders_part"]
