"""What the service is doing: start a job, see how far it is, stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from foreproof.ui import charts, parts, words
from foreproof.ui.client import ApiError, Client, part

TITLE, ICON, ORDER, SECTION = "Jobs", ":material/conveyor_belt:", 70, "Operate"
_KINDS = {
    "run": "everything: load, train, backtest, prove, publish",
    "load": "load new facts from the plan's sources",
    "train": "fit the models",
    "backtest": "score past origins",
    "prove": "run every check beside its planted fault",
    "publish": "serve the newest proven run",
    "score_outcomes": "compare predictions with what came",
    "features": "compute features ahead",
}
_ENDED = ("done", "failed", "cancelled")


def render(client: Client) -> None:
    """Draw the page."""
    _, api = parts.choose(client, served=False)
    _start(api)
    with st.spinner("Reading the jobs"):
        jobs = api.get("/jobs", limit=200).get("items", [])
    if not jobs:
        parts.empty(
            "No job yet",
            "Start one above. A worker has to run beside the service, or nothing will take it up:",
            "foreproof worker",
        )
    else:
        _table(jobs)
        ids = [str(one["job"]) for one in jobs]
        job = st.selectbox("Job", ids, key="job", bind=parts.BIND, help="The newest, unless you choose another")
        _watched(api, str(job or ids[0]))
    _schedules(api)


def _start(api: Client) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="bottom"):
        kind = st.selectbox("Start a job", list(_KINDS), key="kind", bind=parts.BIND, width=240) or "run"
        st.caption(_KINDS[kind], width=420)
        if st.button("Start", key="start_job", type="primary", icon=":material/play_arrow:"):
            answer = parts.attempt(lambda: api.post("/jobs", {"kind": kind}), doing="Handing it to the workers")
            if answer:
                st.session_state["job"] = str(answer["job"])
                st.toast(f"Job {answer['job']} was started.", icon=":material/check:")


def _table(jobs: list[Mapping[str, Any]]) -> None:
    rows = [
        {
            "job": str(one["job"]),
            "kind": one.get("kind"),
            "project": one.get("project"),
            "status": one.get("status"),
            "at": _progress(one)[1],
            "created": words.moment(one.get("created")),
            "finished": words.moment(one.get("finished")) if one.get("finished") else "",
        }
        for one in jobs
    ]
    parts.table(rows, height=min(300, 38 + 35 * len(rows)))


def _progress(one: Mapping[str, Any]) -> tuple[float, str]:
    """Done as a share, and in words."""
    found = one.get("progress") or {}
    done, total = float(found.get("done") or 0), float(found.get("total") or 0)
    if one.get("status") == "done":
        return 1.0, "done"
    stage = str(found.get("stage") or one.get("status") or "")
    return (min(1.0, done / total) if total else 0.0), f"{stage} {done:.0f} of {total:.0f}" if total else stage


@st.fragment(run_every=2.0)
def _live(api: Client, job: str) -> None:
    """The job again every two seconds, for as long as it runs."""
    try:
        one = api.get(f"/jobs/{part(job)}")
    except ApiError as error:
        parts.problem(error)
        return
    _one(api, one)
    if one.get("status") in _ENDED:
        st.rerun()


def _watched(api: Client, job: str) -> None:
    one = parts.attempt(lambda: api.get(f"/jobs/{part(job)}"), missing="There is no such job.")
    if one is None:
        return
    if one.get("status") in _ENDED:
        _one(api, one)
    else:
        _live(api, job)


def _one(api: Client, one: Mapping[str, Any]) -> None:
    job = str(one["job"])
    share, said = _progress(one)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{one.get('kind')}** of {one.get('project')}")
            parts.outcome(str(one.get("status")))
            if (
                one.get("status") not in _ENDED
                and st.button("Cancel", key=f"cancel_{job}", icon=":material/stop_circle:")
                and parts.attempt(lambda: api.post(f"/jobs/{part(job)}/cancel"), doing="Cancelling") is not None
            ):
                st.caption("It stops at the end of its current step.")
        st.progress(share, text=said)
        if error := one.get("error"):
            said = (
                error
                if isinstance(error, str)
                else ": ".join(str(error[key]) for key in ("object", "found") if error.get(key))
            )
            st.error(parts.escape(said), icon=":material/error:")
            if isinstance(error, Mapping) and error.get("fix"):
                st.info(f"What to do: {parts.escape(str(error['fix']))}")
        if (result := one.get("result")) and isinstance(result, Mapping):
            parts.table([{"what": words.plain(str(key)), "value": str(value)} for key, value in result.items()])
            if result.get("run"):
                parts.link("proof", "Its proof", project=api.project, run=str(result["run"]))
        steps = [
            {"step": row["name"], "seconds": float(row["seconds"])}
            for row in one.get("steps") or []
            if row.get("seconds") is not None
        ]
        if steps:
            charts.show(
                charts.bars(steps, x="seconds", y="step", title="seconds"),
                alt_text="Seconds of each step",
                key=f"steps_{job}",
            )
        with st.expander("Events"):
            events = parts.attempt(
                lambda: api.get(f"/jobs/{part(job)}/events", after=0).get("items", []), missing="No events."
            )
            parts.table(
                [
                    {"at": words.moment(row.get("at")), "event": row.get("event"), "more": _more(row)}
                    for row in (events or [])[-200:]
                ],
                empty_words="No event yet.",
            )


def _more(row: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value}" for key, value in row.items() if key not in ("n", "at", "event") and value not in (None, "")
    )


def _schedules(api: Client) -> None:
    found = parts.attempt(lambda: api.get("/schedules"), missing="No schedule.")
    rows = (found.get("items") or found.get("schedules") or []) if isinstance(found, Mapping) else (found or [])
    with st.expander("Schedules", icon=":material/schedule:"):
        parts.table(rows, empty_words="The plan has no section schedules: jobs start by hand alone.")


__all__ = ["ICON", "ORDER", "SECTION", "TITLE", "render"]
