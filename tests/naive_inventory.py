"""Slow twins of the stock decisions: loops so plain that they are right by reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Path = Sequence[float]


def cycle_cost(
    level: float, path: Path, *, lead: int, window: int, short: float, over: float, holding: float, owed: bool
) -> float:
    """Money of one cycle at one stock level under one path."""
    money = 0.0
    for j in range(lead + 1, window + 1):
        net = level - sum(path[:j])
        money += holding * max(net, 0.0)
        if owed:
            money += short * max(-net, 0.0)
    end = level - sum(path[:window])
    if not owed:
        money += short * (max(-end, 0.0) - max(sum(path[:lead]) - level, 0.0))
    return money + over * max(end, 0.0)


def expected_cost(level: float, paths: Sequence[Path], **terms: Any) -> float:
    """The mean over equally likely paths."""
    return sum(cycle_cost(level, path, **terms) for path in paths) / len(paths)


def cheapest(levels: Sequence[float], paths: Sequence[Path], **terms: Any) -> tuple[float, float]:
    """(cost, level) of the cheapest of some levels, the smallest of equals."""
    return min((round(expected_cost(level, paths, **terms), 9), level) for level in levels)


def replay(
    orders: Any,
    demand: Path,
    *,
    lead: int,
    review: int,
    start: float,
    shelf_life: int = 0,
    owed: bool = False,
    costs: Any,
) -> list[dict[str, float]]:
    """One item, step by step, every unit an object with the step on which it came.

    orders(t, position) says what is ordered at a review. costs: short, over, holding, order_cost.
    """
    units: list[list[float]] = [[0, start]]  # [step on which it came, how many], oldest first
    coming: list[list[float]] = []  # [step on which it arrives, how many]
    debt, told = 0.0, []
    for t, wanted in enumerate(demand):
        for parcel in [one for one in coming if one[0] == t]:
            coming.remove(parcel)
            debt = _receive(units, t, parcel[1], debt)
        ordered = 0.0
        if t % review == 0:
            position = sum(u[1] for u in units) + sum(c[1] for c in coming) - debt
            ordered = orders(t, position)
            if lead:
                coming.append([t + lead, ordered])
            else:
                debt = _receive(units, t, ordered, debt)
        left = wanted
        for unit in units:
            taken = min(unit[1], left)
            unit[1] -= taken
            left -= taken
        if owed:
            debt += left
        scrapped = 0.0
        if shelf_life:
            scrapped = sum(u[1] for u in units if t + 1 - u[0] >= shelf_life)
            units = [u for u in units if t + 1 - u[0] < shelf_life]
        on_hand = sum(u[1] for u in units)
        money = costs["holding"] * on_hand + costs["over"] * scrapped + costs["short"] * (debt if owed else left)
        money += costs["order_cost"] if ordered > 0 else 0.0
        if (t + 1) % review == 0 or t + 1 == len(demand):
            money += costs["over"] * on_hand
        told.append(
            {"on_hand": on_hand, "on_order": sum(c[1] for c in coming), "owed": debt, "ordered": ordered, "sold": wanted - left,
             "unmet": left, "scrapped": scrapped, "money": money}
        )  # fmt: skip
    return told


def _receive(units: list[list[float]], t: int, amount: float, debt: float) -> float:
    met = min(debt, amount)
    units.append([t, amount - met])
    return debt - met
