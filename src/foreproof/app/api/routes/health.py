"""Whether the service lives and can answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from foreproof.app.api.caller import Service

PART = "health"
router = APIRouter(tags=["health"])


@router.get("/health/live", summary="The process answers")
async def live() -> dict[str, str]:
    """Always `{"status": "live"}`: for a supervisor that restarts what does not answer."""
    return {"status": "live"}


@router.get("/health/ready", summary="The stores answer", responses={503: {"description": "a store does not answer"}})
def ready(request: Request) -> JSONResponse:
    """Each store and whether it answers; 503 where one does not."""
    service: Service = request.app.state.service
    stores: dict[str, Any] = {"service": service.store.answers()}
    stores["home"] = service.home.folder.is_dir()
    fine = all(stores.values())
    return JSONResponse(
        {"status": "ready" if fine else "not ready", "stores": stores}, status_code=200 if fine else 503
    )


__all__ = ["PART", "router"]
