"""What drove each chance on a list: the features that moved the members' odds most, weighted as the blend weighs them."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.decide import Floats
from foreproof.core.model import Explains, Now
from foreproof.core.predict import CUTOFF, STEP
from foreproof.engine.pairs import PairServed
from foreproof.engine.words import plain_value, words_of
from foreproof.features.missing import FLAG
from foreproof.models.binary_rows import BASE
from foreproof.models.classify import load_classifier
from foreproof.workloads.propensity import WHITESPACE, PropensityPlan

DRIVERS = "drivers"
_TOLD, _REFERENCE, _FEWEST = 2, 3_000, 10


def drivers_of(
    plan: PropensityPlan, served: PairServed, rows: pl.DataFrame, asked: pl.DataFrame, cutoff: Moment
) -> pl.DataFrame:
    """Entity columns and `drivers` of the pairs asked about: the two features that set each apart from others of its group.

    rows: features of all pairs at the cutoff, those asked about among them. A member's contributions are in log odds and add up
    to its own; the blend's are their mean by weight, exactly so where it blends log odds. Told is exp of what a feature adds
    beyond its mean in some pairs of the group: 2 doubles the odds. Members that cannot explain themselves say nothing.
    """
    names, group = list(plan.task.entity), plan.task.group
    index = [*names, CUTOFF, STEP]
    mine = rows.join(asked, on=names, how="semi", maintain_order="left").sort(index)
    some = _some(rows.join(mine, on=group, how="semi", maintain_order="left").sort(index), group)
    both = pl.concat([mine, some.join(mine, on=names, how="anti", maintain_order="left")]).sort(index)
    parts = _contributions(plan, served, both, cutoff) if both.height else None
    if parts is None:
        return mine.select(names).with_columns(pl.lit("").alias(DRIVERS))
    columns = [name for name in parts.columns if name not in names]
    usual = parts.join(some, on=names, how="semi").group_by(group, maintain_order=True).agg(pl.col(columns).mean())
    own = mine.select(names).join(parts, on=names, how="left", maintain_order="left")
    means = own.select(group).join(usual, on=group, how="left", maintain_order="left")
    moved = own.select(columns).to_numpy() - means.select(columns).to_numpy()
    first = np.argsort(-np.abs(moved), axis=1, kind="stable")[:, :_TOLD]
    features = {feature.name: feature for feature in plan.features}
    said = []
    for place, row in enumerate(mine.iter_rows(named=True)):
        words = []
        for at in first[place].tolist():
            feature, value = features.get(columns[at]), row.get(columns[at])
            label = columns[at].replace("_", " ") if feature is None else words_of(feature, plan.task.series.grid)
            value = plain_value(feature, value) if feature is not None and isinstance(value, float) else value
            words.append(f"{label}: {_said(value)} (odds x {math.exp(moved[place, at]):.2f})")
        said.append(", ".join(words))
    return mine.select(names).with_columns(pl.Series(DRIVERS, said, dtype=pl.String))


def _some(rows: pl.DataFrame, group: str) -> pl.DataFrame:
    """Every nth pair of each group, a few thousand in all."""
    most = max(_FEWEST, _REFERENCE // max(rows[group].n_unique(), 1))
    return rows.filter((pl.int_range(pl.len()) % (pl.len() // most + 1) == 0).over(group))


def _contributions(plan: PropensityPlan, served: PairServed, rows: pl.DataFrame, cutoff: Moment) -> pl.DataFrame | None:
    """Entity columns and what each feature adds to the log odds, members weighed; None where no member can say."""
    names = list(plan.task.entity)
    own = served.weights.own.get(WHITESPACE, served.weights.weights)
    weights = dict(zip(served.weights.members, own, strict=True))
    index = [*names, CUTOFF, STEP]
    total: dict[str, Floats] = {}
    for model in plan.models:
        dumps, weight = served.dumps.get(model.name), weights.get(model.name, 0.0)
        if dumps is None or dumps.is_empty() or weight <= 0.0:  # a plugin's model may keep no state
            continue
        fitted = load_classifier(model, dict(dumps.iter_rows()))
        if not isinstance(fitted, Explains):
            continue
        parts = fitted.contributions(Now(plan.task.frame, cutoff, rows.select(names).clear(), lambda: rows)).sort(index)
        for name in parts.columns:
            if name not in (*index, BASE):
                of = name.removesuffix(FLAG)
                total[of] = total.get(of, np.zeros(rows.height)) + weight * parts[name].to_numpy()
    if not total:
        return None
    return rows.select(names).with_columns(pl.Series(name, total[name]) for name in sorted(total))


def _said(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "none"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100.0 or value.is_integer() else f"{value:.2g}"
    return str(value)


__all__ = ["DRIVERS", "drivers_of"]
