"""What knowing more would be worth, in money a cycle: before anything is paid for a better forecast.

With c(S, d) the money of a cycle at stock level S under the path d, F the belief (equally likely paths), S* the
level with the least expected cost and S0 the level that another belief would choose:

    perfect information   min_S E_F c(S, D) - E_F min_S c(S, D)
    this forecast         E_F c(S0, D) - E_F c(S*, D), at least 0
    a sharper one         min_S E_F c(S, D) - min_S E_G c(S, D), G: each path drawn towards the median path by a
    share of its distance

Howard, Information value theory (1966); Raiffa & Schlaifer, Applied Statistical Decision Theory (1961); for stock:
Arrow, Harris & Marschak (1951). All of it is under the belief: what a better forecast really saved is the replay's
business.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from foreproof.core.decide import Floats
from foreproof.core.paths import Paths
from foreproof.decisions.inventory import StockTerms, best_level, check_priced, check_window, curve, economics
from foreproof.errors import BadInput

COST, PERFECT, GAIN, SHARPER = "expected_cost", "perfect_information", "this_forecast", "sharper_forecast"


def voi(
    paths: Paths,
    baseline: Paths,
    terms: StockTerms,
    *,
    cut: float = 0.2,
    held: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Value of information for each item, in money a cycle.

    paths: what is believed. baseline: the paths of the forecast to compare with, of the same items. cut: the share
    by which the sharper forecast's errors would be smaller, in [0, 1]. held: as for `recommend_stock`, where terms
    name its columns.

    Returns entity columns, `cutoff`, `level` (S*, units), `baseline_level` (S0), `expected_cost` (of S*),
    `baseline_cost` (of S0, under the same belief), `perfect_information`, `this_forecast`, `sharper_forecast`.
    Service levels are left aside: only costs have a value. Raises BadInput for terms without costs, other items, a cut
    outside [0, 1], and windows beyond the paths.
    """
    if not 0.0 <= cut <= 1.0:
        raise BadInput("voi.cut", found=f"{cut:g}", wanted="a share from 0 to 1, such as 0.2")
    if not paths.keys.equals(baseline.keys):
        raise BadInput("voi.baseline", found="paths of other items or cutoffs", wanted="the same as the forecast's")
    check_priced(terms, "voi")
    check_window(terms, min(paths.horizon, baseline.horizon))
    costs = economics(terms, paths.keys, held)
    rows = []
    for i in range(paths.keys.height):
        money = {"short": float(costs.short[i]), "over": float(costs.over[i]), "holding": float(costs.holding[i])}
        own = paths.values[i]
        level = best_level(own, terms, **money)
        other = best_level(baseline.values[i], terms, **money)
        mine, theirs = _cost(own, np.array([level, other]), terms, money)
        sharp = own + cut * (np.median(own, axis=0) - own)
        tight = _cost(sharp, np.array([best_level(sharp, terms, **money)]), terms, money)[0]
        rows.append((level, other, mine, theirs, mine - perfect_cost(own, terms, **money), theirs - mine, mine - tight))
    names = ("level", "baseline_level", COST, "baseline_cost", PERFECT, GAIN, SHARPER)
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return paths.keys.with_columns(pl.Series(name, columns[:, k]) for k, name in enumerate(names))


def perfect_cost(demand: Floats, terms: StockTerms, *, short: float, over: float, holding: float) -> float:
    """E_F min_S c(S, D): what a cycle costs where its demand is known before the order. demand: K x at least `terms.window`.

    Given a path, the cost has its corners at 0 and at the path's own sums D(lead) ... D(window), so one of them is
    cheapest.
    """
    sums = np.maximum(np.cumsum(demand[:, : terms.window], axis=1), 0.0)
    before = sums[:, terms.lead - 1] if terms.lead else np.zeros(demand.shape[0])
    cycle = sums[:, terms.lead :]
    best = np.full(demand.shape[0], np.inf)
    for level in (np.zeros(demand.shape[0]), before, *cycle.T):
        gap = level[:, None] - cycle
        held, owed = np.maximum(gap, 0.0).sum(axis=1), np.maximum(-gap, 0.0).sum(axis=1)
        missed = np.maximum(-gap[:, -1], 0.0) - np.maximum(before - level, 0.0)
        unmet = missed if terms.unmet == "lost" else owed
        best = np.minimum(best, holding * held + short * unmet + over * np.maximum(gap[:, -1], 0.0))
    return float(np.mean(best))


def voi_words(found: pl.DataFrame, *, cut: float, currency: str) -> str:
    """The whole table in one sentence."""
    total = {name: float(found[name].sum()) for name in (COST, PERFECT, GAIN, SHARPER)}
    return (
        f"All items together are expected to cost {total[COST]:,.0f} {currency} a cycle; perfect information would save "
        f"{total[PERFECT]:,.0f} of it, errors {cut:.0%} smaller {total[SHARPER]:,.0f}; "
        f"deciding by the seasonal naive instead would cost {total[GAIN]:,.0f} more."
    )


def _cost(demand: Floats, levels: Floats, terms: StockTerms, money: dict[str, float]) -> tuple[float, ...]:
    order = np.argsort(levels, kind="stable")
    found = curve(demand, levels[order], lead=terms.lead, window=terms.window)
    cost = np.empty(levels.size)
    cost[order] = found.cost(terms, money["short"], money["over"], money["holding"])
    return tuple(cost.tolist())


__all__ = ["COST", "GAIN", "PERFECT", "SHARPER", "perfect_cost", "voi", "voi_words"]
