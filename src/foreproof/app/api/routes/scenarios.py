"""Scenarios over HTTP: what if a plan that is known ahead were another one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from foreproof.app.api.asking import submit
from foreproof.app.api.caller import Analyst, Reader
from foreproof.app.api.shapes import plain
from foreproof.app.home import Place
from foreproof.errors import BadInput, NotFound

PART = "scenarios"
router = APIRouter(tags=["scenarios"])
Name = Annotated[str, Path(max_length=200)]
_TABLES = ("path", "series", "window", "orders", "support")
_MOST_ROWS = 20_000


class Change(BaseModel):
    """One column of one table that is known ahead, over steps after the cutoff: set it, add to it, or multiply it."""

    model_config = ConfigDict(extra="forbid")
    table: str = Field(max_length=200)
    column: str = Field(max_length=200)
    set: FiniteFloat | None = None
    add: FiniteFloat | None = None
    times: FiniteFloat | None = None
    steps: list[Annotated[int, Field(ge=1, le=100_000)]] = Field(
        min_length=1, max_length=2, description="[first, last]"
    )
    where: dict[str, list[str]] = Field({}, description="rows of these values alone", max_length=20)


class New(BaseModel):
    """A named override of plans, with who asks and why."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "deeper promotion",
                    "author": "planning",
                    "reason": "what 30% off in week 3 would bring",
                    "overrides": [{"table": "promotions", "column": "share_off", "set": 0.3, "steps": [15, 21]}],
                }
            ]
        },
    )
    name: str = Field(min_length=1, max_length=200)
    author: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=2000)
    overrides: list[Change] = Field(min_length=1, max_length=100)


class Run(BaseModel):
    """What a run of a scenario may be told."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}, {"price": 4.5}]})
    price: FiniteFloat | None = Field(
        None, ge=0.0, description="money that a unit more brings; else the plan's cost of one short"
    )


@router.post("/scenarios", status_code=201, summary="Keep a scenario")
def add(desk: Analyst, body: New) -> dict[str, Any]:
    """Keep a named override; one of the same name is superseded, not lost."""
    from foreproof.app import scenarios
    from foreproof.core.scenario import Scenario, parse_override

    overrides = tuple(
        parse_override(one.model_dump(exclude_none=True), path=f"overrides[{i}]")
        for i, one in enumerate(body.overrides)
    )
    scenarios.add(desk.place("forecast").project(), Scenario(body.name, body.author, body.reason, overrides))
    return {"name": body.name, "words": [one.words() for one in overrides]}


@router.get("/scenarios", summary="Every scenario that was not removed")
def listed(desk: Reader) -> dict[str, Any]:
    """Name, author, reason, overrides, and whether it was run."""
    place = desk.place("forecast")
    items = [{**row, "ran": _result(place, row["name"]) is not None} for row in _kept(place)]
    return {"items": items, "total": len(items), "limit": len(items), "offset": 0}


@router.get("/scenarios/{name}", summary="A scenario and what came of it")
def show(desk: Reader, name: Name) -> dict[str, Any]:
    """The overrides, and of the last run: the effect with its interval, the path of each series, orders, support, words."""
    place = desk.place("forecast")
    kept = _one(place, name)
    return {**kept, "result": _result(place, name)}


@router.delete("/scenarios/{name}", status_code=204, summary="Take a scenario back")
def remove(desk: Analyst, name: Name) -> Response:
    """It leaves the list; what was asked stays on record."""
    from foreproof.app import scenarios

    place = desk.place("forecast")
    _one(place, name)
    scenarios.remove(place.project(), name)
    return Response(status_code=204)


@router.post("/scenarios/{name}/run", status_code=202, summary="Run a scenario beside the baseline")
def run(desk: Analyst, name: Name, body: Run | None = None) -> dict[str, Any]:
    """A job that forecasts with and without it at the plan's cutoff: how sales, orders and money would differ."""
    place = desk.place("forecast")
    _one(place, name)
    given: dict[str, Any] = {"name": name}
    if body is not None and body.price is not None:
        given["price"] = body.price
    # The job belongs to the project that was looked at, also where the caller named none.
    return dict(submit(replace(desk, project=place.name), "scenario", given))


def _kept(place: Place) -> list[dict[str, Any]]:
    from foreproof.app import scenarios

    project = place.project()
    if project.plan.workload != "forecast":
        raise BadInput(f"project {place.name}", found=project.plan.workload, wanted="a forecast")
    rows = plain(scenarios.kept(project))
    return [{**row, "overrides": json.loads(row["overrides"])} for row in rows]


def _one(place: Place, name: str) -> dict[str, Any]:
    kept = {row["name"]: row for row in _kept(place)}
    if name not in kept:
        raise NotFound(
            f"scenario {name}", found="no such scenario", wanted=", ".join(kept) or "none yet", fix="POST /scenarios"
        )
    return kept[name]


def _result(place: Place, name: str) -> dict[str, Any] | None:
    """What the last run left; None before one."""
    from foreproof.app import scenarios

    folder = scenarios.folder_of(place.folder, name)
    path = folder / "scenario.json"
    if not path.is_file():
        return None
    summary = json.loads(path.read_text(encoding="utf-8"))
    # Another scenario's name may lead to the same folder.
    if summary["name"] != name:
        return None
    tables = {part: folder / f"{part}.parquet" for part in _TABLES}
    return dict(summary) | {
        part: plain(pl.read_parquet(file, memory_map=False).head(_MOST_ROWS)) if file.is_file() else []
        for part, file in tables.items()
    }


__all__ = ["PART", "Change", "New", "Run", "router"]
