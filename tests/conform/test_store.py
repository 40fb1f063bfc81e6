"""What every store of the log and the runs does, over SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from foreproof.adapters.catalog import Catalog, RunRecord
from foreproof.core.log import Checkpoint, PrivateKey
from foreproof.core.merkle import leaf_hash
from foreproof.errors import BadInput, IntegrityError, StoreError

KEY = PrivateKey("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(32)))
NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)

Opener = Callable[[], Catalog]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty store of its own for each test."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalogue.db'}"
        return
    server = sa.make_url(request.getfixturevalue("postgres_url"))
    schema = f"foreproof_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    try:
        own = server.update_query_dict({"options": f"-csearch_path={schema}"})
        yield own.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
        engine.dispose()


@pytest.fixture
def store(url: str) -> Iterator[Catalog]:
    with Catalog(url, timeout=20) as catalog:
        yield catalog


def leaf(number: int) -> bytes:
    return f'{{"n":{number}}}'.encode()


def note(size: int) -> str:
    return Checkpoint(KEY.name, size, leaf_hash(bytes(size))).sign(KEY)


def test_leaves_read_back_in_order_and_any_bytes_are_a_leaf(store: Catalog) -> None:
    assert (store.size(), store.leaves()) == (0, [])
    group = [b"", b"\x00\xff\n'; --", leaf(2)]
    assert store.append(group) == range(3)
    assert store.append([leaf(3)]) == range(3, 4)
    assert store.append([]) == range(4, 4)
    assert store.size() == 4
    assert store.leaves() == [*group, leaf(3)]
    assert store.leaves(1, 3) == group[1:]
    assert store.leaves(2) == [leaf(2), leaf(3)]
    assert store.leaves(4) == store.leaves(2, 2) == []
    assert store.stored_leaves(3) == [(3, leaf(3), leaf_hash(leaf(3)))]


def test_what_was_written_is_there_when_the_store_is_opened_again(url: str) -> None:
    with Catalog(url) as first:
        first.append([leaf(0), leaf(1)])
        first.save_checkpoint(note(2))
    with Catalog(url) as second:
        assert second.leaves() == [leaf(0), leaf(1)]
        assert second.checkpoints() == [note(2)]
        assert second.append([leaf(2)]) == range(2, 3)


def test_a_group_enters_whole_or_not_at_all(store: Catalog) -> None:
    store.append([leaf(0)])
    with pytest.raises(TypeError):
        store.append([leaf(1), None])  # type: ignore[list-item]
    assert store.leaves() == [leaf(0)]


def test_an_append_that_expects_another_size_adds_nothing(store: Catalog) -> None:
    assert store.append([leaf(0)], expected=0) == range(1)
    for wrong in (0, 2):
        with pytest.raises(StoreError, match=f"1 leaves in the log; wanted {wrong}"):
            store.append([leaf(1)], expected=wrong)
    assert store.append([leaf(1)], expected=1) == range(1, 2)
    assert store.leaves() == [leaf(0), leaf(1)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_leaves SET leaf = 'x' WHERE position = 1",
        "DELETE FROM log_leaves WHERE position = 2",
        "DELETE FROM log_leaves",
        "UPDATE log_checkpoints SET size = 9",
        "DELETE FROM log_checkpoints",
    ],
)
def test_leaves_and_checkpoints_are_never_changed_or_removed(store: Catalog, statement: str) -> None:
    store.append([leaf(n) for n in range(3)])
    store.save_checkpoint(note(3))
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), store.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert store.leaves() == [leaf(n) for n in range(3)]
    assert store.checkpoints() == [note(3)]


@pytest.mark.parametrize("position", [-1, 1, 2, 4])
def test_a_leaf_enters_only_after_the_last_one(store: Catalog, position: int) -> None:
    store.append([leaf(n) for n in range(3)])
    insert = sa.text("INSERT INTO log_leaves (position, leaf, leaf_hash) VALUES (:position, :leaf, :leaf)")
    with pytest.raises(sa.exc.DBAPIError, match="log_leaves is dense"), store.engine.begin() as connection:
        connection.execute(insert, {"position": position, "leaf": b"x"})
    assert store.size() == 3


def behind_the_triggers(store: Catalog, statement: str) -> None:
    """What somebody with all rights can do to the store."""
    with store.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            for name in ("log_leaves_no_update", "log_leaves_no_delete"):
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            connection.exec_driver_sql("ALTER TABLE log_leaves DISABLE TRIGGER ALL")
        connection.exec_driver_sql(statement)


def test_an_altered_leaf_is_named_when_it_is_read(store: Catalog) -> None:
    store.append([leaf(n) for n in range(5)])
    behind_the_triggers(store, "UPDATE log_leaves SET leaf = 'x' WHERE position = 3")
    assert store.leaves(0, 3) == [leaf(n) for n in range(3)]
    with pytest.raises(IntegrityError, match="leaf 3: its bytes do not hash"):
        store.leaves()
    assert store.stored_leaves()[3] == (3, b"x", leaf_hash(leaf(3)))


def test_a_missing_leaf_is_named_when_the_log_is_read(store: Catalog) -> None:
    store.append([leaf(n) for n in range(5)])
    behind_the_triggers(store, "DELETE FROM log_leaves WHERE position = 3")
    with pytest.raises(IntegrityError, match="leaf 3: missing: the next one in the catalogue is 4"):
        store.leaves()
    assert [position for position, _, _ in store.stored_leaves()] == [0, 1, 2, 4]


def test_checkpoints_are_kept_once_and_come_smallest_first(store: Catalog) -> None:
    for size in (3, 1, 10, 3):
        store.save_checkpoint(note(size))
    assert store.checkpoints() == [note(1), note(3), note(10)]
    with pytest.raises(IntegrityError, match="checkpoint: 'garbage'"):
        store.save_checkpoint("garbage")


def test_run_records_read_back_as_saved_and_are_replaced_by_id(store: Catalog) -> None:
    manifest = {"scores": [0.1, 1e-300], "names": {"é": None}, "n": 3}
    first = RunRecord("b", "running", NOW, "d1", manifest)
    second = RunRecord("a", "done", NOW + timedelta(microseconds=1), "d2", {}, "pages/a.html")
    store.save_run(second)
    store.save_run(first)
    assert store.runs() == [first, second]
    done = RunRecord("b", "done", NOW, "d1", {"n": 4}, "pages/b.html")
    store.save_run(done)
    assert store.run("b") == done
    assert store.runs() == [done, second]


def test_an_unknown_run_and_a_run_without_a_zone_are_refused(store: Catalog) -> None:
    with pytest.raises(BadInput, match="run x: no such run"):
        store.run("x")
    with pytest.raises(BadInput, match="without a zone"):
        store.save_run(RunRecord("x", "done", NOW.replace(tzinfo=None), "d", {}))
    assert store.runs() == []


def test_a_store_of_another_version_or_with_lost_tables_is_refused(store: Catalog, url: str) -> None:
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE foreproof_schema SET version = 2")
    with pytest.raises(StoreError, match=r"a catalogue of version \[2\].*wanted version 1"):
        Catalog(url)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE foreproof_schema SET version = 1")
        connection.exec_driver_sql("DROP TABLE runs")
    with pytest.raises(StoreError, match="wanted version 1, whole"):
        Catalog(url)


def test_a_store_with_our_names_but_without_our_version_is_refused(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE runs (run_id integer)")
    engine.dispose()
    with pytest.raises(StoreError, match="another database, with tables runs"):
        Catalog(url)


def test_a_writer_waits_for_another_one_only_so_long_and_readers_wait_for_none(store: Catalog, url: str) -> None:
    store.append([leaf(0)])
    with store._writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE log_leaves IN EXCLUSIVE MODE")
        with Catalog(url, timeout=0.2) as other:
            assert other.leaves() == [leaf(0)]
            with pytest.raises(StoreError, match=r"another process kept it locked for longer than 0\.2 s; try again"):
                other.append([leaf(1)])
    assert store.append([leaf(1)]) == range(1, 2)


WRITER = """
import sys
from foreproof.adapters.catalog import Catalog
url, name, groups, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with Catalog(url) as catalog:
    for group in range(groups):
        catalog.append([f"{name} {group} {i}".encode() for i in range(size)])
        print(group, flush=True)
"""


def writer(url: str, name: str, *, groups: int, size: int) -> subprocess.Popen[str]:
    """A process that appends groups of leaves and prints each group's number once it is in."""
    command = [sys.executable, "-c", WRITER, url, name, str(groups), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def groups_of(leaves: list[bytes]) -> dict[str, list[tuple[int, int, int]]]:
    """(position, group, number within it) of each writer's leaves."""
    found: dict[str, list[tuple[int, int, int]]] = {}
    for position, text in enumerate(leaves):
        name, group, number = text.decode().split(" ")
        found.setdefault(name, []).append((position, int(group), int(number)))
    return found


def test_processes_that_open_and_append_at_once_lose_and_mix_nothing(url: str) -> None:
    processes = [writer(url, name, groups=15, size=7) for name in "ab"]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    with Catalog(url) as catalog:
        found = groups_of(catalog.leaves())
    for name in "ab":
        assert [(group, number) for _, group, number in found[name]] == [(g, n) for g in range(15) for n in range(7)]
        starts = {group: position for position, group, number in found[name] if number == 0}
        assert all(position == starts[group] + number for position, group, number in found[name])


def test_threads_that_append_at_once_get_positions_of_their_own(store: Catalog) -> None:
    got: list[int] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        for _ in range(5):
            got.extend(store.append([b"a", b"b"]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(40))
    assert len(store.leaves()) == 40


def test_a_kill_while_appending_leaves_a_readable_log_of_whole_groups(url: str) -> None:
    process = writer(url, "a", groups=1_000_000, size=50)
    assert process.stdout is not None
    confirmed = [int(process.stdout.readline()) for _ in range(5)][-1]
    process.kill()
    rest, _ = process.communicate(timeout=60)
    confirmed = max([confirmed, *(int(line) for line in rest.split("\n")[:-1])])
    with Catalog(url, timeout=30) as catalog:
        # This one waits for a group that was on its way when the process died.
        after = catalog.append([b"z 0 0"]).start
        found = groups_of(catalog.leaves())["a"]
    assert [position for position, _, _ in found] == list(range(after))
    assert len(found) % 50 == 0
    assert len(found) // 50 in {confirmed + 1, confirmed + 2}
