"""The order of one series: how much, why, and what another quantity would cost."""

from __future__ import annotations

from typing import Any

import streamlit as st

from foreproof.ui import charts, parts, words
from foreproof.ui.client import Client


def draw(api: Client, series: str, unit: str) -> None:
    """The published order with its cost curve, and an order under costs that the reader gives."""
    found = parts.attempt(
        lambda: api.get("/decisions/curve", series=series),
        missing="The plan of this project has no section decision, so no order was made. Give costs below instead.",
        doing="Reading the cost curve",
    )
    if found:
        _curve(found, unit)
        kept = parts.attempt(lambda: api.post("/decisions/recommend_qty", {"series": [series]}), missing="No order.")
        for item in parts.items(kept):
            st.caption(parts.escape(str(item.get("because") or "")))
        _worth(api, series)
    _asked(api, series, unit)


def _curve(found: dict[str, Any], unit: str) -> None:
    points, chosen = found["points"], found.get("chosen")
    tiles = []
    if found.get("order") is not None:
        tiles.append(
            ("Order", words.number(found["order"], unit.removesuffix(" a day")), "after stock, packs and minimum")
        )
    tiles.append(("Order up to", words.number(chosen), f"{unit}: stock on hand and on order after ordering"))
    at = min(points, key=lambda one: abs(one["order_up_to"] - chosen)) if points and chosen is not None else None
    if at is not None:
        tiles.append(("Expected cost there", words.number(at["expected_cost"]), "money, of units short and units over"))
    parts.tiles(tiles)
    names = {"short_cost": "of units short", "over_cost": "of units over", "expected_cost": "expected cost"}
    rows = [
        {"order up to": one["order_up_to"], "money": one[key], "cost": label}
        for one in points
        for key, label in names.items()
        if one.get(key) is not None
    ]
    chart = charts.lines(rows, x="order up to", y="money", by="cost", titles=(f"order up to, {unit}", "money"))
    if chosen is not None:
        chart = charts.with_mark(chart, float(chosen), f"order up to {words.number(chosen)}")
    charts.show(chart, alt_text="Expected cost against the quantity ordered up to", key="cost_curve")


def _worth(api: Client, series: str) -> None:
    found = parts.attempt(
        lambda: api.post("/decisions/voi", {"series": [series]}), missing="What information is worth was not computed."
    )
    items = (found or {}).get("items") or []
    if not items:
        return
    names = {
        "forecast": "what this forecast saves against the baseline",
        "this_forecast": "what this forecast saves against the baseline",
        "sharper": "what a sharper forecast would save",
        "sharper_forecast": "what a sharper forecast would save",
        "perfect": "what knowing the demand would save",
        "perfect_information": "what knowing the demand would save",
    }
    rows = [{"what": label, "money": items[0][key]} for key, label in names.items() if items[0].get(key) is not None]
    if rows:
        st.markdown("**What information is worth, in money for this order**")
        charts.show(charts.bars(rows, x="money", y="what", title="money"), alt_text="Worth of information", key="worth")


def _asked(api: Client, series: str, unit: str) -> None:
    with st.expander("Order under costs of your own", icon=":material/calculate:"):
        with st.form("recommend", border=False):
            columns = st.columns(5)
            short = columns[0].number_input(
                "A unit short costs", 0.0, value=2.0, key="short", help="lost margin, goodwill"
            )
            over = columns[1].number_input(
                "A unit over costs", 0.0, value=1.0, key="over", help="holding, markdown, waste"
            )
            stock = columns[2].number_input(f"On hand, {unit}", 0.0, value=0.0, key="on_hand")
            coming = columns[3].number_input(f"On order, {unit}", 0.0, value=0.0, key="on_order")
            pack = columns[4].number_input("In packs of", 1.0, value=1.0, step=1.0, key="pack")
            asked = st.form_submit_button("Recommend a quantity", type="primary", icon=":material/shopping_cart:")
        if not asked:
            return
        costs = {"short": short, "over": over, "on_hand": stock, "on_order": coming, "pack": pack}
        body = {"series": [series], "costs": costs}
        answer = parts.attempt(lambda: api.post("/decisions/recommend_qty", body), doing="Working out the order")
        for item in (answer or {}).get("items", []):
            tiles = [
                ("Order", words.number(item.get("quantity")), unit),
                ("Order up to", words.number(item.get("order_up_to")), unit),
            ]
            if item.get("expected_cost") is not None:
                tiles.append(("Expected cost", words.number(item["expected_cost"]), "of units short and units over"))
            parts.tiles(tiles)
            st.caption(parts.escape(str(item.get("because", ""))))


__all__ = ["draw"]
