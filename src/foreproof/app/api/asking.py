"""How a route asks for a job: a row of the service's store, which the next free worker takes up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from foreproof.adapters.service import jobs
from foreproof.app.api.caller import Desk
from foreproof.app.jobs.kinds import parse_request


def submit(desk: Desk, kind: str, given: Mapping[str, Any], *, workload: str = "") -> dict[str, str]:
    """Keep a job of the caller's tenant; its id and status. Raises BadInput for a request that makes no sense."""
    request, place = parse_request(kind, given), desk.place(workload)
    now = datetime.now(UTC).isoformat()
    job = jobs.Job(jobs.new_id(), place.tenant, place.name, kind, request, now, by=desk.caller.key)
    jobs.submit(desk.service.store, job)
    return {"job": job.id, "status": job.status}


__all__ = ["submit"]
