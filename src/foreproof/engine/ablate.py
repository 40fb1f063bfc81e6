"""What is lost without the features that a leak could hide in: each policy frozen at one cutoff, the far months decide.

A leak, and a feature that is merely short of breath, both shine in the first month; what a policy is worth shows later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.clusters import cluster_bootstrap, statistics_of
from foreproof.engine.chances import FEWEST_BUYERS
from foreproof.engine.prequential import ALL, GROUP, MONTH, VARIANT, Months, Prequential, parts_of
from foreproof.errors import BadInput
from foreproof.workloads.propensity import SEGMENT, WHITESPACE, Policies, PropensityPlan

_METRICS = ("auc", "capture10")


@dataclass(frozen=True, slots=True)
class Ablated:
    """What each variant scored over the far months, and what it lost.

    far: their numbers. scores: `variant`, `features` (how many), `segment`, `group` (`all`, or one), `metric`, `value`, `low`,
    `high`, `pairs`, `buyers`. losses: `variant`, `segment`, `group`, `metric`, `value`, `low`, `high`: the first variant less
    this one, paired, whole accounts drawn.
    """

    variants: tuple[str, ...]
    far: tuple[int, ...]
    scores: pl.DataFrame
    losses: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Chosen:
    """The policies that far months speak for. table: `group` (`all` first), `policy`, `buyers`, `lost`, `high`, `why`."""

    policies: Policies
    table: pl.DataFrame


def ablate(
    plan: PropensityPlan, found: Prequential, *, groups: tuple[str, ...] = (), replicates: int = 1000
) -> Ablated:
    """Each variant against the first one on the far months, all groups together and one by one.

    groups: which ones; all that there are if empty. Raises BadInput with fewer than two variants or settled months.
    """
    variants = tuple(found.scores[VARIANT].unique(maintain_order=True)) or ()
    if len(variants) < 2:
        raise BadInput("ablate", found=f"{len(variants)} variants", wanted="at least two", fix="name one more")
    far = far_of(found.months)
    rows = found.rows.filter(pl.col(MONTH).is_in(list(far)))
    every = groups or tuple(rows[plan.task.group].unique().sort())
    rng = np.random.default_rng(plan.plan.seed)
    scores: list[tuple[object, ...]] = []
    losses: list[tuple[object, ...]] = []
    counts = {name: len(plan.under(name).features) for name in variants}
    for segment, group, part in parts_of(rows, plan.task.group, (ALL, *every)):
        y = part["y"].to_numpy()
        if not 0.0 < float(y.sum()) < y.size:
            continue
        statistics = {
            f"{name}\t{metric}": score
            for name in variants
            for metric, score in statistics_of(y, part[name].to_numpy(), names=_METRICS).items()
        }
        pairs = [(f"{variants[0]}\t{m}", f"{name}\t{m}") for name in variants[1:] for m in _METRICS]
        accounts = part[plan.task.account].to_numpy()
        try:
            drawn = cluster_bootstrap(accounts, statistics, rng=rng, pairs=pairs, replicates=replicates)
        except BadInput:
            continue
        for what, i in drawn.intervals.items():
            name, _, metric = what.partition("\t")
            ends = (i.estimate, i.low, i.high, part.height, float(y.sum()))
            scores.append((name, counts[name], segment, group, metric, *ends))
        for (_, other), i in drawn.differences.items():
            name, _, metric = other.partition("\t")
            losses.append((name, segment, group, metric, i.estimate, i.low, i.high))
    words, numbers = pl.String(), dict.fromkeys(("value", "low", "high"), pl.Float64())
    what_of = {SEGMENT: words, GROUP: words, "metric": words, **numbers}
    schema = {VARIANT: words, "features": pl.Int64(), **what_of, "pairs": pl.Int64(), "buyers": pl.Float64()}
    return Ablated(
        variants,
        far,
        pl.DataFrame(scores, schema=schema, orient="row"),
        pl.DataFrame(losses, schema={VARIANT: words, **what_of}, orient="row"),
    )


def far_of(months: Months) -> tuple[int, ...]:
    """The months that decide. Raises BadInput where there is none."""
    if not months.far:
        raise BadInput(
            "ablate",
            found="one settled month after the freeze",
            wanted="at least two: the first one does not decide",
            fix="freeze earlier, shorten --window, or load more facts",
        )
    return months.far


def choose_policies(found: Ablated, before: Policies, *, threshold: float, groups: tuple[str, ...] = ()) -> Chosen:
    """For all groups and for each, the last variant (the safest) that surely loses no more of AUC than the threshold.

    On whitespace pairs over the far months. "Surely": the upper end of its interval. Without such a variant the first one. A
    group with fewer than `FEWEST_BUYERS` buyers there has the policy of all. With `groups` only theirs change, and the others
    keep what they had `before`.
    """
    at = (pl.col(SEGMENT) == WHITESPACE, pl.col("metric") == "auc")
    scores, losses = found.scores.filter(*at), found.losses.filter(*at)
    buyers = dict(scores.select(GROUP, "buyers").unique().iter_rows())
    default, rows = before.default, []
    if not groups:
        default, *told = _safest(found.variants, losses.filter(pl.col(GROUP) == ALL), threshold)
        rows.append((ALL, default, buyers.get(ALL, 0.0), *told))
    own: dict[str, str] = dict(before.groups) if groups else {}
    for group in groups or sorted(set(found.scores[GROUP]) - {ALL}):
        many = buyers.get(group, 0.0)
        if many < FEWEST_BUYERS:
            why = f"{many:.0f} buyers in the far months, fewer than {FEWEST_BUYERS}: the policy of all groups"
            rows.append((group, own.get(group, default), many, None, None, why))
            continue
        own[group], *told = _safest(found.variants, losses.filter(pl.col(GROUP) == group), threshold)
        rows.append((group, own[group], many, *told))
    words, numbers = pl.String(), dict.fromkeys(("buyers", "lost", "high"), pl.Float64())
    table = pl.DataFrame(rows, schema={GROUP: words, "policy": words, **numbers, "why": words}, orient="row")
    kept = tuple(sorted((group, policy) for group, policy in own.items() if policy != default))
    return Chosen(Policies(default, kept), table)


def _safest(
    variants: tuple[str, ...], losses: pl.DataFrame, threshold: float
) -> tuple[str, float | None, float | None, str]:
    """The variant, what it lost, the upper end of that, and why."""
    ends: Mapping[str, tuple[float, float]] = {
        v: (x, high) for v, x, high in losses.select(VARIANT, "value", "high").iter_rows()
    }
    for name in reversed(variants[1:]):
        if name in ends and ends[name][1] <= threshold:
            lost, high = ends[name]
            return name, lost, high, f"loses {lost:.4f}, surely no more than {threshold:g}"
    said = "; ".join(f"{name} may lose {high:.4f}" for name, (_, high) in ends.items()) or "no interval could be drawn"
    return variants[0], None, None, said


__all__ = ["Ablated", "Chosen", "ablate", "choose_policies", "far_of"]
