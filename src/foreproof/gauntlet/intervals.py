"""Intervals: labels lie in (cutoff, cutoff + horizon], features read up to the cutoff, examples settle as the grid says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, tick_values, ticks
from foreproof.core.contract import HAPPENED
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.split import settles
from foreproof.core.trial import Built, Leak, Trial, Verdict
from foreproof.core.view import Database, Table
from foreproof.errors import BadInput
from foreproof.gauntlet import leaks
from foreproof.gauntlet.same import Found, at_cutoff, difference


@dataclass(frozen=True, slots=True)
class Intervals:
    """`cutoff < target = Grid.add(cutoff, step)`, `1 <= step <= horizon`; no feature declared to read past the cutoff; `settled`
    in the manifest as the grid has it; and labels that stay as they are when the facts of the cutoff's own period are taken
    away, at every cutoff, which no label over (cutoff, cutoff + horizon] can have read. Exact.
    """

    name: str = "intervals"

    @property
    def control(self) -> Leak:
        """Labels that count the facts of the cutoff's own period too."""
        return leaks.cutoff_day

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the first label, feature or example outside its interval; not proven without a label."""
        whole = trial.run()
        if whole.labels.is_empty():
            return Verdict(self.name, "not proven", None, 0.0, "no cutoff has a label yet")
        found = _label_times(trial, whole) or _declared(trial)
        tried = ""
        if not found:
            found, tried = _own_periods(trial, whole)
        found = found or _settled(trial, whole)
        if found:
            return Verdict(self.name, "failed", float(found.get("rows", 1)), 0.0, str(found["words"]), found)
        near = len(trial.nearness)
        words = (
            f"{whole.labels.height} labels lie in (cutoff, cutoff + {trial.horizon}]{tried}; "
            f"{near} declared features read up to the cutoff; {whole.forecasts.manifest.height} examples settle as the grid says"
        )
        return Verdict(self.name, "passed", 0.0, 0.0, words, {"labels": whole.labels.height, "features": near})


def without_periods(database: Database, trial: Trial, cutoffs: Sequence[Moment]) -> Database:
    """The database without the facts that happened in the cutoffs' own periods; plans and other clocks stay."""
    periods = trial.grid.index(np.array([ticks(one) for one in cutoffs], dtype=np.int64))

    def kept(table: Table) -> Table:
        other = trial.grid.integer != table.contract.integer
        if table.contract.ahead or table.contract.happened is None or other:
            return table
        own = pl.Series(np.isin(trial.grid.index(tick_values(table.rows[HAPPENED])), periods))
        keys = list(table.contract.keys)
        if HAPPENED in keys:
            return Table(table.contract, table.rows.filter(~own))
        # A fact that another version moves into a period, or out of it, stays as it is.
        inside, rest = table.rows.filter(own), table.rows.filter(~own)
        moved = rest.join(inside, on=keys, how="semi", nulls_equal=True).select(keys)
        if moved.is_empty():
            return Table(table.contract, rest)
        gone = inside.join(moved, on=keys, how="anti", nulls_equal=True).select(keys)
        return Table(
            table.contract, table.rows.join(gone, on=keys, how="anti", nulls_equal=True, maintain_order="left")
        )

    return Database({name: kept(table) for name, table in database.tables.items()})


def _label_times(trial: Trial, whole: Built) -> Found | None:
    labels = whole.labels
    reached = trial.grid.shift(tick_values(labels[CUTOFF]), labels[STEP].to_numpy())
    target = tick_values(labels["target"])
    steps = labels[STEP].to_numpy()
    for bad, words in (
        (target <= tick_values(labels[CUTOFF]), "lie at or before their cutoff"),
        ((steps < 1) | (steps > trial.horizon), f"have a step outside 1 to {trial.horizon}"),
        (target != reached, "name another target than cutoff + step"),
    ):
        if bad.any():
            row = labels.row(int(np.flatnonzero(bad)[0]), named=True)
            told = {name: str(value) for name, value in row.items()}
            return {"words": f"{int(bad.sum())} labels {words}; the first: {told}", "row": told, "rows": int(bad.sum())}
    return None


def _declared(trial: Trial) -> Found | None:
    late = {name: near for name, near in trial.nearness.items() if near is not None and near < 0}
    if not late:
        return None
    name, near = next(iter(late.items()))
    words = f"{len(late)} features are declared to read past the cutoff; the first: {name}, {-near} steps after it"
    return {"words": words, "column": name, "rows": len(late)}


def _settled(trial: Trial, whole: Built) -> Found | None:
    manifest = whole.forecasts.manifest
    if manifest.is_empty():
        return None
    settled = settles(trial.grid, tick_values(manifest["example"]), manifest[STEP].to_numpy(), delay=trial.delay)
    wrong = manifest.filter(pl.Series(tick_values(manifest["settled"]) != settled))
    if wrong.is_empty():
        return None
    row = {name: str(value) for name, value in wrong.row(0, named=True).items()}
    words = f"{wrong.height} examples of the manifest settle at another time than they say; the first: {row}"
    return {"words": words, "row": row, "rows": wrong.height}


def apart(trial: Trial, cutoffs: Sequence[Moment]) -> list[list[Moment]]:
    """The cutoffs in groups, as few as one pass finds: in none does a cutoff's own period lie in another's label window."""
    groups: list[list[Moment]] = []
    for one in sorted(cutoffs, key=ticks):
        free = (group for group in groups if ticks(trial.grid.add(group[-1], trial.horizon)) < ticks(one))
        group = next(free, None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return groups


def _own_periods(trial: Trial, whole: Built) -> tuple[Found | None, str]:
    """What is found first, and in words what was tried. Not where a label may carry a value from before the cutoff on."""
    known = [one for one in trial.cutoffs if at_cutoff(whole.labels, one).height]
    if trial.carried:
        return None, ""
    tried = ", none of which reads its cutoff's own period"
    for group in apart(trial, known):
        try:
            if found := _own_period(trial, whole, group):
                return found, ""
        except BadInput as error:
            tried = f" (whether each leaves its cutoff's own period alone is not known: {error})"
    return None, tried


def _own_period(trial: Trial, whole: Built, cutoffs: Sequence[Moment]) -> Found | None:
    """Entities that began in those very periods are gone as well, so the labels of the others are compared."""
    keys = [*trial.entity, CUTOFF, STEP]
    less = trial.altered("without periods", cutoffs[-1], lambda: without_periods(trial.database, trial, cutoffs))
    built = trial.build(less, tuple(cutoffs), trial.seed)
    for cutoff in cutoffs:
        without, labels = at_cutoff(built.labels, cutoff), at_cutoff(whole.labels, cutoff)
        ours = labels.join(without, on=keys, how="semi", nulls_equal=True)
        theirs = without.join(labels, on=keys, how="semi", nulls_equal=True)
        found = difference(ours, theirs, keys, sides=("on all data", "without the facts of the cutoff's own period"))
        if found:
            words = f"labels at cutoff {cutoff} read the cutoff's own period: {found['words']}"
            return {**found, "words": words, "cutoff": str(cutoff)}
    return None


__all__ = ["Intervals", "apart", "without_periods"]
