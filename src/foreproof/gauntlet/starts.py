"""Labels of a stranger start after the cutoff: whatever else the last rows before it had said, they stay as they are.

A signal is read at a close and filled at that same close: no feature knows too much, and no row is cut. It is the outcome that
begins too early, at a price that was gone when the signal was known. So the numbers of the last rows known at the cutoff are made
others, and then these rows are taken away: an outcome over (cutoff, ...] has read neither. Exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from foreproof.core.clock import Moment, literal, ticks
from foreproof.core.contract import HAPPENED, KNOWN
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Built, Leak, Trial, Verdict
from foreproof.core.view import Database, Table
from foreproof.gauntlet import leaks
from foreproof.gauntlet.same import Found, at_cutoff, difference


@dataclass(frozen=True, slots=True)
class Starts:
    """Each cutoff's labels, bit for bit, with other numbers in the last rows known there, and without these rows.

    A label that is there only together with these rows is not compared where they are taken away: they may say who is asked.
    """

    name: str = "intervals"

    @property
    def control(self) -> Leak:
        """Labels that count the last rows before the cutoff too."""
        return leaks.last_rows

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the first label that read them; not proven without a label, or where nothing could be tried."""
        whole = trial.run()
        if whole.labels.is_empty():
            return Verdict(self.name, "not proven", None, 0.0, "no cutoff has a label")
        tried = 0
        for cutoff in sorted(trial.cutoffs, key=ticks):
            found, ways = _tried(trial, whole, cutoff)
            if found:
                return Verdict(self.name, "failed", float(found.get("rows", 1)), 0.0, str(found["words"]), found)
            tried += ways
        if not tried:
            words = "no label is left without the last rows before its cutoff, and these hold no number to change"
            return Verdict(self.name, "not proven", None, 0.0, words)
        count, cutoffs = whole.labels.height, len(trial.cutoffs)
        words = f"{count} labels at {cutoffs} cutoffs stay as they are whatever the last rows before them say"
        return Verdict(self.name, "passed", 0.0, 0.0, words, {"labels": whole.labels.height})


def last_moment(database: Database, cutoff: Moment) -> int | None:
    """When the last past fact happened that was known at the cutoff, in ticks; None before the first."""
    seen = [_seen(table, cutoff)[HAPPENED].to_physical().max() for table in database.tables.values() if _dated(table)]
    return max((int(one) for one in seen if one is not None), default=None)  # type: ignore[arg-type]


def _dated(table: Table) -> bool:
    return table.contract.happened is not None and not table.contract.ahead


def _seen(table: Table, cutoff: Moment) -> pl.DataFrame:
    at = literal(cutoff)
    return table.rows.filter((pl.col(HAPPENED) <= at) & (pl.col(KNOWN) <= at))


def with_other_numbers(table: Table, at: int) -> Table:
    """The table with other numbers in its rows of a moment; keys and clocks stay."""
    numbers = [
        c.name
        for c in table.contract.columns
        if c.type in ("decimal", "real", "integer") and c.name not in table.contract.key
    ]
    own = pl.col(HAPPENED).to_physical() == at
    moved = [
        pl.when(own).then(_another(name, table.rows.schema[name])).otherwise(pl.col(name)).alias(name)
        for name in numbers
    ]
    return Table(table.contract, table.rows.with_columns(moved))


def _another(name: str, dtype: pl.DataType) -> pl.Expr:
    """Another number of about the same size and sign, so that a narrow type or a logarithm can still hold it."""
    value = pl.col(name)
    return value * 1.5 + 1.0 if dtype.is_float() else pl.when(value > 0).then(value - 1).otherwise(value + 1)


def _tried(trial: Trial, whole: Built, cutoff: Moment) -> tuple[Found | None, int]:
    """The first label of a cutoff that changes, and in how many ways something could be compared."""
    at = last_moment(trial.database, cutoff)
    labels = at_cutoff(whole.labels, cutoff)
    if at is None or labels.is_empty():
        return None, 0
    keys = [*trial.entity, CUTOFF, STEP]
    changes: list[tuple[str, Callable[[Table], Table]]] = [
        ("with other numbers in", lambda table: with_other_numbers(table, at)),
        ("without", lambda table: Table(table.contract, table.rows.filter(pl.col(HAPPENED).to_physical() != at))),
    ]
    ways = 0
    for how, change in changes:
        tables = {n: change(table) if _dated(table) else table for n, table in trial.database.tables.items()}
        if all(tables[name].rows.equals(table.rows) for name, table in trial.database.tables.items()):
            continue
        try:
            made = at_cutoff(trial.build(Database(tables), (cutoff,), trial.seed).labels, cutoff)
        except Exception:
            # A function that looks up the very row of the cutoff cannot go without it; other numbers it has borne.
            if how == "without":
                continue
            raise
        ours, theirs = labels, made
        if how == "without":
            ours = labels.join(made, on=keys, how="semi", nulls_equal=True)
            theirs = made.join(labels, on=keys, how="semi", nulls_equal=True)
        side = f"{how} the last rows known at the cutoff"
        if found := difference(ours, theirs, keys, sides=("as they are", side)):
            words = f"labels at cutoff {cutoff} begin before it: {found['words']}"
            return {**found, "words": words, "cutoff": str(cutoff)}, ways
        ways += int(ours.height > 0)
    return None, ways


__all__ = ["Starts", "last_moment", "with_other_numbers"]
