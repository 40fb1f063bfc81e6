"""Replay from the append-only log: what a reader at the cutoff would have had must give what was reported.

The database of a replay holds of each key the one version in force at the cutoff: corrections are not yet made, dimensions are
as they were, and encoders and population are made anew from that. Predictions learn from examples as they looked at their own
cutoffs, so they are replayed from the log with its earlier versions. Exact.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from foreproof.core.clock import ticks
from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.gauntlet import leaks
from foreproof.gauntlet.inflation import inflation
from foreproof.gauntlet.same import INPUTS, PREDICTIONS, first_difference

_SIDES = ("as reported", "as replayed")


@dataclass(frozen=True, slots=True)
class Replay:
    """Population and features from the versions in force at each cutoff, predictions from the log as it was: bit for bit."""

    name: str = "replay"

    @property
    def control(self) -> Leak:
        """History in which every row looks as it was corrected later."""
        return leaks.overwritten

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the first feature, row and cutoff that a reader at that moment could not have had."""
        whole = trial.run()
        hidden = 0
        for cutoff in sorted(trial.cutoffs, key=ticks):
            log, seen = trial.truncated(cutoff), trial.viewed(cutoff)
            found = first_difference(
                (whole, trial.build(seen, (cutoff,), trial.seed)),
                cutoff,
                entity=trial.entity,
                parts=INPUTS,
                sides=_SIDES,
            ) or first_difference(
                (whole, trial.at(cutoff)), cutoff, entity=trial.entity, parts=(PREDICTIONS,), sides=_SIDES
            )
            if found:
                words = f"{found['part']} at cutoff {cutoff} are not those of a reader at that moment: {found['words']}"
                return Verdict(self.name, "failed", 1.0, 0.0, words, found)
            hidden += sum(table.rows.height - seen[name].rows.height for name, table in log.tables.items())
        words = (
            f"what a reader of the log had at {len(trial.cutoffs)} cutoffs gives the reported rows and predictions "
            f"({hidden} superseded or deleted versions hidden)"
        )
        return Verdict(self.name, "passed", 0.0, 0.0, words, {"hidden": hidden})

    def explain(self, trial: Trial, verdict: Verdict) -> Verdict:
        """Adds the replay inflation: `inflation`."""
        found = inflation(trial)
        if found is None:
            return verdict
        reach = "" if found.low is None else f" ({found.low:.4f} to {found.high:.4f})"
        words = f"{verdict.words}; replay inflation of {found.metric} {found.estimate:.4f}{reach}"
        return replace(verdict, words=words, evidence={**verdict.evidence, "inflation": asdict(found)})


__all__ = ["Replay"]
