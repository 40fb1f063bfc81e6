"""Each product group on its own: how good its chances are, where a list should end, and what it would catch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from foreproof.ui import charts, parts, words
from foreproof.ui.client import Client, part

TITLE, ICON, ORDER, SECTION = "Groups", ":material/category:", 30, "Plan"
_NAMES = {
    "auc": ("AUC", "the chance that a buyer ranks above a non-buyer; 0.5 is a coin"),
    "pr_auc": ("PR-AUC", "precision averaged over recall; the base rate is a coin"),
    "brier": ("Brier", "mean squared error of the chances; less is better"),
    "lift10": ("Lift at 10%", "buyers in the first tenth, times what chance would find"),
    "capture10": ("Capture at 10%", "share of all buyers in the first tenth"),
    "calibration_mae": ("Calibration error", "mean distance of said and seen"),
}
Rows = Sequence[Mapping[str, Any]]


def render(client: Client) -> None:
    """Draw the page."""
    _, api = parts.choose(client, "propensity")
    cards = parts.items(parts.attempt(lambda: api.get("/cards"), missing="This run wrote no cards."))
    names = ["all", *sorted({str(card.get("group") or "") for card in cards} - {"", "all"})]
    left, right = st.columns(2)
    group = left.selectbox("Group", names, key="group", bind=parts.BIND) or "all"
    segment = right.selectbox("Pairs", _SEGMENTS, key="segment", bind=parts.BIND, help=_MEANS) or _SEGMENTS[0]
    with st.spinner("Reading how it was judged"):
        found = parts.attempt(
            lambda: api.get(f"/propensity/groups/{part(group)}", segment=segment),
            missing="This group was not judged for such pairs: too few of them at past cutoffs, or a run of an earlier version.",
        )
    if not found:
        return
    parts.provenance(found.get("provenance"))
    _badge(found, cards, group)
    _figures(found)
    left, right = st.columns(2)
    with left:
        _reliability(found.get("reliability") or [])
    with right:
        _capture(found.get("capture") or [], found.get("base_rate"))
    _thresholds(found.get("thresholds") or [], found.get("base_rate"))


def _badge(found: Mapping[str, Any], cards: Sequence[Mapping[str, Any]], group: str) -> None:
    chosen = found.get("chosen") or {}
    card = next((one for one in cards if (one.get("group") or "all") == group), {})
    made = str(chosen.get("badge") or card.get("badge") or "")
    if not made:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        note = "learned from buyers of this group" if made == "model" else "too few buyers to learn from: the base rate"
        parts.badge(made, note)
        said = [f"{key} {chosen[key]}" for key in ("policy", "estimator", "calibrator") if chosen.get(key)]
        if said:
            st.caption(parts.escape(f"{', '.join(said)}: {chosen.get('why') or note}"))


def _figures(found: Mapping[str, Any]) -> None:
    metrics, intervals = found.get("metrics") or {}, found.get("intervals") or {}
    tiles = []
    for key, (label, note) in _NAMES.items():
        if metrics.get(key) is None:
            continue
        if reach := intervals.get(key):
            note = f"{note}; 95%: {words.number(reach[0])} to {words.number(reach[1])}"
        tiles.append((label, words.percent(metrics[key]) if key in _SHARES else words.number(metrics[key]), note))
    if found.get("base_rate") is not None:
        pairs, buyers = int(found.get("pairs") or 0), float(found.get("buyers") or 0)
        tiles.append(("Base rate", words.percent(found["base_rate"]), f"{buyers:,.0f} of {pairs:,} past pairs bought"))
    if found.get("yield") is not None:
        tiles.append(("Yield of the first tenth", words.percent(found["yield"]), "share of those called that bought"))
    if len(tiles) < 3:
        st.info("Nobody bought here, or everybody did: there is nothing to rank.", icon=":material/info:")
    parts.tiles(tiles)


def _reliability(rows: Rows) -> None:
    st.markdown("**Said against seen**")
    if not rows:
        st.caption(":material/info: Too few pairs to compare what was said with what was seen.")
        return
    chart = charts.calibration(rows, said="mean_p", seen="mean_y", count="n")
    charts.show(chart, alt_text="Chances that were said against shares that bought", key="calibration")
    st.caption("On the dashed line, of those given a chance of 20%, 20% bought. Bars: 95% intervals.")


def _capture(rows: Rows, rate: float | None) -> None:
    st.markdown("**What a list would catch**")
    if len(rows) < 2:
        st.caption(":material/info: Nobody bought here at past cutoffs, so nothing could be caught.")
        return
    chart = charts.capture(rows, x="share", y="capture", base=rate)
    charts.show(chart, alt_text="Share of buyers reached by share of accounts called", key="capture")
    said = f" Dotted: the base rate, {words.percent(rate)}; a perfect list has caught all by there." if rate else ""
    st.caption(f"The best pairs first, against calling at random (dashed).{said}")


def _thresholds(rows: Rows, rate: float | None) -> None:
    st.markdown("**Where to end a list: threshold, yield and capture**")
    if rows:
        bars = [{"best share": f"{row['share']:.0%}", "yield": row["yield"], "capture": row["capture"]} for row in rows]
        chart = charts.bars(bars, x="yield", y="best share", title="yield: share of that tenth that bought", share=True)
        if rate:
            chart = charts.with_mark(chart, float(rate), f"base rate {words.percent(rate)}")
        charts.show(chart, alt_text="Yield of each tenth", key="yield")
    shown = [
        {
            "call the best": f"{row['share']:.0%}",
            "threshold": words.percent(row.get("least")),
            "yield of that tenth": words.percent(row["yield"]),
            "buyers reached so far": words.percent(row["capture"]),
        }
        for row in rows
    ]
    parts.table(shown, empty_words="No threshold: nobody was listed.")


_SHARES = ("capture10",)
_SEGMENTS = ("whitespace", "repeat", "pooled")
_MEANS = "whitespace: not bought before; repeat: bought before; pooled: all of them"

__all__ = ["ICON", "ORDER", "SECTION", "TITLE", "render"]
