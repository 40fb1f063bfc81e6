"""What is lost without the features that a leak could hide in: the same pipeline on fewer features, judged on the same pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.clusters import cluster_bootstrap, statistics_of
from foreproof.core.predict import CUTOFF
from foreproof.core.view import Database
from foreproof.engine.judge import judged_rows
from foreproof.engine.line import Bench
from foreproof.engine.pairs import P, pair_builder
from foreproof.errors import BadInput
from foreproof.features.declare import Feature
from foreproof.workloads.propensity import SEGMENT, PropensityPlan

Variants = Mapping[str, tuple[Feature, ...]]
_METRICS = ("auc", "capture10")


@dataclass(frozen=True, slots=True)
class Ablated:
    """What each variant scored, and what it lost.

    scores: `variant`, `features`, `segment`, `metric`, `value`, `low`, `high`. losses: `variant`, `segment`, `metric`, `value`,
    `low`, `high`: the first variant less this one, paired, accounts drawn. by_group: `group`, `variant`, `loss` of AUC.
    """

    scores: pl.DataFrame
    losses: pl.DataFrame
    by_group: pl.DataFrame


def ablate(
    plan: PropensityPlan, database: Database, cutoffs: Sequence[Moment], variants: Variants, bench: Bench
) -> Ablated:
    """Build, blend, calibrate and judge each variant at the same cutoffs; the first one is what the others are held against."""
    if len(variants) < 2:
        raise BadInput("ablate", found=f"{len(variants)} variants", wanted="at least two", fix="name one more")
    said: dict[str, pl.DataFrame] = {}
    for name, features in variants.items():
        fewer = replace(plan, features=features)
        built = pair_builder(fewer, bench)(database, tuple(cutoffs), plan.plan.seed)
        rows = judged_rows(fewer, built, built.forecasts.detail)
        said[name] = rows.select(*plan.task.entity, CUTOFF, SEGMENT, "y", pl.col(P).alias(name))
    names = list(variants)
    index = [*plan.task.entity, CUTOFF, SEGMENT, "y"]
    joined = said[names[0]]
    for name in names[1:]:
        joined = joined.join(said[name], on=index, how="inner", maintain_order="left")
    scores, losses = [], []
    rng = np.random.default_rng(plan.plan.seed)
    for (segment,), part in joined.group_by([SEGMENT], maintain_order=True):
        y, accounts = part["y"].to_numpy(), part[plan.task.account].to_numpy()
        if not 0.0 < float(y.sum()) < y.size:
            continue
        statistics = {
            f"{name}:{metric}": score
            for name in names
            for metric, score in statistics_of(y, part[name].to_numpy(), names=_METRICS).items()
        }
        pairs = [(f"{names[0]}:{m}", f"{name}:{m}") for name in names[1:] for m in _METRICS]
        drawn = cluster_bootstrap(accounts, statistics, rng=rng, pairs=pairs)
        for what, found in drawn.intervals.items():
            name, _, metric = what.partition(":")
            ends = (found.estimate, found.low, found.high)
            scores.append((name, len(variants[name]), segment, metric, *ends))
        for (_, other), found in drawn.differences.items():
            name, _, metric = other.partition(":")
            losses.append((name, segment, metric, found.estimate, found.low, found.high))
    words, numbers = pl.String(), dict.fromkeys(("value", "low", "high"), pl.Float64())
    return Ablated(
        pl.DataFrame(
            scores,
            schema={"variant": words, "features": pl.Int64(), "segment": words, "metric": words, **numbers},
            orient="row",
        ),
        pl.DataFrame(losses, schema={"variant": words, "segment": words, "metric": words, **numbers}, orient="row"),
        _by_group(plan, joined, names),
    )


def _by_group(plan: PropensityPlan, joined: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """AUC lost by group, where a group has buyers and others."""
    rows = []
    for (group,), part in joined.group_by([plan.task.group], maintain_order=True):
        y = part["y"].to_numpy()
        if not 0.0 < float(y.sum()) < y.size:
            continue
        once = np.ones(y.size)
        auc = {name: statistics_of(y, part[name].to_numpy(), names=("auc",))["auc"](once) for name in names}
        rows += [(str(group), name, auc[names[0]] - auc[name]) for name in names[1:]]
    schema = {"group": pl.String(), "variant": pl.String(), "loss": pl.Float64()}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("group", "variant")


def choose_variant(found: Ablated, *, threshold: float, segment: str, metric: str = "auc") -> str:
    """The last variant (the safest) whose loss is surely no more than the threshold: its interval's upper end; else the first."""
    first = found.scores["variant"][0]
    held = found.losses.filter(pl.col("segment") == segment, pl.col("metric") == metric, pl.col("high") <= threshold)
    return str(held["variant"][-1]) if held.height else str(first)


__all__ = ["Ablated", "Variants", "ablate", "choose_variant"]
