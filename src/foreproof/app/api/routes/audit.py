"""Who wrote what and when."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from foreproof.adapters.service.audit import read_entries
from foreproof.app.api.caller import Admin

PART = "tenant"
router = APIRouter(tags=["tenant"])


class AuditEntry(BaseModel):
    """One write. body: SHA-256 of what was sent; request: the id under which the logs have it."""

    at: str
    key: str
    role: str
    method: str
    route: str
    path: str
    status: int
    request: str
    body: str


class AuditPage(BaseModel):
    """A page of writes, newest first."""

    items: list[AuditEntry]
    total: int
    limit: int
    offset: int


@router.get("/audit", summary="Every write of the tenant")
def audit(
    desk: Admin, limit: Annotated[int, Query(ge=1, le=1000)] = 100, offset: Annotated[int, Query(ge=0, lt=2**31)] = 0
) -> AuditPage:
    """Each call that writes, with how it ended, newest first; also those that were refused."""
    total, rows = read_entries(desk.service.store, desk.caller.tenant, limit=limit, offset=offset)
    return AuditPage(items=[AuditEntry(**row) for row in rows], total=total, limit=limit, offset=offset)


__all__ = ["PART", "AuditEntry", "AuditPage", "router"]
