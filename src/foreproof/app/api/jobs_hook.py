"""How other parts start a job: by `app.state.start_job` where the application sets it, else by the part of the jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from fastapi import Request

from foreproof.app.api.caller import Desk
from foreproof.errors import NotFound

Start = Callable[[Desk, str, Mapping[str, Any]], Mapping[str, Any]]
"""(desk, kind, what the kind needs beside) -> `job` and `status`."""
_JOBS = "foreproof.app.api.routes.jobs"


def start_job(request: Request, desk: Desk, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Start a job of the caller's tenant; its `job` and `status`. Raises NotFound where this service has no part that does."""
    start: Start | None = getattr(request.app.state, "start_job", None)
    if start is None:
        try:
            start = import_module(_JOBS).submit
        except ModuleNotFoundError:
            raise NotFound(f"job {kind}", found="this service starts no jobs", fix=f"foreproof {kind}") from None
    return dict(start(desk, kind, given))


__all__ = ["Start", "start_job"]
