"""The ranked list of pairs of account and group: whom to call for what, under capacity, and what each limit costs.

The value of a pair is p x worth (money expected) or p alone (buyers expected); the list is the feasible set with the largest
sum. A policy sees beliefs alone (law 7): what came of past lists is for `replay_list`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from foreproof.core.decide import Floats
from foreproof.decisions.assign import Assignment, Ints, Limit, assign
from foreproof.decisions.reasons import COOL, FOUND, PRICES, price_table, swap_table, told
from foreproof.decisions.terms import (
    BADGE,
    CONTACTED,
    FOUND_BY,
    RANK,
    REGION,
    REP,
    SCORE,
    SEGMENT,
    VALUE,
    WORTH,
    ListTerms,
    P,
    parse_list,
)
from foreproof.errors import BadInput

_BARRED = "_barred"


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

    beliefs: two entity columns (account, group), `cutoff`, `p`, `worth`, and what the terms name: segment, rep, contacted (days
    since the last contact, null for never), found_by (sources that name it a candidate, empty for none), score; region, badge and
    others go along; one row a pair. Ties go by the pair's name.
    Rows that cannot be chosen are set aside first: with capacity K and at most m pairs an account, a pair is chosen only if
    it is among the K + K / m + 1 best of its group (and of its segment and representative, where these are limited), since of
    so many better ones at most K are chosen and at most K / m belong to an account that is full, and any other could take its
    place. Raises BadInput.
    """
    ready = _prepared(beliefs, terms, entity)
    gain = ready.pruned["_value"].to_numpy()
    found = assign(gain, ready.limits, most=ready.capacity)
    chosen = _ranked(ready.pruned, found)
    prices = price_table(gain, ready.limits, found, ready.capacity)
    prices = pl.concat([prices, _bar_prices(ready, terms, entity, found)])
    return Chosen(
        rows=told(chosen, ready.rows, prices, entity),
        prices=prices,
        swaps=swap_table(ready.rows, chosen, prices, terms, entity),
        value=found.value,
        capacity=ready.capacity,
    )


def chosen_rows(beliefs: pl.DataFrame, terms: ListTerms, *, entity: tuple[str, str]) -> pl.DataFrame:
    """The rows of `choose` without reasons: for replays and for many lengths, where nobody asks what limits cost."""
    ready = _prepared(beliefs, terms, entity)
    found = assign(ready.pruned["_value"].to_numpy(), ready.limits, most=ready.capacity)
    return _ranked(ready.pruned, found).with_columns((pl.col(P) * pl.col(WORTH)).alias(VALUE)).drop("_value", _BARRED)


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """Pairs from best to worst: all, and those that can be chosen, with the limits on the latter."""

    rows: pl.DataFrame
    pruned: pl.DataFrame
    limits: list[Limit]
    capacity: int


def _prepared(beliefs: pl.DataFrame, terms: ListTerms, entity: tuple[str, str]) -> _Ready:
    rows = _checked(beliefs, terms, entity)
    rows = rows.with_columns(pl.Series("_value", _value(rows, terms)), _barred(terms).alias(_BARRED))
    rows = rows.sort("_value", *entity, descending=[True, False, False])
    capacity = capacity_of(rows, terms)
    pruned = _pruned(rows.filter(pl.col(_BARRED) == ""), capacity, terms, entity)
    return _Ready(rows, pruned, limits_of(pruned, rows, terms, capacity, entity), capacity)


def _barred(terms: ListTerms) -> pl.Expr:
    """Why a pair is not looked at, in a word; empty for all others."""
    why = pl.lit("")
    if terms.candidates:
        why = pl.when(pl.col(FOUND_BY).fill_null("") == "").then(pl.lit(FOUND)).otherwise(why)
    if terms.cool_down:
        why = pl.when((pl.col(CONTACTED) < terms.cool_down).fill_null(False)).then(pl.lit(COOL)).otherwise(why)
    if terms.hybrid:
        named = pl.col(SEGMENT).is_in(list(terms.hybrid)).fill_null(False)
        why = pl.when(~named).then(pl.lit("hybrid names no such segment")).otherwise(why)
    if terms.per_rep is not None:
        why = pl.when(pl.col(REP).is_null()).then(pl.lit("no representative")).otherwise(why)
    return why


def _bar_prices(ready: _Ready, terms: ListTerms, entity: tuple[str, str], found: Assignment) -> pl.DataFrame:
    """What the list would gain if pairs that were called lately, or that no source found, could be called."""
    rows = []
    for word, without in ((COOL, {"cool_down": 0.0}), (FOUND, {"candidates": 0})):
        barred = ready.rows.filter(pl.col(_BARRED) == word).height
        if not (terms.cool_down if word == COOL else terms.candidates):
            continue
        price = 0.0
        if barred:
            names = ["_value", _BARRED]
            other = _prepared(ready.rows.drop(names), replace(terms, **without), entity)
            value = other.pruned["_value"].to_numpy()
            gained = assign(value, other.limits, most=other.capacity, start=found.start or None).value - found.value
            price = max(0.0, gained)
        rows.append((word, 0, None, barred, price, 0.0))
    return pl.DataFrame(rows, schema=PRICES, orient="row")


def _ranked(pruned: pl.DataFrame, found: Assignment) -> pl.DataFrame:
    return pruned[found.chosen].with_row_index(RANK, offset=1).with_columns(pl.col(RANK).cast(pl.Int64))


def capacity_of(rows: pl.DataFrame, terms: ListTerms) -> int:
    """How many pairs the list may hold; never more than there are."""
    if terms.count is not None:
        wanted = terms.count
    elif terms.top is not None:
        wanted = max(1, int(np.floor(terms.top * rows.height + 1e-9)))
    elif terms.per_rep is not None:
        wanted = terms.per_rep * rows[REP].drop_nulls().n_unique()
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
    needed += [FOUND_BY] if terms.candidates else []
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
    """Raise BadInput where an account is in two segments (or has two representatives) at once."""
    several = (
        rows.group_by(account, maintain_order=True).agg(pl.col(segment).n_unique().alias("n")).filter(pl.col("n") > 1)
    )
    if several.height:
        name = several[account][0]
        both = rows.filter(pl.col(account) == name)[segment].unique().sort().to_list()
        raise BadInput(
            f"{account} {name}", found=f"in {segment}s {', '.join(map(str, both))} at once", wanted=f"one {segment} each",
            fix="give the table one valid row an account",
        )  # fmt: skip


def _value(rows: pl.DataFrame, terms: ListTerms) -> Floats:
    if terms.by == "value":
        return (rows[P] * rows[WORTH]).to_numpy()
    return rows[SCORE if SCORE in rows.columns else P].cast(pl.Float64).to_numpy()


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


__all__ = [
    "BADGE",
    "CONTACTED",
    "FOUND_BY",
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
