"""The deterministic writer: plain sentences from facts, without a model, in the claim language, so that they pass its check.

It is the default where no model is set, and the fallback where a model's answer does not pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from foreproof.explain.claims import SENTENCES, Answer, Sentence
from foreproof.explain.facts import CHECK, WHOLE, Fact, Facts, Kind
from foreproof.explain.match import relevant
from foreproof.explain.vocabulary import topics_of

_MOVERS = 3


def explain(facts: Facts, subject: str) -> Answer:
    """What a run says of one series or pair, or of itself as a whole; refused where it says nothing."""
    if subject == WHOLE:
        return summarize(facts)
    mine = facts.of(subject)
    if not mine:
        return Answer(refused=True)
    proof = [say(fact) for fact in facts.of(WHOLE, "verdict")[:1]]
    return Answer((*list(_told(mine))[: SENTENCES - len(proof)], *proof))


def summarize(facts: Facts) -> Answer:
    """What a run says as a whole: its proof, what is expected, what stands out, what to do, how good it was."""
    whole = facts.of(WHOLE)
    if not whole:
        return Answer(refused=True)
    found = [*_first(whole, "date"), *_first(whole, "verdict")]
    found += [fact for fact in facts.items if fact.subject.startswith(CHECK) and fact.value == "failed"][:1]
    found += [*_first(whole, "level"), *_first(whole, "order"), *_first(whole, "money")]
    judged = _first(whole, "comparison") or _first(whole, "score")
    movers = [fact for fact in facts.items if fact.kind == "comparison" and fact.subject != WHOLE]
    movers.sort(key=lambda fact: -abs(float(fact.value)))
    room = max(0, SENTENCES - len(found) - len(judged))
    chosen = [*found, *movers[: min(_MOVERS, room)], *judged]
    return Answer(tuple(say(fact) for fact in chosen[:SENTENCES]))


def answer(facts: Facts, question: str, *, subject: str = WHOLE) -> Answer:
    """The facts that a question asks for, one sentence each; refused where the facts do not answer it."""
    found = relevant(facts, question, subject=subject)
    if not found:
        return Answer(refused=True)
    if [fact.kind for fact in found] == ["attribution"] and "order" in topics_of(question):
        orders = [fact for fact in facts.of(found[0].subject, "order") if fact.unit]
        return Answer(tuple(_because(order, found[0]) for order in orders[:1]) or (say(found[0]),))
    return Answer(tuple(say(fact) for fact in found[:SENTENCES]))


def say(fact: Fact) -> Sentence:
    """One fact as one sentence."""
    ids, period = (fact.id,), f" ({{{fact.id}.period}})" if fact.period else ""
    what, value = f"{{{fact.id}.what}}", f"{{{fact.id}}}"
    if fact.subject.startswith(CHECK):
        return Sentence(f"The {what} of {{{fact.id}.subject}} reads: {value}.", ids)
    head = f"The {what}{period}" if fact.subject == WHOLE else f"For {{{fact.id}.subject}}, the {what}{period}"
    if fact.signed and fact.direction == "level":
        return Sentence(f"{head} is {{{fact.id}.direction}} against {{{fact.id}.against}}.", ids)
    if fact.signed:
        return Sentence(f"{head} is {{{fact.id}.size}} {{{fact.id}.direction}} than {{{fact.id}.against}}.", ids)
    return Sentence(f"{head} {'reads:' if fact.kind == 'verdict' else 'is'} {value}.", ids)


def _first(facts: Sequence[Fact], kind: Kind, most: int = 1) -> list[Fact]:
    return [fact for fact in facts if fact.kind == kind][:most]


def _told(mine: Sequence[Fact]) -> Iterator[Sentence]:
    """The facts of one subject, those that belong together in one sentence."""
    ends = [fact for fact in mine if fact.kind == "level" and "end of the" in fact.what]
    levels = [fact for fact in mine if fact.kind == "level" and fact not in ends]
    first = [*_first(mine, "probability"), *_first(mine, "scenario"), *levels[:1], *_first(mine, "comparison")]
    yield from (say(fact) for fact in first)
    if len(ends) == 2:
        yield _pair(*ends)
    orders, causes = _first(mine, "order"), _first(mine, "attribution", 2)
    if orders and len(causes) == 1 and orders[0].unit:
        yield _because(orders[0], causes[0])
    else:
        yield from (say(fact) for fact in [*orders, *causes])
    kinds: tuple[Kind, ...] = ("money", "score", "coverage", "date", "verdict")
    for kind in kinds:
        yield from (say(fact) for fact in _first(mine, kind, 2 if kind == "money" else 1))
    yield from (say(fact) for fact in levels[1:])


def _pair(low: Fact, high: Fact) -> Sentence:
    a, b = low.id, high.id
    text = f"For {{{a}.subject}}, the {{{a}.what}} ({{{a}.period}}) is {{{a}}}, and the {{{b}.what}} is {{{b}}}."
    return Sentence(text, (a, b))


def _because(order: Fact, cause: Fact) -> Sentence:
    a, b = order.id, cause.id
    text = f"For {{{a}.subject}}, the {{{a}.what}} is {{{a}}}, because the {{{b}.what}} is {{{b}}}."
    return Sentence(text, (a, b))


__all__ = ["answer", "explain", "say", "summarize"]
