"""Learned features: how near an account is to a product group, by factors that are fitted anew at each cutoff, on its view alone.

They see a `View` as the features of `viewed` do, so no fit can read what was known later; nothing is kept between cutoffs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import polars as pl

from foreproof.core.clock import Ticks, moment, tick_values
from foreproof.core.contract import HAPPENED
from foreproof.core.grid import Grid
from foreproof.core.view import Database, View
from foreproof.errors import BadInput, PlanError
from foreproof.features.context import Floats
from foreproof.features.declare import Feature, Meta, at_least, past, span, word
from foreproof.features.factors import Als, Places, als_factors, copurchase_vectors
from foreproof.features.viewed import VALUE, Viewed

AffinityPart = Literal["score", "cosine", "coverage"]
_RIDGE = 1e-3
_FLAT = 1e-3
"""A spread below this share of the largest value is noise, and no spread."""


@dataclass(frozen=True, slots=True)
class Affinity:
    """How near an account (`unit`) is to a product group (`item`), by factors of the products that each has bought.

    Over (cutoff - lag - window, cutoff - lag], or the whole past without a window (a table of owned assets: what the view
    still shows), w(a, p) is log(1 + active steps of account a in product p), and b(g, p) how many accounts met p in group g.

    ALS (`factors.als_factors`) covers the products of at least `least` accounts, and the accounts with at least `least` of
    these. Coverage c(a, g) is the share of w(a, .) in covered products (0 for an account that is not covered) times the share
    of b(g, .) in covered products. With x(a), y(p) the factors and Y(g) the mean of y(p) over b(g, p):
    als(a, g) = x(a) . Y(g). The backfill has all accounts and products: v(p) from co-purchase (`factors.copurchase_vectors`),
    back(a, g) = cos(mean of v over w(a, .), mean of v over b(g, .)).

    The common scale is that of ALS, which knows how much an account buys and how many buy in a group, as a cosine does not:
    with t(a) = log(1 + sum of w(a, .)) and t(g) = log(1 + sum of b(g, .)), said(a, g) is the least squares fit of als on 1, back,
    t(a), t(g), t(a) t(g) and t(a) back over the pairs with c > 0, each weighing c (ridge 1e-3 on the mean squares); back itself
    where ALS covers nothing.

    score: c als + (1 - c) said, less its mean over all pairs of the cutoff, by their standard deviation (0 without spread).
    cosine: c cos(x(a), Y(g)) + (1 - c) back. coverage: c. Null for an account or group that met nothing. Zero vectors have
    cosine 0.

    factors, ridge, alpha: of ALS; size: of the backfill's vectors. Parts that share all other settings share one fit a cutoff.
    """

    part: AffinityPart
    table: str
    unit: str
    item: str
    product: str
    window: int | None = None
    lag: int = 0
    factors: int = 64
    ridge: float = 100.0
    alpha: float = 4.0
    least: int = 2
    size: int = 32
    seed: int = 1

    def __post_init__(self) -> None:
        word(self, "part", self.part, AffinityPart)
        at_least(self, window=1 if self.window is None else self.window, factors=self.factors, least=self.least)
        at_least(self, size=self.size)
        if self.ridge <= 0.0 or self.alpha <= 0.0:
            raise BadInput("feature Affinity", found=f"ridge {self.ridge}, alpha {self.alpha}", wanted="both above 0")
        past(self, self.lag, "cutoff")

    @property
    def name(self) -> str:
        """`affinity_score_department_365_lag_30_of_lines`; `life` without a window."""
        length = "life" if self.window is None else self.window
        changed = [
            f"{word}{getattr(self, word):g}".replace(".", "_")
            for word in ("factors", "ridge", "alpha", "least", "size", "seed")
            if getattr(self, word) != self.__dataclass_fields__[word].default
        ]
        lag = [f"lag_{self.lag}"] if self.lag else []
        by = "_".join([self.item, self.product, str(length), *lag, *changed])
        return f"affinity_{self.part}_{by}_of_{self.table}"

    def maths(self) -> str:
        """Which factors, of what, over which window."""
        read = f"{self.unit} x {self.product} over {span('cutoff', self.lag, self.window)}"
        if self.part == "coverage":
            return f"share of the {self.unit}'s and {self.item}'s {self.product}s that ALS covers, {read}"
        form = "product" if self.part == "score" else "cosine"
        return f"{form} of {self.unit} and {self.item} factors: ALS, by coverage, else co-purchase; {read}"

    def meta(self, horizon: int) -> Meta:
        """The window as declared."""
        return Meta(self.name, "learned", "cutoff", self.lag, self.window, self.lag, self.maths())

    def of(self, view: View, period: int, grid: Grid, entity: Sequence[str]) -> pl.DataFrame:
        """Unit, item and `value`: every unit that met something, with every item that anybody met."""
        return fit_affinity(self, view, period, grid).frame(self.part)

    @property
    def empty(self) -> float:
        """What an account that met nothing has."""
        return np.nan

    @property
    def fit(self) -> Affinity:
        """The settings of the fit: equal ones share it, whatever their part."""
        return replace(self, part="score")


@dataclass(frozen=True, slots=True)
class FittedAffinity:
    """What one fit says. units: n names. items: m names. values: by part, n x m."""

    units: pl.Series
    items: pl.Series
    values: Mapping[str, Floats] = field(default_factory=dict)

    def frame(self, part: str) -> pl.DataFrame:
        """Unit, item, `value`: n m rows."""
        many, kinds = len(self.units), len(self.items)
        return pl.DataFrame(
            [
                self.units.gather(np.repeat(np.arange(many), kinds)),
                self.items.gather(np.tile(np.arange(kinds), many)),
                pl.Series(VALUE, self.values[part].reshape(-1), dtype=pl.Float64, nan_to_null=True),
            ]
        )


@dataclass(frozen=True, slots=True)
class _Met:
    """Who has what. row, column, weight: n pairs of account and product, sorted. buyers: groups x products."""

    row: Places
    column: Places
    weight: Floats
    buyers: Floats

    @property
    def shape(self) -> tuple[int, int]:
        """Accounts, products."""
        return int(self.row.max()) + 1, self.buyers.shape[1]


def fit_affinity(feature: Affinity, view: View, period: int, grid: Grid) -> FittedAffinity:
    """Factors of the rows that the view shows, and what they say of every account and group: see `Affinity`."""
    names = (feature.unit, feature.item, feature.product)
    seen = view[feature.table]
    absent = [name for name in names if name not in seen.columns]
    if absent:
        raise PlanError(
            f"feature {feature.name}",
            found=f"no column {absent[0]} in {feature.table}",
            wanted="columns of the table for unit, item and product",
            fix="name others, or add it to the table's contract",
        )
    rows = seen.select(*names, HAPPENED).drop_nulls()
    at = pl.Series("_at", grid.index(tick_values(rows[HAPPENED])), dtype=pl.Int64)
    end = period - feature.lag
    rows = rows.with_columns(at).filter(pl.col("_at") <= end)
    if feature.window is not None:
        rows = rows.filter(pl.col("_at") > end - feature.window)
    units, items, products = (rows[name].unique().sort() for name in names)
    if not rows.height:
        nothing = np.empty((0, 0))
        return FittedAffinity(units, items, dict.fromkeys(("score", "cosine", "coverage"), nothing))
    met = _met(feature, rows, (units, items, products))
    coverage, als, cosine = _by_als(feature, met)
    back = _by_copurchase(feature, met)
    score = _standard(coverage * als + (1.0 - coverage) * _said(met, coverage, als, back))
    values = {"score": score, "cosine": coverage * cosine + (1.0 - coverage) * back, "coverage": coverage}
    return FittedAffinity(units, items, values)


def _met(feature: Affinity, rows: pl.DataFrame, names: tuple[pl.Series, pl.Series, pl.Series]) -> _Met:
    units, items, products = names
    unit, item, product = feature.unit, feature.item, feature.product
    pairs = rows.group_by(unit, product).agg(pl.col("_at").n_unique().alias("_n")).sort(unit, product)
    kinds = rows.select(unit, item, product).unique().group_by(item, product).len().sort(item, product)
    buyers = np.zeros((len(items), len(products)))
    buyers[_places(kinds[item], items), _places(kinds[product], products)] = kinds["len"].to_numpy()
    weight = np.log1p(pairs["_n"].to_numpy().astype(np.float64))
    return _Met(_places(pairs[unit], units), _places(pairs[product], products), weight, buyers)


def _by_als(feature: Affinity, met: _Met) -> tuple[Floats, Floats, Floats]:
    """Accounts x groups: coverage, als, cosine; 0 where ALS covers nothing."""
    accounts, products = met.shape
    wide = np.bincount(met.column, minlength=products) >= feature.least
    deep = np.bincount(met.row[wide[met.column]], minlength=accounts) >= feature.least
    inside = wide[met.column] & deep[met.row]
    shape = (accounts, met.buyers.shape[0])
    if not inside.any():
        return np.zeros(shape), np.zeros(shape), np.zeros(shape)
    held = np.bincount(met.row, weights=met.weight * inside, minlength=accounts)
    own = held / np.bincount(met.row, weights=met.weight, minlength=accounts)
    some = np.unique(met.column[inside])
    buyers = met.buyers[:, some]
    coverage = np.outer(own, buyers.sum(axis=1) / met.buyers.sum(axis=1))
    rows, columns = np.unique(met.row[inside]), np.searchsorted(some, met.column[inside])
    x, y = als_factors(
        np.searchsorted(rows, met.row[inside]),
        columns,
        met.weight[inside],
        settings=Als(feature.factors, feature.ridge, feature.alpha, feature.seed),
    )
    factors = np.zeros((accounts, feature.factors))
    factors[rows] = x
    centroid = _means(buyers, y)
    return coverage, factors @ centroid.T, _unit(factors) @ _unit(centroid).T


def _by_copurchase(feature: Affinity, met: _Met) -> Floats:
    """Accounts x groups: the cosine of means of products' vectors."""
    sparse_rows, products = met.shape
    vectors = copurchase_vectors(met.row, met.column, products=products, size=feature.size, seed=feature.seed)
    total = np.zeros((sparse_rows, vectors.shape[1]))
    for place in range(vectors.shape[1]):
        total[:, place] = np.bincount(met.row, weights=met.weight * vectors[met.column, place], minlength=sparse_rows)
    return _unit(total) @ _unit(_means(met.buyers, vectors)).T


def _means(weights: Floats, vectors: Floats) -> Floats:
    """K x f: the weighted mean of p x f vectors for each of k x p weights; zero without weight."""
    total = weights.sum(axis=1, keepdims=True)
    found: Floats = weights @ vectors / np.where(total > 0.0, total, 1.0)
    return found


def _unit(vectors: Floats) -> Floats:
    """Each row by its length; what is as good as zero stays zero."""
    length = np.sqrt(np.sum(vectors**2, axis=1, keepdims=True))
    found: Floats = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-6)
    return found


def _said(met: _Met, coverage: Floats, als: Floats, back: Floats) -> Floats:
    """The backfill on the scale of ALS: least squares over the pairs that it covers, each weighing its coverage."""
    weight = coverage.reshape(-1)
    if not weight.any():
        return back
    held = np.log1p(np.bincount(met.row, weights=met.weight, minlength=back.shape[0]))[:, None] + 0.0 * back
    many = np.log1p(met.buyers.sum(axis=1))[None, :] + 0.0 * back
    parts = (np.ones_like(back), back, held, many, held * many, held * back)
    table = np.stack([part.reshape(-1) for part in parts], axis=1)
    square = table.T @ (table * weight[:, None]) / weight.sum() + _RIDGE * np.eye(len(parts))
    found: Floats = table @ np.linalg.solve(square, table.T @ (weight * als.reshape(-1)) / weight.sum())
    said: Floats = found.reshape(back.shape)
    return said


def _standard(values: Floats) -> Floats:
    """Less the mean, by the standard deviation; 0 where there is no spread."""
    spread = float(values.std())
    if spread <= _FLAT * float(np.abs(values).max()):
        return np.zeros_like(values)
    found: Floats = (values - values.mean()) / spread
    return found


def frames_by_cutoff(
    database: Database, features: Sequence[Feature], points: Ticks, *, grid: Grid, entity: Sequence[str]
) -> dict[Feature, list[pl.DataFrame]]:
    """By feature that is made from views, its frame at each cutoff; one view a cutoff, one fit for parts that share it."""
    made = [feature for feature in features if isinstance(feature, Viewed | Affinity)]
    found: dict[Feature, list[pl.DataFrame]] = {feature: [] for feature in made}
    if not made:
        return found
    for period, end in zip(points.tolist(), grid.at(points).tolist(), strict=True):
        view = database.as_of(moment(int(end), integer=grid.integer))
        fits: dict[Affinity, FittedAffinity] = {}
        for feature in made:
            if isinstance(feature, Affinity):
                if feature.fit not in fits:
                    fits[feature.fit] = fit_affinity(feature, view, period, grid)
                frame = fits[feature.fit].frame(feature.part)
            else:
                frame = feature.of(view, period, grid, entity)
            found[feature].append(frame)
    return found


def _places(values: pl.Series, among: pl.Series) -> Places:
    return np.asarray(among.search_sorted(values)).astype(np.int64)


__all__ = ["Affinity", "AffinityPart", "FittedAffinity", "fit_affinity", "frames_by_cutoff"]
