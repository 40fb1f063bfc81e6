"""A sentence taken apart: free text, and slots that tell a field of a fact.

A template has its slots as placeholders. In a finished text they are found again: wherever it says exactly what a cited fact
would say. The rules (`explain.rules`) then read both alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foreproof.explain.facts import WHOLE, Fact, Facts
from foreproof.explain.render import FIELDS, told

Pair = tuple[str, Fact]
_PLACEHOLDER = re.compile(r"\{\s*([A-Za-z0-9_]+)\s*(?:\.\s*([a-z]+)\s*)?\}")


@dataclass(frozen=True, slots=True)
class Slot:
    """What a place in a sentence tells: one (field, fact) in a template; in a finished text every one that reads so."""

    pairs: tuple[Pair, ...]

    def facts(self, *fields: str) -> tuple[Fact, ...]:
        """The facts that it may tell a field of, of any field where none is named."""
        return tuple(fact for name, fact in self.pairs if not fields or name in fields)


Piece = str | Slot


def of_template(text: str, facts: Facts) -> tuple[list[Piece], list[str]]:
    """The pieces of a template, and what is wrong with its placeholders."""
    pieces: list[Piece] = []
    problems: list[str] = []
    end = 0
    for found in _PLACEHOLDER.finditer(text):
        pieces.append(text[end : found.start()])
        end = found.end()
        name, field = found.group(1), found.group(2) or "value"
        fact = facts.by_id.get(name)
        if fact is None:
            problems.append(f"there is no fact {name}")
        elif field not in FIELDS:
            problems.append(f"{{{name}.{field}}}: a fact has {', '.join(FIELDS)}")
        elif not told(fact, field):
            problems.append(f"{{{name}.{field}}}: this fact has no {field}")
        else:
            pieces.append(Slot(((field, fact),)))
    pieces.append(text[end:])
    if any("{" in piece or "}" in piece for piece in pieces if isinstance(piece, str)):
        problems.append("a brace that belongs to no placeholder")
    return pieces, problems


def of_text(text: str, facts: Sequence[Fact]) -> list[Piece]:
    """The pieces of a finished text: the longest thing that a cited fact says is a slot, the rest is free text."""
    known: dict[str, list[Pair]] = {}
    for name, fact in _tellable(facts):
        if said := told(fact, name):
            known.setdefault(said, []).append((name, fact))
    if not known:
        return [text]
    longest = "|".join(re.escape(said) for said in sorted(known, key=lambda one: (-len(one), one)))
    pieces: list[Piece] = []
    end = 0
    # Not within a word, a number or a sign: 5 units is not in 15 units, nor in -5 units.
    for found in re.finditer(rf"(?<![\w+\-\"])(?<!\d[.,])(?:{longest})(?![\w\"%])(?![.,]\d)", text):
        pieces += [text[end : found.start()], Slot(tuple(known[found.group()]))]
        end = found.end()
    return [*pieces, text[end:]]


def _tellable(facts: Sequence[Fact]) -> Iterator[Pair]:
    for fact in facts:
        for name in FIELDS:
            # A direction stays a word, so that the rules see it; `unchanged` stands for a number.
            if name == "direction" and fact.direction != "level":
                continue
            if name == "subject" and fact.subject == WHOLE:
                continue
            yield name, fact


__all__ = ["Pair", "Piece", "Slot", "of_template", "of_text"]
