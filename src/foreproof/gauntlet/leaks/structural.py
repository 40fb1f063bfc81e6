"""Faults that structural checks must catch: each takes a trial and returns one that a named check must fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import polars as pl

from foreproof.core.clock import INSTANT, Moment, literal, moment, tick_values, ticks
from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Built, Forecasts, Trial
from foreproof.core.view import Database, Table
from foreproof.gauntlet.leaks.altered import with_built, with_forecasts

_NUMBERS = ("decimal", "real", "integer")


def peek(trial: Trial) -> Trial:
    """A feature that counts the facts which the database holds after the cutoff: it reads past the one door."""
    return _with_feature(trial, "peek", _later_facts)


def peek_values(trial: Trial) -> Trial:
    """A feature that sums the numbers which became known after the cutoff."""

    def later(database: Database, cutoff: Moment) -> float:
        rows = [(t, t.rows.filter(pl.col(KNOWN) > literal(cutoff))) for t in database.tables.values()]
        sums = [r[c.name].sum() for t, r in rows for c in t.contract.columns if c.type in _NUMBERS]
        return float(sum(sums)) + float(sum(r.height for _, r in rows))

    return _with_feature(trial, "peek_values", later)


def no_purge(trial: Trial) -> Trial:
    """Learns from an example made at the cutoff itself, whose label cannot have settled."""
    return with_forecasts(trial, lambda said: replace(said, manifest=pl.concat([said.manifest, _unsettled(said)])))


def shared(trial: Trial) -> Trial:
    """Learns from an example that is judged; where entities are kept apart in folds, one stands on both sides."""

    def fault(said: Forecasts) -> Forecasts:
        folds = said.folds
        if folds is not None and folds.height:
            other = pl.when(pl.col("role") == "learn").then(pl.lit("judge")).otherwise(pl.lit("learn")).alias("role")
            folds = pl.concat([folds, folds.head(1).with_columns(other)])
        judged = said.predictions.select(CUTOFF, pl.col(STEP).alias("judged")).group_by(CUTOFF, maintain_order=True)
        used = _unsettled(said).join(judged.first(), on=CUTOFF, how="left", maintain_order="left")
        used = used.with_columns(pl.col("judged").fill_null(1).alias(STEP)).select(said.manifest.columns)
        return replace(said, manifest=pl.concat([said.manifest, used]), folds=folds)

    return with_forecasts(trial, fault)


def loaded_twice(trial: Trial) -> Trial:
    """The last batch of every table is loaded again under another number: its first 10,000 rows, which are enough to see.

    The fault is in the tables; the panel is the one that was built from them before.
    """

    def again(table: Table) -> Table:
        last = table.rows.filter(pl.col(BATCH) == pl.col(BATCH).max()).head(10_000).with_columns(pl.col(BATCH) + 1)
        return Table(table.contract, pl.concat([table.rows, last]))

    database = Database({name: again(table) for name, table in trial.database.tables.items()})

    def build(given: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        return trial.build(trial.database if given is database else given, cutoffs, seed)

    return replace(trial, database=database, build=build)


def overwritten(trial: Trial) -> Trial:
    """A third of the rows is taken back after the last cutoff, and the pipeline reads history as if they had never been.

    One cutoff is tried, the last: the log up to it is the same as before, so its replay costs nothing more.
    """
    last = max(trial.cutoffs, key=ticks)
    known = [t.rows[KNOWN].max() for t in trial.database.tables.values() if t.rows[KNOWN].dtype == _dtype(last)]
    end = max((ticks(one) for one in known if isinstance(one, type(last))), default=ticks(last))
    late = moment(max(end, ticks(last)) + 1, integer=isinstance(last, int))

    def corrected(table: Table) -> Table:
        if table.rows[KNOWN].dtype != _dtype(last):
            return table
        gone = table.rows.filter((pl.col(KNOWN) <= literal(last)) & ~pl.col(DELETED)).gather_every(3)
        number = pl.lit(int(table.rows[BATCH].max() or 0) + 1, dtype=pl.Int64).alias(BATCH)  # type: ignore[arg-type]
        gone = gone.with_columns(literal(late).alias(KNOWN), number, pl.lit(True).alias(DELETED))
        return Table(table.contract, pl.concat([table.rows, gone]))

    database = Database({name: corrected(table) for name, table in trial.database.tables.items()})
    # Only what was looked at on the whole database is overwritten: the log at the cutoff has nothing to overwrite with.
    read = Database({name: _without_deleted(table) for name, table in database.tables.items()})

    def build(given: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        return trial.build(read if given is database else given, cutoffs, seed)

    cuts = trial.cuts.grown(database, after=last) if trial.cuts is not None else None
    return replace(trial, database=database, cutoffs=(last,), build=build, cuts=cuts)


def restated(trial: Trial) -> Trial:
    """The pipeline reads tables in which one past row says another thing than when it was loaded: a number, or its clock."""
    database = Database({name: _restated(table) for name, table in trial.database.tables.items()})
    return replace(trial, database=database, cuts=None)


def survivors(trial: Trial) -> Trial:
    """Only the entities with the larger outcomes are asked about: those that left afterwards are left out of the past."""

    def fault(built: Built, database: Database) -> Built:
        outcome = built.labels.group_by([*trial.entity, CUTOFF], maintain_order=True).agg(pl.col("y").abs().sum())
        rank = pl.col("y").rank("ordinal").over(CUTOFF)
        gone = outcome.filter(rank <= (pl.len().over(CUTOFF) / 4).ceil()).select(*trial.entity, CUTOFF)
        keys = [*trial.entity, CUTOFF]
        entities, rows, labels = (
            frame.join(gone, on=keys, how="anti", nulls_equal=True, maintain_order="left")
            for frame in (built.entities, built.rows, built.labels)
        )
        return replace(built, entities=entities, rows=rows, labels=labels, forecast=lambda: built.forecasts)

    return with_built(trial, fault)


def cutoff_day(trial: Trial) -> Trial:
    """Labels that add what happened in the cutoff's own period, under honest names of their targets."""

    def fault(built: Built, database: Database) -> Built:
        cutoffs = built.labels[CUTOFF].unique().sort()
        points = trial.grid.index(tick_values(cutoffs))
        counts = [_in_period(trial, database, int(point)) for point in points]
        own = pl.DataFrame({CUTOFF: cutoffs, "_own": pl.Series(counts, dtype=pl.Float64)})
        labels = built.labels.join(own, on=CUTOFF, how="left", maintain_order="left")
        labels = labels.with_columns(pl.col("y") + pl.col("_own")).drop("_own")
        return replace(built, labels=labels, forecast=lambda: built.forecasts)

    return with_built(trial, fault)


def last_rows(trial: Trial) -> Trial:
    """Labels that add up the facts of the last moment known at the cutoff, how many and what they say: they begin with it."""
    last = {}
    for cutoff in trial.cutoffs:
        at = literal(cutoff)
        seen = [t.rows.filter((pl.col(HAPPENED) <= at) & (pl.col(KNOWN) <= at)) for t in _past(trial.database)]
        last[ticks(cutoff)] = max((ticks(one) for rows in seen if _clock(one := rows[HAPPENED].max())), default=None)  # type: ignore[arg-type]

    def own(database: Database, moment: int) -> float:
        found = [(t, t.rows.filter(pl.col(HAPPENED).to_physical() == moment)) for t in _past(database)]
        sums = [rows[c.name].sum() for t, rows in found for c in t.contract.columns if c.type in _NUMBERS]
        return float(sum(sums)) + float(sum(rows.height for _, rows in found))

    def fault(built: Built, database: Database) -> Built:
        added = {at: own(database, moment) for at, moment in last.items() if moment is not None}
        more = pl.col(CUTOFF).to_physical().replace_strict(added, default=0.0, return_dtype=pl.Float64)
        return replace(built, labels=built.labels.with_columns(pl.col("y") + more), forecast=lambda: built.forecasts)

    return with_built(trial, fault)


def first_row(trial: Trial) -> Trial:
    """A feature that is read off the first and the last row of every table, whichever these are."""

    def ends(database: Database, cutoff: Moment) -> float:
        ends = [tick_values(table.rows[HAPPENED])[[0, -1]] for table in database.tables.values() if table.rows.height]
        numbers = [
            float(table.rows[column.name][place] or 0)
            for table in database.tables.values()
            for column in table.contract.columns
            for place in (0, -1)
            if column.type in _NUMBERS and table.rows.height
        ]
        return float(sum(int(pair[0] - 2 * pair[1]) % 1_000_003 for pair in ends)) + sum(numbers)

    return _with_feature(trial, "first_row", ends)


def skewed(trial: Trial) -> Trial:
    """A feature that serving, which builds one cutoff alone, rounds in another way than training."""

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        built = trial.build(database, cutoffs, seed)
        served = 1.0 if len(cutoffs) == 1 and database is not trial.database else 0.0
        rows = built.rows.with_columns(pl.lit(served).alias("skewed"))
        return replace(built, rows=rows, forecast=lambda: built.forecasts)

    return trial.with_build(build)


def _with_feature(trial: Trial, name: str, value: Callable[[Database, Moment], float]) -> Trial:
    """The trial with one more feature, the same for all rows of a cutoff."""

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        built = trial.build(database, cutoffs, seed)
        made = pl.DataFrame(
            {CUTOFF: list(cutoffs), name: [float(value(database, cutoff)) for cutoff in cutoffs]},
            schema_overrides={CUTOFF: built.rows.schema[CUTOFF]},
        )
        rows = built.rows.join(made, on=CUTOFF, how="left", maintain_order="left")
        return replace(built, rows=rows, forecast=lambda: built.forecasts)

    return trial.with_build(build)


def _later_facts(database: Database, cutoff: Moment) -> float:
    past = [table.rows for table in database.tables.values() if not table.contract.ahead]
    return float(sum(rows.filter(pl.col(HAPPENED) > literal(cutoff)).height for rows in past))


def _unsettled(said: Forecasts) -> pl.DataFrame:
    """One example a cutoff, made at the cutoff itself."""
    manifest = said.manifest
    return (
        manifest.group_by(CUTOFF, maintain_order=True)
        .first()
        .with_columns(
            pl.col(CUTOFF).alias("example"),
            pl.lit(1, dtype=pl.Int64).alias(STEP),
            (pl.col(CUTOFF).to_physical() + 1).cast(manifest.schema["settled"]).alias("settled"),
        )
        .select(manifest.columns)
    )


def _in_period(trial: Trial, database: Database, period: int) -> int:
    past = [
        table.rows
        for table in database.tables.values()
        if not table.contract.ahead and table.contract.happened and table.contract.integer == trial.grid.integer
    ]
    return sum(int((trial.grid.index(tick_values(rows[HAPPENED])) == period).sum()) for rows in past)


def _without_deleted(table: Table) -> Table:
    """The table without any row of a key that was ever deleted."""
    keys = list(table.contract.keys)
    gone = table.rows.filter(pl.col(DELETED)).select(keys)
    return Table(table.contract, table.rows.join(gone, on=keys, how="anti", nulls_equal=True, maintain_order="left"))


def _past(database: Database) -> list[Table]:
    """The tables of dated facts."""
    return [t for t in database.tables.values() if t.contract.happened is not None and not t.contract.ahead]


def _clock(value: object) -> bool:
    return isinstance(value, (int, datetime))


def _restated(table: Table) -> Table:
    """The table with another number in its first row, or without a number to change, known a tick earlier if it has a clock."""
    first = pl.int_range(pl.len()) == 0
    # A column of the key names a row and says nothing of it.
    able = [c.name for c in table.contract.columns if c.type in _NUMBERS and c.name not in table.contract.keys]
    if not able and table.contract.happened is None:
        return table
    clock = table.rows.schema[KNOWN]
    change = (
        pl.when(first).then(pl.col(able[0]).fill_null(0) + 1).otherwise(pl.col(able[0])).alias(able[0])
        if able
        else (pl.col(KNOWN).to_physical() - first.cast(pl.Int64)).cast(clock).alias(KNOWN)
    )
    return Table(table.contract, table.rows.with_columns(change))


def _dtype(at: Moment) -> pl.DataType:
    return pl.Int64() if isinstance(at, int) else INSTANT


__all__ = [
    "cutoff_day",
    "first_row",
    "last_rows",
    "loaded_twice",
    "no_purge",
    "overwritten",
    "peek",
    "peek_values",
    "restated",
    "shared",
    "skewed",
    "survivors",
]
