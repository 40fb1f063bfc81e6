"""Replay inflation: by how much the reported score flatters, against the same pipeline on what was known at each cutoff."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.clock import ticks
from foreproof.core.clusters import cluster_bootstrap, statistics_of
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Trial
from foreproof.errors import BadInput

_REPORTED, _REPLAYED = "reported", "replayed"
Statistic = Callable[[npt.NDArray[np.float64]], float]


@dataclass(frozen=True, slots=True)
class Inflation:
    """Reported score minus the score on the replay, on the same rows; above 0 the report flatters.

    metric: `auc` of chances; of quantities `1 - wape`, with wape = sum |y - value| / sum |y|. low, high: between which it lies,
    by drawing whole entities, None where there are too few. rows: judged on both sides. clusters: entities drawn from.
    """

    metric: str
    estimate: float
    low: float | None
    high: float | None
    confidence: float
    rows: int
    clusters: int


def inflation(trial: Trial, *, confidence: float = 0.95) -> Inflation | None:
    """The inflation of a trial over all its cutoffs; None without a judged row. A report that the replay repeats bit for bit has
    exactly 0, without a draw. The replay at a cutoff is the build on the database as it was there: predictions are made anew.
    """
    index = [*trial.entity, CUTOFF, STEP]
    whole = trial.run()
    again = pl.concat([trial.at(cutoff).forecasts.predictions for cutoff in sorted(trial.cutoffs, key=ticks)])
    rows = whole.labels.filter(pl.col("y").is_not_null()).select(*index, "y")
    for frame, name in ((whole.forecasts.predictions, _REPORTED), (again, _REPLAYED)):
        points = frame.filter(pl.col(LEVEL).is_null()).select(*index, pl.col(VALUE).alias(name))
        rows = rows.join(points, on=index, how="inner", maintain_order="left")
    rows = rows.sort(index)
    if rows.is_empty():
        return None
    metric = "auc" if trial.kind == "chance" else "1 - wape"
    labels = rows[trial.entity[0] if trial.entity else CUTOFF]
    clusters = labels.n_unique()
    if rows[_REPORTED].eq_missing(rows[_REPLAYED]).all():
        return Inflation(metric, 0.0, 0.0, 0.0, confidence, rows.height, clusters)
    statistics = {name: _score(trial, rows, name) for name in (_REPORTED, _REPLAYED)}
    once = np.ones(rows.height)
    try:
        estimate = statistics[_REPORTED](once) - statistics[_REPLAYED](once)
    except BadInput:
        return None
    try:
        rng = np.random.default_rng(trial.seed)
        pair = (_REPORTED, _REPLAYED)
        drawn = cluster_bootstrap(
            labels.to_physical().to_numpy(), statistics, rng=rng, pairs=[pair], confidence=confidence
        )
    except BadInput:
        return Inflation(metric, estimate, None, None, confidence, rows.height, clusters)
    found = drawn.differences[pair]
    return Inflation(metric, found.estimate, found.low, found.high, confidence, rows.height, clusters)


def _score(trial: Trial, rows: pl.DataFrame, name: str) -> Statistic:
    y, said = rows["y"].to_numpy(), rows[name].to_numpy()
    if trial.kind == "chance":
        return statistics_of(y, said, names=("auc",))["auc"]
    errors, sizes = np.abs(y - said), np.abs(y)

    def accuracy(weight: npt.NDArray[np.float64]) -> float:
        size = float(weight @ sizes)
        if size <= 0.0:
            raise BadInput("inflation", found="outcomes that are all 0", wanted="some demand")
        return 1.0 - float(weight @ errors) / size

    return accuracy


__all__ = ["Inflation", "inflation"]
