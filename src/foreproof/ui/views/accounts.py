"""Whom to call for what: the list, its limits and their prices, and why an account is on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from foreproof.ui import charts, parts, words
from foreproof.ui.client import Client

TITLE, ICON, ORDER, SECTION = "Accounts", ":material/groups:", 20, "Plan"
_ANY = "all"
Items = Sequence[Mapping[str, Any]]


def render(client: Client) -> None:
    """Draw the page."""
    _, api = parts.choose(client, "propensity")
    asked = _filters(api)
    with st.spinner("Reading the list"):
        found = api.get("/propensity/whitespace", limit=1000, **asked)
    items: Items = found["items"]
    parts.provenance(found.get("provenance"))
    if not items and not asked:
        parts.empty(
            "The list is empty",
            "No account passed the limits of the plan's section list: raise top or capacity there, or lower min_chance.",
            "foreproof run",
        )
        return
    if found.get("solved"):
        st.info(
            "The list was solved again under your limits; the published one is unchanged.", icon=":material/calculate:"
        )
    _figures(items, found)
    parts.tabs(
        {
            "List": lambda: _list(api, items, asked, found),
            "Why this account": lambda: _why(api, items),
            "Capacity and prices": lambda: _prices(found, items),
        }
    )


def _filters(api: Client) -> dict[str, Any]:
    """What the reader asks of the list: filters, and limits under which it is solved again; only what differs."""
    known = api.get("/propensity/whitespace", limit=1)
    groups, segments = (
        [str(one) for one in known.get("groups") or []],
        [str(one) for one in known.get("segments") or []],
    )
    columns = st.columns([3, 3, 2, 2, 2, 2])
    group = columns[0].multiselect("Groups", groups, key="group", bind=parts.BIND, placeholder="all")
    segment = columns[1].multiselect("Segments", segments, key="segment", bind=parts.BIND, placeholder="all")
    least = columns[2].slider("Chance at least, %", 0, 100, 0, key="min_chance", bind=parts.BIND)
    capacity = columns[3].number_input(
        "Calls at most", 0, 1_000_000, 0, key="capacity", bind=parts.BIND, help="capacity; 0: as planned"
    )
    cap = columns[4].number_input(
        "Cap of a group, %", 0, 100, 0, key="cap", bind=parts.BIND, help="largest share of the list; 0: as planned"
    )
    each = columns[5].number_input(
        "Of an account", 0, 1000, 0, key="per_account", bind=parts.BIND, help="most calls to one account; 0: as planned"
    )
    given = {
        "group": group,
        "segment": segment,
        "min_chance": least / 100,
        "capacity": int(capacity),
        "cap": cap / 100,
        "per_account": int(each),
    }
    return {name: value for name, value in given.items() if value}


def _figures(items: Items, found: Mapping[str, Any]) -> None:
    buyers = sum(float(row.get("chance") or 0) for row in items)
    money = sum(float(row.get("value") or 0) for row in items)
    heuristic = sum(row.get("badge") == "heuristic" for row in items)
    note = f"{heuristic} of them by a base rate, for want of buyers to learn from" if heuristic else "all by the model"
    parts.tiles(
        [
            ("On the list", f"{int(found.get('total', len(items))):,}", note),
            ("Expected buyers", words.number(buyers), "sum of the chances"),
            (
                "Mean chance",
                words.percent(buyers / len(items)) if items else words.MISSING,
                "of a purchase within the horizon",
            ),
            ("Expected value", words.number(money), "chance times worth, added up"),
        ]
    )


def _list(api: Client, items: Items, asked: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    if not items:
        st.info(
            "Nobody passes these filters: lower the chance, or choose another group.", icon=":material/filter_alt_off:"
        )
        return
    shown = items[:15]
    rows = [
        {
            "name": f"{row.get('rank', place)}. {row['account']} / {row['group']}",
            "value": row["chance"],
            "low": row.get("low"),
            "high": row.get("high"),
        }
        for place, row in enumerate(shown, 1)
    ]
    charts.show(
        charts.spans(rows, title="chance of a purchase, with its 95% interval", share=True),
        alt_text="Chances of the first accounts of the list",
        key="list_chart",
    )
    table = [
        {
            "rank": row.get("rank"),
            "account": row["account"],
            "group": row["group"],
            "segment": row.get("segment"),
            "chance": row["chance"],
            "worth": row.get("worth"),
            "expected": row.get("value"),
            "made by": row.get("badge") or "",
            "reasons": _reasons(row),
        }
        for row in items
    ]
    chance = st.column_config.ProgressColumn("chance", min_value=0.0, max_value=1.0, format="percent")
    money = {name: st.column_config.NumberColumn(name, format="%.2f") for name in ("worth", "expected")}
    wide = st.column_config.TextColumn(width="large")
    parts.table(table, column_config={"chance": chance, "reasons": wide, **money}, height=420)
    if (total := int(found.get("total", len(items)))) > len(items):
        st.caption(f"The first {len(items):,} of {total:,}; the files hold all of them.")
    name = f"whitespace_{found['provenance']['run']}"
    parts.exports(api, "/propensity/whitespace", key="export", name=name, **asked)


def _reasons(row: Mapping[str, Any]) -> str:
    said = row.get("reasons") or row.get("because") or ""
    # The first part repeats rank, chance and worth, which stand beside it.
    return "; ".join(map(str, said[1:] or said)) if isinstance(said, list) else str(said)


def _why(api: Client, items: Items) -> None:
    if not items:
        st.caption(":material/info: Nobody passes these filters.")
        return
    pairs = {f"{row['account']} / {row['group']}": row for row in items}
    chosen = st.selectbox("Account and group", list(pairs), key="why", bind=parts.BIND, help="Type to search")
    row = pairs.get(chosen or "", items[0])
    body = {"account": row["account"], "group": row["group"]}
    answer = parts.attempt(
        lambda: api.post("/propensity/score", body),
        missing="This pair cannot be scored now: it is on the list as published.",
        doing="Asking for the chance and what it is made of",
    )
    said = _reasons(row)
    if answer:
        _score(answer["items"][0] if "items" in answer else answer)
    if said:
        st.markdown(f"**On the list because:** {parts.escape(said)}")


def _score(one: Mapping[str, Any]) -> None:
    tiles = [("Chance", words.percent(one["chance"]), "of a purchase within the horizon")]
    if one.get("low") is not None:
        reach = f"{words.percent(one['low'])} to {words.percent(one['high'])}"
        tiles.append(("95% interval", reach, str(one.get("interval") or "of the share that buys")))
    if one.get("base_rate") is not None:
        tiles.append(("Base rate", words.percent(one["base_rate"]), "of this group: what is said without the model"))
    parts.tiles(tiles)
    parts.badge(str(one.get("badge") or "model"), str(one.get("because") or ""))
    given = [row for row in one.get("contributions") or [] if row.get("contribution") is not None]
    if not given:
        st.caption(":material/info: A base rate has no parts: too few bought here to learn from.")
        return
    given = sorted(given, key=lambda row: -abs(row["contribution"]))[:12]
    rows = [
        {
            "what": str(row.get("words") or row["feature"]),
            "log odds": float(row["contribution"]),
            "its value": words.number(row.get("value"))
            if isinstance(row.get("value"), int | float)
            else str(row.get("value")),
        }
        for row in given
    ]
    charts.show(
        charts.signed(rows, x="log odds", y="what", title="what it adds to the log odds"),
        alt_text="What each feature adds to the chance",
        key="why_chart",
    )


def _prices(found: Mapping[str, Any], items: Items) -> None:
    curve = found.get("curve") or []
    if curve:
        keys = [key for key in ("buyers", "expected", "revenue", "money") if curve[0].get(key) is not None]
        for key in keys[:2]:
            charts.show(
                charts.lines(curve, x="count", y=key, titles=("pairs called", f"expected {key}"), zero=True),
                alt_text=f"Expected {key} against the length of the list",
                key=f"curve_{key}",
            )
    prices = found.get("prices") or []
    st.markdown("**What each limit costs**")
    if not prices:
        st.caption(
            ":material/info: No limit binds: nobody was left out who would have been worth calling under another cap."
        )
    for row in prices:
        text = row.get("words") or f"{row.get('limit')}: one more would bring {words.number(row.get('price'))}"
        st.markdown(f"- {parts.escape(str(text))}")
    caps: dict[str, int] = {}
    for item in items:
        caps[str(item["group"])] = caps.get(str(item["group"]), 0) + 1
    rows = [{"group": group, "pairs": count} for group, count in sorted(caps.items(), key=lambda one: -one[1])]
    if len(rows) > 1:
        st.markdown("**Where the calls go**")
        charts.show(
            charts.bars(rows[:20], x="pairs", y="group", title="pairs on the list"),
            alt_text="Pairs by group",
            key="caps",
        )


__all__ = ["ICON", "ORDER", "SECTION", "TITLE", "render"]
