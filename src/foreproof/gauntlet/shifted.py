"""The same labels explained by older rows: what the probe scores when every row is d steps too old, or too young."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Built, Trial
from foreproof.errors import BadInput
from foreproof.gauntlet.probe import Panel, cutoffs_of, forward_folds, labelled, panel_of, told
from foreproof.gauntlet.scored import Score


def curve(trial: Trial, shifts: Sequence[int], *, nearest: int | None = None) -> Mapping[int, Score]:
    """By shift d, the score of rows made at cutoff - d against the labels of the cutoff; all on the same rows.

    d < 0 makes rows that know -d steps of the future, on purpose. Where a row is of one step, that of (cutoff - d, step + d)
    explains (cutoff, step), so the target stays and the lead grows, and the probe learns anew. Else it learns from rows of the
    cutoff (shifts must hold 0) and is applied to older ones, as a model is that meets stale rows. nearest: only steps up to it.
    Raises BadInput.
    """
    panels = aligned(shifted_panels(trial, shifts, nearest=nearest))
    folds = forward_folds(panels[0])
    learned = None if stepped(trial) else panels[0]
    return {shift: panel.score(told(panel, folds, learned=learned)) for shift, panel in panels.items()}


def aligned(panels: Mapping[int, Panel]) -> dict[int, Panel]:
    """The same columns everywhere: one that is constant or never missing at some shift stands as zeros there."""
    names = [panel.columns_of() for panel in panels.values()]
    every = list(dict.fromkeys(name for one in names for name in one))
    return {shift: panel.with_columns_of(every) for shift, panel in panels.items()}


def shifted_panels(trial: Trial, shifts: Sequence[int], *, nearest: int | None = None) -> dict[int, Panel]:
    """By shift, the probe's rows, in the same order everywhere."""
    index = [*trial.entity, CUTOFF, STEP]
    frames = _frames(trial, shifts)
    common = frames[shifts[0]].select(index)
    for frame in frames.values():
        common = common.join(frame.select(index), on=index, how="semi")
    if nearest is not None and stepped(trial):
        common = common.filter(pl.col(STEP) <= nearest)
    return {
        shift: panel_of(trial, frame.join(common, on=index, how="semi").sort(index)) for shift, frame in frames.items()
    }


def stepped(trial: Trial) -> bool:
    """Whether a row is of one step of several, and not of the whole window up to the horizon."""
    return trial.kind == "quantity" and trial.horizon > 1


def _frames(trial: Trial, shifts: Sequence[int]) -> dict[int, pl.DataFrame]:
    cutoffs = cutoffs_of(trial)
    labels = trial.build(trial.database, cutoffs, trial.seed).labels
    frames = {}
    for shift in shifts:
        built, kept = build_shifted(trial, cutoffs, shift)
        rows = moved(built.rows, trial, kept, shift)
        frames[shift] = labelled(rows, labels, trial.entity)
    return frames


def build_shifted(trial: Trial, cutoffs: Sequence[Moment], shift: int) -> tuple[Built, tuple[Moment, ...]]:
    """The build at cutoff - shift, and the cutoffs it stands for: without the earliest ones where history does not reach."""
    kept = tuple(cutoffs)
    while True:
        try:
            there = tuple(trial.grid.add(cutoff, -shift) for cutoff in kept) if shift else kept
            return trial.build(trial.database, there, trial.seed), kept
        except BadInput:
            if len(kept) <= 2:
                raise
            kept = kept[1:]


def moved(rows: pl.DataFrame, trial: Trial, cutoffs: Sequence[Moment], shift: int) -> pl.DataFrame:
    """Rows made at cutoff - shift under the cutoff they stand for; a row of one step keeps its target."""
    if not shift:
        return rows
    kind = rows.schema[CUTOFF]
    names = pl.DataFrame(
        {"_there": [trial.grid.add(c, -shift) for c in cutoffs], "_here": list(cutoffs)},
        schema={"_there": kind, "_here": kind},
    )
    back = rows.join(names, left_on=CUTOFF, right_on="_there", how="inner", maintain_order="left")
    back = back.with_columns(pl.col("_here").alias(CUTOFF)).drop("_here")
    return back.with_columns(pl.col(STEP) - shift) if stepped(trial) else back


__all__ = ["aligned", "build_shifted", "curve", "moved", "shifted_panels", "stepped"]
