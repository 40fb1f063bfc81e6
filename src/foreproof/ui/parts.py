"""What pages share: the project that is looked at, what stands beside every answer, empty states, errors, downloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import streamlit as st

from foreproof.ui import charts, words
from foreproof.ui.client import ApiError, Client

BIND: Literal["query-params"] = "query-params"
"""Widgets with this and a key keep their value in the page's address, both ways."""
Answer = TypeVar("Answer")
Colour = Literal["green", "red", "orange", "gray", "blue"]


class Finished(Exception):
    """The page said what there is to say; nothing more is drawn."""


PROOFS: Mapping[str, tuple[Colour, str]] = {
    "proven": ("green", ":material/verified:"),
    "passed": ("green", ":material/check_circle:"),
    "done": ("green", ":material/check_circle:"),
    "failed": ("red", ":material/cancel:"),
    "not proven": ("orange", ":material/help:"),
    "not applicable": ("gray", ":material/do_not_disturb_on:"),
    "cancelled": ("gray", ":material/block:"),
    "running": ("blue", ":material/progress_activity:"),
    "queued": ("gray", ":material/schedule:"),
}
"""Colour and mark of each outcome; the mark says it again for those who see no colour."""
MARKS = {"passed": "pass", "failed": "FAIL", "not proven": "open", "not applicable": "n/a"}
_HOW = {
    "forecast": "foreproof new forecast DIR --data my.csv && foreproof run -C DIR   # or: foreproof demo forecast",
    "propensity": "foreproof new propensity DIR --data my.csv && foreproof run -C DIR   # or: foreproof demo propensity",
    "": "foreproof demo forecast   # or: foreproof new forecast DIR --data my.csv && foreproof run -C DIR",
}


def projects(client: Client, workload: str = "") -> list[dict[str, Any]]:
    """The tenant's projects, of one workload where it is named, as GET /overview lists them."""
    listed: list[dict[str, Any]] = client.get("/overview").get("projects", [])
    return [one for one in listed if not workload or one.get("workload") == workload]


def choose(client: Client, workload: str = "", *, served: bool = True) -> tuple[dict[str, Any], Client]:
    """The project that the sidebar names, and a client of it; an empty state instead where there is none.

    served: also stop where the project has published nothing yet.
    """
    listed = {str(one["project"]): one for one in projects(client, workload)}
    if not listed:
        kind = f"{workload} project" if workload else "project"
        empty(
            f"No {kind} yet", f"This page shows a {kind} that was run. Make one where the service runs:", _HOW[workload]
        )
        raise Finished
    remembered = st.session_state.get(f"last project {workload}")
    if st.session_state.get("project") not in listed:
        st.session_state.pop("project", None)
    names = list(listed)
    start = names.index(remembered) if remembered in listed else 0
    name = st.sidebar.selectbox(
        "Project", names, index=start, key="project", bind=BIND, help="Whose runs this page shows"
    )
    name = name if name in listed else names[0]
    st.session_state[f"last project {workload}"] = name
    chosen = listed[name]
    if served and not chosen.get("served"):
        empty(
            "Nothing is served yet",
            f"{name} has no run that was proven from end to end, or overridden by name. Run it, then look at its proof:",
            f"foreproof run -C {name}",
        )
        raise Finished
    return chosen, client.of(name)


def provenance(found: Mapping[str, Any] | None) -> None:
    """The line beside every answer: proof, run, cutoff, age of the data, and who overrode the proof."""
    if not found:
        return
    proof = str(found.get("proof", "not proven"))
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        outcome(proof)
        st.badge(f"run {found.get('run', '-')}", icon=":material/tag:", color="gray")
        st.badge(f"data to {words.day(found.get('cutoff'))}", icon=":material/event:", color="gray")
        st.badge(f"{words.age(found.get('data_age_seconds'))} old", icon=":material/hourglass_empty:", color="gray")
        if found.get("leaf") is not None:
            st.badge(f"leaf {found['leaf']} of the log", icon=":material/account_tree:", color="gray")
    if said := found.get("overridden"):
        since = words.day(said.get("since"))
        st.warning(
            f"Served without a passing proof: {said.get('name')} decided so on {since}, because: {said.get('reason')}",
            icon=":material/gavel:",
        )


def outcome(name: str, *, note: str = "") -> None:
    """A badge with an outcome, by word, mark and colour."""
    colour, mark = PROOFS.get(name, ("gray", ":material/circle:"))
    st.badge(f"{name} {note}".strip(), icon=mark, color=colour)


def badge(name: str, note: str = "") -> None:
    """What made a number: `model` or `heuristic`, or any other fact in one word, with a sentence for the pointer."""
    colour, mark = {"model": ("blue", ":material/model_training:"), "heuristic": ("orange", ":material/rule:")}.get(
        name, ("gray", ":material/label:")
    )
    st.badge(name, icon=mark, color=colour, help=note or None)  # type: ignore[arg-type]


def empty(title: str, text: str, code: str = "") -> None:
    """A state without data: what is missing and what to do."""
    with st.container(border=True):
        st.subheader(f":material/inbox: {title}", anchor=False)
        st.write(text)
        if code:
            st.code(code, language="bash")


def problem(error: ApiError) -> None:
    """An error in words: what, found, wanted, and the fix."""
    said = [error.title]
    if error.found and error.found not in error.title:
        said.append(f"Found: {error.found}.")
    if error.wanted and error.wanted not in error.title:
        said.append(f"Wanted: {error.wanted}.")
    st.error("  \n".join(escape(one) for one in said), icon=":material/error:")
    if error.fix:
        st.info(f"What to do: {escape(error.fix)}", icon=":material/build:")
    if error.status == 0:
        st.code("foreproof serve   # in the folder with your projects\nforeproof ui", language="bash")
        st.button("Try again", key="try_again", icon=":material/refresh:")
    if error.instance:
        st.caption(f"The service's log has this call under id {error.instance}.")


def attempt(call: Callable[[], Answer], *, missing: str = "", doing: str = "") -> Answer | None:
    """An answer, or its error in words and None; missing: what to say instead where the service has nothing (404)."""
    try:
        if doing:
            with st.spinner(doing):
                return call()
        return call()
    except ApiError as error:
        if error.status in (404, 409) and missing:
            st.caption(f":material/info: {missing}")
        else:
            problem(error)
        return None


def download(client: Client, label: str, path: str, *, key: str, name: str, **params: Any) -> None:
    """A button that fetches a file when it is clicked, not before."""

    def fetch() -> bytes:
        return client.download(path, **params).body

    st.download_button(label, fetch, file_name=name, key=key, icon=":material/download:", on_click="ignore")


def exports(client: Client, path: str, *, key: str, name: str, **params: Any) -> None:
    """Buttons for a table as CSV, Parquet and Arrow."""
    with st.container(horizontal=True, gap="small"):
        for kind in ("csv", "parquet", "arrow"):
            download(client, kind.upper(), path, key=f"{key}_{kind}", name=f"{name}.{kind}", format=kind, **params)


def table(rows: Sequence[Mapping[str, Any]], *, empty_words: str = "Nothing here.", **options: Any) -> None:
    """Rows as a table that sorts and searches; words where there are none."""
    if not rows:
        st.caption(f":material/info: {empty_words}")
        return
    st.dataframe([dict(row) for row in rows], hide_index=True, **options)


def items(found: Any) -> list[Any]:
    """The rows of an answer: a list, or what a page of one holds."""
    if isinstance(found, Mapping):
        found = next((found[key] for key in ("items", "rows") if key in found), [])
    return list(found or [])


def tiles(found: Sequence[tuple[str, str, str]]) -> None:
    """Large figures side by side: label, value, and under it what it is; more than five stand in rows of equal length."""
    rows = max(1, -(-len(found) // 5))
    wide = -(-len(found) // rows)
    for start in range(0, len(found), wide):
        for column, (label, value, note) in zip(st.columns(wide), found[start : start + wide], strict=False):
            with column.container(border=True, height="stretch", gap=None):
                st.metric(label, value)
                if note:
                    st.caption(escape(note))


def outcomes(counts: Mapping[str, int]) -> None:
    """One bar cut by outcome, with the counts in words under it."""
    held = [(name, counts[name]) for name in MARKS if counts.get(name)]
    said = ", ".join(f"{count} {name}" for name, count in held)
    colours = charts.palette()
    shades = dict(zip(MARKS, (colours.good, colours.bad, colours.other, colours.quiet), strict=True))
    bars = "".join(
        f'<div style="flex:{count};background:{shades[name]}" title="{count} {name}"></div>' for name, count in held
    )
    style = "display:flex;gap:2px;height:12px;border-radius:6px;overflow:hidden"
    st.html(f'<div role="img" aria-label="{said}" style="{style}">{bars}</div>')
    st.caption(f"Checks: {said}")


def tabs(drawers: Mapping[str, Callable[[], None]]) -> None:
    """Tabs of which the one that is open is drawn, and stands in the address."""
    for tab, draw in zip(st.tabs(list(drawers), key="tab", bind=BIND), drawers.values(), strict=True):
        if tab.open:
            with tab:
                draw()


def link(page: str, label: str, **query: str) -> None:
    """A link to another page, with its state."""
    pages = st.session_state.get("pages", {})
    if page in pages:
        st.page_link(pages[page], label=label, query_params={k: v for k, v in query.items() if v} or None)


def escape(text: str) -> str:
    """Text from outside as text, not as Markdown."""
    for mark in "\\`*_{}[]<>#$~|:":
        text = text.replace(mark, f"\\{mark}")
    return text


__all__ = [
    "BIND",
    "MARKS",
    "PROOFS",
    "Finished",
    "attempt",
    "badge",
    "choose",
    "download",
    "empty",
    "escape",
    "exports",
    "items",
    "link",
    "outcome",
    "outcomes",
    "problem",
    "projects",
    "provenance",
    "table",
    "tabs",
    "tiles",
]
