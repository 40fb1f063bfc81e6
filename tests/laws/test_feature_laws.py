"""Features read what a view at the cutoff holds, and nothing else; the one pass equals plain loops."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import naive_features as naive
from feature_tables import HORIZON, World, every_feature, worlds
from foreproof.core.clock import literal
from foreproof.core.contract import BATCH, HAPPENED, KNOWN
from foreproof.core.view import Database, Table
from foreproof.features import Feature, Gap, Rolling, SeasonalRolling, Series, compile_rows, labels, target
from foreproof.features.series import Aggregate
from heavy import HEAVY

KEEP = (("store", ("n",)),)
DROP = (("promo", ("true",)),)
FLOATS = ("std", "ratio", "depth", "price")


@st.composite
def specs(draw: st.DrawFn, world: World) -> Series:
    by = draw(st.sampled_from([("store", "sku"), ("sku",), ("sku", "store"), ()]))
    value = draw(st.sampled_from(["units", "units", "price", "promo"]))
    planned = draw(st.integers(0, 4)) == 0
    aggregate: Aggregate = draw(st.sampled_from(["sum", "sum", "mean", "last"]))
    gap: Gap = draw(st.sampled_from(["zero", "zero", "missing", "carry"]))
    if planned:  # a series of facts that are known before they take place
        return Series("plans", by if by == ("sku",) else (), "display", world.grid, aggregate, gap)
    keep, drop = draw(st.sampled_from([((), ()), (KEEP, ()), ((), DROP)]))
    return Series("sales", by, value, world.grid, aggregate, gap, keep, drop)


@st.composite
def cases(draw: st.DrawFn) -> tuple[World, Series]:
    world = draw(worlds())
    return world, draw(specs(world))


def exact(feature: Feature, spec: Series) -> bool:
    """Whether the twin's arithmetic is the same to the last bit: one value, a count, or a date."""
    if any(word in feature.name for word in FLOATS) or feature.meta(HORIZON).family in ("events", "recency", "decay"):
        return False
    added = isinstance(feature, Rolling | SeasonalRolling) and feature.stat in ("mean", "sum")
    return not (added or feature.name.startswith("difference")) and (spec.aggregate != "mean" or spec.value != "price")


def agree(ours: Any, theirs: Any, *, exactly: bool) -> bool:
    if ours is None or theirs is None or isinstance(ours, str) or exactly:
        return bool(ours == theirs)
    return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)


def scrambled(table: Table, cutoff: Any, seed: int) -> Table:
    """Every row that was known after the cutoff with other values, another time, and in another order."""
    later = table.rows.filter(pl.col(KNOWN) > literal(cutoff))
    untouched = (KNOWN, BATCH, "_deleted")
    shuffled = later.with_columns(
        pl.col(name).shuffle(seed=seed + place) for place, name in enumerate(later.columns) if name not in untouched
    )
    shuffled = shuffled.with_columns(pl.col(pl.Int64).exclude(BATCH, "id", HAPPENED, KNOWN) * 7 + 13)
    rows = pl.concat([shuffled.reverse(), table.rows.filter(pl.col(KNOWN) <= literal(cutoff))])
    return Table(table.contract, rows)


@HEAVY
@given(cases())
def test_every_feature_equals_plain_loops_over_one_view_a_cutoff(case: tuple[World, Series]) -> None:
    world, spec = case
    features = every_feature(world.grid)
    frame = compile_rows(world.database, spec, features, world.cutoffs, HORIZON)
    wanted = naive.rows(world.database, spec, features, list(world.cutoffs), HORIZON)
    assert frame.select(*spec.by, "cutoff", "step").rows() == list(wanted)
    for feature in features:
        for key, ours in zip(wanted, frame[feature.name].to_list(), strict=True):
            theirs = wanted[key][feature.name]
            assert agree(ours, theirs, exactly=exact(feature, spec)), (feature, key, ours, theirs)


@HEAVY
@given(cases(), st.integers(0, 99))
def test_rows_known_after_the_cutoff_cannot_change_a_bit_of_any_feature(case: tuple[World, Series], seed: int) -> None:
    world, spec = case
    features = every_feature(world.grid)
    whole = compile_rows(world.database, spec, features, world.cutoffs, HORIZON)
    for cutoff in world.cutoffs:
        here = whole.filter(pl.col("cutoff") == literal(cutoff))
        tables = {name: scrambled(table, cutoff, seed) for name, table in world.database.tables.items()}
        for database in (world.database.truncate(cutoff), Database(tables)):
            again = compile_rows(database, spec, features, [cutoff], HORIZON)
            assert_frame_equal(here, again, check_exact=True)
            assert same_bits(here, again)


def same_bits(a: pl.DataFrame, b: pl.DataFrame) -> bool:
    """-0.0 is not 0.0 here."""
    floats = [name for name, dtype in a.schema.items() if dtype == pl.Float64]
    return all(
        a[name].fill_null(1e300).to_numpy().tobytes() == b[name].fill_null(1e300).to_numpy().tobytes()
        for name in floats
    )


@HEAVY
@given(cases())
def test_the_order_of_rows_cannot_change_a_feature(case: tuple[World, Series]) -> None:
    world, spec = case
    features = every_feature(world.grid)
    turned = Database({name: Table(t.contract, t.rows.reverse()) for name, t in world.database.tables.items()})
    ours = compile_rows(world.database, spec, features, world.cutoffs, HORIZON)
    theirs = compile_rows(turned, spec, features, world.cutoffs, HORIZON)
    assert_frame_equal(ours, theirs, check_exact=True)


@given(cases())
def test_the_target_is_the_same_from_the_database_a_truncation_and_a_view_and_equals_plain_loops(
    case: tuple[World, Series],
) -> None:
    world, spec = case
    for cutoff in world.cutoffs:
        view = world.database.as_of(cutoff)
        whole = target(world.database, spec, cutoff)
        for source in (world.database.truncate(cutoff), view):
            assert_frame_equal(whole, target(source, spec, cutoff), check_exact=True)
        exactly = spec.value != "price"
        assert_frame_equal(whole, naive.target(view, spec), check_exact=exactly, abs_tol=1e-9)


@given(cases(), st.integers(0, 16), st.booleans())
def test_labels_equal_plain_loops_and_end_with_what_was_known(
    case: tuple[World, Series], step: int, final: bool
) -> None:
    world, spec = case
    at = None if final else world.grid.add(world.cutoffs[0], step)
    ours = labels(world.database, spec, world.cutoffs, HORIZON, at=at).rows()
    theirs = naive.labels(world.database, spec, list(world.cutoffs), HORIZON, at)
    assert [row[:-1] for row in ours] == [row[:-1] for row in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert agree(mine[-1], other[-1], exactly=spec.value != "price"), (mine, other)


@given(cases())
def test_a_label_as_known_later_is_the_target_as_known_then(case: tuple[World, Series]) -> None:
    world, spec = case
    at = max(world.cutoffs)  # type: ignore[type-var]
    seen = target(world.database, spec, at)
    names = list(spec.by)
    found = labels(world.database, spec, world.cutoffs, HORIZON, at=at)
    periods = naive_periods(world, found)
    joined = found.with_columns(pl.Series("period", periods, dtype=pl.Int64)).join(
        seen, on=[*names, "period"], how="inner", suffix="_seen"
    )
    assert joined["y"].eq_missing(joined["y_seen"]).all()


def naive_periods(world: World, found: pl.DataFrame) -> list[int]:
    return [naive.period_of(world.grid, row["cutoff"]) + row["step"] for row in found.iter_rows(named=True)]
