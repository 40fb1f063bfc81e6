"""The slow twin of learned features: loops over rows, conjugate gradients on lists, eigenvectors of a whole matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foreproof.core.contract import HAPPENED
from foreproof.core.grid import Grid
from foreproof.core.view import View
from foreproof.features import Affinity

Vector = list[float]
Pairs = dict[tuple[Any, Any], float]
_LAST: dict[str, Any] = {"view": None, "fits": {}}


def affinity(view: View, grid: Grid, feature: Affinity, own: dict[str, Any], *, now: int, period_of: Any) -> Any:
    """The value of one pair, or None."""
    if _LAST["view"] is not view:
        _LAST.update(view=view, fits={})
    fits = _LAST["fits"]
    if feature.fit not in fits:
        fits[feature.fit] = fitted(view, grid, feature, now=now, period_of=period_of)
    return fits[feature.fit][feature.part].get((own[feature.unit], own[feature.item]))


def fitted(view: View, grid: Grid, feature: Affinity, *, now: int, period_of: Any) -> dict[str, Pairs]:
    """By part, the value of every account with every group that anybody met."""
    end = now - feature.lag
    steps: dict[tuple[Any, Any], set[int]] = {}
    buyers: dict[tuple[Any, Any], set[Any]] = {}
    for row in view[feature.table].to_dicts():
        period, unit, item, product = (
            period_of(grid, row[HAPPENED]), row[feature.unit], row[feature.item], row[feature.product],
        )  # fmt: skip
        if period > end or (feature.window is not None and period <= end - feature.window):
            continue
        steps.setdefault((unit, product), set()).add(period)
        buyers.setdefault((item, product), set()).add(unit)
    if not steps:
        return {"score": {}, "cosine": {}, "coverage": {}}
    weight = {pair: math.log(1 + len(seen)) for pair, seen in steps.items()}
    units, items = sorted({u for u, _ in weight}), sorted({i for i, _ in buyers})
    products = sorted({p for _, p in weight})
    count = {pair: float(len(who)) for pair, who in buyers.items()}
    wide = {p for p in products if sum(q == p for _, q in weight) >= feature.least}
    deep = {u for u in units if sum(v == u and p in wide for v, p in weight) >= feature.least}
    inside = {(u, p): w for (u, p), w in weight.items() if u in deep and p in wide}
    x, y = als(inside, feature) if inside else ({}, {})
    some = set(y)
    v = vectors(weight, products, feature)
    cover: Pairs = {}
    dot: Pairs = {}
    cosine: Pairs = {}
    back: Pairs = {}
    for u in units:
        whole = math.fsum(w for (a, _), w in weight.items() if a == u)
        held = math.fsum(w for (a, _), w in inside.items() if a == u)
        taste = mean([(w, v[p]) for (a, p), w in weight.items() if a == u])
        for i in items:
            of = {p: n for (j, p), n in count.items() if j == i}
            good = {p: n for p, n in of.items() if p in some}
            cover[u, i] = held / whole * sum(good.values()) / sum(of.values())
            centre = mean([(n, y[p]) for p, n in good.items()]) if good else [0.0] * feature.factors
            mine = x.get(u, [0.0] * feature.factors)
            dot[u, i], cosine[u, i] = inner(mine, centre), cos(mine, centre)
            back[u, i] = cos(taste, mean([(n, v[p]) for p, n in of.items()]))
    said = told(cover, dot, back, weight, count)
    return {
        "score": standard({k: c * dot[k] + (1 - c) * said[k] for k, c in cover.items()}),
        "cosine": {k: c * cosine[k] + (1 - c) * back[k] for k, c in cover.items()},
        "coverage": cover,
    }


def told(cover: Pairs, dot: Pairs, back: Pairs, weight: Pairs, count: Pairs) -> Pairs:
    """The backfill on the scale of ALS, by the normal equations of a weighted regression."""
    whole = math.fsum(cover.values())
    if not whole:
        return back

    def total(values: Pairs, name: Any) -> float:
        return math.log1p(math.fsum(value for (own, _), value in values.items() if own == name))

    rows = {}
    for (u, i), near in back.items():
        held, many = total(weight, u), total(count, i)
        rows[u, i] = [1.0, near, held, many, held * many, held * near]
    n = 6
    square = [
        [math.fsum(cover[k] * r[i] * r[j] for k, r in rows.items()) / whole + 1e-3 * (i == j) for j in range(n)]
        for i in range(n)
    ]
    right = [math.fsum(cover[k] * r[i] * dot[k] for k, r in rows.items()) / whole for i in range(n)]
    slopes = np.linalg.solve(np.array(square), np.array(right)).tolist()
    return {k: inner(r, slopes) for k, r in rows.items()}


def als(inside: Pairs, feature: Affinity) -> tuple[dict[Any, Vector], dict[Any, Vector]]:
    """Hu, Koren & Volinsky with three conjugate gradient steps a row, from the library's start."""
    units, products = sorted({u for u, _ in inside}), sorted({p for _, p in inside})
    rng = np.random.default_rng(feature.seed)
    shapes = [(len(units), feature.factors), (len(products), feature.factors)]
    start = [(rng.random(shape, dtype=np.float32) * 0.01).astype(float).tolist() for shape in shapes]
    x, y = dict(zip(units, start[0], strict=True)), dict(zip(products, start[1], strict=True))
    turned = {(p, u): w for (u, p), w in inside.items()}
    for _ in range(15):
        half(x, y, inside, feature)
        half(y, x, turned, feature)
    return x, y


def half(x: dict[Any, Vector], y: dict[Any, Vector], weight: Pairs, feature: Affinity) -> None:
    """One side solved for the other: (sum_p c y y' + ridge) x = sum_p c y over what the row has."""
    n = feature.factors
    for u in x:
        a = [
            [feature.ridge * (i == j) + math.fsum(v[i] * v[j] for v in y.values()) for j in range(n)] for i in range(n)
        ]
        b = [0.0] * n
        for (w, p), value in weight.items():
            if w == u:
                c = 1 + feature.alpha * value
                for i in range(n):
                    b[i] += c * y[p][i]
                    for j in range(n):
                        a[i][j] += (c - 1) * y[p][i] * y[p][j]
        gone = [b[i] - inner(a[i], x[u]) for i in range(n)]
        way, old = list(gone), inner(gone, gone)
        for _ in range(3):
            if old < 1e-20:
                break
            moved = [inner(line, way) for line in a]
            step = old / inner(way, moved)
            x[u] = [value + step * d for value, d in zip(x[u], way, strict=True)]
            gone = [value - step * d for value, d in zip(gone, moved, strict=True)]
            new = inner(gone, gone)
            way = [g + new / old * d for g, d in zip(gone, way, strict=True)]
            old = new


def vectors(weight: Pairs, products: list[Any], feature: Affinity) -> dict[Any, Vector]:
    """Positive pointwise mutual information of products within accounts, and its largest eigenvalues."""
    both = {
        (p, q): float(sum((u, p) in weight and (u, q) in weight for u in {u for u, _ in weight}))
        for p in products
        for q in products
        if p != q
    }
    each = {p: sum(n for (a, _), n in both.items() if a == p) for p in products}
    whole = sum(each.values())
    table = np.zeros((len(products), len(products)))
    for (p, q), n in both.items():
        if n:
            table[products.index(p), products.index(q)] = max(0.0, math.log(n * whole / (each[p] * each[q])))
    left, size, _ = np.linalg.svd(table)
    kept = left[:, : feature.size] * np.sqrt(size[: feature.size])
    return {p: kept[place].tolist() for place, p in enumerate(products)}


def mean(parts: list[tuple[float, Vector]]) -> Vector:
    whole = sum(w for w, _ in parts)
    return [math.fsum(w * v[i] for w, v in parts) / whole for i in range(len(parts[0][1]))]


def inner(a: Vector, b: Vector) -> float:
    return math.fsum(one * other for one, other in zip(a, b, strict=True))


def cos(a: Vector, b: Vector) -> float:
    lengths = math.sqrt(inner(a, a)), math.sqrt(inner(b, b))
    return inner(a, b) / (lengths[0] * lengths[1]) if min(lengths) > 1e-6 else 0.0


def standard(values: Pairs) -> Pairs:
    centre = math.fsum(values.values()) / len(values)
    spread = math.sqrt(math.fsum((value - centre) ** 2 for value in values.values()) / len(values))
    flat = spread <= 1e-3 * max(abs(value) for value in values.values())
    return {k: 0.0 if flat else (value - centre) / spread for k, value in values.items()}
