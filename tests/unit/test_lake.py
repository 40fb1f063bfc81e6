"""The lake: batches, digests, contracts, time travel, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from tests.naive_lake import CONTRACTS, Row, at, stored_rows, table_of

from foreproof.adapters.lake import Lake
from foreproof.adapters.query import query
from foreproof.core.clock import BEGINNING
from foreproof.core.contract import BATCH, KNOWN, Column, Contract, Known, Stamp
from foreproof.core.digest import digest_frame
from foreproof.core.ports import Facts
from foreproof.core.view import Table
from foreproof.errors import BadInput, ContractError, StoreError

DAILY, STEPS, SLOW = CONTRACTS["daily"], CONTRACTS["steps"], CONTRACTS["slow"]
FIRST = [Row("a", 1, 1, 10), Row("b", 1, 1, 20), Row("a", 2, 2, 30, 0.5)]


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a lake may be: a local folder, or a bucket of an object store."""
    return str(tmp_path / "lake") if request.param == "folder" else f"s3://{request.getfixturevalue('s3_bucket')}/lake"


@pytest.fixture
def lake(root: str) -> Lake:
    return Lake(root, clock=lambda: at(1000))


def _store(root: str) -> Any:
    """fsspec's file system of a root; nothing is remembered between calls."""
    if root.startswith("s3://"):
        return fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
    return fsspec.filesystem("file")


def _files(root: str) -> dict[str, bytes]:
    store = _store(root)
    return {path: store.cat_file(path) for path in sorted(store.find(root))}


def test_a_lake_is_the_port_of_facts(lake: Lake) -> None:
    facts: Facts = lake
    assert facts.version("daily") is None
    assert facts.batches("daily").is_empty()


def test_a_first_load_adds_every_row_as_batch_one(lake: Lake) -> None:
    loaded = lake.load(table_of(DAILY, FIRST), source="sales.csv")
    assert (loaded.table, loaded.batch, loaded.version) == ("daily", 1, 0)
    assert (loaded.added, loaded.superseding, loaded.unchanged, loaded.already_loaded) == (3, 0, 0, False)
    assert stored_rows(lake.table(DAILY)) == sorted(
        [("a", 1, 1, 10, None, False, 0, 1), ("b", 1, 1, 20, None, False, 0, 1), ("a", 2, 2, 30, 0.5, False, 0, 1)],
        key=repr,
    )


def test_a_batch_loaded_twice_changes_nothing_whatever_its_row_order_source_or_time(lake: Lake) -> None:
    first = lake.load(table_of(DAILY, FIRST), source="sales.csv")
    lake.load(table_of(DAILY, [Row("c", 1, 1)]))
    before = _files(lake.root)
    again = Lake(lake.root, clock=lambda: at(9999)).load(table_of(DAILY, FIRST[::-1]), source="copy.csv")
    assert again == replace(first, added=0, already_loaded=True, version=1)
    assert _files(lake.root) == before


def test_batches_tell_where_rows_came_from(lake: Lake) -> None:
    lake.load(table_of(DAILY, FIRST), source="one.csv")
    lake.load(table_of(DAILY, [Row("a", 1, 1, 11), Row("b", 1, 1, 20), Row("z", 1, 1)]), source="two.csv")
    batches = lake.batches("daily")
    assert batches.drop("digest", "contract").rows() == [
        (1, 0, "one.csv", 3, 3, 0, 0, at(1000)),
        (2, 1, "two.csv", 3, 1, 1, 1, at(1001)),
    ]
    assert batches["digest"].n_unique() == 2
    assert batches["contract"].n_unique() == 1


def test_a_superseding_row_is_known_at_the_load_time_at_the_earliest(lake: Lake) -> None:
    lake.load(table_of(DAILY, FIRST))
    loaded = lake.load(table_of(DAILY, [Row("a", 1, 1, 11), Row("b", 1, 5000, 21)]))
    assert (loaded.added, loaded.superseding) == (0, 2)
    new = lake.table(DAILY).rows.filter(pl.col(BATCH) == 2).sort("sku")
    assert new[KNOWN].to_physical().to_list() == [1001, 5000]


def test_load_times_grow_where_the_machines_clock_goes_back(root: str) -> None:
    times = iter([500, 100, 100])
    lake = Lake(root, clock=lambda: at(next(times)))
    for qty in (1, 2, 3):
        lake.load(table_of(DAILY, [Row("a", 1, 1, qty)]))
    assert lake.batches("daily")["loaded_at"].to_list() == [at(500), at(501), at(502)]
    assert lake.table(DAILY).as_of(at(501))["qty"].to_list() == [2]
    assert lake.table(DAILY).as_of(at(502))["qty"].to_list() == [3]


def test_a_version_is_compared_with_the_one_before_it_in_time(lake: Lake) -> None:
    """The newest stored version is known only at 5000; what is loaded at 1001 takes its place before that one."""
    lake.load(table_of(DAILY, [Row("a", 1, 1, 10), Row("a", 1, 5000, 20)]))
    assert lake.load(table_of(DAILY, [Row("a", 1, 1, 10)])).unchanged == 1
    assert lake.load(table_of(DAILY, [Row("a", 1, 1, 20)])).superseding == 1
    values = [lake.table(DAILY).as_of(at(tick))["qty"].item() for tick in (1, 1001, 1002, 5000)]
    assert values == [10, 10, 20, 20]


def test_of_two_versions_known_at_one_instant_the_later_batch_counts(lake: Lake) -> None:
    for qty in (1, 2, 3):
        lake.load(table_of(DAILY, [Row("a", 1, 5000, qty)]))
    table = lake.table(DAILY)
    assert table.rows[KNOWN].to_physical().to_list() == [5000] * 3
    assert table.as_of(at(5000))["qty"].to_list() == [3]
    sql = "SELECT qty * 100 AS q FROM daily"
    assert query(lake, [DAILY], sql, as_of=at(5000))["q"].cast(pl.Int64).to_list() == [3]


def test_an_export_that_grows_writes_only_its_new_rows(lake: Lake) -> None:
    rows = [Row("a", day, day, 10 * day) for day in range(1, 5)]
    for n in (2, 3, 4):
        lake.load(table_of(DAILY, rows[:n]))
    lake.load(table_of(DAILY, [replace(rows[0], qty=99), *rows[1:]]))
    # The correction is older news than the row that declares it: an export that repeats it is no new version.
    last = lake.load(table_of(DAILY, [replace(rows[0], qty=99), *rows[1:], Row("b", 9, 9)]))
    assert (last.added, last.superseding, last.unchanged) == (1, 0, 4)
    assert lake.table(DAILY).rows.height == 6


def test_an_empty_value_in_a_key_is_a_value_like_any_other(lake: Lake) -> None:
    lines = CONTRACTS["lines"]
    first = Row("a", 1, 1, None, None)
    lake.load(table_of(lines, [first]))
    loaded = lake.load(table_of(lines, [first, replace(first, occurrence=1), replace(first, price=0.5)]))
    assert (loaded.added, loaded.superseding, loaded.unchanged) == (2, 0, 1)


def test_a_batch_that_says_nothing_new_is_remembered_and_adds_no_rows(lake: Lake) -> None:
    lake.load(table_of(DAILY, FIRST))
    digest = lake.data_digest("daily")
    loaded = lake.load(table_of(DAILY, FIRST[:1]))
    assert (loaded.batch, loaded.unchanged, loaded.already_loaded) == (2, 1, False)
    assert lake.load(table_of(DAILY, FIRST[:1])).already_loaded
    assert lake.data_digest("daily") == digest


def test_an_empty_batch_makes_a_table_without_rows(lake: Lake) -> None:
    lake.load(table_of(DAILY, []))
    assert lake.table(DAILY).rows.schema == table_of(DAILY, []).rows.schema
    assert lake.load(table_of(DAILY, FIRST)).added == 3


def test_a_tombstone_hides_its_key_and_the_rows_stay(lake: Lake) -> None:
    lake.load(table_of(DAILY, FIRST))
    lake.load(table_of(DAILY, [Row("a", 1, 1, None, deleted=True)]))
    table = lake.table(DAILY)
    assert table.rows.height == 4
    assert table.as_of(at(1000))["sku"].to_list().count("a") == 2
    assert table.as_of(at(1001))["sku"].to_list().count("a") == 1
    # Deleting it again, with other values in the deleted row, is nothing new.
    assert lake.load(table_of(DAILY, [Row("a", 1, 1, 77, deleted=True)])).unchanged == 1


@pytest.mark.parametrize("loaded_before", [True, False])
def test_a_tombstone_of_an_unknown_key_is_refused_and_nothing_is_written(lake: Lake, loaded_before: bool) -> None:
    if loaded_before:
        lake.load(table_of(DAILY, FIRST))
    before = _files(lake.root)
    lone = [Row("q", 1, 1, deleted=True), Row("a", 3, 3)]
    with pytest.raises(ContractError, match=r"1 of keys that were never loaded \(first: q, 1970-01-01"):
        lake.load(table_of(DAILY, lone))
    assert {path: data for path, data in _files(lake.root).items() if ".locks" not in path} == {
        path: data for path, data in before.items() if ".locks" not in path
    }


def test_a_row_and_its_tombstone_may_come_in_one_batch(lake: Lake) -> None:
    lake.load(table_of(DAILY, [Row("a", 1, 1), Row("a", 1, 3, deleted=True)]))
    assert lake.table(DAILY).as_of(at(2)).height == 1
    assert lake.table(DAILY).as_of(at(3)).height == 0


def test_steps_without_a_later_known_cannot_correct(lake: Lake) -> None:
    lake.load(table_of(STEPS, [Row("a", 1, 1, 10)]))
    with pytest.raises(ContractError, match=r"1 rows that change .*\(first: a, 1\).* no load time") as caught:
        lake.load(table_of(STEPS, [Row("a", 1, 1, 11)]))
    assert caught.value.column == "seen"
    assert lake.version("steps") == 0
    assert lake.load(table_of(STEPS, [Row("a", 1, 2, 11)])).superseding == 1
    assert lake.table(STEPS).as_of(1)["qty"].to_list() == [10]
    assert lake.table(STEPS).as_of(2)["qty"].to_list() == [11]


def test_a_constant_tables_beginning_of_time_survives_the_lake(lake: Lake) -> None:
    contract = Contract("places", ("sku",), Stamp("day"), Known("constant", why="they do not move"), SLOW.columns)
    rows = table_of(SLOW, [Row("a", 0, BEGINNING), Row("b", 0, BEGINNING)]).rows
    lake.load(Table(contract, rows))
    assert lake.table(contract).as_of(at(-(10**15))).height == 2
    assert lake.load(Table(contract, rows.with_columns(qty=pl.lit(5, dtype=pl.Int64)))).superseding == 2
    assert sorted(lake.table(contract).rows[KNOWN].to_physical()) == [BEGINNING, BEGINNING, 1001, 1001]


def test_a_table_without_a_stamp_is_stored_without_one(lake: Lake) -> None:
    contract = Contract("places", ("sku",), None, Known("constant", why="they do not move"), SLOW.columns)
    rows = table_of(SLOW, [Row("a", 0, BEGINNING), Row("b", 0, BEGINNING)]).rows.drop("_happened")
    lake.load(Table(contract, rows))
    assert lake.table(contract).rows.columns == ["sku", "qty", "price", "_known", "_batch", "_deleted"]


def test_a_table_can_be_read_as_it_was_at_each_version(lake: Lake) -> None:
    lake.load(table_of(DAILY, FIRST))
    first, digest = stored_rows(lake.table(DAILY)), lake.data_digest("daily")
    lake.load(table_of(DAILY, [Row("a", 1, 1, 11)]))
    assert lake.version("daily") == 1
    assert stored_rows(lake.table(DAILY, version=0)) == first
    assert stored_rows(lake.database([DAILY], {"daily": 0})["daily"]) == first
    assert lake.database([DAILY])["daily"].rows.height == 4
    assert lake.data_digest("daily", 0) == digest != lake.data_digest("daily")
    for version in (2, -1):
        with pytest.raises(BadInput, match=f"no version {version}; wanted one of 0 to 1"):
            lake.table(DAILY, version=version)


def test_reading_before_the_first_load_says_what_to_do(lake: Lake) -> None:
    for read in (lambda: lake.table(DAILY), lambda: lake.data_digest("daily"), lambda: lake.dataset(DAILY)):
        with pytest.raises(StoreError, match="table daily: no such table; load it first"):
            read()


def test_a_data_digest_is_of_the_rows_and_not_of_the_files(root: str) -> None:
    one, two = (Lake(f"{root}/{name}", clock=lambda: at(7)) for name in ("one", "two"))
    table = table_of(DAILY, [Row("a", day, day, day) for day in range(500)])
    one.load(table)
    two.load(Table(DAILY, table.rows.sample(fraction=1.0, shuffle=True, seed=1)))
    DeltaTable(f"{two.root}/daily").optimize.compact()  # other files, the same rows: nothing of ours does this
    assert one.data_digest("daily") == two.data_digest("daily")
    rows = one.table(DAILY).rows
    assert one.data_digest("daily") == digest_frame(rows.select(sorted(rows.columns)), keys=["_happened", "sku"])


def test_rows_come_back_in_one_order(lake: Lake) -> None:
    for day in (3, 1, 2):
        lake.load(table_of(DAILY, [Row("b", day, day), Row("a", day, day)]))
    rows = lake.table(DAILY).rows
    assert rows.select("_happened", "sku").equals(rows.select("_happened", "sku").sort("_happened", "sku"))


def test_categories_and_other_widths_are_stored_as_the_contract_types_them(lake: Lake) -> None:
    table = table_of(DAILY, FIRST)
    odd = table.rows.with_columns(pl.col("sku").cast(pl.Categorical), pl.col("qty").cast(pl.Int32))
    assert lake.load(Table(DAILY, odd)).digest == lake.load(table).digest


def _without(name: str) -> Contract:
    return replace(DAILY, columns=tuple(column for column in DAILY.columns if column.name != name))


def _with(column: Column) -> Contract:
    return replace(DAILY, columns=(*(each for each in DAILY.columns if each.name != column.name), column))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (replace(DAILY, key=("sku",)), r"daily.key: \['sku'\] in the contract, \['sku', '_happened'\] in the lake"),
        (_with(Column("qty", "decimal", decimals=3, nullable=True)), "daily.qty: decimal:3 in the contract, decimal:2"),
        (_with(Column("qty", "integer", nullable=True)), "daily.qty: integer in the contract"),
        (_without("price"), "daily: no price in the contract"),
        (_with(Column("store", "text")), "daily.store: a new column that must not be empty"),
    ],
)
def test_a_contract_that_reads_stored_rows_in_another_way_is_refused(lake: Lake, changed: Contract, words: str) -> None:
    lake.load(table_of(DAILY, FIRST))
    table = table_of(DAILY, [Row("z", 1, 1)])
    rows = table.rows.with_columns(pl.lit("x").alias("store"))
    for refused in (lambda: lake.table(changed), lambda: lake.load(Table(changed, rows))):
        with pytest.raises(ContractError, match=words):
            refused()
    assert lake.version("daily") == 0


def test_a_table_cannot_change_its_clock(lake: Lake) -> None:
    lake.load(table_of(STEPS, [Row("a", 1, 1)]))
    other = replace(DAILY, name="steps", key=("sku", "day"))
    with pytest.raises(ContractError, match=r"steps\.clock: instants in the contract, steps in the lake"):
        lake.load(table_of(other, [Row("a", 1, 1)]))


def test_a_new_column_that_may_be_empty_joins_and_older_rows_have_none(lake: Lake) -> None:
    lake.load(table_of(DAILY, FIRST))
    grown = replace(DAILY, columns=(*DAILY.columns, Column("cost", "decimal", decimals=1, nullable=True)))
    assert lake.table(grown).rows["cost"].to_list() == [None] * 3
    rows = table_of(DAILY, [Row("a", 1, 1, 10), Row("c", 1, 1)]).rows.with_columns(cost=pl.lit(5, dtype=pl.Int64))
    loaded = lake.load(Table(grown, rows))
    assert (loaded.added, loaded.superseding) == (1, 1)
    assert sorted(lake.table(grown).rows["cost"].to_list(), key=str) == [5, 5, None, None, None]
    assert stored_rows(lake.table(DAILY, version=0)) == stored_rows(Table(DAILY, lake.table(grown, version=0).rows))
    with pytest.raises(ContractError, match="no cost in the contract"):
        lake.table(DAILY)
    finer = replace(grown, columns=(*DAILY.columns, Column("cost", "decimal", decimals=2, nullable=True)))
    with pytest.raises(ContractError, match="cost: decimal:2 in the contract, decimal:1"):
        lake.table(finer)


@pytest.mark.parametrize("name", ["../outside", "a/b", "", ".hidden", "1st", "a b", "a\n"])
def test_a_table_name_stays_inside_the_lake(lake: Lake, name: str) -> None:
    with pytest.raises(BadInput, match="table: the name"):
        lake.load(table_of(replace(DAILY, name=name), FIRST))


def test_an_address_of_a_file_and_odd_folder_names_work(tmp_path: Path) -> None:
    folder = tmp_path / "my lake #1 100%"
    Lake(str(folder), clock=lambda: at(0)).load(table_of(DAILY, FIRST))
    lake = Lake(folder.as_uri(), clock=lambda: at(0))
    assert lake.table(DAILY).rows.height == 3
    assert lake.dataset(DAILY).count_rows() == 3
    assert lake.load(table_of(DAILY, FIRST)).already_loaded


def test_a_load_reads_no_more_than_the_columns_and_days_that_it_needs(lake: Lake) -> None:
    """A file of other days may be broken behind its footer, and one whose keys do not meet behind its key columns."""
    day = 86_400_000_000
    lake.load(table_of(DAILY, [Row(f"a{n}", day, day) for n in range(1000)]))
    store = _store(lake.root)
    (old,) = store.glob(f"{lake.root}/daily/*.parquet")
    content = store.cat_file(old)
    chunks = {column.path_in_schema: column for column in _chunks(content)}
    store.pipe_file(old, _broken(content, list(chunks.values())))
    assert lake.load(table_of(DAILY, [Row("a1", 2 * day - 1, 0)])).added == 1
    store.pipe_file(old, _broken(content, [chunks["qty"], chunks["price"]]))
    assert lake.load(table_of(DAILY, [Row("b", day, 0)])).added == 1
    with pytest.raises(StoreError):
        lake.load(table_of(DAILY, [Row("a1", day, 0, 77)]))
    store.pipe_file(old, content)
    assert lake.load(table_of(DAILY, [Row("a1", day, 0, 77)])).superseding == 1


def _chunks(content: bytes) -> list[Any]:
    groups = pq.read_metadata(BytesIO(content))
    return [groups.row_group(0).column(i) for i in range(groups.num_columns)]


def _broken(content: bytes, chunks: list[Any]) -> bytes:
    """The file with the pages of some columns overwritten."""
    data = bytearray(content)
    for chunk in chunks:
        start = min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset)
        data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    return bytes(data)


def test_a_load_that_waits_too_long_for_another_one_says_so(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), clock=lambda: at(0), patience=0.01)
    with lake._turn("daily"), pytest.raises(StoreError, match=r"another load that has run for more than 0\.01 s"):
        lake.load(table_of(DAILY, FIRST))


class Unlocked(Lake):
    """A lake that takes no file lock, like one on an object store."""

    def __init__(self, root: str, *, clock: Callable[[], datetime]) -> None:
        super().__init__(root, clock=clock)
        self._folder = None


class Intruder:
    """A clock during whose first readings somebody else commits: between the look and the commit of a load."""

    def __init__(self, root: str, tables: list[Table]) -> None:
        self.root, self.tables = root, tables

    def __call__(self) -> datetime:
        if self.tables:
            Unlocked(self.root, clock=lambda: at(1000)).load(self.tables.pop(0))
        return at(2000)


@pytest.mark.parametrize("exists", [True, False])
def test_a_load_that_another_one_overtook_looks_again(root: str, exists: bool) -> None:
    if exists:
        Lake(root, clock=lambda: at(10)).load(table_of(DAILY, [Row("z", 9, 9)]))
    others = [table_of(DAILY, [Row("a", 1, 1, 10)]), table_of(DAILY, [Row("b", 1, 1, 20)])]
    lake = Unlocked(root, clock=Intruder(root, others))
    loaded = lake.load(table_of(DAILY, [Row("a", 1, 1, 11), Row("b", 1, 1, 20), Row("c", 1, 1)]))
    assert (loaded.batch, loaded.added, loaded.superseding, loaded.unchanged) == (3 + exists, 1, 1, 1)
    assert lake.batches("daily")["batch"].to_list() == list(range(1, 4 + exists))
    assert lake.table(DAILY).as_of(at(2000)).sort("sku")["qty"].to_list()[:3] == [11, 20, 1]


def test_the_same_batch_from_two_writers_at_once_is_loaded_once(root: str) -> None:
    table = table_of(DAILY, FIRST)
    loaded = Unlocked(root, clock=Intruder(root, [table])).load(table)
    assert (loaded.already_loaded, loaded.batch, loaded.version) == (True, 1, 0)


def test_a_load_that_always_loses_gives_up_in_words(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foreproof.adapters.lake._PAUSE", 0.0)
    others = [table_of(DAILY, [Row("z", n, n)]) for n in range(30)]
    lake = Unlocked(root, clock=Intruder(root, others))
    with pytest.raises(StoreError, match="20 attempts, each overtaken"):
        lake.load(table_of(DAILY, FIRST))
    assert lake.version("daily") == 19


def test_a_broken_table_is_a_store_error(lake: Lake) -> None:
    lake.load(table_of(DAILY, FIRST))
    store = _store(lake.root)
    for path in store.glob(f"{lake.root}/daily/*.parquet"):
        store.pipe_file(path, b"not parquet")
    with pytest.raises(StoreError, match="table daily: it cannot be read"):
        lake.table(DAILY)
    store.pipe_file(f"{lake.root}/daily/_delta_log/{0:020}.json", b"{broken")
    with pytest.raises(StoreError, match="table daily: it cannot be read"):
        lake.version("daily")


def test_many_loads_keep_every_batch_past_the_checkpoints_of_delta(root: str) -> None:
    lake = Lake(root, clock=lambda: at(0))
    # Delta writes a checkpoint after a hundred commits, each of which is a dozen requests to an object store.
    many = 105 if root.startswith("/") else 12
    first = table_of(DAILY, [Row("a", 0, 0)])
    for n in range(many):
        lake.load(table_of(DAILY, [Row("a", n, n)]))
    assert bool(_store(root).glob(f"{root}/daily/_delta_log/*.checkpoint.parquet")) == (many > 100)
    assert lake.batches("daily")["batch"].to_list() == list(range(1, many + 1))
    assert lake.load(first).already_loaded
    assert lake.table(DAILY, version=3).rows.height == 4
    assert lake.batches("daily")["loaded_at"].to_list()[-1] == at(0) + timedelta(microseconds=many - 1)


def test_other_writers_cannot_delete_what_the_lake_holds(lake: Lake) -> None:
    lake.load(table_of(DAILY, FIRST))
    with pytest.raises(Exception, match="append-only"):
        DeltaTable(f"{lake.root}/daily").delete()
    assert lake.table(DAILY).rows.height == 3
