"""Predictions and the invariants that hold for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from foreproof.errors import LawError

PredictionKind = Literal["point", "quantile", "probability"]
CUTOFF, STEP, LEVEL, VALUE = "cutoff", "step", "level", "value"


@dataclass(frozen=True, slots=True)
class Prediction:
    """Values by entity, cutoff and step.

    rows: entity columns (text), `cutoff` (instant or integer), `step` (Int64, 1 ... horizon), `level` (Float64, null for
    a point or a probability), `value` (Float64). One row per index and level, no NaN, no infinity; the constructor
    checks that quantiles do not cross (value does not fall as level grows) and that probabilities lie in [0, 1].
    """

    kind: PredictionKind
    entity: tuple[str, ...]
    rows: pl.DataFrame

    def __post_init__(self) -> None:
        rows = self.rows.select(*self.entity, CUTOFF, STEP, LEVEL, VALUE)
        self._refuse("is not a finite number", rows.filter(~pl.col(VALUE).is_finite().fill_null(False)))
        self._refuse("comes before step 1", rows.filter(pl.col(STEP) < 1))
        # Not pl.struct(...).is_duplicated(): with a column of nulls polars calls every row of it repeated.
        self._refuse("comes twice", rows.filter(rows.select(*self.index, LEVEL).is_duplicated()))
        if self.kind == "quantile":
            self._refuse(
                "has no level in (0, 1)", rows.filter(~pl.col(LEVEL).is_between(0, 1, closed="none").fill_null(False))
            )
            fall = pl.col(VALUE).diff().over(self.index, order_by=LEVEL) < 0
            self._refuse("crosses a lower quantile", rows.filter(fall.fill_null(False)))
        else:
            self._refuse("has a level", rows.filter(pl.col(LEVEL).is_not_null()))
        if self.kind == "probability":
            self._refuse("lies outside [0, 1]", rows.filter(~pl.col(VALUE).is_between(0, 1)))

    @property
    def index(self) -> list[str]:
        """The columns that name one predicted quantity."""
        return [*self.entity, CUTOFF, STEP]

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantile levels, rising."""
        return tuple(self.rows[LEVEL].drop_nulls().unique().sort().to_list())

    def canonical(self) -> pl.DataFrame:
        """The rows sorted, with columns in order: what digests are taken of."""
        return self.rows.select(*self.index, LEVEL, VALUE).sort([*self.index, LEVEL])

    def _refuse(self, what: str, rows: pl.DataFrame) -> None:
        if rows.height:
            raise LawError(
                "prediction", found=f"{rows.height} of {self.rows.height} values: one {what}: {rows.row(0, named=True)}"
            )


__all__ = ["CUTOFF", "LEVEL", "STEP", "VALUE", "Prediction"]
