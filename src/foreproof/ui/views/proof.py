"""What was asked of a run, what came of it, and whether each check caught the fault that was planted for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from foreproof.ui import charts, parts, proof_charts, words
from foreproof.ui.client import Client

TITLE, ICON, ORDER, SECTION = "Proof", ":material/verified:", 40, "Trust"
_RANK = {"failed": 0, "not proven": 1, "passed": 2, "not applicable": 3}
_MEANING = {
    "proven": "Nothing that was reported used a row from after its cutoff, and no figure is suspiciously good.",
    "failed": "Do not use these numbers: at least one check found what an honest prediction cannot have.",
    "not proven": "No check found a fault, but at least one could not decide, did not run, or missed its planted fault.",
}
_BADGES = {
    "coverage": "coverage",
    "calibration": "calibration",
    "expected against realised": "PSI",
    "feature drift": "KS",
}
Verdicts = Sequence[Mapping[str, Any]]


def render(client: Client) -> None:
    """Draw the page."""
    project, api = parts.choose(client, served=False)
    run = _run(api, project)
    with st.spinner("Reading the proof"):
        found = api.get(f"/proofs/{run}")
    verdicts: Verdicts = sorted(found["verdicts"], key=lambda one: _RANK.get(one["outcome"], 9))
    if project.get("served") and run in ("served", project["served"].get("run")):
        parts.provenance(project["served"])
    status = str(found.get("status", ""))
    st.markdown(f"**{status}**: {_MEANING.get(status, 'the run ended early: what is here was found before it did.')}")
    if planted := found.get("planted"):
        st.warning(f"The leak {planted} was planted on purpose: this run is never served.", icon=":material/science:")
    if not verdicts:
        parts.empty("Not proven yet", "This run ended before its proof.", "foreproof prove")
        return
    _figures(verdicts)
    _badges(verdicts)
    parts.tabs(
        {
            "Verdicts": lambda: _verdicts(verdicts),
            "Controls": lambda: _controls(verdicts),
            "Curves": lambda: _curves(verdicts),
            "Stability": lambda: _stability(api, verdicts),
            "Drift and coverage": lambda: _drift(verdicts),
        }
    )


def _run(api: Client, project: Mapping[str, Any]) -> str:
    """The run that the address names, else the served one, else the newest."""
    runs = [str(row["run"]) for row in api.get("/runs", limit=200).get("items", [])]
    served = str((project.get("served") or {}).get("run") or "")
    options = list(dict.fromkeys([one for one in (served, *runs) if one]))
    if not options:
        parts.empty("No run yet", "There is nothing to prove.", f"foreproof run -C {api.project}")
        raise parts.Finished
    chosen = st.sidebar.selectbox(
        "Run", options, key="run", bind=parts.BIND, help="The served one first, then the newest"
    )
    return str(chosen or options[0])


def _figures(verdicts: Verdicts) -> None:
    outcomes = [str(one["outcome"]) for one in verdicts]
    tried = [one for one in verdicts if one.get("control_caught") is not None]
    caught = sum(bool(one["control_caught"]) for one in tried)
    tiles = [
        ("Checks passed", f"{outcomes.count('passed')} of {len(verdicts)}", "each check is one question to the run"),
        ("Failed", str(outcomes.count("failed")), "what an honest prediction cannot have"),
        ("Faults caught", f"{caught} of {len(tried)}", "planted ones; a check that misses its own proves nothing"),
    ]
    for one in verdicts:
        inflation = (one.get("evidence") or {}).get("inflation")
        if isinstance(inflation, Mapping):
            note = f"reported {inflation.get('metric')} less that of a replay of the log; 0 is honest"
            tiles.append(("Replay inflation", words.number(float(inflation["estimate"])), note))
        if "looks" in (one.get("evidence") or {}):
            tiles.append(
                ("Looks", str(one["evidence"]["looks"]), "how often these outcomes were judged, this time included")
            )
    parts.tiles(tiles[:5])
    parts.outcomes({name: outcomes.count(name) for name in _RANK})


def _badges(verdicts: Verdicts) -> None:
    """Coverage, calibration, PSI and KS: the figure, and by its colour and mark whether it held."""
    named = {str(one["name"]): one for one in verdicts}
    with st.container(horizontal=True):
        for name, label in _BADGES.items():
            one = named.get(name)
            if one is not None and one.get("figure") is not None:
                colour, mark = parts.PROOFS.get(str(one["outcome"]), ("gray", ":material/circle:"))
                limit = f", limit {words.number(one['limit'])}" if one.get("limit") is not None else ""
                text = f"{label} {words.number(one['figure'])}{limit}"
                st.badge(text, icon=mark, color=colour, help=f"{one['outcome']}: {one.get('words')}")


def _verdicts(verdicts: Verdicts) -> None:
    wanted = st.pills(
        "Show only",
        list(_RANK),
        selection_mode="multi",
        key="outcome",
        bind=parts.BIND,
        help="nothing chosen: all of them",
    )
    rows = [
        {
            "verdict": f"{parts.MARKS.get(str(one['outcome']), '')}",
            "check": one["name"],
            "tier": one.get("tier"),
            "what was found": one.get("words"),
            "warning": one.get("warning") or "",
            "figure": words.number(one.get("figure")),
            "limit": words.number(one.get("limit")),
            "p": words.number(one.get("p")),
        }
        for one in verdicts
        if not wanted or one["outcome"] in wanted
    ]
    config = {
        "what was found": st.column_config.TextColumn(width="large"),
        "verdict": st.column_config.TextColumn(width="small"),
    }
    parts.table(
        rows, empty_words="No check ended so.", column_config=config, height=min(620, 38 + 35 * max(1, len(rows)))
    )


def _controls(verdicts: Verdicts) -> None:
    st.write(
        "Each check ran beside a fault that was planted for it in the same run. One that misses its fault proves nothing."
    )
    said = {True: "caught", False: "NOT caught", None: "not tried"}
    rows = [
        {
            "check": one["name"],
            "planted fault": one.get("control") or "-",
            "came of it": said.get(one.get("control_caught"), "not tried"),
            "why not": "" if one.get("control_caught") is not None else str(one.get("words") or ""),
        }
        for one in verdicts
    ]
    parts.table(
        rows,
        height=min(620, 38 + 35 * len(rows)),
        column_config={"why not": st.column_config.TextColumn(width="large")},
    )


def _curves(verdicts: Verdicts) -> None:
    held = {str(one["name"]): proof_charts.drawn(one) for one in verdicts}
    held = {name: figures for name, figures in held.items() if figures and name != "stability"}
    if not held:
        parts.empty(
            "No curve",
            "The statistical checks could not judge these data: fewer than ten entities with a label, or too little history.",
        )
        return
    by_name = {str(one["name"]): one for one in verdicts}
    columns = st.columns(2)
    place = 0
    for name, figures in held.items():
        for number, (chart, caption) in enumerate(figures):
            with columns[place % 2], st.container(border=True):
                st.markdown(f"**{words.plain(name)}**")
                parts.outcome(str(by_name[name]["outcome"]))
                charts.show(chart, alt_text=caption, key=f"curve_{name}_{number}")
                st.caption(caption)
            place += 1


def _stability(api: Client, verdicts: Verdicts) -> None:
    """The stability check's own chart, and importance by cutoff where the service has it."""
    own = next((one for one in verdicts if one["name"] == "stability"), None)
    for chart, caption in proof_charts.drawn(own) if own else []:
        charts.show(chart, alt_text=caption, key="stability_chart")
        st.caption(caption)
    found = parts.attempt(lambda: api.get("/stability"), missing="The stability check could not judge these data.")
    rows = (found or {}).get("rows") or (found or {}).get("items") or []
    if rows and {"cutoff", "feature"} <= set(rows[0]):
        value = (
            "importance"
            if "importance" in rows[0]
            else next(key for key, held in rows[0].items() if isinstance(held, float))
        )
        top: dict[str, float] = {}
        for row in rows:
            top[row["feature"]] = max(top.get(row["feature"], 0.0), abs(row[value] or 0.0))
        best = sorted(top, key=lambda name: -top[name])[:6]
        points = [
            {
                "cutoff": words.instant(row["cutoff"]) or row["cutoff"],
                "importance": row[value],
                "feature": row["feature"],
            }
            for row in rows
            if row["feature"] in best
        ]
        chart = charts.lines(points, x="cutoff", y="importance", by="feature", titles=("cutoff", "importance"))
        charts.show(chart, alt_text="Importance of features by cutoff", key="stability_lines")
    if own is None or not (own.get("evidence") or {}).get("importance"):
        if own is not None:
            st.caption(f":material/info: {parts.escape(str(own.get('words')))}")
    else:
        parts.table(own["evidence"]["importance"])


def _drift(verdicts: Verdicts) -> None:
    """Drift of features (PSI and KS where they were measured), coverage and calibration: the badges of the numbers."""
    named = {str(one["name"]): one for one in verdicts}
    for name in ("coverage", "calibration", "feature drift", "base rate", "expected against realised"):
        if name in named:
            one = named[name]
            with st.container(horizontal=True, vertical_alignment="center"):
                parts.outcome(str(one["outcome"]))
                st.markdown(f"**{name}**: {parts.escape(str(one.get('words')))}")
    drift = (named.get("feature drift", {}).get("evidence") or {}).get("distances") or []
    if drift:
        rows = [
            {"name": row["x"], "value": row["score"], "low": row.get("low"), "high": row.get("high")}
            for row in drift[:15]
        ]
        charts.show(
            charts.spans(rows, title="distance of the last month from those before (0: the same)"),
            alt_text="Drift of features",
            key="drift_chart",
        )
        columns = {key for row in drift for key in row if key.lower() in ("psi", "ks")}
        parts.table(
            [
                {"feature": row["x"], "distance": row["score"], **{k: row.get(k) for k in sorted(columns)}}
                for row in drift
            ]
        )


__all__ = ["ICON", "ORDER", "SECTION", "TITLE", "render"]
