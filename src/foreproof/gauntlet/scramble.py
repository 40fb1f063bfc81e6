"""Future scramble: whatever becomes of the rows known after a cutoff, population, features and predictions keep their bytes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, literal, ticks
from foreproof.core.contract import BATCH, KNOWN
from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.core.view import Database, Table
from foreproof.gauntlet import leaks
from foreproof.gauntlet.same import PARTS, Found, first_difference

NOISE, TWICE, ORDER, DROPPED = "replaced by noise", "loaded twice", "put in another order", "dropped"
WAYS = (NOISE, TWICE, ORDER)


@dataclass(frozen=True, slots=True)
class FutureScramble:
    """At the first `cutoffs` cutoffs the later rows are replaced by noise, loaded twice, and all rows reordered, at once; at
    every cutoff they are dropped. Exact. Features that are equal are not fitted twice.
    """

    cutoffs: int = 1
    name: str = "future scramble"

    @property
    def control(self) -> Leak:
        """A feature that sums the values of later rows."""
        return leaks.peek_values

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the first feature, row and cutoff that changes."""
        whole = trial.run()
        cutoffs = sorted(trial.cutoffs, key=ticks)
        changed = 0
        for place, cutoff in enumerate(cutoffs):
            found = None
            if place < self.cutoffs:
                changed += sum(
                    t.rows.filter(pl.col(KNOWN) > literal(cutoff)).height for t in trial.database.tables.values()
                )
                found = _compared(trial, cutoff, parts=PARTS, how="scrambled")
            found = found or first_difference(
                (whole, trial.at(cutoff)), cutoff, entity=trial.entity, sides=("as they are", DROPPED)
            )
            if found:
                words = f"{found['part']} at cutoff {cutoff} change with rows known later: {found['words']}"
                return Verdict(self.name, "failed", 1.0, 0.0, words, found)
        words = (
            f"population, features and predictions keep their bytes when the rows known later are {DROPPED} "
            f"({len(cutoffs)} cutoffs), {NOISE}, {TWICE} and {ORDER} "
            f"(the first {min(self.cutoffs, len(cutoffs))}: {changed} rows)"
        )
        return Verdict(self.name, "passed", 0.0, 0.0, words, {"scrambled": changed, "ways": [*WAYS, DROPPED]})

    def explain(self, trial: Trial, verdict: Verdict) -> Verdict:
        """Adds to a failure which way of scrambling alone changes something: `ways`."""
        if verdict.outcome != "failed":
            return verdict
        cutoff = next(one for one in trial.cutoffs if str(one) == verdict.evidence["cutoff"])
        part = (str(verdict.evidence["part"]),)
        ways = [way for way in WAYS if _compared(trial, cutoff, parts=part, how=way, ways=(way,))]
        if first_difference((trial.run(), trial.at(cutoff)), cutoff, entity=trial.entity, parts=part):
            ways.append(DROPPED)
        return replace(
            verdict,
            words=f"{verdict.words}; when they are {' or '.join(ways)}",
            evidence={**verdict.evidence, "ways": ways},
        )


def scrambled(database: Database, cutoff: Moment, *, seed: int, ways: Sequence[str] = WAYS) -> Database:
    """The database with the rows known after a cutoff scrambled; what was known by then is there, with all its versions.

    Noise: each value column is permuted among the later rows of its table, and a number moves as well: keys and clocks stay.
    Twice: the later rows come again under another batch number. Order: the rows of the whole table are shuffled.
    """
    tables = {}
    for name, table in database.tables.items():
        # Each table draws from a stream of its own, so that one more table changes no other.
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        tables[name] = Table(table.contract, _scrambled(table, cutoff, rng, ways))
    return Database(tables)


def _scrambled(table: Table, cutoff: Moment, rng: np.random.Generator, ways: Sequence[str]) -> pl.DataFrame:
    past, later = (
        table.rows.filter(pl.col(KNOWN) <= literal(cutoff)),
        table.rows.filter(pl.col(KNOWN) > literal(cutoff)),
    )
    if NOISE in ways and later.height:
        later = later.with_columns(_noise(table, later[name], rng) for name in value_columns(table))
    parts = [past, later]
    if TWICE in ways and later.height:
        number = pl.lit(int(table.rows[BATCH].max()) + 1, dtype=pl.Int64)  # type: ignore[arg-type]
        parts.append(later.with_columns(number.alias(BATCH)))
    rows = pl.concat(parts)
    return rows[rng.permutation(rows.height)] if ORDER in ways else rows


def value_columns(table: Table) -> list[str]:
    """The columns that say something of a key; of a table without a key, those that hold measures."""
    contract = table.contract
    if contract.key:
        return [column.name for column in contract.columns if column.name not in contract.keys]
    return [column.name for column in contract.columns if column.type in ("decimal", "real")]


def _noise(table: Table, column: pl.Series, rng: np.random.Generator) -> pl.Series:
    mixed = column[rng.permutation(len(column))]
    declared = table.contract.column(column.name)
    if declared.type not in ("decimal", "real", "integer"):
        return mixed
    moved = mixed + pl.Series(rng.integers(1, 10, len(mixed))).cast(mixed.dtype)
    high = None if declared.high is None else declared.high * declared.scale
    return (moved if high is None else moved.clip(upper_bound=high)).cast(column.dtype).alias(column.name)


def _compared(
    trial: Trial, cutoff: Moment, *, parts: Sequence[str], how: str, ways: Sequence[str] = WAYS
) -> Found | None:
    mixed = trial.altered(
        f"scrambled {ways}", cutoff, lambda: scrambled(trial.database, cutoff, seed=trial.seed, ways=ways)
    )
    built = trial.build(mixed, (cutoff,), trial.seed)
    return first_difference((trial.run(), built), cutoff, entity=trial.entity, parts=parts, sides=("as they are", how))


__all__ = ["DROPPED", "NOISE", "ORDER", "TWICE", "WAYS", "FutureScramble", "scrambled", "value_columns"]
