"""Jobs: asked for here, done by a worker; their progress, what they said, and what schedules ask for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from foreproof.adapters.service import jobs
from foreproof.app.api.asking import submit
from foreproof.app.api.caller import Analyst, Desk, Reader
from foreproof.app.jobs.dispatch import listed
from foreproof.app.jobs.kinds import KINDS

PART = "jobs"
router = APIRouter(tags=["jobs"])
_LOOK = 0.3
"""Seconds between two looks for new events of a job that somebody follows."""
_HOUR = 3600.0
JobId = Annotated[str, Path(max_length=64, description="the id that asking for the job gave")]


class JobAsked(BaseModel):
    """A job to be done: its kind, and what that kind needs beside."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"kind": "run"}, {"kind": "publish", "run": "a1b2c3d4e5f6"}]},
    )

    kind: str = Field(description=f"one of {', '.join(KINDS)}", max_length=64)
    run: str | None = Field(None, description="publish: which run, the newest whole one without it", max_length=200)
    name: str | None = Field(None, description="scenario: the name of a kept one", max_length=200)
    price: float | None = Field(None, description="scenario: money that a unit more brings", allow_inf_nan=False)


@router.post("/jobs", status_code=202, summary="Ask for a job")
def ask(desk: Analyst, asked: Annotated[JobAsked, Body()]) -> JSONResponse:
    """Keep a job for the next free worker; from this answer on it is not lost. `GET /jobs/{job}` says how it is doing."""
    return JSONResponse(
        submit(desk, asked.kind, asked.model_dump(exclude={"kind"}, exclude_none=True)), status_code=202
    )


@router.get("/jobs", summary="Jobs, newest first")
def list_jobs(
    desk: Reader,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many")] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31, description="after how many")] = 0,
) -> dict[str, Any]:
    """A page of the tenant's jobs (of one project where `project` names it), without their steps."""
    project = desk.place().name if desk.project else ""
    found, total = jobs.page(desk.service.store, desk.caller.tenant, limit=limit, offset=offset, project=project)
    return {"items": [_said(one) for one in found], "total": total, "limit": limit, "offset": offset}


@router.get("/jobs/{job}", summary="One job: status, progress, steps with their costs")
def show(desk: Reader, job: JobId) -> dict[str, Any]:
    """How a job is doing. `steps` are those that it began; one that a killed worker left is `interrupted`, then begun again."""
    store, tenant = desk.service.store, desk.caller.tenant
    found = jobs.find(store, tenant, job)
    steps = jobs.events(store, tenant, job, kinds=("step",))
    progress = jobs.progress(store, tenant, job)
    return {**_said(found), "progress": progress, "steps": _steps(steps)}


@router.get(
    "/jobs/{job}/events",
    summary="What happened to a job",
    response_model=None,
    responses={200: {"content": {"text/event-stream": {}}}},
)
def events(
    request: Request,
    desk: Reader,
    job: JobId,
    after: Annotated[int, Query(ge=-1, le=2**31, description="the number of the last event that is known")] = -1,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many at most")] = 1000,
) -> dict[str, Any] | Response:
    """Events after a number: `progress`, `log`, `step`, `status`. With `Accept: text/event-stream` they come as they happen."""
    store, tenant = desk.service.store, desk.caller.tenant
    jobs.find(store, tenant, job)
    if "text/event-stream" in request.headers.get("accept", ""):
        last = request.headers.get("last-event-id", "")
        start = max(after, int(last)) if last.isdecimal() and len(last) < 10 else after
        return StreamingResponse(_follow(desk, job, start), media_type="text/event-stream")
    return {"items": jobs.events(store, tenant, job, after=after, limit=limit)}


@router.post("/jobs/{job}/cancel", summary="Stop a job")
def cancel(desk: Analyst, job: JobId) -> dict[str, Any]:
    """One that waits is cancelled at once, one that runs within a second; what its finished steps did stays."""
    return _said(jobs.cancel(desk.service.store, desk.caller.tenant, job, _now()))


@router.get("/schedules", summary="What schedules ask for, and when next")
def schedules(desk: Reader) -> dict[str, Any]:
    """The cron words of each project's plan, with the next time and the last job that they asked for."""
    places = [desk.place()] if desk.project else desk.places()
    return {"items": [row for place in places for row in listed(place, desk.service.store, _now())]}


async def _follow(desk: Desk, job: str, after: int) -> AsyncIterator[str]:
    """Server-sent events until the job has ended and all was said, or for an hour: the reader asks again where it was."""
    store, tenant = desk.service.store, desk.caller.tenant
    for _ in range(round(_HOUR / _LOOK)):
        ended = (await run_in_threadpool(jobs.find, store, tenant, job)).ended
        found = await run_in_threadpool(partial(jobs.events, store, tenant, job, after=after))
        for one in found:
            after = int(one["n"])
            yield f"id: {after}\nevent: {one['event']}\ndata: {json.dumps(one)}\n\n"
        if ended and not found:
            return
        await asyncio.sleep(0 if found else _LOOK)


def _said(job: jobs.Job) -> dict[str, Any]:
    names = ("kind", "project", "status", "by", "due", "request", "result", "error", "created", "started", "finished")
    return {"job": job.id, **{name: getattr(job, name) for name in names}}


def _steps(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each step in the order in which it was begun: its newest status, the seconds and CPU seconds of all tries."""
    found: dict[str, dict[str, Any]] = {}
    for one in told:
        step = found.setdefault(one["name"], {"name": one["name"], "status": "", "seconds": 0.0, "cpu_seconds": 0.0})
        step["status"] = one["status"]
        for cost in ("seconds", "cpu_seconds"):
            step[cost] = round(step[cost] + one.get(cost, 0.0), 3)
    return list(found.values())


def _now() -> datetime:
    return datetime.now(UTC)


__all__ = ["PART", "JobAsked", "router", "submit"]
