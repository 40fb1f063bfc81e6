"""The service's database: SQLite in the home by default, PostgreSQL by URL. Its tables come and go by migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from foreproof.adapters.postgres import postgres_engine
from foreproof.errors import BadInput, StoreError

METADATA = sa.MetaData()
"""Every table of the service; each module of this package adds its own."""


class ServiceStore:
    """One database of the service at a URL. `timeout`: seconds that a writer waits for another one."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self.url = url
        self.engine = _engine(url, timeout)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads. Raises StoreError where the database does not answer."""
        with explained(self.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that writes, all or nothing. Raises StoreError where the database does not answer."""
        with explained(self.url), self.engine.connect() as plain:
            connection = plain.execution_options(foreproof_writes=True)
            with connection.begin():
                yield connection

    def answers(self) -> bool:
        """Whether the database answers now."""
        try:
            with self.reading() as connection:
                connection.execute(sa.text("SELECT 1"))
        except StoreError:
            return False
        return True

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn the database's errors into a StoreError that says which database it was."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        subject = f"service store {sa.make_url(url).render_as_string(hide_password=True)}"
        raise StoreError(
            subject, found=cause.splitlines()[0], wanted="a database that answers", fix="try again"
        ) from error


def _engine(url: str, timeout: float) -> Engine:
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise BadInput("FOREPROOF_SERVICE", found=repr(url), wanted="sqlite:///FILE or postgresql://...") from None
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "postgresql":
        with explained(url):
            return postgres_engine(parsed)
    if parsed.get_backend_name() != "sqlite":
        raise BadInput(
            "FOREPROOF_SERVICE", found=parsed.drivername, wanted="sqlite:///FILE or postgresql://...", fix="use one"
        )
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(parsed, connect_args={"timeout": timeout})

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        # None hands transactions to us: sqlite3 would begin them itself, deferred, and two writers could deadlock.
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        writes = connection.get_execution_options().get("foreproof_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


__all__ = ["METADATA", "ServiceStore", "explained"]
