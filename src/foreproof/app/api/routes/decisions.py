"""Decisions over HTTP: how much to order, what knowing more is worth, and what a few units more or less would cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from foreproof.app.api.caller import Reader
from foreproof.app.api.marked import answered, tag_of, unchanged
from foreproof.app.api.orders import Costs, Item, order_items, order_series, series_rows
from foreproof.app.api.quick import QuickRoute
from foreproof.app.api.shapes import plain
from foreproof.errors import BadInput

PART = "decisions"
ALONE = True
"""Items that are given whole need no project: this part may be served from an empty folder."""
MOST_ITEMS = 10_000
router = APIRouter(tags=["decisions"], route_class=QuickRoute)


class Wanted(BaseModel):
    """Items given whole, or names of series of the published forecast."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "id": "milk",
                            "quantiles": {"0.1": 10, "0.5": 20, "0.9": 40},
                            "short": 3,
                            "over": 1,
                            "on_hand": 5,
                            "pack": 6,
                        }
                    ]
                },
                {"series": ["item 1"], "costs": {"short": 4, "over": 1}},
            ]
        },
    )
    items: list[Item] | None = Field(None, min_length=1, max_length=MOST_ITEMS)
    series: list[str] | None = Field(None, min_length=1, max_length=MOST_ITEMS)
    costs: Costs | None = Field(None, description="of all items that say nothing else; instead of the plan's")


class Named(BaseModel):
    """Series by name; all of them without."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"series": ["item 1"]}, {}]})
    series: list[str] | None = Field(None, min_length=1, max_length=MOST_ITEMS)


@router.post("/decisions/recommend_qty", summary="How much to order")
def recommend_qty(desk: Reader, body: Wanted) -> Response:
    """The order with the smallest expected cost for each item, with its reason.

    Items hold quantiles of the demand that the order has to last for, units, and what a unit short and a unit over cost (or
    price, cost, salvage, goodwill, holding, from which these follow). With `series` the beliefs are those of the published
    forecast, over the plan's window; without `costs` the orders are the published ones.
    """
    if (body.items is None) == (body.series is None):
        found = "both" if body.items else "neither"
        raise BadInput("recommend_qty", found=f"{found} of items and series", wanted="one of them")
    if body.items is not None:
        return answered({"items": order_items(body.items, body.costs), "policy": "newsvendor"}, {})
    published = desk.published("forecast")
    items, policy = order_series(published, body.series or [], body.costs)
    return answered({"items": items, "policy": policy, "provenance": published.provenance(datetime.now(UTC))}, {})


@router.post("/decisions/voi", summary="What knowing more would be worth")
def voi(desk: Reader, body: Named) -> Response:
    """Money a cycle, by item: perfect information, this forecast against the seasonal naive, and a sharper forecast."""
    published = desk.published("forecast")
    names, rows = series_rows(published, "voi", body.series)
    items = [
        {
            "series": name,
            "perfect": row["perfect_information"],
            "forecast": row["this_forecast"],
            "sharper": row["sharper_forecast"],
            **{key: row[key] for key in ("level", "baseline_level", "expected_cost", "baseline_cost")},
        }
        for name, row in zip(names, plain(rows), strict=True)
    ]
    totals = {name: sum(one[name] for one in items) for name in ("perfect", "forecast", "sharper", "expected_cost")}
    return answered({"items": items, "totals": totals, "provenance": published.provenance(datetime.now(UTC))}, {})


@router.get("/decisions/curve", summary="What other order quantities would cost")
def curve(desk: Reader, request: Request, series: Annotated[str, Query(max_length=2000)]) -> Response:
    """Expected cost of a series at stock levels about the recommended one, and which part of it units short make."""
    published = desk.published("forecast")
    headers = tag_of(request, published)
    if (same := unchanged(request, headers)) is not None:
        return same
    _, rows = series_rows(published, "cost_curve", [series])
    points: list[dict[str, Any]] = [
        {
            "order_up_to": row["order_up_to"],
            "expected_cost": row["expected_cost"],
            "short_cost": row["short_cost"],
            "over_cost": row["expected_cost"] - row["short_cost"],
        }
        for row in rows.sort("order_up_to").to_dicts()
    ]
    _, orders = series_rows(published, "orders", [series])
    body = {"series": series, "points": points, "chosen": orders["order_up_to"][0], "order": orders["order"][0]}
    return answered({**body, "provenance": published.provenance(datetime.now(UTC))}, headers)


__all__ = ["ALONE", "MOST_ITEMS", "PART", "Named", "Wanted", "router"]
