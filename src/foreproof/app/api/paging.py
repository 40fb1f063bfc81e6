"""Paging: every list takes `limit` and `offset`, and says how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query

Limit = Annotated[int, Query(ge=1, le=1000, description="how many items at most")]
Offset = Annotated[int, Query(ge=0, le=2**53, description="how many items to pass over")]


def page_of(items: Sequence[Any], *, limit: int, offset: int, total: int | None = None) -> dict[str, Any]:
    """A page of a list, or, with `total`, of items that were cut out already."""
    cut = items if total is not None else items[offset : offset + limit]
    return {"items": list(cut), "total": len(items) if total is None else total, "limit": limit, "offset": offset}


__all__ = ["Limit", "Offset", "page_of"]
