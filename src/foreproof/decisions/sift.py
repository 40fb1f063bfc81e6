"""The programme of a long list in seconds: prices settle all rows but a few, and a bound proves that they did so rightly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foreproof.core.decide import Floats
from foreproof.decisions.programme import Ints, Limit, cost_of, duals_of, relaxed, whole

Bools = npt.NDArray[np.bool_]
Start = Mapping[str, tuple[float, float]]
"""By limit (the capacity is ""), the price of its upper and of its lower end."""
_CORE, _MOST_CORE, _SAMPLE, _ROUNDS = 3_000, 50_000, 6_000, 20
_STEPS = (1.0, 0.5, 0.25, 0.1, 0.03)
_SWEEPS = 6
_CLOSE, _FRACTION, _TOP = 1e-9, 1e-6, 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """A list that is proven best.

    chosen: positions, rising. prices: of each limit, what one more unit of it would add. start: prices that are near those of a
    programme with one rule less. bound: no list is worth more.
    """

    chosen: Ints
    prices: list[float]
    start: Start
    bound: float


def sift(
    value: Floats, limits: Sequence[Limit], *, most: int, start: Start | None = None, core: int = _CORE
) -> Sifted | None:
    """Max sum v x under limits, as `assign`; None where nothing was proven best, or nothing is feasible.

    Limits of one rule that never share a row (that of every account) are met account by account; the others, few, get prices mu.
    For any mu >= 0, with w = v - prices, L(mu) = the sum over accounts of their best positive w, as many as they may have, plus
    mu x bounds, is at least the value of every list (Lagrangian relaxation, Geoffrion 1974). Prices begin with those of a sample,
    polished one limit at a time. Each round holds every row in or out as the sign of its reduced cost says, except the `core`
    nearest to 0, solves these by HiGHS and goes towards the prices of that, as far as L falls. It ends once the list is worth L,
    or each row that was held has a reduced cost beyond L less the list's worth: on its other side it would lower L below a list
    that is there. start: prices from which to begin instead of a sample's.
    """
    if any(one.low > one.rows.size for one in limits):
        return None
    model = _model(value, limits, most)
    prices = _polished(model, _sampled(model) if start is None else _known(model, start))
    reduced, bound = _reduced(model, prices)
    for turn in range(_ROUNDS):
        if core > _MOST_CORE:
            break
        free = np.zeros(value.size, dtype=bool)
        free[np.argsort(np.abs(reduced), kind="stable")[:core]] = True
        held = ~free & (reduced > 0.0)
        found = _solved(model, prices, free, held)
        core *= 2 if found is None or turn % 2 else 1
        if found is None:
            continue
        inside, made = found
        prices = min(
            (prices, *(_between(prices, made, share) for share in _STEPS)), key=lambda one: _reduced(model, one)[1]
        )
        reduced, bound = _reduced(model, prices)
        gap = bound - float(model.value[inside].sum())
        sure = np.abs(reduced) > gap
        if gap <= _CLOSE * abs(bound) or bool((free | (sure & (held == (reduced > 0.0)))).all()):
            return _told(model, prices, inside, bound)
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """value: times `scale`, ties broken. coarse: the limits with prices, fine: the others; both as positions among `limits`.

    owner: the fine limit of each row as a position in `fine`, -1 for none. room: how many rows each of them lets through.
    """

    value: Floats
    scale: float
    limits: Sequence[Limit]
    coarse: list[int]
    fine: list[int]
    owner: Ints
    room: Ints
    most: int

    @property
    def priced(self) -> list[Limit]:
        """The coarse limits."""
        return [self.limits[at] for at in self.coarse]


@dataclass(frozen=True, slots=True, eq=False)
class _Prices:
    """Of the capacity, and of each coarse limit's upper and lower end; at least 0."""

    most: float
    above: Floats
    below: Floats


def _between(a: _Prices, b: _Prices, share: float) -> _Prices:
    """The prices of a, moved by a share of the way to those of b."""
    return _Prices(
        a.most + share * (b.most - a.most), a.above + share * (b.above - a.above), a.below + share * (b.below - a.below)
    )


def _model(value: Floats, limits: Sequence[Limit], most: int) -> _Model:
    fine = _fine(limits)
    taken = set(fine)
    owner = np.full(value.size, -1, dtype=np.int64)
    if fine:
        many = [limits[at].rows.size for at in fine]
        owner[np.concatenate([limits[at].rows for at in fine])] = np.repeat(np.arange(len(fine)), many)
    largest = float(np.abs(value).max(initial=0.0)) or 1.0
    return _Model(
        value=-cost_of(value * (_TOP / largest)),
        scale=_TOP / largest,
        limits=limits,
        coarse=[at for at in range(len(limits)) if at not in taken],
        fine=fine,
        owner=owner,
        room=np.array([limits[at].high for at in fine], dtype=np.int64),
        most=most,
    )


def _fine(limits: Sequence[Limit]) -> list[int]:
    """The rule with the most limits, where these only bound from above and share no row."""
    rules: dict[str, list[int]] = {}
    for at, limit in enumerate(limits):
        if limit.rule and limit.low == 0:
            rules.setdefault(limit.rule, []).append(at)
    fine = max(rules.values(), key=len, default=[])
    met = np.bincount(np.concatenate([limits[at].rows for at in fine])) if fine else np.empty(0)
    return fine if met.max(initial=0) <= 1 else []


def _sampled(model: _Model) -> _Prices:
    """The prices of every nth account and of every nth row without one, under an nth of each limit."""
    every = max(1, model.value.size // _SAMPLE)
    mine = np.where(model.owner >= 0, model.owner, np.arange(model.value.size)) % every == 0
    limits = [
        Limit(one.name, one.rows, one.low // every, max(1, round(min(one.high, one.rows.size) / every)))
        for one in model.priced
    ]
    most = max(1, round(model.most / every))
    found = relaxed(model.value[mine], _inner(model, mine, limits, model.room), most=most)
    if found.x is None:
        edge = np.sort(model.value)[::-1][min(model.most, model.value.size - 1)]
        return _Prices(max(0.0, float(edge)), np.zeros(len(limits)), np.zeros(len(limits)))
    return _prices_of(found, model, mine, limits)


def _known(model: _Model, start: Start) -> _Prices:
    ends = np.array([start.get(one.name, (0.0, 0.0)) for one in model.priced]).reshape(-1, 2) * model.scale
    return _Prices(start.get("", (0.0, 0.0))[0] * model.scale, ends[:, 0], ends[:, 1])


def _polished(model: _Model, prices: _Prices) -> _Prices:
    """The best of some sweeps in which each price moves to where its own limit is met exactly, the others as they are."""
    best, least = prices, _reduced(model, prices)[1]
    for _ in range(_SWEEPS):
        reduced, _ = _reduced(model, prices)
        above, below = prices.above.copy(), prices.below.copy()
        for place, one in enumerate(model.priced):
            move = max(-above[place], _rank(reduced[one.rows], one.high))
            lift = max(-below[place], -_rank(reduced[one.rows] - move, one.low - 1)) if one.low else 0.0
            above[place], below[place] = above[place] + move, below[place] + lift
            reduced[one.rows] -= move - lift
        most = max(0.0, prices.most + _rank(reduced, model.most))
        prices = _Prices(most, above, below)
        bound = _reduced(model, prices)[1]
        if bound < least:
            best, least = prices, bound
    return best


def _rank(values: Floats, place: int) -> float:
    """The value that `place` others exceed; without so many, low enough to say that the limit does not bind."""
    if place >= values.size:
        return -np.inf
    return float(-np.partition(-values, place)[place])


def _inner(model: _Model, mine: Bools, coarse: Sequence[Limit], room: Ints) -> list[Limit]:
    """The limits on the rows that are `mine`, by their positions among these: the coarse ones, then the fine that may bind."""
    place = np.cumsum(mine) - 1
    found = [Limit(one.name, place[one.rows[mine[one.rows]]], one.low, one.high) for one in coarse]
    rows = np.flatnonzero(mine & (model.owner >= 0))
    owners = model.owner[rows]
    order = np.argsort(owners, kind="stable")
    names, first, many = np.unique(owners[order], return_index=True, return_counts=True)
    for name, begin, count in zip(names.tolist(), first.tolist(), many.tolist(), strict=True):
        if count > room[name]:
            found.append(Limit("", np.sort(place[rows[order[begin : begin + count]]]), 0, int(room[name])))
    return found


def _solved(model: _Model, prices: _Prices, free: Bools, held: Bools) -> tuple[Ints, _Prices] | None:
    """The best list among those that keep the held rows, and prices of the rest; None where there is none."""
    left = [
        Limit(
            one.name,
            one.rows,
            max(0, one.low - int(held[one.rows].sum())),
            min(one.high, one.rows.size) - int(held[one.rows].sum()),
        )
        for one in model.priced
    ]
    owners = model.owner[held & (model.owner >= 0)]
    room = model.room - np.bincount(owners, minlength=model.room.size)
    most = model.most - int(held.sum())
    if most < 0 or bool((room < 0).any()) or any(one.high < 0 for one in left):
        return None
    inner, value = _inner(model, free, left, room), model.value[free]
    found = relaxed(value, inner, most=most)
    if found.x is None:
        return None
    made, x = _prices_of(found, model, free, left, prices), found.x
    if np.abs(x - np.round(x)).max(initial=0.0) > _FRACTION:
        x = whole(value, inner, most=most).x
        if x is None:
            return None
    chosen = held.copy()
    chosen[np.flatnonzero(free)[x > 0.5]] = True
    return np.flatnonzero(chosen).astype(np.int64), made


def _prices_of(
    found: object, model: _Model, mine: Bools, limits: Sequence[Limit], before: _Prices | None = None
) -> _Prices:
    """The prices of a corner; a limit without a row in it keeps the price that it had."""
    inner = [*limits, *([Limit("", np.empty(0, dtype=np.int64))] * (_uppers(found, limits) - len(limits)))]
    most, above, below = duals_of(found, inner)
    above, below = above[: len(limits)], below[: len(limits)]
    if before is not None:
        met = np.array([bool(mine[one.rows].any()) for one in limits], dtype=bool)
        above, below = np.where(met, above, before.above), np.where(met, below, before.below)
    return _Prices(most, above, below)


def _uppers(found: object, limits: Sequence[Limit]) -> int:
    """How many limits a corner's programme had: one row for all, one each, one more for each that has a lower end."""
    rows: int = np.asarray(found.ineqlin.marginals).size  # type: ignore[attr-defined]
    return rows - 1 - sum(one.low > 0 for one in limits)


def _reduced(model: _Model, prices: _Prices) -> tuple[Floats, float]:
    """Each row's reduced cost (above 0: worth its place), and L(mu).

    Where an account has more positive rows than it may, its own price lies midway between the last that it keeps and the next.
    """
    w, extra = _priced(model, prices)
    bound = extra + float(w[(model.owner < 0) & (w > 0.0)].sum())
    _, kept, last, following = _crowd(model, w)
    own = (last + following) / 2.0
    reduced = w - np.where(model.owner >= 0, np.append(own, 0.0)[model.owner], 0.0)
    return reduced, bound + kept


def _priced(model: _Model, prices: _Prices) -> tuple[Floats, float]:
    """Per row w = v less what each row's limits cost, and mu x bounds."""
    w = model.value - prices.most
    extra = prices.most * model.most
    for one, above, below in zip(model.priced, prices.above.tolist(), prices.below.tolist(), strict=True):
        w[one.rows] -= above - below
        extra += above * min(one.high, one.rows.size) - below * one.low
    return w, extra


def _crowd(model: _Model, w: Floats) -> tuple[Ints, float, Floats, Floats]:
    """Of every account: its positive rows, best first, the sum of those kept, its last kept and its next (0: not crowded)."""
    rows = np.flatnonzero((model.owner >= 0) & (w > 0.0))
    rows = rows[np.lexsort((-w[rows], model.owner[rows]))]
    owner = model.owner[rows]
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    place = np.arange(rows.size) - np.repeat(begins, np.diff(np.append(begins, rows.size)))
    last, following = np.zeros(model.room.size), np.zeros(model.room.size)
    next_ones = place == model.room[owner]
    following[owner[next_ones]] = w[rows[next_ones]]
    ends = place == model.room[owner] - 1
    last[owner[ends]] = w[rows[ends]]
    last = np.where(following > 0.0, last, 0.0)
    return rows, float(w[rows[place < model.room[owner]]].sum()), last, following


def _told(model: _Model, prices: _Prices, inside: Ints, bound: float) -> Sifted:
    _, _, _, following = _crowd(model, _priced(model, prices)[0])
    both = np.zeros(len(model.limits))
    both[model.coarse] = prices.above + prices.below
    both[model.fine] = following
    ends = zip(model.priced, prices.above.tolist(), prices.below.tolist(), strict=True)
    start = {one.name: (above / model.scale, below / model.scale) for one, above, below in ends}
    start[""] = (prices.most / model.scale, 0.0)
    return Sifted(inside, [float(one) / model.scale for one in both], start, bound / model.scale)


__all__ = ["Sifted", "Start", "sift"]
