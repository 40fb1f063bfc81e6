"""The facts ledger: what may be said about a run, each fact with where it was read from.

A fact is made from precomputed results only: forecasts, sums, scores, verdicts, orders. A raw row of a series never is one.
Whoever writes about a run, a model or `explain.writer`, cites facts by id; the numbers, dates, names and directions in the text
are rendered from them (`explain.render`) and checked against them (`explain.claims`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, get_args

from foreproof.core.digest import digest_json
from foreproof.errors import BadInput

Kind = Literal[
    "level",
    "comparison",
    "probability",
    "order",
    "money",
    "score",
    "coverage",
    "verdict",
    "date",
    "attribution",
    "scenario",
    "weight",
    "count",
]
Direction = Literal["up", "down", "level"]

WHOLE = ""
"""The subject of a fact about the whole run."""
CHECK = "check "
"""How the subject of a check's verdict begins: those are names of ours, not of the data."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a run says.

    subject: a name out of the data, or `WHOLE`. what: a noun phrase in our words. value: a number (a share is 0.2, not 20) or a
    word or date. unit: `%`, `ratio`, `times`, or a unit in words. period: when it holds, as rendered. direction: of a change.
    source: sha256 of the file it was read from. against: what a comparison compares with.
    """

    id: str
    subject: str
    what: str
    value: float | str
    unit: str
    period: str
    direction: Direction | None
    kind: Kind
    source: str
    against: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise BadInput(f"fact {self.what}", found=f"kind {self.kind!r}", wanted=", ".join(get_args(Kind)))
        if isinstance(self.value, float) and not math.isfinite(self.value):
            raise BadInput(f"fact {self.what}", found=f"{self.value}", wanted="a finite number")
        if self.signed and not self.against:
            raise BadInput(f"fact {self.what}", found="a change", wanted="what it is against")

    @property
    def signed(self) -> bool:
        """Whether its value is a change, told with its sign or as a size with its direction."""
        return self.kind in ("comparison", "scenario")


@dataclass(frozen=True)
class Facts:
    """Facts in their order. names: every name in the data that a text could mean, also of subjects without a fact here."""

    items: tuple[Fact, ...] = ()
    names: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def by_id(self) -> Mapping[str, Fact]:
        """Each fact under its id."""
        return {fact.id: fact for fact in self.items}

    @cached_property
    def digest(self) -> str:
        """sha256 over all facts: what an explanation rests on."""
        return digest_json([asdict(fact) for fact in self.items])

    @cached_property
    def known_names(self) -> frozenset[str]:
        """Names of the data and the subjects of the facts, in lower case."""
        return frozenset(name.lower() for name in (*self.names, *(fact.subject for fact in self.items)) if name)

    def of(self, subject: str, *kinds: Kind) -> tuple[Fact, ...]:
        """The facts of one subject, of some kinds or of all."""
        return tuple(fact for fact in self.items if fact.subject == subject and (not kinds or fact.kind in kinds))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject that has a fact, in order; `WHOLE` is left out."""
        return tuple(dict.fromkeys(fact.subject for fact in self.items if fact.subject != WHOLE))

    def cited(self, ids: Iterable[str]) -> Facts:
        """The facts of these ids, under the same names; ids that are not known are left out."""
        return Facts(tuple(self.by_id[one] for one in dict.fromkeys(ids) if one in self.by_id), self.known_names)

    def about(self, subject: str) -> Facts:
        """The facts of a subject and those of the whole run."""
        return Facts(tuple(f for f in self.items if f.subject in (subject, WHOLE)), self.known_names)


@dataclass(frozen=True, slots=True)
class About:
    """What facts of a run need to know of its plan.

    workload: forecast | propensity. entity: the columns that name a series or a pair. unit: of the target, in words. currency:
    of money. zone: in which days are told. step: what a step is called, in the plural. additive: whether a sum over steps means
    something. cutoff: as rendered. horizon: in steps. digests: sha256 of each table's file, by the table's name.
    """

    run: str
    workload: str
    entity: tuple[str, ...]
    unit: str
    currency: str
    zone: str
    step: str
    additive: bool
    cutoff: str
    horizon: int
    status: str
    digests: Mapping[str, str] = field(default_factory=dict)


def ledger(found: Iterable[Fact], names: Iterable[str] = ()) -> Facts:
    """Number the facts f1, f2, ... in their order."""
    items = tuple(replace(fact, id=f"f{place}") for place, fact in enumerate(found, 1))
    return Facts(items, frozenset(names))


def direction_of(change: float, *, digits: int) -> Direction:
    """Where a change points, as it will be told: one that rounds to nothing is level."""
    told = round(change, digits)
    return "level" if told == 0 else "up" if told > 0 else "down"


def as_dicts(facts: Facts) -> list[dict[str, Any]]:
    """The facts as plain values, for JSON."""
    return [asdict(fact) for fact in facts.items]


__all__ = ["CHECK", "WHOLE", "About", "Direction", "Fact", "Facts", "Kind", "as_dicts", "direction_of", "ledger"]
