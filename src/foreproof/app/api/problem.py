"""Errors over HTTP: problem+json (RFC 9457) that carries object, found, wanted and fix, as the command line does."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from foreproof.errors import Denied, ForeproofError, IntegrityError, LawError, MissingExtra, NotFound, StoreError

MEDIA = "application/problem+json"


class Problem(BaseModel):
    """What went wrong, in the words of the command line."""

    type: str = Field("about:blank", description="the class of error")
    title: str
    status: int
    object: str = ""
    found: str = ""
    wanted: str = ""
    fix: str = ""
    instance: str = Field("", description="the id of the request, as the logs have it")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": words, "content": {MEDIA: {}}}
    for status, words in (
        (401, "no key, or one that is not known, was revoked or has expired"),
        (403, "the role is too small"),
        (404, "not found among what the tenant has"),
        (409, "it stands against what is there: a proof that failed, a key of idempotency used for something else"),
        (413, "the body is too large"),
        (422, "what was sent cannot be used"),
        (429, "too many requests"),
        (503, "a store does not answer; try again"),
    )
}
"""What any route may answer beside its own."""


def status_of(error: ForeproofError) -> int:
    """The HTTP status of an error of ours."""
    match error:
        case Denied():
            return 403 if error.known else 401
        case NotFound():
            return 404
        case IntegrityError():
            return 409
        case StoreError():
            return 503
        case MissingExtra():
            return 501
        case LawError():
            return 422
        case _:
            return 422


def problem(status: int, title: str, *, request: Request | None = None, **said: str) -> JSONResponse:
    """A problem as a response. said: `object`, `found`, `wanted`, `fix`, `type`."""
    instance = str(getattr(request.state, "request_id", "")) if request is not None else ""
    found = Problem(title=title, status=status, instance=instance, **said)
    headers = {"Cache-Control": "no-store"}
    if status in (429, 503):
        headers["Retry-After"] = "1"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(found.model_dump(), status_code=status, media_type=MEDIA, headers=headers)


def install(app: FastAPI) -> None:
    """Answer errors as problems: ours, those of validation, and the framework's own; what nobody thought of is the gate's."""

    @app.exception_handler(ForeproofError)
    async def ours(request: Request, error: ForeproofError) -> JSONResponse:
        said = {
            name: str(value) for name, value in error.as_dict().items() if name in ("object", "found", "wanted", "fix")
        }
        return problem(status_of(error), str(error), request=request, type=type(error).__name__, **said)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        found = repr(first.get("input"))[:200]
        return problem(
            422,
            f"{where}: {first['msg']}",
            request=request,
            type="BadInput",
            object=where,
            found=found,
            wanted=first["msg"],
        )

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), request=request, object=request.url.path)


__all__ = ["MEDIA", "PROBLEMS", "Problem", "install", "problem", "status_of"]
