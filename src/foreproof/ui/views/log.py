"""The log: its checkpoint, its leaves, and the proof that a leaf is in it, worked out on this page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from foreproof.ui import parts, verify, words
from foreproof.ui.client import Client

TITLE, ICON, ORDER, SECTION = "Log", ":material/account_tree:", 90, "Trust"
_SHOWN = 50


def render(client: Client) -> None:
    """Draw the page."""
    project, api = parts.choose(client, served=False)
    with st.spinner("Reading the log"):
        head = api.get("/log/checkpoint")
    size = int(head["size"])
    if not size:
        parts.empty("The log is empty", "The first run writes its first leaves.", f"foreproof run -C {api.project}")
        return
    _head(head, size)
    served = (project.get("served") or {}).get("leaf")
    start = int(served) if isinstance(served, int) and 0 <= served < size else size - 1
    leaf = st.number_input(
        "Leaf to verify",
        0,
        size - 1,
        start,
        key="leaf",
        bind=parts.BIND,
        help="the served run's leaf, unless you choose another",
    )
    _verified(api, head, int(leaf), size)
    _leaves(api, size)


def _head(head: Mapping[str, Any], size: int) -> None:
    parts.tiles([("Leaves", f"{size:,}", "runs, verdicts, promotions, overrides, decisions, writes")])
    try:
        signed = verify.is_signed(verify.read_checkpoint(str(head["text"])), str(head.get("key") or ""))
    except (ValueError, KeyError, IndexError):
        signed = False
    if signed:
        st.success("The checkpoint is signed by the log's key: checked here, with Ed25519.", icon=":material/key:")
    else:
        st.error(
            "The checkpoint is NOT signed by the key that the service names. Trust nothing of this log.",
            icon=":material/key_off:",
        )
    with st.expander("The checkpoint: keep a copy elsewhere, and a log rewritten later will not match it"):
        st.code(str(head["text"]), language=None)
        st.code(str(head.get("key") or ""), language=None)
        st.download_button("Keep it", str(head["text"]), f"checkpoint_{size}.txt", "text/plain", key="checkpoint")


def _verified(api: Client, head: Mapping[str, Any], leaf: int, size: int) -> None:
    """The inclusion proof of a leaf, hashed here; the service gives the path and is not asked whether it holds."""
    found = api.get("/log/inclusion", leaf=leaf, size=size)
    text = str(found["leaf_text"])
    path = [bytes.fromhex(one) for one in found["path"]]
    hashed = verify.leaf_hash(text.encode())
    root = verify.root_from(hashed, leaf, size=size, path=path)
    signed = verify.read_checkpoint(str(head["text"]))
    holds = root is not None and root == signed.root and signed.size == size
    with st.container(border=True):
        st.markdown(f"**Is leaf {leaf} in the log of {size} leaves?**")
        if holds:
            st.success(
                f"Yes: its hash and {words.many(len(path), 'neighbour')} lead to the signed root. Worked out on this page.",
                icon=":material/verified:",
            )
        else:
            st.error(
                "No: the path does not lead to the signed root. This leaf, or the log, was altered.",
                icon=":material/gpp_bad:",
            )
        with st.expander("Each step"):
            st.code(_steps(hashed, path, root, signed.root), language=None)
        st.markdown("**What the leaf says**")
        try:
            st.json(json.loads(text), expanded=1)
        except json.JSONDecodeError:
            st.code(text, language=None)


def _steps(hashed: bytes, path: list[bytes], root: bytes | None, signed: bytes) -> str:
    lines = [f"hash of the leaf   SHA-256(00 || leaf) = {hashed.hex()}"]
    lines += [f"neighbour {place:>3}      {one.hex()}" for place, one in enumerate(path, 1)]
    lines.append(f"root worked out    {root.hex() if root is not None else 'none: the path has the wrong length'}")
    lines.append(f"root that is signed {signed.hex()}")
    return "\n".join(lines)


def _leaves(api: Client, size: int) -> None:
    st.subheader("The newest leaves", anchor=False)
    found = parts.attempt(lambda: api.get("/log/leaves", start=max(0, size - _SHOWN), stop=size), missing="No leaves.")
    rows = []
    first = max(0, size - _SHOWN)
    for place, item in enumerate((found or {}).get("items") or (found or {}).get("leaves") or []):
        index, said = _read(item, first + place)
        body = said.get("body") or {}
        rows.append(
            {
                "leaf": index,
                "at": words.moment(said.get("at")),
                "kind": said.get("kind"),
                "says": json.dumps(body, sort_keys=True)[:300],
            }
        )
    parts.table(rows[::-1], column_config={"says": st.column_config.TextColumn(width="large")})


def _read(item: Any, place: int) -> tuple[int, Mapping[str, Any]]:
    """Index and content of a leaf, which comes as text, or as an object that holds it."""
    if isinstance(item, Mapping):
        place = int(item.get("leaf", item.get("index", place)))
        item = item.get("text", item.get("leaf_text", item))
    if isinstance(item, str):
        try:
            item = json.loads(item)
        except json.JSONDecodeError:
            item = {"body": item}
    return place, item if isinstance(item, Mapping) else {"body": item}


__all__ = ["ICON", "ORDER", "SECTION", "TITLE", "render"]
