"""The list of a published propensity: as published, or solved again from its chances under other limits."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from foreproof.app.api.scorer import Scorer
from foreproof.app.api.shapes import plain
from foreproof.errors import BadInput, NotFound

_CURVE = (0.5, 0.75, 1.0, 1.5, 2.0)
_KNOWN = ("rep", "region", "contacted", "found_by", "drivers")


class Asked(BaseModel):
    """What a reader of the list asks: filters, which only say what is shown, and limits, under which it is solved again."""

    model_config = ConfigDict(extra="ignore")
    group: list[str] = Field([], max_length=100, description="show these product groups alone; may come again")
    segment: list[str] = Field([], max_length=100, description="show these segments of accounts alone; may come again")
    account: str = Field("", max_length=500, description="show accounts whose name holds this")
    min_chance: float = Field(0.0, ge=0.0, le=1.0, description="show chances of at least this")
    top: int | None = Field(None, ge=1, le=10**7, description="show so many of the list's first ranks")
    capacity: int | None = Field(None, ge=1, le=10**6, description="a list of so many pairs, instead of the plan's")
    cap: float | None = Field(None, gt=0.0, le=1.0, description="the greatest share of the list of any group")
    caps: list[str] = Field(
        [], max_length=100, description="GROUP:SHARE, the greatest share of a group; may come again"
    )
    per_account: int | None = Field(None, ge=1, le=10**6, description="most pairs of an account")
    cool_down: float | None = Field(None, ge=0.0, le=1e5, description="days since the last contact, at least")
    limit: int = Field(100, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=10**9)

    def limits(self) -> Hashable:
        """What the list is solved under; None where it is the published one."""
        asked = (self.capacity, self.cap, tuple(sorted(self.caps)), self.per_account, self.cool_down)
        return None if asked == (None, None, (), None, None) else asked

    def shares(self) -> dict[str, float]:
        """`caps`, parsed. Raises BadInput."""
        found = {}
        for text in self.caps:
            name, _, share = text.rpartition(":")
            try:
                found[name] = float(share)
            except ValueError:
                raise BadInput("caps", found=repr(text), wanted="GROUP:SHARE, such as cheese:0.2") from None
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Whitespace:
    """A list, from the top, with what its limits cost and what other lengths would bring."""

    rows: pl.DataFrame
    prices: list[dict[str, Any]]
    curve: list[dict[str, Any]]
    capacity: int
    solved: bool
    groups: list[str] = field(default_factory=list)
    segments: list[str] = field(default_factory=list)

    def shown(self, asked: Asked) -> pl.DataFrame:
        """The rows that the filters let through."""
        found = self.rows.filter(pl.col("chance") >= asked.min_chance)
        if asked.group:
            found = found.filter(pl.col("group").cast(pl.String).is_in(asked.group))
        if asked.segment:
            found = found.filter(pl.col("segment").is_in(asked.segment))
        if asked.account:
            found = found.filter(pl.col("account").cast(pl.String).str.contains(asked.account, literal=True))
        return found if asked.top is None else found.filter(pl.col("rank") <= asked.top)

    def about(self) -> dict[str, Any]:
        """What stands beside the rows."""
        return {
            "capacity": self.capacity,
            "solved": self.solved,
            "expected_buyers": float(self.rows["chance"].sum()),
            "expected_value": float(self.rows["value"].sum()),
            "prices": self.prices,
            "curve": self.curve,
            "groups": self.groups,
            "segments": self.segments,
        }


def whitespace_of(scorer: Scorer, asked: Asked) -> tuple[Whitespace, int]:
    """The list that is asked for, and about how many bytes it takes. Raises NotFound where the run made no list, BadInput."""
    published = scorer.published
    if scorer.plan.shortlist is None:
        raise NotFound(
            f"run {published.run}", found="no list", wanted="a plan with a list", fix="add list: {top: 0.01}"
        )
    listed, beliefs = published.table("list"), published.table("list_beliefs")
    rows, prices, curve, capacity = listed, published.table("list_prices"), published.table("list_curve"), listed.height
    if asked.limits() is not None:
        # scipy, for lists that a merit order cannot settle.
        from foreproof.decisions.listed import capacity_curve
        from foreproof.decisions.shortlist import choose

        entity = scorer.plan.task.entity
        changes: dict[str, Any] = {"by": str(listed["ranked_by"][0]) if listed.height else "value"}
        for name in ("cap", "per_account", "cool_down"):
            if getattr(asked, name) is not None:
                changes[name] = getattr(asked, name)
        if asked.cool_down and "contacted" not in beliefs.columns:
            raise BadInput("cool_down", found="no calls in the plan", wanted="a table of contacts", fix="add contacts:")
        terms = replace(scorer.plan.shortlist, **changes)
        terms = replace(terms, caps={**terms.caps, **asked.shares()})
        terms = terms if asked.capacity is None else terms.sized(min(asked.capacity, beliefs.height))
        chosen = choose(beliefs, terms, entity=entity)
        counts = sorted({max(1, round(share * chosen.capacity)) for share in _CURVE})
        rows, prices, capacity = chosen.rows, chosen.prices, chosen.capacity
        curve = capacity_curve(beliefs, terms, counts, entity=entity)
    found = Whitespace(
        rows=_rows(scorer, rows),
        prices=[{**row, "words": _price(row)} for row in plain(prices)],
        curve=plain(curve),
        capacity=capacity,
        solved=asked.limits() is not None,
        groups=[str(name) for name in beliefs[scorer.plan.task.group].unique().sort().to_list()],
        segments=beliefs["segment"].drop_nulls().unique().sort().to_list(),
    )
    return found, int(found.rows.estimated_size())


def _rows(scorer: Scorer, rows: pl.DataFrame) -> pl.DataFrame:
    account, group = scorer.plan.task.entity
    ends = [
        scorer.interval("whitespace", str(name), p, badge=str(badge))
        for name, p, badge in rows.select(group, "p", "badge").iter_rows()
    ]
    low, high, source = (
        pl.Series(name, [end[at] for end in ends], dtype=dtype)
        for at, (name, dtype) in enumerate((("low", pl.Float64), ("high", pl.Float64), ("interval", pl.String)))
    )
    names = [pl.col("rank"), pl.col(account).alias("account"), pl.col(group).alias("group"), pl.col("segment")]
    known = ["worth", "badge", *(name for name in _KNOWN if name in rows.columns), "because"]
    money = pl.col("expected").alias("value")
    return rows.select(*names, pl.col("p").alias("chance"), low, high, source, money, *map(pl.col, known))


def _price(row: dict[str, Any]) -> str:
    """A limit in words."""
    price, used = row["price"] or 0.0, row["used"]
    if price <= 0.0:
        return f"{row['limit']}: {used} pairs, costs nothing"
    return f"{row['limit']}: {used} pairs; without it the list would gain {price:,.4g}"


__all__ = ["Asked", "Whitespace", "whitespace_of"]
