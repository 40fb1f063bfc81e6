"""Truncate every table at the cutoff and build again: population, features and predictions must be identical.

Whatever differs was made with rows that nobody could have read at the cutoff. Exact: there is no tolerance to tune.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from foreproof.core.clock import Moment, moment, tick_values, ticks
from foreproof.core.contract import KNOWN
from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.gauntlet import leaks
from foreproof.gauntlet.same import INPUTS, Found, at_cutoff, difference, first_difference, frame_of, keys_of


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
        for cutoff in sorted(trial.cutoffs, key=ticks):
            found = first_difference((whole, trial.at(cutoff)), cutoff, entity=trial.entity)
            if found:
                words = f"{found['part']} at cutoff {cutoff} change when later rows are removed: {found['words']}"
                return Verdict(self.name, "failed", 1.0, 0.0, words, found)
        words = (
            f"population, features and predictions identical at {len(trial.cutoffs)} cutoffs on tables truncated there"
        )
        return Verdict(self.name, "passed", 0.0, 0.0, words, {"cutoffs": [str(cutoff) for cutoff in trial.cutoffs]})

    def explain(self, trial: Trial, verdict: Verdict) -> Verdict:
        """Adds to a failure up to when the first row that differs knew: `knew`."""
        if verdict.outcome != "failed" or verdict.evidence.get("part") not in INPUTS:
            return verdict
        knew = known_until(trial, dict(verdict.evidence))
        if knew is None:
            return verdict
        named = verdict.evidence.get("column", verdict.evidence["part"])
        evidence = {**verdict.evidence, "knew": str(knew)}
        return replace(verdict, words=f"{verdict.words}; {named} knew rows up to {knew}", evidence=evidence)


def known_until(trial: Trial, found: Found) -> Moment | None:
    """The moment up to which the part that was found to differ had read: the earliest t such that the database truncated at t
    gives what all data give. By bisection over the moments at which rows became known, so in about 20 builds at most.
    """
    if "row" not in found:
        return None  # whole columns are on one side only
    cutoff = next(one for one in trial.cutoffs if str(one) == found["cutoff"])
    keys, part = keys_of(found["part"], trial.entity), found["part"]
    chosen = keys if "column" not in found else list(dict.fromkeys([*keys, found["column"]]))
    wanted = at_cutoff(frame_of(trial.run(), part)(), cutoff)
    if not set(chosen) <= set(wanted.columns):
        return None

    def same(until: Moment) -> bool:
        built = trial.build(trial.database.truncate(until), (cutoff,), trial.seed)
        made = at_cutoff(frame_of(built, part)(), cutoff)
        return set(chosen) <= set(made.columns) and difference(wanted.select(chosen), made.select(chosen), keys) is None

    later = later_moments(trial, cutoff)
    if not later or not same(later[-1]):
        return None
    low, high = -1, len(later) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if same(later[middle]) else (middle, high)
    return later[high]


def later_moments(trial: Trial, cutoff: Moment) -> list[Moment]:
    """The moments after a cutoff at which rows became known, in order."""
    columns = [table.rows[KNOWN] for table in trial.database.tables.values()]
    found = pl.concat([pl.Series("t", tick_values(column), dtype=pl.Int64) for column in columns])
    after = found.filter(found > ticks(cutoff)).unique().sort()
    return [moment(tick, integer=isinstance(cutoff, int)) for tick in after.to_list()]


__all__ = ["Rebuild", "difference", "known_until", "later_moments"]
