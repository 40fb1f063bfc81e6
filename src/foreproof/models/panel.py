"""The long target frame as arrays: one run of values a series, in the order of entities and periods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.clock import literal
from foreproof.core.model import Now
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE, Prediction
from foreproof.errors import BadInput

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PERIOD, Y = "period", "y"


@dataclass(frozen=True, slots=True)
class Panel:
    """N series side by side.

    keys: the entity values of each series, rising. starts: N, the period of each first value. bounds: N + 1, series i is
    values[bounds[i] : bounds[i + 1]], unit of the target.
    """

    keys: tuple[tuple[str, ...], ...]
    starts: Ints
    bounds: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Floats]:
        return (self.values[a:b] for a, b in zip(self.bounds[:-1], self.bounds[1:], strict=True))

    @property
    def lengths(self) -> Ints:
        """N: how many values each series has."""
        return np.diff(self.bounds)


def panel(target: pl.DataFrame, entity: Sequence[str]) -> Panel:
    """The series of a target frame (entity columns, `period`, `y`), in whatever order its rows come.

    Raises BadInput where `y` is null, NaN or infinite, or where a series has two values or none for a period between its
    first and its last.
    """
    frame = target.select(*entity, PERIOD, pl.col(Y).cast(pl.Float64)).sort(*entity, PERIOD)
    wrong = frame.filter(~pl.col(Y).is_finite().fill_null(False))
    if wrong.height:
        raise BadInput(
            "target",
            found=f"{wrong.height} values that are no finite numbers (first: {wrong.row(0, named=True)})",
            wanted="a finite y in every row",
            fix="choose a gap rule for the series, or repair the rows",
        )
    periods = frame[PERIOD].to_numpy().astype(np.int64)
    if entity and frame.height:
        changed = frame.select(pl.any_horizontal(pl.col(n) != pl.col(n).shift() for n in entity))
        firsts = np.flatnonzero(changed.to_series().fill_null(True).to_numpy())
    else:
        firsts = np.arange(min(frame.height, 1))
    bounds = np.append(firsts, frame.height).astype(np.int64)
    inside = np.ones(frame.height, dtype=bool)
    inside[firsts] = False
    holes = np.flatnonzero(inside & (np.diff(periods, prepend=periods[:1]) != 1))
    if holes.size:
        raise BadInput(
            "target",
            found=f"{holes.size} periods that do not follow on the one before (first: {frame.row(int(holes[0]), named=True)})",
            wanted="one row for each period of a series",
            fix="fill the gaps",
        )
    keys = tuple(frame.select(entity)[firsts].cast(pl.String).rows()) if entity else ((),) * len(firsts)
    return Panel(keys, periods[firsts], bounds, frame[Y].to_numpy())


def points(now: Now, keys: Sequence[tuple[str, ...]], values: Floats) -> Prediction:
    """The point prediction of values (N x horizon, unit of the target), one row for each series and step."""
    frame, horizon = now.frame, now.frame.horizon
    steps = np.tile(np.arange(1, horizon + 1, dtype=np.int64), len(keys))
    names = pl.DataFrame(keys, schema=dict.fromkeys(frame.entity, pl.String), orient="row") if frame.entity else None
    which = np.repeat(np.arange(len(keys)), horizon)
    rows = pl.DataFrame({STEP: steps, VALUE: values.reshape(-1)}, schema={STEP: pl.Int64, VALUE: pl.Float64})
    rows = rows.select(
        *([] if names is None else names[which].get_columns()),
        literal(now.cutoff).alias(CUTOFF),
        STEP,
        pl.lit(None, dtype=pl.Float64).alias(LEVEL),
        VALUE,
    )
    return Prediction("point", frame.entity, rows)


def seasonal_naive(past: Panel, *, season: int, horizon: int) -> Floats:
    """N x horizon: step s repeats the value one season before, y[n - m + (s - 1) mod m]; with n < m, the last value.

    season: m, in steps. Hyndman & Athanasopoulos, Forecasting: Principles and Practice (2021), section 5.2.
    """
    steps = np.arange(horizon, dtype=np.int64)
    ends = past.bounds[1:, None]
    place = np.where(past.lengths[:, None] >= season, ends - season + steps % season, ends - 1)
    return past.values[place]


__all__ = ["PERIOD", "Floats", "Ints", "Panel", "Y", "panel", "points", "seasonal_naive"]
