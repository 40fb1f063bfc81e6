"""Every check passes an honest pipeline, catches its planted fault, and says "not proven" when the fault is cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from foreproof.core.contract import Column, Contract, Known, Stamp
from foreproof.core.grid import Grid
from foreproof.core.trial import Built, Check, Forecasts, Trial, proven
from foreproof.core.view import Database, Table
from foreproof.gauntlet import (
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

CONTRACT = Contract(
    "sales",
    ("sku", "t"),
    Stamp("t", period="integer"),
    Known("same_as_happened"),
    (Column("sku", "text"), Column("y", "real")),
)
CUTOFFS = (60, 66, 72, 78)
H = 6
LEVELS = (0.05, 0.5, 0.95)


def database(seed: int = 3, n: int = 90) -> Database:
    """Twelve series with a season of six and a level of their own."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"s{i:02d}", 20.0 + 5 * np.sin(t * np.pi / 3) * (1 + i % 3) + rng.normal(0, 1.5), t, t, 1, False)
        for i in range(12)
        for t in range(n)
    ]
    names = ["sku", "y", "_happened", "_known", "_batch", "_deleted"]
    return Database({"sales": Table(CONTRACT, pl.DataFrame(rows, schema=names, orient="row"))})


def build(database: Database, cutoffs: Sequence[int], seed: int) -> Built:
    """An honest pipeline: the mean of the last two seasons, intervals from its own past errors."""
    rows, points, truth = [], [], []
    everything = database["sales"].rows
    for cutoff in cutoffs:
        seen = database.as_of(cutoff)["sales"]
        for (sku,), part in seen.sort("sku", "_happened").group_by(["sku"], maintain_order=True):
            y = part["y"].to_numpy()
            for step in range(1, H + 1):
                at = -H - 1 + step
                rows.append((sku, cutoff, step, y[at], y[at - H]))
                middle = (y[at] + y[at - H] + y[at - 2 * H]) / 3
                points += [(sku, cutoff, step, None, middle), (sku, cutoff, step, 0.5, middle)]
                points += [(sku, cutoff, step, q, middle + z * 1.75) for q, z in ((0.05, -1.645), (0.95, 1.645))]
        future = everything.filter(pl.col("_happened").is_between(cutoff + 1, cutoff + H))
        truth += [(sku, cutoff, t - cutoff, t, y) for sku, t, y in future.select("sku", "_happened", "y").iter_rows()]
    features = pl.DataFrame(rows, schema=["sku", "cutoff", "step", "lag_6", "lag_12"], orient="row")
    kind = {"level": pl.Float64, "value": pl.Float64}
    predictions = pl.DataFrame(
        points, schema=["sku", "cutoff", "step", "level", "value"], schema_overrides=kind, orient="row"
    )
    naive = features.select(
        "sku", "cutoff", "step", pl.lit(None, dtype=pl.Float64).alias("level"), pl.col("lag_6").alias("value")
    )
    labels = pl.DataFrame(
        truth,
        schema={"sku": pl.String, "cutoff": pl.Int64, "step": pl.Int64, "target": pl.Int64, "y": pl.Float64},
        orient="row",
    )
    used = [(c, c - H - k, s, c - H - k + s, "learn") for c in cutoffs for k in range(3) for s in range(1, H + 1)]
    manifest = pl.DataFrame(used, schema=["cutoff", "example", "step", "settled", "role"], orient="row")
    return Built(
        features.select("sku", "cutoff").unique().sort("sku", "cutoff"),
        features,
        labels.sort("sku", "cutoff", "step"),
        lambda: Forecasts(predictions, naive, manifest),
    )


TRIAL = Trial(database(), CUTOFFS, ("sku",), H, 1, build, Grid("integer"))
STRUCTURAL: list[Check] = [
    Rebuild(),
    Replay(),
    FutureScramble(),
    SamePopulation(),
    Intervals(),
    GapLaw(),
    Overlap(),
    Duplicates(),
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
