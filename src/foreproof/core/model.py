"""Learning returns another type: `Model.fit(past) -> Fitted`, `Fitted.predict(now) -> Prediction`.

A local statistical model reads the target, a global one the rows, behind one protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.grid import Grid
from foreproof.core.predict import Prediction


@dataclass(frozen=True, slots=True)
class Frame:
    """What every workload's models share: entity columns, grid, horizon in steps, season in steps, reporting delay."""

    entity: tuple[str, ...]
    grid: Grid
    horizon: int
    season: int
    delay: str | int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """What a model may learn from at `cutoff`; every part was made from the view at that cutoff.

    target: entity columns, `period` (Int64, grid index), `y` (Float64, user's unit); dense from each series' start to the
    cutoff, sorted by entity and period.
    rows: made only when asked for: entity columns, `cutoff`, `step`, features ..., `label` (Float64): training examples
    whose labels had settled at `cutoff` (gap law), with features as of each example's own cutoff and labels as known at
    `cutoff`; sorted by entity, cutoff, step. Feature columns are all the others: Float64, or String for categories.
    """

    frame: Frame
    cutoff: Moment
    target: pl.DataFrame
    make_rows: Callable[[], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Now:
    """What a fitted model predicts from: the target as of `cutoff`, and rows for steps 1 ... horizon, without label."""

    frame: Frame
    cutoff: Moment
    target: pl.DataFrame
    make_rows: Callable[[], pl.DataFrame]


class Fitted(Protocol):
    """A model that has learned. Predicting at a later view is an update without refit."""

    def predict(self, now: Now) -> Prediction:
        """Predictions for each series of `now.target` and each step."""
        ...

    def dump(self) -> Mapping[str, bytes]:
        """The learned state as named text or Arrow artefacts (never a pickle); empty where the model keeps none."""
        ...


class Model(Protocol):
    """A way to learn, as a frozen value."""

    @property
    def name(self) -> str:
        """The name under which the model appears in plans, tables and pages."""
        ...

    @property
    def reads_rows(self) -> bool:
        """Whether learning or predicting asks for rows; a local model reads the target alone."""
        ...

    def fit(self, past: Past, *, seed: int) -> Fitted:
        """Learn from the past alone; the same past and seed give the same bytes."""
        ...


@runtime_checkable
class Explains(Protocol):
    """An optional protocol of a `Fitted`."""

    def contributions(self, now: Now) -> pl.DataFrame:
        """Additive contributions of each feature to each prediction, in its unit; to a probability, in log odds."""
        ...


__all__ = ["Explains", "Fitted", "Frame", "Model", "Now", "Past"]
