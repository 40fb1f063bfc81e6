"""Who wrote what and when: one row a write, without what was sent (its digest is there), which nothing here ever changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from foreproof.adapters.service.store import ServiceStore
from foreproof.adapters.service.tables import AUDIT, instant, stamp


@dataclass(frozen=True, slots=True)
class Entry:
    """One write. request: its id; body: SHA-256 of what was sent, in hex, empty where nothing was."""

    tenant: str
    at: datetime
    key: str
    role: str
    method: str
    route: str
    path: str
    status: int
    request: str
    body: str


def write_entries(store: ServiceStore, entries: Iterable[Entry]) -> None:
    """Add entries, all or none."""
    rows = [asdict(entry) | {"at": stamp(entry.at)} for entry in entries]
    if rows:
        with store.writing() as connection:
            connection.execute(sa.insert(AUDIT), rows)


def read_entries(store: ServiceStore, tenant: str, *, limit: int, offset: int) -> tuple[int, list[dict[str, Any]]]:
    """How many entries a tenant has, and a page of them, newest first."""
    mine = AUDIT.c.tenant == tenant
    page = sa.select(AUDIT).where(mine).order_by(AUDIT.c.id.desc()).limit(limit).offset(offset)
    with store.reading() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(AUDIT).where(mine)).scalar_one()
        rows = connection.execute(page).mappings().all()
    hidden = ("id", "tenant")
    found = [{str(name): value for name, value in row.items() if name not in hidden} for row in rows]
    return int(total), [row | {"at": instant(row["at"]).isoformat(timespec="milliseconds")} for row in found]


__all__ = ["Entry", "read_entries", "write_entries"]
