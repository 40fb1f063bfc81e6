"""Propensities over HTTP: whom to call, the chance of any pair with its reasons, and how well each group was judged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from foreproof.app.api.caller import Reader
from foreproof.app.api.export import FILES, AsFile, exported
from foreproof.app.api.marked import answered, tag_of, unchanged
from foreproof.app.api.quick import QuickRoute
from foreproof.app.api.scorer import scorer_of
from foreproof.app.api.shapes import plain
from foreproof.app.api.whitespace import Asked, whitespace_of
from foreproof.errors import BadInput, NotFound

PART = "propensity"
router = APIRouter(tags=["propensity"], route_class=QuickRoute)
_METRICS = ("auc", "pr_auc", "lift10", "capture10", "brier", "log_loss", "calibration_mae", "base_rate")


@router.get("/propensity/whitespace", summary="Whom to call for what, under capacity", responses=FILES)
def whitespace(
    desk: Reader,
    request: Request,
    asked: Annotated[Asked, Query()],
    as_file: AsFile = None,
) -> Response:
    """The published list, or one solved again from the published chances where `capacity` or a limit is given.

    Filters say what is shown and never change what is on the list; `prices` say what the list would gain without each limit.
    """
    place, published = desk.place(PART), desk.published(PART)
    headers = tag_of(request, published)
    if (same := unchanged(request, headers)) is not None:
        return same
    scorer = scorer_of(place, published, desk.service.models)
    found = desk.service.models.get(
        ("whitespace", place.tenant, place.folder, published.etag, asked.limits()),
        lambda: whitespace_of(scorer, asked),
    )
    rows = found.shown(asked)
    provenance = published.provenance(datetime.now(UTC))
    if as_file is not None:
        return exported(rows, as_file, name=f"whitespace-{published.run}", provenance=provenance)
    page = rows.slice(asked.offset, asked.limit)
    items = [{**row, "reasons": str(row["because"]).split("; ")} for row in plain(page)]
    body = {"items": items, "total": rows.height, "limit": asked.limit, "offset": asked.offset, **found.about()}
    return answered({**body, "provenance": provenance}, headers)


class Pair(BaseModel):
    """An account and a product group."""

    model_config = ConfigDict(extra="forbid")
    account: str = Field(max_length=500)
    group: str = Field(max_length=500)


class Pairs(BaseModel):
    """One pair, or up to 1,000."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"account": "c001", "group": "cheese", "explain": 3}]}
    )
    account: str | None = Field(None, max_length=500)
    group: str | None = Field(None, max_length=500)
    pairs: list[Pair] | None = Field(None, min_length=1, max_length=1000)
    explain: int = Field(10, ge=0, le=1000, description="how many contributions to tell, the largest first")

    def asked(self) -> list[tuple[str, str]]:
        """The pairs. Raises BadInput for neither or both."""
        if self.pairs is not None and self.account is None and self.group is None:
            return [(one.account, one.group) for one in self.pairs]
        if self.pairs is None and self.account is not None and self.group is not None:
            return [(self.account, self.group)]
        raise BadInput("pairs", found="neither one pair nor a list of them", wanted="account and group, or pairs")


@router.post("/propensity/score", summary="The chance of a pair, or of many, with interval and contributions")
def score(desk: Reader, body: Pairs) -> Response:
    """What the published run says of pairs of its population.

    In log odds `baseline` + all contributions + `others` + `calibration` make the chance. `badge` is `heuristic` where too few
    buyers had settled to learn from: then the chance is the base rate of the group. `interval` says where low and high come from.
    """
    published = desk.published(PART)
    scorer = scorer_of(desk.place(PART), published, desk.service.models)
    items, unknown = scorer.score(body.asked(), explain=body.explain)
    if not items:
        first = unknown[0]
        raise NotFound(
            f"pair {first['account']} / {first['group']}",
            found=f"not in the population of run {published.run}",
            wanted="an account that was active, and a group of the plan",
            fix="GET /api/v1/propensity/whitespace lists pairs; /tables/chances has all of them",
        )
    answer = {"items": items, "unknown": unknown, "provenance": published.provenance(datetime.now(UTC))}
    return answered(answer, {})


@router.get("/propensity/groups", summary="Every product group with its scores")
def groups(desk: Reader, request: Request) -> Response:
    """One row a group, `all` first: base rate, pairs, buyers, and the scores of its whitespace pairs at past cutoffs."""
    published = desk.published(PART)
    headers = tag_of(request, published)
    if (same := unchanged(request, headers)) is not None:
        return same
    name = _group_column(published.table("group_scores"))
    rows = published.table("group_scores").filter(pl.col("segment") == "whitespace")
    wide = rows.pivot(on="metric", index=[name, "pairs", "buyers"], values="value", on_columns=list(_METRICS))
    wide = wide.sort(name, nulls_last=False).select(pl.col(name).fill_null("all").alias("group"), pl.exclude(name))
    items = plain(wide)
    body = {"items": items, "total": len(items), "limit": len(items), "offset": 0}
    return answered({**body, "provenance": published.provenance(datetime.now(UTC))}, headers)


@router.get("/propensity/groups/{group}", summary="How well one product group is judged")
def one_group(desk: Reader, request: Request, group: str, segment: str = "whitespace") -> Response:
    """Scores, said against seen, the capture curve with its base rate, thresholds, and what the group believes.

    group: its name, or `all`. segment: whitespace, repeat or pooled.
    """
    published = desk.published(PART)
    headers = tag_of(request, published)
    if (same := unchanged(request, headers)) is not None:
        return same
    scores = published.table("group_scores")
    name = _group_column(scores)
    here = (pl.col(name).is_null() if group == "all" else pl.col(name) == group) & (pl.col("segment") == segment)
    own = scores.filter(here)
    if not own.height:
        known = ", ".join(("all", *scores[name].drop_nulls().unique().sort().to_list()))
        raise NotFound(f"group {group}", found=f"no past pair in segment {segment}", wanted=f"one of: {known}")
    tenths = plain(published.table("group_gains").filter(here).sort("tenth").drop(name, "segment"))
    metrics = {one["metric"]: one["value"] for one in plain(own.select("metric", "value"))}
    rate = metrics.get("base_rate")
    body: dict[str, Any] = {
        "group": group,
        "segment": segment,
        "metrics": metrics,
        "intervals": _intervals(published.table("pair_scores"), segment) if group == "all" else {},
        "pairs": own["pairs"][0],
        "buyers": own["buyers"][0],
        "base_rate": rate,
        "reliability": plain(published.table("group_reliability").filter(here).sort("bin").drop(name, "segment")),
        "gains": tenths,
        "capture": [{"share": 0.0, "capture": 0.0}]
        + [{"share": one["tenth"] / 10.0, "capture": one["capture"]} for one in tenths],
        "thresholds": [
            {"share": one["tenth"] / 10.0, "least": one["least"], "yield": one["yield"], "capture": one["capture"]}
            for one in tenths
        ],
        "yield": tenths[0]["yield"] if tenths else rate,
    }
    latest = published.table("choices").filter(pl.col("cutoff") == pl.col("cutoff").max())
    chosen = plain(latest.filter(pl.col(name) == group, pl.col("segment") == segment).drop("cutoff", name))
    body |= {"chosen": chosen[0] if chosen else None, "provenance": published.provenance(datetime.now(UTC))}
    return answered(body, headers)


def _group_column(scores: pl.DataFrame) -> str:
    """The plan's name of what is called group here: it comes first."""
    return scores.columns[0]


def _intervals(scores: pl.DataFrame, segment: str) -> dict[str, list[float]]:
    """95% intervals that draw accounts, of the scores over all cutoffs and groups."""
    own = scores.filter(
        pl.col("cutoff") == "all",
        pl.col("segment") == segment,
        pl.col("who") == "foreproof",
        pl.col("low").is_not_null(),
    )
    return {metric: [low, high] for metric, low, high in own.select("metric", "low", "high").iter_rows()}


__all__ = ["PART", "Pair", "Pairs", "router"]
