"""Truncate every table at the cutoff and build again: population, features and predictions must be identical.

Whatever differs was made with rows that nobody could have read at the cutoff. Exact: there is no tolerance to tune.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.predict import CUTOFF, LEVEL, STEP
from foreproof.core.trial import Built, Leak, Trial, Verdict
from foreproof.gauntlet import leaks

PARTS = ("population", "features", "predictions", "baseline")
KEYS: Mapping[str, tuple[str, ...]] = {
    "population": (),
    "features": (STEP,),
    "predictions": (STEP, LEVEL),
    "baseline": (STEP, LEVEL),
}


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Population, features, predictions and baseline at every cutoff, bit for bit."""

    name: str = "rebuild"

    @property
    def control(self) -> Leak:
        """A feature that reads the database past the cutoff."""
        return leaks.peek

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the first feature, row and cutoff that differ."""
        whole = trial.run()
        index = [*trial.entity, CUTOFF]
        for cutoff in sorted(trial.cutoffs, key=ticks):
            cut = trial.build(trial.database.truncate(cutoff), (cutoff,), trial.seed)
            for part, ours, theirs in zip(PARTS, _parts(whole), _parts(cut), strict=True):
                keys = [*index, *KEYS[part]]
                found = difference(_at(ours(), cutoff), _at(theirs(), cutoff), keys)
                if found:
                    return self._failed(part, cutoff, found)
        words = (
            f"population, features and predictions identical at {len(trial.cutoffs)} cutoffs on tables truncated there"
        )
        return Verdict(self.name, "passed", 0.0, 0.0, words, {"cutoffs": [str(cutoff) for cutoff in trial.cutoffs]})

    def _failed(self, part: str, cutoff: Moment, found: dict[str, object]) -> Verdict:
        words = f"{part} at cutoff {cutoff} change when later rows are removed: {found['words']}"
        return Verdict(self.name, "failed", 1.0, 0.0, words, {"part": part, "cutoff": str(cutoff), **found})


def difference(ours: pl.DataFrame, theirs: pl.DataFrame, keys: list[str]) -> dict[str, object] | None:
    """The first difference between two frames in words, or None where every bit is the same."""
    if set(ours.columns) != set(theirs.columns):
        return {"words": f"columns {sorted(set(ours.columns) ^ set(theirs.columns))} exist on one side only"}
    columns = sorted(ours.columns)
    ours, theirs = (frame.select(columns).sort(keys, nulls_last=False) for frame in (ours, theirs))
    if ours.height != theirs.height:
        return {"words": f"{ours.height} rows on all data, {theirs.height} on truncated data"}
    for column in [name for name in columns if name in keys] + [name for name in columns if name not in keys]:
        differs = ~ours[column].eq_missing(theirs[column])
        if differs.any():
            place = int(differs.arg_true()[0])
            row = {key: str(ours[key][place]) for key in keys}
            words = f"{column}: {ours[column][place]} on all data, {theirs[column][place]} on truncated data, at {row}"
            return {"words": words, "column": column, "rows": int(differs.sum()), "row": row}
    return None


def _parts(built: Built) -> tuple[Callable[[], pl.DataFrame], ...]:
    """Each part, made when it is asked for: features that differ are found before anything is fitted."""
    return (
        lambda: built.entities,
        lambda: built.rows,
        lambda: built.forecasts.predictions,
        lambda: built.forecasts.baseline,
    )


def _at(frame: pl.DataFrame, cutoff: Moment) -> pl.DataFrame:
    return frame.filter(pl.col(CUTOFF).to_physical() == ticks(cutoff))


__all__ = ["Rebuild", "difference"]
