"""Whether two builds say the same, bit for bit, and where they first differ if not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.digest import digest_frame
from foreproof.core.predict import CUTOFF, LEVEL, STEP
from foreproof.core.trial import Built

POPULATION, FEATURES, PREDICTIONS, BASELINE = "population", "features", "predictions", "baseline"
PARTS = (POPULATION, FEATURES, PREDICTIONS, BASELINE)
INPUTS = (POPULATION, FEATURES)
"""The parts that cost no fit."""
_KEYS: Mapping[str, tuple[str, ...]] = {
    POPULATION: (),
    FEATURES: (STEP,),
    PREDICTIONS: (STEP, LEVEL),
    BASELINE: (STEP, LEVEL),
}
Found = dict[str, Any]


def first_difference(
    builds: tuple[Built, Built],
    cutoff: Moment,
    *,
    entity: Sequence[str],
    parts: Sequence[str] = PARTS,
    sides: tuple[str, str] = ("on all data", "on truncated data"),
) -> Found | None:
    """`part`, `cutoff`, and what `difference` found, of the first part that differs at the cutoff; None where none does.

    Parts are made one after the other: features that differ are found before anything is fitted.
    """
    ours, theirs = builds
    for part in parts:
        frames = [at_cutoff(frame_of(one, part)(), cutoff) for one in (ours, theirs)]
        found = difference(frames[0], frames[1], keys_of(part, entity), sides=sides)
        if found:
            return {"part": part, "cutoff": str(cutoff), **found}
    return None


def difference(
    ours: pl.DataFrame,
    theirs: pl.DataFrame,
    keys: list[str],
    *,
    sides: tuple[str, str] = ("on all data", "on truncated data"),
) -> Found | None:
    """The first difference between two frames in words, or None where every bit is the same.

    `column`, `row` (its keys), `rows` (how many differ) and the two values; where rows lack on one side, the first of them.
    """
    if ours.equals(theirs):
        return None
    if set(ours.columns) != set(theirs.columns):
        return {"words": f"columns {sorted(set(ours.columns) ^ set(theirs.columns))} exist on one side only"}
    columns = sorted(ours.columns)
    ours, theirs = (frame.select(columns).sort(keys, nulls_last=False) for frame in (ours, theirs))
    if ours.height != theirs.height:
        words = f"{ours.height} rows {sides[0]}, {theirs.height} {sides[1]}"
        lone, side = ours.join(theirs, on=keys, how="anti", nulls_equal=True, maintain_order="left"), sides[0]
        if lone.is_empty():
            lone, side = theirs.join(ours, on=keys, how="anti", nulls_equal=True, maintain_order="left"), sides[1]
        if lone.is_empty():
            return {"words": words}
        row = {key: str(lone[key][0]) for key in keys}
        return {"words": f"{words}; only {side}: {row}", "row": row, "rows": abs(ours.height - theirs.height)}
    for column in [name for name in columns if name in keys] + [name for name in columns if name not in keys]:
        differs = ~ours[column].eq_missing(theirs[column])
        if differs.any():
            place = int(differs.arg_true()[0])
            row = {key: str(ours[key][place]) for key in keys}
            a, b = ours[column][place], theirs[column][place]
            words = f"{column}: {a} {sides[0]}, {b} {sides[1]}, at {row}"
            return {
                "words": words,
                "column": column,
                "rows": int(differs.sum()),
                "row": row,
                "values": [str(a), str(b)],
            }
    return None


def digests(built: Built, cutoff: Moment, *, entity: Sequence[str], parts: Sequence[str] = INPUTS) -> dict[str, str]:
    """The digest of each part at a cutoff: what another process is asked for."""
    return {
        part: digest_frame(at_cutoff(frame_of(built, part)(), cutoff), keys=keys_of(part, entity)) for part in parts
    }


def frame_of(built: Built, part: str) -> Callable[[], pl.DataFrame]:
    """A part of a build, made when it is asked for."""
    match part:
        case "population":
            return lambda: built.entities
        case "features":
            return lambda: built.rows
        case "predictions":
            return lambda: built.forecasts.predictions
        case _:
            return lambda: built.forecasts.baseline


def keys_of(part: str, entity: Sequence[str]) -> list[str]:
    """The index of a part."""
    return [*entity, CUTOFF, *_KEYS[part]]


def at_cutoff(frame: pl.DataFrame, cutoff: Moment) -> pl.DataFrame:
    """The rows of one cutoff."""
    return frame.filter(pl.col(CUTOFF).to_physical() == ticks(cutoff))


__all__ = [
    "BASELINE",
    "FEATURES",
    "INPUTS",
    "PARTS",
    "POPULATION",
    "PREDICTIONS",
    "Found",
    "at_cutoff",
    "difference",
    "digests",
    "first_difference",
    "frame_of",
    "keys_of",
]
