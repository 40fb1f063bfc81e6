"""Leaks of the family "features that know": a column that could not have been there at the cutoff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.contract import BATCH, HAPPENED, KNOWN, Column, Contract, Known, Stamp
from foreproof.core.predict import CUTOFF
from foreproof.core.trial import Built, Leak, Trial
from foreproof.core.view import Database, Table
from foreproof.gauntlet.leaks.zoo_tools import (
    AT,
    FEATURE,
    VALUE,
    Zoo,
    after,
    ahead,
    back,
    changed,
    facts_of,
    keys_of,
    main_table,
    measure_of,
    summed,
    with_column,
    with_database,
    with_log,
    with_window,
    with_world,
)

_HOUR = 3_600_000_000
_OUTCOME = "outcome_code"


def look_ahead(days: int) -> Leak:
    """The activity of the entity in (cutoff, cutoff + days], as if it were that of the days before."""

    def plant(trial: Trial) -> Trial:
        return with_window(trial, f"activity_{days}", lambda at: (at, ahead(trial, at, days=days)))

    plant.__name__ = _ahead_name(days)
    return plant


def _ahead_name(days: int) -> str:
    return f"look_ahead_{days}_day{'s' if days > 1 else ''}"


def look_ahead_hours(trial: Trial) -> Trial:
    """The cutoff read as midnight of a zone fourteen hours behind: the next day's facts count up to then.

    Facts that only name a day are known at its end, so the whole next day slips in.
    """

    def reach(at: int) -> tuple[int, int]:
        return back(trial, at, steps=1), ahead(trial, at, steps=1) if trial.grid.integer else _to_next(trial, at)

    return with_window(trial, "today", reach)


def _to_next(trial: Trial, at: int) -> int:
    facts = facts_of(trial.database, trial.entity)
    late = at + 14 * _HOUR
    some = facts.filter((pl.col(AT) > at) & (pl.col(AT) <= late)).height
    return late if some else ahead(trial, at, steps=1)


def target_encoding(trial: Trial) -> Trial:
    """The mean label of the entity's last column (the group) over all cutoffs, those to come among them."""
    return with_column(trial, "group_rate", lambda built, db: _encoded(trial, built, own=False))


def target_encoding_in_sample(trial: Trial) -> Trial:
    """The mean label of the entity over the very rows that are learned from and judged, each row's own label in it."""
    return with_column(trial, "entity_rate", lambda built, db: _encoded(trial, built, own=True))


def _encoded(trial: Trial, built: Built, *, own: bool) -> pl.Series:
    keys = [*trial.entity, CUTOFF] if own else [trial.entity[-1]]
    rates = built.labels.group_by(keys, maintain_order=True).agg(pl.col("y").cast(pl.Float64).mean().alias("_rate"))
    return built.rows.join(rates, on=keys, how="left", nulls_equal=True, maintain_order="left")["_rate"].fill_null(0.0)


def scaling_on_all_data(trial: Trial) -> Trial:
    """The entity's last 30 days, scaled by mean and deviation of all its values, past and to come."""

    def make(built: Built, database: Database) -> pl.Series:
        facts = facts_of(database, trial.entity)
        keys = keys_of(facts)
        recent = summed(trial, built, facts, lambda at: (back(trial, at, days=30), at))
        scale = facts.group_by(keys, maintain_order=True).agg(
            pl.col(VALUE).mean().alias("_m"), pl.col(VALUE).std().alias("_s")
        )
        found = built.rows.join(scale, on=keys, how="left", nulls_equal=True, maintain_order="left")
        return (recent - found["_m"].fill_null(0.0)) / (found["_s"].fill_null(0.0) + 1.0)

    return with_column(trial, "scaled_activity", make)


def affinity_on_all_data(trial: Trial) -> Trial:
    """The share of the entity's value in that of its first column (the account), over all data."""

    def make(built: Built, database: Database) -> pl.Series:
        facts = facts_of(database, trial.entity)
        keys = keys_of(facts)
        own = facts.group_by(keys, maintain_order=True).agg(pl.col(VALUE).sum().alias("_own"))
        total = facts.group_by(keys[:1], maintain_order=True).agg(pl.col(VALUE).sum().alias("_total"))
        whole = pl.lit(float(facts[VALUE].sum())) if len(keys) == 1 else pl.col("_total")
        share = own.join(total, on=keys[:1], maintain_order="left").with_columns(
            (pl.col("_own") / whole).alias("_share")
        )
        joined = built.rows.join(share, on=keys, how="left", nulls_equal=True, maintain_order="left")
        return joined["_share"].fill_nan(0.0).fill_null(0.0)

    return with_column(trial, "affinity", make)


def later_returns_netted(trial: Trial) -> Trial:
    """Past value less what comes back later: the net of a sale is known only when its return is."""

    def make(built: Built, database: Database) -> pl.Series:
        facts = facts_of(database, trial.entity)
        past = summed(trial, built, facts, lambda at: (back(trial, at, days=90), at))
        returned = summed(trial, built, facts, lambda at: (at, ahead(trial, at, days=30)))
        return past - 0.3 * returned

    return with_column(trial, "net_value", make)


def centred_window(trial: Trial) -> Trial:
    """A rolling window of seven steps that is centred on the cutoff: three of its steps are still to come."""
    return with_window(trial, "rolling_7", lambda at: (back(trial, at, steps=4), ahead(trial, at, steps=3)))


def back_filled(trial: Trial) -> Trial:
    """The value of the last seven steps; where there is none, that of the next seven."""
    return _filled(trial, behind=True)


def not_filled(trial: Trial) -> Trial:
    """The value of the last seven steps; where there is none, nothing."""
    return _filled(trial, behind=False)


def _filled(trial: Trial, *, behind: bool) -> Trial:
    def make(built: Built, database: Database) -> pl.Series:
        facts = facts_of(database, trial.entity)
        past = summed(trial, built, facts, lambda at: (back(trial, at, steps=7), at))
        come = summed(trial, built, facts, lambda at: (at, ahead(trial, at, steps=7)))
        return pl.select(pl.when(past > 0).then(past).otherwise(come if behind else 0.0)).to_series()

    return with_column(trial, "last_value", make)


def late_corrections(trial: Trial) -> Trial:
    """Facts are corrected after the cutoff, and the pipeline reads the newest version of each as if it had always been so.

    What a correction adds is what the entity went on to do, so the corrected history is worth knowing.
    """
    table = main_table(trial.database, trial.entity)
    facts = _beside(trial, table)
    column = measure_of(table)
    if not column or not table.contract.key:
        return _read_ahead(trial, facts)
    moved = pl.Series(
        trial.grid.shift(table.rows[HAPPENED].to_physical().to_numpy(), max(1, trial.horizon)), dtype=pl.Int64
    )
    fixed = table.rows.with_columns(
        (pl.col(column) + facts.cast(table.rows.schema[column])).alias(column),
        pl.max_horizontal(moved, pl.col(KNOWN).to_physical() + 1).cast(table.rows.schema[KNOWN]).alias(KNOWN),
        (pl.col(BATCH).max() + 1).alias(BATCH),
    ).filter(facts != 0)
    # Every second one, wherever it lies in the table: rows may be in the order of days or of entities.
    database = changed(trial.database, table, pl.concat([table.rows, fixed.gather_every(2)]))
    keys = list(table.contract.keys)

    def build(given: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        versions = given[table.contract.name]
        newest = versions.rows.sort([*keys, KNOWN, BATCH], maintain_order=True).unique(
            keys, keep="last", maintain_order=True
        )
        first = versions.rows.group_by(keys, maintain_order=True).agg(pl.col(KNOWN).min().alias("_first"))
        read = newest.join(first, on=keys, how="left", nulls_equal=True, maintain_order="left")
        flat = read.with_columns(pl.col("_first").alias(KNOWN)).drop("_first")
        return trial.build(changed(given, versions, flat), cutoffs, seed)

    return with_world(trial, database).with_build(build)


def _beside(trial: Trial, table: Table) -> pl.Series:
    """For each row of the table, what its entity did in the horizon after it."""
    keys = [name for name in trial.entity if name in table.rows.columns]
    facts = facts_of(Database({table.contract.name: table}), trial.entity)
    come = facts.with_columns(after(trial, facts, steps=trial.horizon).alias("_come")).unique([*keys, AT], keep="last")
    named = table.rows.select(*(pl.col(key).cast(pl.String) for key in keys), pl.col(HAPPENED).to_physical().alias(AT))
    return named.join(come, on=[*keys, AT], how="left", nulls_equal=True, maintain_order="left")["_come"].fill_null(0.0)


def _read_ahead(trial: Trial, facts: pl.Series) -> Trial:
    """Where rows have no key or no measure to correct: the corrected sum as a feature."""
    return with_window(trial, "corrected", lambda at: (back(trial, at, days=30), ahead(trial, at, steps=trial.horizon)))


def target_by_another_name(trial: Trial) -> Trial:
    """A column of the facts that the outcome itself wrote (a code, a status), dated like the facts: it was filled in later.

    When its rows were loaded it was empty: that is what the log holds.
    """
    table = main_table(trial.database, trial.entity)
    coded = table.rows.with_columns(_beside(trial, table).alias(_OUTCOME))
    database = changed(trial.database, table, coded)
    empty = table.rows.with_columns(pl.lit(None, dtype=pl.Float64).alias(_OUTCOME))
    trial = with_log(trial, changed(trial.database, table, empty))

    def make(built: Built, given: Database) -> pl.Series:
        rows = main_table(given, trial.entity).rows
        keys = [name for name in trial.entity if name in rows.columns]
        codes = rows.select(*(pl.col(key).cast(pl.String) for key in keys), pl.col(HAPPENED).alias(CUTOFF), _OUTCOME)
        asked = built.rows.select(*keys, CUTOFF).with_row_index("_row").sort(CUTOFF)
        last = asked.join_asof(codes.sort(CUTOFF), on=CUTOFF, by=keys or None, check_sortedness=False)
        return last.sort("_row")[_OUTCOME].fill_null(0.0)

    return with_column(_blind(with_database(trial, database), table), "status", make)


def _blind(trial: Trial, table: Table) -> Trial:
    """The honest part of the pipeline does not see the planted column."""

    def build(given: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        own = given[table.contract.name]
        return trial.build(changed(given, own, own.rows.drop(_OUTCOME, strict=False)), cutoffs, seed)

    return replace(trial, build=build)


def promotion_decided_later(trial: Trial) -> Trial:
    """A plan for the coming days that was only decided in them: the pipeline reads it for when it applies, not since when."""
    table = main_table(trial.database, trial.entity)
    keys = [name for name in trial.entity if name in table.rows.columns]
    facts = facts_of(trial.database, trial.entity)
    plans = facts.group_by([*keys, AT], maintain_order=True).agg(pl.col(VALUE).sum().alias("depth"))
    clock = table.rows.schema[HAPPENED]
    dated = plans.select(
        *keys,
        "depth",
        pl.col(AT).cast(clock).alias(HAPPENED),
        pl.col(AT).cast(clock).alias(KNOWN),
        pl.lit(0, dtype=pl.Int64).alias(BATCH),
        pl.lit(False).alias("_deleted"),
    )
    columns = (*(Column(key, "text") for key in keys), Column("depth", "real"))
    stamp = Stamp("day", period="integer" if table.contract.integer else "")
    contract = Contract("promotions", (*keys, "day"), stamp, Known("same_as_happened"), columns, ahead=True)
    database = Database({**trial.database.tables, "promotions": Table(contract, dated)})

    def make(built: Built, given: Database) -> pl.Series:
        read = given["promotions"].rows.select(
            *keys, pl.col(HAPPENED).to_physical().alias(AT), pl.col("depth").alias(VALUE)
        )
        return summed(trial, built, read, lambda at: (at, ahead(trial, at, steps=trial.horizon)))

    return with_column(with_world(trial, database), "promotion_ahead", make)


def restated_history(trial: Trial) -> Trial:
    """The source rewrote its past after it was loaded, and the pipeline reads it as it is now: what the entity did later is in
    the earlier rows, under their old dates. Rows without a measure: of those that did nothing later, every second one is gone.
    """
    table = main_table(trial.database, trial.entity)
    column, come = measure_of(table), _beside(trial, table)
    if not column:
        kept = table.rows.filter((come != 0) | (pl.int_range(pl.len()) % 2 == 0))
        return with_database(trial, changed(trial.database, table, kept))
    moved = pl.col(column) + (0.5 * come).round().cast(table.rows.schema[column])
    return with_database(trial, changed(trial.database, table, table.rows.with_columns(moved.alias(column))))


def _zoo(name: str, words: str, source: str, plant: Callable[[Trial], Trial], *expected: str) -> Zoo:
    return Zoo(name, FEATURE, words, source, plant, expected)


_KAUFMAN = "Kaufman, Rosset, Perlich, Stitelman (2012), Leakage in Data Mining, ACM TKDD 6(4)"
_KAPOOR = (
    "Kapoor, Narayanan (2023), Leakage and the reproducibility crisis in machine-learning-based science, Patterns 4(9)"
)
_ISSUE = "measured with this project; see docs/gauntlet.md"
_TRUNCATION = ("rebuild", "future scramble", "replay")
_LOGGED = "as logged"
_TOO_GOOD = ("single feature", "adjacency")

FEATURES: tuple[Zoo, ...] = (
    *(
        _zoo(
            _ahead_name(days),
            f"A window that ends {days} day(s) after the cutoff.",
            _KAUFMAN,
            look_ahead(days),
            *_TRUNCATION,
        )
        for days in (30, 7, 1)
    ),
    _zoo(
        "look_ahead_hours", "The cutoff read in another time zone, hours later.", _ISSUE, look_ahead_hours, *_TRUNCATION
    ),
    _zoo(
        "target_encoding_on_all_data",
        "A category is encoded by its mean label over all data.",
        "Micci-Barreca (2001), SIGKDD Explorations 3(1); Kaufman et al. (2012)",
        target_encoding,
        *_TRUNCATION,
    ),
    _zoo(
        "target_encoding_in_sample",
        "An entity is encoded by the labels of its own rows.",
        "Prokhorenkova et al. (2018), CatBoost, NeurIPS: target leakage of greedy target statistics",
        target_encoding_in_sample,
        *_TRUNCATION,
        *_TOO_GOOD,
    ),
    _zoo(
        "scaling_on_all_data",
        "Scaled by mean and deviation of the whole history.",
        _KAPOOR,
        scaling_on_all_data,
        *_TRUNCATION,
    ),
    _zoo(
        "affinity_on_all_data",
        "An affinity that is fitted on all purchases.",
        _KAPOOR,
        affinity_on_all_data,
        *_TRUNCATION,
    ),
    _zoo("later_returns_netted", "Sales less the returns that come later.", _ISSUE, later_returns_netted, *_TRUNCATION),
    _zoo("centred_window", "A rolling window that is centred on the row.", _KAUFMAN, centred_window, *_TRUNCATION),
    replace(
        _zoo("back_filled_gaps", "Missing values filled with the next one.", _KAPOOR, back_filled, *_TRUNCATION),
        twin=not_filled,
    ),
    _zoo(
        "late_corrections",
        "The newest version of each row stands for all times.",
        _ISSUE,
        late_corrections,
        *_TRUNCATION,
    ),
    _zoo(
        "promotion_decided_later",
        "A plan known for a day, not since a day.",
        _ISSUE,
        promotion_decided_later,
        *_TRUNCATION,
        *_TOO_GOOD,
    ),
    _zoo(
        "target_by_another_name",
        "A status of the facts that the outcome wrote, dated like the facts.",
        _KAUFMAN,
        target_by_another_name,
        _LOGGED,
        *_TOO_GOOD,
        "cliff",
    ),
    _zoo(
        "restated_history",
        "The source rewrote its past after it was loaded, and the pipeline reads the new one under the old dates.",
        _ISSUE,
        restated_history,
        _LOGGED,
    ),
)

__all__ = ["FEATURES", "look_ahead"]
