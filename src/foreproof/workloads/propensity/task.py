"""Pairs of account and product group from a table of purchases: population, segments, labels over (cutoff, cutoff + h]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, ticks, time_column
from foreproof.core.mapping_rules import MappingTerms
from foreproof.core.model import Frame
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.split import settled
from foreproof.core.view import Database, View
from foreproof.errors import BadInput
from foreproof.features.cells import FAR
from foreproof.features.population import Population
from foreproof.features.series import Series, VersionedSeries, cutoff_periods, versioned_series

SEGMENT, REPEAT, WHITESPACE = "segment", "repeat", "whitespace"
LOW_RATE, HIGH_RATE = 0.002, 0.5
"""A cutoff whose base rate lies outside is flagged: too few buyers to learn from, or nothing left to find."""


@dataclass(frozen=True, slots=True)
class PropensityTask:
    """Pairs (account, group): will the account buy in the group over (cutoff, cutoff + horizon]?

    series: purchases of a pair, a step's money. active: accounts asked about have a purchase over (cutoff - active, cutoff].
    owned: a pair is `repeat` with a purchase over (cutoff - owned, cutoff], else `whitespace`. groups: those declared; empty for
    all with a purchase by the cutoff. mapping: the rules that give a purchase its group, where `group` is no column of its own.
    product: the column of what is bought, finer than the group, for learned features; or none.
    """

    name: str
    series: Series
    account: str
    group: str
    horizon: int
    active: int
    owned: int
    groups: tuple[str, ...] = ()
    delay: str | int = 0
    mapping: MappingTerms | None = None
    product: str = ""

    @property
    def entity(self) -> tuple[str, str]:
        """The columns that name a pair."""
        return (self.account, self.group)

    @property
    def season(self) -> int:
        """Steps of the grid's season, by which the end of the history is judged."""
        return self.series.grid.season

    @property
    def frame(self) -> Frame:
        """What the models share."""
        return Frame(self.entity, self.series.grid, self.horizon, self.season, self.delay)

    def panel(self, source: Database | View) -> Pairs:
        """The task's purchases, versions resolved once for any number of cutoffs."""
        return Pairs(self, versioned_series(source, self.series))


@dataclass(frozen=True, slots=True)
class Pairs:
    """A task's reading of one database. Every answer is as of its cutoff, whatever else the database holds."""

    task: PropensityTask
    series: VersionedSeries

    def population(self, cutoffs: Sequence[Moment]) -> Population:
        """Active accounts x groups at each cutoff."""
        task, grid = self.task, self.task.series.grid
        points = cutoff_periods(grid, sorted(set(cutoffs), key=ticks))
        accounts, groups = (self.series.keys[name].unique().sort() for name in task.entity)
        declared = groups if not task.groups else pl.Series(task.group, sorted(task.groups), dtype=pl.String)
        account = np.asarray(accounts.search_sorted(self.series.keys[task.account]))
        group = np.asarray(groups.search_sorted(self.series.keys[task.group]))
        asked = np.zeros((len(accounts), len(points)), dtype=bool)
        known = np.zeros((len(groups), len(points)), dtype=bool)
        for i, point in enumerate(points.tolist()):
            seen = self.series.cells.visible(point)
            past = seen.where(seen.period <= point)
            known[group[past.code], i] = True
            asked[account[past.code[past.period > point - task.active]], i] = True
        if task.groups:
            known = np.ones((len(declared), len(points)), dtype=bool)
        member = (asked[:, None, :] & known[None, :, :]).reshape(-1, len(points))
        keys = pl.DataFrame(
            {
                task.account: accounts.gather(np.repeat(np.arange(len(accounts)), len(declared))),
                task.group: declared.gather(np.tile(np.arange(len(declared)), len(accounts))),
            }
        )
        some = member.any(axis=1)
        return Population(grid, keys.filter(pl.Series(some)), points, member[some])

    def entities(self, cutoff: Moment) -> pl.DataFrame:
        """Entity columns and `cutoff`, sorted."""
        return self.population([cutoff]).frame()

    def segments(self, cutoff: Moment) -> pl.DataFrame:
        """Entity columns, `cutoff`, `segment` (repeat or whitespace) of the population."""
        task = self.task
        point = int(cutoff_periods(task.series.grid, [cutoff])[0])
        seen = self.series.cells.visible(point)
        own = seen.where((seen.period <= point) & (seen.period > point - task.owned))
        met = self.series.keys[np.unique(own.code)].with_columns(pl.lit(REPEAT).alias(SEGMENT))
        asked = self.entities(cutoff).join(met, on=list(task.entity), how="left", maintain_order="left")
        return asked.with_columns(pl.col(SEGMENT).fill_null(WHITESPACE))

    def spent(self, cutoff: Moment) -> pl.DataFrame:
        """Account, `spent` (money of its purchases up to the cutoff), `idle` (steps since its last one), as known there."""
        task = self.task
        point = int(cutoff_periods(task.series.grid, [cutoff])[0])
        seen = self.series.cells.visible(point)
        past = seen.where(seen.period <= point)
        money = np.bincount(past.code, weights=past.value / past.scale, minlength=self.series.size)
        last = np.full(self.series.size, -FAR, dtype=np.int64)
        np.maximum.at(last, past.code, past.period)
        columns = pl.Series("spent", money), pl.Series("idle", point - last)
        whole = self.series.keys.with_columns(columns).group_by(task.account, maintain_order=True)
        return whole.agg(pl.col("spent").sum(), pl.col("idle").min()).sort(task.account)

    def labels(self, cutoffs: Sequence[Moment], *, at: Moment | None = None) -> pl.DataFrame:
        """Entity columns, `cutoff`, `step` (the horizon), `y` (1 with a purchase over (cutoff, cutoff + horizon]), `money` of it.

        As known at `at`, and only for cutoffs whose labels had settled there: the future's one reader. Without `at` all is known,
        up to the last period with a fact; a cutoff whose window reaches beyond is censored, and left out.
        """
        task, grid, cells = self.task, self.task.series.grid, self.series.cells
        truth = cells.visible(FAR - 1 if at is None else self.series.at(at))
        end = int(truth.period.max(initial=-FAR)) if at is None else 0
        parts = []
        for cutoff in sorted(set(cutoffs), key=ticks):
            point = int(cutoff_periods(grid, [cutoff])[0])
            done = point + task.horizon <= end
            if at is not None:
                done = settled(grid, cutoff, task.horizon, delay=task.delay, at=at)
            if not done:
                continue
            inside = truth.where((truth.period > point) & (truth.period <= point + task.horizon))
            money = np.bincount(inside.code, weights=inside.value / inside.scale, minlength=self.series.size)
            bought = self.series.keys[np.unique(inside.code)].with_columns(
                pl.lit(1.0).alias("y"), pl.Series("money", money[np.unique(inside.code)])
            )
            asked = self.entities(cutoff).with_columns(pl.lit(task.horizon, dtype=pl.Int64).alias(STEP))
            joined = asked.join(bought, on=list(task.entity), how="left", maintain_order="left")
            parts.append(joined.with_columns(pl.col("y", "money").fill_null(0.0)))
        return pl.concat(parts) if parts else self._no_labels()

    def _no_labels(self) -> pl.DataFrame:
        grid = self.task.series.grid
        empty = self.series.keys.clear().with_columns(
            time_column(CUTOFF, np.empty(0, dtype=np.int64), integer=grid.integer),
            pl.Series(STEP, [], dtype=pl.Int64),
        )
        return empty.with_columns(pl.lit(0.0).alias("y"), pl.lit(0.0).alias("money"))


def check_cutoff(rate: float, positives: int) -> str:
    """What is wrong with a cutoff's labels, in words; empty where nothing is."""
    if positives == 0:
        return "no buyer at all"
    if not LOW_RATE <= rate <= HIGH_RATE:
        return f"base rate {rate:.2%}, outside {LOW_RATE:.1%} to {HIGH_RATE:.0%}"
    return ""


def refuse_silence(pairs: Pairs, cutoff: Moment) -> None:
    """Raise BadInput where nobody is asked about: no purchase in the active window."""
    if not pairs.entities(cutoff).height:
        raise BadInput(
            f"population at {cutoff}",
            found="no account with a purchase in the active window",
            wanted="at least two accounts and one group",
            fix="widen pairs.active, or choose a later cutoff",
        )


__all__ = [
    "REPEAT",
    "SEGMENT",
    "WHITESPACE",
    "Pairs",
    "PropensityTask",
    "check_cutoff",
    "refuse_silence",
]
