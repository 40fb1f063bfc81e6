"""How much to order: the newsvendor.

Demand over the covered window is D, stock for it is S. Each unit short costs `short`, each unit left over costs `over`,
and the S with the smallest expected cost is the quantile of D at the critical ratio short / (short + over).
Arrow, Harris & Marschak (1951); Silver, Pyke & Thomas, Inventory and Production Management in Supply Chains (2017).

Everywhere the belief is read as the piecewise linear quantile function through its (level, value) points, flat below
the lowest level and above the highest: the tails beyond the levels given are unknown, and `because` says where that
mattered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.decide import BECAUSE, Beliefs, Decisions, Floats, look_up, parse_beliefs, quantile_arrays
from foreproof.core.predict import CUTOFF, LEVEL, VALUE
from foreproof.decisions.order_words import reasons
from foreproof.errors import BadInput

ORDER, ORDER_UP_TO, TARGET, RATIO, EXPECTED_COST = "order", "order_up_to", "target", "ratio", "expected_cost"
ACTIONS = (ORDER, ORDER_UP_TO, TARGET, RATIO, EXPECTED_COST)
ON_HAND, ON_ORDER = "on_hand", "on_order"

_TIE = 1e-12  # probability; nearer than this, two orders cost the same and the smaller is taken


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """Money per unit short and per unit over."""

    short: float
    over: float

    def __post_init__(self) -> None:
        terms = {name: _numbers(getattr(self, name), subject=f"costs.{name}") for name in ("short", "over")}
        _check_terms(terms, subject="costs", keys=None)


def unit_costs(
    price: float, cost: float, *, salvage: float = 0.0, goodwill: float = 0.0, holding: float = 0.0
) -> UnitCosts:
    """Unit costs from money per unit: short = price - cost + goodwill, over = cost - salvage + holding.

    goodwill: what a customer sent away costs beyond the margin; salvage: what a leftover unit still brings; holding: what
    keeping it costs. Raises BadInput where one comes out negative: then no order or an endless one would be best.
    """
    return UnitCosts(short=price - cost + goodwill, over=cost - salvage + holding)


@dataclass(frozen=True, slots=True)
class Newsvendor:
    """Order up to the quantile of demand at the critical ratio, in packs, nothing or at least a minimum.

    short, over: money per unit; pack: units per pack, > 0; minimum: units, the smallest order that is accepted. Each is
    a number for all entities, or the name of a column of `held` that has it for each. Raises BadInput.
    """

    short: float | str
    over: float | str
    pack: float | str = 1.0
    minimum: float | str = 0.0

    def __post_init__(self) -> None:
        terms = {field.name: getattr(self, field.name) for field in fields(self)}
        numbers = {
            name: _numbers(value, subject=f"newsvendor.{name}")
            for name, value in terms.items()
            if not isinstance(value, str)
        }
        _check_terms(numbers, subject="newsvendor", keys=None)

    def decide(self, beliefs: pl.DataFrame, *, held: pl.DataFrame | None = None) -> Decisions:
        """Order quantities with their reasons.

        beliefs: entity columns, `cutoff`, `level`, `value`: quantiles of the demand SUM over (cutoff, cutoff + L], in
        units, for the window of L steps that the order must cover.
        held: entity columns, `cutoff` where stock differs between cutoffs, `on_hand` (negative: owed to customers),
        `on_order` if there is any, units; and the columns that the policy names. Without it stock counts as zero.
        Actions: `order` = 0 or a multiple of the pack, at least the minimum; `order_up_to` = on_hand + on_order + order;
        `target`, the unrounded quantile; `ratio`; `expected_cost` of order_up_to, money.

        Of all orders allowed, the one with the smallest expected cost; of two that cost the same, the smaller.
        Raises BadInput for beliefs, stock or terms that cannot be used.
        """
        parsed = parse_beliefs(beliefs)
        terms = {field.name: self._term(field.name, parsed, held) for field in fields(self)}
        _check_terms(terms, subject="newsvendor", keys=parsed.keys)
        return _decide(parsed, terms, _stock(parsed, held), counted=held is not None)

    def _term(self, name: str, beliefs: Beliefs, held: pl.DataFrame | None) -> Floats:
        value: float | str = getattr(self, name)
        if not isinstance(value, str):
            return np.full(beliefs.keys.height, float(value))
        if held is None:
            raise BadInput(
                f"newsvendor.{name}",
                found=f"column {value!r}, but no held frame",
                wanted="a held frame with that column, or a number",
            )
        return look_up(beliefs.keys, held, columns=[value], subject="held")[0]


def orders_of(beliefs: Beliefs, terms: Mapping[str, Floats], on_hand: Floats, on_order: Floats) -> Decisions:
    """`Newsvendor.decide` for beliefs that are parsed, and arrays of n numbers: short, over, pack, minimum; units held.

    For many items at once that are no frames yet. Raises BadInput for terms that cannot be used.
    """
    _check_terms(terms, subject="newsvendor", keys=beliefs.keys)
    return _decide(beliefs, terms, (on_hand, on_order), counted=True)


@dataclass(frozen=True, slots=True)
class Order:
    """One order: quantity and order_up_to in units, ratio a probability, expected_cost in money; target is unrounded."""

    quantity: float
    order_up_to: float
    target: float
    ratio: float
    expected_cost: float
    because: str


@overload
def recommend_qty(
    beliefs: Mapping[float, float],
    *,
    short: float | str,
    over: float | str,
    held: Mapping[str, float] | None = None,
    pack: float | str = 1.0,
    minimum: float | str = 0.0,
) -> Order: ...
@overload
def recommend_qty(
    beliefs: Any,
    *,
    short: float | str,
    over: float | str,
    held: Any = None,
    pack: float | str = 1.0,
    minimum: float | str = 0.0,
) -> Decisions: ...
def recommend_qty(
    beliefs: Any,
    *,
    short: float | str,
    over: float | str,
    held: Any = None,
    pack: float | str = 1.0,
    minimum: float | str = 0.0,
) -> Order | Decisions:
    """How much to order, by `Newsvendor`: for one item an `Order`, for a frame `Decisions`.

    One item: beliefs {level: value}, held {"on_hand": units, "on_order": units}. Many: polars or pandas frames as in
    `Newsvendor.decide`. Raises BadInput.

    >>> order = recommend_qty({0.1: 10, 0.5: 20, 0.9: 40}, short=3, over=1, held={"on_hand": 5}, pack=6)
    >>> order.target, order.quantity
    (32.5, 30.0)
    """
    policy = Newsvendor(short=short, over=over, pack=pack, minimum=minimum)
    if not isinstance(beliefs, Mapping):
        return policy.decide(_polars(beliefs), held=None if held is None else _polars(held))
    levels = _numbers(list(beliefs), subject="beliefs.level")
    values = _numbers(list(beliefs.values()), subject="beliefs.value")
    frame = pl.DataFrame({CUTOFF: [0] * levels.size, LEVEL: levels, VALUE: values}, schema_overrides={CUTOFF: pl.Int64})
    facts = None
    if held is not None:
        facts = pl.DataFrame({name: _numbers(value, subject=f"held.{name}") for name, value in held.items()})
    row = policy.decide(frame, held=facts).rows.row(0, named=True)
    return Order(quantity=row[ORDER], **{name: row[name] for name in (*ACTIONS[1:], BECAUSE)})


# --- arithmetic ------------------------------------------------------------------------------------------------------


def critical_ratio(short: npt.ArrayLike, over: npt.ArrayLike) -> Floats:
    """Short / (short + over), in [0, 1]: the probability with which demand should be covered. Both money per unit.

    Raises BadInput for a cost that is negative or not finite, and where both are zero.
    """
    shortage, excess = np.broadcast_arrays(np.asarray(short, dtype=np.float64), np.asarray(over, dtype=np.float64))
    _check_terms({"short": shortage.ravel(), "over": excess.ravel()}, subject="critical_ratio", keys=None)
    with np.errstate(divide="ignore", over="ignore"):
        # in this form each rounding keeps the order: a larger `short` never gives a smaller ratio
        return np.asarray(1.0 / (1.0 + excess / shortage), dtype=np.float64)


def quantile_at(ratio: npt.ArrayLike, *, levels: npt.ArrayLike, values: npt.ArrayLike) -> Floats:
    """The quantile function at `ratio`: linear between levels, flat outside.

    ratio: n probabilities; levels: K, rising; values: n x K (or K), never falling. Returns n, in the unit of values.
    Raises BadInput for levels or values that are no quantiles.
    """
    u, v = quantile_arrays(levels, values)
    p = np.asarray(ratio, dtype=np.float64)
    n = np.broadcast_shapes(p.shape, v.shape[:-1])
    inside, v = np.broadcast_to(np.clip(p, u[0], u[-1]), n), np.broadcast_to(v, (*n, u.size))
    right = np.clip(np.searchsorted(u, inside), min(1, u.size - 1), u.size - 1)
    left = np.maximum(right - 1, 0)
    low, high = (np.take_along_axis(v, side[..., None], axis=-1)[..., 0] for side in (left, right))
    width = u[right] - u[left]
    share = np.divide(inside - u[left], width, out=np.ones(n), where=width > 0.0)
    # at a given level the given value, to the last bit; the minimum keeps the line from rounding above its end
    return np.asarray(np.where(share < 1.0, np.minimum(low + share * (high - low), high), high), dtype=np.float64)


def expected_units(
    order_up_to: npt.ArrayLike, *, levels: npt.ArrayLike, values: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Expected units short E[(D - S)+] and left over E[(S - D)+], exact for the piecewise linear belief.

    order_up_to: S, n (or one); levels: K; values: n x K (or K). E[(S - D)+] = integral over u in (0, 1) of (S - q(u))+;
    between two levels q is a straight line, so each piece is the area of a triangle or a trapezium.
    Raises BadInput for levels or values that are no quantiles.
    """
    u, v = quantile_arrays(levels, values)
    s = np.asarray(order_up_to, dtype=np.float64)[..., None]
    down, up = np.maximum(s - v, 0.0), np.maximum(v - s, 0.0)
    low, high = v[..., :-1], v[..., 1:]
    rise = np.broadcast_to(high - low, np.broadcast_shapes((high - low).shape, s.shape[:-1] + high.shape[-1:]))
    # the share of each piece that lies below S; a piece without rise lies below it or not
    below = np.divide(s - low, rise, out=np.where(s > low, 1.0, 0.0) * np.ones_like(rise), where=rise > 0.0)
    below = np.clip(below, 0.0, 1.0)
    step = np.diff(u)
    left_over = np.sum(step * below * (down[..., :-1] + down[..., 1:]) / 2.0, axis=-1)
    short = np.sum(step * (1.0 - below) * (up[..., :-1] + up[..., 1:]) / 2.0, axis=-1)
    left_over = left_over + u[0] * down[..., 0] + (1.0 - u[-1]) * down[..., -1]
    short = short + u[0] * up[..., 0] + (1.0 - u[-1]) * up[..., -1]
    return short, left_over


def expected_cost(
    order_up_to: npt.ArrayLike,
    *,
    levels: npt.ArrayLike,
    values: npt.ArrayLike,
    short: npt.ArrayLike,
    over: npt.ArrayLike,
) -> Floats:
    """Short E[(D - S)+] + over E[(S - D)+], money, for S = order_up_to; shapes as in `expected_units`."""
    units_short, units_over = expected_units(order_up_to, levels=levels, values=values)
    return np.asarray(np.asarray(short) * units_short + np.asarray(over) * units_over, dtype=np.float64)


def _decide(beliefs: Beliefs, terms: Mapping[str, Floats], stock: tuple[Floats, Floats], *, counted: bool) -> Decisions:
    levels, values = beliefs.levels, beliefs.values
    short, over, pack = terms["short"], terms["over"], terms["pack"]
    position = stock[0] + stock[1]
    ratio = critical_ratio(short, over)
    target = quantile_at(ratio, levels=levels, values=values)
    need = np.maximum(target - position, 0.0)
    # Expected cost is convex in the order, so the best one allowed is a neighbour of `need`.
    fewest = np.ceil(terms["minimum"] / pack - 1e-9)
    down, up = np.floor(need / pack), np.ceil(need / pack)
    smaller = np.where(down >= fewest, down, 0.0) * pack
    larger = np.where(need > 0.0, np.maximum(up, fewest), 0.0) * pack
    # The larger one is cheaper where, over the units between, P(D <= x) is below the ratio on average.
    _, left_small = expected_units(position + smaller, levels=levels, values=values)
    _, left_large = expected_units(position + larger, levels=levels, values=values)
    better = (left_large - left_small) < (ratio - _TIE) * (larger - smaller)
    order = np.where(better & (short > 0.0), larger, np.where(short > 0.0, smaller, 0.0))
    other = np.where(better, smaller, larger)
    costs, other_costs = (
        expected_cost(position + q, levels=levels, values=values, short=short, over=over) for q in (order, other)
    )
    actions = dict(zip(ACTIONS, (order, position + order, target, ratio, costs), strict=True))
    facts = {**terms, **actions, ON_HAND: stock[0], ON_ORDER: stock[1]}
    facts |= {"need": need, "other": other, "other_cost": other_costs}
    because = reasons(facts, edges=(float(levels[0]), float(levels[-1])), counted=counted)
    rows = beliefs.keys.with_columns(
        *(pl.Series(name, array, dtype=pl.Float64) for name, array in actions.items()),
        pl.Series(BECAUSE, because, dtype=pl.String),
    )
    return Decisions(beliefs.entity, ACTIONS, rows)


# --- the edge --------------------------------------------------------------------------------------------------------


def _stock(beliefs: Beliefs, held: pl.DataFrame | None) -> tuple[Floats, Floats]:
    nothing = np.zeros(beliefs.keys.height)
    if held is None:
        return nothing, nothing
    on_hand = look_up(beliefs.keys, held, columns=[ON_HAND], subject="held")[0]
    if ON_ORDER not in held.columns:
        return on_hand, nothing
    on_order = look_up(beliefs.keys, held, columns=[ON_ORDER], subject="held")[0]
    _refuse(on_order < 0.0, on_order, subject="held.on_order", wanted="0 or more units", keys=beliefs.keys)
    return on_hand, on_order


def _check_terms(terms: Mapping[str, Floats], *, subject: str, keys: pl.DataFrame | None) -> None:
    """Costs and minimum finite and not negative, packs positive, not both costs zero. Terms that are absent pass."""
    for name, values in terms.items():
        low = values <= 0.0 if name == "pack" else values < 0.0
        unit = "money per unit" if name in ("short", "over") else "units"
        wanted = f"a finite number {'> 0' if name == 'pack' else '>= 0'}, {unit}"
        _refuse(low | ~np.isfinite(values), values, subject=f"{subject}.{name}", wanted=wanted, keys=keys)
    if "short" in terms and "over" in terms:
        free = (terms["short"] == 0.0) & (terms["over"] == 0.0)
        wanted = "a cost for a unit short or for a unit over: else every order is as good as any other"
        _refuse(free, terms["short"], subject=f"{subject}.short and {subject}.over", wanted=wanted, keys=keys)


def _refuse(
    bad: npt.NDArray[np.bool_], values: Floats, *, subject: str, wanted: str, keys: pl.DataFrame | None
) -> None:
    if not np.any(bad):
        return
    first = int(np.flatnonzero(bad)[0])
    where = "" if keys is None else f" for {int(np.sum(bad))} of {bad.size} decisions (first: {keys.row(first)})"
    raise BadInput(subject, found=f"{values[first]:g}{where}", wanted=wanted, fix="correct it")


def _numbers(values: Any, *, subject: str) -> Floats:
    try:
        return np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        raise BadInput(subject, found=repr(values), wanted="numbers") from None


def _polars(frame: Any) -> pl.DataFrame:
    """A polars frame of what a user has: polars or pandas."""
    if isinstance(frame, pl.DataFrame):
        return frame
    if type(frame).__module__.split(".")[0] != "pandas":
        raise BadInput(
            "recommend_qty", found=f"a {type(frame).__name__}", wanted="a mapping, or a polars or pandas frame"
        )
    return pl.DataFrame(frame)


__all__ = [
    "ACTIONS",
    "EXPECTED_COST",
    "ON_HAND",
    "ON_ORDER",
    "ORDER",
    "ORDER_UP_TO",
    "RATIO",
    "TARGET",
    "Newsvendor",
    "Order",
    "UnitCosts",
    "critical_ratio",
    "expected_cost",
    "expected_units",
    "orders_of",
    "quantile_at",
    "recommend_qty",
    "unit_costs",
]
