"""Stock that is reviewed again and again: order-up-to levels from sample paths, over lead time and review period.

At a review with inventory position P (on hand + on order - owed) an order of Q brings it to S = P + Q. What is
ordered arrives `lead` steps later, and the next order `review` steps after that, so S must last for the steps 1 ...
lead + review, and it is judged over the cycle (lead, lead + review]. With D(j) the demand over steps 1 ... j, taken
on the sample paths:

    cost(S) = holding * sum_j E(S - D(j))+  +  short * B(S)  +  over * E(S - D(lead + review))+      j over the cycle

    B(S) = E(D(lead + review) - S)+ - E(D(lead) - S)+     where unmet demand is lost (units newly short in the cycle)
    B(S) = sum_j E(D(j) - S)+                             where it is owed (unit-steps owed)

The position is taken as if all of it were there at the end of the lead time, which is exact where unmet demand is
owed and an approximation where it is lost. Silver, Pyke & Thomas (2017), chapters 6 and 7; Zipkin, Foundations of
Inventory Management (2000), chapter 9; one period without lead time is the newsvendor of Arrow, Harris & Marschak
(1951). Goods that keep `shelf_life` steps serve a shorter cycle, min(review, shelf_life): Nahmias, Perishable
Inventory Systems (2011), in its simplest form.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, assert_never

import numpy as np
import polars as pl

from foreproof.core.decide import BECAUSE, Decisions, Floats, look_up
from foreproof.core.paths import Paths
from foreproof.decisions.newsvendor import EXPECTED_COST, ON_HAND, ON_ORDER, ORDER, ORDER_UP_TO
from foreproof.errors import BadInput

Policy = Literal["base_stock", "s_S", "lot_for_lot"]
Unmet = Literal["lost", "owed"]

REORDER, CYCLE, FILL = "reorder_point", "cycle_service", "fill_rate"
STOCK_ACTIONS = (ORDER, ORDER_UP_TO, REORDER, EXPECTED_COST, CYCLE, FILL)
_MONEY = ("short", "over", "holding", "order_cost", "minimum")
_CANDIDATES = 2000
_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class StockTerms:
    """What stock costs, and how it is ordered. Each number may be the name of a column of `held` that has it by entity.

    short: money per unit lost, or per unit and step owed. over: money per unit left at the end of a cycle (what it
    loses in value: see `leftover_cost`). holding: money per unit and step. order_cost: money per order. pack,
    minimum: units of an order. lead, review: steps. shelf_life: steps that a unit keeps; 0 for ever. cycle, fill: a
    service level instead of the cheapest level: the probability that a cycle ends without unmet demand, or the share
    of demand met from stock.
    """

    short: float | str = 0.0
    over: float | str = 0.0
    holding: float | str = 0.0
    order_cost: float | str = 0.0
    pack: float | str = 1.0
    minimum: float | str = 0.0
    lead: int = 0
    review: int = 1
    shelf_life: int = 0
    policy: Policy = "base_stock"
    unmet: Unmet = "lost"
    cycle: float | None = None
    fill: float | None = None

    def __post_init__(self) -> None:
        for name in (*_MONEY, "pack"):
            value = getattr(self, name)
            if not isinstance(value, str):
                _check(name, np.atleast_1d(np.asarray(value, dtype=np.float64)))
        if self.lead < 0 or self.review < 1 or self.shelf_life < 0:
            found = f"lead {self.lead}, review {self.review}, shelf_life {self.shelf_life}"
            raise BadInput("decision", found=found, wanted="lead and shelf_life 0 or more steps, review at least 1")
        for name in ("cycle", "fill"):
            level = getattr(self, name)
            if level is not None and not 0.0 < level < 1.0:
                raise BadInput(
                    f"decision.service.{name}", found=f"{level:g}", wanted="a share strictly between 0 and 1"
                )
        if self.cycle is not None and self.fill is not None:
            raise BadInput("decision.service", found="cycle and fill", wanted="one of them")
        if self.cycle is None and self.fill is None and not self.priced:
            raise BadInput(
                "decision",
                found=f"short {self.short}, over {self.over}, holding {self.holding}",
                wanted="a cost of a unit short, and one of a unit over or held, or a service level",
                fix="without both, no order or an endless one would be best",
            )

    @property
    def priced(self) -> bool:
        """Whether both too little and too much cost money: without that, nothing can be said in money."""
        return self.short != 0.0 and (self.over != 0.0 or self.holding != 0.0)

    @property
    def window(self) -> int:
        """Steps that an order must last for: lead + review, less where goods spoil sooner."""
        return self.lead + (min(self.review, self.shelf_life) if self.shelf_life else self.review)


def check_priced(terms: StockTerms, subject: str) -> None:
    """Refuse terms without costs where a result is in money."""
    if not terms.priced:
        raise BadInput(
            subject,
            found=f"short {terms.short}, over {terms.over}, holding {terms.holding}",
            wanted="a cost of a unit short, and one of a unit over or held",
            fix="a service level says how much to order, not what a unit is worth: give both costs as well",
        )


def leftover_cost(unit_cost: float, *, salvage: float = 0.0, obsolescence: float = 1.0) -> float:
    """`over`: obsolescence * (unit_cost - salvage), money per unit left over.

    salvage: what such a unit still brings; obsolescence: the share of leftover units that lose their value. Silver,
    Pyke & Thomas (2017), section 6.7. Raises BadInput for a share outside [0, 1] and where salvage is above cost.
    """
    if not 0.0 <= obsolescence <= 1.0 or not unit_cost >= salvage:
        found = f"unit cost {unit_cost:g}, salvage {salvage:g}, obsolescence {obsolescence:g}"
        raise BadInput("leftover_cost", found=found, wanted="a share in [0, 1], and salvage at most the unit cost")
    return obsolescence * (unit_cost - salvage)


@dataclass(frozen=True, slots=True, eq=False)
class Economics:
    """The terms by item: n numbers each."""

    short: Floats
    over: Floats
    holding: Floats
    order_cost: Floats
    pack: Floats
    minimum: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One item's expected units at m stock levels: what every cost and service of a level is made of.

    levels: m, rising. held: sum over the cycle of E(S - D(j))+. owed: likewise of E(D(j) - S)+. left: E(S -
    D(end))+. missed: units newly short in the cycle. cycle: the probability that the cycle ends without unmet
    demand. demand: E of the cycle's.
    """

    levels: Floats
    held: Floats
    owed: Floats
    left: Floats
    missed: Floats
    cycle: Floats
    demand: float

    def cost(self, terms: StockTerms, short: float, over: float, holding: float) -> Floats:
        """Expected money of a cycle at each level."""
        return holding * self.held + self.short_cost(terms, short) + over * self.left

    def short_cost(self, terms: StockTerms, short: float) -> Floats:
        """The part of it that units short make; the rest is of units left over or held."""
        return short * (self.missed if terms.unmet == "lost" else self.owed)

    def fill(self) -> Floats:
        """The share of the cycle's demand that is met from stock; 1 where none is expected."""
        if self.demand <= 0.0:
            return np.ones_like(self.missed)
        return np.clip(1.0 - self.missed / self.demand, 0.0, 1.0)


def economics(terms: StockTerms, keys: pl.DataFrame, held: pl.DataFrame | None) -> Economics:
    """The terms of each item: numbers as they are, columns looked up in `held`. Raises BadInput."""
    found: dict[str, Floats] = {}
    for field in fields(Economics):
        value = getattr(terms, field.name)
        if not isinstance(value, str):
            found[field.name] = np.full(keys.height, float(value))
        elif held is None:
            wanted = "a held frame with that column, or a number"
            raise BadInput(f"decision.{field.name}", found=f"column {value!r}, but no held frame", wanted=wanted)
        else:
            found[field.name] = look_up(keys, held, columns=[value], subject="held")[0]
            _check(field.name, found[field.name])
    return Economics(**found)


def curve(demand: Floats, levels: Floats, *, lead: int, window: int) -> Curve:
    """Expected units of one item at some stock levels. demand: K x at least `window`, units a step. levels: m."""
    sums = np.cumsum(demand[:, :window], axis=1)
    held, owed = np.zeros(levels.size), np.zeros(levels.size)
    for j in range(lead, window):
        above, below = _expected(np.sort(sums[:, j]), levels)
        held += above
        owed += below
    ordered = np.sort(sums[:, -1])
    left, short = _expected(ordered, levels)
    before = _expected(np.sort(sums[:, lead - 1]), levels)[1] if lead else np.maximum(-levels, 0.0)
    cycle = np.searchsorted(ordered, levels + _TIE, side="right") / ordered.size
    return Curve(levels, held, owed, left, short - before, cycle, float(np.mean(demand[:, lead:window].sum(axis=1))))


def best_level(demand: Floats, terms: StockTerms, *, short: float, over: float, holding: float) -> float:
    """The stock level S of one item: the cheapest, or the smallest that reaches the service level.

    demand: K x at least `terms.window`. The optimum lies where cost(S) has a corner, at one of the D(j); of more
    than 2,000 corners so many, evenly spaced, are looked at.
    """
    sums = np.cumsum(demand[:, : terms.window], axis=1)
    if terms.policy == "lot_for_lot":
        return max(0.0, float(np.mean(sums[:, -1])))
    corners = np.unique(np.maximum(sums[:, max(terms.lead - 1, 0) :], 0.0))
    if corners.size > _CANDIDATES:
        corners = corners[np.linspace(0, corners.size - 1, _CANDIDATES).round().astype(np.int64)]
    levels = np.unique(np.concatenate([[0.0], corners]))
    found = curve(demand, levels, lead=terms.lead, window=terms.window)
    if terms.cycle is not None:
        return float(levels[np.argmax(found.cycle >= terms.cycle - _TIE)])
    if terms.fill is not None:
        return _reaching(levels, found.fill(), terms.fill)
    cost = found.cost(terms, short, over, holding)
    return float(levels[np.argmax(cost <= cost.min() + _TIE * max(1.0, abs(float(cost.min()))))])


def economic_quantity(rate: Floats, *, order_cost: Floats, holding: Floats) -> Floats:
    """Units of one order: sqrt(2 * order_cost * rate / holding), rate in units a step; 0 where either cost is 0.

    Harris (1913); Silver, Pyke & Thomas (2017), chapter 4.
    """
    free = (holding <= 0.0) | (order_cost <= 0.0)
    return np.where(free, 0.0, np.sqrt(2.0 * order_cost * np.maximum(rate, 0.0) / np.where(free, 1.0, holding)))


def stock_levels(values: Floats, terms: StockTerms, costs: Economics) -> tuple[Floats, Floats]:
    """Reorder point s and order-up-to level S of each item; equal but for the (s, S) policy.

    values: n x K x at least `terms.window`: paths of the demand of each coming step.
    """
    points = np.array(
        [
            best_level(values[i], terms, short=costs.short[i], over=costs.over[i], holding=costs.holding[i])
            for i in range(values.shape[0])
        ]
    )
    match terms.policy:
        case "base_stock" | "lot_for_lot":
            return points, points
        case "s_S":
            rate = values[:, :, : terms.window].mean(axis=(1, 2))
            keep = np.where(costs.holding > 0.0, costs.holding, costs.over / max(terms.review, 1))
            return points, points + economic_quantity(rate, order_cost=costs.order_cost, holding=keep)
        case _:
            assert_never(terms.policy)


def order_quantity(need: Floats, *, pack: Floats, minimum: Floats, up: bool) -> tuple[Floats, Floats]:
    """The allowed orders at and below, and at and above, a need: 0, or packs that reach the minimum. up: never below."""
    wanted = np.maximum(need, 0.0)
    least = np.ceil(minimum / pack - _TIE) * pack
    below = np.floor(wanted / pack + _TIE) * pack
    above = np.maximum(np.ceil(wanted / pack - _TIE) * pack, least)
    below = np.where(below < least, 0.0, below)
    none = wanted <= 0.0
    return np.where(none, 0.0, above if up else below), np.where(none, 0.0, above)


def recommend_stock(paths: Paths, terms: StockTerms, *, held: pl.DataFrame | None = None) -> Decisions:
    """What to order now, from sample paths of demand.

    held: entity columns, `cutoff` where it differs, `on_hand` (negative: owed), `on_order` if any, and the columns
    that the terms name. Without it stock counts as zero. Actions: `order`, `order_up_to` (position after it),
    `reorder_point`, `expected_cost` of the cycle, `cycle_service`, `fill_rate`. Between two allowed orders the
    cheaper one is taken, with a service level the one that reaches it. Raises BadInput where lead + review is longer
    than the paths.
    """
    check_window(terms, paths.horizon)
    costs = economics(terms, paths.keys, held)
    position = position_of(paths.keys, held)
    points, levels = stock_levels(paths.values, terms, costs)
    due = position <= points + _TIE if terms.policy == "s_S" else position < levels
    need = np.where(due, levels - position, 0.0)
    serving = terms.cycle is not None or terms.fill is not None
    low, high = order_quantity(need, pack=costs.pack, minimum=costs.minimum, up=serving)
    rows = []
    for i in range(paths.keys.height):
        choices = np.array([position[i] + low[i], position[i] + high[i]])
        found = curve(paths.values[i], choices, lead=terms.lead, window=terms.window)
        cost = found.cost(terms, costs.short[i], costs.over[i], costs.holding[i])
        pick = 0 if terms.policy == "base_stock" and cost[0] <= cost[1] + _TIE else 1
        order = (low, high)[pick][i]
        money = float(cost[pick]) + (costs.order_cost[i] if order > 0.0 else 0.0)
        figures = (order, choices[pick], points[i], money, found.cycle[pick], found.fill()[pick])
        rows.append((*map(float, figures), _because(figures, position[i], levels[i], terms)))
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(STOCK_ACTIONS) + 1)
    actions = [
        pl.Series(name, column, dtype=pl.Float64) for name, column in zip(STOCK_ACTIONS, columns[:-1], strict=True)
    ]
    frame = paths.keys.with_columns(*actions, pl.Series(BECAUSE, columns[-1], dtype=pl.String))
    return Decisions(paths.entity, STOCK_ACTIONS, frame)


def position_of(keys: pl.DataFrame, held: pl.DataFrame | None) -> Floats:
    """On hand + on order of each item, units; 0 without `held`. Raises BadInput for a negative order."""
    if held is None:
        return np.zeros(keys.height)
    on_hand = look_up(keys, held, columns=[ON_HAND], subject="held")[0]
    on_order = look_up(keys, held, columns=[ON_ORDER], subject="held")[0] if ON_ORDER in held.columns else 0.0 * on_hand
    if np.any(on_order < 0.0):
        raise BadInput("held.on_order", found=f"{on_order.min():g}", wanted="0 or more units")
    return on_hand + on_order


def check_window(terms: StockTerms, horizon: int) -> None:
    """Refuse a protection interval that the forecast does not reach."""
    if terms.lead + terms.review > horizon:
        raise BadInput(
            "decision",
            found=f"lead {terms.lead} + review {terms.review} steps",
            wanted=f"at most the horizon ({horizon} steps)",
            fix="raise horizon, or review more often",
        )


def _expected(ordered: Floats, levels: Floats) -> tuple[Floats, Floats]:
    """E(S - D)+ and E(D - S)+ at each level, for K equally likely, rising values of D."""
    count = np.searchsorted(ordered, levels, side="right")
    below = np.concatenate([[0.0], np.cumsum(ordered)])
    many = ordered.size
    above = (levels * count - below[count]) / many
    short = ((below[-1] - below[count]) - levels * (many - count)) / many
    return np.maximum(above, 0.0), np.maximum(short, 0.0)


def _reaching(levels: Floats, shares: Floats, wanted: float) -> float:
    """The smallest level at which a rising, piecewise linear share reaches what is wanted."""
    at = int(np.argmax(shares >= wanted - _TIE))
    if at == 0 or shares[at] <= shares[at - 1]:
        return float(levels[at])
    part = (wanted - shares[at - 1]) / (shares[at] - shares[at - 1])
    return float(levels[at - 1] + min(max(part, 0.0), 1.0) * (levels[at] - levels[at - 1]))


def _check(name: str, values: Floats) -> None:
    low = values <= 0.0 if name == "pack" else values < 0.0
    if np.any(low | ~np.isfinite(values)):
        wanted = f"a finite number {'> 0' if name == 'pack' else '>= 0'}"
        raise BadInput(f"decision.{name}", found=f"{values[low | ~np.isfinite(values)][0]:g}", wanted=wanted)


def _because(figures: tuple[float, ...], position: float, level: float, terms: StockTerms) -> str:
    order, _, point, money, cycle, fill = figures
    lasting = f"{terms.window} steps (lead {terms.lead}, review {terms.review})"
    match terms:
        case StockTerms(policy="lot_for_lot"):
            why = f"Expected demand of {lasting} is {level:,.1f}."
        case StockTerms(cycle=None, fill=None):
            why = f"Up to {level:,.1f} is cheapest for {lasting}."
        case StockTerms(fill=None):
            why = f"Up to {level:,.1f} ends {lasting} without unmet demand with probability {terms.cycle:g}."
        case _:
            why = f"Up to {level:,.1f} meets {terms.fill:g} of the demand of {lasting} from stock."
    if terms.policy == "s_S":
        why += f" Order when the position is at or below {point:,.1f}."
    said = (
        f"{why} Position {position:,.1f}: order {order:,.1f}"
        if order > 0.0
        else f"{why} Position {position:,.1f}: order nothing"
    )
    return f"{said}; then {cycle:.0%} of cycles and {fill:.1%} of demand are served, expected cost {money:,.2f}."


__all__ = [
    "CYCLE",
    "FILL",
    "REORDER",
    "STOCK_ACTIONS",
    "Curve",
    "Economics",
    "StockTerms",
    "best_level",
    "check_priced",
    "check_window",
    "curve",
    "economic_quantity",
    "economics",
    "leftover_cost",
    "order_quantity",
    "position_of",
    "recommend_stock",
    "stock_levels",
]
