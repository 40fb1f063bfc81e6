"""What can be said of a list: what it is expected to catch, who is on it, who left and why, and whether it is balanced."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from foreproof.core.decide import Floats
from foreproof.decisions.shortlist import CONTACTED, SEGMENT, VALUE, ListTerms, chosen_rows
from foreproof.decisions.shortlist import WORTH as MONEY
from foreproof.decisions.shortlist import P as CHANCE
from foreproof.errors import BadInput

SIZES = ("small", "medium", "large")


def overlap(
    now: pl.DataFrame, before: pl.DataFrame, *, beliefs: pl.DataFrame, entity: tuple[str, str], cool_down: float = 0.0
) -> tuple[float, pl.DataFrame]:
    """The Jaccard index of two lists (pairs on both / on either), and who came and left: entity, `move`, `why`.

    beliefs: today's, from which the new list was chosen. Two empty lists are equal: 1.
    """
    names = list(entity)
    a, b = now.select(names), before.select(names)
    both = a.join(b, on=names, how="semi").height
    either = a.height + b.height - both
    came = a.join(b, on=names, how="anti", maintain_order="left")
    left = b.join(a, on=names, how="anti", maintain_order="left")
    known = left.join(beliefs.with_columns(pl.lit(True).alias("_here")), on=names, how="left", maintain_order="left")
    cooling = (pl.col(CONTACTED) < cool_down).fill_null(False) if CONTACTED in known.columns else pl.lit(False)
    why = (
        pl.when(pl.col("_here").is_null())
        .then(pl.lit("no longer in the population"))
        .when(cooling)
        .then(pl.lit("contacted too lately"))
        .otherwise(pl.lit("others are worth more now, or a limit is full"))
    )
    moves = pl.concat(
        [
            came.with_columns(pl.lit("came").alias("move"), pl.lit("worth more than what it replaced").alias("why")),
            known.select(*names, pl.lit("left").alias("move"), why.alias("why")),
        ]
    )
    return (both / either if either else 1.0), moves


def capacity_curve(
    beliefs: pl.DataFrame, terms: ListTerms, counts: Sequence[int], *, entity: tuple[str, str]
) -> pl.DataFrame:
    """Lists of several lengths: `count`, `buyers`, `precision`, `capture`, `revenue`, all as expected under p.

    buyers: sum of p on the list; precision: of each pair; capture: of all buyers; revenue: sum of p x worth.
    """
    whole = float(beliefs[CHANCE].sum())
    rows = []
    for count in counts:
        listed = chosen_rows(beliefs, terms.sized(min(count, beliefs.height)), entity=entity)
        buyers = float(listed[CHANCE].sum())
        share = buyers / whole if whole > 0.0 else 0.0
        rows.append((listed.height, buyers, buyers / max(listed.height, 1), share, float(listed[VALUE].sum())))
    names = ("buyers", "precision", "capture", "revenue")
    return pl.DataFrame(rows, schema={"count": pl.Int64, **dict.fromkeys(names, pl.Float64)}, orient="row")


def balance(rows: pl.DataFrame, column: str) -> tuple[pl.DataFrame, list[str]]:
    """`pairs`, `expected`, `warning` by representative or region, and words for each with more than twice the median."""
    found = (
        rows.group_by(column, maintain_order=True)
        .agg(pl.len().cast(pl.Int64).alias("pairs"), pl.col(VALUE).sum())
        .sort(column)
    )
    middle = float(np.median(found["pairs"].to_numpy())) if found.height else 0.0
    crowded = found.filter(pl.col("pairs") > 2.0 * middle)
    told = [
        f"{column} {name} has {pairs} pairs, more than twice the median of {middle:g}"
        for name, pairs in crowded.select(column, "pairs").iter_rows()
    ]
    warned = pl.when(pl.col("pairs") > 2.0 * middle).then(pl.lit("over twice the median")).otherwise(pl.lit(""))
    return found.with_columns(warned.alias("warning")), told


def size_segments(accounts: pl.DataFrame, account: str, value: str) -> pl.DataFrame:
    """`account`, `segment`: small, medium or large by thirds of value, ties by name: equal accounts part the same way."""
    ordered = accounts.select(account, value).sort(value, account)
    place = (pl.int_range(pl.len()) * len(SIZES)) // pl.len()
    names = pl.Series(SIZES, dtype=pl.String)
    third = ordered.select(place).to_series().to_numpy()
    return ordered.select(account).with_columns(names.gather(third).alias(SEGMENT)).sort(account)


def diversity(rows: pl.DataFrame, group: str) -> dict[str, float]:
    """`largest`: share of the largest group; `evenness`: entropy over its maximum, 1 for one group; `groups`: how many."""
    shares = (rows[group].value_counts(sort=True)["count"] / max(rows.height, 1)).to_numpy()
    if not shares.size:
        raise BadInput("diversity", found="an empty list", wanted="at least one pair")
    many = shares.size
    evenness = float(-(shares * np.log(shares)).sum() / np.log(many)) if many > 1 else 1.0
    return {"largest": float(shares.max()), "evenness": evenness, "groups": float(many)}


def fairness(rows: pl.DataFrame, beliefs: pl.DataFrame, segment: str) -> pl.DataFrame:
    """By segment the shares `listed`, of the `population`, of expected `buyers`, and `ratio` = listed / buyers."""
    whole = beliefs.group_by(segment, maintain_order=True).agg(
        (pl.len() / beliefs.height).alias("population"),
        (pl.col(CHANCE).sum() / float(beliefs[CHANCE].sum() or 1.0)).alias("buyers"),
    )
    own = rows.group_by(segment, maintain_order=True).agg((pl.len() / max(rows.height, 1)).alias("listed"))
    found = whole.join(own, on=segment, how="left").with_columns(pl.col("listed").fill_null(0.0)).sort(segment)
    ratio = pl.when(pl.col("buyers") > 0).then(pl.col("listed") / pl.col("buyers"))
    return found.with_columns(ratio.alias("ratio")).select(segment, "listed", "population", "buyers", "ratio")


def gains(beliefs: pl.DataFrame, outcomes: pl.DataFrame, *, entity: tuple[str, str], by: str = "") -> pl.DataFrame:
    """The gains table of judged pairs by tenths of p (1 the highest): `pairs`, `buyers`, `yield`, `capture`, `lift`.

    outcomes: entity, cutoff, `y`. by: a column (a segment) for one table each. capture: share of buyers so far, lift: of it
    over the share of pairs so far.
    """
    keys = [*entity, "cutoff"]
    groups = [by] if by else []
    judged = beliefs.join(outcomes.select(*keys, "y"), on=keys, how="inner")
    judged = judged.sort(*groups, CHANCE, *keys, descending=[*([False] * len(groups)), True, False, False, False])
    place = pl.int_range(pl.len()).over(groups) if groups else pl.int_range(pl.len())
    size = pl.len().over(groups) if groups else pl.len()
    tenth = (place * 10 // size + 1).cast(pl.Int64).alias("tenth")
    found = (
        judged.with_columns(tenth)
        .group_by([*groups, "tenth"], maintain_order=True)
        .agg(pl.len().cast(pl.Int64).alias("pairs"), pl.col("y").sum().alias("buyers"))
        .sort(*groups, "tenth")
    )

    def over(one: pl.Expr) -> pl.Expr:
        return one.over(groups) if groups else one

    pairs, buyers = over(pl.col("pairs").cum_sum()), over(pl.col("buyers").cum_sum())
    capture = buyers / over(pl.col("buyers").sum())
    return found.with_columns(
        (pl.col("buyers") / pl.col("pairs")).alias("yield"),
        capture.alias("capture"),
        (capture / (pairs / over(pl.col("pairs").sum()))).alias("lift"),
    )


def badges(beliefs: pl.DataFrame, settled: pl.DataFrame, *, group: str, fewest: int) -> pl.DataFrame:
    """By group, `badge`: `model`, or `heuristic` where fewer than `fewest` buyers had settled to learn from; and `buyers`."""
    counts = settled.group_by(group, maintain_order=True).agg(pl.col("y").sum().alias("buyers"))
    groups = beliefs.select(group).unique().sort(group)
    found = groups.join(counts, on=group, how="left", maintain_order="left").with_columns(
        pl.col("buyers").fill_null(0.0)
    )
    badge = pl.when(pl.col("buyers") >= fewest).then(pl.lit("model")).otherwise(pl.lit("heuristic"))
    return found.with_columns(badge.alias("badge"))


def realised(rows: pl.DataFrame, outcomes: pl.DataFrame, *, entity: tuple[str, str]) -> dict[str, float]:
    """What came of a list: `pairs`, `buyers`, `precision`, `capture` (of all buyers), `money`, `value_capture` (of all money).

    outcomes: entity, cutoff, `y`, `money` of every pair of the population.
    """
    keys = [*entity, "cutoff"]
    met = rows.select(keys).join(outcomes.select(*keys, "y", "money"), on=keys, how="inner")
    buyers, money = float(met["y"].sum()), float(met["money"].sum())
    every, all_of = float(outcomes["y"].sum()), float(outcomes["money"].sum())
    return {
        "pairs": float(met.height),
        "buyers": buyers,
        "precision": buyers / max(met.height, 1),
        "capture": buyers / every if every else 0.0,
        "money": money,
        "value_capture": money / all_of if all_of else 0.0,
    }


def saved_by_account(
    ours: pl.DataFrame, theirs: pl.DataFrame, outcomes: pl.DataFrame, *, entity: tuple[str, str], what: str
) -> Floats:
    """For every account of the outcomes, what our list met of it less what theirs met; what: `y` or `money`."""
    keys = [*entity, "cutoff"]
    sums = []
    for rows in (ours, theirs):
        met = rows.select(keys).join(outcomes.select(*keys, what), on=keys, how="inner")
        sums.append(met.group_by(entity[0], maintain_order=True).agg(pl.col(what).sum()))
    accounts = outcomes.select(entity[0]).unique().sort(entity[0])
    a, b = (accounts.join(one, on=entity[0], how="left", maintain_order="left")[what].fill_null(0.0) for one in sums)
    return np.asarray((a - b).to_numpy(), dtype=np.float64)


__all__ = [
    "MONEY",
    "SIZES",
    "badges",
    "balance",
    "capacity_curve",
    "diversity",
    "fairness",
    "gains",
    "overlap",
    "realised",
    "saved_by_account",
    "size_segments",
]
