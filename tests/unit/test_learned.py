"""Factors of accounts and products: equal to plain arithmetic, and they say what a reader expects of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import naive_learned as naive
from feature_tables import GRIDS, clock_of, database_of, row
from foreproof.core.section import Section
from foreproof.core.view import Database
from foreproof.errors import BadInput, ForeproofError, LawError, PlanError
from foreproof.features import Affinity
from foreproof.features.factors import Als, als_factors, copurchase_vectors
from foreproof.features.parse_events import parse_event_features

GRID = GRIDS["integer"]
CLOCK = clock_of(GRID)


def values(database: Database, cutoff: int, **settings: Any) -> dict[str, dict[tuple[str, str], float]]:
    """By part, what an affinity of stores (accounts) and articles (groups) with units for products says."""
    found = {}
    for part in ("score", "cosine", "coverage"):
        feature = Affinity(part, "sales", "store", "sku", "units", **{"ridge": 1.0, "factors": 8, **settings})  # type: ignore[arg-type]
        frame = feature.of(database.as_of(cutoff), cutoff, GRID, ("store", "sku"))
        found[part] = {(store, sku): value for store, sku, value in frame.iter_rows()}
    return found


def taste() -> list[dict[str, Any]]:
    """Stores a1 ... a9 buy products 0 ... 5 of article x or y, b1 ... b9 10 ... 15 of z; each leaves two products out.

    a1 never met y, and t (thin) has one product of x alone.
    """
    rng, rows = np.random.default_rng(0), []
    for side, first in (("a", 0), ("b", 10)):
        for store in range(1, 10):
            for product in (0, 1, 2) if (side, store) == ("a", 1) else rng.permutation(6)[:4].tolist():
                sku = "z" if side == "b" else "xy"[product // 3]
                rows.append({"store": f"{side}{store}", "sku": sku, "units": first + product})
    rows.append({"store": "t", "sku": "x", "units": 0})
    return [row(CLOCK(1), CLOCK(1), id=n, price=None, promo=False, **one) for n, one in enumerate(rows)]


def test_an_account_is_near_to_what_those_like_it_buy() -> None:
    found = values(database_of(GRID, sales=taste()), 2)
    for part in ("score", "cosine"):
        assert found[part]["a1", "y"] > found[part]["a1", "z"]
        assert found[part]["b2", "z"] > found[part]["b2", "y"]


def test_what_als_does_not_cover_is_filled_from_copurchase() -> None:
    found = values(database_of(GRID, sales=taste()), 2)
    assert found["coverage"]["t", "y"] == 0.0
    assert found["coverage"]["a1", "y"] == 1.0
    assert found["score"]["t", "y"] > found["score"]["t", "z"]
    nobody = values(database_of(GRID, sales=taste()), 2, least=100)
    assert set(nobody["coverage"].values()) == {0.0}
    assert nobody["score"]["b2", "z"] > nobody["score"]["b2", "y"]


def test_an_asset_that_was_given_back_no_longer_counts() -> None:
    rows = taste()
    gone = [{**one, "_known": CLOCK(3), "_batch": 2, "_deleted": True} for one in rows if one["store"] == "b2"]
    database = database_of(GRID, sales=[*rows, *gone])
    assert ("b2", "z") in values(database, 2)["score"]
    assert ("b2", "z") not in values(database, 3)["score"]


def test_nothing_bought_is_no_fault() -> None:
    assert values(database_of(GRID), 2) == {"score": {}, "cosine": {}, "coverage": {}}


def test_als_equals_its_plain_twin() -> None:
    rng = np.random.default_rng(3)
    row_, column = np.nonzero(rng.random((7, 6)) < 0.5)
    weight = rng.random(row_.size) + 0.1
    feature = Affinity("score", "t", "a", "g", "p", factors=3, ridge=0.7, alpha=2.0, seed=4)
    x, y = als_factors(row_, column, weight, settings=Als(3, 0.7, 2.0, 4))
    pairs = {(int(u), int(p)): float(w) for u, p, w in zip(row_, column, weight, strict=True)}
    ours, theirs = naive.als(pairs, feature)
    np.testing.assert_allclose(
        x @ y.T, np.array([[naive.inner(u, p) for p in theirs.values()] for u in ours.values()]), atol=1e-3
    )


def test_the_iterative_solver_finds_the_vectors_of_the_whole_matrix() -> None:
    rng = np.random.default_rng(5)
    row_, column = np.nonzero(
        rng.random((80, 300)) < 0.04 + 0.2 * (np.arange(300)[None, :] % 3 == np.arange(80)[:, None] % 3)
    )
    ours = copurchase_vectors(row_, column, products=300, size=2, seed=0)
    weight = {(int(u), int(p)): 1.0 for u, p in zip(row_, column, strict=True)}
    met = np.zeros((80, 300))
    met[row_, column] = 1.0
    both = met.T @ met
    np.fill_diagonal(both, 0.0)
    each = both.sum(axis=1)
    with np.errstate(divide="ignore"):
        table = np.maximum(np.log(both * both.sum() / np.outer(each, each)), 0.0)
    left, size, _ = np.linalg.svd(table)
    theirs = left[:, :2] * np.sqrt(size[:2])
    assert len(weight) == row_.size
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-2)


def test_parts_of_the_same_settings_share_a_fit_and_others_do_not() -> None:
    made = parse_event_features(
        [
            Section(
                {
                    "affinity": ["score", "cosine"],
                    "unit": "a",
                    "item": "g",
                    "product": "p",
                    "table": "t",
                    "window": [9, 5],
                },
                path="features.0",
            )
        ],
        horizon=3,
    )
    assert len(made) == 4
    assert len({feature.fit for feature in made}) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"ridge": 0.0}, "above 0"), ({"alpha": -1.0}, "above 0"), ({"least": 0}, "least"), ({"window": 0}, "window")],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Affinity("score", "t", "a", "g", "p", **settings)


def test_a_part_that_is_none_and_a_lag_below_zero_are_refused() -> None:
    entry = {"unit": "a", "item": "g", "product": "p", "table": "t"}
    with pytest.raises(ForeproofError, match="score, cosine, coverage"):
        parse_event_features([Section({"affinity": "nearness", **entry}, path="features.0")], horizon=3)
    with pytest.raises(LawError, match="law 3"):
        parse_event_features([Section({"affinity": "score", "lag": -1, **entry}, path="features.0")], horizon=3)


def test_a_column_the_table_has_not_is_named() -> None:
    feature = Affinity("score", "sales", "store", "sku", "colour")
    with pytest.raises(PlanError, match="no column colour"):
        feature.of(database_of(GRID).as_of(1), 1, GRID, ("store", "sku"))
