"""The copilot over HTTP: sentences about a run that say nothing but its facts, each with the facts beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from foreproof.app.api.caller import Analyst, Desk, Reader
from foreproof.app.api.shapes import Provenance

PART = "copilot"
router = APIRouter(tags=["copilot"])
_SUBJECT = Query("", max_length=500, description="a series or a pair; facts of the whole run without it")


class Asked(BaseModel):
    """What is asked: about a series or a pair (the whole run without), in words or not, of the served run or another one."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"subject": "item 1"}, {"question": "Is the served run proven?"}]},
    )
    subject: str = Field("", max_length=500)
    question: str = Field("", max_length=2000)
    run: str = Field("", max_length=128, description="a recorded run instead of the served one")


class Summed(BaseModel):
    """Of which run a summary is asked for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})
    run: str = Field("", max_length=128, description="a recorded run instead of the served one")


class Sentence(BaseModel):
    """One sentence, and the ids of the facts that it tells."""

    text: str
    facts: list[str]


class Said(BaseModel):
    """What was said, by whom, and on which facts; `writer` is `refused` where no fact answers."""

    question: str
    subject: str
    sentences: list[Sentence]
    facts: list[dict[str, str]]
    sources: list[str] = Field(description="sha256 of each file that the cited facts were read from")
    writer: str = Field(description="model, writer or refused", examples=["writer"])
    model: str
    prompt: str = Field(description="name, version and digest of the prompt", examples=["explain.v1@18f01a99b213"])
    facts_digest: str
    tokens_in: int
    tokens_out: int
    problems: list[str] = Field(description="what was wrong with what a model said first")
    retried: bool
    provenance: Provenance | None = Field(None, description="of the served run; of another one its id is in `run`")
    run: str


class Ledger(BaseModel):
    """The facts that may be told."""

    items: list[dict[str, str]]
    total: int
    digest: str
    run: str


@router.post("/copilot/explain", summary="Explain a series, a pair or a run, or answer a question")
def explain(desk: Analyst, request: Request, body: Asked) -> Said:
    """Sentences whose numbers, dates, names and directions are rendered from facts and checked; the exchange is in the log."""
    # The engine's words about units; a service that explains nothing does not load them.
    from foreproof.app import copilot, llm_settings

    place = desk.place()
    facts, run = _facts(desk, body.run, subject=body.subject, question=body.question)
    talker = llm_settings.talker_of(desk.service.home.folder, desk.service.home.environment)
    said = copilot.explain_facts(place.project(), facts, subject=body.subject, question=body.question, talker=talker)
    return _answer(desk, request, said.as_dict(), run=run, own=bool(body.run))


@router.post("/copilot/summarize", summary="Sum a run up")
def summarize(desk: Analyst, request: Request, body: Summed | None = None) -> Said:
    """What a run says as a whole, in a few sentences, checked like every other one."""
    from foreproof.app import copilot, llm_settings

    asked = body or Summed(run="")
    place = desk.place()
    facts, run = _facts(desk, asked.run)
    talker = llm_settings.talker_of(desk.service.home.folder, desk.service.home.environment)
    said = copilot.summarize_facts(place.project(), facts, talker=talker)
    return _answer(desk, request, said.as_dict(), run=run, own=bool(asked.run))


@router.get("/copilot/facts", summary="The facts that may be told")
def facts(desk: Reader, subject: str = _SUBJECT, run: str = Query("", max_length=128)) -> Ledger:
    """The ledger of the served run (or another one): id, kind, what it is about, value, unit, period, as it would be told."""
    from foreproof.explain.copilot import shown

    found, named = _facts(desk, run, subject=subject)
    return Ledger(items=[shown(one) for one in found.items], total=len(found.items), digest=found.digest, run=named)


def _facts(desk: Desk, run: str, *, subject: str = "", question: str = "") -> tuple[Any, str]:
    """The ledger of a recorded run, or of the served one; and the run's id."""
    from foreproof.app import copilot

    place = desk.place()
    if run:
        found = desk.service.archive.manifest(place, run)
        facts = copilot.ledger_of(place.project(), str(found["run"]), subject=subject, question=question)
        return facts, str(found["run"])
    served = desk.service.shelves.published(place)
    facts = copilot.ledger_at(place.project(), served.folder, served.manifest, subject=subject, question=question)
    return facts, served.run


def _answer(desk: Desk, request: Request, said: dict[str, Any], *, run: str, own: bool) -> Said:
    meter = request.state.meter
    meter.tokens_in += int(said["tokens_in"])
    meter.tokens_out += int(said["tokens_out"])
    place = desk.place()
    told = None if own else desk.service.shelves.published(place).provenance(datetime.now(UTC))
    provenance = Provenance.model_validate(told) if told else None
    return Said(**said, run=run, provenance=provenance)


__all__ = ["PART", "router"]
