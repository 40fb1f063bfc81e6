"""Model cards, ablations, and how features change over time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from foreproof.app.api.archive import SERVED
from foreproof.app.api.caller import Desk, Reader
from foreproof.app.api.paging import Limit, Offset, page_of
from foreproof.app.api.reading import Either, KeptRoute, shown
from foreproof.app.api.shapes import Page, Row, plain
from foreproof.errors import NotFound

PART = "cards"
router = APIRouter(tags=["cards"], route_class=KeptRoute)
RunQuery = Annotated[str, Query(description="a run's id; the served run without it", max_length=128)]
_CHECK = "stability"


class CardLine(BaseModel):
    """A card in a line."""

    name: str = Field(description="what GET /cards/{name} takes", examples=["all"])
    title: str = Field(examples=["shop"])
    group: str = Field(description="the product group; empty for all", examples=[""])
    badge: str = Field(description="model or heuristic", examples=["model"])
    status: str = Field(examples=["proven"])
    run: str = Field(examples=["f6829183b2d4"])
    cutoff: str = Field(examples=["2024-05-19"])


class AblationShown(BaseModel):
    """One recorded ablation: what was asked, what came out in words, and its tables."""

    id: str
    title: str
    lines: list[str]
    asked: dict[str, Any]
    tables: dict[str, list[Row]]


class Stability(BaseModel):
    """Of each feature, its weight in earlier and in later cutoffs."""

    run: str
    outcome: str = Field(examples=["passed"])
    words: str
    figure: float | None
    limit: float | None
    rows: list[Row] = Field(examples=[[{"feature": "count_14_of_lines", "early": 0.34, "late": 0.40}]])


@router.get("/cards", summary="The model cards of a run")
def listed(
    desk: Reader, request: Request, run: RunQuery = "", limit: Limit = 1000, offset: Offset = 0
) -> Page[CardLine]:
    """One a model and, for a propensity, one a group; that of all groups first."""
    cards = _cards(_folder(desk, request, run))
    items = [
        {
            "name": name,
            "title": card["name"],
            **{one: card[one] for one in ("group", "badge", "status", "run", "cutoff")},
        }
        for name, card in cards.items()
    ]
    return Page[CardLine].model_validate(page_of(items, limit=limit, offset=offset))


@router.get("/cards/{name}", summary="One model card")
def card(
    name: Annotated[str, Path(max_length=200, examples=["all"])], desk: Reader, request: Request, run: RunQuery = ""
) -> dict[str, Any]:
    """How the model was made, what past cutoffs showed, and what it cannot do: the JSON of the run's folder."""
    cards = _cards(_folder(desk, request, run))
    by_group = {str(one["group"]): one for one in cards.values() if one["group"]}
    found = cards.get(name) or by_group.get(name)
    if found is None:
        raise NotFound(f"card {name}", found="no such card", wanted=f"one of: {', '.join(cards) or 'none'}")
    return found


@router.get("/ablations", summary="What is lost without the features that a leak could hide in")
def ablations(desk: Reader, limit: Limit = 100, offset: Offset = 0) -> Page[AblationShown]:
    """Every recorded `foreproof ablate`, newest first; an empty list before the first."""
    root = desk.place().folder / "ablation"
    folders = [path.parent for path in root.glob("*/manifest.json")]
    newest = sorted(folders, key=lambda folder: (folder / "manifest.json").stat().st_mtime_ns, reverse=True)
    items = [_ablation(folder) for folder in newest[offset : offset + limit]]
    return Page[AblationShown](items=items, total=len(newest), limit=limit, offset=offset)


@router.get("/stability", summary="How the weight of features changes over time")
def stability(shown: Either) -> Stability:
    """The evidence of the check `stability` of the served run; no rows where it does not apply."""
    for verdict in shown.published.manifest["verdicts"]:
        if verdict["name"] == _CHECK:
            said = {name: verdict[name] for name in ("outcome", "words", "figure", "limit")}
            rows = verdict["evidence"].get("importance", [])
            return Stability.model_validate({"run": shown.published.run, **said, "rows": rows})
    raise NotFound("stability", found=f"run {shown.published.run} did not check it", fix="take it out of proof.off")


def _folder(desk: Desk, request: Request, run: str) -> FilePath:
    if run in ("", SERVED):
        return shown()(request, desk).published.folder
    return desk.service.archive.folder(desk.place(), run)[1]


def _cards(folder: FilePath) -> dict[str, dict[str, Any]]:
    """Cards by the name of their file, that of all groups first."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (folder / "cards").glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: (str(item[1]["group"]), item[0])))


def _ablation(folder: FilePath) -> AblationShown:
    said: Mapping[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    tables = {path.stem: plain(pl.read_parquet(path, memory_map=False)) for path in sorted(folder.rglob("*.parquet"))}
    asked = {name: value for name, value in said.items() if name not in ("digests", "lines", "title")}
    title = str(said.get("title", "Policies of features"))
    return AblationShown(id=folder.name, title=title, lines=said["lines"], asked=asked, tables=tables)


__all__ = ["PART", "router"]
