"""What if rows arrive late? Every fact becomes known some steps later, everything is built again, and the loss is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.clock import BEGINNING, tick_values, time_column
from foreproof.core.contract import KNOWN
from foreproof.core.grid import Grid
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.core.view import Database, Table
from foreproof.errors import BadInput
from foreproof.gauntlet.judged import ALPHA, careful, point, rung, smallest
from foreproof.gauntlet.leaks.planted import fresh
from foreproof.gauntlet.probe import cutoffs_of, forward_folds, labelled, lighter, panel_of, told
from foreproof.gauntlet.scored import Score


@dataclass(frozen=True, slots=True)
class ArrivalLag:
    """The score that is lost when rows arrive 1, 3 or 7 steps late is not surely above `limit`.

    Losses are of AUC, or of atanh of a correlation.
    Entities that would not even be there in time are left out of both sides; their share is told.
    """

    lags: tuple[int, ...] = (1, 3, 7)
    limit: float = 0.05
    limit_quantity: float = 0.8
    alpha: float = ALPHA
    name: str = "arrival lag"

    @property
    def control(self) -> Leak:
        """A column that knows only while the rows of the last step are there."""
        return fresh

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where the pipeline lives on rows that may not have come."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        losses: dict[int, tuple[Score, Score, float]] = {}
        for lag in self.lags:
            try:
                losses[lag] = _loss(trial, lag)
            except BadInput:
                continue
        if not losses:
            raise BadInput(self.name, found="no build on later rows", wanted="enough history before the first cutoff")
        limit = self.limit if trial.kind == "chance" else self.limit_quantity
        lag = min(losses, key=lambda one: losses[one][0].p_above(limit))
        p = smallest(losses[lag][0].p_above(limit), len(losses))
        told_losses = ", ".join(f"{loss.value:.3f} at {one}" for one, (loss, _, _) in losses.items())
        words = f"score lost when rows arrive late, by steps: {told_losses}"
        curve = [
            {**point(one, loss), "late_score": late.value, "absent": absent}
            for one, (loss, late, absent) in losses.items()
        ]
        return rung(
            self,
            p,
            figure=losses[lag][0].value,
            limit=limit,
            told=(words, {"curve": curve, "lag": lag}),
        )


def _loss(trial: Trial, lag: int) -> tuple[Score, Score, float]:
    """The score in time less the score when late, the score when late, and the share of rows that are not there."""
    index = [*trial.entity, CUTOFF, STEP]
    whole, trial = trial, lighter(trial)
    cutoffs = cutoffs_of(trial)
    prompt = trial.build(trial.database, cutoffs, trial.seed)
    arrived = whole.altered(f"{lag} steps late", None, lambda: delayed(trial.database, trial.grid, lag))
    late = trial.build(arrived, cutoffs, trial.seed)
    in_time, after = (labelled(built.rows, prompt.labels, trial.entity) for built in (prompt, late))
    common = in_time.join(after.select(index), on=index, how="semi").sort(index)
    after = after.join(common.select(index), on=index, how="semi").sort(index)
    panels = [panel_of(trial, frame) for frame in (common, after)]
    folds = forward_folds(panels[0])
    ours, theirs = (panel.score(told(panel, folds)) for panel in panels)
    # Half of an honest correlation may hang on yesterday's value; a scale without an end tells that from a copy of the label.
    loss = ours - theirs if trial.kind == "chance" else ours.fisher() - theirs.fisher()
    return loss, theirs, 1.0 - common.height / in_time.height


def delayed(database: Database, grid: Grid, lag: int) -> Database:
    """Every fact known `lag` steps later; what is planned ahead, and what was always known, stays."""

    def late(table: Table) -> Table:
        if table.contract.ahead or not table.rows.height:
            return table
        known = tick_values(table.rows[KNOWN])
        moving = known > BEGINNING
        moved = known.copy()
        place = grid.index(known[moving])
        there = place + lag
        if grid.kind == "sessions":
            place, there = (np.clip(one, 0, len(grid.sessions) - 1) for one in (place, there))
        moved[moving] += grid.at(there) - grid.at(place)
        column = time_column(KNOWN, moved, integer=table.rows[KNOWN].dtype == pl.Int64)
        return Table(table.contract, table.rows.with_columns(column))

    return Database({name: late(table) for name, table in database.tables.items()})


__all__ = ["ArrivalLag", "delayed"]
