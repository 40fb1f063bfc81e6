"""API keys: 256 random bits that are shown once and kept as a keyed hash.

A key reads `fp_ID_SECRET`: the id says which row to look at and may be spoken of; the hash is HMAC-SHA256 of the whole key
under the service's secret, so a stolen table opens nothing.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from foreproof.adapters.service.store import ServiceStore
from foreproof.adapters.service.tables import KEYS, instant, stamp
from foreproof.errors import BadInput, NotFound

ROLES = ("reader", "analyst", "admin")
"""Each may do what those before it may."""
_LONGEST_NAME = 100
_ALIKE = frozenset("abcdefghijklmnopqrstuvwxyz234567")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key and may be shown: never the key itself."""

    id: str
    tenant: str
    name: str
    role: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    used: datetime | None
    replaced_by: str | None

    def state(self, now: datetime) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"


def create_key(
    store: ServiceStore, secret: bytes, *, terms: Mapping[str, str], now: datetime, expires: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key, and its text, which nobody can read again. terms: `tenant`, `name`, `role`.

    Raises BadInput for an unknown role, a name that is empty or over 100 characters, or an end that has passed.
    """
    role, name = terms["role"], terms["name"].strip()
    if role not in ROLES:
        raise BadInput("role", found=repr(role), wanted=", ".join(ROLES))
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise BadInput("name of the key", found=f"{len(name)} characters", wanted=f"1 to {_LONGEST_NAME}, printable")
    if expires is not None and expires <= now:
        raise BadInput("expires", found=f"{expires:%Y-%m-%d %H:%M} UTC", wanted="an instant that is to come")
    text = f"fp_{_letters(5)}_{_letters(32)}"
    key = ApiKey(text[3:11], terms["tenant"], name, role, now, expires, None, None, None)
    with store.writing() as connection:
        connection.execute(sa.insert(KEYS).values(**_row(key), digest=keyed_hash(secret, text)))
    return key, text


def rotate_key(
    store: ServiceStore, secret: bytes, *, tenant: str, key_id: str, now: datetime, grace: timedelta
) -> tuple[ApiKey, str]:
    """Another key in the place of one, which goes on for `grace`; name, role and end stay. Raises NotFound, BadInput."""
    old = _of(store, tenant, key_id)
    if old.state(now) != "active":
        raise BadInput(f"key {key_id}", found=old.state(now), wanted="an active one", fix="create another")
    terms = {"tenant": tenant, "name": old.name, "role": old.role}
    new, text = create_key(store, secret, terms=terms, now=now, expires=old.expires)
    end = now + grace if old.expires is None else min(old.expires, now + grace)
    with store.writing() as connection:
        changed = {"expires": stamp(end), "replaced_by": new.id}
        connection.execute(sa.update(KEYS).where(KEYS.c.id == key_id).values(**changed))
    return new, text


def revoke_key(store: ServiceStore, *, tenant: str, key_id: str, now: datetime) -> ApiKey:
    """Close a key for good; once revoked it stays so, with the first instant. Raises NotFound where the tenant has none such."""
    _of(store, tenant, key_id)
    with store.writing() as connection:
        mine = (KEYS.c.id == key_id) & (KEYS.c.revoked.is_(None))
        connection.execute(sa.update(KEYS).where(mine).values(revoked=stamp(now)))
    return _of(store, tenant, key_id)


def list_keys(store: ServiceStore, tenant: str | None = None) -> tuple[ApiKey, ...]:
    """The keys of a tenant, or of all, oldest first."""
    query = sa.select(KEYS).order_by(KEYS.c.created, KEYS.c.id)
    if tenant is not None:
        query = query.where(KEYS.c.tenant == tenant)
    with store.reading() as connection:
        return tuple(_key(row) for row in connection.execute(query).mappings())


def find_key(store: ServiceStore, secret: bytes, text: str) -> ApiKey | None:
    """The key of a text, whatever its state; None for one that was never made."""
    if not _looks_like_one(text):
        return None
    with store.reading() as connection:
        row = connection.execute(sa.select(KEYS).where(KEYS.c.id == text[3:11])).mappings().first()
    # Compared in constant time, also where there is nothing to compare with.
    kept = bytes(row["digest"]) if row is not None else b"\0" * 32
    fits = hmac.compare_digest(kept, keyed_hash(secret, text))
    return _key(row) if row is not None and fits else None


def any_key(store: ServiceStore) -> bool:
    """Whether any tenant ever had a key: a home with one is never open again."""
    with store.reading() as connection:
        return connection.execute(sa.select(KEYS.c.id).limit(1)).first() is not None


def touch_keys(store: ServiceStore, used: Mapping[str, datetime]) -> None:
    """Write down when keys were last used."""
    if used:
        change = sa.update(KEYS).where(KEYS.c.id == sa.bindparam("key")).values(used=sa.bindparam("at"))
        with store.writing() as connection:
            connection.execute(change, [{"key": one, "at": stamp(at)} for one, at in used.items()])


def keyed_hash(secret: bytes, text: str) -> bytes:
    """HMAC-SHA256 of a key: what is kept of it."""
    return hmac.digest(secret, text.encode(), "sha256")


def _letters(count: int) -> str:
    return base64.b32encode(secrets.token_bytes(count)).decode().rstrip("=").lower()


def _looks_like_one(text: str) -> bool:
    return len(text) == 64 and text[:3] == "fp_" and text[11] == "_" and set(text[3:11] + text[12:]) <= _ALIKE


def _of(store: ServiceStore, tenant: str, key_id: str) -> ApiKey:
    query = sa.select(KEYS).where((KEYS.c.id == key_id) & (KEYS.c.tenant == tenant))
    with store.reading() as connection:
        # PostgreSQL refuses a text with a zero in it; no id has one, so there is nothing to look for.
        row = connection.execute(query).mappings().first() if key_id.isalnum() else None
    if row is None:
        raise NotFound(
            f"key {key_id}", found="no such key", wanted="the id of a key of this tenant", fix="list the keys"
        )
    return _key(row)


def _row(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "tenant": key.tenant,
        "name": key.name,
        "role": key.role,
        "created": stamp(key.created),
        "expires": None if key.expires is None else stamp(key.expires),
    }


def _key(row: Mapping[Any, Any]) -> ApiKey:
    at: dict[str, Any] = {
        name: None if row[name] is None else instant(row[name]) for name in ("created", "expires", "revoked", "used")
    }
    said: dict[str, Any] = {name: row[name] for name in ("id", "tenant", "name", "role", "replaced_by")}
    return ApiKey(**said, **at)


__all__ = [
    "ROLES",
    "ApiKey",
    "any_key",
    "create_key",
    "find_key",
    "keyed_hash",
    "list_keys",
    "revoke_key",
    "rotate_key",
    "touch_keys",
]
