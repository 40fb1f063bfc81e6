"""The claim language: sentences with placeholders, each with the facts it rests on; how they are checked, and how rendered.

A model answers in JSON: `{"sentences": [{"text": "For {f3.subject}, the {f3.what} is {f3}.", "facts": ["f3"]}]}`, or
`{"refused": true}` where the facts do not answer. Everything that is a number, a date, a name or a direction is a placeholder.
`check` holds an answer against the rules before anything of it is shown; `verify` holds a finished text against them, so that
somebody who has only the text and the facts can do the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foreproof.explain.facts import WHOLE, Facts
from foreproof.explain.pieces import Piece, of_template, of_text
from foreproof.explain.render import told
from foreproof.explain.rules import Claim, problems_of

SENTENCES, LENGTH, CITED = 8, 500, 8
"""An answer has at most so many sentences, of so many characters before and twice as many after rendering, on so many facts."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and the ids of the facts that it rests on: as a template, or rendered."""

    text: str
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a writer says: templates; or that the facts do not answer."""

    sentences: tuple[Sentence, ...] = ()
    refused: bool = False


def parse_answer(text: str) -> tuple[Answer | None, list[str]]:
    """An answer out of a model's text, or None and what is wrong with its form. A fence around the JSON is taken off."""
    bare = re.sub(r"^\s*```(?:json)?\s*|\s*```\s*$", "", text)
    try:
        found = json.loads(bare)
    except (ValueError, RecursionError):
        return None, ["the answer is not JSON"]
    if not isinstance(found, Mapping):
        return None, ["the answer is not a JSON object"]
    if found.get("refused") is True:
        return Answer(refused=True), []
    given = found.get("sentences")
    if not isinstance(given, list) or not given or not all(_is_sentence(one) for one in given):
        return None, ['the answer needs "sentences": a list of objects with "text" (text) and "facts" (ids as text)']
    return Answer(tuple(Sentence(one["text"], tuple(one["facts"])) for one in given)), []


def check(answer: Answer, facts: Facts, *, subject: str = WHOLE) -> list[str]:
    """What is wrong with an answer; empty where it may be shown. subject: whom it was asked about."""
    if answer.refused:
        return []
    problems = _too_long(answer.sentences)
    for place, sentence in enumerate(answer.sentences, 1):
        problems += [f"sentence {place}: {one}" for one in _check_one(sentence, facts, subject)]
    return problems


def verify(text: str, facts: Facts, *, names: Iterable[str] = (), subject: str = WHOLE) -> list[str]:
    """What in a finished sentence is not what the facts that it cites say; empty where all of it is.

    facts: those cited, all of which it must tell. names: more names of the data, none of which it may tell.
    """
    if len(text) > 2 * LENGTH:
        return [f"longer than {2 * LENGTH} characters"]
    return _problems(of_text(text, facts.items), facts, facts.known_names | {n.lower() for n in names}, subject)


def render(sentence: Sentence, facts: Facts) -> Sentence:
    """A checked template as text."""
    pieces, _ = of_template(sentence.text, facts)
    said = [piece if isinstance(piece, str) else told(piece.pairs[0][1], piece.pairs[0][0]) for piece in pieces]
    text = re.sub(r"\s+", " ", "".join(said)).strip()
    return Sentence(text[:1].upper() + text[1:], sentence.facts)


def as_plain(answer: Answer) -> dict[str, Any]:
    """The JSON form of an answer."""
    if answer.refused:
        return {"refused": True}
    return {"sentences": [{"text": one.text, "facts": list(one.facts)} for one in answer.sentences]}


def _check_one(sentence: Sentence, facts: Facts, subject: str) -> list[str]:
    unknown = sorted({one for one in sentence.facts if one not in facts.by_id})
    pieces, problems = of_template(sentence.text, facts)
    problems = list(dict.fromkeys([*(f"there is no fact {ascii(one[:20])[1:-1]}" for one in unknown), *problems]))
    if problems or not sentence.facts:
        return problems or ["a sentence must cite at least one fact"]
    cited = facts.cited(sentence.facts)
    problems = _problems(pieces, cited, facts.known_names, subject)
    # What is shown is read once more as a stranger would read it.
    return problems or verify(render(sentence, facts).text, cited, names=facts.known_names, subject=subject)


def _problems(pieces: Sequence[Piece], cited: Facts, names: frozenset[str], subject: str) -> list[str]:
    return problems_of(Claim(pieces, cited, names, subject))


def _too_long(sentences: Sequence[Sentence]) -> list[str]:
    problems = []
    if len(sentences) > SENTENCES:
        problems.append(f"{len(sentences)} sentences: at most {SENTENCES}")
    for place, one in enumerate(sentences, 1):
        if len(one.text) > LENGTH or len(one.facts) > CITED:
            problems.append(f"sentence {place}: at most {LENGTH} characters and {CITED} facts")
    return problems


def _is_sentence(one: object) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("text"), str)
        and isinstance(one.get("facts"), list)
        and all(isinstance(fact, str) for fact in one["facts"])
    )


__all__ = [
    "CITED",
    "LENGTH",
    "SENTENCES",
    "Answer",
    "Sentence",
    "as_plain",
    "check",
    "parse_answer",
    "render",
    "verify",
]
