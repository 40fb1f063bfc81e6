"""An engine of PostgreSQL in a schema of its own: projects and tenants share a database, and see nothing of each other."""

from __future__ import annotations

import re

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine

from foreproof.errors import BadInput

_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_LOCK_KEY = 7_302_406_963
_PATIENCE = {"connect_timeout": 5, "keepalives_idle": 15, "keepalives_interval": 5, "tcp_user_timeout": 10_000}
"""For libpq: a server that takes no connection in seconds, or that no longer acknowledges what was sent (ms), is gone."""


def postgres_engine(url: URL) -> Engine:
    """An engine whose connections work in the schema that the URL names (`?schema=NAME`, made where it is not there).

    Without one they work where the database puts them. Time-outs of the URL come before ours. Raises BadInput for a name that
    would need quotes.
    """
    schema = url.query.get("schema")
    plain = url.difference_update_query(["schema"])
    patience = {name: value for name, value in _PATIENCE.items() if name not in plain.query}
    if schema is None:
        return sa.create_engine(plain, pool_pre_ping=True, connect_args=patience)
    if not isinstance(schema, str) or not _SCHEMA_NAME.fullmatch(schema):
        raise BadInput("database", found=f"schema {schema!r}", wanted="lower-case letters, digits and _")
    once = sa.create_engine(plain, poolclass=sa.NullPool, connect_args=patience)
    with once.begin() as connection:
        # Two processes that make the same schema at once would fail without a lock.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    return sa.create_engine(plain, pool_pre_ping=True, connect_args={**patience, "options": f"-csearch_path={schema}"})


__all__ = ["postgres_engine"]
