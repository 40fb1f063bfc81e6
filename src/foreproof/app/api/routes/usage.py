"""What the tenant used, and what it costs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel

from foreproof.app.api.caller import Reader
from foreproof.app.home import LOCAL
from foreproof.app.prices import Span, as_csv, priced, read_prices
from foreproof.errors import Denied

PART = "tenant"
router = APIRouter(tags=["tenant"])
Edge = Annotated[str, Query(max_length=40, description="a date or instant; UTC where it names no zone")]


class UsageRow(BaseModel):
    """Sums of one group; `gb_hours` is what lay in the folders, times how long."""

    tenant: str
    kind: str = ""
    name: str = ""
    job: str = ""
    day: str = ""
    calls: int
    cpu_seconds: float
    bytes_scanned: int
    bytes_stored: int
    gb_hours: float
    rows_predicted: int
    tokens_in: int
    tokens_out: int
    price: float


class Totals(BaseModel):
    """The sums of all rows."""

    calls: int
    cpu_seconds: float
    bytes_scanned: int
    bytes_stored: int
    gb_hours: float
    rows_predicted: int
    tokens_in: int
    tokens_out: int
    price: float


class Usage(BaseModel):
    """Usage over hours that begin in [from, to)."""

    rows: list[UsageRow]
    totals: Totals
    currency: str


@router.get(
    "/usage",
    summary="What was used, and what it costs",
    response_model=Usage,
    responses={200: {"content": {"text/csv": {"example": "tenant,kind,name,calls,cpu_seconds\n"}}}},
)
def usage(
    desk: Reader,
    start: Annotated[Edge, Query(alias="from")] = "",
    to: Edge = "",
    by: Literal["call", "job", "day", "tenant"] = "call",
    as_what: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
    tenant: Annotated[str, Query(max_length=64, description="* for all: an admin of tenant local alone")] = "",
) -> Any:
    """CPU, bytes, rows and tokens by route, job, day or tenant; the last 30 days by default.

    What no call used stands under the kind `overhead`, so that the sums are the CPU of the process.
    """
    caller, operations = desk.caller, desk.service.operations
    if tenant not in ("", caller.tenant) and not (tenant == "*" and (caller.tenant, caller.role) == (LOCAL, "admin")):
        raise Denied(
            "tenant", found="another than the caller's", wanted="the own one", known=True, fix="leave `tenant` away"
        )
    operations.flush()
    span = Span.parsed(start, to)
    prices = read_prices(desk.service.home.settings.prices)
    found = priced(desk.service.store, prices, tenant=None if tenant == "*" else caller.tenant, span=span, by=by)
    if as_what == "csv":
        headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
        return Response(as_csv(found["rows"]), media_type="text/csv", headers=headers)
    return found


__all__ = ["PART", "Totals", "Usage", "UsageRow", "router"]
