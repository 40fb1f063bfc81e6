"""Scores of the past, by series, metric and period, as table and chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from foreproof.ui import charts, parts, words
from foreproof.ui.client import Client

_ALL = "all series together"


def draw(api: Client, names: Sequence[str], series: str = "") -> None:
    """Choose metric and series; a line over the periods, bars by model, and the rows."""
    first = parts.attempt(
        lambda: api.get("/metrics/historical"), missing="The run was not judged.", doing="Reading scores"
    )
    if not first:
        return
    metrics = [str(one) for one in first.get("metrics") or sorted({row["metric"] for row in first["rows"]})]
    if not metrics:
        st.caption(":material/info: The run was not judged, so there are no scores.")
        return
    preferred = next((one for one in ("mase", "wape", "auc", "pinball") if one in metrics), metrics[0])
    left, right = st.columns(2)
    metric = left.selectbox("Metric", metrics, index=metrics.index(preferred), key="metric", bind=parts.BIND)
    options = [_ALL, *names]
    whose = right.selectbox("Scores of", options, index=0, key="scores_of", bind=parts.BIND)
    asked = "" if whose in (None, _ALL) else str(whose)
    found = parts.attempt(lambda: api.get("/metrics/historical", metric=metric, series=asked), doing="Reading scores")
    each = parts.attempt(
        lambda: api.get("/metrics/historical", metric=metric, series=asked, period="all"),
        missing="This metric is not kept by period.",
    )
    rows = [row for row in parts.items(found) if row.get("value") is not None]
    by_period = [row for row in parts.items(each) if row.get("value") is not None and row.get("period")]
    if not asked:
        by_period = [row for row in by_period if not row.get("series")] or by_period
    _bars(rows, str(metric))
    _lines(by_period, str(metric))
    shown = [*rows, *(row for row in by_period if row not in rows)]
    told = [key for key in (shown[0] if shown else {}) if any(row.get(key) is not None for row in shown)]
    parts.table(
        [{key: row.get(key) for key in told} for row in shown],
        empty_words="No score of this name; choose another metric or series.",
    )


def _bars(rows: Sequence[Mapping[str, Any]], metric: str) -> None:
    """Each model over all periods."""
    bars = sorted(({"model": row["model"], "value": row["value"]} for row in rows), key=lambda row: row["value"])
    if bars:
        chart = charts.bars(bars[:30], x="value", y="model", title=f"{words.plain(metric)}, all judged periods")
        charts.show(chart, alt_text=f"{metric} by model", key="scores_bars")


def _lines(rows: Sequence[Mapping[str, Any]], metric: str) -> None:
    """Each model over the cutoffs that were judged, and over the steps of the horizon."""
    dated, steps = [], []
    for row in rows:
        said = str(row["period"])
        if (at := words.instant(said)) is not None:
            dated.append({"cutoff": words.period(at), "value": row["value"], "model": row["model"]})
        elif said.startswith("step ") and said[5:].isdigit():
            steps.append({"step": int(said[5:]), "value": row["value"], "model": row["model"]})
    for held, x, title in ((dated, "cutoff", "cutoff that was judged"), (steps, "step", "step ahead")):
        if held:
            chart = charts.lines(held, x=x, y="value", by="model", titles=(title, words.plain(metric)))
            charts.show(chart, alt_text=f"{metric} by {x} and model", key=f"scores_{x}")


__all__ = ["draw"]
