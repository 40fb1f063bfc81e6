"""Who calls, and what that call may touch: the one dependency through which every route reaches a tenant's things."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Depends, Query, Request

from foreproof.adapters.service.store import ServiceStore
from foreproof.app.api.archive import Archive
from foreproof.app.api.caching import Answers
from foreproof.app.api.models import ModelShelf
from foreproof.app.api.published import Published, Shelves
from foreproof.app.home import Home, Place
from foreproof.errors import Denied

if TYPE_CHECKING:
    from foreproof.app.api.operations import Operations

Role = Literal["reader", "analyst", "admin"]
ROLES: tuple[Role, ...] = ("reader", "analyst", "admin")
"""Each may do what those before it may: read; compute, load and start jobs; keys, promotion and restoring."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the tenant, the role, and by which key (`open` where a local service asks for none, `oidc:SUBJECT`)."""

    tenant: str
    role: Role
    key: str


@dataclass(frozen=True, slots=True)
class Service:
    """What a running service holds: its home, its store, what it has read of runs, and who may ask for how much."""

    home: Home
    store: ServiceStore
    shelves: Shelves
    operations: Operations
    archive: Archive = field(default_factory=Archive)
    answers: Answers = field(default_factory=Answers)
    models: ModelShelf = field(default_factory=ModelShelf)


@dataclass(frozen=True, slots=True)
class Desk:
    """One call at one tenant's projects; nothing of another tenant can be reached from here."""

    caller: Caller
    service: Service
    project: str

    def place(self, workload: str = "") -> Place:
        """The project that the call names, or the tenant's first (of a workload). Raises NotFound."""
        return self.service.home.place(self.caller.tenant, self.project, workload=workload)

    def places(self) -> tuple[Place, ...]:
        """All projects of the caller's tenant."""
        return self.service.home.places(self.caller.tenant)

    def published(self, workload: str = "") -> Published:
        """What the named project serves now. Raises NotFound where nothing was published yet."""
        return self.service.shelves.published(self.place(workload))

    def asks(self, role: Role) -> None:
        """Raises Denied where the caller's role is smaller."""
        if ROLES.index(self.caller.role) < ROLES.index(role):
            raise Denied(
                f"key {self.caller.key}",
                found=f"role {self.caller.role}",
                wanted=f"role {role}",
                known=True,
                fix="ask an admin of the tenant for another key",
            )


Project = Annotated[str, Query(description="name of a project; the tenant's first one without it", max_length=64)]


async def reader(request: Request, project: Project = "") -> Desk:
    """The desk of a call that reads."""
    return Desk(request.state.caller, request.app.state.service, project)


async def analyst(desk: Annotated[Desk, Depends(reader)]) -> Desk:
    """The desk of a call that computes, loads or starts a job."""
    desk.asks("analyst")
    return desk


async def admin(desk: Annotated[Desk, Depends(reader)]) -> Desk:
    """The desk of a call that changes who may call, or what is served."""
    desk.asks("admin")
    return desk


Reader = Annotated[Desk, Depends(reader)]
Analyst = Annotated[Desk, Depends(analyst)]
Admin = Annotated[Desk, Depends(admin)]

__all__ = [
    "ROLES",
    "Admin",
    "Analyst",
    "Caller",
    "Desk",
    "Project",
    "Reader",
    "Role",
    "Service",
    "admin",
    "analyst",
    "reader",
]
