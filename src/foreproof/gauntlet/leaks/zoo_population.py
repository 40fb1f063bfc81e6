"""Leaks of the family "wrong population or time": who is asked about, and what they were, as of today."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import polars as pl

from foreproof.core.clock import BEGINNING, INSTANT, Moment, tick_values, ticks
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
    with_log,
)


def dimension_of_today(trial: Trial) -> Trial:
    """How large the entity's first column (the account, the item) is by all its facts: a dimension without validity."""
    return with_column(trial, "size", lambda built, db: _looked_up(trial, built, _sizes(trial, db)))


def tier_of_today(trial: Trial) -> Trial:
    """The same as a table of its own, that its plan declares constant: the tier was set by what the account went on to do.

    It was loaded at the first cutoff, when it said what was known then; the pipeline reads it as it is now.
    """
    facts = main_table(trial.database, trial.entity)
    first = Database({facts.contract.name: facts.truncate(min(trial.cutoffs, key=ticks))})
    now, then = (_tiers(trial, database) for database in (trial.database, first))
    key = now.contract.key[0]

    def make(built: Built, given: Database) -> pl.Series:
        return _looked_up(trial, built, given["tiers"].rows.select(key, pl.col("tier").alias(VALUE)))

    spoiled = with_database(trial, Database({**trial.database.tables, "tiers": now}))
    return with_column(with_log(spoiled, Database({**trial.database.tables, "tiers": then})), "tier", make)


def _tiers(trial: Trial, database: Database) -> Table:
    """What each entity was worth by these facts, as a constant table."""
    sizes = _sizes(trial, database)
    key = sizes.columns[0]
    clock = main_table(database, trial.entity).rows.schema[HAPPENED]
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
    return Table(contract, rows)


def _sizes(trial: Trial, database: Database) -> pl.DataFrame:
    facts = facts_of(database, trial.entity)
    first = keys_of(facts)[:1]
    return facts.group_by(first, maintain_order=True).agg(pl.col(VALUE).sum())


def _looked_up(trial: Trial, built: Built, by_key: pl.DataFrame) -> pl.Series:
    key = by_key.columns[0]
    return built.rows.join(by_key, on=key, how="left", nulls_equal=True, maintain_order="left")[VALUE].fill_null(0.0)


def largest_of_all_time(trial: Trial) -> Trial:
    """Asked about are the larger half by all facts, those to come among them, not those that were large at the cutoff."""
    return _largest(trial, lambda database, cutoff: database)


def largest_at_the_cutoff(trial: Trial) -> Trial:
    """Asked about are the larger half by the facts known at each cutoff."""
    return _largest(trial, lambda database, cutoff: database.truncate(cutoff))


def _largest(trial: Trial, facts: Callable[[Database, Moment], Database]) -> Trial:
    """Asked about are at each cutoff the larger half of its entities, by the facts that are given for it."""

    def fault(built: Built, database: Database) -> Built:
        main = main_table(database, trial.entity)
        own = Database({main.contract.name: main})
        kept = []
        for cutoff in built.entities[CUTOFF].unique().sort():
            sizes = _sizes(trial, facts(own, cutoff))
            key = sizes.columns[0]
            there = built.entities.filter(pl.col(CUTOFF) == cutoff).select(key, CUTOFF).unique(maintain_order=True)
            here = there.join(sizes, on=key, how="inner", maintain_order="left")
            kept.append(here.filter(pl.col(VALUE) >= pl.col(VALUE).median()).select(key, CUTOFF))
        large = pl.concat(kept)
        entities, rows, labels = (
            frame.join(large, on=large.columns, how="semi", maintain_order="left")
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
    count = max(1, last.height // 8)
    gone, stayed = last[:count][key], last[::-1][:count][key]
    merged = table.rows.with_columns(pl.col(key).replace(gone.to_list(), stayed.to_list()))
    if table.contract.key:
        merged = merged.unique([*table.contract.keys, BATCH], keep="first", maintain_order=True)
    return with_database(trial, changed(trial.database, table, merged))


def late_rows_as_on_time(trial: Trial) -> Trial:
    """Every row is dated as if it had been there when it happened: the past at a cutoff is fuller than it was.

    Where all rows of a history came on time, a third of its facts comes half a horizon late, as the log notes, and is still read
    as if it had not.
    """
    late = {
        name: t
        for name, t in trial.database.tables.items()
        if t.contract.happened is not None and (t.rows[KNOWN] > t.rows[HAPPENED]).any()
    }
    if not late:
        table = main_table(trial.database, trial.entity)
        come = trial.grid.shift(tick_values(table.rows[HAPPENED]), max(1, trial.horizon // 2))
        third = pl.int_range(pl.len()) % 3 == 0
        known = pl.when(third).then(pl.Series(come, dtype=pl.Int64)).otherwise(pl.col(KNOWN).to_physical())
        rows = table.rows.with_columns(known.cast(table.rows.schema[KNOWN]).alias(KNOWN))
        return with_log(trial, changed(trial.database, table, rows))
    on_time = pl.col(HAPPENED).alias(KNOWN)
    tables = {name: Table(t.contract, t.rows.with_columns(on_time)) for name, t in late.items()}
    return with_database(trial, Database({**trial.database.tables, **tables}))


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
        "A tier that was set later, in a table that its plan declares constant: it was another one when it was loaded.",
        _ISSUE,
        tier_of_today,
        "as logged",
        "single feature",
        "adjacency",
    ),
    _zoo("survivors_only", "The sample without those whose outcome was bad.", _BROWN, survivors_only, *_WHO),
    _zoo("still_there", "Only entities that have facts after the cutoff.", _BROWN, still_there, *_WHO),
    replace(
        _zoo(
            "largest_of_all_time", "The largest by all facts, not by those known.", _BROWN, largest_of_all_time, *_WHO
        ),
        twin=largest_at_the_cutoff,
    ),
    _zoo(
        "ids_merged_later",
        "Names merged later, and read as merged in all of history.",
        _ISSUE,
        ids_merged_later,
        "as logged",
    ),
    _zoo(
        "late_rows_as_on_time",
        "Rows that arrive late, read as if they had not: the clock that the pipeline goes by is not the log's.",
        _ISSUE,
        late_rows_as_on_time,
        "as logged",
    ),
)

__all__ = ["POPULATION"]
