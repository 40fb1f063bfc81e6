"""Proofs: the verdicts of a run, each beside the planted fault that it had to catch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from foreproof.app.api.archive import SERVED
from foreproof.app.api.caller import Reader
from foreproof.app.api.reading import KeptRoute, shown

PART = "proofs"
router = APIRouter(tags=["proofs"], route_class=KeptRoute)
OUTCOMES = ("passed", "failed", "not proven", "not applicable")
"""What a check can end in."""


class VerdictShown(BaseModel):
    """What one check found, and whether it caught the fault that was planted for it."""

    name: str = Field(examples=["rebuild"])
    outcome: str = Field(examples=["passed"])
    tier: str = Field(examples=["structural"])
    figure: float | None = Field(examples=[0.0])
    limit: float | None = Field(examples=[0.0])
    p: float | None = None
    words: str = Field(
        examples=["population, features and predictions identical at 4 cutoffs on tables truncated there"]
    )
    warning: str = ""
    control: str = Field("", description="the planted fault", examples=["peek"])
    control_caught: bool | None = None
    evidence: dict[str, Any] = Field(default_factory=dict)


class Proof(BaseModel):
    """The proof of a run."""

    run: str = Field(examples=["f6829183b2d4"])
    status: str = Field(examples=["proven"])
    verdicts: list[VerdictShown]
    planted: str = Field("", description="the leak that the plan planted on purpose")
    counts: dict[str, int] = Field(examples=[{"passed": 20, "failed": 0, "not proven": 0, "not applicable": 7}])


@router.get("/proofs/{run}", summary="The proof of a run, or of the one that is served")
def proof(
    run: Annotated[str, Path(max_length=128, description="an id, or `served`", examples=["served"])],
    desk: Reader,
    request: Request,
) -> Proof:
    """Every verdict with figure, limit, p and words; a check whose control was not caught proves nothing."""
    if run == SERVED:
        found = shown()(request, desk).published.manifest
    else:
        found = desk.service.archive.manifest(desk.place(), run)
    return Proof.model_validate(proof_of(found))


def proof_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The proof that a manifest records."""
    verdicts = [dict(one) for one in manifest["verdicts"]]
    said = {"run": manifest["run"], "status": manifest["status"], "planted": manifest.get("planted", "")}
    return {**said, "verdicts": verdicts, "counts": counts_of(manifest)}


def counts_of(manifest: Mapping[str, Any]) -> dict[str, int]:
    """How many checks ended in what."""
    counted = Counter(str(one["outcome"]) for one in manifest["verdicts"])
    return {name: counted[name] for name in OUTCOMES}


__all__ = ["OUTCOMES", "PART", "counts_of", "proof_of", "router"]
