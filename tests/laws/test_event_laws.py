"""Features of events for pairs that may never have met: equal to plain loops, blind to the future and to each other."""

from __future__ import annotations

from itertools import product
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import naive_features as naive
from feature_tables import HORIZON, World, event_features, worlds
from foreproof.core.clock import literal
from foreproof.core.view import Database, Table
from foreproof.features import (
    Events,
    Feature,
    Over,
    Population,
    Recency,
    Rhythm,
    Static,
    compile_pairs,
    population_of,
)
from foreproof.features.ledger import Ledger
from heavy import HEAVY

ENTITY = ("store", "sku")
FEATURES: tuple[Feature, ...] = (
    *event_features(("store",)),
    Over("sum", Events("sales", ("sku",)), "units", 4),
    Over("distinct", Events("sales", ("store",)), "sku", 5),
    Static("products", "department"),
)
EXACT = ("count", "active", "distinct", "tenure", "recency_of", "cutoff", "static", "last", "min_", "max_")


def everybody(world: World, stores: tuple[str, ...] = ("n", "s", "z")) -> pl.DataFrame:
    """Every store and article, seen or not, at every cutoff."""
    rows = list(product(stores, ("a", "b", "ä", "y"), world.cutoffs))
    frame = pl.DataFrame([row[:2] for row in rows], schema=list(ENTITY), orient="row")
    return frame.with_columns(pl.concat([pl.select(literal(row[2])).to_series() for row in rows]).alias("cutoff"))


def asked(world: World, stores: tuple[str, ...] = ("n", "s", "z")) -> Population:
    return population_of(everybody(world, stores), ENTITY, grid=world.grid)


def close(ours: Any, theirs: Any, name: str) -> bool:
    if ours is None or theirs is None or isinstance(ours, str) or name.startswith(EXACT):
        return bool(ours == theirs)
    # factors are fitted in single precision
    if name.startswith("affinity"):
        return bool(abs(ours - theirs) <= 5e-3 * max(1.0, abs(theirs)))
    return bool(abs(ours - theirs) <= 1e-9 * max(1.0, abs(theirs)))


@HEAVY
@given(worlds())
def test_every_feature_of_pairs_equals_plain_loops_over_one_view_a_cutoff(world: World) -> None:
    found = compile_pairs(world.database, asked(world), FEATURES, HORIZON)
    assert found["step"].unique().to_list() == [HORIZON]
    for cutoff in world.cutoffs:
        view = world.database.as_of(cutoff)
        for row in found.filter(pl.col("cutoff") == literal(cutoff)).iter_rows(named=True):
            own = {name: row[name] for name in ENTITY}
            for feature in FEATURES[:-1]:
                theirs = naive.event_value(view, world.grid, feature, own)
                assert close(row[feature.name], theirs, feature.name), (feature, own, row[feature.name], theirs)


@given(worlds())
def test_statics_of_pairs_are_the_last_row_valid_and_known_at_each_cutoff(world: World) -> None:
    """Slowly changing tables along one part of the pair: corrections, tombstones and plans for later included."""
    statics = (Static("products", "department"), Static("products", "size"), Static("weather", "heat"))
    found = compile_pairs(world.database, asked(world), statics, HORIZON)
    for cutoff in world.cutoffs:
        view = world.database.as_of(cutoff)
        for row in found.filter(pl.col("cutoff") == literal(cutoff)).iter_rows(named=True):
            own = {name: row[name] for name in ENTITY}
            for feature in statics:
                assert row[feature.name] == naive.static_value(view, world.grid, feature, own)


@HEAVY
@given(worlds(), st.integers(0, 99))
def test_rows_known_later_cannot_change_a_bit_of_a_pair(world: World, seed: int) -> None:
    whole = compile_pairs(world.database, asked(world), FEATURES, HORIZON)
    for cutoff in world.cutoffs:
        one = population_of(everybody(world).filter(pl.col("cutoff") == literal(cutoff)), ENTITY, grid=world.grid)
        again = compile_pairs(world.database.truncate(cutoff), one, FEATURES, HORIZON)
        here = whole.filter(pl.col("cutoff") == literal(cutoff))
        assert_frame_equal(here, again, check_exact=True)
        for name in [name for name, dtype in here.schema.items() if dtype == pl.Float64]:
            assert here[name].fill_null(1e300).to_numpy().tobytes() == again[name].fill_null(1e300).to_numpy().tobytes()


@HEAVY
@given(worlds())
def test_neither_the_order_of_rows_nor_other_entities_change_a_pair(world: World) -> None:
    whole = compile_pairs(world.database, asked(world), FEATURES, HORIZON)
    turned = Database({name: Table(t.contract, t.rows.reverse()) for name, t in world.database.tables.items()})
    assert_frame_equal(whole, compile_pairs(turned, asked(world), FEATURES, HORIZON), check_exact=True)
    some = compile_pairs(world.database, asked(world, ("s",)), FEATURES, HORIZON)
    assert_frame_equal(whole.filter(pl.col("store") == "s"), some, check_exact=True)


@HEAVY
@given(worlds())
def test_small_chunks_give_the_same_bytes(world: World) -> None:
    from foreproof.features import compile as compiler

    whole = compile_pairs(world.database, asked(world), FEATURES, HORIZON)
    before = compiler.PAIR_BYTES
    compiler.PAIR_BYTES = 1
    try:
        again = compile_pairs(world.database, asked(world), FEATURES, HORIZON)
    finally:
        compiler.PAIR_BYTES = before
    assert_frame_equal(whole, again, check_exact=True)


@given(worlds(), st.booleans())
def test_coarser_keys_are_the_same_whether_added_up_from_finer_ones_or_read(world: World, calm: bool) -> None:
    database = world.database
    if calm:  # each row known when it happened and never changed, and of an entity that is asked about
        sales = database["sales"]
        first = sales.rows.unique("id", keep="first", maintain_order=True).filter(~pl.col("_deleted"))
        database = Database({**database.tables, "sales": Table(sales.contract, first.with_columns(_known="_happened"))})
    fine, coarse = Events("sales"), Events("sales", ("store",))
    few: list[Feature] = [
        Over("sum", coarse, "units", 4),
        Over("mean", coarse, "units"),
        Over("count", coarse, window=3),
        Over("active", coarse),
        Recency(coarse),
        Rhythm("interval", coarse),
    ]
    own: list[Feature] = [Over("sum", fine, "units", 6), Over("last", fine, "units"), Recency(fine)]
    alone = compile_pairs(database, asked(world), few, HORIZON)
    beside = compile_pairs(database, asked(world), [*own, *few], HORIZON)
    assert_frame_equal(alone, beside.select(alone.columns), check_exact=True)


def test_a_ledger_says_what_it_is() -> None:
    assert "C x K" in (Ledger.__doc__ or "")
