"""Which units first: every lot of every item by the money that it is expected to save, so that a budget is spent from the top.

The nth lot of an item brings its position from P + (n - 1) q to P + n q and saves cost(P + (n - 1) q) - cost(P + n
q). Expected cost is convex in the level where unmet demand is owed or there is no lead time, so an item's lots save
less and less and taking the best lot that is left is optimal: Fox, Discrete optimization via marginal analysis
(1966). Where a lost sale in the lead time bends the curve, lots that save more together than the first one alone are
taken together.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from foreproof.core.decide import Floats, look_up
from foreproof.core.paths import Paths
from foreproof.decisions.inventory import (
    StockTerms,
    check_priced,
    check_window,
    curve,
    economics,
    position_of,
    stock_levels,
)
from foreproof.errors import BadInput

LOT, UNITS, SAVES, USES, PER, RANK = "lot", "units", "saves", "uses", "saves_per_use", "rank"
MOST_LOTS = 50
"""Lots into which an item's need is cut at most: a larger need has larger lots, in whole packs."""


def rank_lots(
    paths: Paths, terms: StockTerms, *, held: pl.DataFrame | None = None, uses: str | float = 1.0
) -> pl.DataFrame:
    """Every lot that is expected to save money, best first.

    uses: what one unit takes of what is scarce (1: units themselves; the price: a budget in money; the volume:
    room), a number or a column of `held`. Returns entity columns, `cutoff`, `rank` (1 ...), `lot` (1 ... of its
    item), `units`, `saves` (money), `uses`, `saves_per_use`, and the running sums `units_so_far`, `uses_so_far`,
    `saves_so_far`. Raises BadInput, also for terms without costs.
    """
    check_priced(terms, "order_ranking")
    check_window(terms, paths.horizon)
    costs = economics(terms, paths.keys, held)
    taken = _uses(paths.keys, held, uses)
    position = position_of(paths.keys, held)
    _, levels = stock_levels(paths.values, terms, costs)
    rows: list[tuple[int, int, float, float, float]] = []
    for i in range(paths.keys.height):
        need = float(levels[i] - position[i])
        if need <= 0.0:
            continue
        lot = float(costs.pack[i]) * max(1.0, np.ceil(need / MOST_LOTS / costs.pack[i]))
        count = int(np.ceil(need / lot - 1e-9))
        stops = position[i] + lot * np.arange(count + 1)
        found = curve(paths.values[i], stops, lead=terms.lead, window=terms.window)
        money = found.cost(terms, float(costs.short[i]), float(costs.over[i]), float(costs.holding[i]))
        rows += [(i, a, units, saves, units * taken[i]) for a, units, saves in _lots(money, lot) if saves > 0.0]
    return _ranked(paths.keys, rows)


def within(ranked: pl.DataFrame, budget: float) -> pl.DataFrame:
    """The lots that a budget buys, from the top: a lot that no longer fits is passed over, with the later lots of its item.

    Returns the chosen rows of `rank_lots`, their running sums taken again. Raises BadInput for a budget of zero or
    less.
    """
    if not budget > 0.0:
        raise BadInput("capacity", found=f"{budget:g}", wanted="more than 0", fix="leave it out, or order nothing")
    entity = ranked.columns[: ranked.columns.index(RANK)]
    left, closed, chosen = budget, set(), []
    for place, (key, use) in enumerate(zip(ranked.select(entity).rows(), ranked[USES].to_list(), strict=True)):
        if key in closed:
            continue
        if use <= left * (1.0 + 1e-12):
            left -= use
            chosen.append(place)
        else:
            closed.add(key)
    return _summed(ranked[chosen])


def shadow_price(ranked: pl.DataFrame, budget: float) -> float:
    """What one more unit of the budget would save: the best saving per use of what it does not buy; 0 where it buys all."""
    bought = set(within(ranked, budget)[RANK].to_list())
    left = ranked.filter(~pl.col(RANK).is_in(bought))
    return float(left[PER].max() or 0.0)  # type: ignore[arg-type]


def _uses(keys: pl.DataFrame, held: pl.DataFrame | None, uses: str | float) -> Floats:
    if not isinstance(uses, str):
        found = np.full(keys.height, float(uses))
    elif held is None:
        raise BadInput("capacity.per", found=f"column {uses!r}, but no held frame", wanted="a held frame, or a number")
    else:
        found = look_up(keys, held, columns=[uses], subject="held")[0]
    if np.any(~(found > 0.0)):
        raise BadInput("capacity.per", found=f"{found[~(found > 0.0)][0]:g}", wanted="more than 0 of it for each unit")
    return found


def _lots(money: Floats, lot: float) -> list[tuple[int, float, float]]:
    """(lot number, units, money saved) along the lower convex hull of the cost at each stop, so that savings never rise."""
    # Lots that save the same stay apart: rounding alone must not join them.
    hull, tie = [0], 1e-9 * max(1.0, float(np.max(np.abs(money))))
    for stop in range(1, money.size):
        while len(hull) > 1 and _slope(money, hull[-2], hull[-1]) > _slope(money, hull[-1], stop) + tie:
            hull.pop()
        hull.append(stop)
    return [(n, (b - a) * lot, float(money[a] - money[b])) for n, (a, b) in enumerate(pairwise(hull), start=1)]


def _slope(money: Floats, a: int, b: int) -> float:
    return float(money[b] - money[a]) / (b - a)


def _ranked(keys: pl.DataFrame, rows: list[tuple[int, int, float, float, float]]) -> pl.DataFrame:
    schema = {"_item": pl.Int64, LOT: pl.Int64, UNITS: pl.Float64, SAVES: pl.Float64, USES: pl.Float64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    frame = frame.with_columns((pl.col(SAVES) / pl.col(USES)).alias(PER))
    ordered = frame.sort([PER, "_item", LOT], descending=[True, False, False])
    names = keys[ordered["_item"].to_list()] if ordered.height else keys.clear()
    rank = pl.Series(RANK, np.arange(1, ordered.height + 1), dtype=pl.Int64)
    return _summed(names.with_columns(rank, *ordered.drop("_item").get_columns()))


def _summed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(name).cum_sum().alias(f"{name}_so_far") for name in (UNITS, USES, SAVES))


__all__ = ["LOT", "PER", "RANK", "SAVES", "UNITS", "USES", "rank_lots", "shadow_price", "within"]
