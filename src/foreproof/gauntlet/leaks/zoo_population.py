"""Leaks of the family "wrong population or time": who is asked about, and what they were, as of today."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import polars as pl

from foreproof.core.clock import BEGINNING, INSTANT
from foreproof.core.contract import BATCH, HAPPENED, KNOWN, Column, Contract, Known, Stamp
from foreproof.core.predict import CUTOFF
from foreproof.core.table import CONSTANT_SINCE
from foreproof.core.trial import Built, Trial
from foreproof.core.view import Database, Table
from foreproof.gauntlet.leaks.altered import with_built
from foreproof.gauntlet.leaks.structural import survivors
from foreproof.gauntlet.leaks.zoo_tools import (
    ASKED,
    VALUE,
    Zoo,
    ahead,
    changed,
    facts_of,
    keys_of,
    main_table,
    summed,
    with_column,
    with_database,
)


def dimension_of_today(trial: Trial) -> Trial:
    """How large the entity's first column (the account, the item) is by all its facts: a dimension without validity."""
    return with_column(trial, "size", lambda built, db: _looked_up(trial, built, _sizes(trial, db)))


def tier_of_today(trial: Trial) -> Trial:
    """The same as a table of its own, that its plan declares constant: the tier was set by what the account went on to do."""
    sizes = _sizes(trial, trial.database).with_columns(pl.col(VALUE).rank("ordinal").cast(pl.Float64).alias(VALUE))
    key = sizes.columns[0]
    clock = main_table(trial.database, trial.entity).rows.schema[HAPPENED]
    since = pl.lit(CONSTANT_SINCE, dtype=INSTANT) if clock == INSTANT else pl.lit(BEGINNING, dtype=pl.Int64)
    rows = sizes.select(
        key,
        pl.col(VALUE).alias("tier"),
        since.alias(HAPPENED),
        since.alias(KNOWN),
        pl.lit(0, dtype=pl.Int64).alias(BATCH),
        pl.lit(False).alias("_deleted"),
    )
    stamp = Stamp("since", period="integer") if clock != INSTANT else None
    contract = Contract(
        "tiers", (key,), stamp, Known("constant", why="tiers"), (Column(key, "text"), Column("tier", "real"))
    )
    database = Database({**trial.database.tables, "tiers": Table(contract, rows)})

    def make(built: Built, given: Database) -> pl.Series:
        return _looked_up(trial, built, given["tiers"].rows.select(key, pl.col("tier").alias(VALUE)))

    return with_column(with_database(trial, database), "tier", make)


def _sizes(trial: Trial, database: Database) -> pl.DataFrame:
    facts = facts_of(database, trial.entity)
    first = keys_of(facts)[:1]
    return facts.group_by(first, maintain_order=True).agg(pl.col(VALUE).sum())


def _looked_up(trial: Trial, built: Built, by_key: pl.DataFrame) -> pl.Series:
    key = by_key.columns[0]
    return built.rows.join(by_key, on=key, how="left", nulls_equal=True, maintain_order="left")[VALUE].fill_null(0.0)


def largest_of_all_time(trial: Trial) -> Trial:
    """Asked about are the larger half by all facts, those to come among them, not those that were large at the cutoff."""

    def fault(built: Built, database: Database) -> Built:
        sizes = _sizes(trial, database)
        key = sizes.columns[0]
        here = sizes.join(built.entities.select(key).unique(), on=key, how="semi")
        kept = here.filter(pl.col(VALUE) >= pl.col(VALUE).median()).select(key)
        entities, rows, labels = (
            frame.join(kept, on=key, how="semi", maintain_order="left")
            for frame in (built.entities, built.rows, built.labels)
        )
        return replace(built, entities=entities, rows=rows, labels=labels, forecast=lambda: built.forecasts)

    return with_built(trial, fault)


def still_there(trial: Trial) -> Trial:
    """Asked about are only entities with a fact after the cutoff: whoever left is left out of the past."""

    def fault(built: Built, database: Database) -> Built:
        seen = summed(
            trial, built, _counted(trial, database), lambda at: (at, ahead(trial, at, steps=4 * trial.horizon))
        )
        keys = [*trial.entity, CUTOFF]
        kept = built.rows.select(keys).with_columns(seen.alias("_n")).filter(pl.col("_n") > 0).select(keys).unique()
        entities, rows, labels = (
            frame.join(kept, on=keys, how="semi", nulls_equal=True, maintain_order="left")
            for frame in (built.entities, built.rows, built.labels)
        )
        return replace(built, entities=entities, rows=rows, labels=labels, forecast=lambda: built.forecasts)

    return with_built(trial, fault)


def _counted(trial: Trial, database: Database) -> pl.DataFrame:
    return facts_of(database, trial.entity).with_columns(pl.lit(1.0).alias(VALUE))


def ids_merged_later(trial: Trial) -> Trial:
    """Two names of one account were merged after the fact, in the whole history: who kept buying inherits a past."""
    table = main_table(trial.database, trial.entity)
    key = next(name for name in trial.entity if name in table.rows.columns)
    last = table.rows.group_by(key, maintain_order=True).agg(pl.col(HAPPENED).max().alias("_last")).sort("_last", key)
    half = last.height // 2
    gone, stayed = last[: half // 4][key], last[::-1][: half // 4][key]
    if table.rows.schema[key] != pl.String or not len(gone):
        return trial
    merged = table.rows.with_columns(pl.col(key).replace(gone.to_list(), stayed.to_list()))
    if table.contract.key:
        merged = merged.unique([*table.contract.keys, BATCH], keep="first", maintain_order=True)
    return with_database(trial, changed(trial.database, table, merged))


def late_rows_as_on_time(trial: Trial) -> Trial:
    """Every row is dated as if it had been there when it happened: the past at a cutoff is fuller than it was."""
    on_time = pl.col(HAPPENED).alias(KNOWN)
    tables = {name: Table(t.contract, t.rows.with_columns(on_time)) for name, t in trial.database.tables.items()}
    return with_database(trial, Database(tables))


def survivors_only(trial: Trial) -> Trial:
    """The weaker quarter of each cutoff, by its outcome, was cleaned out of the sample."""
    return survivors(trial)


_KAPOOR = (
    "Kapoor, Narayanan (2023), Leakage and the reproducibility crisis in machine-learning-based science, Patterns 4(9)"
)
_BROWN = "Brown, Goetzmann, Ibbotson, Ross (1992), Survivorship Bias in Performance Studies, Review of Financial Studies 5(4)"
_ISSUE = "measured with this project; see docs/gauntlet.md"
_TRUNCATION = ("rebuild", "future scramble", "replay")
_WHO = ("rebuild", "same population", "replay")


def _zoo(name: str, words: str, source: str, plant: Callable[[Trial], Trial], *expected: str) -> Zoo:
    return Zoo(name, ASKED, words, source, plant, expected)


POPULATION: tuple[Zoo, ...] = (
    _zoo("dimension_of_today", "A property of the entity as it is today.", _KAPOOR, dimension_of_today, *_TRUNCATION),
    _zoo(
        "tier_of_today",
        "A tier that was set later, in a table that its plan declares constant.",
        _ISSUE,
        tier_of_today,
        "single feature",
        "adjacency",
    ),
    _zoo("survivors_only", "The sample without those whose outcome was bad.", _BROWN, survivors_only, *_WHO),
    _zoo("still_there", "Only entities that have facts after the cutoff.", _BROWN, still_there, *_WHO),
    _zoo("largest_of_all_time", "The largest by all facts, not by those known.", _BROWN, largest_of_all_time, *_WHO),
    _zoo(
        "ids_merged_later",
        "Names merged later, in all of history: the tables hold the merged name only, so nothing here can see it.",
        _ISSUE,
        ids_merged_later,
    ),
    _zoo(
        "late_rows_as_on_time",
        "Rows that arrive late, dated as if they had not: the clock itself is wrong, and no check knows a better one.",
        _ISSUE,
        late_rows_as_on_time,
    ),
)

__all__ = ["POPULATION"]
