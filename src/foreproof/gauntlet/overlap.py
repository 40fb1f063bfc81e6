"""Overlap: no example that is judged was learned from, and no entity stands on both sides of a fold."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Forecasts, Leak, Trial, Verdict
from foreproof.gauntlet import leaks
from foreproof.gauntlet.same import Found


@dataclass(frozen=True, slots=True)
class Overlap:
    """Zero examples of the manifest that are judged rows of their own cutoff, zero entities in two roles of one fold. Exact."""

    name: str = "overlap"

    @property
    def control(self) -> Leak:
        """Examples made at the cutoff served, and one entity on both sides of a fold."""
        return leaks.shared

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the first example or entity; not proven where nothing says what was learned from."""
        said = trial.run().forecasts
        found = _examples(said) or _entities(trial, said)
        if found:
            return Verdict(self.name, "failed", float(found["rows"]), 0.0, str(found["words"]), found)
        if said.manifest.is_empty() and said.folds is None:
            return Verdict(self.name, "not proven", None, 0.0, "neither manifest nor folds say what was learned from")
        folds = 0 if said.folds is None else said.folds["fold"].n_unique()
        apart = f"; no entity in two roles of {folds} folds" if folds else "; judged by time, no folds of entities"
        words = f"none of {said.manifest.height} cutoff x step pairs learned from is judged{apart}"
        return Verdict(self.name, "passed", 0.0, 0.0, words, {"examples": said.manifest.height, "folds": folds})


def _examples(said: Forecasts) -> Found | None:
    """An example is judged where it is made at or after the cutoff that it serves and its step is predicted there."""
    predicted = said.predictions.select(pl.col(CUTOFF), pl.col(STEP)).unique()
    used = said.manifest.filter(pl.col("example") >= pl.col(CUTOFF))
    both = used.join(predicted, on=[CUTOFF, STEP], how="semi").sort(CUTOFF, "example", STEP)
    if both.is_empty():
        return None
    row = {name: str(value) for name, value in both.row(0, named=True).items()}
    return {
        "words": f"{both.height} examples are learned from and judged; the first: {row}",
        "row": row,
        "rows": both.height,
    }


def _entities(trial: Trial, said: Forecasts) -> Found | None:
    if said.folds is None:
        return None
    entity = [name for name in trial.entity if name in said.folds.columns]
    keys = ["fold", *entity]
    roles = said.folds.select(*keys, "role").unique().sort([*keys, "role"])
    both = roles.group_by(keys, maintain_order=True).len().filter(pl.col("len") > 1)
    if both.is_empty():
        return None
    row = {name: str(both[name][0]) for name in keys}
    words = f"{both.height} entities are learned from and judged in one fold; the first: {row}"
    return {"words": words, "row": row, "rows": both.height}


__all__ = ["Overlap"]
