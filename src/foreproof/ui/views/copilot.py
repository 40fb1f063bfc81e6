"""Questions in words, answered from facts that were computed, with the facts beside the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from foreproof.ui import parts, words
from foreproof.ui.client import Client

TITLE, ICON, ORDER, SECTION = "Copilot", ":material/forum:", 100, "Ask"
_HINTS = (
    "Is this proven, and what is not?",
    "How good is it against the baseline?",
    "What should I look at first?",
)

_NOTHING = (
    "There are no facts about this. Ask about the whole run, or name a series or a group as other pages write it."
)


def render(client: Client) -> None:
    """Draw the page."""
    _, api = parts.choose(client)
    st.caption(
        "Answers come from the facts of the served run alone. Every number, date and name is rendered and checked by the "
        "service; what the facts do not answer is refused."
    )
    with st.container(horizontal=True):
        for place, hint in enumerate(_HINTS):
            if st.button(hint, key=f"hint_{place}", type="tertiary"):
                st.session_state["question"] = hint
    question = st.text_input(
        "Question", key="question", bind=parts.BIND, placeholder="Why is the order of milk so large?"
    )
    subject = st.text_input(
        "About (optional)",
        key="subject",
        bind=parts.BIND,
        placeholder="a series, a group or an account",
        help="empty: the whole run",
    )
    with st.container(horizontal=True):
        asked = st.button("Ask", key="ask", type="primary", icon=":material/send:", disabled=not question)
        summarize = st.button("Summarize", key="summarize", icon=":material/summarize:")
    if asked:
        body = {key: value for key, value in (("question", question), ("subject", subject)) if value}
        _keep(
            api,
            parts.attempt(lambda: api.post("/copilot/explain", body), missing=_NOTHING, doing="Looking the facts up"),
            question,
        )
    elif summarize:
        _keep(
            api,
            parts.attempt(lambda: api.post("/copilot/summarize", {}), missing=_NOTHING, doing="Looking the facts up"),
            "Summary of the run",
        )
    kept = st.session_state.get(f"answer {api.project}")
    if kept:
        _answer(*kept)
    else:
        st.caption(":material/info: Ask a question, or press Summarize for the whole run in a few sentences.")
    _facts(api, subject)


def _keep(api: Client, answer: Mapping[str, Any] | None, question: str) -> None:
    if answer is not None:
        st.session_state[f"answer {api.project}"] = (question, answer)


def _answer(question: str, found: Mapping[str, Any]) -> None:
    facts = found.get("facts") or []
    with st.container(border=True):
        st.markdown(f"**{parts.escape(question)}**")
        sentences = found.get("sentences") or []
        text = str(found.get("text") or " ".join(str(one["text"]) for one in sentences))
        if found.get("writer") == "refused":
            st.info(parts.escape(text or "The facts do not answer this."), icon=":material/do_not_disturb_on:")
        else:
            numbers = {str(fact.get("id")): place for place, fact in enumerate(facts, 1)}
            for one in sentences or [{"text": text, "facts": []}]:
                marks = " ".join(f"[{numbers[str(fact)]}]" for fact in one.get("facts") or [] if str(fact) in numbers)
                st.markdown(
                    f"{parts.escape(str(one['text']))} :gray[{parts.escape(marks)}]"
                    if marks
                    else parts.escape(str(one["text"]))
                )
        parts.provenance(found.get("provenance"))
        _writer(found)
        with st.expander(f"Sources: {words.many(len(facts), 'fact')}", expanded=True):
            rows = [{"no": place, **_fact(fact)} for place, fact in enumerate(facts, 1)]
            parts.table(rows, empty_words="It cites no fact.")


def _writer(found: Mapping[str, Any]) -> None:
    """Who wrote it, what that took, and what was wrong with an earlier try."""
    who = {"writer": "the writer that needs no model", "model": f"the model {found.get('model')}"}
    said = [f"written by {who[found['writer']]}"] if found.get("writer") in who else []
    tokens = int(found.get("tokens_in") or 0) + int(found.get("tokens_out") or 0)
    said += [f"{tokens:,} tokens"] if tokens else []
    if said:
        st.caption(parts.escape(", ".join(said)))
    if found.get("problems"):
        with st.expander("What was wrong with the model's own words"):
            for line in found["problems"]:
                st.markdown(f"- {parts.escape(str(line))}")


def _fact(one: Any) -> dict[str, Any]:
    if not isinstance(one, Mapping):
        return {"fact": str(one)}
    held = {key: value for key, value in one.items() if value not in (None, "", [], {})}
    return {key: words.number(value) if isinstance(value, float) else str(value) for key, value in held.items()}


def _facts(api: Client, subject: str | None) -> None:
    with st.expander("All facts that it may use", icon=":material/dataset:"):
        found = parts.attempt(
            lambda: api.get("/copilot/facts", subject=subject), missing="There are no facts about this subject."
        )
        rows = (found.get("items") or found.get("facts") or []) if isinstance(found, Mapping) else (found or [])
        parts.table([_fact(one) for one in rows], empty_words="There are no facts yet: run the project first.")


__all__ = ["ICON", "ORDER", "SECTION", "TITLE", "render"]
