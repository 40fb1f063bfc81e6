"""A stranger's splits of rows: which training label had not settled when the first test row was predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.clock import INSTANT, Moment, moment, ticks
from foreproof.core.trial import Built, Trial
from foreproof.core.view import Database
from foreproof.engine.frames import Given
from foreproof.engine.learners import manifest_of, own_moment
from foreproof.engine.strangers import built, nothing, per_row, row_index, stamped, trial_of
from foreproof.errors import BadInput

_TICKS = "_ticks"


@dataclass(frozen=True, slots=True)
class Side:
    """One split: positions of its training and test rows, and the ticks of all rows."""

    train: Any
    test: Any
    at: Any


@dataclass(frozen=True, slots=True)
class Splits:
    """What a splitter makes of a frame, to hold the gap law against. It is asked once, so it may draw at random.

    horizon: the label of a row of time t is settled at t + horizon; 0 for a label of the row's own moment, whose training
    rows have to lie before the first test row.
    """

    split: Callable[[Any], Any]
    horizon: str | int = 0
    learns: bool = True

    def trial(self, given: Given, cutoffs: Sequence[Moment]) -> Trial:
        """One cutoff a split: the moment of its earliest test row. Cutoffs that are passed do not matter."""
        entity, _ = row_index(given)
        integer, zone = given.clock.dtype != INSTANT, given.shapes[given.dated].zone
        manifests: dict[Moment, list[pl.DataFrame]] = {}
        for side in self.sides(given):
            served = moment(int(side.at[side.test].min()) - own_moment(self.horizon), integer=integer)
            manifests.setdefault(served, []).append(manifest_of(side.at[side.train], self.horizon, served, zone=zone))
        frame = given.frames(given.database)
        rows = per_row(np.zeros(len(frame)), given, given.database).drop(_TICKS)

        def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
            wide = pl.concat([stamped(rows, cutoff) for cutoff in cutoffs])
            manifest = pl.concat([frame for cutoff in cutoffs for frame in manifests[cutoff]])
            return built(wide, entity, lambda: replace(nothing(wide, entity), manifest=manifest))

        return trial_of(given, sorted(manifests, key=ticks), entity, build)

    def sides(self, given: Given) -> list[Side]:
        """Every split that has training and test rows."""
        frame = given.frames(given.database)
        at = per_row(np.zeros(len(frame)), given, given.database)[_TICKS].to_numpy()
        made = self.split(frame)
        pairs = [made] if _is_pair(made) else list(made)
        found = [Side(_places(train, frame), _places(test, frame), at) for train, test in pairs]
        if not (found := [side for side in found if side.train.size and side.test.size]):
            raise BadInput("splits", found="no split with training and test rows", wanted="at least one")
        return found


def splits_of(splitter: Any, *, horizon: str | int = 0) -> Splits:
    """Splits of an object with `split(frame)`, or of a function that gives train and test, or an iterable of such pairs."""
    split = getattr(splitter, "split", splitter)
    if not callable(split):
        raise BadInput("splits", found=f"a {type(splitter).__name__}", wanted="a splitter, or fn(frame) -> train, test")
    return Splits(split, horizon)


def _is_pair(made: Any) -> bool:
    """Whether this is one split and not an iterable of them."""
    pair = isinstance(made, list | tuple) and len(made) == 2
    return pair and not any(isinstance(side, list | tuple) and len(side) == 2 and _rows(side[0]) for side in made)


def _rows(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str)


def _places(rows: Any, frame: Any) -> Any:
    """Positions of the rows of one side: positions, a mask, or a frame whose index or rows are of the whole."""
    if hasattr(rows, "index") and hasattr(rows, "iloc"):
        places = frame.index.get_indexer(rows.index)
    elif isinstance(rows, pl.DataFrame):
        numbered = frame.with_row_index("_place")
        places = numbered.join(rows, on=rows.columns, how="semi", nulls_equal=True)["_place"].to_numpy()
    else:
        places = np.asarray(rows)
        places = np.flatnonzero(places) if places.dtype == bool else places
    if places.size and int(places.min()) < 0:
        raise BadInput(
            "splits", found="a row that the frame does not have", wanted="rows of the frame, by index or position"
        )
    return places


__all__ = ["Side", "Splits", "splits_of"]
