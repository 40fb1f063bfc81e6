"""Ahead columns: what plans that were published by the cutoff say about the target step (law 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foreproof.core.view import Table
from foreproof.errors import LawError
from foreproof.features.cells import Reading, Reduce
from foreproof.features.context import Context, Demand, Floats, Shape, by_step
from foreproof.features.declare import Meta, word
from foreproof.features.lags import value


@dataclass(frozen=True, slots=True)
class Ahead:
    """What an ahead table says about the target step's period, shifted by `offset` steps, as known at the cutoff.

    Reads happened in (cutoff + step + offset - 1, cutoff + step + offset], up to cutoff + horizon; beyond it null. By the
    series' columns that the table has. Without rows, sum and count are 0 and the others null.
    """

    table: str
    column: str = ""
    aggregate: Reduce = "sum"
    offset: int = 0

    def __post_init__(self) -> None:
        word(self, "aggregate", self.aggregate, Reduce)

    @property
    def name(self) -> str:
        """`ahead_promotions_display_sum`, `ahead_promotions_display_sum_lead_7`, `..._lag_7`."""
        shift = f"_{'lead' if self.offset > 0 else 'lag'}_{abs(self.offset)}" if self.offset else ""
        return "_".join(part for part in ("ahead", self.table, self.column, self.aggregate) if part) + shift

    @property
    def reading(self) -> Reading:
        """What is read in one period."""
        return Reading(self.table, self.column, self.aggregate)

    def maths(self) -> str:
        """Sum of promotions.display over (cutoff + step - 1, cutoff + step], known <= cutoff."""
        at = f"cutoff + step{f' {self.offset:+d}'.replace('+', '+ ').replace('-', '- ') if self.offset else ''}"
        return f"{self.reading} over ({at} - 1, {at}], known <= cutoff"

    def meta(self, horizon: int) -> Meta:
        """It reads past facts only where the offset takes the first steps back to the cutoff."""
        near = None if 1 + self.offset > 0 else max(0, -(horizon + self.offset))
        return Meta(self.name, "ahead", "target", None, 1, near, self.maths())


def ahead_reads(feature: Ahead, shape: Shape) -> Demand:
    """The target's own period is lag -step from the cutoff."""
    return [(feature.reading, lag) for lag in _lags(feature, shape.steps.tolist())]


def ahead_column(context: Context, feature: Ahead) -> Floats:
    """See `Ahead`."""
    reading, steps = feature.reading, context.steps.tolist()
    inside = set(_lags(feature, steps))
    empty = 0.0 if feature.aggregate in ("sum", "count") else np.nan

    def make(lag: int) -> Floats:
        if lag not in inside:
            return np.full(context.start.shape, np.nan)
        found = value(context, reading, lag)
        return np.where(np.isnan(found), empty, found)

    return by_step([-step - feature.offset for step in steps], make)


def check_ahead(feature: Ahead, table: Table) -> None:
    """Refuse to read a table of past facts beyond the cutoff."""
    if not table.contract.ahead:
        raise LawError(
            f"feature {feature.name}",
            found=f"{feature.table}, a table of past facts, read over (cutoff, cutoff + horizon]",
            wanted="a table with ahead: true (law 3, half-open time)",
            fix="mark the table if its rows are known before they happen, or use a lag",
        )


def _lags(feature: Ahead, steps: list[int]) -> list[int]:
    """The lags that do not reach beyond cutoff + horizon."""
    return [-step - feature.offset for step in steps if step + feature.offset <= max(steps)]


__all__ = ["Ahead", "ahead_column", "ahead_reads", "check_ahead"]
