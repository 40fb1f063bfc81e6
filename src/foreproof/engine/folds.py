"""Customers apart as well as time: folds that are checked for overlap, and a score out of fold beside the forward one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.clusters import statistics_of
from foreproof.core.folds import (
    FOLD,
    FoldPlan,
    FoldSplit,
    check_folds,
    check_overlap,
    grouped_folds,
    manifest,
    purged_splits,
)
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.view import Database
from foreproof.engine.chances import P, say
from foreproof.engine.fit import Job, fit_members
from foreproof.engine.line import Bench, at, first_moment, line_of
from foreproof.engine.pairs import (
    MODEL,
    PairServed,
    examples_at,
    nothing_said,
    pair_rows,
    rows_under,
    wide,
    with_segments,
)
from foreproof.workloads.propensity import SEGMENT, PropensityPlan

_METRICS = ("auc", "capture10", "log_loss", "brier")


@dataclass(frozen=True, slots=True)
class Folded:
    """How customers were cut, at one cutoff.

    assigned: account, `fold`. counts: `fold`, `cutoff`, `rows`, `customers`, `positives`. manifest: seed, folds, purge and counts
    as plain values, `splits` (checked: no customer on both sides, every training label settled), `overlap`: 0. scores: `cutoff`,
    `segment`, `who`, `metric`, `cross` (members that never saw the pair's customer), `forward` (as served), `pairs`; empty
    unless asked for.
    """

    assigned: pl.DataFrame
    counts: pl.DataFrame
    manifest: dict[str, Any]
    scores: pl.DataFrame


def fold_customers(
    plan: PropensityPlan, database: Database, cutoff: Moment, served: PairServed, bench: Bench
) -> Folded:
    """Grouped, purged folds of the examples of one judged cutoff, and of its own rows; LawError where they overlap.

    With `folds.score` members are fitted without each fold in turn and say the rest, blended and calibrated as served there.
    """
    task, key = plan.task, plan.task.account
    panel = task.panel(database)
    line = line_of(plan, (cutoff,), first_moment(panel.series))
    before, now = panel.labels(line.examples[cutoff], at=cutoff), panel.labels((cutoff,))
    rows = pl.concat([before, now]).select(*task.entity, CUTOFF, STEP, pl.col("y").alias("label"))
    cut = FoldPlan(task.series.grid, task.horizon, plan.folds.count, plan.plan.seed, task.delay, plan.folds.purge)
    check_folds(rows[key], grouped_folds(rows[key], folds=cut.folds, seed=cut.seed))
    splits = [split for split in purged_splits(rows, cut, key=key) if ticks(split.cutoff) == ticks(cutoff)]
    for split in splits:
        check_overlap(split.train, split.test, cut, key=key)
    accounts = rows[key].unique().sort()
    folds = pl.Series(FOLD, grouped_folds(accounts, folds=cut.folds, seed=cut.seed), dtype=pl.Int64)
    made = manifest(rows, cut, key=key)
    scores = _scores(plan, database, cutoff, served, splits, bench) if plan.folds.score else pl.DataFrame()
    said = {**made.as_dict(), "splits": len(splits), "overlap": 0}
    return Folded(pl.DataFrame([accounts, folds]), made.counts, said, scores)


def _scores(
    plan: PropensityPlan,
    database: Database,
    cutoff: Moment,
    served: PairServed,
    splits: Sequence[FoldSplit],
    bench: Bench,
) -> pl.DataFrame:
    task, panel = plan.task, plan.task.panel(database)
    line = line_of(plan, (cutoff,), first_moment(panel.series))
    rows = pair_rows(plan, database, panel, [*line.examples[cutoff], cutoff])
    learned, told = examples_at(plan, panel, line, cutoff, rows), rows.filter(at(cutoff))
    keys = [*task.entity, CUTOFF, STEP]
    jobs = []
    for split in splits:
        train = learned.join(split.train.select(keys), on=keys, how="semi", maintain_order="left")
        test = told.join(split.test.select(keys), on=keys, how="semi", maintain_order="left")
        for policy in plan.policies.used:
            own = test.filter(plan.policies.column(task.group) == policy)
            frames = (nothing_said(panel), rows_under(plan, policy, train), rows_under(plan, policy, own))
            jobs += [Job(task.frame, cutoff, m, plan.plan.seed, *frames) for m in plan.models if own.height]
    results = fit_members(jobs, store=bench.store, workers=bench.workers, progress=bench.progress)
    points = [
        result["points"].with_columns(pl.lit(job.model.name).alias(MODEL))
        for job, result in zip(jobs, results, strict=True)
    ]
    cross = say(served.chances, with_segments(panel, wide(plan, points), [cutoff]).sort(keys))
    labels = panel.labels((cutoff,)).select(*keys, "y")
    cross = cross.join(labels, on=keys, how="inner", maintain_order="left")
    forward = cross.select(keys).join(served.rows, on=keys, how="left", maintain_order="left")
    return _beside(plan, cutoff, cross, forward)


def _beside(plan: PropensityPlan, cutoff: Moment, cross: pl.DataFrame, forward: pl.DataFrame) -> pl.DataFrame:
    """Both scores of each member and of ours; the same pairs in the same order."""
    found = []
    who = {"foreproof": P, **{model.name: model.name for model in plan.models}}
    for segment in cross[SEGMENT].unique().sort(descending=True):
        here = (cross[SEGMENT] == segment).to_numpy()
        y = cross["y"].to_numpy()[here]
        if not 0.0 < float(y.sum()) < y.size:
            continue
        once = np.ones(y.size)
        for name, column in who.items():
            sides = [statistics_of(y, side[column].to_numpy()[here], names=_METRICS) for side in (cross, forward)]
            for metric in _METRICS:
                values = (float(side[metric](once)) for side in sides)
                found.append((plan.task.series.grid.say(cutoff), segment, name, metric, *values, y.size))
    words, numbers = pl.String(), dict.fromkeys(("cross", "forward"), pl.Float64())
    schema = {CUTOFF: words, SEGMENT: words, "who": words, "metric": words, **numbers, "pairs": pl.Int64()}
    return pl.DataFrame(found, schema=schema, orient="row")


__all__ = ["Folded", "fold_customers"]
