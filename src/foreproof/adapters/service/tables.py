"""The tables of tenants and operations: keys, usage, audit, answers that are kept. Instants are whole milliseconds of UTC.

What is here is what the newest migration leaves behind (`migrations/versions`); a test holds the two together.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from foreproof.adapters.service.store import METADATA

_COUNT = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers rows by itself under this type alone

KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger),
    sa.Column("revoked", sa.BigInteger),
    sa.Column("used", sa.BigInteger),
    sa.Column("replaced_by", sa.Text),
)
"""API keys, each as a keyed hash."""

USAGE = sa.Table(
    "usage",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("cpu_ns", sa.BigInteger, nullable=False),
    sa.Column("bytes_scanned", sa.BigInteger, nullable=False),
    sa.Column("bytes_stored", sa.BigInteger, nullable=False),
    sa.Column("rows_predicted", sa.BigInteger, nullable=False),
    sa.Column("tokens_in", sa.BigInteger, nullable=False),
    sa.Column("tokens_out", sa.BigInteger, nullable=False),
    sa.Index("ix_usage_at", "at"),
)
"""What was used, summed by the hour."""

AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("id", _COUNT, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("ix_audit_tenant", "tenant", "id"),
)
"""One row a write: who, when, what, how it ended, and the digest of what was sent."""

ANSWERS = sa.Table(
    "answers",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("method", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("beat", sa.BigInteger, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("head", sa.Text),
    sa.Column("body", sa.LargeBinary),
    sa.Index("ix_answers_created", "created"),
)
"""Answers to writes with a key of idempotency; without a status while the first call is under way."""


def stamp(at: datetime) -> int:
    """An instant as the tables keep it."""
    return round(at.timestamp() * 1000)


def instant(at: int) -> datetime:
    """What `stamp` was made of, to the millisecond."""
    return datetime.fromtimestamp(at / 1000, tz=UTC)


__all__ = ["ANSWERS", "AUDIT", "KEYS", "USAGE", "instant", "stamp"]
