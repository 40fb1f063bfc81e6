"""The propensity's one path: from a database and cutoffs to pairs, features and calibrated probabilities.

Members are fitted at every cutoff of the line, on examples that had settled there. At a served cutoff the weights of their
blend and the calibrator are learned on what they had said at earlier cutoffs, once that had settled; repeat and whitespace
pairs apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from foreproof.core.clock import Moment, ticks, time_column
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Build, Built, Forecasts
from foreproof.core.view import Database
from foreproof.engine.fit import Job, fit_members
from foreproof.engine.line import Bench, Line, at, first_moment, line_of, manifest, settle_ticks, with_target
from foreproof.features.compile import compile_pairs
from foreproof.features.missing import fill_missing
from foreproof.features.population import Population
from foreproof.models.blend import BlendWeights, blend, learn_blend
from foreproof.models.calibrate_choice import Chosen, choose_calibrator
from foreproof.workloads.propensity import SEGMENT, Pairs, PropensityPlan, refuse_silence

RAW, P, BASE, MODEL = "raw", "p", "base", "model"
_PRIOR = 20.0


@dataclass(frozen=True, slots=True)
class PairServed:
    """What one cutoff serves.

    rows: entity columns, `cutoff`, `step`, `segment`, a column a member, `raw` (blended), `p` (calibrated), `base` (the base rate
    of its group and segment). settled: entity columns, `cutoff`, `segment`, members, `y`, `money`: what was said at the origins
    that weigh and calibrate, and what came. weights: of the blend. chosen: by segment, the calibrator and why. dumps: what each
    member learned.
    """

    rows: pl.DataFrame
    settled: pl.DataFrame
    weights: BlendWeights
    chosen: Mapping[str, Chosen]
    dumps: Mapping[str, pl.DataFrame]


def pair_builder(plan: PropensityPlan, bench: Bench) -> Build:
    """The pipeline of a plan as a callable of (database, cutoffs, seed)."""

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        task = plan.task
        panel = task.panel(database)
        line = line_of(plan, cutoffs, first_moment(panel.series))
        for cutoff in cutoffs:
            refuse_silence(panel, cutoff)
        keys = [*task.entity, CUTOFF]
        served = panel.population(cutoffs).frame().sort(keys)
        labels = with_target(panel.labels(cutoffs), task)
        return Built(
            entities=served,
            rows=pair_rows(plan, database, panel, sorted(set(cutoffs), key=ticks)),
            labels=labels.sort([*keys, STEP]),
            # Most checks ask for rows alone: those of the cutoffs that are learned from wait until something is fitted.
            forecast=lambda: _said(plan, bench, panel, line, pair_rows(plan, database, panel, line.all), seed),
        )

    return build


def pair_rows(plan: PropensityPlan, database: Database, panel: Pairs, cutoffs: Sequence[Moment]) -> pl.DataFrame:
    """Entity columns, `cutoff`, `step`, features, for the population at each cutoff."""
    return member_rows(plan, database, panel.population(cutoffs))


def member_rows(plan: PropensityPlan, database: Database, population: Population) -> pl.DataFrame:
    """The same for any population: whoever else is asked about changes nothing."""
    rows = compile_pairs(database, population, plan.features, plan.task.horizon)
    return fill_missing(rows, [feature.name for feature in plan.features], plan.missing)


def _said(plan: PropensityPlan, bench: Bench, panel: Pairs, line: Line, rows: pl.DataFrame, seed: int) -> Forecasts:
    task = plan.task
    index = [*task.entity, CUTOFF, STEP]
    nothing = panel.series.keys.clear().with_columns(pl.lit(0, dtype=pl.Int64).alias("period"), pl.lit(0.0).alias("y"))
    jobs: list[Job] = []
    manifests: list[pl.DataFrame] = []
    for t in line.fitted:
        learned = examples_at(plan, panel, line, t, rows)
        if t in line.splits:
            manifests.append(manifest(task, t, learned.select(CUTOFF, STEP).unique(), role="learn"))
        now = rows.filter(at(t))
        jobs += [Job(task.frame, t, model, seed, nothing, learned, now) for model in plan.models]
    results = fit_members(jobs, store=bench.store, workers=bench.workers, progress=bench.progress)
    done = list(zip(jobs, results, strict=True))
    named = [result["points"].with_columns(pl.lit(job.model.name).alias(MODEL)) for job, result in done]
    members = [model.name for model in plan.models]
    points = pl.concat(named).pivot(on=MODEL, on_columns=members, index=index, values=VALUE)
    out: dict[Moment, PairServed] = {}
    for cutoff, split in line.splits.items():
        settled = panel.labels(split.calibrate, at=cutoff)
        manifests.append(manifest(task, cutoff, settled.select(CUTOFF, STEP).unique(), role="calibrate"))
        dumps = {job.model.name: result["dumps"] for job, result in done if job.cutoff == cutoff}
        out[cutoff] = _served(plan, panel, cutoff, points, settled, dumps)
    pairs = pl.concat([one.rows for one in out.values()])
    empty = pl.lit(None, dtype=pl.Float64).alias(LEVEL)
    return Forecasts(
        predictions=pairs.select(*index, empty, pl.col(P).alias(VALUE)).sort(index),
        baseline=pairs.select(*index, empty, pl.col(BASE).alias(VALUE)).sort(index),
        manifest=pl.concat(manifests).sort(CUTOFF, "role", "example", STEP),
        detail=out,
    )


def examples_at(plan: PropensityPlan, panel: Pairs, line: Line, t: Moment, rows: pl.DataFrame) -> pl.DataFrame:
    """Training rows at t: features as of each example's cutoff, labels as known at t, the gap law applied by `Pairs.labels`."""
    index = [*plan.task.entity, CUTOFF, STEP]
    labels = panel.labels(line.examples[t], at=t).select(*index, pl.col("y").alias("label"))
    return rows.join(labels, on=index, how="inner", maintain_order="left").sort(index)


def _served(
    plan: PropensityPlan,
    panel: Pairs,
    cutoff: Moment,
    points: pl.DataFrame,
    labels: pl.DataFrame,
    dumps: Mapping[str, pl.DataFrame],
) -> PairServed:
    """Blend and calibrate at one cutoff, from what had been said and had settled."""
    task = plan.task
    index = [*task.entity, CUTOFF, STEP]
    members = [model.name for model in plan.models]
    origins = labels[CUTOFF].unique(maintain_order=True).to_list()
    segments = pl.concat([panel.segments(origin) for origin in [*origins, cutoff]])
    told = points.join(segments, on=[*task.entity, CUTOFF], how="left", maintain_order="left")
    settled = told.join(labels, on=index, how="inner", maintain_order="left").sort(index)
    weights = learn_blend(settled, members, segment=SEGMENT)
    settled = settled.with_columns(
        pl.Series(RAW, blend(settled, weights)),
        time_column("settled_at", settle_ticks(task, settled), integer=task.series.grid.integer),
    )
    now = told.filter(at(cutoff)).sort(index)
    now = now.with_columns(pl.Series(RAW, blend(now, weights)))
    chosen: dict[str, Chosen] = {}
    parts = []
    for (segment,), part in now.group_by([SEGMENT], maintain_order=True):
        before = settled.filter(pl.col(SEGMENT) == segment).select(CUTOFF, pl.col(RAW).alias(P), "y", "settled_at")
        chosen[str(segment)] = choose_calibrator(before, plan.calibrators)
        p = chosen[str(segment)].calibrated(part[RAW].to_numpy(), part[CUTOFF])
        parts.append(part.with_columns(pl.Series(P, p)))
    rows = pl.concat(parts).join(_base(settled, task.group), on=[task.group, SEGMENT], how="left")
    rest = (float(settled["y"].sum()) + 1.0) / (settled.height + 2.0)
    rows = rows.with_columns(pl.col(BASE).fill_null(rest)).sort(index)
    first = [*index, SEGMENT]
    return PairServed(rows.select(*first, *members, RAW, P, BASE), settled, weights, chosen, dumps)


def _base(settled: pl.DataFrame, group: str) -> pl.DataFrame:
    """The settled rate of each group and segment, drawn towards that of its segment by `_PRIOR` pairs."""
    rate = pl.col("y").mean().over(SEGMENT)
    rates = settled.with_columns(rate.alias("_rate")).group_by(group, SEGMENT, maintain_order=True)
    return rates.agg(((pl.col("y").sum() + _PRIOR * pl.col("_rate").first()) / (pl.len() + _PRIOR)).alias(BASE))


__all__ = ["BASE", "MODEL", "RAW", "P", "PairServed", "examples_at", "member_rows", "pair_builder", "pair_rows"]
