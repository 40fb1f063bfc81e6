"""Pairs of account and group: population, segments and labels equal plain loops, and see nothing that was known later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import naive_features as naive
from feature_tables import World, clock_of, row, table, worlds
from foreproof.core.clock import literal
from foreproof.core.contract import HAPPENED, Column
from foreproof.core.mapping_rules import MappingTerms
from foreproof.core.split import settled
from foreproof.core.view import Database
from foreproof.features.series import Series
from foreproof.workloads.propensity import PropensityTask, mapped_database

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


@given(
    worlds(), st.lists(st.tuples(*[st.sampled_from(w) for w in ("aab", "pq")], *[st.integers(0, 11)] * 2), max_size=5)
)
def test_pairs_by_rules_equal_plain_loops_with_the_rules_known_at_each_cutoff(
    world: World, said: list[tuple[str, str, int, int]]
) -> None:
    """said: article, group, first period it is valid in, steps after it at which it is known. The latest rule of a day counts."""
    start, stamp = clock_of(world.grid)(0), "_happened"
    rules = {
        (sku, since): row(
            world.grid.add(start, since), world.grid.add(start, since + late), n, sku=sku, group=group, priority=since
        )
        for n, (sku, group, since, late) in enumerate(said)
    }
    columns = [Column("sku", "text"), Column("group", "text"), Column("priority", "integer")]
    made = table(
        "rules", columns, [{**one, "id": n} for n, one in enumerate(rules.values())], integer=world.grid.integer
    )
    contract = replace(made.contract, key=("sku", "priority"), zone=world.grid.zone)
    terms = MappingTerms(table="rules", item="sku", group="group")
    task = replace(
        task_of(world), series=Series("sales", ("store", "group"), "units", world.grid), group="group", mapping=terms
    )
    database = Database({**world.database.tables, "rules": replace(made, contract=contract)})
    panel = task.panel(mapped_database(task, database))
    for cutoff in world.cutoffs:
        now, seen = naive.period_of(world.grid, cutoff), database.as_of(cutoff)["rules"].to_dicts()
        met = {
            (fact["store"], group)
            for fact in database.as_of(cutoff)["sales"].to_dicts()
            if now - OWNED < naive.period_of(world.grid, fact[stamp]) <= now
            and (group := group_then(seen, fact["sku"], fact[stamp], contract.zone))
        }
        found = panel.segments(cutoff).filter(pl.col("segment") == "repeat").select("store", "group")
        assert set(found.rows()) == met
        again = task.panel(mapped_database(task, database.truncate(cutoff)))
        assert_frame_equal(panel.segments(cutoff), again.segments(cutoff), check_exact=True)


def group_then(rules: list[dict[str, Any]], sku: str, at: Any, zone: str) -> str | None:
    """The group of the newest rule of an article whose first day is no later than that of a fact."""
    valid = [rule for rule in rules if rule["sku"] == sku and day_of(rule["_happened"], zone) <= day_of(at, zone)]
    return max(valid, key=lambda rule: rule["priority"])["group"] if valid else None


def day_of(at: Any, zone: str) -> Any:
    return at if isinstance(at, int) else at.astimezone(ZoneInfo(zone)).date()
