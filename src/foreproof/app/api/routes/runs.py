"""Recorded runs: their list, manifests, tables and files, what changed between two, and which one is served."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path as FilePath
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, Field

from foreproof.app.api.archive import SERVED, opened, pointer_of
from foreproof.app.api.caller import Admin, Reader
from foreproof.app.api.export import FILES, AsFile, exported
from foreproof.app.api.paging import Limit, Offset, page_of
from foreproof.app.api.shapes import Page, Row, plain
from foreproof.core.digest import digest_bytes
from foreproof.errors import IntegrityError, NotFound

PART = "runs"
router = APIRouter(tags=["runs"])
RunId = Annotated[
    str, Path(description="its id, the beginning of it, or `served`", examples=["served"], max_length=128)
]
_SCRIPTS = "sandbox allow-scripts allow-popups allow-downloads"
"""A page of a run may run its own scripts, but in no one's name."""


class RunLine(BaseModel):
    """One run in a line."""

    run: str = Field(examples=["f6829183b2d4"])
    status: str = Field(description="proven, failed, not proven, refused or broken", examples=["proven"])
    name: str = Field(examples=["shop"])
    tag: str = Field(examples=["nightly"])
    parent: str = Field(description="the run that this one followed", examples=[""])
    started: str = Field(examples=["2026-11-27T09:00:00+00:00"])
    finished: str = Field(examples=["2026-11-27T09:01:00+00:00"])
    stage: str = Field(description="the last stage that it reached", examples=["decide"])
    workload: str = Field(examples=["forecast"])
    scores: dict[str, float | None] = Field(examples=[{"wape": 0.051, "mase": 0.98}])
    cutoff: str = Field(examples=["2024-05-19 21:59:59.999999+00:00"])
    served: bool


class RunFile(BaseModel):
    """A file of a run, and its digest: the log names the same one."""

    path: str = Field(examples=["tables/scores.csv"])
    sha256: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    bytes: int = Field(examples=[2048])


class Difference(BaseModel):
    """B against A: rows of what differs; an empty list means no difference."""

    a: str
    b: str
    words: list[str] = Field(examples=[["No settings of the plan differ."]])
    settings: list[Row]
    data: list[Row]
    environment: list[Row]
    verdicts: list[Row]
    scores: list[Row]
    features: list[Row]
    forecasts: list[Row]
    path: list[Row]
    orders: list[Row]
    plan_lines: list[str] = Field(description="the two plans as a unified diff")


class Override(BaseModel):
    """Who answers for a run without a passing proof, and why it is served all the same."""

    name: str = Field(min_length=1, max_length=200, examples=["A. Reader"])
    reason: str = Field(min_length=1, max_length=2000, examples=["the holiday shifted"])


class Pointer(BaseModel):
    """What is served now, and since when."""

    run: str
    previous: str = Field(description="what was served before; it stays at hand")
    by: str = Field(description="run, restore or override", examples=["restore"])
    since: str
    leaf: int = Field(description="the leaf of the log that says so")
    name: str | None = None
    reason: str | None = None


@router.get("/runs", summary="All runs, newest first")
def listed(desk: Reader, limit: Limit = 100, offset: Offset = 0, status: str = "", tag: str = "") -> Page[RunLine]:
    """One line a run; `status` and `tag` choose."""
    place = desk.place()
    now = (pointer_of(place) or {}).get("run")
    found = [
        _line(one, served=one["run"] == now)
        for one in desk.service.archive.manifests(place)
        if status in ("", one["status"]) and tag in ("", one["tag"])
    ]
    return Page[RunLine].model_validate(page_of(found, limit=limit, offset=offset))


@router.get("/runs/{run}", summary="One run: its manifest")
def manifest(run: RunId, desk: Reader) -> dict[str, Any]:
    """Plan, data versions, seed, environment, scores, verdicts and the digest of every file, as recorded."""
    return dict(desk.service.archive.manifest(desk.place(), run))


@router.get("/runs/{run}/tables", summary="The names of a run's tables")
def tables(run: RunId, desk: Reader, limit: Limit = 1000, offset: Offset = 0) -> Page[str]:
    """What GET /runs/{run}/tables/{name} takes."""
    _, folder = desk.service.archive.folder(desk.place(), run)
    return Page[str].model_validate(page_of(_tables(folder), limit=limit, offset=offset))


@router.get("/runs/{run}/tables/{name}", summary="The rows of a run's table, or the table as a file", responses=FILES)
def table(
    run: RunId,
    name: Annotated[str, Path(max_length=100, examples=["scores"])],
    desk: Reader,
    limit: Limit = 100,
    offset: Offset = 0,
    how: AsFile = None,
) -> Any:
    """A page of rows; with `format` other than json the whole table, streamed."""
    found, folder = desk.service.archive.folder(desk.place(), run)
    if name not in _tables(folder):
        raise NotFound(
            f"table {name}",
            found=f"run {found['run']} made none",
            wanted=f"one of: {', '.join(_tables(folder))}",
        )
    path = folder / "tables" / f"{name}.parquet"
    if how not in (None, "json"):
        return exported(pl.read_parquet(path, memory_map=False), how, name=f"{name}-{found['run']}")
    rows = pl.scan_parquet(path)
    total = int(rows.select(pl.len()).collect().item())
    part = rows.slice(offset, limit).collect()
    return page_of(plain(part), limit=limit, offset=offset, total=total)


@router.get("/runs/{run}/files", summary="Every file of a run")
def files(run: RunId, desk: Reader, limit: Limit = 1000, offset: Offset = 0) -> Page[RunFile]:
    """Paths, digests and sizes; the digests of the artefacts are those that the log names."""
    found, folder = desk.service.archive.folder(desk.place(), run)
    named = {str(one["path"]): str(one["sha256"]) for one in found["artefacts"]}
    every = _files(folder)
    items = [
        RunFile(path=name, sha256=named.get(name) or digest_bytes(path.read_bytes()), bytes=path.stat().st_size)
        for name, path in list(every.items())[offset : offset + limit]
    ]
    return Page[RunFile](items=items, total=len(every), limit=limit, offset=offset)


@router.get(
    "/runs/{run}/files/{path:path}",
    summary="One file of a run",
    response_class=Response,
    responses={200: {"description": "the file as it is", "content": {"application/octet-stream": {}}}},
)
def file(
    run: RunId,
    path: Annotated[str, Path(max_length=500, examples=["metrics.json"])],
    desk: Reader,
    download: Annotated[bool, Query(description="as an attachment")] = False,
) -> Response:
    """A table, plot, model, page or proof, byte for byte; nothing outside the run's folder."""
    found, folder = desk.service.archive.folder(desk.place(), run)
    # Only a name that the folder lists is opened: a path is never joined to it.
    listed = _files(folder)
    if path not in listed:
        raise NotFound(f"file {path}", found=f"run {found['run']} has none such", fix="GET /api/v1/runs/{run}/files")
    media = mimetypes.guess_type(path)[0] or "application/octet-stream"
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": _SCRIPTS}
    kind = "attachment" if download else "inline"
    name = path.rpartition("/")[2]
    return FileResponse(listed[path], media_type=media, headers=headers, filename=name, content_disposition_type=kind)


@router.get("/runs/{a}/diff/{b}", summary="What changed from one run to another")
def diff(a: RunId, b: RunId, desk: Reader) -> Difference:
    """Plan, data, environment, verdicts, scores, features, forecasts and orders of B against A."""
    from foreproof.app.diff import diff as compare
    from foreproof.app.diff import plan_lines

    place = desk.place()
    one, other = (str(desk.service.archive.folder(place, run)[0]["run"]) for run in (a, b))
    with opened(place) as project:
        found = compare(project, one, other)
        lines = plan_lines(project, found)
    frames = {
        part.name: plain(value)
        for part in fields(found)
        if isinstance(value := getattr(found, part.name), pl.DataFrame)
    }
    said = {"a": found.a, "b": found.b, "words": found.words, "plan_lines": lines}
    return Difference.model_validate({**said, **frames})


@router.post("/runs/{run}/restore", summary="Serve an earlier proven run again (admin)")
def restore(run: RunId, desk: Admin) -> Pointer:
    """Verify its files against the log, then point to it. A run that is not proven is refused (409)."""
    from foreproof.app.serving import restore as serve_again

    place = desk.place()
    found = desk.service.archive.manifest(place, run)
    if found["status"] != "proven":
        raise IntegrityError(
            f"run {found['run']}",
            found=f"status {found['status']}",
            wanted="a proven run",
            fix="POST /api/v1/runs/{run}/override serves another one by somebody's name",
        )
    with opened(place) as project:
        return Pointer.model_validate(serve_again(project, str(found["run"])))


@router.post("/runs/{run}/override", summary="Serve a run without a passing proof, by name and for a reason (admin)")
def override(run: RunId, body: Override, desk: Admin) -> Pointer:
    """Name and reason go into the log and stand beside every answer from then on."""
    from foreproof.app.serving import override as serve_all_the_same

    place = desk.place()
    found = desk.service.archive.manifest(place, run)
    with opened(place) as project:
        moved = serve_all_the_same(project, str(found["run"]), name=body.name, reason=body.reason)
    return Pointer.model_validate(moved)


def _line(one: Mapping[str, Any], *, served: bool) -> dict[str, Any]:
    names = ("run", "status", "name", "tag", "parent", "started", "finished", "stage", "workload", "cutoff")
    return {**{name: one[name] for name in names}, "scores": one.get("scores") or {}, SERVED: served}


def _tables(folder: FilePath) -> list[str]:
    return sorted(path.stem for path in (folder / "tables").glob("*.parquet"))


def _files(folder: FilePath) -> dict[str, FilePath]:
    """The files below a folder by relative path; a link that leads out of it is none of them."""
    root = folder.resolve()
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.resolve().is_relative_to(root)
    }


__all__ = ["PART", "router"]
