"""Faults that structural checks must catch: each takes a trial and returns one that a named check must fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from foreproof.core.clock import Moment, literal
from foreproof.core.contract import BATCH, HAPPENED
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Built, Forecasts, Trial
from foreproof.core.view import Database, Table
from foreproof.gauntlet.leaks.altered import with_forecasts


def peek(trial: Trial) -> Trial:
    """A feature that counts the facts which the database holds after the cutoff: it reads past the one door."""

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        built = trial.build(database, cutoffs, seed)
        counts = [(cutoff, _later_facts(database, cutoff)) for cutoff in cutoffs]
        seen = pl.DataFrame(
            {CUTOFF: [cutoff for cutoff, _ in counts], "peek": [float(count) for _, count in counts]},
            schema_overrides={CUTOFF: built.rows.schema[CUTOFF]},
        )
        return replace(built, rows=built.rows.join(seen, on=CUTOFF, how="left", maintain_order="left"))

    return trial.with_build(build)


def no_purge(trial: Trial) -> Trial:
    """Learns from an example made at the cutoff itself, whose label cannot have settled."""

    def fault(forecasts: Forecasts) -> Forecasts:
        manifest = forecasts.manifest
        unsettled = (
            manifest.group_by(CUTOFF, maintain_order=True)
            .first()
            .with_columns(
                pl.col(CUTOFF).alias("example"),
                pl.lit(1, dtype=pl.Int64).alias(STEP),
                (pl.col(CUTOFF).to_physical() + 1).cast(manifest.schema["settled"]).alias("settled"),
            )
        )
        return replace(forecasts, manifest=pl.concat([manifest, unsettled.select(manifest.columns)]))

    return with_forecasts(trial, fault)


def loaded_twice(trial: Trial) -> Trial:
    """The last batch of every table is loaded again under another number."""

    def again(table: Table) -> Table:
        last = table.rows.filter(pl.col(BATCH) == pl.col(BATCH).max()).with_columns(pl.col(BATCH) + 1)
        return Table(table.contract, pl.concat([table.rows, last]))

    tables = {name: again(table) for name, table in trial.database.tables.items()}
    return replace(trial, database=Database(tables))


def _later_facts(database: Database, cutoff: Moment) -> int:
    past = [table.rows for table in database.tables.values() if not table.contract.ahead]
    return sum(rows.filter(pl.col(HAPPENED) > literal(cutoff)).height for rows in past)


__all__ = ["loaded_twice", "no_purge", "peek"]
