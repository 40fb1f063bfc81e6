"""The lake under sequences of loads: corrections, late rows, tombstones, repeats, a clock that stands still."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.naive_lake import CONTRACTS, NaiveLake, Refused, Row, Stored, at, stored_rows, table_of

from foreproof.adapters.lake import Lake
from foreproof.adapters.query import query
from foreproof.core.clock import Moment
from foreproof.core.contract import OCCURRENCE, Contract
from foreproof.core.view import Table
from foreproof.errors import ContractError
from heavy import HEAVY

NAMES = sorted(CONTRACTS)
# Ticks a few microseconds apart: statistics of files hold milliseconds, so pruning must round outwards.
TICKS = st.integers(0, 12)
HORIZON = range(-1, 18)
# The machine's time of a load: often before what the rows declare, so that versions known later lie in wait.
TIMES = st.integers(0, 8)


@st.composite
def batches(draw: st.DrawFn, name: str) -> list[Row]:
    """Rows with unique (key, known), as `parse` gives them; none at all now and then."""
    rows = draw(
        st.lists(
            st.builds(
                Row,
                sku=st.sampled_from("ab"),
                happened=st.integers(0, 1),
                known=TICKS,
                qty=st.sampled_from([None, 1, 2]),
                price=st.sampled_from([None, 0.5, float("inf")]),
                deleted=st.sampled_from([False, False, True]),
                occurrence=st.integers(0, 1) if name == "lines" else st.just(0),
            ),
            max_size=6,
        )
    )
    twin = NaiveLake(CONTRACTS[name])
    unique = {(twin.key(row), row.known): row for row in rows}
    return list(unique.values())


@st.composite
def histories(draw: st.DrawFn, name: str) -> list[tuple[list[Row], int]]:
    """Up to five loads with the machine's time of each, which need not grow; some repeat an earlier batch."""
    loads: list[tuple[list[Row], int]] = []
    for _ in range(draw(st.integers(1, 5))):
        if loads and draw(st.integers(0, 3)) == 0:
            rows = draw(st.permutations(draw(st.sampled_from(loads))[0]))
        else:
            rows = draw(batches(name))
        loads.append((list(rows), draw(TIMES)))
    return loads


class Machine:
    """A clock that says what it is told."""

    def __init__(self) -> None:
        self.tick = 0

    def __call__(self) -> datetime:
        return at(self.tick)


def _moment(contract: Contract, tick: int) -> Moment:
    return tick if contract.integer else at(tick)


def _visible(table: Table, tick: int) -> list[Stored]:
    return stored_rows(Table(table.contract, table.as_of(_moment(table.contract, tick))))


@pytest.mark.parametrize("name", NAMES)
@HEAVY
@given(data=st.data())
def test_the_lake_holds_what_a_plain_list_of_versions_holds(name: str, data: st.DataObject) -> None:
    contract, machine, twin = CONTRACTS[name], Machine(), NaiveLake(CONTRACTS[name])
    past: list[tuple[int, list[Stored], str]] = []
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder, clock=machine)
        for rows, machine.tick in data.draw(histories(name)):
            before = lake.version(name)
            try:
                expected = twin.load(rows, machine.tick)
            except Refused:
                with pytest.raises(ContractError):
                    lake.load(table_of(contract, rows))
                assert lake.version(name) == before
                continue
            loaded = lake.load(table_of(contract, rows))
            assert (loaded.added, loaded.superseding, loaded.unchanged, loaded.already_loaded) == expected
            assert loaded.batch == twin.batches.index(sorted(rows, key=repr)) + 1
            table = lake.table(contract)
            assert stored_rows(table) == twin.rows()
            for tick in HORIZON:
                assert _visible(table, tick) == sorted(twin.visible(tick).values(), key=repr)
            if not expected[-1]:
                past.append((loaded.version, stored_rows(table), lake.data_digest(name)))
        # Every version stays readable as it was.
        for version, content, digest in past:
            assert stored_rows(lake.table(contract, version=version)) == content
            assert lake.data_digest(name, version) == digest
        assert lake.batches(name)["batch"].to_list() == list(range(1, len(past) + 1))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "steps"])
@HEAVY
@given(data=st.data())
def test_what_was_visible_before_a_load_stays_visible_at_those_times(name: str, data: st.DataObject) -> None:
    contract, machine = CONTRACTS[name], Machine()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder, clock=machine)
        before = table_of(contract, [])
        for rows, machine.tick in data.draw(histories(name)):
            try:
                loaded = lake.load(table_of(contract, rows))
            except ContractError:
                continue
            after = lake.table(contract)
            load_time = lake.batches(name).filter(pl.col("batch") == loaded.batch)["loaded_at"].to_physical().item()
            for tick in HORIZON if loaded.already_loaded else range(-1, load_time):
                assert set(_visible(before, tick)) <= set(_visible(after, tick))
            before = after


@given(data=st.data())
def test_on_a_clock_of_steps_a_version_replaces_another_only_after_it_was_known(data: st.DataObject) -> None:
    contract, machine = CONTRACTS["steps"], Machine()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder, clock=machine)
        before: list[Stored] = []
        for rows, machine.tick in data.draw(histories("steps")):
            try:
                lake.load(table_of(contract, rows))
            except ContractError:
                continue
            after = stored_rows(lake.table(contract))
            assert set(before) <= set(after)
            for sku, happened, known, *_ in set(after) - set(before):
                assert all(known > old[2] for old in before if old[:2] == (sku, happened))
            before = after


@pytest.mark.parametrize("name", NAMES)
@HEAVY
@given(data=st.data())
def test_sql_shows_what_the_view_shows(name: str, data: st.DataObject) -> None:
    contract, machine = CONTRACTS[name], Machine()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder, clock=machine)
        for rows, machine.tick in data.draw(histories(name)):
            with suppress(ContractError):
                lake.load(table_of(contract, rows))
        if lake.version(name) is None:
            return
        table, tick = lake.table(contract), data.draw(st.sampled_from(HORIZON))
        shown = query(lake, [contract], f"SELECT * FROM {name}", as_of=_moment(contract, tick))
        unscaled = shown.with_columns((pl.col("qty") * 100).cast(pl.Int64))
        if OCCURRENCE in table.rows.columns:
            unscaled = unscaled.with_columns(pl.lit(0, dtype=pl.Int64).alias(OCCURRENCE))
        assert _without_occurrence(stored_rows(Table(contract, unscaled))) == _without_occurrence(_visible(table, tick))


def _without_occurrence(rows: list[Stored]) -> list[tuple[object, ...]]:
    return sorted(((*row[:6], row[7]) for row in rows), key=repr)
