"""Published forecasts: the series, one of them, all of them as a file; and what has to be made first."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from foreproof.app.api.archive import settings_of
from foreproof.app.api.asking import submit
from foreproof.app.api.caller import Analyst
from foreproof.app.api.export import FILES, AsFile, exported
from foreproof.app.api.paging import Limit, Offset, page_of
from foreproof.app.api.reading import Forecast, KeptRoute
from foreproof.app.api.series import answer, asked_of, index_of, parse_levels
from foreproof.app.api.shapes import Page, Provenance, Row
from foreproof.errors import BadInput, NotFound

PART = "forecasts"
router = APIRouter(tags=["forecasts"], route_class=KeptRoute)
_MOST = 1000
_USUAL_HISTORY = 90


class SeriesName(BaseModel):
    """A series and what it stands for."""

    series: str = Field(description="its name in addresses: entity values joined by ` / `", examples=["item 1"])
    entity: Row = Field(examples=[{"item": "item 1"}])


class Step(BaseModel):
    """What is expected of one period: the last instant of it is `at`."""

    step: int = Field(ge=1, examples=[1])
    at: str | int = Field(examples=["2024-05-20T21:59:59.999999+00:00"])
    quantiles: dict[str, float | None] = Field(examples=[{"0.1": 26.2, "0.5": 28.0, "0.9": 31.9}])
    mean: float | None = Field(None, examples=[28.1])


class Past(BaseModel):
    """What one period was."""

    at: str | int = Field(examples=["2024-05-19T21:59:59.999999+00:00"])
    y: float | None = Field(examples=[43.0])


class Predicted(BaseModel):
    """The forecast of one series."""

    series: str = Field(examples=["item 1"])
    entity: Row = Field(examples=[{"item": "item 1"}])
    unit: str = Field(examples=["units a day"])
    levels: list[float] = Field(examples=[[0.1, 0.5, 0.9]])
    steps: list[Step]
    history: list[Past] = Field(description="the newest periods that were known at the cutoff")
    provenance: Provenance


class Generate(BaseModel):
    """What to forecast; what is left out is as published."""

    series: list[str] | None = Field(None, max_length=_MOST, examples=[["item 1", "item 2"]])
    horizon: int | None = Field(None, description="steps, at most the plan's", examples=[3])
    levels: list[float] | None = Field(None, max_length=99, examples=[[0.1, 0.5, 0.9]])
    scenario: str | None = Field(None, max_length=200, description="the name of a scenario to run", examples=[None])


class Generated(BaseModel):
    """Forecasts that were published already."""

    items: list[Predicted]
    total: int
    provenance: Provenance


class Started(BaseModel):
    """A job that makes what is not published yet."""

    job: str = Field(examples=["4f0c9a"])
    status: str = Field(examples=["queued"])


@router.get("/forecasts", summary="The series that are forecast")
def listed(shown: Forecast, limit: Limit = 100, offset: Offset = 0) -> Page[SeriesName]:
    """Every series of the published forecast, by name."""
    index = shown.once("series", index_of)
    names = index.names[offset : offset + limit]
    items = [{"series": name, "entity": index.values[name]} for name in names]
    page = page_of(items, limit=limit, offset=offset, total=len(index.names))
    return Page[SeriesName].model_validate(page)


@router.get("/forecasts/export", summary="The whole forecast as a file", response_class=Response, responses=FILES)
def export(shown: Forecast, how: AsFile = None) -> Response:
    """Every series, step and level in long form (a null `level` is the mean); `format` is csv unless it says otherwise."""
    frame = shown.published.table("forecast")
    name = f"forecast-{shown.published.run}"
    return exported(frame, how or "csv", name=name, provenance=shown.provenance())


@router.post(
    "/forecasts/generate",
    summary="Forecasts of some series, or a job that makes them",
    response_model=Generated,
    responses={202: {"model": Started, "description": "a job was started: GET /jobs/{id} says how far it is"}},
)
def generate(body: Generate, desk: Analyst, request: Request) -> Any:
    """At once (200) where the published run answers; else (202) by a job: a scenario, or the first run of a project."""
    place = desk.place("forecast")
    if body.scenario is not None:
        return _started(submit(replace(desk, project=place.name), "scenario", {"name": body.scenario}))
    try:
        published = desk.service.shelves.published(place)
    except NotFound:
        return _started(submit(replace(desk, project=place.name), "run", {}))
    index = desk.service.answers.once(published, "series", index_of)
    wanted = asked_of(index, levels=body.levels, horizon=body.horizon, history=0)
    names = list(index.names) if body.series is None else body.series
    if len(names) > _MOST:
        raise BadInput(
            "series", found=f"all {len(names)}", wanted=f"{_MOST} at most", fix="GET /api/v1/forecasts/export for all"
        )
    said = published.provenance(settings_of(place).now())
    items = [{**answer(published, index, name, wanted), "provenance": said} for name in names]
    return Generated.model_validate({"items": items, "total": len(items), "provenance": said})


@router.get("/forecasts/{series:path}", summary="The forecast of one series")
def one(
    series: Annotated[str, Path(description="its name, as GET /forecasts lists it", examples=["item 1"])],
    shown: Forecast,
    levels: Annotated[
        str | None, Query(description="quantile levels, with commas between", examples=["0.1,0.9"])
    ] = None,
    horizon: Annotated[int | None, Query(description="steps, at most the plan's", examples=[3])] = None,
    history: Annotated[int, Query(ge=0, le=100_000, description="how many past periods")] = _USUAL_HISTORY,
) -> Predicted:
    """Quantiles and mean a step, the newest history, and where they come from."""
    index = shown.once("series", index_of)
    wanted = asked_of(index, levels=parse_levels(levels), horizon=horizon, history=history)
    said = answer(shown.published, index, series, wanted)
    return Predicted.model_validate({**said, "provenance": shown.provenance()})


def _started(job: dict[str, Any]) -> JSONResponse:
    return JSONResponse(job, status_code=202)


__all__ = ["PART", "router"]
