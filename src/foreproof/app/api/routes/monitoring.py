"""Monitoring: served predictions beside what came of them, against the thresholds of the plan."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from foreproof.app.api.archive import opened
from foreproof.app.api.caller import Desk, Reader
from foreproof.app.api.paging import Limit, Offset
from foreproof.app.api.series import named
from foreproof.app.api.shapes import Row, plain
from foreproof.app.home import Place, workload_of
from foreproof.core.predict import CUTOFF
from foreproof.errors import NotFound

if TYPE_CHECKING:
    from foreproof.app.evaluations import Watch

PART = "monitoring"
router = APIRouter(tags=["monitoring"])
_WORDS = ["No outcome is known yet of what was served.", "35 predictions wait for their time to come."]


class Watched(BaseModel):
    """How one project's served predictions stand."""

    project: str = Field(examples=["forecast"])
    workload: str = Field(examples=["forecast"])
    scored: int = Field(description="predictions with a known outcome", examples=[0])
    waiting: int = Field(description="predictions whose time has not come", examples=[35])
    due: int = Field(description="predictions whose time has come, without an outcome yet", examples=[0])
    last: str | None = Field(description="when outcomes were last scored", examples=[None])
    coverage: float | None = Field(description="share of outcomes inside the interval of 80%", examples=[None])
    scores: dict[str, float | None] = Field(description="over the newest cutoffs", examples=[{}])
    over_time: list[Row] = Field(description="a row a cutoff")
    calibration: list[Row] = Field(description="of quantiles: level and share; of chances by tenths: said and seen")
    thresholds: dict[str, Any] = Field(description="the plan's section monitor", examples=[{"coverage": [0.7, 0.9]}])
    alerts: list[str] = Field(examples=[[]])
    words: list[str] = Field(examples=[_WORDS])


class Summary(BaseModel):
    """All projects of the tenant, or the one that was named."""

    projects: list[Watched]
    alerts: list[str]
    words: list[str]


class SeriesOutcomes(BaseModel):
    """Predictions of one series, or of all, beside their outcomes; and how they did, cutoff by cutoff."""

    series: str | None = Field(examples=["item 1"])
    rows: list[Row]
    total: int
    scores: list[Row] = Field(description="a row a cutoff")
    words: list[str] = Field(examples=[_WORDS])


@router.get("/monitoring/summary", summary="Scores, coverage and calibration of what was served, and alerts")
def summary(desk: Reader) -> Summary:
    """As of the last scoring of outcomes (a job `score_outcomes`, or `foreproof watch`); in words where nothing is known yet."""
    places = (desk.place(),) if desk.project else desk.places()
    found = [_watched(place) for place in places]
    return Summary(
        projects=found,
        alerts=[f"{one.project}: {words}" for one in found for words in one.alerts],
        words=[f"{one.project}: {words}" for one in found for words in one.words],
    )


@router.get("/monitoring/series", summary="Predictions beside their outcomes")
def series(
    desk: Reader,
    name: Annotated[
        str | None, Query(alias="series", max_length=1000, description="one series or pair; all without it")
    ] = None,
    limit: Limit = 1000,
    offset: Offset = 0,
) -> SeriesOutcomes:
    """Newest last: `at`, quantiles by level or the chance, the outcome `y` and whether it lay `inside`."""
    from foreproof.engine.evaluate import scores_by

    found = _watch(desk.place())
    rows = found.rows
    if name is not None:
        rows = _of(rows, name, desk)
    scores = plain(scores_by(rows, (CUTOFF,))) if rows.height else []
    shown = [_nested(row) for row in plain(rows.slice(offset, limit))]
    return SeriesOutcomes(series=name, rows=shown, total=rows.height, scores=scores, words=list(found.words))


def _watch(place: Place) -> Watch:
    from foreproof.app.evaluations import watch

    with opened(place) as project:
        return watch(project)


def _watched(place: Place) -> Watched:
    found = _watch(place)
    stands = found.standing
    return Watched.model_validate(
        {
            "project": place.name,
            "workload": workload_of(place),
            "scored": found.scored,
            "waiting": found.waiting,
            "due": found.due,
            "last": found.last.isoformat() if found.last else None,
            "coverage": stands.scores.get("coverage"),
            "scores": stands.scores,
            "over_time": plain(stands.over_time),
            "calibration": plain(stands.calibration),
            "thresholds": asdict(found.terms),
            "alerts": list(stands.alerts),
            "words": list(found.words),
        }
    )


def _of(rows: pl.DataFrame, name: str, desk: Desk) -> pl.DataFrame:
    """The rows of one series. Raises NotFound for one that was never predicted."""
    place = desk.place()
    published = desk.service.shelves.published(place)
    table = published.table("forecast" if published.workload == "forecast" else "chances")
    entity = table.columns[: table.columns.index(CUTOFF)]
    known = rows.height and bool((rows.select(named(entity))["name"] == name).any())
    if not known and not (table.select(named(entity))["name"] == name).any():
        raise NotFound(f"series {name}", found="no such series", fix="GET /api/v1/forecasts lists them")
    return rows.filter(named(entity) == name) if rows.height else rows


def _nested(row: Row) -> Row:
    """Quantile columns as one mapping by level."""
    levels = {key[1:]: value for key, value in row.items() if key[0] == "q" and key[1:].replace(".", "").isdigit()}
    plain_ones = {key: value for key, value in row.items() if key[1:] not in levels or key[0] != "q"}
    return {**plain_ones, "quantiles": levels} if levels else plain_ones


__all__ = ["PART", "router"]
