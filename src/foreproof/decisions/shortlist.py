"""The ranked list of pairs of account and group: whom to call for what, under capacity, and what each limit costs.

The value of a pair is p x worth (money expected) or p alone (buyers expected); the list is the feasible set with the largest
sum. A policy sees beliefs alone (law 7): what came of past lists is for `replay_list`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from foreproof.core.decide import BECAUSE, Floats
from foreproof.core.section import Section
from foreproof.decisions.assign import Assignment, Ints, Limit, assign, marginal_prices
from foreproof.errors import BadInput, PlanError

By = Literal["value", "capture"]
P, WORTH, VALUE, RANK, BADGE = "p", "worth", "expected", "rank", "badge"
SEGMENT, REP, REGION, CONTACTED, SCORE = "segment", "rep", "region", "contacted", "score"
_COOL = "cool-down"
_MOST_PRICED = 50_000


@dataclass(frozen=True, slots=True)
class ListTerms:
    """How long the list is, and what it must keep.

    by: `value` (p x worth) or `capture` (`score` where there is one, else p). Of capacity exactly one: top (share of all
    pairs), count (pairs), per_rep (pairs a representative), hybrid (by segment, pairs). caps: by group, its greatest share of
    the list; cap: that of every other group. floors: by segment, its least share. per_account: most pairs of an account.
    cool_down: days; a pair contacted less than that ago is out. fair: each segment's share of the list may differ by so much
    from its share of expected buyers.
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
        if sum(self.floors.values()) > 1.0 + 1e-9:
            raise BadInput("list.floors", found=f"{sum(self.floors.values()):g} of the list in all", wanted="at most 1")
        if self.cool_down < 0.0:
            raise BadInput("list.cool_down", found=f"{self.cool_down:g}", wanted="0 or more days")

    def sized(self, count: int) -> ListTerms:
        """The same limits on a list of `count` pairs."""
        kept = {
            name: getattr(self, name) for name in ("by", "caps", "cap", "floors", "per_account", "cool_down", "fair")
        }
        return ListTerms(count=count, **kept)


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The list.

    rows: entity, cutoff, `rank`, `p`, `worth`, `expected` (p x worth), what else was known of the pair, `because`. prices:
    `limit`, `low`, `high`, `used`, `price` (what the list would gain without it), `marginal` (by one unit more of it). swaps:
    what a limit pushed out of the free list, with `limit`, what came in its stead, and `lost`. value: the maximised sum.
    """

    rows: pl.DataFrame
    prices: pl.DataFrame
    swaps: pl.DataFrame
    value: float
    capacity: int


def choose(beliefs: pl.DataFrame, terms: ListTerms, *, entity: tuple[str, str]) -> Chosen:
    """The list with the largest value that keeps all limits.

    beliefs: two entity columns (account, group), `cutoff`, `p`, `worth`, and what the terms name: segment, rep, region,
    contacted (days since the last contact, null for never), score, badge; one row a pair. Ties go by the pair's name.
    Rows that cannot be chosen are set aside first: with capacity K and at most m pairs an account, a pair is chosen only if
    it is among the K + K / m + 1 best of its group (and of its segment and representative, where these are limited), since of
    so many better ones at most K are chosen and at most K / m belong to an account that is full, and any other could take its
    place. Raises BadInput.
    """
    ready = _prepared(beliefs, terms, entity)
    gain = ready.pruned["_value"].to_numpy()
    found = assign(gain, ready.limits, most=ready.capacity)
    chosen = _ranked(ready.pruned, found)
    prices = _prices(gain, ready.limits, found, ready.capacity)
    return Chosen(
        rows=_told(chosen, ready.rows, prices, entity),
        prices=prices,
        swaps=_swaps(ready, chosen, prices, terms, entity),
        value=found.value,
        capacity=ready.capacity,
    )


def chosen_rows(beliefs: pl.DataFrame, terms: ListTerms, *, entity: tuple[str, str]) -> pl.DataFrame:
    """The rows of `choose` without reasons: for replays and for many lengths, where nobody asks what limits cost."""
    ready = _prepared(beliefs, terms, entity)
    found = assign(ready.pruned["_value"].to_numpy(), ready.limits, most=ready.capacity)
    return _ranked(ready.pruned, found).with_columns((pl.col(P) * pl.col(WORTH)).alias(VALUE)).drop("_value")


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """Pairs from best to worst: all, and those that can be chosen, with the limits on the latter."""

    rows: pl.DataFrame
    pruned: pl.DataFrame
    limits: list[Limit]
    capacity: int


def _prepared(beliefs: pl.DataFrame, terms: ListTerms, entity: tuple[str, str]) -> _Ready:
    rows = _checked(beliefs, terms, entity)
    rows = rows.with_columns(pl.Series("_value", _value(rows, terms)))
    rows = rows.sort("_value", *entity, descending=[True, False, False])
    capacity = capacity_of(rows, terms)
    pruned = _pruned(rows.filter(~_cooling(rows, terms)), capacity, terms, entity)
    return _Ready(rows, pruned, limits_of(pruned, rows, terms, capacity, entity), capacity)


def _ranked(pruned: pl.DataFrame, found: Assignment) -> pl.DataFrame:
    return pruned[found.chosen].with_row_index(RANK, offset=1).with_columns(pl.col(RANK).cast(pl.Int64))


def capacity_of(rows: pl.DataFrame, terms: ListTerms) -> int:
    """How many pairs the list may hold; never more than there are."""
    if terms.count is not None:
        wanted = terms.count
    elif terms.top is not None:
        wanted = max(1, int(np.floor(terms.top * rows.height + 1e-9)))
    elif terms.per_rep is not None:
        wanted = terms.per_rep * rows[REP].n_unique()
    else:
        wanted = sum(terms.hybrid.values())
    return min(wanted, rows.height)


def limits_of(
    pruned: pl.DataFrame, rows: pl.DataFrame, terms: ListTerms, capacity: int, entity: tuple[str, str]
) -> list[Limit]:
    """Every limit but the capacity, as rows of `pruned` that are counted."""
    account, group = entity
    limits: list[Limit] = []
    for name, places in _places(pruned, group).items():
        share = terms.caps.get(name, terms.cap)
        if share is not None:
            limits.append(Limit(f"cap {name}", places, 0, int(np.floor(share * capacity + 1e-9))))
    if terms.per_rep is not None:
        limits += [Limit(f"rep {name}", at, 0, terms.per_rep) for name, at in _places(pruned, REP).items()]
    segments = _places(pruned, SEGMENT) if SEGMENT in pruned.columns else {}
    limits += [Limit(f"hybrid {name}", segments.get(name, _none()), 0, many) for name, many in terms.hybrid.items()]
    for name, share in terms.floors.items():
        low = int(np.ceil(share * capacity - 1e-9))
        limits.append(Limit(f"floor {name}", segments.get(name, _none()), low))
    if terms.fair is not None:
        whole = float(rows[P].sum())
        for name, at in segments.items():
            fair = float(rows.filter(pl.col(SEGMENT) == name)[P].sum()) / whole if whole > 0.0 else 0.0
            least, most = (fair - terms.fair) * capacity, (fair + terms.fair) * capacity
            limits.append(Limit(f"fair {name}", at, max(0, int(np.ceil(least - 1e-9))), int(np.floor(most + 1e-9))))
    if terms.per_account is not None:
        crowded = {n: at for n, at in _places(pruned, account).items() if len(at) > terms.per_account}
        limits += [Limit(f"account {n}", at, 0, terms.per_account, "per account") for n, at in crowded.items()]
    return limits


def _checked(beliefs: pl.DataFrame, terms: ListTerms, entity: tuple[str, str]) -> pl.DataFrame:
    needed = [*entity, "cutoff", P, WORTH]
    needed += [REP] if terms.per_rep is not None else []
    needed += [SEGMENT] if terms.hybrid or terms.floors or terms.fair is not None else []
    needed += [CONTACTED] if terms.cool_down else []
    lacking = [name for name in needed if name not in beliefs.columns]
    if lacking:
        raise BadInput("list", found=f"no column {', '.join(lacking)}", wanted=", ".join(needed))
    if not beliefs.height:
        raise BadInput("list", found="no pair to choose from", wanted="at least one")
    if beliefs.select(entity).is_duplicated().any():
        raise BadInput("list", found="a pair twice", wanted="one row a pair, at one cutoff")
    sound = pl.col(P).is_between(0.0, 1.0) & pl.col(WORTH).is_finite() & (pl.col(WORTH) >= 0.0)
    wrong = beliefs.filter(~sound.fill_null(False))
    if wrong.height:
        raise BadInput("list", found=f"{wrong.row(0, named=True)}", wanted="p in [0, 1] and a worth of 0 or more")
    if terms.hybrid or terms.floors or terms.fair is not None:
        known = set(beliefs[SEGMENT].drop_nulls().to_list())
        for name in (*terms.hybrid, *terms.floors):
            if name not in known:
                raise BadInput(
                    f"list: segment {name}", found="no pair in it", wanted=f"one of {', '.join(sorted(known))}"
                )
    groups = set(beliefs[entity[1]].to_list())
    for name in terms.caps:
        if name not in groups:
            raise BadInput(f"list.caps.{name}", found="no pair of that group", wanted="a group of the population")
    return beliefs


def one_segment_each(rows: pl.DataFrame, account: str, segment: str) -> None:
    """Raise BadInput where an account is in two segments at once."""
    several = (
        rows.group_by(account, maintain_order=True).agg(pl.col(segment).n_unique().alias("n")).filter(pl.col("n") > 1)
    )
    if several.height:
        name = several[account][0]
        both = rows.filter(pl.col(account) == name)[segment].unique().sort().to_list()
        raise BadInput(
            f"{account} {name}", found=f"in segments {', '.join(map(str, both))} at once", wanted="one segment each",
            fix="give the segment table one valid row an account",
        )  # fmt: skip


def _value(rows: pl.DataFrame, terms: ListTerms) -> Floats:
    if terms.by == "value":
        return (rows[P] * rows[WORTH]).to_numpy()
    return rows[SCORE if SCORE in rows.columns else P].cast(pl.Float64).to_numpy()


def _cooling(rows: pl.DataFrame, terms: ListTerms) -> pl.Series:
    if not terms.cool_down:
        return pl.Series([False] * rows.height, dtype=pl.Boolean)
    return rows.select((pl.col(CONTACTED) < terms.cool_down).fill_null(False)).to_series()


def _pruned(rows: pl.DataFrame, capacity: int, terms: ListTerms, entity: tuple[str, str]) -> pl.DataFrame:
    parted = terms.hybrid or terms.floors or terms.fair is not None
    cell = [entity[1], *([SEGMENT] if parted else []), *([REP] if terms.per_rep is not None else [])]
    keep = capacity + (capacity // terms.per_account + 1 if terms.per_account else 0)
    return rows.filter(pl.int_range(pl.len()).over(cell) < keep)


def _places(rows: pl.DataFrame, column: str) -> dict[str, Ints]:
    numbered = rows.select(column).with_row_index("_at").drop_nulls()
    found = numbered.group_by(column, maintain_order=True).agg(pl.col("_at"))
    return {str(name): np.asarray(at, dtype=np.int64) for name, at in sorted(found.iter_rows())}


def _none() -> Ints:
    return np.empty(0, dtype=np.int64)


def _prices(value: Floats, limits: list[Limit], found: Assignment, capacity: int) -> pl.DataFrame:
    """Each rule's price: one that is not binding costs nothing. Limits of one rule are one line, its tightest.

    A price is one more solve; of very many pairs (_MOST_PRICED) it is left null, and the marginal price stands alone.
    """
    inside = np.zeros(value.size, dtype=np.int64)
    inside[found.chosen] = 1
    free = float(np.sort(value)[::-1][:capacity].sum())
    costs = found.value < free - 1e-12 * max(1.0, abs(free))
    duals = marginal_prices(value, limits, most=capacity) if limits and costs else [0.0] * len(limits)
    rules: dict[str, list[tuple[Limit, int, float]]] = {}
    for limit, dual in zip(limits, duals, strict=True):
        rules.setdefault(limit.rule or limit.name, []).append((limit, int(inside[limit.rows].sum()), dual))
    rows = []
    for rule, cases in rules.items():
        binding = [dual for limit, many, dual in cases if limit.low >= many or limit.high <= many]
        price: float | None = 0.0
        if binding and costs and value.size > _MOST_PRICED:
            price = None
        elif binding and costs:
            others = [one for one in limits if (one.rule or one.name) != rule]
            price = max(0.0, assign(value, others, most=capacity).value - found.value)
        tightest = cases[0][0]
        high = tightest.high if tightest.high < 2**61 else None
        used = max(many for _, many, _ in cases)
        rows.append((rule, tightest.low, high, used, price, max(binding, default=0.0)))
    schema = {"limit": pl.String, "low": pl.Int64, "high": pl.Int64, "used": pl.Int64}
    return pl.DataFrame(rows, schema={**schema, "price": pl.Float64, "marginal": pl.Float64}, orient="row")


def _swaps(
    ready: _Ready, chosen: pl.DataFrame, prices: pl.DataFrame, terms: ListTerms, entity: tuple[str, str]
) -> pl.DataFrame:
    """What the free list (the `capacity` best) has and this one has not, best first, beside what came in its stead."""
    names = list(entity)
    free = ready.rows.head(ready.capacity)
    out = free.join(chosen, on=names, how="anti", maintain_order="left")
    came = chosen.join(free, on=names, how="anti", maintain_order="left")
    full = {
        n for n, high, used in prices.select("limit", "high", "used").iter_rows() if high is not None and used >= high
    }
    crowded = set(chosen.group_by(names[0]).len().filter(pl.col("len") >= (terms.per_account or 2**31))[names[0]])
    possible = set(ready.pruned.select(names).iter_rows())
    rows = []
    for place, row in enumerate(out.iter_rows(named=True)):
        pair = (row[names[0]], row[names[1]])
        may = [f"cap {pair[1]}", f"rep {row.get(REP)}", f"hybrid {row.get(SEGMENT)}", f"fair {row.get(SEGMENT)}"]
        limit = next((one for one in may if one in full), "floor")
        limit = "per account" if pair[0] in crowded else limit
        limit = _COOL if terms.cool_down and pair not in possible else limit
        instead = came.row(place, named=True) if place < came.height else {}
        rows.append((*pair, limit, *(instead.get(name) for name in names), row["_value"] - instead.get("_value", 0.0)))
    texts = [*names, "limit", *(f"{name}_instead" for name in names)]
    return pl.DataFrame(rows, schema={**dict.fromkeys(texts, pl.String()), "lost": pl.Float64()}, orient="row")


def _told(chosen: pl.DataFrame, rows: pl.DataFrame, prices: pl.DataFrame, entity: tuple[str, str]) -> pl.DataFrame:
    """The list with its reasons."""
    rate = rows.group_by(entity[1], maintain_order=True).agg(pl.col(P).mean().alias("_rate"))
    told = chosen.join(rate, on=entity[1], how="left", maintain_order="left")
    capped = [
        n.removeprefix("cap ")
        for n in prices.filter(pl.col("limit").str.starts_with("cap "), pl.col("marginal") > 0)["limit"]
    ]
    why = pl.format(
        "rank {} of {}: p {} (mean of its group {}), worth {}, expected {}{}",
        pl.col(RANK),
        pl.lit(chosen.height),
        pl.col(P).round(3),
        pl.col("_rate").round(3),
        pl.col(WORTH).round(2),
        (pl.col(P) * pl.col(WORTH)).round(2),
        pl.when(pl.col(entity[1]).is_in(capped)).then(pl.lit("; its group is at its cap")).otherwise(pl.lit("")),
    )
    told = told.with_columns((pl.col(P) * pl.col(WORTH)).alias(VALUE), why.alias(BECAUSE)).drop("_rate", "_value")
    first = [*entity, "cutoff", RANK, P, WORTH, VALUE]
    return told.select(*first, *(name for name in told.columns if name not in (*first, BECAUSE)), BECAUSE)


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
    }
    section.done()
    try:
        return ListTerms(**values)
    except BadInput as error:
        raise PlanError(error.subject, found=error.found, wanted=error.wanted, fix=error.fix) from None


__all__ = [
    "BADGE",
    "CONTACTED",
    "RANK",
    "REGION",
    "REP",
    "SCORE",
    "SEGMENT",
    "VALUE",
    "WORTH",
    "Chosen",
    "ListTerms",
    "P",
    "capacity_of",
    "choose",
    "chosen_rows",
    "limits_of",
    "one_segment_each",
    "parse_list",
]
