"""Every run: its scores, its card, what changed since another one, its files; and which one is served."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from foreproof.ui import charts, parts, words
from foreproof.ui.client import Client, part

TITLE, ICON, ORDER, SECTION = "Runs", ":material/history:", 50, "Trust"
Row = Mapping[str, Any]


def render(client: Client) -> None:
    """Draw the page."""
    project, api = parts.choose(client, served=False)
    with st.spinner("Reading the runs"):
        runs = api.pages("/runs", most=1000)
    if not runs:
        parts.empty("No run yet", "Nothing was run in this project.", f"foreproof run -C {api.project}")
        return
    runs = sorted(runs, key=lambda row: str(row.get("finished") or ""), reverse=True)
    _table(runs)
    ids = [str(row["run"]) for row in runs]
    served = str((project.get("served") or {}).get("run") or "")
    start = ids.index(served) if served in ids else 0
    run = st.selectbox(
        "Run", ids, index=start, key="run", bind=parts.BIND, help="The served one, unless you choose another"
    )
    run = str(run or ids[start])
    parts.tabs(
        {
            "Card": lambda: _card(api, run, next(row for row in runs if row["run"] == run).get("scores") or {}),
            "Difference": lambda: _difference(api, run, ids, served),
            "Tables": lambda: _tables(api, run),
            "Files": lambda: _files(api, run),
            "Ablations": lambda: _ablations(api),
            "Restore": lambda: _restore(api, run, served, next(row for row in runs if row["run"] == run)),
        }
    )


def _table(runs: Sequence[Row]) -> None:
    rows = []
    for row in runs:
        scores = {words.plain(name): value for name, value in list((row.get("scores") or {}).items())[:4]}
        rows.append(
            {
                "run": row["run"],
                "status": row.get("status"),
                "served": bool(row.get("served")),
                "tag": row.get("tag") or "",
                "data to": words.day(row.get("cutoff")),
                "finished": words.moment(row.get("finished")),
                "ended at": row.get("stage"),
                **scores,
            }
        )
    parts.table(rows, height=min(320, 38 + 35 * len(rows)))


def _card(api: Client, run: str, scores: Mapping[str, Any]) -> None:
    cards = parts.attempt(lambda: parts.items(api.get("/cards", run=run)), missing="This run wrote no cards.")
    if not cards:
        st.caption(":material/info: This run judged nothing, so it wrote no card.")
        return
    names = [str(card["name"]) for card in cards]
    start = names.index("all") if "all" in names else 0
    name = st.selectbox("Card of", names, index=start, key="card", bind=parts.BIND) or names[0]
    card = parts.attempt(
        lambda: api.get(f"/cards/{part(name)}", run=run), missing="This run wrote no card of that name."
    )
    if not card:
        return
    card = card.get("card", card)
    with st.container(horizontal=True):
        parts.outcome(str(card.get("status", "not proven")))
        parts.badge(str(card.get("badge", "model")))
        st.badge(f"data to {words.day(card.get('cutoff'))}", icon=":material/event:", color="gray")
    st.write(card.get("intended", ""))
    figures = [one for one in card.get("figures") or [] if one.get("value") is not None]
    # Those of the run's headline first: a card lists all, by name.
    figures.sort(key=lambda one: one["name"] not in scores)
    if figures:
        parts.tiles([_figure(one) for one in figures[:5]])
        if len(figures) > 5:
            with st.expander(f"All {len(figures)} figures"):
                parts.table(figures)
    left, right = st.columns(2)
    with left:
        st.markdown("**How it was made**")
        parts.table([{"what": key, "how": str(value)} for key, value in (card.get("made") or {}).items()])
    with right:
        st.markdown("**What it cannot do**")
        limits = card.get("limits") or ["no limit was found by the checks"]
        st.markdown("\n".join(f"- {parts.escape(str(line))}" for line in limits[:6]))
        if len(limits) > 6:
            with st.expander(f"{len(limits) - 6} more"):
                st.markdown("\n".join(f"- {parts.escape(str(line))}" for line in limits[6:]))
    for title, rows in (card.get("tables") or {}).items():
        if rows:
            with st.expander(words.plain(title)):
                parts.table(rows)
    st.download_button(
        "Card as JSON", json.dumps(card, indent=2), f"card_{name}_{run}.json", "application/json", key="card_json"
    )


def _figure(one: Row) -> tuple[str, str, str]:
    reach = ""
    if one.get("low") is not None:
        reach = f"95%: {words.number(one['low'])} to {words.number(one.get('high'))}; "
    return (
        words.plain(str(one["name"])),
        words.number(one["value"], str(one.get("unit") or "")),
        f"{reach}n = {one.get('n')}",
    )


def _difference(api: Client, run: str, ids: Sequence[str], served: str) -> None:
    others = [one for one in ids if one != run]
    if not others:
        parts.empty(
            "One run only",
            "There is nothing to compare it with. Change the plan or load new data, then run again:",
            "foreproof run",
        )
        return
    start = others.index(served) if served in others else 0
    other = st.selectbox("Compare with", others, index=start, key="with", bind=parts.BIND) or others[0]
    found = parts.attempt(
        lambda: api.get(f"/runs/{part(other)}/diff/{part(run)}"),
        missing="These two runs cannot be compared.",
        doing="Comparing the two runs",
    )
    if not found:
        return
    for line in found.get("words") or []:
        st.markdown(f"- {parts.escape(str(line))}")
    if path := found.get("path"):
        rows = [
            {"at": words.instant(row["at"]) or row["at"], "units": row[which], "run": name}
            for row in path
            for which, name in (("a", other), ("b", run))
            if row.get(which) is not None
        ]
        charts.show(
            charts.lines(rows, x="at", y="units", by="run", titles=("", "all series together")),
            alt_text="Forecasts of both runs",
            key="diff_path",
        )
    for key, held in found.items():
        if isinstance(held, list) and held and isinstance(held[0], Mapping) and key != "path":
            with st.expander(
                f"{words.plain(key)}: {words.many(len(held), 'row')}", expanded=key in ("settings", "scores")
            ):
                parts.table(held)


def _tables(api: Client, run: str) -> None:
    found = parts.attempt(lambda: api.get(f"/runs/{part(run)}/tables"), missing="This run made no tables.")
    names = [str(one["name"]) if isinstance(one, Mapping) else str(one) for one in parts.items(found)]
    if not names:
        st.caption(":material/info: This run made no tables.")
        return
    name = st.selectbox("Table", names, key="table", bind=parts.BIND) or names[0]
    address = f"/runs/{part(run)}/tables/{part(name)}"
    rows = parts.attempt(
        lambda: api.get(address, limit=500), missing="This table is not there.", doing="Reading the table"
    )
    parts.table(parts.items(rows), empty_words="This table has no rows.")
    parts.exports(api, address, key=f"table_{name}", name=f"{name}_{run}")


def _files(api: Client, run: str) -> None:
    files = parts.items(parts.attempt(lambda: api.get(f"/runs/{part(run)}/files"), missing="This run left no files."))
    if not files:
        st.caption(":material/info: This run left no files.")
        return
    rows = [
        {"file": one["path"], "size": words.size(one.get("bytes")), "sha256": one.get("sha256") or ""} for one in files
    ]
    parts.table(rows, height=320)
    paths = [str(one["path"]) for one in files]
    start = paths.index("index.html") if "index.html" in paths else 0
    path = st.selectbox("File to fetch", paths, index=start, key="file", bind=parts.BIND) or paths[0]
    address = f"/runs/{part(run)}/files/" + "/".join(part(one) for one in path.split("/"))
    parts.download(api, f"Download {path}", address, key=f"file_{path}", name=path.rsplit("/", 1)[-1])
    st.caption("index.html is the whole run on one page; verify.py checks the log and these files without the service.")


def _ablations(api: Client) -> None:
    found = parts.attempt(
        lambda: api.get("/ablations"),
        missing="No ablation was recorded: foreproof ablate makes one of a propensity.",
        doing="Reading",
    )
    if found is None:
        return
    listed = parts.items(found)
    if not listed:
        parts.empty(
            "No ablation recorded",
            "An ablation freezes a propensity and judges it without the features that a leak could hide in:",
            "foreproof ablate",
        )
        return
    by_id = {str(one["id"]): one for one in listed}
    chosen = st.selectbox(
        "Ablation",
        list(by_id),
        key="ablation",
        bind=parts.BIND,
        format_func=lambda one: f"{by_id[one]['title']} ({one})",
    )
    one = by_id[chosen or next(iter(by_id))]
    for line in one.get("lines") or []:
        st.markdown(f"- {parts.escape(str(line))}")
    for place, (title, rows) in enumerate((one.get("tables") or {}).items()):
        if rows:
            with st.expander(words.plain(str(title)), expanded=place == 0):
                parts.table(rows)
    st.caption(parts.escape(", ".join(f"{key} {value}" for key, value in (one.get("asked") or {}).items())))


def _restore(api: Client, run: str, served: str, row: Row) -> None:
    if run == served:
        st.success("This run is the served one.", icon=":material/check_circle:")
        return
    proven = row.get("status") == "proven"
    if proven:
        st.write(
            "Its files are checked against the log first; then it becomes the served one. The log keeps both. Needs role admin."
        )
        sure = st.checkbox(f"Serve {run} instead of {served or 'nothing'}", key="sure")
        if (
            st.button(
                "Restore", key="restore", type="primary", disabled=not sure, icon=":material/settings_backup_restore:"
            )
            and parts.attempt(lambda: api.post(f"/runs/{part(run)}/restore"), doing="Checking its files") is not None
        ):
            st.success(f"{run} is served now.")
        return
    st.write(
        "Its proof did not pass. It can be served only by a name and a reason, which the log keeps and every answer tells."
    )
    with st.form("override"):
        name = st.text_input("Who decides")
        reason = st.text_input("Why")
        asked = st.form_submit_button("Serve it all the same", icon=":material/gavel:")
    if asked and not (name and reason):
        st.error("Both the name and the reason are needed.")
    elif asked:
        body = {"name": name, "reason": reason}
        if parts.attempt(lambda: api.post(f"/runs/{part(run)}/override", body), doing="Checking its files") is not None:
            st.success(f"{run} is served now, overridden by {name}.")


__all__ = ["ICON", "ORDER", "SECTION", "TITLE", "render"]
