"""Models of strangers: what scikit-learn would fit at each cutoff, what an MLForecast makes of a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.clock import INSTANT, Moment, Ticks, parse_offset, shift_ticks, tick_values, ticks, time_column
from foreproof.core.contract import HAPPENED
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Built, Forecasts, Trial
from foreproof.core.view import Database
from foreproof.engine.frames import Given
from foreproof.engine.strangers import DIGITS, assigned, built, nothing, per_row, row_index, stamped, trial_of
from foreproof.errors import BadInput

_TICKS = "_ticks"


@dataclass(frozen=True, slots=True)
class Learner:
    """An estimator that is cloned and fitted at each cutoff on the rows whose label had settled.

    target: the column learned. horizon: the label of a row of time t is settled at t + horizon. columns: what it is given.
    """

    estimator: Any
    target: str
    horizon: str | int = 0
    columns: tuple[str, ...] = ()
    learns: bool = True

    def trial(self, given: Given, cutoffs: Sequence[Moment]) -> Trial:
        """Fits on settled rows; transforms and predicts every row that the tables hold, so that rows which mix show."""
        if not given.single:
            raise BadInput(
                "learner", found=f"{len(given.shapes)} tables", wanted="one frame of rows", fix="join them first"
            )
        edges = sorted(ticks(cutoff) for cutoff in cutoffs)
        entity, _ = row_index(given)
        raw = given.database[given.dated].rows
        if self.target not in raw.columns:
            raise BadInput(
                "learner: target", found=f"no column {self.target!r}", wanted=f"one of {', '.join(raw.columns)}"
            )

        def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
            fits = [self._fit(given, database, cutoff) for cutoff in cutoffs]
            rows = [assigned(fit.rows, [c], edges) for fit, c in zip(fits, cutoffs, strict=True)]
            wide = pl.concat(rows, how="diagonal_relaxed")
            said = pl.concat([assigned(fit.said, [c], edges) for fit, c in zip(fits, cutoffs, strict=True)])
            labels = pl.concat([assigned(fit.labels, [c], edges) for fit, c in zip(fits, cutoffs, strict=True)])
            keys = [*entity, CUTOFF, STEP]
            level = pl.lit(None, dtype=pl.Float64).alias(LEVEL)
            forecasts = Forecasts(
                said.select(*keys, level, VALUE).sort(keys),
                said.select(*keys, level, pl.col("base").alias(VALUE)).sort(keys),
                pl.concat([fit.manifest for fit in fits]),
            )
            return replace(built(wide, entity, lambda: forecasts), labels=labels.sort(keys))

        trial = trial_of(given, cutoffs, entity, build)
        values = raw[self.target].drop_nulls().cast(pl.Float64).unique()
        return replace(trial, kind="chance" if set(values) <= {0.0, 1.0} else "quantity")

    def _fit(self, given: Given, database: Database, cutoff: Moment) -> _Fit:
        """Fit at a cutoff; nothing is returned that was learned from except in the manifest."""
        frame = given.frames(database)
        times = per_row(np.zeros(len(frame)), given, database)
        at = times[_TICKS].to_numpy()
        settled = _settles(at, self.horizon, zone=given.shapes[given.dated].zone)
        last = at[at <= ticks(cutoff)].max(initial=at.min())
        known = ~_missing(frame[self.target])
        learned = (settled <= ticks(cutoff)) & (at < last) & known
        if not learned.any():
            raise BadInput(
                f"learner at {given.words(cutoff)}", found="no row whose label had settled", wanted="rows to learn from",
                fix="choose later cutoffs",
            )  # fmt: skip
        x = _inputs(frame, given, self)
        y = np.asarray(frame[self.target])
        try:
            fitted = _clone(self.estimator).fit(_take(x, learned), y[learned])
        except Exception as error:
            error.add_note(
                f"fitting at {given.words(cutoff)} on {int(learned.sum())} rows of {', '.join(map(str, x.columns))}"
            )
            raise
        keys = list(row_index(given)[0])
        index = times.select(*keys, _TICKS)
        value = _predicted(fitted, x)
        made = index.with_columns(
            pl.Series(VALUE, value).round_sig_figs(DIGITS), pl.lit(float(y[learned].astype(float).mean())).alias("base")
        )
        features = per_row(_transformed(fitted, x), given, database)
        free = pl.Series(~learned)
        clock = given.clock.dtype != INSTANT
        truth = index.with_columns(
            time_column("target", settled, integer=clock),
            pl.Series("y", np.where(known, y, np.nan).astype(np.float64)).fill_nan(None),
        )
        used = manifest_of(at[learned], self.horizon, cutoff, zone=given.shapes[given.dated].zone)
        return _Fit(features, made.filter(free), truth.filter(free & pl.Series(known)), used)


@dataclass(frozen=True, slots=True)
class _Fit:
    """rows: features. said: `value`, `base`. labels: `target`, `y`. All with the index of rows and `_ticks`."""

    rows: pl.DataFrame
    said: pl.DataFrame
    labels: pl.DataFrame
    manifest: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Forecaster:
    """An MLForecast: the features that `preprocess` makes of a frame, and what it predicts after `fit` on the past."""

    made: Any
    target: str = "y"
    horizon: int = 1
    learns: bool = True

    def trial(self, given: Given, cutoffs: Sequence[Moment]) -> Trial:
        """Features by row, as for a function of rows; forecasts of a copy that was fitted on the rows up to the cutoff."""
        if not given.single or len(given.entity) != 1:
            raise BadInput(
                "mlforecast",
                found="tables or entities",
                wanted="one frame, and the column of its series",
                fix="entity=",
            )
        edges = sorted(ticks(cutoff) for cutoff in cutoffs)
        entity, time = row_index(given)
        names = {"id_col": given.entity[0], "time_col": time, "target_col": self.target}

        def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
            frame = given.frames(database)
            rows = per_row(deepcopy(self.made).preprocess(frame, **names, static_features=[]), given, database)
            wide = assigned(rows, cutoffs, edges)
            return built(wide, entity, lambda: self._said(given, database, cutoffs, names))

        return trial_of(given, cutoffs, entity, build)

    def _said(self, given: Given, database: Database, cutoffs: Sequence[Moment], names: Mapping[str, str]) -> Forecasts:
        shape = given.shapes[given.dated]
        extra = [name for name in shape.dtypes if name not in names.values()]
        entity, time = row_index(given)
        parts, used = [], []
        for cutoff in cutoffs:
            past = database.truncate(cutoff)
            at = tick_values(past[given.dated].rows[HAPPENED])
            used.append(manifest_of(at, 0, cutoff, zone=shape.zone))
            if extra:
                continue  # columns that it would need for the coming steps, which the past does not hold
            model = deepcopy(self.made)
            model.fit(given.frames(past), **names)
            said = model.predict(self.horizon)
            frame = said if isinstance(said, pl.DataFrame) else pl.from_pandas(said.reset_index(drop=True))
            values = [name for name in frame.columns if name not in names.values()]
            parts.append(
                stamped(frame, cutoff).select(
                    pl.col(given.entity[0]).cast(pl.String).alias(entity[0]),
                    pl.col(time).cast(pl.String).alias(entity[1]),
                    pl.lit("1").alias(entity[2]),
                    CUTOFF,
                    pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(given.entity[0]).alias(STEP),
                    pl.lit(None, dtype=pl.Float64).alias(LEVEL),
                    pl.mean_horizontal(values).round_sig_figs(DIGITS).alias(VALUE),
                )
            )
        manifest = pl.concat(used)
        if not parts:
            rows = manifest.clear().select(*(pl.lit("").alias(name) for name in entity), CUTOFF, STEP)
            return replace(nothing(rows, entity), manifest=manifest)
        predictions = pl.concat(parts).sort([*entity, CUTOFF, STEP])
        return Forecasts(predictions, predictions.clear(), manifest)


def learner(estimator: Any, *, target: str, horizon: str | int = 0, columns: Sequence[str] = ()) -> Learner:
    """A scikit-learn estimator or pipeline over the rows of one frame.

    At each cutoff a clone is fitted on the rows whose label had settled, `time + horizon <= cutoff`, and asked about every row
    that the frame holds. Its features are what its steps before the last make of a row (or its own `transform`). columns:
    what it is given; without any, all but target, time and entity.
    """
    parse_offset(horizon, subject="learner: horizon")
    return Learner(estimator, target, horizon, tuple(columns))


def mlforecast_rows(made: Any, *, target: str = "y", horizon: int = 1) -> Forecaster:
    """An MLForecast (or what has its `preprocess`, `fit` and `predict`) over a frame of series.

    A transform of the target that is fitted on the whole series, such as LocalStandardScaler, fails here: who calls
    `preprocess` and splits afterwards has let the test rows into it. Inside `fit` and `predict` it is harmless.
    """
    return Forecaster(made, target, horizon)


def manifest_of(learned: Ticks, horizon: str | int, cutoff: Moment, *, zone: str) -> pl.DataFrame:
    """What was learned from, as `core.trial.Forecasts` has it. A label that is of the row itself counts from one tick before."""
    integer = isinstance(cutoff, int)
    at = np.unique(learned)
    settled = time_column("settled", _settles(at, horizon, zone=zone), integer=integer)
    example = time_column("example", at - own_moment(horizon), integer=integer)
    served = time_column(CUTOFF, np.full(len(at), ticks(cutoff), dtype=np.int64), integer=integer)
    step = pl.Series(STEP, np.ones(len(at), dtype=np.int64))
    role = pl.Series("role", ["learn"], dtype=pl.String).new_from_index(0, len(at))
    return pl.DataFrame([served, example, step, settled, role])


def own_moment(horizon: str | int) -> int:
    """1 where the label is of the row's own moment: then a test row of the same moment comes too early."""
    return int(horizon in (0, "0d"))


def _settles(at: Ticks, horizon: str | int, *, zone: str) -> Ticks:
    return at if own_moment(horizon) else shift_ticks(at, parse_offset(horizon, subject="horizon"), zone=zone)


def _clone(estimator: Any) -> Any:
    from sklearn.base import clone

    return clone(estimator)


def _inputs(frame: Any, given: Given, asked: Learner) -> Any:
    shape = given.shapes[given.dated]
    out = {asked.target, shape.time, shape.known, *given.entity}
    names = list(asked.columns) or [name for name in frame.columns if name not in out]
    return frame[names] if not isinstance(frame, pl.DataFrame) else frame.select(names)


def _take(x: Any, mask: Any) -> Any:
    return x.filter(pl.Series(mask)) if isinstance(x, pl.DataFrame) else x[mask]


def _missing(column: Any) -> Any:
    if isinstance(column, pl.Series):
        return column.is_null().to_numpy() | (column.is_nan().to_numpy() if column.dtype.is_float() else False)
    return column.isna().to_numpy()


def _predicted(fitted: Any, x: Any) -> Any:
    """The chance of the last class, else what it predicts, else zeros for what only transforms. n numbers."""
    if hasattr(fitted, "predict_proba"):
        return np.asarray(fitted.predict_proba(x))[:, -1].astype(np.float64)
    if hasattr(fitted, "predict"):
        return np.asarray(fitted.predict(x)).reshape(len(x), -1)[:, 0].astype(np.float64)
    return np.zeros(len(x))


def _transformed(fitted: Any, x: Any) -> Any:
    """What the steps before the last make of the rows, with their names where they tell them."""
    steps = getattr(fitted, "steps", None)
    if steps is not None and len(steps) > 1 and not hasattr(fitted, "transform"):
        return _named(fitted[:-1], x)
    return _named(fitted, x) if hasattr(fitted, "transform") else x


def _named(fitted: Any, x: Any) -> Any:
    made = fitted.transform(x)
    if hasattr(made, "columns"):
        return made
    wide = np.asarray(made.toarray() if hasattr(made, "toarray") else made).reshape(len(x), -1)
    try:
        names = [str(name) for name in fitted.get_feature_names_out()]
    except (AttributeError, ValueError):
        names = []
    return pl.DataFrame(wide, schema=names if len(names) == wide.shape[1] else [f"x{i}" for i in range(wide.shape[1])])


__all__ = ["Forecaster", "Learner", "learner", "manifest_of", "mlforecast_rows", "own_moment"]
