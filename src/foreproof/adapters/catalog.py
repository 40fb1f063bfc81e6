"""The catalogue: log leaves, checkpoints and run records in SQLite or PostgreSQL.

Leaves and checkpoints are only ever added; triggers refuse UPDATE and DELETE, so that a slip in SQL cannot rewrite the
log (an attacker can drop a trigger: against that stand the checkpoints kept elsewhere). A group of leaves is one
transaction under the store's write lock, so positions are dense and a kill at any moment leaves whole groups.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from foreproof.adapters.postgres import postgres_engine
from foreproof.core.log import split_checkpoint
from foreproof.core.merkle import leaf_hash
from foreproof.errors import BadInput, IntegrityError, MissingExtra, StoreError

SCHEMA_VERSION = 1
"""The version of the tables below; a catalogue of another version is refused."""

_METADATA = sa.MetaData()
_SCHEMA = sa.Table("foreproof_schema", _METADATA, sa.Column("version", sa.Integer, primary_key=True))
_LEAVES = sa.Table(
    "log_leaves",
    _METADATA,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("leaf", sa.LargeBinary, nullable=False),
    sa.Column("leaf_hash", sa.LargeBinary(32), nullable=False),
)
_CHECKPOINTS = sa.Table(
    "log_checkpoints",
    _METADATA,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("text", sa.Text, nullable=False, unique=True),
)
_RUNS = sa.Table(
    "runs",
    _METADATA,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("created", sa.Text, nullable=False, index=True),
    sa.Column("plan_digest", sa.Text, nullable=False),
    sa.Column("manifest", sa.Text, nullable=False),
    sa.Column("page", sa.Text),
)
_APPEND_ONLY = (_LEAVES, _CHECKPOINTS)
_LOCK_KEY = 7_302_406_962
"""The PostgreSQL advisory lock under which the tables are made."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What the catalogue keeps of a run; `manifest` is plain JSON values, `page` a path or None before there is one."""

    run_id: str
    status: str
    created: datetime
    plan_digest: str
    manifest: Mapping[str, Any]
    page: str | None = None


class Catalog:
    """One tenant's catalogue at a database URL: `sqlite:///FILE` or `postgresql://...`.

    The tables are made on first use. `timeout` is how long, in seconds, a writer waits for another one.
    Raises StoreError where the store cannot be reached or is no Foreproof catalogue.
    """

    def __init__(self, url: str, *, timeout: float = 60.0) -> None:
        self.url = _parse_url(url)
        self._timeout = timeout
        with _explained(self._subject, timeout):
            self.engine = _engine(self.url, timeout)
        try:
            # Most openings find the tables; only the first has to wait for writers.
            with self._reading() as connection:
                ready = _is_catalogue(connection, subject=self._subject)
            if not ready:
                with self._writing() as connection:
                    _prepare(connection, subject=self._subject)
        except BaseException:
            self.engine.dispose()
            raise

    def append(self, leaves: Sequence[bytes], *, expected: int | None = None) -> range:
        """Add a group of leaves in one transaction and return their positions.

        With `expected`, nothing is added unless the log has exactly that size (StoreError otherwise): what the caller
        concluded from the log still holds when its leaves enter.
        """
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE log_leaves IN EXCLUSIVE MODE"))
            start = _size(connection)
            if expected not in {None, start}:
                raise StoreError(
                    self._subject, found=f"{start} leaves in the log", wanted=str(expected), fix="read again and retry"
                )
            rows = [
                {"position": start + i, "leaf": bytes(leaf), "leaf_hash": leaf_hash(leaf)}
                for i, leaf in enumerate(leaves)
            ]
            if rows:
                connection.execute(sa.insert(_LEAVES), rows)
        return range(start, start + len(rows))

    def leaves(self, start: int = 0, stop: int | None = None) -> list[bytes]:
        """The leaves at positions in [start, stop), or to the end.

        Raises IntegrityError, naming the position, where one is missing or does not hash to its stored hash.
        """
        leaves = []
        for wanted, (position, leaf, digest) in enumerate(self.stored_leaves(start, stop), start=start):
            if position != wanted:
                raise IntegrityError(f"leaf {wanted}", found=f"missing: the next one in the catalogue is {position}")
            if leaf_hash(leaf) != digest:
                raise IntegrityError(f"leaf {wanted}", found="its bytes do not hash to the hash stored with them")
            leaves.append(leaf)
        return leaves

    def stored_leaves(self, start: int = 0, stop: int | None = None) -> list[tuple[int, bytes, bytes]]:
        """(position, leaf, leaf hash) as they stand in the store, unchecked: what an audit looks at."""
        # SQLite gives back text where somebody put text: the cast makes an audit see its bytes.
        columns = [_LEAVES.c.position, *(sa.cast(_LEAVES.c[name], sa.LargeBinary) for name in ("leaf", "leaf_hash"))]
        query = sa.select(*columns).where(_LEAVES.c.position >= start).order_by(_LEAVES.c.position)
        if stop is not None:
            query = query.where(_LEAVES.c.position < stop)
        with self._reading() as connection:
            rows = connection.execute(query)
            return [(position, bytes(leaf), bytes(digest)) for position, leaf, digest in rows]

    def size(self) -> int:
        """How many leaves the log has."""
        with self._reading() as connection:
            return _size(connection)

    def save_checkpoint(self, text: str) -> None:
        """Keep a signed checkpoint; keeping the same one again changes nothing."""
        checkpoint, _, _ = split_checkpoint(text)
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE log_checkpoints IN EXCLUSIVE MODE"))
            if connection.execute(sa.select(_CHECKPOINTS.c.number).where(_CHECKPOINTS.c.text == text)).first() is None:
                connection.execute(sa.insert(_CHECKPOINTS).values(size=checkpoint.size, text=text))

    def checkpoints(self) -> list[str]:
        """The texts of all checkpoints, smallest first."""
        with self._reading() as connection:
            query = sa.select(_CHECKPOINTS.c.text).order_by(_CHECKPOINTS.c.size, _CHECKPOINTS.c.number)
            return list(connection.execute(query).scalars())

    def save_run(self, record: RunRecord) -> None:
        """Keep a run's record; a record of the same id is replaced (its proof is in the log, not here)."""
        if record.created.tzinfo is None:
            raise BadInput(f"run {record.run_id}", found=f"created {record.created} without a zone", wanted="UTC")
        values = {
            "status": record.status,
            "created": record.created.astimezone(UTC).isoformat(timespec="microseconds"),
            "plan_digest": record.plan_digest,
            "manifest": json.dumps(record.manifest, sort_keys=True, allow_nan=False),
            "page": record.page,
        }
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE runs IN EXCLUSIVE MODE"))
            changed = connection.execute(sa.update(_RUNS).where(_RUNS.c.run_id == record.run_id).values(values))
            if not changed.rowcount:
                connection.execute(sa.insert(_RUNS).values(run_id=record.run_id, **values))

    def run(self, run_id: str) -> RunRecord:
        """The record of one run. Raises BadInput where there is none."""
        with self._reading() as connection:
            row = connection.execute(sa.select(_RUNS).where(_RUNS.c.run_id == run_id)).first()
        if row is None:
            raise BadInput(f"run {run_id}", found="no such run in the catalogue", fix="see `foreproof runs list`")
        return _record(row)

    def runs(self) -> list[RunRecord]:
        """All run records, oldest first."""
        with self._reading() as connection:
            return [
                _record(row) for row in connection.execute(sa.select(_RUNS).order_by(_RUNS.c.created, _RUNS.c.run_id))
            ]

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _subject(self) -> str:
        return f"catalogue {self.url.render_as_string(hide_password=True)}"

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _explained(self._subject, self._timeout), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction under the write lock of SQLite; PostgreSQL locks the one table it writes."""
        with _explained(self._subject, self._timeout), self.engine.connect() as plain:
            connection = plain.execution_options(foreproof_writes=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.text(f"SET LOCAL lock_timeout = {int(self._timeout * 1000)}"))
                    connection.execute(sa.text("SET LOCAL synchronous_commit = on"))
                yield connection


def _parse_url(text: str) -> URL:
    try:
        url = sa.make_url(text)
    except ArgumentError:
        raise BadInput("catalogue", found=f"{text!r}", wanted="sqlite:///FILE or postgresql://...") from None
    if url.drivername in {"postgresql", "postgres"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise BadInput("catalogue", found=url.drivername, wanted="sqlite:///FILE or postgresql://...")
    return url


def _engine(url: URL, timeout: float) -> Engine:
    try:
        if url.get_backend_name() == "postgresql":
            return postgres_engine(url)
        engine = sa.create_engine(url, connect_args={"timeout": timeout})
    except (ImportError, NoSuchModuleError) as error:
        raise MissingExtra(
            "catalogue", found=f"{url.drivername} without its driver", fix="pip install 'foreproof[postgres]'"
        ) from error

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        # None hands transactions to us: sqlite3 would begin them itself, deferred, and two writers could deadlock.
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous = FULL").close()
        _write_ahead(connection, patience=timeout)

    @sa.event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        writes = connection.get_execution_options().get("foreproof_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _write_ahead(connection: Any, *, patience: float) -> None:
    """Turn write-ahead logging on; SQLite does not wait by itself where two processes do that to a new file at once."""
    end = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _is_catalogue(connection: Connection, *, subject: str) -> bool:
    """True for a catalogue of this version, False for an empty store; StoreError for anything else."""
    present = set(sa.inspect(connection).get_table_names())
    if _SCHEMA.name in present:
        versions = list(connection.execute(sa.select(_SCHEMA.c.version)).scalars())
        if versions != [SCHEMA_VERSION] or not present >= set(_METADATA.tables):
            raise StoreError(
                subject,
                found=f"a catalogue of version {versions} with tables {', '.join(sorted(present))}",
                wanted=f"version {SCHEMA_VERSION}, whole",
                fix="open it with the Foreproof that wrote it",
            )
        return True
    # A PostgreSQL database may serve others too; a SQLite file that holds other tables is somebody else's.
    shared = connection.dialect.name == "postgresql"
    foreign = sorted(present & set(_METADATA.tables) if shared else present)
    if foreign:
        raise StoreError(
            subject,
            found=f"another database, with tables {', '.join(foreign[:5])}",
            wanted="a Foreproof catalogue or an empty store",
            fix="give another URL",
        )
    return False


def _prepare(connection: Connection, *, subject: str) -> None:
    """Make the tables, unless another process did so while this one waited."""
    postgres = connection.dialect.name == "postgresql"
    if postgres:
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
    if _is_catalogue(connection, subject=subject):
        return
    _METADATA.create_all(connection)
    for statement in _postgres_triggers() if postgres else _sqlite_triggers():
        connection.exec_driver_sql(statement)
    connection.execute(sa.insert(_SCHEMA).values(version=SCHEMA_VERSION))


def _sqlite_triggers() -> Iterator[str]:
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table.name}_no_{verb.lower()} BEFORE {verb} ON {table.name} "
                f"BEGIN SELECT RAISE(ABORT, '{table.name} is append-only: no {verb}'); END"
            )
    yield (
        "CREATE TRIGGER log_leaves_dense BEFORE INSERT ON log_leaves "
        "WHEN NEW.position <> (SELECT coalesce(max(position) + 1, 0) FROM log_leaves) "
        "BEGIN SELECT RAISE(ABORT, 'log_leaves is dense: a leaf goes after the last one'); END"
    )


def _postgres_triggers() -> Iterator[str]:
    yield (
        "CREATE FUNCTION foreproof_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '%% is append-only: no %%', TG_TABLE_NAME, TG_OP; END $$"
    )
    for table in _APPEND_ONLY:
        yield (
            f"CREATE TRIGGER {table.name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table.name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION foreproof_append_only()"
        )
    yield (
        "CREATE FUNCTION foreproof_dense() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.position <> (SELECT coalesce(max(position) + 1, 0) FROM log_leaves) THEN "
        "RAISE EXCEPTION 'log_leaves is dense: a leaf goes after the last one'; END IF; RETURN NEW; END $$"
    )
    yield (
        "CREATE TRIGGER log_leaves_dense BEFORE INSERT ON log_leaves FOR EACH ROW EXECUTE FUNCTION foreproof_dense()"
    )


def _size(connection: Connection) -> int:
    last = connection.execute(sa.select(sa.func.max(_LEAVES.c.position))).scalar()
    return 0 if last is None else int(last) + 1


def _record(row: Any) -> RunRecord:
    created = datetime.fromisoformat(row.created)
    return RunRecord(row.run_id, row.status, created, row.plan_digest, json.loads(row.manifest), row.page)


_KNOWN_TROUBLES = (
    ("is full", "the disk is full; nothing of this group was written", "free some space and run it again"),
    ("no space left", "the disk is full; nothing of this group was written", "free some space and run it again"),
    ("not a database", "a file that is no SQLite database", "give another URL, or restore the file"),
    ("malformed", "a damaged database", "restore it from a copy, then run `foreproof log verify`"),
    ("readonly", "a store that is read-only", "make it writable"),
    ("unable to open", "the file cannot be opened", "see that its folder exists and is writable"),
    ("is locked", "another process kept it locked for longer than {timeout:g} s", "try again"),
    ("lock timeout", "another process kept it locked for longer than {timeout:g} s", "try again"),
)


@contextmanager
def _explained(subject: str, timeout: float) -> Iterator[None]:
    """Turn the database's errors into a StoreError that says what to do."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        for sign, found, fix in _KNOWN_TROUBLES:
            if sign in cause.lower():
                raise StoreError(subject, found=found.format(timeout=timeout), fix=fix) from error
        raise StoreError(subject, found=cause.splitlines()[0], wanted="a store that reads and writes") from error


__all__ = ["SCHEMA_VERSION", "Catalog", "RunRecord"]
