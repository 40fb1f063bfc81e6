"""Leaks of the family "no clean split": what is judged was learned from, or counts twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Built, Forecasts, Trial
from foreproof.core.view import Database
from foreproof.gauntlet.leaks.altered import with_built, with_forecasts
from foreproof.gauntlet.leaks.structural import loaded_twice, no_purge
from foreproof.gauntlet.leaks.zoo_tools import SPLIT, Zoo, back, facts_of, summed, with_log

_MEMORY = 0.5


def random_folds(trial: Trial) -> Trial:
    """Rows of all cutoffs are shuffled into folds: each row is judged by a model that saw its neighbours, later ones too."""

    def fault(built: Built, database: Database) -> Built:
        def forecast() -> Forecasts:
            said = built.forecasts
            cutoffs = said.predictions[CUTOFF].unique().sort()
            rng = np.random.default_rng(trial.seed)
            parts = []
            for cutoff in cutoffs:
                others = cutoffs.filter(pl.Series(rng.random(len(cutoffs)) < 0.8) | (cutoffs == cutoffs.max()))
                parts.append(_examples(trial, said.manifest, others, cutoff))
            used = pl.concat([said.manifest, *parts])
            return replace(said, predictions=remembered(trial, built, said.predictions), manifest=used)

        return replace(built, forecast=forecast)

    return with_built(trial, fault)


def remembered(trial: Trial, built: Built, predictions: pl.DataFrame) -> pl.DataFrame:
    """Predictions drawn half-way to the outcome, as of a model that has seen it."""
    truth = built.labels.select(*trial.entity, CUTOFF, STEP, pl.col("y").cast(pl.Float64).alias("_y"))
    joined = predictions.join(
        truth, on=[*trial.entity, CUTOFF, STEP], how="left", nulls_equal=True, maintain_order="left"
    )
    toward = pl.col(VALUE) + _MEMORY * (pl.col("_y") - pl.col(VALUE))
    return joined.with_columns(toward.fill_null(pl.col(VALUE)).alias(VALUE)).drop("_y")


def _examples(trial: Trial, manifest: pl.DataFrame, examples: pl.Series, cutoff: object) -> pl.DataFrame:
    """Rows of a manifest: these cutoffs learned from, and served at that one."""
    at = examples.to_physical().to_numpy().astype(np.int64)
    steps = np.full(len(at), trial.horizon, dtype=np.int64)
    made = pl.DataFrame(
        {
            CUTOFF: pl.Series([cutoff] * len(at), dtype=manifest.schema[CUTOFF]),
            "example": examples.cast(manifest.schema["example"]),
            STEP: steps,
            "settled": pl.Series(trial.grid.shift(at, steps), dtype=pl.Int64).cast(manifest.schema["settled"]),
            "role": ["learn"] * len(at),
        }
    )
    return made.select(manifest.columns)


def entity_in_train_and_test(trial: Trial) -> Trial:
    """Folds of rows, not of entities: whoever is judged was learned from under another cutoff."""

    def fault(built: Built, database: Database) -> Built:
        def forecast() -> Forecasts:
            said, first = built.forecasts, trial.entity[0]
            names = built.entities.select(first).unique().sort(first)
            fold = pl.lit(0, dtype=pl.Int64).alias("fold")
            both = [names.with_columns(fold, pl.lit(role).alias("role")) for role in ("learn", "judge")]
            return replace(said, predictions=remembered(trial, built, said.predictions), folds=pl.concat(both))

        return replace(built, forecast=forecast)

    return with_built(trial, fault)


def calibrated_on_the_test(trial: Trial) -> Trial:
    """The last correction of the predictions is fitted on the outcomes that they are judged by."""

    def fault(built: Built, database: Database) -> Built:
        def forecast() -> Forecasts:
            said = built.forecasts
            cutoffs = said.predictions[CUTOFF].unique().sort()
            parts = [_examples(trial, said.manifest, cutoffs.filter(cutoffs == one), one) for one in cutoffs]
            own = pl.concat(parts).with_columns(pl.lit("calibrate").alias("role"))
            shifted = _shifted(trial, built, said.predictions)
            return replace(said, predictions=shifted, manifest=pl.concat([said.manifest, own]))

        return replace(built, forecast=forecast)

    return with_built(trial, fault)


def _shifted(trial: Trial, built: Built, predictions: pl.DataFrame) -> pl.DataFrame:
    """Each cutoff's predictions moved by the mean error that they turned out to have."""
    index = [*trial.entity, CUTOFF, STEP]
    truth = built.labels.select(*index, pl.col("y").cast(pl.Float64).alias("_y"))
    points = predictions.filter(pl.col(LEVEL).is_null()).join(truth, on=index, nulls_equal=True)
    errors = (
        points.sort(index).group_by(CUTOFF, maintain_order=True).agg((pl.col("_y") - pl.col(VALUE)).mean().alias("_e"))
    )
    joined = predictions.join(errors, on=CUTOFF, how="left", maintain_order="left")
    moved = pl.col(VALUE) + pl.col("_e").fill_null(0.0)
    bounded = moved.clip(0.0, 1.0) if trial.kind == "chance" else moved
    return joined.with_columns(bounded.alias(VALUE)).drop("_e")


def label_from_the_cutoff_day(trial: Trial) -> Trial:
    """The label counts the cutoff's own period too, which the features have read."""

    def fault(built: Built, database: Database) -> Built:
        facts = facts_of(database, trial.entity)
        own = summed(trial, built, facts, lambda at: (back(trial, at, steps=1), at))
        index = [*trial.entity, CUTOFF, STEP]
        beside = (
            built.rows.select(index).with_columns(own.alias("_own")).unique(index, keep="first", maintain_order=True)
        )
        joined = built.labels.join(beside, on=index, how="left", nulls_equal=True, maintain_order="left")
        add = pl.col("_own").fill_null(0.0)
        y = pl.col("y")
        counted = pl.when(add > 0).then(1.0).otherwise(y) if trial.kind == "chance" else y + add
        labels = joined.with_columns(counted.cast(built.labels.schema["y"]).alias("y")).drop("_own")
        return replace(built, labels=labels, forecast=lambda: built.forecasts)

    return with_built(trial, fault)


def a_batch_loaded_twice(trial: Trial) -> Trial:
    """The last batch of every table was loaded again, so the log holds it twice as well."""
    spoiled = loaded_twice(trial)
    return with_log(spoiled, spoiled.database)


def duplicated_panel_rows(trial: Trial) -> Trial:
    """A join that fans out: one row in twenty of the panel stands there twice."""

    def fault(built: Built, database: Database) -> Built:
        again = built.rows.gather_every(20)
        rows = pl.concat([built.rows, again]).sort([*trial.entity, CUTOFF, STEP], maintain_order=True)
        return replace(built, rows=rows, forecast=lambda: built.forecasts)

    return with_built(trial, fault)


def stacked_in_sample(trial: Trial) -> Trial:
    """The weights of a blend are learned on what its members said of the rows that they had learned from."""

    def fault(said: Forecasts) -> Forecasts:
        served = said.manifest.filter(pl.col("role") == "learn").group_by(CUTOFF, maintain_order=True).last()
        own = served.with_columns(pl.col(CUTOFF).alias("example"), pl.lit("calibrate").alias("role"))
        at = own[CUTOFF].to_physical().to_numpy().astype(np.int64)
        settled = pl.Series("settled", trial.grid.shift(at, own[STEP].to_numpy()), dtype=pl.Int64)
        own = own.with_columns(settled.cast(said.manifest.schema["settled"]))
        return replace(said, manifest=pl.concat([said.manifest, own.select(said.manifest.columns)]))

    return with_forecasts(trial, fault)


_KAPOOR = (
    "Kapoor, Narayanan (2023), Leakage and the reproducibility crisis in machine-learning-based science, Patterns 4(9)"
)
_PRADO = "Lopez de Prado (2018), Advances in Financial Machine Learning, chapter 7"
_ISSUE = "measured with this project; see docs/gauntlet.md"

SPLITS: tuple[Zoo, ...] = (
    Zoo("random_folds", SPLIT, "Rows of all dates shuffled into folds.", _PRADO, random_folds, ("gap law", "overlap")),
    Zoo("no_purge", SPLIT, "An example whose label had not settled is learned from.", _PRADO, no_purge, ("gap law",)),
    Zoo(
        "entity_in_train_and_test",
        SPLIT,
        "The same entity in training and test rows.",
        _KAPOOR,
        entity_in_train_and_test,
        ("overlap",),
    ),
    Zoo(
        "calibrated_on_the_test",
        SPLIT,
        "The calibration is fitted on the outcomes that judge it.",
        _KAPOOR,
        calibrated_on_the_test,
        ("gap law", "overlap"),
    ),
    Zoo(
        "stacked_in_sample",
        SPLIT,
        "A blend is weighed on rows that its members learned from, at the cutoff served.",
        "Wolpert (1992), Stacked Generalization, Neural Networks 5(2)",
        stacked_in_sample,
        ("gap law", "overlap"),
    ),
    Zoo(
        "label_from_the_cutoff_day",
        SPLIT,
        "The label's window begins with the cutoff's own period.",
        _ISSUE,
        label_from_the_cutoff_day,
        ("intervals",),
    ),
    Zoo(
        "duplicated_panel_rows",
        SPLIT,
        "Rows of the panel that come twice.",
        _KAPOOR,
        duplicated_panel_rows,
        ("duplicates",),
    ),
    Zoo(
        "a_batch_loaded_twice",
        SPLIT,
        "The last batch of every table, loaded again.",
        _ISSUE,
        a_batch_loaded_twice,
        ("duplicates",),
    ),
)

__all__ = ["SPLITS", "remembered"]
