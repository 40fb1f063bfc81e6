"""Slow twins of the core: loops so plain that they are right by reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def as_of(rows: Sequence[Mapping[str, Any]], keys: Sequence[str], cutoff: int) -> list[dict[str, Any]]:
    """For each key the version with the largest (known, batch) among known <= cutoff; none where it is a tombstone."""
    best: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        if row["_known"] > cutoff:
            continue
        key = tuple(row[name] for name in keys)
        held = best.get(key)
        if held is None or (row["_known"], row["_batch"]) > (held["_known"], held["_batch"]):
            best[key] = row
    return [dict(row) for row in best.values() if not row["_deleted"]]
