"""What an audit can be given beside a pipeline: the labels that it is judged by, and the tables as they were first loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Built, Trial, Witness
from foreproof.core.view import Database
from foreproof.engine.frames import Given, given
from foreproof.engine.strangers import Stranger, built, by_entity, named_entity, stamped, stranger_of, trial_of
from foreproof.errors import BadInput

Y = "y"
Labels = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Accompanied:
    """A stranger with what is known beside it; as a pipeline it is the stranger itself.

    labels: `fn(frames, cutoff)` with the columns of an entity and `y`. logged: frames as they were first loaded.
    """

    stranger: Stranger
    labels: Labels | None = None
    logged: Any = None

    @property
    def learns(self) -> bool:
        """Whether the stranger lists what it learned from."""
        return self.stranger.learns

    def trial(self, given: Given, cutoffs: Sequence[Moment]) -> Trial:
        """The stranger's own trial."""
        return self.stranger.trial(given, cutoffs)


def beside(build: Any, *, labels: Labels | None = None, logged: Any = None) -> Accompanied:
    """A pipeline for `foreproof.audit` with what it is judged by, and what was loaded.

    build: whatever `audit` takes. labels: `fn(frames, cutoff)` gives the outcome `y` of each entity, from the same frames; the
    audit then asks whether outcomes start after the cutoff. logged: the tables as they were first loaded, in the form of those
    that are audited (some of them will do); the audit then asks whether the pipeline reads these rows, with these clocks.
    """
    return Accompanied(stranger_of(build), labels, logged)


def label_trial(facts: Given, cutoffs: Sequence[Moment], labels: Labels) -> Trial:
    """A trial whose pipeline is the function of labels: entities and `y` at each cutoff, and no features."""
    entity = named_entity(facts.entity)
    shape = facts.shapes[facts.dated]

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        parts = []
        for cutoff in cutoffs:
            made = stamped(by_entity(labels(facts.frames(database), shape.said(cutoff)), facts.entity), cutoff)
            if Y not in made.columns or not made.schema[Y].is_numeric():
                raise BadInput("labels", found=f"columns {', '.join(made.columns)}", wanted="a column y of numbers")
            parts.append(made.select(*entity, CUTOFF, STEP, pl.col(CUTOFF).alias("target"), Y))
        told = pl.concat(parts).sort([*entity, CUTOFF], maintain_order=True)
        whole = built(told.select(*entity, CUTOFF, STEP), entity)
        return Built(whole.entities, whole.rows, told, whole.forecast)

    return trial_of(facts, cutoffs, entity, build)


def witness_of(facts: Given, logged: Any, *, time: str, entity: str | Sequence[str]) -> Witness:
    """The log of an audit: tables as first loaded, and those of which nothing else is known as they were given."""
    kept = given(logged, time=time, entity=entity).database.tables
    if unknown := [name for name in kept if name not in facts.database.tables]:
        raise BadInput("logged", found=f"a table {unknown[0]!r}", wanted=f"some of {', '.join(facts.database.tables)}")
    return Witness(Database({**facts.database.tables, **kept}))


__all__ = ["Accompanied", "beside", "label_trial", "witness_of"]
