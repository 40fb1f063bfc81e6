"""Answers to writes, kept by key of idempotency for a day, so that a repeated write has one effect, also after a restart.

A row without a status belongs to a call that is under way; its process says every second that it still lives, and a row whose
process fell silent may be taken over. Bodies are sealed (AES-GCM under the service's secret): an answer may hold a key.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from foreproof.adapters.service.store import ServiceStore
from foreproof.adapters.service.tables import ANSWERS, stamp
from foreproof.errors import IntegrityError

KEPT = timedelta(hours=24)
"""How long an answer is kept."""
SILENT = timedelta(seconds=5)
"""After how long without a word of its process a call under way counts as cut off."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which write it is: whose, where, under which key, and the digest of what was sent."""

    tenant: str
    method: str
    path: str
    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: status, the headers that matter, body."""

    status: int
    head: Mapping[str, str]
    body: bytes


State = Literal["new", "under way", "other body"]


def begin(store: ServiceStore, secret: bytes, asked: Asked, *, owner: str, now: datetime) -> Answer | State:
    """The kept answer; or `new`: the call is ours to make; or why it is not. Raises IntegrityError for a seal that is broken."""
    where = _where(asked)
    row: Mapping[Any, Any] | None
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            # Two first calls at once: the lock is on the key, since there is no row yet.
            number = int.from_bytes(hashlib.sha256(repr((asked.tenant, asked.key)).encode()).digest()[:8], signed=True)
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": number})
        row = connection.execute(sa.select(ANSWERS).where(where)).mappings().first()
        if row is not None and row["created"] >= stamp(now - KEPT):
            if bytes(row["digest"]) != asked.digest:
                return "other body"
            if row["status"] is not None:
                return _opened(secret, asked, row)
            if row["beat"] >= stamp(now - SILENT):
                return "under way"
        connection.execute(sa.delete(ANSWERS).where(where))
        times = {"owner": owner, "beat": stamp(now), "created": stamp(now)}
        connection.execute(sa.insert(ANSWERS).values(**_named(asked), digest=asked.digest, **times))
    return "new"


def finish(store: ServiceStore, secret: bytes, asked: Asked, *, owner: str, answer: Answer | None) -> None:
    """Keep the answer of a call that was ours, or (None) forget the call, so that it can be made again."""
    mine = _where(asked) & (ANSWERS.c.owner == owner) & (ANSWERS.c.status.is_(None))
    with store.writing() as connection:
        if answer is None:
            connection.execute(sa.delete(ANSWERS).where(mine))
            return
        nonce = secrets.token_bytes(12)
        sealed = nonce + AESGCM(_sealing(secret)).encrypt(nonce, answer.body, _label(asked))
        kept = {"status": answer.status, "head": json.dumps(dict(answer.head)), "body": sealed}
        connection.execute(sa.update(ANSWERS).where(mine).values(**kept))


def still_here(store: ServiceStore, *, owner: str, now: datetime) -> None:
    """Say that the calls under way of a process are not cut off."""
    mine = (ANSWERS.c.owner == owner) & (ANSWERS.c.status.is_(None))
    with store.writing() as connection:
        connection.execute(sa.update(ANSWERS).where(mine).values(beat=stamp(now)))


def forget_old(store: ServiceStore, *, now: datetime) -> None:
    """Drop the answers that were kept for a day."""
    with store.writing() as connection:
        connection.execute(sa.delete(ANSWERS).where(ANSWERS.c.created < stamp(now - KEPT)))


def _opened(secret: bytes, asked: Asked, row: Mapping[Any, Any]) -> Answer:
    sealed = bytes(row["body"])
    try:
        body = AESGCM(_sealing(secret)).decrypt(sealed[:12], sealed[12:], _label(asked))
    except InvalidTag:
        raise IntegrityError(
            f"Idempotency-Key {asked.key}",
            found="an answer that was sealed under another secret",
            wanted="the FOREPROOF_KEY_SECRET of then",
            fix="look whether the write was made, and use another key",
        ) from None
    return Answer(row["status"], json.loads(row["head"]), body)


def _sealing(secret: bytes) -> bytes:
    return hashlib.sha256(b"foreproof answers\0" + secret).digest()


def _label(asked: Asked) -> bytes:
    return json.dumps([asked.tenant, asked.method, asked.path, asked.key, asked.digest.hex()]).encode()


def _named(asked: Asked) -> dict[str, str]:
    return {"tenant": asked.tenant, "method": asked.method, "path": asked.path, "key": asked.key}


def _where(asked: Asked) -> sa.ColumnElement[bool]:
    return sa.and_(*(ANSWERS.c[name] == value for name, value in _named(asked).items()))


__all__ = ["KEPT", "SILENT", "Answer", "Asked", "State", "begin", "finish", "forget_old", "still_here"]
