"""What if a plan were another one: kept scenarios, their effect, and a form that makes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
import yaml

from foreproof.ui import charts, parts, words
from foreproof.ui.client import ApiError, Client, part

_HOW = {"times": "multiply by", "set": "set to", "add": "add"}
_NUMERIC = ("decimal", "integer", "float", "number")


def draw(api: Client, project: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """The scenarios of a project, and one more."""
    kept = parts.attempt(lambda: api.get("/scenarios").get("items", []), missing="Scenarios are not to be had here.")
    if kept is None:
        return
    plans = _plans(api, str(found["provenance"]["run"]))
    if kept:
        names = [str(one["name"]) for one in kept]
        name = st.selectbox("Scenario", names, key="scenario", bind=parts.BIND) or names[0]
        _kept(api, next(one for one in kept if one["name"] == name))
    elif not plans:
        parts.empty(
            "No plan to change",
            "A scenario changes columns of tables that are known ahead, such as promotions or prices. This project's "
            "plan has none: mark such a table with ahead: true in foreproof.yaml.",
        )
        return
    else:
        st.caption(":material/info: No scenario was kept yet. Make the first one below.")
    if plans:
        _form(api, plans, int(project.get("horizon") or 1), found.get("entity") or {})


def _plans(api: Client, run: str) -> dict[str, list[str]]:
    """The numeric columns of the tables that are known ahead, from the plan as it was run."""
    try:
        plan = yaml.safe_load(api.download(f"/runs/{run}/files/plan_resolved.yaml").body)
    except (ApiError, yaml.YAMLError):
        return {}
    tables = (plan.get("tables") or {}) if isinstance(plan, dict) else {}
    found: dict[str, list[str]] = {}
    for name, table in tables.items():
        if table.get("ahead"):
            columns = [key for key, kind in (table.get("columns") or {}).items() if _is_number(kind)]
            found |= {str(name): columns} if columns else {}
    return found


def _is_number(kind: Any) -> bool:
    said = kind.get("type") if isinstance(kind, dict) else kind
    return str(said) in _NUMERIC


def _kept(api: Client, one: Mapping[str, Any]) -> None:
    name = str(one["name"])
    if one.get("author") or one.get("reason"):
        st.caption(parts.escape(f"{one.get('author', '')}: {one.get('reason', '')}"))
    st.markdown("\n".join(f"- {parts.escape(_said(change))}" for change in one.get("overrides", [])))
    result = parts.attempt(
        lambda: api.get(f"/scenarios/{part(name)}"), missing="It was not run yet.", doing="Reading the last result"
    )
    if result and result.get("result"):
        _result(result["result"])
    elif result:
        st.caption(":material/info: It was not run yet.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        price = st.number_input("Money a unit brings (0: as in the plan)", 0.0, value=0.0, key="price", width=280)
        if st.button("Run it", key="run_scenario", type="primary", icon=":material/play_arrow:"):
            body = {"price": price} if price else {}
            answer = parts.attempt(lambda: api.post(f"/scenarios/{part(name)}/run", body), doing="Starting")
            if answer and answer.get("job"):
                st.success(f"Job {answer['job']} was started.")
                parts.link("jobs", "See how it goes", project=api.project, job=str(answer["job"]))
            elif answer:
                st.rerun()
        gone = st.button("Remove it", key="remove_scenario", icon=":material/delete:")
        if gone and parts.attempt(lambda: api.delete(f"/scenarios/{part(name)}")) is not None:
            st.rerun()


def _said(change: Mapping[str, Any]) -> str:
    how, value = next(((words_, change[key]) for key, words_ in _HOW.items() if change.get(key) is not None), ("", ""))
    steps = change.get("steps") or []
    where = "; ".join(f"{key} = {', '.join(map(str, values))}" for key, values in (change.get("where") or {}).items())
    reach = f" in steps {steps[0]} to {steps[-1]}" if steps else ""
    return f"{change.get('table')}.{change.get('column')}: {how} {value}{reach}" + (f", where {where}" if where else "")


def _result(result: Mapping[str, Any]) -> None:
    effect = result.get("effect") or {}
    tiles = []
    if effect.get("units") is not None:
        reach = f"95%: {words.number(effect.get('low'))} to {words.number(effect.get('high'))}"
        tiles.append(("Difference in units", words.number(effect["units"]), reach))
        tiles.append(("95% interval", reach.removeprefix("95%: "), "what the members do not know about the effect"))
    if effect.get("money") is not None:
        tiles.append(("Difference in money", words.number(effect["money"]), "over the horizon"))
    if tiles:
        parts.tiles(tiles)
    for line in result.get("warnings") or []:
        st.warning(parts.escape(str(line)), icon=":material/warning:")
    _path(result.get("path") or [])
    for line in result.get("words") or []:
        st.markdown(f"- {parts.escape(str(line))}")
    for name, title in (("orders", "Orders under both"), ("series", "By series"), ("support", "Support")):
        if rows := result.get(name):
            with st.expander(title):
                parts.table(rows)


def _path(path: Sequence[Mapping[str, Any]]) -> None:
    """The baseline and the scenario over the steps."""
    if not path or not {"baseline", "scenario"} <= set(path[0]):
        parts.table(path, empty_words="The result holds no path.")
        return
    sums: dict[Any, dict[str, float]] = {}
    for row in path:
        held = sums.setdefault(row.get("step", row.get("at")), {"baseline": 0.0, "scenario": 0.0})
        for who in held:
            held[who] += float(row[who] or 0)
    rows = [{"step": at, "units": value, "plan": who} for at, held in sums.items() for who, value in held.items()]
    charts.show(
        charts.lines(rows, x="step", y="units", by="plan", titles=("step", "units, all series that change")),
        alt_text="Baseline and scenario over the steps",
        key="scenario_path",
    )


def _form(api: Client, plans: Mapping[str, Sequence[str]], most: int, entity: Mapping[str, Any]) -> None:
    with st.expander("Make a scenario", icon=":material/tune:", expanded=False):
        left, right = st.columns(2)
        table = left.selectbox("Table that is known ahead", list(plans), key="change_table")
        column = right.selectbox("Column", plans[table or next(iter(plans))], key="change_column")
        how = left.segmented_control(
            "Change", list(_HOW), default="times", format_func=_HOW.__getitem__, key="change_how", required=True
        )
        if how == "times":
            value = right.slider("by a factor of", 0.5, 1.5, 0.95, 0.01, key="change_times")
        else:
            value = right.number_input("by" if how == "add" else "to", value=1.0, key="change_value")
        steps = left.slider("in steps", 1, most, (1, most), key="change_steps") if most > 1 else (1, 1)
        own = " and ".join(f"{key} = {held}" for key, held in entity.items())
        only = right.selectbox("for", ["all series", own] if own else ["all series"], key="change_where")
        name = left.text_input("Name", key="change_name", placeholder="price 5% lower")
        author = right.text_input("Who asks", key="change_author", placeholder="demand planning")
        reason = st.text_input("Why", key="change_reason", placeholder="a competitor opens next door")
        if not st.button("Keep it", key="keep_scenario", type="primary", icon=":material/save:"):
            return
        if not (name and author and reason):
            st.error("Name, who asks and why are part of the record: fill in all three.")
            return
        where = {key: [held] for key, held in entity.items()} if only != "all series" else {}
        change = {"table": table, "column": column, how or "times": value, "steps": list(steps), "where": where}
        body = {"name": name, "author": author, "reason": reason, "overrides": [change]}
        if parts.attempt(lambda: api.post("/scenarios", body), doing="Keeping it") is not None:
            st.session_state["scenario"] = name
            st.rerun()


__all__ = ["draw"]
