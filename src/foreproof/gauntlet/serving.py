"""Serving: rows made for one cutoff alone, for one entity alone, or scored live are the rows of the report."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Built, Leak, Trial, Verdict
from foreproof.gauntlet import leaks
from foreproof.gauntlet.same import FEATURES, Found, at_cutoff, difference, first_difference

_SIDES = ("in the report", "as served")


@dataclass(frozen=True, slots=True)
class Serving:
    """Features at every cutoff, built there alone as serving builds them; of `entities` single entities at the last cutoff, where
    the trial says how (`live`); and of rows that were scored live (`scored`). Exact.
    """

    entities: int = 2
    name: str = "serving"

    @property
    def control(self) -> Leak:
        """A feature that serving makes another way."""
        return leaks.skewed

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the first feature and row that training and serving make differently."""
        whole = trial.run()
        for cutoff in sorted(trial.cutoffs, key=ticks):
            found = first_difference(
                (whole, trial.at(cutoff)), cutoff, entity=trial.entity, parts=(FEATURES,), sides=_SIDES
            )
            if found:
                return self._failed(found)
        last = max(trial.cutoffs, key=ticks)
        alone = _single(at_cutoff(whole.entities, last), self.entities) if trial.live and trial.entity else []
        found = self._alone(trial, whole, last, alone) or _scored(trial, whole)
        if found:
            return self._failed(found)
        scored = 0 if trial.scored is None else trial.scored.height
        words = (
            f"rows built at each of {len(trial.cutoffs)} cutoffs alone are those of the report"
            f"{f', so are those of {len(alone)} entities alone' if alone else ''}"
            f"{f', and {scored} rows scored live' if scored else '; no rows scored live were given'}"
        )
        return Verdict(self.name, "passed", 0.0, 0.0, words, {"entities": len(alone), "scored": scored})

    def _alone(self, trial: Trial, whole: Built, cutoff: Moment, alone: list[pl.DataFrame]) -> Found | None:
        if trial.live is None or not alone:
            return None
        rows_of = trial.live(trial.truncated(cutoff), cutoff)
        for one in alone:
            entity = one.select(trial.entity)
            ours = at_cutoff(whole.rows, cutoff).join(entity, on=list(trial.entity), how="semi", nulls_equal=True)
            found = difference(ours, rows_of(entity), [*trial.entity, CUTOFF, STEP], sides=_SIDES)
            if found:
                return {"part": FEATURES, "cutoff": str(cutoff), **found}
        return None

    def _failed(self, found: Found) -> Verdict:
        words = f"features at cutoff {found['cutoff']} differ between training and serving: {found['words']}"
        return Verdict(self.name, "failed", 1.0, 0.0, words, found)


def _single(asked: pl.DataFrame, count: int) -> list[pl.DataFrame]:
    """A few entities, evenly from the first to the last."""
    places = sorted({round(k * (asked.height - 1) / max(1, count - 1)) for k in range(count)}) if asked.height else []
    return [asked[place] for place in places]


def _scored(trial: Trial, whole: Built) -> Found | None:
    """Rows scored live at a cutoff of the trial, in the features that both have."""
    if trial.scored is None:
        return None
    keys = [*trial.entity, CUTOFF, STEP]
    shared = [name for name in trial.scored.columns if name in whole.rows.columns]
    for cutoff in sorted(trial.cutoffs, key=ticks):
        live = at_cutoff(trial.scored, cutoff).select(shared)
        ours = at_cutoff(whole.rows, cutoff).select(shared).join(live, on=keys, how="semi", nulls_equal=True)
        found = difference(ours, live, keys, sides=_SIDES)
        if found:
            return {"part": FEATURES, "cutoff": str(cutoff), **found}
    return None


__all__ = ["Serving"]
