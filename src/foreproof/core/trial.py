"""The gauntlet's nouns: a `Trial` builds, a `Check` judges, a `Leak` plants a fault that the check must catch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.grid import Grid
from foreproof.core.view import Database

Outcome = Literal["passed", "failed", "not proven"]
Kind = Literal["quantity", "chance"]
Tier = Literal["structural", "statistical"]
"""Structural checks are exact; statistical ones have a stated rate of error."""


@dataclass(frozen=True, slots=True)
class Forecasts:
    """predictions, baseline: entity columns, `cutoff`, `step`, `level` (null = point), `value`.

    manifest: what was learned from or calibrated on, one row an example cutoff and step: `cutoff` (served), `example`,
    `step`, `settled` (the moment at which the label was settled), `role` (`learn` | `calibrate`).
    detail: what a pipeline keeps for itself; no check reads it.
    """

    predictions: pl.DataFrame
    baseline: pl.DataFrame
    manifest: pl.DataFrame
    detail: Any = None


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


@dataclass(frozen=True, slots=True)
class Trial:
    """A pipeline under test. `build(database, cutoffs, seed)` is the same callable that audits a stranger's pipeline.

    entity: the first column is the one whose rows are alike, and drawn whole. kind: of the label: a quantity, or 0 and 1. grid,
    delay: the arithmetic of the gap law. nearness: by feature, the steps between a cutoff and the nearest past fact that it is
    declared to read (None: it reads no past fact); empty where nothing is declared. safe: the same pipeline on SAFE features.
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

    def run(self) -> Built:
        """Build on the whole database."""
        return self.build(self.database, self.cutoffs, self.seed)

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


def proven(check: Check, trial: Trial) -> Verdict:
    """Run a check beside its planted fault; without a caught fault there is no pass, only "not proven" (law 10)."""
    verdict = check(trial)
    leak = check.control
    caught = check(leak(trial)).outcome == "failed"
    outcome: Outcome = verdict.outcome if caught or verdict.outcome == "failed" else "not proven"
    return replace(verdict, outcome=outcome, control=getattr(leak, "__name__", str(leak)), control_caught=caught)


__all__ = ["Build", "Built", "Check", "Forecasts", "Kind", "Leak", "Outcome", "Tier", "Trial", "Verdict", "proven"]
