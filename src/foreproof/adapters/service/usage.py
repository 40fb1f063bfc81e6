"""What was used, by tenant, hour, kind and name: counters that only grow, in whole numbers, so that sums are exact.

kind: `request` (name: the route), `job` (name: its kind, key: its id), `storage` (bytes_stored: what lay there in that hour) and
`overhead` (what a process spent outside any call).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any, Literal

import sqlalchemy as sa

from foreproof.adapters.service.store import ServiceStore
from foreproof.adapters.service.tables import USAGE, instant, stamp

By = Literal["call", "job", "day", "tenant"]
Kind = Literal["request", "job", "storage", "overhead"]
COUNTERS = ("calls", "cpu_ns", "bytes_scanned", "bytes_stored", "rows_predicted", "tokens_in", "tokens_out")
"""What adds up."""
_HOUR, _DAY = 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Used:
    """One line of usage; `cpu_ns` in nanoseconds of CPU, which may be negative in `overhead` alone (a correction)."""

    tenant: str
    at: datetime
    kind: Kind
    name: str
    key: str = ""
    calls: int = 1
    cpu_ns: int = 0
    bytes_scanned: int = 0
    bytes_stored: int = 0
    rows_predicted: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


def record(store: ServiceStore, lines: Iterable[Used]) -> None:
    """Add lines to the sums of their hours, all or none. What `storage` says is kept as the largest of its hour."""
    rows = _summed(lines)
    if not rows:
        return
    with store.writing() as connection:
        # A dialect takes a tenth of a second of a start; the one in use is there already.
        insert: Any = import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert
        draft = insert(USAGE)
        larger = sa.case(
            (USAGE.c.bytes_stored > draft.excluded.bytes_stored, USAGE.c.bytes_stored),
            else_=draft.excluded.bytes_stored,
        )
        stays = USAGE.c.kind == "storage"
        change = {name: USAGE.c[name] + draft.excluded[name] for name in COUNTERS}
        change["bytes_stored"] = sa.case((stays, larger), else_=USAGE.c.bytes_stored + draft.excluded.bytes_stored)
        keys = [column.name for column in USAGE.primary_key]
        # In one order, so that two processes never wait for each other.
        ordered = sorted(rows, key=lambda row: [str(row[name]) for name in keys])
        connection.execute(draft.on_conflict_do_update(index_elements=keys, set_=change), ordered)


def summed(
    store: ServiceStore, *, tenant: str | None, start: datetime, end: datetime, by: By = "call"
) -> list[dict[str, Any]]:
    """Sums over the hours that begin in [start, end), of a tenant or (None) of each.

    by: `call` (kind and name), `job` (each job), `day`, `tenant`. `byte_hours` is what lay there times how long;
    `bytes_stored` what calls and jobs wrote.
    """
    columns = USAGE.c
    day = (columns.at - columns.at % _DAY).label("day")
    named: dict[By, list[Any]] = {
        "call": [columns.kind, columns.name],
        "job": [columns.kind, columns.name, columns.key],
        "day": [day],
        "tenant": [],
    }
    groups = [columns.tenant, *named[by]]
    written = sa.case((columns.kind == "storage", 0), else_=columns.bytes_stored)
    lain = sa.case((columns.kind == "storage", columns.bytes_stored), else_=0)
    sums = [sa.func.sum(columns[name]).label(name) for name in COUNTERS if name != "bytes_stored"]
    sums += [sa.func.sum(written).label("bytes_stored"), sa.func.sum(lain).label("byte_hours")]
    query = sa.select(*groups, *sums).where((columns.at >= stamp(start)) & (columns.at < stamp(end)))
    if tenant is not None:
        query = query.where(columns.tenant == tenant)
    if by == "job":
        query = query.where(columns.kind == "job")
    with store.reading() as connection:
        rows = connection.execute(query.group_by(*groups).order_by(*groups)).mappings().all()
    return [_plain(row) for row in rows]


def calls_since(store: ServiceStore, tenant: str, start: datetime) -> int:
    """How many requests of a tenant are written down from an instant on."""
    columns = USAGE.c
    mine = (columns.tenant == tenant) & (columns.kind == "request") & (columns.at >= stamp(start))
    with store.reading() as connection:
        return int(
            connection.execute(sa.select(sa.func.coalesce(sa.func.sum(columns.calls), 0)).where(mine)).scalar_one()
        )


def _summed(lines: Iterable[Used]) -> list[dict[str, Any]]:
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for line in lines:
        at = stamp(line.at)
        where = {"tenant": line.tenant, "at": at - at % _HOUR, "kind": line.kind, "name": line.name, "key": line.key}
        row = found.setdefault(tuple(where.values()), where | dict.fromkeys(COUNTERS, 0))
        for name in COUNTERS:
            row[name] += getattr(line, name)
    return list(found.values())


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {str(name): value if isinstance(value, str) else int(value) for name, value in row.items()}
    if "day" in found:
        found["day"] = f"{instant(found['day']):%Y-%m-%d}"
    return found


__all__ = ["COUNTERS", "By", "Kind", "Used", "calls_since", "record", "summed"]
