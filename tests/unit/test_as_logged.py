"""What the pipeline reads is held to what the log holds: the same rows in any order pass, any other row is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

import zoo_trials
from foreproof.core.clock import ticks
from foreproof.core.contract import Column, Contract, Known, Stamp
from foreproof.core.table import parse
from foreproof.core.trial import Built, Trial, Witness, proven
from foreproof.core.view import Database, Table
from foreproof.gauntlet import AsLogged
from foreproof.gauntlet.as_logged import on_their_word
from foreproof.gauntlet.leaks.zoo import _tell_nothing, leaks_nothing, planted
from foreproof.gauntlet.leaks.zoo_tools import with_column
from foreproof.gauntlet.unlike import Unlike, unlike

KNOWN, HAPPENED, BATCH, DELETED = "_known", "_happened", "_batch", "_deleted"
CONTRACT = Contract(
    "sales",
    ("item", "day"),
    Stamp("day"),
    Known("same_as_happened"),
    (Column("item", "text", "item"), Column("euros", "decimal", "euros", decimals=2)),
)
RAW = pl.DataFrame(
    {
        "item": ["a", "b"] * 4,
        "day": [date(2024, 3, 1) + timedelta(days=i // 2) for i in range(8)],
        "euros": [1.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
    }
)
LOG = parse(CONTRACT, RAW, now=None, batch=1)


def read(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Unlike | None:
    return unlike(Table(CONTRACT, change(LOG.rows)), LOG)


def fourth(of: str, instead: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda rows: rows.with_columns(
        pl.when(pl.int_range(pl.len()) == 3).then(instead).otherwise(pl.col(of)).alias(of)
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.clone(),
        lambda rows: rows.reverse(),
        lambda rows: rows.rechunk(),
        lambda rows: rows.drop("euros"),
    ],
    ids=["copied", "reordered", "in one piece", "a column is not read"],
)
def test_the_same_rows_are_those_of_the_log_in_any_order(change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    assert read(change) is None


@pytest.mark.parametrize(
    ("change", "words", "count"),
    [
        (
            fourth("euros", pl.lit(450)),
            "sales.euros of item b on 2024-03-02: the log says 4.00, the pipeline reads 4.50",
            1,
        ),
        (
            lambda rows: rows.with_columns(pl.col("euros") + 1).reverse(),
            "sales.euros of item a on 2024-03-01: the log says 1.00, the pipeline reads 1.01",
            8,
        ),
        (
            fourth(KNOWN, pl.col(KNOWN) - pl.duration(days=1)),
            "sales of item b on 2024-03-02: known since 2024-03-02 by the log, since 2024-03-01 as the pipeline reads it",
            1,
        ),
        (
            fourth(DELETED, pl.lit(True)),
            "sales of item b on 2024-03-02: deleted is False in the log, True as the pipeline reads it",
            1,
        ),
        (
            lambda rows: rows.filter(pl.int_range(pl.len()) != 3),
            "sales of item b on 2024-03-02: the log holds a row that the pipeline does not read",
            1,
        ),
        (
            lambda rows: pl.concat([rows, rows[3:4].with_columns(pl.lit("c").alias("item"))]),
            "sales of item c on 2024-03-02: the pipeline reads a row that the log does not hold",
            1,
        ),
        (
            lambda rows: pl.concat([rows, rows[3:4]]),
            "sales of item b on 2024-03-02: the pipeline reads a row that the log does not hold",
            1,
        ),
        (
            lambda rows: rows.with_columns(pl.lit(1).alias("code")),
            "sales.code: the log holds no such column, the pipeline reads Int32",
            8,
        ),
        (
            lambda rows: rows.with_columns(pl.col("euros").cast(pl.Float64)),
            "sales.euros: Int64 in the log, the pipeline reads Float64",
            8,
        ),
    ],
    ids=["value", "all values", "clock", "tombstone", "missing", "new", "twice", "column", "type"],
)
def test_the_first_row_that_differs_is_told_with_both_values_and_how_many_do(
    change: Callable[[pl.DataFrame], pl.DataFrame], words: str, count: int
) -> None:
    found = read(change)
    assert found is not None
    assert (found.words, found.count) == (words, count)


def test_versions_of_a_key_in_one_batch_are_told_apart_by_their_clocks() -> None:
    later = LOG.rows[3:4].with_columns(pl.col(KNOWN) + pl.duration(days=2), pl.lit(900, dtype=pl.Int64).alias("euros"))
    log = Table(CONTRACT, pl.concat([LOG.rows, later]))
    changed = Table(CONTRACT, log.rows.with_columns(pl.col("euros").replace(900, 901)).reverse())
    found = unlike(changed, log)
    assert found is not None
    assert found.words == "sales.euros of item b on 2024-03-02: the log says 9.00, the pipeline reads 9.01"
    assert found.count == 1


def test_a_table_that_the_log_does_not_hold_is_named_and_one_that_is_not_read_is_no_fault() -> None:
    trial = zoo_trials.trial("chance")
    more = Database({**trial.database.tables, "extra": LOG})
    verdict = AsLogged()(replace(trial, database=more))
    assert (verdict.outcome, verdict.figure) == ("failed", 8.0)
    assert "extra: the log holds no such table; 8 rows differ" in verdict.words
    assert AsLogged()(replace(trial, witness=Witness(more))).outcome == "passed"


def test_a_failure_says_how_many_of_the_rows_were_known_at_the_cutoffs() -> None:
    trial = zoo_trials.trial("chance")
    rows = trial.database["sales"].rows
    known = rows.filter(pl.col(KNOWN).to_physical() <= ticks(trial.cutoffs[-1])).height
    changed = Table(trial.database["sales"].contract, rows.with_columns(pl.col("money") + 1))
    verdict = AsLogged()(replace(trial, database=Database({"sales": changed})))
    assert verdict.evidence["rows"] == rows.height
    assert verdict.evidence["known"] == known < rows.height
    assert verdict.evidence["column"] == "money"
    assert set(verdict.evidence["row"]) == {"account", "grp", "happened"}


def test_nothing_is_said_where_nobody_kept_a_log() -> None:
    verdict = proven(AsLogged(), replace(zoo_trials.trial("chance"), witness=None))
    assert (verdict.outcome, verdict.control_caught) == ("not applicable", None)


def test_the_fault_of_the_check_is_seen_in_tables_without_a_number_too() -> None:
    contract = Contract(
        "visits", ("item", "day"), Stamp("day"), Known("same_as_happened"), (Column("item", "text", "item"),)
    )
    visits = Database({"visits": parse(contract, RAW, now=None)})
    trial = replace(zoo_trials.trial("chance"), database=visits, witness=Witness(visits))
    verdict = proven(AsLogged(), trial)
    assert (verdict.outcome, verdict.control, verdict.control_caught) == ("passed", "restated", True)


def test_rows_loaded_after_they_say_they_were_known_are_taken_on_the_sources_word() -> None:
    rows = LOG.rows.with_columns(pl.Series(BATCH, [1] * 4 + [2] * 4))
    middle = ticks(rows[KNOWN][4])
    facts = Database({"sales": Table(CONTRACT, rows)})
    loaded = {"sales": {1: middle - 1, 2: middle + 10**12}}
    assert on_their_word(Witness(facts, loaded)) == {"sales": 1.0}
    on_time = {"sales": {1: 0, 2: middle + 1}}
    assert on_their_word(Witness(facts, on_time)) == {"sales": 0.25}
    assert on_their_word(Witness(facts)) == {"sales": None}
    trial = replace(zoo_trials.trial("chance"), database=facts, witness=Witness(facts, on_time))
    verdict = AsLogged()(trial)
    assert verdict.outcome == "passed"
    assert "taken on the source's word for rows that were loaded later (25.0% of sales)" in verdict.words


# Leaks and the log ----------------------------------------------------------------------------------------------------

READ_ANEW = ("restated_history", "ids_merged_later", "late_rows_as_on_time", "tier_of_today", "target_by_another_name")
LOADED = ("late_corrections", "promotion_decided_later", "a_batch_loaded_twice")


@pytest.mark.parametrize("kind", ["chance", "quantity"])
def test_a_change_of_the_world_is_in_the_log_too_and_a_change_of_what_is_read_is_not(kind: str) -> None:
    def outcome(name: str) -> str:
        return AsLogged()(planted(name, zoo_trials.trial(kind))).outcome  # type: ignore[arg-type]

    assert {name: outcome(name) for name in READ_ANEW} == dict.fromkeys(READ_ANEW, "failed")
    assert {name: outcome(name) for name in LOADED} == dict.fromkeys(LOADED, "passed")


def test_late_rows_that_the_log_knows_of_are_read_as_late_by_an_honest_pipeline() -> None:
    trial = zoo_trials.trial("chance")
    log = planted("late_rows_as_on_time", trial).witness
    assert log is not None
    rows = log.database["sales"].rows
    late = rows.filter(pl.col(KNOWN) > pl.col(HAPPENED))
    assert late.height == -(-rows.height // 3)
    world = replace(trial, database=log.database, witness=log)
    assert AsLogged()(world).outcome == "passed"
    # Where rows do come late, it is the pipeline's table that is dated anew, and the log stays.
    spoiled = planted("late_rows_as_on_time", world)
    assert spoiled.witness is log
    assert spoiled.database["sales"].rows[KNOWN].equals(spoiled.database["sales"].rows[HAPPENED])
    assert AsLogged()(spoiled).outcome == "failed"


def test_history_without_a_measure_is_restated_by_cleaning_out_who_left() -> None:
    contract = replace(
        zoo_trials.database()["sales"].contract, columns=zoo_trials.database()["sales"].contract.columns[:2]
    )
    rows = zoo_trials.database()["sales"].rows.drop("money")
    facts = Database({"sales": Table(contract, rows)})
    spoiled = planted("restated_history", replace(zoo_trials.trial("chance"), database=facts, witness=Witness(facts)))
    assert 0 < spoiled.database["sales"].rows.height < rows.height
    assert AsLogged()(spoiled).outcome == "failed"


def test_a_leak_has_leaked_nothing_only_where_its_honest_twin_builds_the_same() -> None:
    trial = zoo_trials.trial("quantity")

    def nothing(name: str, of: Trial) -> bool:
        return leaks_nothing(name, of, planted(name, of))

    names = ("no_purge", "a_batch_loaded_twice", "late_rows_as_on_time", "look_ahead_1_day", "largest_of_all_time")
    assert [name for name in names if nothing(name, trial)] == []
    full = pl.DataFrame(
        [(f"a{i}", "g0", day, 10.0 + i) for i in range(8) for day in zoo_trials.DAYS],
        schema=["account", "grp", "day", "money"],
        orient="row",
    )
    even = Database({"sales": parse(zoo_trials.database()["sales"].contract, full, now=None)})
    gapless = replace(trial, database=even, witness=Witness(even))
    assert nothing("back_filled_gaps", gapless)
    assert nothing("largest_of_all_time", gapless)
    one_group = replace(zoo_trials.trial("chance"), database=even, witness=Witness(even))
    assert nothing("affinity_on_all_data", one_group), "an affinity of 1 in every row tells nothing"
    assert not nothing("affinity_on_all_data", gapless)
    assert not nothing("look_ahead_1_day", gapless)


def test_a_column_of_one_value_tells_something_where_the_value_is_another_one_at_an_earlier_cutoff() -> None:
    trial = zoo_trials.trial("quantity")

    def added(make: Callable[[Built, Database], pl.Series]) -> Trial:
        return with_column(trial, "added", make)

    facts = added(lambda built, database: pl.Series([float(database["sales"].rows.height)] * built.rows.height))
    one = added(lambda built, database: pl.Series([1.0] * built.rows.height))
    assert facts.run().rows["added"].n_unique() == 1
    assert (_tell_nothing(facts, ["added"]), _tell_nothing(one, ["added"])) == (False, True)
