"""Repetition: the same bytes again, from tables in another row order, and in another process with other numbers of threads."""

from __future__ import annotations

from dataclasses import dataclass

from foreproof.core.clock import ticks
from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.errors import ForeproofError
from foreproof.gauntlet import leaks
from foreproof.gauntlet.same import INPUTS, digests, first_difference
from foreproof.gauntlet.scramble import ORDER, scrambled


@dataclass(frozen=True, slots=True)
class Repetition:
    """Population and features at the last cutoff: built again on shuffled tables, and by `Trial.repeat` elsewhere. Exact.

    Fits are not repeated: they are shared by content, so a second one would have to be made without that store, as
    `foreproof runs repeat` does.
    """

    name: str = "repetition"

    @property
    def control(self) -> Leak:
        """A feature that is taken from the first row of a table, whichever that is."""
        return leaks.first_row

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the first feature and row that differ; without `Trial.repeat` the other process is left out, in words."""
        whole = trial.run()
        cutoff = max(trial.cutoffs, key=ticks)
        mixed = trial.altered(
            "shuffled", cutoff, lambda: scrambled(trial.database, cutoff, seed=trial.seed, ways=(ORDER,))
        )
        again = trial.build(mixed, (cutoff,), trial.seed)
        sides = ("at first", "again, on shuffled tables")
        found = first_difference((whole, again), cutoff, entity=trial.entity, parts=INPUTS, sides=sides)
        if found:
            words = f"{found['part']} at cutoff {cutoff} are not repeated: {found['words']}"
            return Verdict(self.name, "failed", 1.0, 0.0, words, found)
        words = f"population and features at cutoff {cutoff} repeat on shuffled tables"
        if trial.repeat is None:
            left = "not tried in another process: nothing here can start one"
            return Verdict(self.name, "passed", 0.0, 0.0, f"{words}; {left}", {"process": False}, warning=left)
        try:
            theirs = dict(trial.repeat())
        except ForeproofError as error:
            return Verdict(self.name, "not proven", None, 0.0, f"{words}; {error}")
        ours = digests(whole, cutoff, entity=trial.entity)
        differing = [part for part in INPUTS if ours[part] != theirs.get(part)]
        evidence = {"process": True, "ours": ours, "theirs": theirs}
        if differing:
            words = f"{differing[0]} at cutoff {cutoff} have another digest in another process"
            return Verdict(
                self.name, "failed", 1.0, 0.0, words, {"part": differing[0], "cutoff": str(cutoff), **evidence}
            )
        words = f"{words}, and in another process with other numbers of threads; fits are left to `runs repeat`"
        return Verdict(self.name, "passed", 0.0, 0.0, words, evidence)


__all__ = ["Repetition"]
