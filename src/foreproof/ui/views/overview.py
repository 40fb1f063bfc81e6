"""What is served, its proof, its age, and what needs a look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from foreproof.ui import parts, words
from foreproof.ui.client import Client

TITLE, ICON, ORDER, SECTION = "Overview", ":material/dashboard:", 0, "Plan"
_LINKS = {
    "forecast": (("forecasts", "Forecasts and orders"), ("proof", "Proof"), ("monitoring", "Monitoring")),
    "propensity": (("accounts", "Whom to call"), ("groups", "Groups"), ("proof", "Proof")),
}


def render(client: Client) -> None:
    """Draw the page."""
    with st.spinner("Reading what is served"):
        found = client.get("/overview")
    listed = found.get("projects", [])
    if not listed:
        parts.empty(
            "No project yet",
            "The service runs, and has nothing to serve. Make a project where it runs, then reload this page:",
            "foreproof demo forecast   # or: foreproof new forecast DIR --data my.csv && foreproof run -C DIR",
        )
        return
    _attention(found)
    for one in listed:
        _project(one)


def _attention(found: Mapping[str, Any]) -> None:
    said = list(found.get("attention") or [])
    said += [
        f"{one['project']}: {line}"
        for one in found["projects"]
        for line in one.get("attention") or []
        if line not in said
    ]
    said = list(dict.fromkeys(said))
    if not said:
        st.success("Nothing needs a look.", icon=":material/done_all:")
        return
    with st.container(border=True):
        st.subheader(f":material/notifications: {words.many(len(said), 'thing')} to look at", anchor=False)
        for line in said[:8]:
            st.markdown(f"- {parts.escape(line)}")
        if len(said) > 8:
            with st.expander(f"{len(said) - 8} more"):
                for line in said[8:]:
                    st.markdown(f"- {parts.escape(line)}")


def _project(one: Mapping[str, Any]) -> None:
    name, workload = str(one["project"]), str(one.get("workload", ""))
    with st.container(border=True):
        st.subheader(f"{name}", anchor=name)
        served = one.get("served")
        size = _size(one)
        st.caption(f"{workload}{size}")
        if served:
            parts.provenance(served)
            _kpis(one)
            parts.outcomes(one.get("verdicts") or {})
        else:
            st.warning("Nothing is served: no run of this project was proven yet.", icon=":material/visibility_off:")
            st.code(f"foreproof run -C {name}", language="bash")
        if last := one.get("last_run"):
            st.caption(
                f"Last run {last.get('run')}: {last.get('status')}, finished {words.moment(last.get('finished'))}"
            )
        with st.container(horizontal=True):
            for page, label in _LINKS.get(workload, ()):
                parts.link(page, label, project=name)


def _size(one: Mapping[str, Any]) -> str:
    said = [words.many(int(one[key]), word) for key, word in (("series", "series"), ("pairs", "pair")) if one.get(key)]
    said = [line.replace("seriess", "series") for line in said]
    if one.get("horizon"):
        said.append(words.many(int(one["horizon"]), "step") + " ahead")
    return "".join(f" · {line}" for line in said).replace("·", "|")


def _kpis(one: Mapping[str, Any]) -> None:
    kpis = list(one.get("kpis") or [])
    if not kpis:
        kpis = [
            {"name": key, "value": value, "unit": "", "words": "score of past cutoffs"}
            for key, value in (one.get("scores") or {}).items()
        ]
    tiles = []
    for kpi in kpis:
        unit = str(kpi.get("unit") or "")
        value = words.number(kpi.get("value"), unit if unit in ("share", "%") else "")
        said = "" if unit in ("share", "%", "ratio", "money") else f"{unit}: "
        tiles.append((words.plain(str(kpi["name"])), value, f"{said}{kpi.get('words') or ''}"))
    parts.tiles(tiles)


__all__ = ["ICON", "ORDER", "SECTION", "TITLE", "render"]
