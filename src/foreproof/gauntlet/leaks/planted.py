"""Faults planted in rows: columns that know, or whose meaning moves. No pipeline is refitted for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, literal, tick_values
from foreproof.core.contract import HAPPENED, KNOWN
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.split import settles
from foreproof.core.trial import Built, Forecasts, Leak, Trial
from foreproof.core.view import Database
from foreproof.errors import BadInput
from foreproof.gauntlet.leaks.altered import with_built, with_forecasts

PLANTED = "planted"
_TRUTH = "_truth"


def copied(trial: Trial) -> Trial:
    """A column that is the label under another name, with a little noise."""
    return _column(trial, lambda frame, rng: frame[_TRUTH] + _noise(frame, rng, 0.05))


def fragment(steps: int) -> Leak:
    """A column that says what happened over (cutoff, cutoff + steps], as far as labels tell."""

    def soon(trial: Trial) -> Trial:
        """A column that says what happened just after the cutoff."""

        def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
            built = trial.build(database, cutoffs, seed)
            if trial.kind == "quantity":
                seen = pl.col(STEP) <= steps
                own = built.labels.select(*_index(trial), pl.when(seen).then(pl.col("y")).alias(_TRUTH))
                return _joined(built, trial, own, lambda frame, rng: frame[_TRUTH] + _noise(frame, rng, 0.05), seed)
            # A label of 1 here and 0 so many steps later is an event in between.
            later = later_labels(trial, cutoffs, steps, database=database)
            both = built.labels.select(*_index(trial), "y").join(later, on=_index(trial), how="left")
            here = both.with_columns((pl.col("y") * (1 - pl.col("_later"))).alias(_TRUTH)).drop("y", "_later")
            return _joined(built, trial, here, lambda frame, rng: frame[_TRUTH] + _noise(frame, rng, 0.05), seed)

        return trial.with_build(build)

    return soon


def look_ahead(steps: int) -> Leak:
    """Rows made so many steps after the cutoff and called rows of the cutoff: whatever they read, they read too late."""

    def late_rows(trial: Trial) -> Trial:
        """Rows made after the cutoff and called rows of the cutoff."""

        def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
            built = trial.build(database, cutoffs, seed)
            names = {trial.grid.add(cutoff, steps): cutoff for cutoff in cutoffs}
            later = trial.build(database, tuple(names), seed).rows
            kind = built.rows.schema[CUTOFF]
            known = pl.DataFrame({CUTOFF: list(names), "_here": list(names.values())}, {CUTOFF: kind, "_here": kind})
            moved = later.join(known, on=CUTOFF).with_columns(pl.col("_here").alias(CUTOFF)).drop("_here")
            rows = built.rows.select(_index(trial)).join(moved, on=_index(trial), how="left", maintain_order="left")
            return replace(built, rows=rows.select(built.rows.columns))

        return trial.with_build(build)

    return late_rows


def far_sighted(steps: int) -> Leak:
    """Rows that know better the older they are: a column holds the label of so many steps later."""

    def knows_later(trial: Trial) -> Trial:
        """A column that holds a later label."""

        def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
            built = trial.build(database, cutoffs, seed)
            if trial.kind == "quantity" and trial.horizon > 1:
                far = pl.when(pl.col(STEP) > steps).then(pl.col("y")).alias(_TRUTH)
                later = built.labels.select(*_index(trial), far)
            else:
                later = later_labels(trial, cutoffs, steps, database=database).rename({"_later": _TRUTH})
            return _joined(built, trial, later, lambda frame, rng: frame[_TRUTH] + _noise(frame, rng, 0.3), seed)

        return trial.with_build(build)

    return knows_later


def hindsight(trial: Trial) -> Trial:
    """One column a cutoff that holds its labels: history restated with what came, of no use to anybody who goes forward."""

    def fault(built: Built, database: Database) -> Built:
        truth = built.rows.join(built.labels.select(*_index(trial), "y"), on=_index(trial), how="left")
        names = built.rows[CUTOFF].unique().sort().to_list()
        told = [
            pl.when(pl.col(CUTOFF) == literal(cutoff)).then(pl.col("y")).otherwise(0.0).fill_null(0.0)
            for cutoff in names
        ]
        columns = [column.alias(f"{PLANTED}_{place}") for place, column in enumerate(told)]
        return replace(built, rows=truth.with_columns(columns).drop("y"))

    return with_built(trial, fault)


def returning(trial: Trial) -> Trial:
    """A column that knows where the first labels settle, is noise for a while, and knows again: a gap filled in afterwards."""

    def make(frame: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
        at = tick_values(frame[CUTOFF])
        line = np.unique(at)
        judged = line[line >= settles(trial.grid, line[:1], trial.horizon, delay=trial.delay)[0]]
        dark = np.isin(at, judged[: (judged.size + 1) // 2])
        known = (frame[_TRUTH] + _noise(frame, rng, 0.05)).to_numpy()
        level = frame.select(pl.col(_TRUTH).mean().over(frame.columns[0]))[_TRUTH]
        noise = (level + _noise(frame, rng, 1.0)).to_numpy()
        return pl.Series(np.where(dark, noise, known), nan_to_null=True)

    return _column(trial, make)


def turned(trial: Trial) -> Trial:
    """A column that is the label in the first half of the cutoffs and its opposite in the second: coded anew on the way."""

    def make(frame: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
        sign = pl.Series(np.where(_age(frame).to_numpy() < 0.5, 1.0, -1.0))
        return sign * frame[_TRUTH] + _noise(frame, rng, 0.2)

    return _column(trial, make)


def rescaled(trial: Trial) -> Trial:
    """A column that changes its unit at the last cutoff that is judged."""

    def make(frame: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
        at = tick_values(frame[CUTOFF])
        labelled = at[frame[_TRUTH].is_not_null().to_numpy()]
        moved = np.where(at >= labelled.max(initial=at.min(initial=0)), 10.0, 0.0)
        return pl.Series(rng.normal(size=frame.height) + moved)

    return _column(trial, make)


def noise_only(trial: Trial) -> Trial:
    """Every feature replaced by noise: nothing is left to find."""

    def fault(built: Built, database: Database) -> Built:
        rng = np.random.default_rng(trial.seed)
        names = [name for name in built.rows.columns if name not in _index(trial)]
        noise = [pl.Series(name, rng.normal(size=built.rows.height)) for name in names]
        return replace(built, rows=built.rows.sort(_index(trial)).with_columns(noise))

    return with_built(trial, fault)


def fresh(trial: Trial) -> Trial:
    """A column that knows only while the rows of the last step have arrived."""

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        built = trial.build(database, cutoffs, seed)
        there = [cutoff for cutoff in cutoffs if _arrived(database, cutoff, trial)]
        known = built.labels.filter(pl.col(CUTOFF).is_in(pl.Series(there, dtype=built.labels.schema[CUTOFF]).implode()))
        own = known.select(*_index(trial), pl.col("y").alias(_TRUTH))
        return _joined(built, trial, own, lambda frame, rng: frame[_TRUTH] + _noise(frame, rng, 0.05), seed)

    return trial.with_build(build)


def censored(trial: Trial) -> Trial:
    """Every second label is missing, as where outcomes have not come in yet."""
    second = pl.int_range(pl.len()).over(CUTOFF) % 2 == 1
    return with_built(trial, lambda built, _: replace(built, labels=built.labels.sort(_index(trial)).filter(~second)))


def heaped(trial: Trial) -> Trial:
    """Nearly all that is expected is expected of the few rows with the smallest predictions."""

    def fault(forecasts: Forecasts) -> Forecasts:
        place = pl.col(VALUE).rank("ordinal", descending=True).over(LEVEL) / pl.len().over(LEVEL)
        value = (pl.col(VALUE) * place**12).alias(VALUE)
        return replace(forecasts, predictions=forecasts.predictions.with_columns(value))

    return with_forecasts(trial, fault)


def _column(trial: Trial, make: Callable[[pl.DataFrame, np.random.Generator], pl.Series]) -> Trial:
    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        built = trial.build(database, cutoffs, seed)
        truth = built.labels.select(*_index(trial), pl.col("y").alias(_TRUTH))
        return _joined(built, trial, truth, make, seed)

    return trial.with_build(build)


def _joined(
    built: Built,
    trial: Trial,
    truth: pl.DataFrame,
    make: Callable[[pl.DataFrame, np.random.Generator], pl.Series],
    seed: int,
) -> Built:
    """The rows with a planted column, made of what `_truth` says of each (null: nothing)."""
    known = truth.with_columns(pl.col(_TRUTH).cast(pl.Float64))
    frame = built.rows.sort(_index(trial)).join(known, on=_index(trial), how="left", maintain_order="left")
    column = make(frame, np.random.default_rng(seed)).alias(PLANTED)
    return replace(built, rows=frame.with_columns(column).drop(_TRUTH))


def later_labels(
    trial: Trial, cutoffs: Sequence[Moment], steps: int, *, database: Database | None = None
) -> pl.DataFrame:
    """Entity columns, `cutoff`, `step`, `_later`: the labels of cutoff + steps under the cutoff. Raises BadInput for none."""
    source, seed = trial.database if database is None else database, trial.seed
    later = {trial.grid.add(cutoff, steps): cutoff for cutoff in cutoffs}
    parts = [_built_labels(trial, source, tuple(later), seed)]
    if parts[0] is None:
        # Some of them lie where nothing can be built: each by itself.
        parts = [_built_labels(trial, source, (there,), seed) for there in later]
    known = [part for part in parts if part is not None]
    if not known:
        raise BadInput("control", found=f"no cutoff that can be built {steps} steps later", wanted="one at least")
    labels = pl.concat(known)
    kind = labels.schema[CUTOFF]
    names = pl.DataFrame({CUTOFF: list(later), "_here": list(later.values())}, {CUTOFF: kind, "_here": kind})
    moved = labels.join(names, on=CUTOFF, how="inner").with_columns(pl.col("_here").alias(CUTOFF))
    return moved.select(*_index(trial), pl.col("y").cast(pl.Float64).alias("_later"))


def _built_labels(trial: Trial, database: Database, cutoffs: tuple[Moment, ...], seed: int) -> pl.DataFrame | None:
    try:
        return trial.build(database, cutoffs, seed).labels
    except BadInput:
        return None


def _arrived(database: Database, cutoff: Moment, trial: Trial) -> bool:
    """Whether a fact of the step that ends at the cutoff is known there."""
    since = literal(trial.grid.add(cutoff, -1))
    inside = (pl.col(HAPPENED) > since) & (pl.col(HAPPENED) <= literal(cutoff)) & (pl.col(KNOWN) <= literal(cutoff))
    past = [table.rows for table in database.tables.values() if not table.contract.ahead]
    return any(bool(rows.select(inside.any()).item()) for rows in past if rows.height)


def _noise(frame: pl.DataFrame, rng: np.random.Generator, part: float) -> pl.Series:
    """Noise whose spread is a part of the truth's, within the first column's entity where that has one."""
    own = frame.select(pl.col(_TRUTH).std().over(frame.columns[0]).fill_null(0.0))[_TRUTH].to_numpy()
    spread = frame[_TRUTH].std()
    whole = float(spread) if isinstance(spread, float) else 1.0
    return pl.Series(rng.normal(size=frame.height) * part * np.where(own > 0.0, own, whole))


def _age(frame: pl.DataFrame) -> pl.Series:
    """0 at the first cutoff of the frame ... 1 at the last, in equal parts."""
    codes = np.unique(tick_values(frame[CUTOFF]), return_inverse=True)[1]
    return pl.Series(codes / max(1, int(codes.max(initial=0))))


def _index(trial: Trial) -> list[str]:
    return [*trial.entity, CUTOFF, STEP]


__all__ = [
    "PLANTED",
    "censored",
    "copied",
    "far_sighted",
    "fragment",
    "fresh",
    "heaped",
    "hindsight",
    "later_labels",
    "look_ahead",
    "noise_only",
    "rescaled",
    "returning",
    "turned",
]
