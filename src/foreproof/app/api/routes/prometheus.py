"""Numbers for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from foreproof.app.api.caller import Caller, Service
from foreproof.app.api.numbers import CONTENT_TYPE
from foreproof.app.home import LOCAL
from foreproof.errors import Denied

PART = "health"
router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"example": 'foreproof_jobs{status="running"} 1.0'}}}},
)
def metrics(request: Request) -> Response:
    """Requests, latency, jobs, data age, proof state, log growth; of every tenant, so for an admin of tenant `local` alone.

    A service that listens on this machine alone tells them without a key, except to a call that a proxy passed on.
    """
    service: Service = request.app.state.service
    caller: Caller = request.state.caller
    if caller.key not in ("public", "open") and (caller.tenant, caller.role) != (LOCAL, "admin"):
        raise Denied(
            f"key {caller.key}",
            found=f"role {caller.role}",
            wanted="an admin of the service's own tenant",
            known=True,
            fix="ask who runs the service",
        )
    return Response(service.operations.numbers.text(), media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


__all__ = ["PART", "router"]
