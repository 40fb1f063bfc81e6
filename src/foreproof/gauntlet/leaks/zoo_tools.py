"""What zoo leaks are made of: the facts of any entity, sums of them around a cutoff, and one more column of features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from foreproof.core.clock import ticks
from foreproof.core.contract import HAPPENED
from foreproof.core.predict import CUTOFF
from foreproof.core.trial import Built, Leak, Trial
from foreproof.core.view import Database, Table
from foreproof.errors import BadInput
from foreproof.gauntlet.leaks.altered import with_built

Family = Literal["no clean split", "features that know", "wrong population or time"]
Workload = Literal["forecast", "propensity", "market"]

FEATURE: Family = "features that know"
SPLIT: Family = "no clean split"
ASKED: Family = "wrong population or time"

AT, VALUE = "_at", "_value"
_DAY = 86_400_000_000
_PAIRS: tuple[Workload, ...] = ("forecast", "propensity")


@dataclass(frozen=True, slots=True)
class Zoo:
    """A leak with a name: how it comes about in practice, and which checks should catch it.

    words: what goes wrong, in one sentence. source: who describes it. plant: the trial with the leak in it; of a market leak
    nothing, since that is a function of rows (`zoo_markets.MARKETS`) and goes through an audit. expected: names of checks, any
    of which catches it; empty for one that escapes them all, and `words` says why. twin: the same change made honestly, with what
    was known; without one that is the pipeline as it is. Where leak and twin build the same, planting it has leaked nothing.
    """

    name: str
    family: Family
    words: str
    source: str
    plant: Leak | None
    expected: tuple[str, ...]
    workloads: tuple[Workload, ...] = _PAIRS
    twin: Leak | None = None

    @property
    def escapes(self) -> bool:
        """Whether no check is expected to catch it."""
        return not self.expected


def main_table(database: Database, entity: Sequence[str]) -> Table:
    """The table of facts that names most of the entity's columns; of several the longest, then the first by name."""
    facts = [t for t in database.tables.values() if not t.contract.ahead and t.contract.happened is not None]
    if not facts:
        raise BadInput("zoo", found="no table of dated facts", wanted="one that a leak can read ahead in")
    return max(facts, key=lambda t: (len(set(entity) & set(t.rows.columns)), t.rows.height, t.contract.name))


def facts_of(database: Database, entity: Sequence[str]) -> pl.DataFrame:
    """Entity columns that the main table has (as text), `_at` (ticks), `_value` (its first measure, else 1), in order."""
    table = main_table(database, entity)
    keys = [name for name in entity if name in table.rows.columns]
    name = measure_of(table)
    value = pl.col(name).cast(pl.Float64).fill_null(0.0) if name else pl.lit(1.0)
    texts = [pl.col(key).cast(pl.String) for key in keys]
    made = table.rows.select(*texts, pl.col(HAPPENED).to_physical().alias(AT), value.alias(VALUE))
    return made.sort([*keys, AT, VALUE])


def measure_of(table: Table) -> str:
    """The first column that is measured and no part of the key; empty where there is none."""
    measured = [c.name for c in table.contract.columns if c.type in ("decimal", "real")]
    return next((name for name in measured if name not in table.contract.key), "")


def keys_of(facts: pl.DataFrame) -> list[str]:
    """The entity columns of facts."""
    return [name for name in facts.columns if name not in (AT, VALUE)]


def summed(trial: Trial, built: Built, facts: pl.DataFrame, reach: Callable[[int], tuple[int, int]]) -> pl.Series:
    """The sum of values in (low, high] of each row's cutoff; reach: (low, high) in ticks of a cutoff in ticks."""
    keys = keys_of(facts)
    parts = []
    for cutoff in built.rows[CUTOFF].unique().sort():
        low, high = reach(ticks(cutoff))
        inside = facts.filter((pl.col(AT) > low) & (pl.col(AT) <= high))
        sums = (
            inside.group_by(keys, maintain_order=True).agg(pl.col(VALUE).sum())
            if keys
            else inside.select(pl.col(VALUE).sum())
        )
        parts.append(sums.with_columns(pl.lit(cutoff, dtype=built.rows.schema[CUTOFF]).alias(CUTOFF)))
    empty = [facts.clear().select(*keys, VALUE, pl.lit(None, dtype=built.rows.schema[CUTOFF]).alias(CUTOFF))]
    joined = built.rows.join(
        pl.concat(parts or empty), on=[*keys, CUTOFF], how="left", nulls_equal=True, maintain_order="left"
    )
    return joined[VALUE].fill_null(0.0)


def ahead(trial: Trial, at: int, *, days: int = 0, steps: int = 1) -> int:
    """A moment after a tick: so many days, and at least so many steps of the grid; on a clock of integers a day is a step."""
    step = int(trial.grid.shift(np.array([at], dtype=np.int64), steps)[0])
    return max(step, at + days) if trial.grid.integer else max(step, at + days * _DAY)


def back(trial: Trial, at: int, *, days: int = 0, steps: int = 1) -> int:
    """A moment before a tick, by the same rule."""
    step = int(trial.grid.shift(np.array([at], dtype=np.int64), -steps)[0])
    return min(step, at - days) if trial.grid.integer else min(step, at - days * _DAY)


def with_column(trial: Trial, name: str, make: Callable[[Built, Database], pl.Series]) -> Trial:
    """The trial with one more feature of its rows; its forecasts stay what they are."""

    def fault(built: Built, database: Database) -> Built:
        rows = built.rows.with_columns(make(built, database).cast(pl.Float64).alias(name))
        return replace(built, rows=rows, forecast=lambda: built.forecasts)

    return with_built(trial, fault)


def with_window(trial: Trial, name: str, reach: Callable[[int], tuple[int, int]]) -> Trial:
    """The trial with the sum of the entity's values in a window around the cutoff as a feature."""
    return with_column(trial, name, lambda built, db: summed(trial, built, facts_of(db, trial.entity), reach))


def with_database(trial: Trial, database: Database) -> Trial:
    """The trial whose pipeline reads another database, while the log holds what it held; its cuts are of no use any more."""
    return replace(trial, database=database, cuts=None)


def with_log(trial: Trial, database: Database) -> Trial:
    """The trial whose log holds another database, if it has one, while the pipeline reads what it read."""
    return trial if trial.witness is None else replace(trial, witness=replace(trial.witness, database=database))


def with_world(trial: Trial, database: Database) -> Trial:
    """The trial in another world: these rows were loaded, so the log holds them as well."""
    return with_log(with_database(trial, database), database)


def changed(database: Database, table: Table, rows: pl.DataFrame) -> Database:
    """The database with other rows in one table."""
    return Database({name: Table(t.contract, rows) if t is table else t for name, t in database.tables.items()})


def after(trial: Trial, facts: pl.DataFrame, *, steps: int) -> pl.Series:
    """For each fact the sum of values of its entity in (its moment, its moment + steps], by running sums."""
    keys = keys_of(facts)
    ends = trial.grid.shift(facts[AT].to_numpy().astype(np.int64), steps)
    run = pl.col(VALUE).cum_sum().over(keys) if keys else pl.col(VALUE).cum_sum()
    runs = facts.with_columns(pl.Series("_end", ends), pl.int_range(pl.len()).alias("_row"), run.alias("_run")).sort(
        AT, "_row"
    )
    until = runs.select(*keys, AT, pl.col("_run").alias("_until"))
    asof = (
        runs.drop(AT)
        .sort("_end")
        .join_asof(until, left_on="_end", right_on=AT, by=keys or None, check_sortedness=False)
    )
    return asof.sort("_row").select((pl.col("_until") - pl.col("_run")).fill_null(0.0)).to_series()


__all__ = [
    "ASKED",
    "AT",
    "FEATURE",
    "SPLIT",
    "VALUE",
    "Family",
    "Workload",
    "Zoo",
    "after",
    "ahead",
    "back",
    "changed",
    "facts_of",
    "keys_of",
    "main_table",
    "measure_of",
    "summed",
    "with_column",
    "with_database",
    "with_log",
    "with_window",
    "with_world",
]
