"""Sample paths: what may happen over the coming steps, drawn together, so that sums over steps have a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE, Prediction
from foreproof.errors import BadInput, LawError

PATH = "path"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """K equally likely paths of each series from each cutoff.

    keys: n rows, entity columns and `cutoff`, sorted, none twice. values: n x K x H, finite, unit of the target; values[i, k]
    is path k of series i over steps 1 ... H. The constructor checks that (LawError otherwise).
    """

    keys: pl.DataFrame
    values: Floats

    def __post_init__(self) -> None:
        found = f"{self.values.shape} values for {self.keys.height} series"
        if self.values.ndim != 3 or self.values.shape[0] != self.keys.height or 0 in self.values.shape[1:]:
            raise LawError("paths", found=found, wanted="series x paths x steps")
        if not np.all(np.isfinite(self.values)):
            raise LawError("paths", found="a value that is no finite number", wanted="finite values")
        if self.keys.is_duplicated().any():
            raise LawError("paths", found="a series and cutoff that come twice", wanted="each once")

    @property
    def entity(self) -> tuple[str, ...]:
        """The columns that name a series."""
        return tuple(name for name in self.keys.columns if name != CUTOFF)

    @property
    def count(self) -> int:
        """K."""
        return int(self.values.shape[1])

    @property
    def horizon(self) -> int:
        """H, in steps."""
        return int(self.values.shape[2])

    def sums(self, first: int, last: int) -> Floats:
        """Return n x K: each path's sum over steps first ... last, 1 <= first <= last <= H, added in the order of steps."""
        if not 1 <= first <= last <= self.horizon:
            raise BadInput("paths", found=f"steps {first} to {last}", wanted=f"steps within 1 to {self.horizon}")
        total = np.zeros(self.values.shape[:2])
        for step in range(first - 1, last):
            total += self.values[:, :, step]
        return total

    def quantiles(self, levels: Sequence[float]) -> Prediction:
        """Quantiles of each step, at levels in (0, 1); linear between the order statistics at (k - 1/2) / K.

        Hyndman & Fan (1996), definition 5.
        """
        values = np.quantile(self.values, levels, axis=1, method="hazen")  # levels x n x H
        many, n, horizon = values.shape
        which = np.repeat(np.arange(n), horizon * many)
        rows = self.keys[which].with_columns(
            pl.Series(STEP, np.tile(np.repeat(np.arange(1, horizon + 1), many), n), dtype=pl.Int64),
            pl.Series(LEVEL, np.tile(np.asarray(levels, dtype=np.float64), n * horizon)),
            pl.Series(VALUE, values.transpose(1, 2, 0).reshape(-1)),
        )
        return Prediction("quantile", self.entity, rows)

    def frame(self) -> pl.DataFrame:
        """Long: entity columns, `cutoff`, `path` (1 ... K), `step`, `value`."""
        n, many, horizon = self.values.shape
        return self.keys[np.repeat(np.arange(n), many * horizon)].with_columns(
            pl.Series(PATH, np.tile(np.repeat(np.arange(1, many + 1), horizon), n), dtype=pl.Int64),
            pl.Series(STEP, np.tile(np.arange(1, horizon + 1), n * many), dtype=pl.Int64),
            pl.Series(VALUE, self.values.reshape(-1)),
        )


def paths_of(frame: pl.DataFrame) -> Paths:
    """The inverse of `Paths.frame`, from rows in any order; every series must have every path and step."""
    entity = [name for name in frame.columns if name not in (CUTOFF, PATH, STEP, VALUE)]
    rows = frame.sort(*entity, CUTOFF, PATH, STEP)
    keys = rows.select(*entity, CUTOFF).unique(maintain_order=True)
    many, horizon = rows[PATH].n_unique(), rows[STEP].n_unique()
    whole = (
        rows.height == keys.height * many * horizon
        and not rows.select(*entity, CUTOFF, PATH, STEP).is_duplicated().any()
    )
    if not rows.height or not whole:
        raise BadInput(
            "paths", found=f"{rows.height} rows of {keys.height} series", wanted="every path and step of each"
        )
    return Paths(keys, rows[VALUE].cast(pl.Float64).to_numpy().reshape(keys.height, many, horizon))


__all__ = ["PATH", "Paths", "paths_of"]
