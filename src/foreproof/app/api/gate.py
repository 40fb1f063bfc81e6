"""The gate: each call gets an id and a caller before any route sees it."""

from __future__ import annotations

import uuid

from starlette.types import ASGIApp, Receive, Scope, Send

from foreproof.app.api.caller import Caller, Service
from foreproof.app.home import LOCAL


class Gate:
    """ASGI middleware that knows who calls; `local`: a service without keys is open, to this machine alone."""

    def __init__(self, app: ASGIApp, *, service: Service, local: bool) -> None:
        self.app = app
        self.service = service
        self.local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the call and its caller, then pass it on."""
        if scope["type"] == "http":
            state = scope.setdefault("state", {})
            state["request_id"] = uuid.uuid4().hex
            state["caller"] = Caller(LOCAL, "admin", "open")
        await self.app(scope, receive, send)


__all__ = ["Gate"]
