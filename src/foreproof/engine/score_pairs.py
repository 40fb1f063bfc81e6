"""Why a pair has its chance: what each feature adds to its log odds, members weighed as the chance weighs them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.compare import clopper_pearson
from foreproof.core.decide import Floats
from foreproof.core.model import Explains, Now
from foreproof.core.predict import CUTOFF, STEP
from foreproof.engine.words import plain_value, words_of
from foreproof.features.declare import Feature
from foreproof.features.missing import FLAG
from foreproof.models.binary_rows import BASE
from foreproof.models.boost_binary import FittedBoostClassifier
from foreproof.models.classify import load_classifier
from foreproof.models.panel import Ints
from foreproof.workloads.propensity import PropensityPlan


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What n pairs' log odds are made of: `names` of features, `values` n x names, `base` n. A row adds up with its base."""

    names: tuple[str, ...]
    values: Floats
    base: Floats


def open_member(plan: PropensityPlan, member: str, files: dict[str, bytes]) -> Any:
    """A member of the plan as a run recorded it, ready to be asked many times."""
    model = next(one for one in plan.models if one.name == member)
    fitted = load_classifier(model, files)
    return fitted.opened() if isinstance(fitted, FittedBoostClassifier) else fitted


def matrix_of(plan: PropensityPlan, member: Any, rows: pl.DataFrame) -> Parts | Floats | None:
    """What a member reads of rows (or, where it has no matrix, all that it says of them): to be kept as long as they are served.

    None where a member cannot explain itself.
    """
    if hasattr(member, "matrix"):
        found: Floats = member.matrix(rows)
        return found
    if not isinstance(member, Explains):
        return None
    index = [*plan.task.entity, CUTOFF, STEP]
    now = Now(plan.task.frame, rows[CUTOFF][0], rows.select(plan.task.entity).clear(), lambda: rows)
    said = rows.select(index).join(member.contributions(now), on=index, how="left", maintain_order="left")
    names = tuple(name for name in said.columns if name not in (*index, BASE))
    return Parts(names, said.select(names).to_numpy(), said[BASE].to_numpy())


def parts_of_chance(members: Sequence[tuple[Any, Parts | Floats | None, float]], places: Ints) -> Parts | None:
    """What each feature adds to the log odds of the blend, before calibration; None where a member cannot say.

    members: as `open_member` gives them, what `matrix_of` gave, and weights that add up to 1. places: rows of the matrix, of
    pairs that share these weights. The flag of a missing value counts with its feature.
    """
    totals: dict[str, Floats] = {}
    base = np.zeros(places.size)
    for member, matrix, weight in members:
        if matrix is None:
            return None
        if isinstance(matrix, Parts):
            found = Parts(matrix.names, matrix.values[places], matrix.base[places])
        else:
            found = Parts(*member.parts(matrix[places]))
        base = base + weight * found.base
        for place, name in enumerate(found.names):
            of = name.removesuffix(FLAG)
            totals[of] = totals.get(of, 0.0) + weight * found.values[:, place]
    names = tuple(sorted(totals))
    values = np.column_stack([totals[name] for name in names]) if names else np.zeros((places.size, 0))
    return Parts(names, values, base)


@dataclass(frozen=True, slots=True)
class Words:
    """How features are spoken of: labels by name, and the features whose values are counts or logarithms."""

    labels: Mapping[str, str]
    features: Mapping[str, Feature]

    def value(self, name: str, value: Any) -> Any:
        """A value of the feature as a reader means it: counts instead of their logarithms; None where missing."""
        if not isinstance(value, float):
            return value
        if not math.isfinite(value):
            return None
        feature = self.features.get(name)
        return plain_value(feature, value) if feature is not None else value


def words_for(plan: PropensityPlan) -> Words:
    """The words for every feature of a plan."""
    grid = plan.task.series.grid
    labels = {feature.name: words_of(feature, grid) for feature in plan.features}
    return Words(labels, {feature.name: feature for feature in plan.features})


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """How chances of a kind held at past cutoffs: bins of `engine.judge_groups.GroupsJudged.reliability`, rising."""

    said: Floats
    low: Floats
    high: Floats
    pairs: Floats
    buyers: float

    def around(self, p: float) -> tuple[float, float, int]:
        """The 95% interval of the share that bought among past pairs with such chances, widened to hold p; and their number."""
        place = int(np.argmin(np.abs(self.said - p)))
        return min(p, float(self.low[place])), max(p, float(self.high[place])), round(float(self.pairs[place]))

    def rate(self, p: float) -> tuple[float, float, int]:
        """The same for a base rate: of all of them."""
        pairs = float(self.pairs.sum())
        found = clopper_pearson(min(self.buyers, pairs), pairs)
        return min(p, found.low), max(p, found.high), round(pairs)


def seen_of(reliability: pl.DataFrame) -> Seen:
    """The bins of one group of one segment."""
    said, low, high, pairs = (reliability[name].to_numpy() for name in ("mean_p", "low", "high", "n"))
    return Seen(said, low, high, pairs, float((reliability["mean_y"] * reliability["n"]).sum()))


__all__ = ["Parts", "Seen", "Words", "matrix_of", "open_member", "parts_of_chance", "seen_of", "words_for"]
