"""The copilot: a question to a model, its answer checked, one more try, and else the deterministic writer.

What is shown was either written by `explain.writer` or passed `explain.claims.check`; without a model
nobody is asked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from foreproof.core.log import salted_hash
from foreproof.core.ports import Reply, Talker
from foreproof.errors import BadInput, ForeproofError
from foreproof.explain import writer
from foreproof.explain.claims import Answer, Sentence, check, parse_answer, render, verify
from foreproof.explain.facts import CHECK, WHOLE, Fact, Facts
from foreproof.explain.prompts import Prompt, load_prompt
from foreproof.explain.render import FIELDS, told

Writer = Literal["model", "writer", "refused"]

QUESTION = 1_000
"""A question has at most so many characters."""
_FACTS = 80
"""A model is shown at most so many facts."""
_REFUSED = "The facts of this run do not answer that."


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and what was said to it.

    sentences: rendered, each with its facts; of a refusal one without. facts: those that are cited, and what they rest on is in
    their `source`. writer: who wrote it; `refused` where nothing answers. problems: what was wrong with what a model said.
    retried: whether it was asked twice. facts_digest: of all facts that could have been cited.
    """

    question: str
    subject: str
    sentences: tuple[Sentence, ...]
    facts: tuple[Fact, ...]
    writer: Writer
    model: str
    prompt: str
    facts_digest: str
    tokens_in: int = 0
    tokens_out: int = 0
    problems: tuple[str, ...] = ()
    retried: bool = False

    @property
    def text(self) -> str:
        """All sentences."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def sources(self) -> tuple[str, ...]:
        """sha256 of each file that the cited facts were read from."""
        return tuple(sorted({fact.source for fact in self.facts if fact.source}))

    def as_dict(self) -> dict[str, Any]:
        """The exchange as plain values, for the API: each cited fact as it is told."""
        return {
            "question": self.question,
            "subject": self.subject,
            "sentences": [{"text": one.text, "facts": list(one.facts)} for one in self.sentences],
            "facts": [shown(fact) | {"source": fact.source} for fact in self.facts],
            "sources": list(self.sources),
            "writer": self.writer,
            "model": self.model,
            "prompt": self.prompt,
            "facts_digest": self.facts_digest,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "problems": list(self.problems),
            "retried": self.retried,
        }

    def as_leaf(self, *, salt: bytes) -> dict[str, Any]:
        """The exchange for the log: counts and digests, no word of question or answer; both hashed under a secret salt."""
        return {
            "question": salted_hash(f"{self.subject}\n{self.question}", salt=salt),
            "answer": salted_hash(self.text, salt=salt),
            "facts": self.facts_digest,
            "sentences": len(self.sentences),
            "cited": len(self.facts),
            "sources": list(self.sources),
            "writer": self.writer,
            "model": self.model,
            "prompt": self.prompt,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "problems": len(self.problems),
            "retried": self.retried,
        }


def explain_with(facts: Facts, subject: str = WHOLE, question: str = "", talker: Talker | None = None) -> Exchange:
    """Explain one series or pair (or the whole run), or answer a question about it.

    facts: the ledger of one tenant's run; only the subject's facts and those of the whole run may be cited. Raises BadInput for a
    question that is too long.
    """
    if len(question) > QUESTION:
        raise BadInput("question", found=f"{len(question)} characters", wanted=f"at most {QUESTION}")
    mine = facts.about(subject) if subject != WHOLE else facts
    if question.strip():
        plain = writer.answer(mine, question, subject=subject)
    else:
        plain = writer.explain(mine, subject)
    return _exchange(mine, plain, load_prompt("explain"), asked=(subject, question), talker=talker)


def summarize_with(facts: Facts, talker: Talker | None = None) -> Exchange:
    """Say what a run says as a whole."""
    return _exchange(facts, writer.summarize(facts), load_prompt("summarize"), asked=(WHOLE, ""), talker=talker)


def kept_exchange(values: Mapping[str, Any], facts: Facts) -> Exchange | None:
    """An exchange as `as_dict` gave it, said again without asking anybody; None where it is not what these facts say."""
    try:
        sentences = tuple(Sentence(str(one["text"]), tuple(one["facts"])) for one in values["sentences"])
        cited = facts.cited(one for sentence in sentences for one in sentence.facts)
        made = Exchange(
            question=str(values["question"]),
            subject=str(values["subject"]),
            sentences=sentences,
            facts=cited.items,
            writer="model",
            model=str(values["model"]),
            prompt=str(values["prompt"]),
            facts_digest=facts.digest,
        )
    except (LookupError, TypeError):
        return None
    wrong = [p for s in sentences for p in verify(s.text, facts.cited(s.facts), names=facts.known_names)]
    return None if wrong or not sentences else made


def cache_key(facts: Facts, subject: str, question: str, *, name: str, model: str) -> str:
    """What an explanation may be kept under: facts, question, prompt and model. name: `explain` or `summarize`."""
    parts = [facts.digest, subject, question, load_prompt(name).label, model]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def shown(fact: Fact) -> dict[str, str]:
    """A fact as it is told: what a model is shown of it."""
    found = {"id": fact.id, "kind": fact.kind}
    return found | {name: text for name in FIELDS if (text := told(fact, name))}


def _exchange(
    facts: Facts, plain: Answer, prompt: Prompt, *, asked: tuple[str, str], talker: Talker | None
) -> Exchange:
    subject, question = asked
    model = talker.model if talker else "none"
    made = Exchange(question, subject, (), (), "writer", model, prompt.label, facts.digest)
    if talker is None:
        return _said(made, plain, facts, "writer")
    chosen = _chosen(facts, plain)
    messages = _messages(prompt, chosen, subject, question)
    problems: list[str] = []
    for attempt in range(2):
        made = replace(made, retried=attempt > 0)
        try:
            reply = talker.ask(messages)
        except ForeproofError as error:
            problems.append(str(error))
            break
        made = replace(made, tokens_in=made.tokens_in + reply.tokens_in, tokens_out=made.tokens_out + reply.tokens_out)
        answer, wrong = parse_answer(reply.text)
        if answer is not None:
            wrong = check(answer, chosen, subject=subject)
            if not wrong:
                return _said(replace(made, problems=tuple(problems)), answer, facts, "model")
        problems += wrong
        messages = [*messages, *_again(reply, wrong)]
    return _said(replace(made, problems=tuple(problems)), plain, facts, "writer")


def _messages(prompt: Prompt, chosen: Facts, subject: str, question: str) -> list[Mapping[str, str]]:
    """What a model is shown. A name out of the data is not: `name 1` stands for it, here and in the question."""
    aliases = {name: f"name {place}" for place, name in enumerate(chosen.subjects, 1) if not name.startswith(CHECK)}
    for name in sorted(aliases, key=len, reverse=True):
        question = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", aliases[name], question, flags=re.IGNORECASE)
    seen = [shown(replace(fact, subject=aliases.get(fact.subject, fact.subject))) for fact in chosen.items]
    return prompt.messages(subject=aliases.get(subject, ""), question=_printable(question), facts=seen)


def _printable(question: str) -> str:
    """A question as printable text."""
    return "".join(c if c.isprintable() else " " for c in question)


def _said(made: Exchange, answer: Answer, facts: Facts, by: Writer) -> Exchange:
    if answer.refused or not answer.sentences:
        return replace(made, sentences=(Sentence(_REFUSED, ()),), writer="refused")
    cited = facts.cited(one for sentence in answer.sentences for one in sentence.facts)
    sentences = tuple(render(sentence, facts) for sentence in answer.sentences)
    return replace(made, sentences=sentences, facts=cited.items, writer=by)


def _chosen(facts: Facts, plain: Answer) -> Facts:
    """What a model is shown: what the writer would cite, then the rest in its order, up to a limit."""
    first = [one for sentence in plain.sentences for one in sentence.facts]
    rest = [fact.id for fact in facts.items]
    chosen = list(dict.fromkeys([*first, *rest]))[:_FACTS]
    return facts.cited(chosen)


def _again(reply: Reply, wrong: Sequence[str]) -> list[Mapping[str, str]]:
    listed = "\n".join(f"- {one}" for one in wrong[:20])
    return [
        {"role": "assistant", "content": reply.text[:8_000]},
        {"role": "user", "content": f"That breaks the rules:\n{listed}\nAnswer again, in JSON only."},
    ]


__all__ = [
    "QUESTION",
    "Exchange",
    "cache_key",
    "explain_with",
    "kept_exchange",
    "shown",
    "summarize_with",
]
