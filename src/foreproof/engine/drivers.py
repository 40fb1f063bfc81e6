"""What drove each chance on a list: the features that moved the members' odds most, weighted as the blend weighs them."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.model import Explains, Now
from foreproof.core.predict import CUTOFF, STEP
from foreproof.engine.pairs import PairServed
from foreproof.engine.words import plain_value, words_of
from foreproof.features.missing import FLAG
from foreproof.models.binary_rows import BASE
from foreproof.models.classify import load_classifier
from foreproof.workloads.propensity import WHITESPACE, PropensityPlan

DRIVERS = "drivers"
_TOLD = 2


def drivers_of(plan: PropensityPlan, served: PairServed, rows: pl.DataFrame, cutoff: Moment) -> pl.DataFrame:
    """Entity columns and `drivers`, a text: the two features that moved the odds most, with their values.

    rows: the features of the pairs asked about, at the cutoff. A member's contributions are in log odds and add up to its own;
    the blend's are their mean by weight, exactly so where it blends log odds. The factor that is told is exp of it: 2 doubles
    the odds against a pair whose feature is usual. Members that cannot explain themselves say nothing; empty where none can.
    """
    names = list(plan.task.entity)
    own = served.weights.own.get(WHITESPACE, served.weights.weights)
    weights = dict(zip(served.weights.members, own, strict=True))
    index = [*names, CUTOFF, STEP]
    rows = rows.sort(index)
    total: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    for model in plan.models:
        dumps, weight = served.dumps.get(model.name), weights.get(model.name, 0.0)
        if dumps is None or weight <= 0.0 or not rows.height:
            continue
        fitted = load_classifier(model, dict(dumps.iter_rows()))
        if not isinstance(fitted, Explains):
            continue
        now = Now(plan.task.frame, cutoff, rows.select(names).clear(), lambda: rows)
        parts = fitted.contributions(now).sort(index)
        for name in parts.columns:
            if name not in (*index, BASE):
                of = name.removesuffix(FLAG)
                total[of] = total.get(of, np.zeros(rows.height)) + weight * parts[name].to_numpy()
    if not total:
        return rows.select(names).with_columns(pl.lit("").alias(DRIVERS))
    columns = sorted(total)
    moved = np.stack([total[name] for name in columns], axis=1)
    first = np.argsort(-np.abs(moved), axis=1, kind="stable")[:, :_TOLD]
    features = {feature.name: feature for feature in plan.features}
    said = []
    for place, row in enumerate(rows.select([name for name in columns if name in rows.columns]).iter_rows(named=True)):
        words = []
        for at in first[place].tolist():
            name, value = columns[at], row.get(columns[at])
            if name in features:
                label = words_of(features[name], plan.task.series.grid)
                value = plain_value(features[name], value) if isinstance(value, float) else value
            else:
                label = name.replace("_", " ")
            words.append(f"{label} {_said(value)} (odds x {math.exp(moved[place, at]):.2f})")
        said.append(", ".join(words))
    return rows.select(names).with_columns(pl.Series(DRIVERS, said, dtype=pl.String))


def _said(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


__all__ = ["DRIVERS", "drivers_of"]
