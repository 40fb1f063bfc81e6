"""What was used, by call, job and day, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import streamlit as st

from foreproof.ui import charts, parts, words
from foreproof.ui.client import Client

TITLE, ICON, ORDER, SECTION = "Usage", ":material/payments:", 80, "Operate"
_MEASURES = {
    "price": "price",
    "calls": "calls",
    "cpu_seconds": "CPU seconds",
    "bytes_scanned": "bytes scanned",
    "bytes_stored": "bytes stored",
    "rows_predicted": "rows predicted",
    "tokens_in": "tokens sent to the model",
    "tokens_out": "tokens from the model",
}
_BY = ("call", "job", "day")


def render(client: Client) -> None:
    """Draw the page."""
    columns = st.columns(3)
    by = columns[0].segmented_control("Rows by", _BY, default="call", key="by", bind=parts.BIND, required=True)
    days = columns[1].selectbox("Of the last days (0: all)", [7, 30, 90, 0], index=1, key="days", bind=parts.BIND)
    names = list(_MEASURES.values())
    chosen = columns[2].selectbox("Chart of", names, index=names.index("CPU seconds"), key="measure", bind=parts.BIND)
    measure = next(key for key, label in _MEASURES.items() if label == chosen)
    whole = client.get("/usage", by="day")
    asked: dict[str, Any] = {"by": by, "from": _since(whole, int(days or 0))}
    with st.spinner("Adding up"):
        found = client.get("/usage", **asked)
    rows = found.get("rows") or []
    if not rows:
        parts.empty(
            "Nothing was used yet",
            "Calls and jobs are counted from the first one on. Look at a forecast, then come back.",
        )
        return
    _totals(found)
    name = {"call": "name", "job": "job", "day": "day"}[by]
    held: dict[str, float] = {}
    for row in rows:
        what = str(row.get(name) or row.get("name") or row.get("kind"))
        what = f"overhead: {what}" if row.get("kind") == "overhead" else what
        held[what] = held.get(what, 0.0) + float(row.get(measure) or 0)
    ordered = sorted(held.items(), key=lambda one: one[0] if name == "day" else -one[1])
    bars = [{"what": key, "amount": value} for key, value in ordered[:25]]
    title = _MEASURES[measure]
    charts.show(charts.bars(bars, x="amount", y="what", title=title), alt_text=f"{title} by {by}", key="usage")
    parts.table(_shown(rows), height=min(380, 38 + 35 * len(rows)))
    parts.download(client, "As CSV", "/usage", key="usage_csv", name="usage.csv", format="csv", **asked)


def _shown(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows without columns that say nothing, names as words."""
    told = [key for key in rows[0] if key != "tenant" and any(row.get(key) for row in rows)]
    return [{words.plain(key): row.get(key) for key in told} for row in rows]


def _since(whole: dict[str, Any], days: int) -> str:
    """The first day that is shown: so many before the newest with any use, so that the page needs no clock of its own."""
    named = [str(row.get("day") or row.get("name") or "") for row in whole.get("rows") or []]
    newest = max((at for one in named if (at := words.instant(one)) is not None), default=None)
    if not days:
        return "2000-01-01"
    return f"{newest - timedelta(days=days - 1):%Y-%m-%d}" if newest is not None else ""


def _totals(found: dict[str, Any]) -> None:
    totals = found.get("totals") or {}
    currency = str(found.get("currency") or "")
    tiles = []
    for key, label in _MEASURES.items():
        value = totals.get(key)
        if value is None or (key.startswith("tokens") and not value):
            continue
        if key == "price":
            tiles.append(("Price", words.number(value, currency), "by the table of prices in the settings"))
        elif key.startswith("bytes"):
            tiles.append((words.plain(label), words.size(value), ""))
        else:
            tiles.append((words.plain(label), words.number(value), ""))
    parts.tiles(tiles)


__all__ = ["ICON", "ORDER", "SECTION", "TITLE", "render"]
