"""How other parts start a job: the part of the jobs puts its own function on the application, where it is served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from fastapi import Request

from foreproof.app.api.caller import Desk
from foreproof.errors import NotFound

Start = Callable[[Desk, Mapping[str, Any]], dict[str, Any]]
"""(desk, what `POST /jobs` takes) -> {job, status}."""


def start_job(request: Request, desk: Desk, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Start a job by `app.state.start_job`. Raises NotFound where this service runs no jobs."""
    start = getattr(request.app.state, "start_job", None)
    if start is None:
        raise NotFound(
            f"job {asked['kind']}",
            found="this service starts no jobs",
            wanted="one with the part jobs",
            fix="foreproof serve without --only, and foreproof worker",
        )
    return cast(Start, start)(desk, asked)


__all__ = ["Start", "start_job"]
