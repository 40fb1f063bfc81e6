"""The copilot of a project: facts of a recorded run, what is said about them, and the leaf in the log."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app.history import manifest, manifests
from foreproof.app.own_code import with_code
from foreproof.app.project import Project
from foreproof.app.stages import STAGES
from foreproof.core.digest import digest_bytes
from foreproof.core.plan import parse_plan
from foreproof.core.ports import Talker
from foreproof.engine.words import unit_of
from foreproof.errors import BadInput, IntegrityError, NotFound
from foreproof.explain.copilot import Exchange, cache_key, explain_with, kept_exchange, summarize_with
from foreproof.explain.facts import WHOLE, About, Facts
from foreproof.explain.facts_common import day
from foreproof.explain.facts_run import TABLES, run_facts, subjects_of
from foreproof.explain.match import named_in
from foreproof.workloads.forecast import ForecastPlan


def ledger_of(project: Project, run_id: str = "", *, subject: str | None = WHOLE, question: str = "") -> Facts:
    """The facts of a recorded run; of the newest whole one without an id. subject: see `run_facts`.

    A question that names a series or pair brings the facts of that one. Raises BadInput where there is no such run or subject,
    IntegrityError where a table is not as the run recorded it.
    """
    found = manifest(project, run_id) if run_id else newest(project)
    return ledger_at(project, project.runs / str(found["run"]), found, subject=subject, question=question)


def ledger_at(
    project: Project, folder: Path, found: Mapping[str, Any], *, subject: str | None = WHOLE, question: str = ""
) -> Facts:
    """`ledger_of` for a run's files wherever they lie, such as the copy that is served; found: the run's manifest."""
    tables, digests = _tables(folder, found)
    about = _about(project, folder, found, digests)
    if subject == WHOLE and question:
        subject = named_in(question, subjects_of(tables, about)) or WHOLE
    facts = run_facts(tables, about, subject=subject)
    if subject and not facts.of(subject):
        near = ", ".join(sorted(subjects_of(tables, about))[:5])
        raise NotFound(f"subject {subject}", found="no such series or pair", wanted=f"one of the run's, such as {near}")
    return facts


def explain_run(
    project: Project, run_id: str, *, subject: str = WHOLE, question: str = "", talker: Talker | None = None
) -> Exchange:
    """Explain a subject of a recorded run, or answer a question about it; see `explain_facts`."""
    facts = ledger_of(project, run_id, subject=subject, question=question)
    return explain_facts(project, facts, subject=subject, question=question, talker=talker)


def summarize_run(project: Project, run_id: str, *, talker: Talker | None = None) -> Exchange:
    """Sum a recorded run up; see `summarize_facts`."""
    return summarize_facts(project, ledger_of(project, run_id), talker=talker)


def explain_facts(
    project: Project, facts: Facts, *, subject: str = WHOLE, question: str = "", talker: Talker | None = None
) -> Exchange:
    """Explain a subject of a ledger, or answer a question about it; the exchange is a leaf of the log."""
    key = cache_key(facts, subject, question, name="explain", model=talker.model if talker else "")
    return _kept(project, facts, lambda: explain_with(facts, subject, question, talker), key=key)


def summarize_facts(project: Project, facts: Facts, *, talker: Talker | None = None) -> Exchange:
    """Sum a ledger up; the exchange is a leaf of the log."""
    key = cache_key(facts, WHOLE, "", name="summarize", model=talker.model if talker else "")
    return _kept(project, facts, lambda: summarize_with(facts, talker), key=key)


def newest(project: Project) -> Mapping[str, Any]:
    """The manifest of the newest run that went through every stage; BadInput where there is none."""
    ended = ("proven", "failed", "not proven")
    whole = [one for one in manifests(project) if one["stage"] == STAGES[-1] and one["status"] in ended]
    if whole:
        return whole[-1]
    raise BadInput("runs", found="no whole run", wanted="a run to explain", fix="foreproof run")


def _kept(project: Project, facts: Facts, ask: Callable[[], Exchange], *, key: str) -> Exchange:
    """What was said before to the same question on the same facts by the same model and prompt, else what is said now."""
    path = project.inside / "cache" / "explanations" / f"{key}.json"
    made = kept_exchange(json.loads(path.read_text(encoding="utf-8")), facts) if path.is_file() else None
    cached = made is not None
    if made is None:
        made = ask()
        if made.writer == "model":
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{secrets.token_hex(8)}")
            draft.write_text(json.dumps(made.as_dict()), encoding="utf-8")
            os.replace(draft, path)
    project.ledger.append("explanation", {**made.as_leaf(salt=_salt(project.inside)), "cached": cached})
    return made


def _salt(inside: Path) -> bytes:
    """The secret under which words of people stand in the log; whoever deletes it erases what links them to the log."""
    path = inside / "keys" / "explanations.salt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(secrets.token_bytes(32))
    return path.read_bytes()


def _tables(folder: Path, found: Mapping[str, Any]) -> tuple[dict[str, pl.DataFrame], dict[str, str]]:
    """The run's tables that facts are made from, and sha256 of each file, held against the run's record."""
    recorded = {str(one["path"]): str(one["sha256"]) for one in found["artefacts"]}
    tables, digests = {}, {}
    for name in TABLES:
        place = f"tables/{name}.parquet"
        if place not in recorded:
            continue
        content = (folder / place).read_bytes() if (folder / place).is_file() else b""
        digest = digest_bytes(content)
        if digest != recorded[place]:
            raise IntegrityError(
                f"run {found['run']}: {place}",
                found=f"sha256 {digest[:12]}" if content else "no file",
                wanted=f"{recorded[place][:12]}, as recorded",
                fix="bring the file back; `foreproof log verify` says what else changed",
            )
        tables[name], digests[name] = pl.read_parquet(content), digest
    return tables, digests


def _about(project: Project, folder: Path, found: Mapping[str, Any], digests: Mapping[str, str]) -> About:
    """What the run's own plan says of units, money and time."""
    text = (folder / "plan_resolved.yaml").read_text(encoding="utf-8")
    science = Project(project.folder, with_code(parse_plan(text), project.folder), project.settings).science
    series = science.task.series
    contract = next(one for one in science.contracts if one.name == series.table)
    grid, additive = series.grid, False
    if isinstance(science, ForecastPlan):
        unit, additive = contract.column(series.value).unit or "units", series.aggregate == "sum"
        currency = science.ordering.currency if science.ordering else "money"
    else:
        unit, currency = "buyers", science.worth.currency
    cutoff = str(found["cutoff"])
    told = cutoff if grid.integer else day(datetime.fromisoformat(cutoff), grid.zone)
    return About(
        run=str(found["run"]),
        workload=str(found["workload"]),
        entity=tuple(science.task.entity),
        unit=unit,
        currency=currency,
        zone=grid.zone,
        step=unit_of(grid),
        additive=additive,
        cutoff=told,
        horizon=science.task.horizon,
        status=str(found["status"]),
        digests=digests,
    )


__all__ = [
    "explain_facts",
    "explain_run",
    "ledger_at",
    "ledger_of",
    "newest",
    "summarize_facts",
    "summarize_run",
]
