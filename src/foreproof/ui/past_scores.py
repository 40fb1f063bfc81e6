"""Scores of the past, by series, metric and period, as table and chart."""

from __future__ import annotations

from collections.abc import Sequence

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
    rows = [row for row in (found or {}).get("rows", []) if row.get("value") is not None]
    if not asked:
        rows = [row for row in rows if not row.get("series")] or rows
    dated = [
        {"period": words.period(at), "value": row["value"], "model": row["model"]}
        for row in rows
        if (at := words.instant(row.get("period"))) is not None
    ]
    whole = [row for row in rows if words.instant(row.get("period")) is None]
    if dated:
        charts.show(
            charts.lines(dated, x="period", y="value", by="model", titles=("cutoff that was judged", str(metric))),
            alt_text=f"{metric} by cutoff and model",
            key="scores_line",
        )
    if plain := [row for row in whole if not row.get("period") and bool(row.get("series")) == bool(asked)]:
        shown = sorted(({"model": row["model"], "value": row["value"]} for row in plain), key=lambda row: row["value"])
        charts.show(
            charts.bars(shown, x="value", y="model", title=f"{metric}, all judged periods"),
            alt_text=f"{metric} by model",
            key="scores_bars",
        )
    parts.table(rows, empty_words="No score of this name; choose another metric or series.")


__all__ = ["draw"]
