"""Where the history ends: the last whole period, or the one that the plan names."""

from __future__ import annotations

import numpy as np
import polars as pl

from foreproof.core.clock import FOREVER, Moment, moment, tick_values, ticks
from foreproof.core.contract import DELETED, HAPPENED, KNOWN, UNTIL
from foreproof.core.grid import Grid, parse_moment
from foreproof.core.view import Database
from foreproof.errors import BadInput
from foreproof.workloads.forecast import ForecastPlan
from foreproof.workloads.propensity import PropensityPlan

_FRAGMENT = 0.5


def latest_cutoff(plan: ForecastPlan | PropensityPlan, database: Database) -> Moment:
    """The plan's cutoff (a date means the end of that local day's period), else the end of the last whole period.

    A last period with fewer than half the rows that are usual for its phase of the season is a fragment, and the history
    ends before it.
    """
    grid = plan.task.series.grid
    # A fact counts once, however often it was corrected.
    rows = database[plan.task.series.table].versions.filter((pl.col(UNTIL) == FOREVER) & ~pl.col(DELETED))
    if rows.is_empty():
        raise BadInput(plan.task.series.table, found="no facts", wanted="a history", fix="load some")
    first = moment(int(tick_values(rows[HAPPENED]).min()), integer=grid.integer)
    last = _last_whole(grid, rows, plan.task.season)
    if plan.cutoff == "latest":
        return last
    named = grid.add(parse_moment(plan.cutoff, grid, subject="cutoff"), 0)
    if ticks(named) <= ticks(first):
        raise BadInput(
            "cutoff", found=f"{plan.cutoff}, before the first fact ({first})", wanted="a cutoff inside the history"
        )
    if ticks(named) > ticks(last):
        raise BadInput(
            "cutoff", found=f"{plan.cutoff}, after the last whole period ({last})", wanted="an earlier cutoff"
        )
    return named


def _last_whole(grid: Grid, rows: pl.DataFrame, season: int) -> Moment:
    periods = np.sort(grid.index(tick_values(rows[HAPPENED])))
    last = int(periods[-1])
    if not grid.integer:
        # A row that is known only later than its period's end (a delay) does not make a period whole sooner.
        last = min(last, int(grid.index(tick_values(rows[KNOWN]).max(keepdims=True))[0]))
    numbers, counts = np.unique(periods, return_counts=True)
    usual = [int(count) for n, count in zip(numbers, counts, strict=True) if n < last and (last - n) % season == 0][-8:]
    latest = int(counts[numbers == last][0]) if (numbers == last).any() else 0
    if usual and latest < _FRAGMENT * float(np.median(usual)):
        last -= 1
    return moment(int(grid.at(np.array([last], dtype=np.int64))[0]), integer=grid.integer)


__all__ = ["latest_cutoff"]
