"""The word lists of the claim language: what a sentence may not type freely, and what it may type only with the right fact.

docs/copilot.md shows them. A list that is too long costs a retry; one that is too short lets a claim through: when in doubt, in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from foreproof.explain.facts import Direction


def words_list(text: str) -> frozenset[str]:
    """The words of a list that is written as a text."""
    return frozenset(text.split())


def _forms(text: str, endings: Iterable[str] = ("", "s", "es", "d", "ed", "ing")) -> frozenset[str]:
    """Words with their usual endings; those that change their stem stand in the list themselves."""
    found = set()
    for word in text.split():
        found |= {f"{word}{end}" for end in endings}
        if word.endswith("e"):
            found |= {f"{word[:-1]}{end}" for end in endings if end.startswith(("ed", "ing"))}
    return frozenset(found)


_UP = _forms(
    "rise increase grow climb gain raise exceed surpass surge jump soar expand boost accelerate up"
) | words_list(
    "rising rose risen grew grown growth higher highest high more most greater greatest larger largest bigger above beyond "
    "upward upwards upturn uptick stronger outperform outperforms add adds added"
)
_DOWN = _forms(
    "fall drop decrease decline shrink reduce lower lessen diminish sink slump plunge dip slide slow cut"
) | words_list(
    "fell fallen dropped dropping shrank shrunk lowest low less least fewer fewest smaller smallest below under down downward "
    "downwards downturn weaker sank slid lose loses lost losing loss losses underperform underperforms cheaper shortfall"
)
_LEVEL = words_list("unchanged flat stable steady constant same equal equals equally alike identical")
DIRECTIONS: dict[str, Direction] = {
    **dict.fromkeys(_UP, "up"),
    **dict.fromkeys(_DOWN, "down"),
    **dict.fromkeys(_LEVEL, "level"),
}
"""Each word that says where something moves or stands, and which way."""

NUMBERS = words_list(
    "zero nil one ones two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million "
    "millions billion billions trillion dozen dozens half halves halve halved third thirds quarter quarters fourth fifth sixth "
    "seventh eighth ninth tenth tenths first second seconds single twice thrice once triple tripled doubled couple several "
    "percent percentage cent cents fold twofold threefold tenfold times plus minus negative positive nought majority "
    "minority"
)
"""Numbers, parts and signs in words."""

DATES = words_list(
    "january february march april may june july august september october november december jan feb mar apr jun jul aug sep "
    "sept oct nov dec monday tuesday wednesday thursday friday saturday sunday today tomorrow yesterday tonight day "
    "days week weeks weekend month months year years quarterly daily weekly monthly yearly annual annually hour hours minute "
    "minutes decade century spring summer autumn winter easter christmas fortnight midnight noon"
)
"""Dates and spans of time: a period is told by a placeholder."""

CAUSES = _forms("cause drive trigger influence impact attribute explain push pull stem prompt spur") | words_list(
    "because due driven drove driver drivers thanks owing owed result results resulted resulting lead leads led leading reason "
    "reasons therefore hence thus since consequence consequences consequently why make makes made attributable responsible "
    "effect effects affect affects affected so helped helps accordingly"
)
"""Words that say why: they need a cited attribution."""

NEGATIONS = words_list(
    "not no never nor neither none nothing without hardly barely scarcely cannot cant dont doesnt didnt isnt arent wasnt wont "
    "hasnt havent hadnt werent couldnt shouldnt wouldnt mustnt neednt nobody unlike except lack lacks lacking"
)
"""A sentence that turns a fact round says something else than the fact."""

JUDGEMENTS = words_list(
    "pass passes passed passing fail fails failed failing proven unproven refused certain certainly sure surely "
    "guaranteed guarantee guarantees definitely always best worst better worse good bad excellent poor significant "
    "significantly reliable unreliable accurate inaccurate trustworthy safe dangerous perfect"
)
"""Words that judge: a verdict is told by a placeholder."""

UNITS = words_list(
    "dollar dollars euro euros pound pounds yen franc francs usd eur gbp kilogram kilograms kg ton tons litre litres"
)
"""A unit comes with its value."""

OPENERS = words_list(
    "the a an for over in of this that these those with its at by from on expected demand against compared between among "
    "all across each and but while also here it they there within to when where if as during until after before sales orders "
    "order stock forecast forecasts customers customer accounts account series check checks run total both our your per "
    "share chance on recommended looking seen overall taken past next you we plan planners call calls worth"
)
"""How a sentence may begin, beside a placeholder: a capital at its start is otherwise a name."""

ACRONYMS = words_list("MASE WAPE OWA AUC SAFE RMSE MAE SMAPE MAPE KS PSI RMSSE MSIS")

_TOPICS = {
    "order": "order orders ordered ordering buy reorder",
    "chance": "chance chances probability likelihood likely odds",
    "cost": "cost costs costing expense",
    "saved": "saved saving savings save saves",
    "coverage": "inside coverage covered covers",
    "interval": "interval intervals quantile range band",
    "error": "error errors accuracy wape mase owa deviation mae",
    "weight": "weight weights weighted",
    "total": "total totals sum",
    "mean": "mean average averages",
    "step": "step steps",
    "peak": "peak peaks",
    "stock": "stock",
    "served": "served service fill",
    "information": "information",
    "capture": "capture captured captures",
    "buyers": "buyers buyer",
    "rank": "rank ranked ranks place",
    "verdict": "verdict verdicts",
    "check": "check checks",
    "worth": "worth value",
    "auc": "auc",
    "calibration": "calibration calibrated",
    "scenario": "scenario scenarios",
    "ratio": "ratio",
    "cutoff": "cutoff",
    "limit": "limit limits cap",
}
TOPICS: dict[str, str] = {word: topic for topic, words in _TOPICS.items() for word in words.split()}
"""Words that say what a number is of: beside a number, they must be in that fact's own words."""


COMMON = frozenset(OPENERS | TOPICS.keys() | DIRECTIONS.keys()) | words_list(
    "is are was were be been will would reads read says than because between stands moves changes come comes came so be i he she "
    "sell sells need needs say ask asked give given mean group units unit list pair pairs"
)
"""Words that every explanation uses: where they are somebody's name, too, only the quotes tell the name."""


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; a possessive is taken off, an apostrophe within left out."""
    return [word.removesuffix("'s").replace("'", "") for word in re.findall(r"[a-z][a-z']*", text.lower())]


def topics_of(text: str) -> frozenset[str]:
    """What a text is about, by its topic words."""
    return frozenset(TOPICS[word] for word in words_of(text) if word in TOPICS)


__all__ = [
    "ACRONYMS",
    "CAUSES",
    "COMMON",
    "DATES",
    "DIRECTIONS",
    "JUDGEMENTS",
    "NEGATIONS",
    "NUMBERS",
    "OPENERS",
    "TOPICS",
    "UNITS",
    "topics_of",
    "words_list",
    "words_of",
]
