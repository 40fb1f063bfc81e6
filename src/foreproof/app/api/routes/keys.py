"""Who calls, and the keys of a tenant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from foreproof.adapters.service.keys import ApiKey, create_key, list_keys, revoke_key, rotate_key
from foreproof.app.api.caller import Admin, Desk, Reader, Role

PART = "tenant"
GRACE = 60
"""Minutes for which a rotated key goes on, unless the call says otherwise."""
_LONGEST_GRACE = 7 * 24 * 60
router = APIRouter(tags=["tenant"])
KeyId = Annotated[str, Path(alias="id", max_length=64, description="the id of a key, not the key")]


class Me(BaseModel):
    """Who calls."""

    tenant: str
    role: Role
    key: str


class Key(BaseModel):
    """What may be said of a key."""

    id: str
    name: str
    role: Role
    state: str
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    used: datetime | None = Field(None, description="to the minute or so; empty where it never was")
    replaced_by: str | None = None


class NewKey(Key):
    """A key as it was made: the only time that it is shown."""

    key: str


class Keys(BaseModel):
    """A page of keys."""

    items: list[Key]
    total: int
    limit: int
    offset: int


class KeyTerms(BaseModel):
    """What a new key is for."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "warehouse dashboard", "role": "reader"}]}
    )
    name: str = Field(min_length=1, max_length=100)
    role: Role
    expires: datetime | None = Field(None, description="an instant to come; UTC where it names no zone")


@router.get("/me", summary="Who calls")
async def me(desk: Reader) -> Me:
    """Tenant, role and key of the caller."""
    return Me(tenant=desk.caller.tenant, role=desk.caller.role, key=desk.caller.key)


@router.get("/keys", summary="The tenant's keys")
def keys(
    desk: Admin, limit: Annotated[int, Query(ge=1, le=1000)] = 100, offset: Annotated[int, Query(ge=0, lt=2**31)] = 0
) -> Keys:
    """Every key that the tenant ever had, oldest first, without the keys themselves."""
    found = list_keys(desk.service.store, desk.caller.tenant)
    page = [Key(**_said(key)) for key in found[offset : offset + limit]]
    return Keys(items=page, total=len(found), limit=limit, offset=offset)


@router.post("/keys", status_code=201, summary="Make a key")
def create(desk: Admin, terms: KeyTerms, response: Response) -> NewKey:
    """A key of the caller's tenant; it is shown in this answer and never again."""
    expires = terms.expires
    if expires is not None and expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    operations, now = desk.service.operations, datetime.now(UTC)
    said = {"tenant": desk.caller.tenant, "name": terms.name, "role": terms.role}
    key, text = create_key(desk.service.store, operations.secret, terms=said, now=now, expires=expires)
    return _made(desk, key, text, response)


@router.post("/keys/{id}/rotate", status_code=201, summary="Replace a key")
def rotate(
    desk: Admin, key_id: KeyId, response: Response, grace: Annotated[int, Query(ge=0, le=_LONGEST_GRACE)] = GRACE
) -> NewKey:
    """Another key with the same name, role and end; the old one goes on for `grace` minutes."""
    now, later = datetime.now(UTC), timedelta(minutes=grace)
    secret = desk.service.operations.secret
    key, text = rotate_key(desk.service.store, secret, tenant=desk.caller.tenant, key_id=key_id, now=now, grace=later)
    return _made(desk, key, text, response)


@router.delete("/keys/{id}", summary="Revoke a key")
def revoke(desk: Admin, key_id: KeyId) -> Key:
    """Close a key for good: here at once, in other processes within five seconds."""
    key = revoke_key(desk.service.store, tenant=desk.caller.tenant, key_id=key_id, now=datetime.now(UTC))
    desk.service.operations.identity.forget()
    return Key(**_said(key))


def _made(desk: Desk, key: ApiKey, text: str, response: Response) -> NewKey:
    desk.service.operations.identity.forget()
    response.headers["Cache-Control"] = "no-store"
    return NewKey(key=text, **_said(key))


def _said(key: ApiKey) -> dict[str, Any]:
    names = ("id", "name", "role", "created", "expires", "revoked", "used", "replaced_by")
    return {name: getattr(key, name) for name in names} | {"state": key.state(datetime.now(UTC))}


__all__ = ["GRACE", "PART", "Key", "KeyTerms", "Keys", "Me", "NewKey", "router"]
