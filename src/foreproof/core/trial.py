"""The gauntlet's nouns: a `Trial` builds, a `Check` judges, a `Leak` plants a fault that the check must catch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.cuts import Cuts
from foreproof.core.grid import Grid
from foreproof.core.view import Database
from foreproof.errors import BadInput

Outcome = Literal["passed", "failed", "not proven", "not applicable"]
"""`not applicable`: the data cannot answer what a check asks (too few entities, one cutoff alone, no log of the tables)."""
Kind = Literal["quantity", "chance"]
Tier = Literal["structural", "statistical"]
"""Structural checks are exact; statistical ones have a stated rate of error."""


@dataclass(frozen=True, slots=True)
class Forecasts:
    """predictions, baseline: entity columns, `cutoff`, `step`, `level` (null = point), `value`.

    manifest: what was learned from or calibrated on, one row an example cutoff and step: `cutoff` (served), `example`,
    `step`, `settled` (the moment at which the label was settled), `role` (`learn` | `calibrate`).
    detail: what a pipeline keeps for itself; no check reads it.
    folds: for a pipeline that keeps entities apart, some of the entity columns, `fold`, `role` (`learn` | `judge`).
    """

    predictions: pl.DataFrame
    baseline: pl.DataFrame
    manifest: pl.DataFrame
    detail: Any = None
    folds: pl.DataFrame | None = None


@dataclass(frozen=True)
class Built:
    """What one build made, each frame sorted by its index.

    entities: entity columns, `cutoff`. rows: entity columns, `cutoff`, `step`, features. labels: entity columns, `cutoff`,
    `step`, `target` (the moment predicted), `y` (truth, for the judge). forecast: makes the predictions, and is called only
    by a check that needs them.
    """

    entities: pl.DataFrame
    rows: pl.DataFrame
    labels: pl.DataFrame
    forecast: Callable[[], Forecasts]

    @cached_property
    def forecasts(self) -> Forecasts:
        """The predictions, made once."""
        return self.forecast()


Build = Callable[[Database, Sequence[Moment], int], Built]
Live = Callable[[Database, Moment], Callable[[pl.DataFrame], pl.DataFrame]]
"""Opens a database at a cutoff as serving does; then makes the rows of the given entities (entity columns) alone."""
Repeat = Callable[[], Mapping[str, str]]
"""Waits for another process, with other numbers of threads, to build at the trial's last cutoff: the digest of each part."""


@dataclass(frozen=True, slots=True)
class Witness:
    """What the append-only log holds of the facts, as they were first loaded.

    database: its tables, all versions. loaded: by table, the ticks at which each batch was loaded; nothing where nobody noted it.
    """

    database: Database
    loaded: Mapping[str, Mapping[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """A pipeline under test. `build(database, cutoffs, seed)` is the same callable that audits a stranger's pipeline.

    entity: the first column is the one whose rows are alike, and drawn whole. kind: of the label: a quantity, or 0 and 1. grid,
    delay: the arithmetic of the gap law. nearness: by feature, the steps between a cutoff and the nearest past fact that it is
    declared to read (None: it reads no past fact); empty where nothing is declared. safe: the same pipeline on SAFE features.

    carried: a label without facts repeats the one before it, also one from before the cutoff. cuts: databases cut once for all
    checks. live, repeat: see `Live`, `Repeat`. scored: rows as they were scored live, in the columns of `Built.rows` or some.
    looks: how often this hold-out was looked at, this time included. witness: what the log holds, where `database` is what the
    pipeline reads: a change of the world is one of both, a change of what is made of it one of `database` alone.
    """

    database: Database
    cutoffs: tuple[Moment, ...]
    entity: tuple[str, ...]
    horizon: int
    seed: int
    build: Build
    grid: Grid
    kind: Kind = "quantity"
    delay: str | int = 0
    nearness: Mapping[str, int | None] = field(default_factory=dict)
    safe: Build | None = None
    carried: bool = False
    cuts: Cuts | None = None
    live: Live | None = None
    repeat: Repeat | None = None
    scored: pl.DataFrame | None = None
    looks: int = 1
    witness: Witness | None = None

    def run(self) -> Built:
        """Build on the whole database."""
        return self.build(self.database, self.cutoffs, self.seed)

    def truncated(self, cutoff: Moment) -> Database:
        """The database as it was at a cutoff, with the versions that had been superseded by then."""
        return self._cuts.truncated(cutoff)

    def viewed(self, cutoff: Moment) -> Database:
        """What a reader at a cutoff would have seen: one version a key."""
        return self._cuts.viewed(cutoff)

    def altered(self, name: str, cutoff: Moment | None, make: Callable[[], Database]) -> Database:
        """A database made of the trial's own, under a name that says how; made once where the trial keeps its cuts."""
        return self._cuts.kept(name, cutoff, make)

    def at(self, cutoff: Moment) -> Built:
        """Build one cutoff alone, on the database as it was there."""
        return self.build(self.truncated(cutoff), (cutoff,), self.seed)

    @property
    def _cuts(self) -> Cuts:
        """The cuts of this very database: those of another one are of no use."""
        return self.cuts if self.cuts is not None and self.cuts.database is self.database else Cuts(self.database)

    def with_build(self, build: Build) -> Trial:
        """The same trial with another pipeline."""
        return replace(self, build=build)


Leak = Callable[[Trial], Trial]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: its figure against its limit, and evidence in words and rows.

    p: of a statistical check, the chance of such a figure under honesty, for a correction over the whole proof. warning: what
    is not a failure and should be read, in words.
    """

    name: str
    outcome: Outcome
    figure: float | None
    limit: float | None
    words: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    tier: Tier = "structural"
    p: float | None = None
    warning: str = ""
    control: str = ""
    control_caught: bool | None = None


class Check(Protocol):
    """A test of honesty that has a planted fault of its own."""

    @property
    def name(self) -> str:
        """The name in plans, tables and pages."""
        ...

    @property
    def control(self) -> Leak:
        """The planted fault that this check must catch."""
        ...

    def __call__(self, trial: Trial) -> Verdict:
        """Judge a trial."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A check that can say more of its verdict, at a cost that no planted fault is worth."""

    def explain(self, trial: Trial, verdict: Verdict) -> Verdict:
        """The verdict with more evidence; its outcome is the same."""
        ...


def explained(check: Check, trial: Trial, verdict: Verdict) -> Verdict:
    """The verdict with all that its check can say of it."""
    return check.explain(trial, verdict) if isinstance(check, Explains) else verdict


def proven(check: Check, trial: Trial) -> Verdict:
    """Run a check beside its planted fault; without a caught fault there is no pass, only "not proven" (law 10).

    A fault that leaves too little to build from (BadInput) is not caught. A check that is not applicable cannot be tried.
    """
    verdict = explained(check, trial, check(trial))
    if verdict.outcome == "not applicable":
        return verdict
    leak = check.control
    try:
        caught = check(leak(trial)).outcome == "failed"
    except BadInput as error:
        caught, verdict = (
            False,
            replace(verdict, words=f"{verdict.words}; the planted fault could not be tried: {error}"),
        )
    outcome: Outcome = verdict.outcome if caught or verdict.outcome == "failed" else "not proven"
    return replace(verdict, outcome=outcome, control=getattr(leak, "__name__", str(leak)), control_caught=caught)


__all__ = [
    "Build",
    "Built",
    "Check",
    "Explains",
    "Forecasts",
    "Kind",
    "Leak",
    "Live",
    "Outcome",
    "Repeat",
    "Tier",
    "Trial",
    "Verdict",
    "Witness",
    "explained",
    "proven",
]
