"""Which facts a question asks for, by its words: deterministic, and nothing rather than a guess."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from foreproof.explain.facts import CHECK, WHOLE, Fact, Facts, Kind
from foreproof.explain.render import told
from foreproof.explain.vocabulary import DATES, DIRECTIONS, NUMBERS, topics_of, words_list, words_of

_STOP = words_list(
    "a an the of for in on at to by from with and or is are was were be been will would shall should can could do does did i we "
    "you it they them its our my your me us this that these those there here what which who whom how much many when where as "
    "about please tell show give say explain describe if than then any all have has had get got into per over next coming ahead "
    "now current so it's what's whats item series product store account accounts customer customers group run model foreproof "
    "think know want need let"
)
_ASKS: dict[str, tuple[Kind, ...]] = {
    "level": ("level",),
    "comparison": ("comparison", "scenario"),
    "attribution": ("attribution",),
    "verdict": ("verdict",),
    "score": ("score", "coverage"),
    "date": ("date",),
    "order": ("order",),
    "money": ("money",),
    "probability": ("probability",),
    "weight": ("weight",),
    "count": ("count",),
}
_SAID = {
    "level": "demand forecast forecasts expect expected sell sells sold sales predict predicted units volume quantity interval "
    "range uncertain uncertainty",
    "comparison": "change changes changed changing trend compare compared comparison versus moved moves difference movers",
    "attribution": "why because cause causes caused reason reasons driver drivers drives driven drive due explains",
    "verdict": "proof proven prove honest trust trusted trustworthy leak leaks verdict passed failed pass fail check checks",
    "score": "good accurate accuracy error errors reliable coverage covered wape mase owa auc calibrated calibration",
    "date": "cutoff peak peaks",
    "order": "order orders ordered ordering reorder buy rank ranked",
    "money": "cost costs money worth value save saves saved saving savings revenue expensive",
    "probability": "chance chances probability likely likelihood odds purchase buy buys",
    "weight": "weight weights combination blend members",
    "count": "number count",
}
_KINDS: dict[str, frozenset[Kind]] = {}
for _name, _words in _SAID.items():
    for _word in _words.split():
        _KINDS[_word] = _KINDS.get(_word, frozenset()) | frozenset(_ASKS[_name])
_MOST, _NAME = 4, 6


def relevant(facts: Facts, question: str, *, subject: str = WHOLE) -> tuple[Fact, ...]:
    """The facts that answer a question, at most four; none where the question names what they do not know, or asks for more.

    subject: whom it is about where it names nobody.
    """
    named, rest = _named(facts, question)
    if named is None or (named and subject != WHOLE and named != subject):
        return ()
    about = named or subject
    asked = [word for word in words_of(rest) if word not in _STOP]
    kinds: frozenset[Kind] = frozenset().union(*(_KINDS.get(word, frozenset()) for word in asked))
    ways = {DIRECTIONS[word] for word in asked if word in DIRECTIONS}
    kinds |= {"comparison"} if ways else frozenset()
    known = [word for word in asked if word in _KINDS or word in DIRECTIONS or topics_of(word) or word in DATES]
    if not kinds and not topics_of(rest):
        return ()
    if 2 * len(known) <= len(asked):
        return ()
    pool = [fact for fact in facts.items if fact.subject == about]
    pool += [fact for fact in facts.items if fact.subject == WHOLE and about != WHOLE]
    if "attribution" in kinds:
        pool = [fact for fact in pool if fact.kind == "attribution"]
    pool = [fact for fact in pool if _in_time(fact, rest) and _has_numbers(fact, rest)]
    scored = [(_score(fact, kinds, topics_of(rest), about), fact) for fact in pool]
    best = max((score for score, _ in scored), default=0.0)
    return tuple(fact for score, fact in scored if score > 0 and score >= best - 0.5)[:_MOST]


def named_in(question: str, names: Iterable[str]) -> str:
    """The longest of some names that a question holds, empty where it holds none."""
    low = " ".join(question.lower().split())
    found = [name for name in names if name.lower() in low and _holds_word(low, name.lower())]
    return max(found, key=lambda name: (len(name), name), default="")


def _holds_word(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _score(fact: Fact, kinds: frozenset[Kind], topics: frozenset[str], about: str) -> float:
    met = len(topics & topics_of(f"{fact.what} {fact.against} {fact.unit}"))
    score = 2.0 * (fact.kind in kinds) + met
    return score + 1.0 if score and fact.subject == about else score


def _named(facts: Facts, question: str) -> tuple[str | None, str]:
    """Whom the question names and the question without the name; None for a name that has no facts here."""
    subjects = {fact.subject.lower(): fact.subject for fact in facts.items if fact.subject != WHOLE}
    low = " ".join(question.lower().split())
    best = named_in(low, subjects)
    if not best and "check" in low:
        best = next((CHECK + one for one in [named_in(low, _checks(subjects))] if one), "")
    rest = low
    for said in (best, best.removeprefix(CHECK)) if best else ():
        rest = re.sub(rf"(?<!\w){re.escape(said)}(?!\w)", " ", rest)
    words = rest.split()
    grams = {
        " ".join(words[i : i + n]).strip(".,;:!?()'\"") for n in range(1, _NAME + 1) for i in range(len(words) - n + 1)
    }
    others = {
        gram for gram in grams & facts.known_names if any(word not in _usual() for word in words_of(gram) or [gram])
    }
    strange = re.findall(r'"([^"]+)"', rest) or re.findall(r"(?<![\w-])(?=\w*[a-z])(?=\w*\d)\w+", rest)
    return (None, rest) if others or strange else (subjects.get(best, ""), rest)


def _checks(subjects: Iterable[str]) -> list[str]:
    return [name.removeprefix(CHECK) for name in subjects if name.startswith(CHECK)]


def _usual() -> frozenset[str]:
    return _STOP | frozenset(_KINDS) | frozenset(DIRECTIONS)


def _in_time(fact: Fact, question: str) -> bool:
    """Whether a fact is of the time that the question names, if it names any."""
    days = re.findall(r"\b\d{4}-\d{2}-\d{2}\b", question)
    years = [year for year in re.findall(r"\b(?:19|20|21)\d{2}\b", question) if not any(year in d for d in days)]
    months = [word for word in words_of(question) if word in DATES and word not in NUMBERS and word[:3] in _MONTHS]
    if not days and not years and not months:
        return True
    when = f"{fact.period} {told(fact, 'value') if fact.kind == 'date' else ''}"
    if days:
        return all(_holds(when, one) for one in days)
    held = re.findall(r"(\d{4})-(\d{2})", when)
    return all(any(y == year for y, _ in held) for year in years) and all(
        any(int(m) == _MONTHS[month[:3]] for _, m in held) for month in months if month != "may" or years
    )


def _has_numbers(fact: Fact, question: str) -> bool:
    """Whether each number of a question is in the fact's own words, or how many days it is about."""
    asked = set(re.findall(r"(?<![\d-])\d+(?![\d-])", question)) - set(re.findall(r"\b(?:19|20|21)\d{2}\b", question))
    own = set(re.findall(r"\d+", f"{fact.what} {fact.against}"))
    days = [date.fromisoformat(one) for one in re.findall(r"\d{4}-\d{2}-\d{2}", fact.period)]
    spans = set(re.findall(r"(\d+)[ -]days?\b", question))
    return asked <= own | (spans & {str((days[-1] - days[0]).days + 1)} if days else set())


_MONTHS_IN_ORDER = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {m: i for i, m in enumerate(_MONTHS_IN_ORDER, 1)}


def _holds(when: str, day: str) -> bool:
    """Whether a period is that very day; a value over a longer time does not answer for one day of it."""
    return when.strip() == day


__all__ = ["named_in", "relevant"]
