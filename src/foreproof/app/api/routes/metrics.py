"""Historical metrics: how past origins were judged, by series, model, metric and period."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from foreproof.app.api.archive import settings_of
from foreproof.app.api.caller import Reader
from foreproof.app.api.historical import Wanted, historical, metrics_of
from foreproof.app.api.paging import Offset
from foreproof.app.api.published import Published
from foreproof.app.api.reading import Either, KeptRoute
from foreproof.app.api.shapes import Provenance, plain

PART = "metrics"
router = APIRouter(tags=["metrics"], route_class=KeptRoute)
Many = Annotated[int, Query(ge=1, le=100_000, description="how many rows at most")]
Names = Annotated[list[str] | None, Query(max_length=1000)]


async def _cut(limit: Many = 10_000, offset: Offset = 0) -> tuple[int, int]:
    return limit, offset


Cut = Annotated[tuple[int, int], Depends(_cut)]
"""How many rows at most, and how many to pass over."""


class Score(BaseModel):
    """One score. `series` and `period` are null where it is over all of them."""

    series: str | None = Field(description="a series, or a segment of pairs", examples=["item 1"])
    model: str = Field(examples=["combination"])
    metric: str = Field(examples=["wape"])
    period: str | None = Field(description="a past cutoff, or a step of the horizon", examples=["step 1"])
    value: float = Field(examples=[0.051])
    low: float | None = None
    high: float | None = None
    n: int | None = Field(None, description="terms that were averaged", examples=[140])


class Historical(BaseModel):
    """Scores of past origins."""

    rows: list[Score]
    total: int = Field(description="rows that there are; `limit` may show fewer")
    metrics: list[str] = Field(description="the metrics that this run was judged by")
    provenance: Provenance


class Asked(BaseModel):
    """What to show: names, one or a list; `all` for each series or period."""

    metric: list[str] | str | None = Field(None, examples=[["wape", "coverage80"]])
    series: list[str] | str | None = Field(None, examples=["item 1"])
    model: list[str] | str | None = Field(None, examples=["combination"])
    period: list[str] | str | None = Field(None, examples=["all"])
    limit: int = Field(10_000, ge=1, le=100_000)
    offset: int = Field(0, ge=0)


@router.get("/metrics/historical", summary="Scores of past origins by series, model, metric and period")
def read(
    shown: Either,
    cut: Cut,
    metric: Names = None,
    series: Names = None,
    model: Names = None,
    period: Names = None,
) -> Historical:
    """Without `series` over all series, `series=all` for each. Without `period` over all origins and for each.

    A period is a past cutoff as its rows say it, or `step 3` of the horizon; `period=all` shows every one of both. Of a
    propensity, series are segments of pairs.
    """
    wanted = Wanted(_names(metric), _names(series), _names(model), _names(period))
    found = historical(shown.published, wanted, shown.once)
    said = _shown(shown.published, found, cut)
    return Historical.model_validate({**said, "provenance": shown.provenance()})


@router.post("/metrics/historical", summary="The same for long lists of names")
def ask(body: Asked, desk: Reader) -> Historical:
    """As GET, with the names in a body."""
    wanted = Wanted(_names(body.metric), _names(body.series), _names(body.model), _names(body.period))
    published = desk.published()
    found = historical(published, wanted, partial(desk.service.answers.once, published))
    said = _shown(published, found, (body.limit, body.offset))
    now = settings_of(desk.place()).now()
    return Historical.model_validate({**said, "provenance": published.provenance(now)})


def _shown(published: Published, found: pl.DataFrame, cut: tuple[int, int]) -> dict[str, Any]:
    limit, offset = cut
    return {"rows": plain(found.slice(offset, limit)), "total": found.height, "metrics": metrics_of(published)}


def _names(given: Sequence[str] | str | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


__all__ = ["PART", "router"]
