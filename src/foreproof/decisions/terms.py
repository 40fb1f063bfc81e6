"""How long a list is and what it must keep, as the plan says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from foreproof.core.section import Section
from foreproof.errors import BadInput, PlanError

By = Literal["value", "capture"]
P, WORTH, VALUE, RANK, BADGE = "p", "worth", "expected", "rank", "badge"
SEGMENT, REP, REGION, CONTACTED, SCORE = "segment", "rep", "region", "contacted", "score"
FOUND_BY = "found_by"
CHANCE = "chance"
SOURCES = (CHANCE, "copurchase", "affinity_score")
"""What may find a candidate: its chance, or the features whose names begin so."""


@dataclass(frozen=True, slots=True)
class ListTerms:
    """How long the list is, and what it must keep.

    by: `value` (p x worth) or `capture` (`score` where there is one, else p). Of capacity exactly one: top (share of all
    pairs), count (pairs), per_rep (pairs a representative), hybrid (by segment, pairs). caps: by group, its greatest share of
    the list; cap: that of every other group. floors: by segment, its least share. per_account: most pairs of an account.
    cool_down: days; a pair contacted less than that ago is out. fair: each segment's share of the list may differ by so much
    from its share of expected buyers. candidates: only pairs that are among the so many best of their account by one of the
    sources `by` are looked at (column `found_by`); 0 for all pairs. scenarios: other capacities that past cutoffs are asked
    about, shares below 1 or counts.
    """

    by: By = "value"
    top: float | None = None
    count: int | None = None
    per_rep: int | None = None
    hybrid: Mapping[str, int] = field(default_factory=dict)
    caps: Mapping[str, float] = field(default_factory=dict)
    cap: float | None = None
    floors: Mapping[str, float] = field(default_factory=dict)
    per_account: int | None = None
    cool_down: float = 0.0
    fair: float | None = None
    candidates: int = 0
    sources: tuple[str, ...] = SOURCES
    scenarios: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        given = [name for name in ("top", "count", "per_rep", "hybrid") if getattr(self, name) not in (None, {})]
        if len(given) != 1:
            found = ", ".join(given) or "none"
            raise BadInput("list", found=f"capacities: {found}", wanted="one of top, count, per_rep, hybrid")
        shares: dict[str, float | None] = {"top": self.top, "cap": self.cap, "fair": self.fair}
        shares |= {f"caps.{name}": share for name, share in self.caps.items()}
        shares |= {f"floors.{name}": share for name, share in self.floors.items()}
        for name, part in shares.items():
            if part is not None and not 0.0 < part <= 1.0:
                raise BadInput(f"list.{name}", found=f"{part:g}", wanted="a share above 0, at most 1")
        counts: dict[str, int | None] = {"count": self.count, "per_rep": self.per_rep, "per_account": self.per_account}
        counts |= {f"hybrid.{name}": many for name, many in self.hybrid.items()}
        for name, number in counts.items():
            if number is not None and number < 1:
                raise BadInput(
                    f"list.{name}", found=f"{number}", wanted="at least 1", fix="leave it out, or call nobody"
                )
        for size in self.scenarios:
            if size <= 0.0 or (size >= 1.0 and not float(size).is_integer()):
                raise BadInput("list.scenarios", found=f"{size:g}", wanted="shares below 1 or whole numbers of pairs")
        if sum(self.floors.values()) > 1.0 + 1e-9:
            raise BadInput("list.floors", found=f"{sum(self.floors.values()):g} of the list in all", wanted="at most 1")
        if self.cool_down < 0.0:
            raise BadInput("list.cool_down", found=f"{self.cool_down:g}", wanted="0 or more days")

    def sized(self, count: int) -> ListTerms:
        """The same limits on a list of `count` pairs."""
        return replace(self, top=None, count=count, per_rep=None, hybrid={})

    def known(self, groups: Collection[str], segments: Collection[str]) -> ListTerms:
        """The limits whose groups and segments are there: at a past cutoff a group may not have begun."""
        hybrid = {name: many for name, many in self.hybrid.items() if name in segments}
        if self.hybrid and not hybrid:
            raise BadInput("list.hybrid", found=", ".join(self.hybrid), wanted=f"some of {', '.join(sorted(segments))}")
        caps = {name: share for name, share in self.caps.items() if name in groups}
        floors = {name: share for name, share in self.floors.items() if name in segments}
        return replace(self, caps=caps, floors=floors, hybrid=hybrid)


def parse_list(section: Section) -> ListTerms:
    """The plan's `list`, such as `{top: 0.01, cap: 0.15, floors: {small: 0.2}, per_account: 2, cool_down: 30}`."""
    caps = section.section("caps", default={})
    floors, hybrid = section.section("floors", default={}), section.section("hybrid", default={})
    values: dict[str, Any] = {
        "by": section.choice("by", ("value", "capture"), default="value"),
        "top": section.number_or_none("top"),
        "count": section.whole("count") if "count" in section else None,
        "per_rep": section.whole("per_rep") if "per_rep" in section else None,
        "hybrid": {name: hybrid.whole(name) for name in hybrid},
        "caps": {name: caps.number(name) for name in caps},
        "cap": section.number_or_none("cap"),
        "floors": {name: floors.number(name) for name in floors},
        "per_account": section.whole("per_account") if "per_account" in section else None,
        "cool_down": section.number("cool_down", default=0.0),
        "fair": section.number_or_none("fair"),
        "scenarios": section.numbers("scenarios", default=()),
    }
    if "candidates" in section:
        candidates = section.section("candidates")
        values["candidates"] = candidates.whole("each", low=1)
        values["sources"] = candidates.texts("by", default=SOURCES)
        candidates.done()
    section.done()
    try:
        return ListTerms(**values)
    except BadInput as error:
        raise PlanError(error.subject, found=error.found, wanted=error.wanted, fix=error.fix) from None


__all__ = [
    "BADGE",
    "CHANCE",
    "CONTACTED",
    "FOUND_BY",
    "RANK",
    "REGION",
    "REP",
    "SCORE",
    "SEGMENT",
    "SOURCES",
    "VALUE",
    "WORTH",
    "By",
    "ListTerms",
    "P",
    "parse_list",
]
