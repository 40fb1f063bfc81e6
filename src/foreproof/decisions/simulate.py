"""A policy replayed day by day with stock carried over: only here does it meet what was demanded.

Each step, in this order: what was ordered `lead` steps before arrives; every `review` steps the policy looks at its
own position and at the newest belief that had been served by then, and orders; demand is met from the oldest units
first; unmet demand is lost, or owed and met first later; what is left costs holding; units that have been kept for
`shelf_life` steps are scrapped. The belief of an origin k steps ago is used from its step k + 1 on; past its horizon
each path repeats its last season.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.compare import Interval, bootstrap_interval
from foreproof.core.decide import Floats
from foreproof.core.paths import Paths
from foreproof.core.predict import CUTOFF
from foreproof.decisions.inventory import Economics, StockTerms, economics, order_quantity, stock_levels
from foreproof.errors import BadInput

Ints = npt.NDArray[np.int64]

PERIOD = "period"
_FLOWS = ("on_hand", "on_order", "owed", "ordered", "sold", "unmet", "scrapped", "money")
_TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """n items x T steps of one policy. on_hand, on_order, owed: at the end of a step; the others: during it. money: all costs."""

    on_hand: Floats
    on_order: Floats
    owed: Floats
    ordered: Floats
    sold: Floats
    unmet: Floats
    scrapped: Floats
    money: Floats


@dataclass(slots=True, eq=False)
class _Stock:
    """What a policy has at the moment: units by age (n x ages, youngest first), on the way (n x lead), owed (n)."""

    ages: Floats
    coming: Floats
    owed: Floats

    @property
    def position(self) -> Floats:
        position: Floats = self.ages.sum(axis=1) + self.coming.sum(axis=1) - self.owed
        return position


def simulate(
    beliefs: Mapping[int, Floats],
    demand: Floats,
    terms: StockTerms,
    costs: Economics,
    *,
    start: Floats,
    season: int = 1,
) -> Flows:
    """Replay one policy.

    beliefs: paths (n x K x H, units a step) by the step before which they were served: 0 for the first origin.
    demand: n x T, what was demanded; a missing value counts as none. start: n, units on hand at first, as if just
    made. season: steps that a path repeats beyond its end. Raises BadInput without a belief for the first step.
    """
    if 0 not in beliefs:
        raise BadInput("replay", found=f"beliefs from steps {sorted(beliefs)}", wanted="one before the first step, 0")
    count, length = demand.shape
    wanted = np.nan_to_num(demand, nan=0.0)
    stock = _Stock(
        ages=np.zeros((count, terms.shelf_life or 1)), coming=np.zeros((count, terms.lead)), owed=np.zeros(count)
    )
    stock.ages[:, 0] = start
    out = {name: np.zeros((count, length)) for name in _FLOWS}
    for t in range(length):
        _arrive(stock, terms)
        money = np.zeros(count)
        if t % terms.review == 0:
            order = _order(_ahead(beliefs, t, terms.window, season), stock, terms, costs)
            _send(stock, order)
            out["ordered"][:, t] = order
            money += np.where(order > _TINY, costs.order_cost, 0.0)
        sold, unmet = _serve(stock, np.maximum(wanted[:, t], 0.0), terms)
        scrapped = _age(stock, terms)
        left = stock.ages.sum(axis=1)
        money += costs.holding * left + costs.over * scrapped
        money += costs.short * (unmet if terms.unmet == "lost" else stock.owed)
        if (t + 1) % terms.review == 0 or t + 1 == length:
            money += costs.over * left  # what is left when a cycle ends has lost so much of its value
        flows = (left, stock.coming.sum(axis=1), stock.owed, out["ordered"][:, t], sold, unmet, scrapped, money)
        for name, value in zip(_FLOWS, flows, strict=True):
            out[name][:, t] = value
    return Flows(**out)


def replay_stock(
    sides: tuple[Sequence[Paths], Sequence[Paths]],
    demand: pl.DataFrame,
    terms: StockTerms,
    *,
    spacing: int,
    season: int = 1,
    held: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Ours and the baseline's stock over the same demand, step by step, by the same policy on other beliefs.

    sides: ours and the baseline's paths served at each origin, oldest first, `spacing` steps apart. demand: entity columns,
    `period` (whole numbers that follow each other from the first step after the first origin), `y`. Only items that
    every origin knew take part. Both start with the same units on hand: the mean of what the two beliefs would order
    up to, where `held` has no `on_hand`.

    Returns entity columns, `period`, `demand`, `saving` (money, baseline - ours), and for each of ours and baseline,
    as `NAME_ours` and `NAME_baseline`: `on_hand`, `on_order`, `owed`, `ordered`, `sold`, `unmet`, `scrapped` (units)
    and `money`; sorted. Raises BadInput.
    """
    ours, baseline = sides
    if not ours or len(ours) != len(baseline):
        raise BadInput("replay", found=f"{len(ours)} and {len(baseline)} origins", wanted="as many on both sides")
    keys, periods, wanted = _grid(ours, demand)
    costs = economics(terms, keys, held)
    beliefs = [
        {i * spacing: _of(each, keys) for i, each in enumerate(side) if i * spacing < periods.size} for side in sides
    ]
    start = _start(beliefs, terms, costs, season)
    flows = [simulate(one, wanted, terms, costs, start=start, season=season) for one in beliefs]
    which = np.repeat(np.arange(keys.height), periods.size)
    columns = {
        f"{name}_{who}": getattr(flow, name).reshape(-1)
        for who, flow in zip(("ours", "baseline"), flows, strict=True)
        for name in _FLOWS
    }
    saved = (flows[1].money - flows[0].money).reshape(-1)
    return (
        keys[which]
        .drop(CUTOFF)
        .with_columns(
            pl.Series(PERIOD, np.tile(periods, keys.height), dtype=pl.Int64),
            pl.Series("demand", wanted.reshape(-1), nan_to_null=True),
            pl.Series("saving", saved),
            *(pl.Series(name, values) for name, values in columns.items()),
        )
    )


def stock_totals(replayed: pl.DataFrame, *, by: Sequence[str] = ()) -> pl.DataFrame:
    """Totals of `replay_stock`, ours and the baseline: `by` columns, `who`, `money`, `fill_rate`, `stock`, `orders`, `scrapped`.

    fill_rate: units met when demanded over units demanded, null without demand; stock: mean units on hand at the end
    of a step and item; orders: how many were placed.
    """
    parts = []
    for who in ("ours", "baseline"):
        asked = pl.col("demand").fill_null(0.0)
        sums = [
            pl.lit(who).alias("who"),
            pl.col(f"money_{who}").sum().alias("money"),
            pl.when(asked.sum() > 0.0).then(1.0 - pl.col(f"unmet_{who}").sum() / asked.sum()).alias("fill_rate"),
            pl.col(f"on_hand_{who}").mean().alias("stock"),
            (pl.col(f"ordered_{who}") > _TINY).sum().cast(pl.Int64).alias("orders"),
            pl.col(f"scrapped_{who}").sum().alias("scrapped"),
        ]
        groups = list(by)
        parts.append(replayed.group_by(groups, maintain_order=True).agg(sums) if groups else replayed.select(sums))
    return pl.concat(parts).sort(list(by), maintain_order=True) if by else pl.concat(parts)


def stock_saving(replayed: pl.DataFrame, *, rng: np.random.Generator, replicates: int = 1000) -> Interval | None:
    """Money saved an item against the baseline over the whole replay, with a 95% bootstrap interval that draws items.

    None for fewer than two items: then there is nothing to draw from.
    """
    entity = replayed.columns[: replayed.columns.index(PERIOD)]
    if not entity:
        return None
    sums = replayed.group_by(entity, maintain_order=True).agg(pl.col("saving").sum())["saving"].to_numpy()
    if sums.size < 2:
        return None
    return bootstrap_interval(sums, blocks=np.arange(sums.size), rng=rng, replicates=replicates, confidence=0.95)


def _ahead(beliefs: Mapping[int, Floats], t: int, window: int, season: int) -> Floats:
    """N x K x window: the coming steps under the newest belief served before step t."""
    served = max(step for step in beliefs if step <= t)
    values = beliefs[served]
    steps = t - served + np.arange(window)
    horizon = values.shape[2]
    # Beyond the horizon: the same phase of the path's last season.
    period = min(max(season, 1), horizon)
    beyond = horizon - period + (steps - horizon) % period
    ahead: Floats = values[:, :, np.where(steps < horizon, steps, beyond)]
    return ahead


def _order(ahead: Floats, stock: _Stock, terms: StockTerms, costs: Economics) -> Floats:
    points, levels = stock_levels(ahead, terms, costs)
    position = stock.position
    due = position <= points + _TINY if terms.policy == "s_S" else position < levels
    need = np.where(due, levels - position, 0.0)
    # To the next pack: a replay of many reviews needs no comparison of the two nearest orders at each.
    return order_quantity(need, pack=costs.pack, minimum=costs.minimum, up=True)[0]


def _arrive(stock: _Stock, terms: StockTerms) -> None:
    """What was ordered `lead` steps before joins the youngest units, after those that wait have got theirs."""
    if not terms.lead:
        return
    _receive(stock, stock.coming[:, 0])
    stock.coming = np.concatenate([stock.coming[:, 1:], np.zeros((stock.coming.shape[0], 1))], axis=1)


def _send(stock: _Stock, order: Floats) -> None:
    if stock.coming.shape[1]:
        stock.coming[:, -1] += order
    else:
        _receive(stock, order)


def _receive(stock: _Stock, units: Floats) -> None:
    met = np.minimum(stock.owed, units)
    stock.owed = stock.owed - met
    stock.ages[:, 0] += units - met


def _serve(stock: _Stock, wanted: Floats, terms: StockTerms) -> tuple[Floats, Floats]:
    """Units sold and units not met at once, oldest units first."""
    left = wanted.copy()
    for age in reversed(range(stock.ages.shape[1])):
        taken = np.minimum(stock.ages[:, age], left)
        stock.ages[:, age] -= taken
        left -= taken
    if terms.unmet == "owed":
        stock.owed = stock.owed + left
    return wanted - left, left


def _age(stock: _Stock, terms: StockTerms) -> Floats:
    """A step passes: units move one age on, and those that have been kept too long go."""
    if not terms.shelf_life:
        return np.zeros(stock.ages.shape[0])
    gone: Floats = stock.ages[:, -1].copy()
    stock.ages = np.concatenate([np.zeros((stock.ages.shape[0], 1)), stock.ages[:, :-1]], axis=1)
    return gone


def _grid(ours: Sequence[Paths], demand: pl.DataFrame) -> tuple[pl.DataFrame, Ints, Floats]:
    """Items that every origin knew, the periods, and their demand (n x T, NaN where unknown)."""
    entity = list(ours[0].entity)
    keys = ours[0].keys
    for later in ours[1:]:
        keys = keys.join(later.keys.select(entity), on=entity, how="semi", maintain_order="left") if entity else keys
    if not keys.height or not demand.height:
        raise BadInput("replay", found="no item that all origins knew, or no demand", wanted="at least one")
    first, last = int(demand[PERIOD].min()), int(demand[PERIOD].max())  # type: ignore[arg-type]
    periods = np.arange(first, last + 1, dtype=np.int64)
    grid = keys.drop(CUTOFF).join(pl.DataFrame({PERIOD: periods}), how="cross", maintain_order="left_right")
    wanted = grid.join(demand.select(*entity, PERIOD, "y"), on=[*entity, PERIOD], how="left", maintain_order="left")
    values = wanted["y"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return keys, periods, values.reshape(keys.height, periods.size)


def _of(paths: Paths, keys: pl.DataFrame) -> Floats:
    """The values of some items, in their order."""
    entity = list(paths.entity)
    numbered = paths.keys.select(*entity).with_row_index("_place")
    places = keys.select(entity).join(numbered, on=entity, how="left", maintain_order="left") if entity else numbered
    values: Floats = paths.values[places["_place"].to_numpy()]
    return values


def _start(beliefs: Sequence[Mapping[int, Floats]], terms: StockTerms, costs: Economics, season: int) -> Floats:
    """The mean of what the two first beliefs order up to."""
    levels = [stock_levels(_ahead(one, 0, terms.window, season), terms, costs)[1] for one in beliefs]
    start: Floats = np.maximum(0.5 * (levels[0] + levels[1]), 0.0)
    return start


__all__ = ["PERIOD", "Flows", "replay_stock", "simulate", "stock_saving", "stock_totals"]
