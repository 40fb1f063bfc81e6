"""Pairs of account and group: population, segments and labels equal plain loops, and see nothing that was known later."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import naive_features as naive
from feature_tables import World, worlds
from foreproof.core.clock import literal
from foreproof.core.contract import HAPPENED
from foreproof.core.split import settled
from foreproof.features.series import Series
from foreproof.workloads.propensity import PropensityTask

ACTIVE, OWNED, HORIZON = 4, 3, 2


def task_of(world: World, groups: tuple[str, ...] = ()) -> PropensityTask:
    series = Series("sales", ("store", "sku"), "units", world.grid)
    return PropensityTask("t", series, "store", "sku", HORIZON, ACTIVE, OWNED, groups)


def sold(world: World, cutoff: Any) -> list[tuple[int, str, str, float]]:
    """What a view shows: period, store, article, units."""
    rows = world.database.as_of(cutoff)["sales"].to_dicts()
    return [(naive.period_of(world.grid, r[HAPPENED]), r["store"], r["sku"], r["units"] / 10) for r in rows]


def everybody(world: World, cutoff: Any, groups: tuple[str, ...]) -> list[tuple[str, str]]:
    now = naive.period_of(world.grid, cutoff)
    past = [row for row in sold(world, cutoff) if row[0] <= now]
    stores = {store for period, store, _, _ in past if period > now - ACTIVE}
    known = set(groups) or {sku for _, _, sku, _ in past}
    return sorted((store, sku) for store in stores for sku in known)


@given(worlds(), st.sampled_from([(), ("a", "q")]))
def test_population_and_segments_equal_plain_loops(world: World, groups: tuple[str, ...]) -> None:
    task = task_of(world, groups)
    panel = task.panel(world.database)
    together = panel.population(world.cutoffs).frame()
    for cutoff in world.cutoffs:
        wanted = everybody(world, cutoff, groups)
        assert panel.entities(cutoff).select("store", "sku").rows() == wanted
        assert together.filter(pl.col("cutoff") == literal(cutoff)).select("store", "sku").rows() == wanted
        now = naive.period_of(world.grid, cutoff)
        owned = {(s, k) for p, s, k, _ in sold(world, cutoff) if now - OWNED < p <= now}
        for store, sku, segment in panel.segments(cutoff).select("store", "sku", "segment").rows():
            assert segment == ("repeat" if (store, sku) in owned else "whitespace")


@given(worlds(), st.integers(0, 9))
def test_labels_equal_plain_loops_and_only_settled_ones_are_given(world: World, later: int) -> None:
    task = task_of(world)
    panel = task.panel(world.database)
    at = world.grid.add(max(world.cutoffs), later)  # type: ignore[type-var]
    found = panel.labels(world.cutoffs, at=at)
    for cutoff in world.cutoffs:
        here = found.filter(pl.col("cutoff") == literal(cutoff))
        if not settled(world.grid, cutoff, HORIZON, delay=0, at=at):
            assert here.is_empty(), "the gap law"
            continue
        now = naive.period_of(world.grid, cutoff)
        after = [row for row in sold(world, at) if now < row[0] <= now + HORIZON]
        for store, sku, step, y, money in here.select("store", "sku", "step", "y", "money").rows():
            mine = [units for _, s, k, units in after if (s, k) == (store, sku)]
            assert (step, y) == (HORIZON, float(bool(mine)))
            assert abs(money - sum(mine)) < 1e-9
        assert here.height == len(everybody(world, cutoff, ()))


@given(worlds())
def test_what_was_known_later_changes_no_pair(world: World) -> None:
    task = task_of(world)
    whole = task.panel(world.database)
    for cutoff in world.cutoffs:
        cut = task.panel(world.database.truncate(cutoff))
        assert_frame_equal(whole.entities(cutoff), cut.entities(cutoff))
        assert_frame_equal(whole.segments(cutoff), cut.segments(cutoff))
        spent = cut.spent(cutoff)
        assert_frame_equal(
            whole.spent(cutoff).join(spent.select("store"), on="store", how="semi"), spent, check_exact=True
        )
