"""What was predicted against what came: scores, coverage and calibration over time, against the plan's thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from foreproof.ui import charts, parts, words
from foreproof.ui.client import Client

TITLE, ICON, ORDER, SECTION = "Monitoring", ":material/monitoring:", 60, "Trust"
Rows = Sequence[Mapping[str, Any]]


def render(client: Client) -> None:
    """Draw the page."""
    project, api = parts.choose(client)
    with st.spinner("Joining predictions with their outcomes"):
        found = api.get("/monitoring/summary")
    here = _mine(found, api.project)
    parts.provenance(here.get("provenance") or project.get("served"))
    alerts = here.get("alerts") or []
    for line in alerts:
        st.warning(parts.escape(str(line)), icon=":material/notifications_active:")
    scored, waiting = int(here.get("scored") or 0), int(here.get("waiting") or 0)
    if not scored:
        waiting += int(here.get("due") or 0)
        for line in here.get("words") or []:
            st.markdown(f"- {parts.escape(str(line))}")
        parts.empty(
            "No outcome has come yet",
            f"{words.many(waiting, 'prediction')} of this project wait for what will have happened. "
            "Load the new facts, then let a job score them:",
            "foreproof load   # then POST /api/v1/jobs with kind score_outcomes, or the page Jobs",
        )
        parts.link("jobs", "Score outcomes on the page Jobs", project=api.project)
        return
    if not alerts:
        st.success("Every figure is within its threshold.", icon=":material/done_all:")
    _figures(here, scored, waiting)
    _calibration(here.get("calibration") or [])
    _over_time(here.get("over_time") or [], here.get("thresholds") or {}, "summary")
    _series(api, project)


def _mine(found: Mapping[str, Any], project: str) -> Mapping[str, Any]:
    """The part of the summary that is about one project, in either form of the answer."""
    held = found.get("projects", found)
    if isinstance(held, list):
        return next((one for one in held if one.get("project") == project), {})
    if isinstance(held, Mapping) and isinstance(held.get(project), Mapping):
        inner: Mapping[str, Any] = held[project]
        return inner
    return found


def _figures(here: Mapping[str, Any], scored: int, waiting: int) -> None:
    tiles = [
        ("Scored", f"{scored:,}", "predictions whose outcome is known"),
        ("Waiting", f"{waiting:,}", "predictions whose outcome is still to come"),
    ]
    coverage = here.get("coverage")
    if isinstance(coverage, int | float):
        tiles.append(("Coverage", words.percent(coverage), "share of outcomes inside the 80% interval"))
    for name, value in list((here.get("scores") or {}).items()):
        if isinstance(value, int | float) and name != "coverage":
            tiles.append((words.plain(name), words.number(float(value)), "of the outcomes that came"))
    parts.tiles(tiles[:10])
    thresholds = here.get("thresholds") or {}
    if isinstance(thresholds, Mapping) and thresholds:
        said = ", ".join(f"{words.plain(str(key)).lower()} {value}" for key, value in thresholds.items())
        st.caption(parts.escape(f"Thresholds of the plan: {said}"))


def _calibration(rows: Rows) -> None:
    if not rows:
        return
    st.markdown("**Calibration**")
    if "level" in rows[0]:
        held = [{"said": row["level"], "seen": row.get("share", row.get("seen")), "n": row.get("n")} for row in rows]
        st.caption(
            "Of each quantile, the share of outcomes at or below it; on the dashed line it is what was promised."
        )
    else:
        held = [
            {"said": row["said"], "seen": row["seen"], "n": row.get("n")} for row in rows if row.get("said") is not None
        ]
        st.caption("Of chances, what was said against what was seen.")
    charts.show(
        charts.calibration(held, said="said", seen="seen"), alt_text="Calibration of outcomes", key="calibration"
    )


def _over_time(rows: Rows, thresholds: Any, key: str) -> None:
    """One line a score over the cutoffs whose outcomes came."""
    if not rows:
        return
    at = next((name for name in ("cutoff", "at", "period") if name in rows[0]), None)
    names = [name for name, value in rows[0].items() if isinstance(value, float) and name != at]
    if at is None or not names:
        parts.table(rows)
        return
    start = names.index("coverage") if "coverage" in names else 0
    name = st.selectbox("Score over time", names, index=start, key=f"score_{key}", bind=parts.BIND) or names[0]
    points = [
        {"cutoff": words.period(when), name: row[name]}
        for row in rows
        if row.get(name) is not None and (when := words.instant(row[at]))
    ]
    if points:
        charts.show(
            charts.lines(points, x="cutoff", y=name, titles=("cutoff", name)),
            alt_text=f"{name} over time",
            key=f"time_{key}",
        )
    with st.expander("As a table"):
        parts.table(rows)


def _series(api: Client, project: Mapping[str, Any]) -> None:
    if project.get("workload") != "forecast":
        return
    names = [str(row["series"]) for row in api.pages("/forecasts")]
    if not names:
        return
    st.subheader("One series", anchor=False)
    series = st.selectbox("Series", names, key="series", bind=parts.BIND) or names[0]
    found = parts.attempt(
        lambda: api.get("/monitoring/series", series=series), missing="No outcome of this series has come yet."
    )
    rows = (found or {}).get("rows") or []
    if not rows:
        st.caption(":material/info: No outcome of this series has come yet.")
        return
    points = []
    for row in rows:
        quantiles = row.get("quantiles") or {
            key.removeprefix("q"): value for key, value in row.items() if key[:2] == "q0"
        }
        when = words.instant(row["at"])
        points.append(
            {"at": words.period(when) if when else row["at"], "y": row.get("y"), **quantiles, "mean": row.get("mean")}
        )
    levels = sorted((key for key in points[0] if key[:1] == "0"), key=float)
    bands = [(levels[0], levels[-1])] if len(levels) > 1 else []
    charts.show(
        charts.fan(points, [{k: v for k, v in point.items() if k != "y"} for point in points], bands, unit="units"),
        alt_text=f"Predicted and true values of {series}",
        key="series_chart",
    )
    inside = [bool(row["inside"]) for row in rows if row.get("inside") is not None]
    if inside:
        st.caption(
            f"{sum(inside)} of {len(inside)} outcomes lay inside the interval. Grey: what came; colour: what was predicted."
        )
    _over_time(found.get("scores") or [] if found else [], {}, "series")


__all__ = ["ICON", "ORDER", "SECTION", "TITLE", "render"]
