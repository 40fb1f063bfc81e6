"""The rules of the claim language, over a sentence that is taken apart: they read a template and a finished text alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from foreproof.explain.facts import WHOLE, Fact, Facts
from foreproof.explain.pieces import Piece, Slot
from foreproof.explain.render import told
from foreproof.explain.vocabulary import (
    ACRONYMS,
    CAUSES,
    COMMON,
    DATES,
    DIRECTIONS,
    JUDGEMENTS,
    NEGATIONS,
    NUMBERS,
    OPENERS,
    TOPICS,
    UNITS,
    topics_of,
    words_of,
)

_MARK = "\x00"
_TELLS = ("value", "size", "direction")
_WORDS = 6
"""Names of up to so many words are looked for in free text."""


@dataclass(frozen=True)
class Claim:
    """One sentence before the rules. cited: the facts that it names as its sources. asked: whom the question is about."""

    pieces: Sequence[Piece]
    cited: Facts
    names: frozenset[str]
    asked: str = WHOLE

    @property
    def free(self) -> str:
        """What was typed freely, a mark for each slot."""
        return "".join(piece if isinstance(piece, str) else _MARK for piece in self.pieces)

    @property
    def slots(self) -> list[Slot]:
        """The slots, in order."""
        return [piece for piece in self.pieces if isinstance(piece, Slot)]

    @property
    def changes(self) -> list[Fact]:
        """The cited changes."""
        return [fact for fact in self.cited.items if fact.signed]


def problems_of(claim: Claim) -> list[str]:
    """Everything that the rules find, in words that say what to do instead."""
    if not claim.cited.items:
        return ["a sentence must cite at least one fact"]
    return list(dict.fromkeys(problem for rule in _RULES for problem in rule(claim)))


def _signs(claim: Claim) -> Iterator[str]:
    free = claim.free
    if digits := re.findall(r"\d+", free):
        yield f"a number typed freely ({', '.join(digits[:3])}): use a placeholder"
    if others := sorted(set(re.findall(rf"[^A-Za-z0-9 ,.;:'()\-?!{_MARK}]", free))):
        yield f"signs that are not plain text ({' '.join(others[:5])!a}); names and units come with their placeholders"
    if re.search(r"(?<![A-Za-z])-|-(?![A-Za-z])", free):
        yield "a dash that could be a sign: a placeholder brings its own"


def _words(claim: Claim) -> Iterator[str]:
    said = words_of(claim.free)
    for listed, why in (
        (NUMBERS, "a number or sign in words: use a placeholder"),
        (DATES, "a date or span of time: use {id.period}, or {id} of a date"),
        (NEGATIONS, "a negation: say what a fact says, not what it does not"),
        (JUDGEMENTS, "a judgement: a verdict is told by its placeholder"),
        (UNITS, "a unit typed freely: a placeholder brings its own"),
    ):
        if found := [word for word in dict.fromkeys(said) if word in listed]:
            yield f"{', '.join(found)}: {why}"
    causes = [word for word in dict.fromkeys(said) if word in CAUSES]
    if causes and not any(fact.kind == "attribution" for fact in claim.cited.items):
        yield f"{', '.join(causes)}: a cause needs a cited fact of kind attribution"


def _directions(claim: Claim) -> Iterator[str]:
    said = {word: DIRECTIONS[word] for word in words_of(claim.free) if word in DIRECTIONS}
    pointing = {fact.direction for fact in claim.changes}
    if said and not pointing:
        yield f"{', '.join(said)}: a direction needs a cited fact that has one"
        return
    if len(pointing) > 1:
        yield "changes that point different ways stand in different sentences"
    if wrong := [word for word, way in said.items() if way not in pointing]:
        yield f"{', '.join(wrong)}: the cited facts point the other way"
    sized, signed, worded = set(), set(), bool(said)
    for slot in claim.slots:
        worded |= any(fact.signed for fact in slot.facts("direction"))
        if {name for name, _ in slot.pairs} & {"value"} and all(f.signed for f in slot.facts("value")):
            signed |= {fact.id for fact in slot.facts("value") if fact.direction != "level"}
        elif all(fact.signed for fact in slot.facts("value", "size")):
            sized |= {fact.id for fact in slot.facts("size") if fact.direction != "level"}
    if sized and not worded:
        yield "the size of a change needs {id.direction} beside it"
    if signed and worded:
        yield "a change is told by {id} with its sign, or by {id.size} and {id.direction}, not by both"


def _capitals(claim: Claim) -> Iterator[str]:
    for found in re.finditer(r"[A-Za-z][A-Za-z']*", claim.free):
        word, before = found.group().removesuffix("'s"), claim.free[: found.start()].rstrip(" (")
        if word in ACRONYMS or not any(c.isupper() for c in word):
            continue
        opens = (not before or before[-1] in ".!?:") and not any(c.isupper() for c in word[1:])
        if not (opens and word.lower() in OPENERS):
            yield f"{word}: a name typed freely, or no usual first word: names come from {{id.subject}}"


def _names(claim: Claim) -> Iterator[str]:
    for part in claim.free.split(_MARK):
        said = part.lower().split()
        for size in range(1, _WORDS + 1):
            for start in range(len(said) - size + 1):
                name = " ".join(said[start : start + size]).strip(".,;:!?()'")
                if name in claim.names and not COMMON.issuperset(words_of(name)):
                    yield f"{name}: a name typed freely: use {{id.subject}}"


def _subjects(claim: Claim) -> Iterator[str]:
    shown = {fact.subject for slot in claim.slots for fact in slot.facts("subject")}
    for fact in claim.cited.items:
        if fact.subject != WHOLE and fact.subject not in shown:
            yield f"{fact.id}: its subject is not told: use {{{fact.id}.subject}}"
        if claim.asked != WHOLE and fact.subject not in (claim.asked, WHOLE):
            yield f"{fact.id}: is not about what was asked"
    last, waiting = "", list[Slot]()
    for slot in claim.slots:
        named = {fact.subject for fact in slot.facts("subject")}
        if named:
            last = next(iter(named))
            if any(not _of(one, named) for one in waiting):
                yield f"a value beside the name of another: {told(slot.facts('subject')[0], 'subject')}"
            waiting = []
        elif owners := {fact.subject for fact in slot.facts(*_TELLS)} - {WHOLE}:
            if not last:
                waiting.append(slot)
            elif last not in owners:
                yield "a value beside the name of another: each value follows its own {id.subject}"


def _of(slot: Slot, names: set[str]) -> bool:
    return any(fact.subject in names for fact in slot.facts(*_TELLS))


def _told(claim: Claim) -> Iterator[str]:
    """Each cited fact is told, and a change with what it is against; nothing else is told."""
    for fact in claim.cited.items:
        slots = [name for slot in claim.slots for name, one in slot.pairs if one == fact]
        if not set(slots) & set(_TELLS):
            yield f"{fact.id} is cited and not told: use {{{fact.id}}}"
        elif fact.signed and "against" not in slots:
            yield f"{fact.id}: a change against what? use {{{fact.id}.against}}"
    cited = set(claim.cited.by_id)
    if extra := sorted({fact.id for slot in claim.slots for fact in slot.facts()} - cited):
        yield f"{', '.join(extra)}: told and not cited"


def _beside(claim: Claim) -> Iterator[str]:
    """What stands beside a value is that fact's own: its noun phrase, its period, its topic."""
    anchors = [(at, p) for at, p in enumerate(claim.pieces) if isinstance(p, Slot) and p.facts(*_TELLS)]
    for at, piece in enumerate(claim.pieces):
        before = next((slot for place, slot in reversed(anchors) if place < at), None)
        after = next((slot for place, slot in anchors if place > at), None)
        near = [fact for slot in (before, after) if slot for fact in slot.facts(*_TELLS)]
        if isinstance(piece, Slot):
            for name in ("what", "period", "against"):
                if (own := piece.facts(name)) and not piece.facts(*_TELLS, "subject"):
                    said = told(own[0], name)
                    if all(told(fact, name) != said for fact in near):
                        yield f"{{{own[0].id}.{name}}} stands beside the value of another fact"
            continue
        owner = after or before
        owners = owner.facts(*_TELLS) if owner else claim.cited.items
        allowed = frozenset.union(frozenset(), *(_topics(fact) for fact in owners))
        if foreign := sorted(word for word in words_of(piece) if TOPICS.get(word, "") not in {"", *allowed}):
            yield f"{', '.join(foreign)}: the value beside it is of something else ({told(owners[0], 'what')})"


def _topics(fact: Fact) -> frozenset[str]:
    extra = {"order": {"order"}, "probability": {"chance"}, "verdict": {"verdict", "check"}, "scenario": {"scenario"}}
    return topics_of(f"{fact.what} {fact.against} {fact.unit}") | frozenset(extra.get(fact.kind, ()))


_RULES: tuple[Callable[[Claim], Iterator[str]], ...] = (
    _signs,
    _words,
    _directions,
    _capitals,
    _names,
    _subjects,
    _told,
    _beside,
)

__all__ = ["Claim", "problems_of"]
