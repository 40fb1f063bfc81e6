"""Why a list is as it is: what each limit costs, what it pushed out, and each pair's place in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from foreproof.core.decide import BECAUSE, Floats
from foreproof.decisions.assign import Assignment, Limit, assign, marginal_prices
from foreproof.decisions.programme import NO_LIMIT
from foreproof.decisions.terms import RANK, REP, SEGMENT, VALUE, WORTH, ListTerms, P

COOL, FOUND = "cool-down", "candidates"
PRICES = {
    "limit": pl.String(),
    "low": pl.Int64(),
    "high": pl.Int64(),
    "used": pl.Int64(),
    "price": pl.Float64(),
    "marginal": pl.Float64(),
}


def price_table(value: Floats, limits: Sequence[Limit], found: Assignment, capacity: int) -> pl.DataFrame:
    """Each rule's price: one that is not binding costs nothing. Limits of one rule are one line, its tightest.

    A price is one more solve, which begins where the list's own ended.
    """
    inside = np.zeros(value.size, dtype=np.int64)
    inside[found.chosen] = 1
    free = float(np.sort(value)[::-1][:capacity].sum())
    costs = found.value < free - 1e-12 * max(1.0, abs(free))
    start = found.start or None
    duals = marginal_prices(value, limits, most=capacity, start=start) if limits and costs else [0.0] * len(limits)
    rules: dict[str, list[tuple[Limit, int, float]]] = {}
    for limit, dual in zip(limits, duals, strict=True):
        rules.setdefault(limit.rule or limit.name, []).append((limit, int(inside[limit.rows].sum()), dual))
    rows = []
    for rule, cases in rules.items():
        binding = [dual for limit, many, dual in cases if limit.low >= many or limit.high <= many]
        price = 0.0
        if binding and costs:
            others = [one for one in limits if (one.rule or one.name) != rule]
            price = max(0.0, assign(value, others, most=capacity, start=start).value - found.value)
        tightest = cases[0][0]
        high = tightest.high if tightest.high < NO_LIMIT // 2 else None
        used = max(many for _, many, _ in cases)
        rows.append((rule, tightest.low, high, used, price, max(binding, default=0.0)))
    return pl.DataFrame(rows, schema=PRICES, orient="row")


def swap_table(
    rows: pl.DataFrame, chosen: pl.DataFrame, prices: pl.DataFrame, terms: ListTerms, entity: tuple[str, str]
) -> pl.DataFrame:
    """What the free list (the best pairs, as many as may be called) has and this one has not, beside what came in its stead.

    rows: all pairs from best to worst, with `_value` and `_barred`.
    """
    names = list(entity)
    free = rows.head(chosen.height)
    out = free.join(chosen, on=names, how="anti", maintain_order="left")
    came = chosen.join(free, on=names, how="anti", maintain_order="left")
    full = {
        n for n, high, used in prices.select("limit", "high", "used").iter_rows() if high is not None and used >= high
    }
    crowded = set(chosen.group_by(names[0]).len().filter(pl.col("len") >= (terms.per_account or 2**31))[names[0]])
    found = []
    for place, row in enumerate(out.iter_rows(named=True)):
        pair = (row[names[0]], row[names[1]])
        may = [f"cap {pair[1]}", f"rep {row.get(REP)}", f"hybrid {row.get(SEGMENT)}", f"fair {row.get(SEGMENT)}"]
        limit = next((one for one in may if one in full), "floor")
        limit = "per account" if pair[0] in crowded else limit
        limit = row["_barred"] or limit
        instead = came.row(place, named=True) if place < came.height else {}
        found.append((*pair, limit, *(instead.get(name) for name in names), row["_value"] - instead.get("_value", 0.0)))
    texts = [*names, "limit", *(f"{name}_instead" for name in names)]
    return pl.DataFrame(found, schema={**dict.fromkeys(texts, pl.String()), "lost": pl.Float64()}, orient="row")


def told(chosen: pl.DataFrame, rows: pl.DataFrame, prices: pl.DataFrame, entity: tuple[str, str]) -> pl.DataFrame:
    """The list with its reasons."""
    rate = rows.group_by(entity[1], maintain_order=True).agg(pl.col(P).mean().alias("_rate"))
    found = chosen.join(rate, on=entity[1], how="left", maintain_order="left")
    capped = [
        n.removeprefix("cap ")
        for n in prices.filter(pl.col("limit").str.starts_with("cap "), pl.col("marginal") > 0)["limit"]
    ]
    times = pl.when(pl.col("_rate") > 0).then(pl.col(P) / pl.col("_rate")).otherwise(1.0)
    why = pl.format(
        "rank {} of {}: chance {}% ({} times the {}% of its group), worth {}, so {} expected{}",
        pl.col(RANK),
        pl.lit(chosen.height),
        (100.0 * pl.col(P)).round(1),
        times.round(1),
        (100.0 * pl.col("_rate")).round(1),
        pl.col(WORTH).round(2),
        (pl.col(P) * pl.col(WORTH)).round(2),
        pl.when(pl.col(entity[1]).is_in(capped)).then(pl.lit("; its group is at its cap")).otherwise(pl.lit("")),
    )
    found = found.with_columns((pl.col(P) * pl.col(WORTH)).alias(VALUE), why.alias(BECAUSE))
    first = [*entity, "cutoff", RANK, P, WORTH, VALUE]
    last = (*first, BECAUSE, "_rate", "_value", "_barred")
    return found.select(*first, *(name for name in found.columns if name not in last), BECAUSE)


__all__ = ["COOL", "FOUND", "PRICES", "price_table", "swap_table", "told"]
