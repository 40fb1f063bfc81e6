"""The tables of the service come and go by migrations: one file a revision, numbered, each with a way up and a way down."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from foreproof.adapters.service.store import ServiceStore
from foreproof.errors import BadInput, StoreError

VERSION_TABLE = "foreproof_version"
"""Where a database says which revision it is at: a name of our own, since an application may keep its tables beside ours."""
BASE = "base"
"""Before the first revision: no table at all."""
_FOLDER = Path(__file__).parent / "migrations"
_LOCK_KEY = 7_302_406_964


def revisions() -> tuple[str, ...]:
    """Every revision, oldest first: `0001`, `0002`, ..."""
    found = (re.match(r"(\d{4})_\w+\.py$", path.name) for path in (_FOLDER / "versions").iterdir())
    return tuple(sorted(match[1] for match in found if match))


def current(store: ServiceStore) -> str:
    """The revision of a database; `base` for an empty one. Raises StoreError where it does not answer."""
    with store.reading() as connection:
        return _current(connection)


def migrate(store: ServiceStore, *, to: str = "head") -> tuple[str, str]:
    """Bring the tables to a revision, up or down, in one transaction under the store's lock; the revision before and after.

    A way down drops what the earlier revision did not have, and keeps the rest. Raises BadInput for a revision that is not there,
    StoreError for a database that a newer Foreproof made.
    """
    from alembic import command
    from alembic.config import Config

    known = revisions()
    wanted = known[-1] if to == "head" else to
    if wanted not in (BASE, *known):
        raise BadInput("--to", found=repr(to), wanted=f"head, base or one of {', '.join(known)}")
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        # Read under the lock: another process may just have done the same.
        before = _known(store, _current(connection), known)
        config.attributes["connection"] = connection
        if _place(wanted, known) > _place(before, known):
            command.upgrade(config, wanted)
        elif wanted != before:
            command.downgrade(config, wanted)
    return before, wanted


def open_store(url: str) -> ServiceStore:
    """The store at a URL with the newest tables, made or brought there where they are not."""
    store = ServiceStore(url)
    known = revisions()
    # alembic is a third of a second that a start on a database which is as it should be does not spend.
    if _known(store, current(store), known) != known[-1]:
        migrate(store)
    return store


def _current(connection: Connection) -> str:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return BASE
    found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return str(found) if found is not None else BASE


def _known(store: ServiceStore, found: str, known: tuple[str, ...]) -> str:
    if found not in (BASE, *known):
        subject = f"service store {sa.make_url(store.url).render_as_string(hide_password=True)}"
        raise StoreError(
            subject,
            found=f"revision {found}",
            wanted=f"{known[-1]} at most",
            fix="use the newer Foreproof that made it",
        )
    return found


def _place(revision: str, known: tuple[str, ...]) -> int:
    return -1 if revision == BASE else known.index(revision)


__all__ = ["BASE", "VERSION_TABLE", "current", "migrate", "open_store", "revisions"]
