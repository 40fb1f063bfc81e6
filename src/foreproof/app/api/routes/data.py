"""Facts: a batch of rows for a table, acknowledged when it is in the lake."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from foreproof.app.api.caller import Analyst, Desk

PART = "data"
router = APIRouter(tags=["data"])
_EXAMPLE = {"rows": [{"item": "item 1", "date": "2024-05-20", "units": 31}]}
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["rows"],
                "properties": {"rows": {"type": "array", "items": {"type": "object"}}},
            },
            "example": _EXAMPLE,
        },
        "text/csv": {"schema": {"type": "string"}, "example": "item,date,units\nitem 1,2024-05-20,31\n"},
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
    },
}


class Taken(BaseModel):
    """What a batch came to: rows of new keys, rows that supersede others, rows that said nothing new."""

    table: str
    batch: int = Field(description="the number of the batch within the table")
    added: int
    superseding: int
    unchanged: int
    already_loaded: bool = Field(description="these very rows were loaded before: nothing changed")
    digest: str = Field(description="sha256 of the rows and the table's identity")
    version: int = Field(description="of the table after this batch")


@router.post(
    "/data/{table}",
    status_code=201,
    response_model=Taken,
    summary="Load a batch of facts",
    openapi_extra={"requestBody": _BODY},
)
async def load(
    request: Request, desk: Analyst, table: Annotated[str, Path(max_length=200, description="a table of the plan")]
) -> JSONResponse:
    """Clean and parse the rows by the table's contract, as `foreproof load` does, and write them in one commit.

    What breaks the contract is refused whole and leaves the lake as it was. The same rows again change nothing.
    """
    body = await request.body()
    media = request.headers.get("content-type", "")
    return JSONResponse(await run_in_threadpool(_load, desk, table, media, body), status_code=201)


def _load(desk: Desk, table: str, media: str, body: bytes) -> dict[str, Any]:
    # Polars, the lake and the workloads: a second and 100 MB that a service which only reads never spends.
    from foreproof.app.intake import frame_of, take_in

    project = desk.place().project()
    return take_in(project, table, frame_of(project, table, media, body), source="api")


__all__ = ["PART", "Taken", "router"]
