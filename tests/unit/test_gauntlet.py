"""Every check passes an honest pipeline, catches its planted fault, and says "not proven" when the fault is cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pytest

from foreproof.core.trial import Built, Check, Trial, proven
from foreproof.core.view import Database, Table
from foreproof.gauntlet import (
    AsLogged,
    BeatsBaseline,
    Coverage,
    Duplicates,
    FutureScramble,
    GapLaw,
    Intervals,
    Overlap,
    Rebuild,
    Repetition,
    Replay,
    SamePopulation,
    Serving,
    leaks,
)
from foreproof.gauntlet.rebuild import difference
from toy_trial import CONTRACT, CUTOFFS, TRIAL, build

STRUCTURAL: list[Check] = [
    Rebuild(),
    Replay(),
    FutureScramble(),
    SamePopulation(),
    Intervals(),
    GapLaw(),
    Overlap(),
    Duplicates(),
    AsLogged(),
    Repetition(),
    Serving(),
]
CHECKS: list[Check] = [*STRUCTURAL, BeatsBaseline(), Coverage()]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_an_honest_pipeline_passes_and_the_planted_fault_is_caught(check: Check) -> None:
    verdict = proven(check, TRIAL)
    assert (verdict.outcome, verdict.control_caught) == ("passed", True), verdict.words
    assert verdict.control == check.control.__name__


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_whose_fault_is_cut_out_proves_nothing(check: Check) -> None:
    class Toothless:
        name = check.name
        control = staticmethod(lambda trial: trial)

        def __call__(self, trial: Trial) -> object:
            return check(trial)

    verdict = proven(Toothless(), TRIAL)  # type: ignore[arg-type]
    assert (verdict.outcome, verdict.control_caught) == ("not proven", False)


def test_a_late_correction_that_overwrites_history_is_found_by_the_rebuild() -> None:
    def overwritten(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        # The stranger's pipeline reads the newest version of every row, whenever it became known.
        rows = (
            db["sales"].rows.sort("_known").unique(["sku", "_happened"], keep="last").with_columns(_known="_happened")
        )
        return build(Database({"sales": Table(CONTRACT, rows)}), cutoffs, seed)

    fixed = (
        TRIAL.database["sales"]
        .rows.filter(pl.col("_happened") == 55)
        .with_columns(
            pl.col("y") + 9, pl.lit(70, dtype=pl.Int64).alias("_known"), pl.lit(2, dtype=pl.Int64).alias("_batch")
        )
    )
    corrected = Database({"sales": Table(CONTRACT, pl.concat([TRIAL.database["sales"].rows, fixed]))})
    assert Rebuild()(replace(TRIAL, database=corrected)).outcome == "passed"
    verdict = Rebuild()(replace(TRIAL, database=corrected, build=overwritten))
    assert verdict.outcome == "failed"
    assert "lag_6" in verdict.words or "lag_12" in verdict.words


def test_predictions_that_read_ahead_are_found_though_features_are_clean() -> None:
    def smoothed(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        built = build(db, cutoffs, seed)
        level = float(db["sales"].rows["y"].mean())  # type: ignore[arg-type]
        made = built.forecasts
        return replace(
            built, forecast=lambda: replace(made, predictions=made.predictions.with_columns(pl.col("value") + level))
        )

    verdict = Rebuild()(TRIAL.with_build(smoothed))
    assert verdict.outcome == "failed"
    assert verdict.words.startswith("predictions at cutoff 60")


def test_an_unsettled_example_fails_and_an_empty_manifest_proves_nothing() -> None:
    def empty(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        built = build(db, cutoffs, seed)
        return replace(built, forecast=lambda: replace(built.forecasts, manifest=built.forecasts.manifest.clear()))

    assert GapLaw()(TRIAL.with_build(empty)).outcome == "not proven"
    assert GapLaw()(leaks.no_purge(TRIAL)).figure == len(CUTOFFS)


def test_repeated_panel_rows_and_repeated_keys_are_counted() -> None:
    def twice(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        built = build(db, cutoffs, seed)
        return replace(built, rows=pl.concat([built.rows, built.rows.head(3)]))

    assert Duplicates()(TRIAL.with_build(twice)).figure == 3
    rows = TRIAL.database["sales"].rows
    same = Database({"sales": Table(CONTRACT, pl.concat([rows, rows.head(2)]))})
    assert Duplicates()(replace(TRIAL, database=same, build=lambda *_: TRIAL.run())).figure == 2


def test_a_baseline_that_is_as_good_is_not_beaten() -> None:
    verdict = BeatsBaseline()(leaks.swapped(TRIAL))
    assert verdict.outcome == "failed"
    assert verdict.figure is not None
    assert verdict.figure > 0.5


def test_too_few_days_and_missing_quantiles_prove_nothing() -> None:
    one = replace(TRIAL, cutoffs=(60,), build=lambda db, c, s: _cut(build(db, c, s)))
    assert BeatsBaseline()(one).outcome == "not proven"
    assert Coverage(nominal=0.5)(TRIAL).outcome == "not proven"


def _cut(built: Built) -> Built:
    return replace(built, labels=built.labels.filter(pl.col("step") <= 2))


def test_a_difference_is_named_by_column_row_and_count() -> None:
    a = pl.DataFrame({"k": [1, 2], "x": [1.0, None]})
    assert difference(a, a, ["k"]) is None
    found = difference(a, a.with_columns(x=pl.Series([1.0, 2.0])), ["k"])
    assert found is not None
    assert found["column"] == "x"
    assert found["row"] == {"k": "2"}
    assert "columns" in str(difference(a, a.drop("x"), ["k"]))
    assert "2 rows on all data, 1" in str(difference(a, a.head(1), ["k"]))
