"""A run: what was asked, of which data, and what came of it.

Plan digest + data versions + seed name the run; under the same lock file and CPU type the same three give the same
bytes of each listed artefact. Timings, machine and file paths are recorded beside, and never digested.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from foreproof.core.trial import Verdict

Status = Literal["running", "proven", "failed", "not proven", "refused", "broken"]


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file of the run: its path inside the run's folder, the sha256 of its bytes, and whether a repeat must give the same."""

    path: str
    sha256: str
    canonical: bool = True


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a run was made; recorded, never digested."""

    commit: str
    lock: str
    python: str
    machine: str
    libraries: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """The record of one run, as `manifest.json` holds it."""

    id: str
    name: str
    workload: str
    plan: str
    data: Mapping[str, str]
    seed: int
    status: Status
    started: str
    finished: str
    environment: Environment
    tag: str = ""
    parent: str = ""
    cutoff: str = ""
    stage: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    verdicts: Sequence[Verdict] = ()
    artefacts: Sequence[Artefact] = ()
    error: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The run as plain values."""
        return json.loads(json.dumps(asdict(self), default=str))  # type: ignore[no-any-return]

    @property
    def digests(self) -> dict[str, str]:
        """The canonical artefacts' digests: what `runs repeat` compares."""
        return {artefact.path: artefact.sha256 for artefact in self.artefacts if artefact.canonical}


def run_id(plan: str, data: Mapping[str, str], seed: int) -> str:
    """The run's name: twelve hex digits of sha256 over plan digest, data versions and seed."""
    named = json.dumps({"plan": plan, "data": dict(sorted(data.items())), "seed": seed}, sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()[:12]


def verdict_status(verdicts: Sequence[Verdict]) -> Status:
    """`failed` where one check failed, else `not proven` where one is, or where nothing was checked, else `proven`.

    What is not applicable is said and does not count: the exact checks apply to everything.
    """
    outcomes = {verdict.outcome for verdict in verdicts} - {"not applicable"}
    if "failed" in outcomes:
        return "failed"
    return "not proven" if "not proven" in outcomes or not outcomes else "proven"


__all__ = ["Artefact", "Environment", "Run", "Status", "run_id", "verdict_status"]
