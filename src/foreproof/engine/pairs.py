"""The propensity's one path: from a database and cutoffs to pairs, features and calibrated probabilities.

Members are fitted at every cutoff of the line, on examples that had settled there, once for each policy of features that some
group has. At a served cutoff the weights of their blend and the calibrator are learned on what they had said at earlier
cutoffs, once that had settled; repeat and whitespace pairs apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from foreproof.core.clock import Moment, ticks, time_column
from foreproof.core.digest import digest_frame
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Build, Built, Forecasts
from foreproof.core.view import Database
from foreproof.engine.chances import BASE, RAW, Chances, P, learn_chances, say
from foreproof.engine.fit import Job, fit_members
from foreproof.engine.line import Bench, Line, at, first_moment, line_of, manifest, settle_ticks, with_target
from foreproof.errors import BadInput
from foreproof.features.compile import compile_pairs
from foreproof.features.missing import FLAG, fill_missing
from foreproof.features.population import Population
from foreproof.models.blend import BlendWeights
from foreproof.models.calibrate_choice import SETTLED_AT, Chosen
from foreproof.workloads.propensity import SEGMENT, Pairs, PropensityPlan, refuse_silence

MODEL = "model"


@dataclass(frozen=True, slots=True)
class PairServed:
    """What one cutoff serves.

    rows: entity columns, `cutoff`, `step`, `segment`, a column a member, `raw` (blended), `p` (calibrated), `base` (the base rate
    of its group and segment), and `shadow` (the challenger's `p`) where the plan has one. settled: entity columns, `cutoff`,
    `segment`, members, `y`, `money`: what was said at the origins that weigh and calibrate, and what came. chances: what was
    learned from it. dumps: what each member learned, by the name that `member_key` gives.
    """

    rows: pl.DataFrame
    settled: pl.DataFrame
    chances: Chances
    dumps: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def weights(self) -> BlendWeights:
        """Of the blend."""
        return self.chances.weights

    @property
    def chosen(self) -> Mapping[str, Chosen]:
        """By segment, the calibrator and why."""
        return self.chances.chosen


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
    """Entity columns, `cutoff`, `step`, features of every policy that is used, for the population at each cutoff."""
    return member_rows(plan, database, panel.population(cutoffs))


def member_rows(plan: PropensityPlan, database: Database, population: Population) -> pl.DataFrame:
    """The same for any population: whoever else is asked about changes nothing."""
    rows = compile_pairs(database, population, plan.features, plan.task.horizon)
    return fill_missing(rows, [feature.name for feature in plan.features], plan.missing)


def rows_under(plan: PropensityPlan, policy: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows without the features that only other policies have."""
    if len(plan.policies.used) == 1:
        return rows
    kept = plan.names_under(policy)
    others = {feature.name for feature in plan.features} - kept
    return rows.drop([name for name in rows.columns if name.removesuffix(FLAG) in others])


def member_key(plan: PropensityPlan, policy: str, member: str) -> str:
    """The name of what a member learned: its own, after its policy's where a plan uses several."""
    return member if len(plan.policies.used) == 1 else f"{policy}.{member}"


def check_groups(panel: Pairs, groups: Iterable[str], *, subject: str) -> None:
    """Raise BadInput for a group that no purchase has."""
    known = sorted(panel.task.groups) or panel.series.keys[panel.task.group].unique().sort().to_list()
    unknown = sorted(set(groups) - set(known))
    if unknown:
        raise BadInput(subject, found=f"{unknown[0]!r}, an unknown group", wanted=f"some of {', '.join(known)}")


def wide(plan: PropensityPlan, points: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Entity columns, `cutoff`, `step`, a column a member. points: with `model` and `value`, one part a member and policy."""
    index = [*plan.task.entity, CUTOFF, STEP]
    members = [model.name for model in plan.models]
    return pl.concat(points).pivot(on=MODEL, on_columns=members, index=index, values=VALUE)


def _said(plan: PropensityPlan, bench: Bench, panel: Pairs, line: Line, rows: pl.DataFrame, seed: int) -> Forecasts:
    task = plan.task
    index = [*task.entity, CUTOFF, STEP]
    nothing = nothing_said(panel)
    jobs: list[tuple[str, Job]] = []
    manifests: list[pl.DataFrame] = []
    for t in line.fitted:
        learned = examples_at(plan, panel, line, t, rows)
        if t in line.splits:
            manifests.append(manifest(task, t, learned.select(CUTOFF, STEP).unique(), role="learn"))
        for policy in plan.policies.used:
            now = rows.filter(at(t), plan.policies.column(task.group) == policy)
            if now.height:
                learn, tell = rows_under(plan, policy, learned), rows_under(plan, policy, now)
                jobs += [(policy, Job(task.frame, t, m, seed, nothing, learn, tell)) for m in plan.models]
    results = fit_members([job for _, job in jobs], store=bench.store, workers=bench.workers, progress=bench.progress)
    done = list(zip(jobs, results, strict=True))
    points = wide(plan, [r["points"].with_columns(pl.lit(job.model.name).alias(MODEL)) for (_, job), r in done])
    out: dict[Moment, PairServed] = {}
    for cutoff, split in line.splits.items():
        settled = panel.labels(split.calibrate, at=cutoff)
        manifests.append(manifest(task, cutoff, settled.select(CUTOFF, STEP).unique(), role="calibrate"))
        dumps = {member_key(plan, p, job.model.name): r["dumps"] for (p, job), r in done if job.cutoff == cutoff}
        out[cutoff] = replace(_served(plan, bench, panel, cutoff, points, settled), dumps=dumps)
    pairs = pl.concat([one.rows for one in out.values()])
    empty = pl.lit(None, dtype=pl.Float64).alias(LEVEL)
    return Forecasts(
        predictions=pairs.select(*index, empty, pl.col(P).alias(VALUE)).sort(index),
        baseline=pairs.select(*index, empty, pl.col(BASE).alias(VALUE)).sort(index),
        manifest=pl.concat(manifests).sort(CUTOFF, "role", "example", STEP),
        detail=out,
    )


def nothing_said(panel: Pairs) -> pl.DataFrame:
    """A target without rows: classifiers read none."""
    return panel.series.keys.clear().with_columns(pl.lit(0, dtype=pl.Int64).alias("period"), pl.lit(0.0).alias("y"))


def examples_at(plan: PropensityPlan, panel: Pairs, line: Line, t: Moment, rows: pl.DataFrame) -> pl.DataFrame:
    """Training rows at t: features as of each example's cutoff, labels as known at t, the gap law applied by `Pairs.labels`."""
    index = [*plan.task.entity, CUTOFF, STEP]
    labels = panel.labels(line.examples[t], at=t).select(*index, pl.col("y").alias("label"))
    return rows.join(labels, on=index, how="inner", maintain_order="left").sort(index)


def _served(
    plan: PropensityPlan,
    bench: Bench,
    panel: Pairs,
    cutoff: Moment,
    points: pl.DataFrame,
    labels: pl.DataFrame,
) -> PairServed:
    """Blend and calibrate at one cutoff, from what had been said and had settled."""
    task = plan.task
    index = [*task.entity, CUTOFF, STEP]
    origins = labels[CUTOFF].unique(maintain_order=True).to_list()
    told = with_segments(panel, points, [*origins, cutoff])
    settled = told.join(labels, on=index, how="inner", maintain_order="left").sort(index)
    settled = settled.with_columns(
        time_column(SETTLED_AT, settle_ticks(task, settled), integer=task.series.grid.integer)
    )
    key = f"{plan.choice} {plan.calibrators} {digest_frame(settled, keys=index)}"
    if key not in bench.learned:
        bench.learned[key] = learn_chances(plan, settled)
    chances, settled = bench.learned[key]
    rows = say(chances, told.filter(at(cutoff)).sort(index))
    members = [model.name for model in plan.models]
    return PairServed(rows.select(*index, SEGMENT, *members, RAW, P, BASE), settled, chances)


def with_segments(panel: Pairs, points: pl.DataFrame, cutoffs: Sequence[Moment]) -> pl.DataFrame:
    """The points with `segment`, as it was at each of the cutoffs."""
    segments = pl.concat([panel.segments(cutoff) for cutoff in cutoffs])
    return points.join(segments, on=[*panel.task.entity, CUTOFF], how="left", maintain_order="left")


__all__ = [
    "BASE",
    "MODEL",
    "RAW",
    "P",
    "PairServed",
    "check_groups",
    "examples_at",
    "member_key",
    "member_rows",
    "nothing_said",
    "pair_builder",
    "pair_rows",
    "rows_under",
    "wide",
    "with_segments",
]
