"""The service's tables come and go by migrations, on SQLite and on PostgreSQL, also when two processes start at once."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

import service_home
from foreproof.adapters.service import tables
from foreproof.adapters.service.keys import create_key, list_keys
from foreproof.adapters.service.migrate import VERSION_TABLE, current, migrate, open_store, revisions
from foreproof.adapters.service.store import METADATA, ServiceStore
from foreproof.app.cli import app
from foreproof.errors import BadInput, StoreError

TERMS = {"tenant": "amber", "name": "one", "role": "reader"}
NOW = datetime(2026, 11, 1, tzinfo=UTC)
SECRET = b"a secret of the tests"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'service.db'}"
        return
    base, schema = request.getfixturevalue("postgres_url"), f"fp_{uuid.uuid4().hex[:12]}"
    yield f"{base}?schema={schema}"
    engine = sa.create_engine(base)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    engine.dispose()


def names(store: ServiceStore) -> set[str]:
    with store.reading() as connection:
        return set(sa.inspect(connection).get_table_names())


def test_migrations_go_up_down_and_up_again_and_keep_what_a_revision_has(url: str) -> None:
    store = open_store(url)
    assert current(store) == revisions()[-1]
    create_key(store, SECRET, terms=TERMS, now=NOW)
    head = names(store)
    for to in ("0001", "head"):
        migrate(store, to=to)
        assert [key.name for key in list_keys(store)] == ["one"]  # revision 0001 has keys, so they stay
    assert migrate(store, to="base") == (revisions()[-1], "base")
    assert names(store) == {VERSION_TABLE}
    migrate(store)
    assert names(store) == head
    assert list_keys(store) == ()
    store.close()


def test_what_migrations_leave_behind_is_what_the_code_thinks_is_there(url: str) -> None:
    store = open_store(url)
    with store.reading() as connection:
        found = sa.inspect(connection)
        for table in (tables.KEYS, tables.USAGE, tables.AUDIT, tables.ANSWERS):
            columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            assert columns == {column.name: bool(column.nullable) for column in table.columns}
            assert set(found.get_pk_constraint(table.name)["constrained_columns"]) == {
                c.name for c in table.primary_key
            }
            assert {index["name"] for index in found.get_indexes(table.name)} == {index.name for index in table.indexes}
    assert {"api_keys", "usage", "audit", "answers"} <= set(METADATA.tables)
    store.close()


def test_two_processes_that_start_at_once_make_the_tables_once(url: str) -> None:
    names = "open_store, current"
    program = (
        f"import sys; from foreproof.adapters.service.migrate import {names}; print(current(open_store(sys.argv[1])))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ended = [one.communicate(timeout=120) for one in running]
    assert [out.strip() for out, _ in ended] == [revisions()[-1]] * 2, ended


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    store = open_store(url)
    with store.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    store.close()
    with pytest.raises(StoreError, match="9999"):
        open_store(url)


def test_an_unknown_revision_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    store = ServiceStore(f"sqlite:///{tmp_path / 'service.db'}")
    with pytest.raises(BadInput, match="0001"):
        migrate(store, to="0000")
    assert current(store) == "base"
    store.close()


def test_revisions_are_numbered_in_alembics_order() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    folder = Path(tables.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    assert tuple(found.revision for found in reversed(list(script.walk_revisions()))) == revisions()


def test_the_command_line_migrates_and_keys_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = service_home.made(tmp_path / "home")
    for name in [name for name in os.environ if name.startswith("FOREPROOF_")]:
        monkeypatch.delenv(name)

    def said(*words: str) -> str:
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    assert said("migrate", str(home), "--to", "0001") == "base -> 0001\n"
    key = said("keys", "create", str(home), "--tenant", "amber", "--role", "analyst", "--days", "3").strip()
    assert key.startswith("fp_") and len(key) == 64
    new = said("keys", "rotate", str(home), "--tenant", "amber", "--id", key[3:11]).strip()
    assert new != key
    said("keys", "revoke", str(home), "--tenant", "amber", "--id", new[3:11])
    listed = said("keys", "list", str(home), "--tenant", "amber")
    assert key[12:] not in listed and "revoked" in listed and "active" in listed
    assert "total" in said("usage", str(home)) and said("usage", str(home), "--format", "csv").startswith("tenant,kind")
    with pytest.raises(BadInput, match="tenant nobody"):
        said("keys", "create", str(home), "--tenant", "nobody")
