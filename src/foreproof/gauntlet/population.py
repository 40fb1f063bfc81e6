"""Same population: who is asked about at a cutoff is who is predicted and judged, and who would have been asked at the time."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.predict import CUTOFF
from foreproof.core.trial import Built, Leak, Trial, Verdict
from foreproof.gauntlet import leaks
from foreproof.gauntlet.same import POPULATION, Found, at_cutoff, first_difference

_ASKED = "asked about"


@dataclass(frozen=True, slots=True)
class SamePopulation:
    """Those asked about = with rows = predicted = with a label (where a cutoff has any) = asked on truncated tables. Exact."""

    name: str = "same population"

    @property
    def control(self) -> Leak:
        """Only those who went on after the cutoff are asked about."""
        return leaks.survivors

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the first entity that is on one side only; what costs no fit is looked at first."""
        whole = trial.run()
        cutoffs = sorted(trial.cutoffs, key=ticks)
        asked = 0
        for cutoff in cutoffs:
            found = first_difference((whole, trial.at(cutoff)), cutoff, entity=trial.entity, parts=(POPULATION,))
            if found:
                return self._failed(found)
        for cutoff in cutoffs:
            found = self._sides(trial, whole, cutoff)
            if found:
                return self._failed(found)
            asked += at_cutoff(whole.entities, cutoff).height
        judged = whole.labels.filter(pl.col("y").is_not_null())[CUTOFF].n_unique()
        words = (
            f"{asked} entities at {len(cutoffs)} cutoffs: the same asked about, predicted and (at {judged}) judged, "
            "and the same on tables truncated there"
        )
        return Verdict(self.name, "passed", 0.0, 0.0, words, {"asked": asked, "judged_cutoffs": judged})

    def _sides(self, trial: Trial, whole: Built, cutoff: Moment) -> Found | None:
        asked = at_cutoff(whole.entities, cutoff)
        for words, frame in (
            ("with features", whole.rows),
            ("with a label", whole.labels),
            ("predicted", whole.forecasts.predictions),
        ):
            others = at_cutoff(frame, cutoff)
            if words == "predicted":
                # A pipeline may start entities that have no history; that these are not of the future is the rebuild's business.
                others = others.join(asked, on=[*trial.entity, CUTOFF], how="semi", nulls_equal=True)
            if words == "with a label" and others.is_empty():
                continue  # the outcome lies beyond the end of the data, for all
            found = _lone(asked, others, [*trial.entity, CUTOFF], words)
            if found:
                return {"part": POPULATION, "cutoff": str(cutoff), **found}
        return None

    def _failed(self, found: Found) -> Verdict:
        words = f"the population at cutoff {found['cutoff']} is not the same: {found['words']}"
        return Verdict(self.name, "failed", float(found.get("rows", 1)), 0.0, words, found)


def _lone(asked: pl.DataFrame, others: pl.DataFrame, keys: list[str], words: str) -> Found | None:
    """The entities on one side only, with the first of them."""
    sides = (
        (asked, others, f"{_ASKED} and not {words}"),
        (others, asked, f"{words} and not {_ASKED}"),
    )
    for these, those, said in sides:
        lone = these.select(keys).unique().join(those, on=keys, how="anti", nulls_equal=True).sort(keys)
        if lone.height:
            row = {key: str(lone[key][0]) for key in keys}
            return {"words": f"{lone.height} {said}, the first {row}", "row": row, "rows": lone.height}
    return None


__all__ = ["SamePopulation"]
