"""The overview: what each project serves, its proof and age, its figures, and what needs a look."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from foreproof.app.api.archive import opened, settings_of
from foreproof.app.api.caller import Desk, Reader
from foreproof.app.api.kpis import kpis_of, size_of
from foreproof.app.api.published import Published
from foreproof.app.api.routes.proofs import counts_of
from foreproof.app.api.series import plan_of
from foreproof.app.api.shapes import Provenance
from foreproof.app.home import Place, workload_of
from foreproof.errors import NotFound

PART = "overview"
router = APIRouter(tags=["overview"])


class Kpi(BaseModel):
    """One figure, with what it means."""

    name: str = Field(examples=["WAPE"])
    value: float | None = Field(examples=[0.051])
    unit: str = Field(examples=["share"])
    words: str = Field(examples=["absolute error of past origins, as a share of what was sold"])


class LastRun(BaseModel):
    """The newest run, served or not."""

    run: str
    status: str
    finished: str


class ProjectOverview(BaseModel):
    """One project at a glance."""

    project: str = Field(examples=["forecast"])
    workload: str = Field(examples=["forecast"])
    name: str = Field(description="what its plan calls it", examples=["shop"])
    served: Provenance | None = Field(description="null before a run was served")
    age_seconds: float | None = Field(description="of the data", examples=[3600.0])
    verdicts: dict[str, int] = Field(examples=[{"passed": 20, "failed": 0, "not proven": 0, "not applicable": 7}])
    scores: dict[str, float | None] = Field(examples=[{"wape": 0.051, "mase": 0.98}])
    horizon: int | None = Field(default=None, examples=[7])
    series: int | None = Field(default=None, description="series of a forecast", examples=[5])
    pairs: int | None = Field(default=None, description="pairs of a propensity", examples=[None])
    attention: list[str] = Field(examples=[[]])
    kpis: list[Kpi]
    last_run: LastRun | None


class Overview(BaseModel):
    """Every project of the tenant."""

    tenant: str = Field(examples=["local"])
    projects: list[ProjectOverview]
    attention: list[str] = Field(examples=[["forecast: the horizon is over; run again"]])


@router.get("/overview", summary="What is served, its proof, its age, and what needs a look")
def overview(desk: Reader) -> Overview:
    """Every project of the caller's tenant, or the one that is named."""
    places = (desk.place(),) if desk.project else desk.places()
    found = [_project(desk, place) for place in places]
    attention = [f"{one.project}: {words}" for one in found for words in one.attention]
    return Overview(tenant=desk.caller.tenant, projects=found, attention=attention)


def _project(desk: Desk, place: Place) -> ProjectOverview:
    runs = desk.service.archive.manifests(place)
    last = LastRun.model_validate({name: runs[0][name] for name in ("run", "status", "finished")}) if runs else None
    try:
        published = desk.service.shelves.published(place)
    except NotFound as error:
        return ProjectOverview(
            project=place.name, workload=workload_of(place), name=place.name, served=None, age_seconds=None,
            verdicts=counts_of(runs[0]) if runs else {}, scores={}, horizon=None, kpis=[], last_run=last,
            attention=[f"{error.found}: {error.fix}"],
        )  # fmt: skip
    now = settings_of(place).now()
    said, manifest = published.provenance(now), published.manifest
    size = desk.service.answers.once(published, "size", size_of)
    return ProjectOverview.model_validate(
        {
            "project": place.name,
            "workload": published.workload,
            "name": manifest["name"],
            "served": said,
            "age_seconds": said["data_age_seconds"],
            "verdicts": counts_of(manifest),
            "scores": manifest["scores"] or {},
            "horizon": int(plan_of(published)["horizon"]),
            "series" if published.workload == "forecast" else "pairs": size,
            "attention": [*_attention(published, said, runs, now), *_alerts(place)],
            "kpis": desk.service.answers.once(published, "kpis", kpis_of),
            "last_run": last,
        }
    )


def _attention(
    published: Published, said: Mapping[str, Any], runs: list[Mapping[str, Any]], now: datetime
) -> list[str]:
    """What needs a look, in words."""
    found = []
    if "overridden" in said:
        one = said["overridden"]
        found.append(f"served without a passing proof: {one['name']} overrode it ({one['reason']})")
    if _over(published, now):
        found.append("every period that was predicted is over: load new facts and run again")
    if runs and runs[0]["run"] != published.run:
        newest = runs[0]
        if newest["status"] != "proven":
            words = f"the newest run {newest['run']} is {newest['status']}; {published.run} is still served"
            error = newest.get("error")
            found.append(f"{words}: {error['object']}: {error['found']}" if error else words)
        elif str(newest["finished"]) > str(published.pointer["since"]):
            found.append(f"the newest run {newest['run']} is proven and not served")
    warned = [str(one["name"]) for one in published.manifest["verdicts"] if one.get("warning")]
    if warned:
        found.append(f"checks that warn: {', '.join(warned)}")
    return found


def _alerts(place: Place) -> list[str]:
    """What monitoring warns of; the lake is opened only where outcomes were scored."""
    lake = settings_of(place).lake
    if "://" not in lake and not (Path(lake) / ".rows" / "evaluations").is_dir():
        return []
    from foreproof.app.evaluations import watch

    with opened(place) as project:
        return list(watch(project).standing.alerts)


def _over(published: Published, now: datetime) -> bool:
    """Whether the last period that was predicted has ended."""
    if published.workload != "forecast":
        return False
    ends = published.table("forecast")["at"]
    return ends.dtype.is_temporal() and bool(ends.max() < now)  # type: ignore[operator]


__all__ = ["PART", "router"]
