from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from foreproof.adapters.catalog import Catalog
from foreproof.errors import BadInput, StoreError


def at(path: Path) -> str:
    return f"sqlite:///{path}"


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(b"This is a shopping list.\n" * 100)
    with pytest.raises(StoreError, match="a file that is no SQLite database"):
        Catalog(at(path))
    assert path.read_bytes() == b"This is a shopping list.\n" * 100


def test_a_database_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE customers (name text)")
    with pytest.raises(StoreError, match="another database, with tables customers; wanted a Foreproof catalogue"):
        Catalog(at(path))
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("customers",)]


def test_an_empty_file_becomes_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "c.db").touch()
    with Catalog(at(tmp_path / "c.db")) as catalog:
        assert catalog.append([b"a"]) == range(1)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the file cannot be opened; see that its folder exists"):
        Catalog(at(tmp_path / "absent" / "c.db"))


def test_each_connection_writes_ahead_and_syncs_fully(tmp_path: Path) -> None:
    with Catalog(at(tmp_path / "c.db"), timeout=7) as catalog, catalog.engine.connect() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        assert found == ["wal", 2]
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 7000


def test_a_full_disk_is_said_so_and_keeps_the_log_whole(tmp_path: Path) -> None:
    with Catalog(at(tmp_path / "c.db")) as catalog:
        catalog.append([b"first"])

        @sa.event.listens_for(catalog.engine, "checkout")
        def limited(connection: Any, *_: Any) -> None:
            connection.execute("PRAGMA max_page_count = 30").close()

        with pytest.raises(StoreError, match="the disk is full; nothing of this group was written; free some space"):
            catalog.append([bytes(1000)] * 1000)
        assert catalog.leaves() == [b"first"]
        assert catalog.append([b"second"]) == range(1, 2)


def test_a_file_that_cannot_grow_is_a_store_error(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="limits of file sizes are POSIX")
    script = (
        "import resource, signal, sys\n"
        "from foreproof.adapters.catalog import Catalog\n"
        "from foreproof.errors import StoreError\n"
        "catalog = Catalog(sys.argv[1])\n"
        "catalog.append([b'first'])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try:\n    catalog.append([bytes(1000)] * 1000)\n"
        "except StoreError as error:\n    print('refused')\n"
        "print(catalog.leaves())\n"
    )
    command = [sys.executable, "-c", script, at(tmp_path / "c.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["refused", "[b'first']"], done.stderr


def test_a_writer_that_waits_too_long_says_so(tmp_path: Path) -> None:
    with Catalog(at(tmp_path / "c.db"), timeout=0.05) as catalog:
        with closing(sqlite3.connect(tmp_path / "c.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match=r"another process kept it locked for longer than 0\.05 s; try again"):
                catalog.append([b"a"])
            assert catalog.leaves() == []
            other.execute("ROLLBACK")
        assert catalog.append([b"a"]) == range(1)


def test_a_damaged_file_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with Catalog(at(path)) as catalog:
        catalog.append([bytes(500)] * 500)
    raw = bytearray(path.read_bytes())
    raw[4096 * 12 :] = b"\xa5" * len(raw[4096 * 12 :])
    path.write_bytes(raw)
    with Catalog(at(path)) as catalog, pytest.raises(StoreError, match=r"a damaged database; restore it from a copy"):
        catalog.stored_leaves()


@pytest.mark.parametrize("url", ["", "no url", "mysql://host/name", "csv:///x", "bigtable+x://y"])
def test_an_address_that_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="wanted sqlite:///FILE or postgresql://"):
        Catalog(url)


def test_a_password_stays_out_of_messages() -> None:
    with pytest.raises(StoreError) as caught:
        Catalog("postgresql://someone:secret-word@127.0.0.1:1/none?connect_timeout=2")
    assert "someone:***@127.0.0.1" in str(caught.value)
    assert "secret-word" not in str(caught.value)


def test_a_reader_sees_whole_groups_while_another_writes(tmp_path: Path) -> None:
    with Catalog(at(tmp_path / "c.db")) as one, Catalog(at(tmp_path / "c.db")) as two:
        with one._writing() as connection:
            connection.exec_driver_sql("INSERT INTO log_leaves VALUES (0, x'', x'')")
            assert two.size() == 0
        assert two.size() == 1
