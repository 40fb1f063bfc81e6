"""Slow twins of decisions.newsvendor and decisions.replay: loops so plain that they are right by reading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any


def quantile(levels: Sequence[float], values: Sequence[float], u: float) -> float:
    """Linear between levels, flat outside."""
    if u <= levels[0]:
        return values[0]
    for k in range(1, len(levels)):
        if u <= levels[k]:
            share = (u - levels[k - 1]) / (levels[k] - levels[k - 1])
            return (1.0 - share) * values[k - 1] + share * values[k]
    return values[-1]


def loss(stock: float, demand: float, short: float, over: float) -> float:
    if demand > stock:
        return short * (demand - stock)
    return over * (stock - demand)


def expected_cost_integrated(
    stock: float, levels: Sequence[float], values: Sequence[float], short: float, over: float, panels: int = 20_000
) -> float:
    """The integral of the loss over u in (0, 1), by fine midpoints."""
    total = 0.0
    for i in range(panels):
        u = (i + 0.5) / panels
        total += loss(stock, quantile(levels, values, u), short, over)
    return total / panels


def expected_cost(stock: float, levels: Sequence[float], values: Sequence[float], short: float, over: float) -> float:
    """The same integral cut where it bends: at each level, and where demand equals stock (found by halving).

    Between two cuts the loss is a straight line, so its value in the middle times the width is its area.
    """
    cuts = [0.0, *levels, 1.0]
    for left, right in zip([0.0, *levels], [*levels, 1.0], strict=True):
        if quantile(levels, values, left) < stock < quantile(levels, values, right):
            low, high = left, right
            for _ in range(200):
                middle = (low + high) / 2.0
                if quantile(levels, values, middle) < stock:
                    low = middle
                else:
                    high = middle
            cuts.append((low + high) / 2.0)
    cuts.sort()
    areas = []
    for left, right in pairwise(cuts):
        demand = quantile(levels, values, (left + right) / 2.0)
        areas.append((right - left) * loss(stock, demand, short, over))
    return math.fsum(areas)


def allowed_orders(pack: float, minimum: float, most: float) -> list[float]:
    """Nothing, and each number of packs that reaches the minimum, up to the first one at or above `most`."""
    orders = [0.0]
    packs = 1
    while True:
        quantity = packs * pack
        if quantity >= minimum:
            orders.append(quantity)
            if quantity >= most:
                return orders
        packs += 1


def best_order(
    levels: Sequence[float], values: Sequence[float], terms: dict[str, float], position: float
) -> tuple[float, float]:
    """The smallest expected cost over every allowed order, and the smallest order that has it."""
    best, lowest = 0.0, math.inf
    for quantity in allowed_orders(terms["pack"], terms["minimum"], max(0.0, values[-1] - position)):
        cost = expected_cost(position + quantity, levels, values, terms["short"], terms["over"])
        if cost < lowest - 1e-9:
            best, lowest = quantity, cost
    return best, lowest


def discrete_best(outcomes: Sequence[int], short: float, over: float) -> float:
    """The smallest mean cost over every whole stock, where each outcome is as likely as any other."""
    costs = []
    for stock in range(max(outcomes) + 1):
        costs.append(math.fsum(loss(stock, outcome, short, over) for outcome in outcomes) / len(outcomes))
    return min(costs)


def replay_row(ours: float, baseline: float, demand: float, short: float, over: float) -> dict[str, Any]:
    row: dict[str, Any] = {"demand": demand}
    for who, stock in (("ours", ours), ("baseline", baseline)):
        row[f"order_up_to_{who}"] = stock
        row[f"money_{who}"] = loss(stock, demand, short, over)
        row[f"cycle_{who}"] = 1.0 if demand <= stock else 0.0
        if demand <= 0.0:
            row[f"fill_{who}"] = None
        else:
            row[f"fill_{who}"] = max(0.0, min(stock, demand)) / demand
        row[f"leftover_{who}"] = stock - demand if stock > demand else 0.0
        row[f"lost_{who}"] = demand - stock if demand > stock else 0.0
    row["saving"] = row["money_baseline"] - row["money_ours"]
    return row


def service(rows: Sequence[dict[str, Any]], who: str) -> dict[str, float]:
    """Totals over all rows; demand is positive in each."""
    met = [row[f"fill_{who}"] * row["demand"] for row in rows]
    return {
        "money": math.fsum(row[f"money_{who}"] for row in rows),
        "cycle_service": sum(row[f"cycle_{who}"] for row in rows) / len(rows),
        "fill_rate": math.fsum(met) / math.fsum(row["demand"] for row in rows),
        "leftover": math.fsum(row[f"leftover_{who}"] for row in rows),
        "lost": math.fsum(row[f"lost_{who}"] for row in rows),
    }
