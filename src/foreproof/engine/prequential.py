"""A model frozen at one cutoff, scored month by month on what came after it: how long does it hold?

Everything is frozen: what members learned, the weights of their blend, calibrators and base rates. A later cutoff brings its own
population, features and segments, as known there; saying is an update without a refit. Dawid, Present position and potential
developments: the prequential approach (1984).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, moment, ticks
from foreproof.core.clusters import cluster_bootstrap, statistics_of
from foreproof.core.grid import Grid, parse_moment
from foreproof.core.model import Now
from foreproof.core.predict import CUTOFF, LEVEL
from foreproof.core.view import Database
from foreproof.engine.chances import P, say
from foreproof.engine.cutoff import latest_cutoff
from foreproof.engine.line import Bench, first_moment, ladder
from foreproof.engine.pairs import (
    MODEL,
    PairServed,
    check_groups,
    member_key,
    nothing_said,
    pair_builder,
    pair_rows,
    rows_under,
    wide,
    with_segments,
)
from foreproof.errors import BadInput
from foreproof.features.cells import FAR
from foreproof.models.classify import load_classifier
from foreproof.workloads.propensity import SEGMENT, Pairs, PropensityPlan, check_cutoff

ALL = "all"
PLANNED = "plan"
"""The variant that is the plan as it stands, with a policy for each group."""
METRICS = ("auc", "pr_auc", "lift10", "capture10", "brier", "calibration_mae")
MONTH, VARIANT, GROUP = "month", "variant", "group"


@dataclass(frozen=True, slots=True)
class FreezeTerms:
    """When the model is frozen, and what is scored.

    groups: those scored one by one; none for all of them together. freeze: the cutoff; empty for the earliest judged one of the
    plan. months: how many windows follow; None for all up to the latest cutoff. window: steps from one to the next; None for the
    plan's `backtest.every`. replicates: draws of whole accounts for each interval.
    """

    groups: tuple[str, ...] = ()
    freeze: str = ""
    months: int | None = None
    window: int | None = None
    replicates: int = 1000


@dataclass(frozen=True, slots=True)
class Months:
    """The windows that follow a freeze.

    freeze: the cutoff. cutoffs: freeze + (k - 1) x window for k = 1 ... n, the k-th month being (its cutoff, its cutoff +
    horizon]. settled: how many of them, from the first on, the facts cover whole; the rest is censored.
    """

    freeze: Moment
    cutoffs: tuple[Moment, ...]
    settled: int

    @property
    def far(self) -> tuple[int, ...]:
        """The numbers of the later half of the settled months, never the first: those decide. Empty with fewer than two."""
        return tuple(range(max(self.settled // 2, 1) + 1, self.settled + 1))


@dataclass(frozen=True, slots=True)
class Prequential:
    """What frozen models said, and what came.

    rows: entity columns, `cutoff`, `month`, `segment`, `y`, and a column of `p` a variant. scores: `variant`, `month`, `cutoff`
    (text), `segment`, `group` (`all`, or one), `metric`, `value`, `low`, `high`. flags: `month`, `cutoff`, `segment`, `group`,
    `pairs`, `buyers`, `rate`, `flag`: what is wrong with a month, such as that it is censored.
    """

    months: Months
    rows: pl.DataFrame
    scores: pl.DataFrame
    flags: pl.DataFrame


def prequential(
    plan: PropensityPlan, database: Database, variants: Sequence[str], terms: FreezeTerms, bench: Bench
) -> Prequential:
    """Freeze each variant (a policy's name, or `plan`) at one cutoff, and score it on every settled month after that.

    Raises BadInput for an unknown group or variant, a freeze before the first fact or after the last settled cutoff.
    """
    if not variants or len(set(variants)) < len(variants):
        raise BadInput("variants", found=f"{list(variants)}", wanted="at least one, each once")
    plans = {name: replace(plan, challenger=None) if name == PLANNED else plan.under(name) for name in variants}
    panel = plan.task.panel(database)
    check_groups(panel, terms.groups, subject="--group")
    months = months_of(plan, database, panel, terms)
    cutoffs = months.cutoffs[: months.settled]
    keys = [*plan.task.entity, CUTOFF]
    rows = panel.labels(cutoffs).select(*keys, "y").sort(keys)
    for name, one in plans.items():
        served = pair_builder(one, bench)(database, (months.freeze,), plan.plan.seed).forecasts.detail[months.freeze]
        told = frozen_rows(one, served, database, cutoffs)
        again = [] if SEGMENT in rows.columns else [SEGMENT]
        rows = rows.join(told.select(*keys, *again, pl.col(P).alias(name)), on=keys, how="left", maintain_order="left")
    numbers = {ticks(cutoff): number for number, cutoff in enumerate(months.cutoffs, 1)}
    month = pl.col(CUTOFF).to_physical().replace_strict(numbers, return_dtype=pl.Int64).alias(MONTH)
    rows = rows.select(*keys, month, SEGMENT, "y", *variants)
    return Prequential(months, rows, *_judged(plan, months, rows, tuple(variants), terms))


def frozen_rows(
    plan: PropensityPlan, served: PairServed, database: Database, cutoffs: Sequence[Moment]
) -> pl.DataFrame:
    """What a cutoff's fits say of later cutoffs: the columns of `PairServed.rows` but `shadow`. No cutoff is learned from."""
    task, panel = plan.task, plan.task.panel(database)
    rows, nothing = pair_rows(plan, database, panel, cutoffs), nothing_said(panel)
    points = []
    for policy in plan.policies.used:
        own = rows_under(plan, policy, rows).filter(plan.policies.column(task.group) == policy)
        files = {model.name: served.dumps.get(member_key(plan, policy, model.name)) for model in plan.models}
        for model in plan.models if own.height else ():
            dumped = files[model.name]
            if dumped is None:
                raise BadInput(
                    f"policy {policy}",
                    found=f"no group at the freeze that had it, to fit {model.name} for",
                    wanted="a freeze at which its groups were known",
                    fix="freeze later",
                )
            fitted = load_classifier(model, dict(dumped.iter_rows()))
            for cutoff in cutoffs:
                here = own.filter(pl.col(CUTOFF).to_physical() == ticks(cutoff))
                if here.height:
                    now = Now(task.frame, cutoff, nothing, lambda here=here: here)  # type: ignore[misc]
                    points.append(
                        fitted.predict(now).canonical().drop(LEVEL).with_columns(pl.lit(model.name).alias(MODEL))
                    )
    told = with_segments(panel, wide(plan, points), cutoffs)
    return say(served.chances, told.sort(*task.entity, CUTOFF))


def months_of(plan: PropensityPlan, database: Database, panel: Pairs, terms: FreezeTerms) -> Months:
    """The freeze and its months. Raises BadInput."""
    for name, value in (("--months", terms.months), ("--window", terms.window)):
        if value is not None and value < 1:
            raise BadInput(name, found=str(value), wanted="1 or more", fix="leave it out for all that can be had")
    grid, task = plan.task.series.grid, plan.task
    latest = latest_cutoff(plan, database)
    window = terms.window or plan.backtest.every
    freeze = ladder(plan, latest, plan.backtest.origins + 1)[0]
    first, end = first_moment(panel.series), _end(panel)
    if terms.freeze:
        freeze = grid.add(parse_moment(terms.freeze, grid, subject="--freeze"), 0)
        if ticks(freeze) <= ticks(first):
            found = f"{terms.freeze}, before the first fact ({grid.say(first)})"
            raise BadInput("--freeze", found=found, wanted="a date inside the history, with settled cutoffs before it")
    settled = grid.add(end, -task.horizon)
    if ticks(freeze) > ticks(settled):
        raise BadInput(
            "--freeze",
            found=f"{grid.say(freeze)}, after the last settled cutoff ({grid.say(settled)})",
            wanted=f"a date with {task.horizon} steps of facts after it",
            fix="freeze earlier, or load more facts",
        )
    cutoffs = [freeze]
    while len(cutoffs) < (terms.months or len(cutoffs) + 1):
        following = grid.add(cutoffs[-1], window)
        if terms.months is None and ticks(following) > ticks(latest):
            break
        cutoffs.append(following)
    done = sum(ticks(cutoff) <= ticks(settled) for cutoff in cutoffs)
    return Months(freeze, tuple(cutoffs), done)


def _end(panel: Pairs) -> Moment:
    """The last period with a fact, up to which `Pairs.labels` knows what came."""
    grid, known = panel.task.series.grid, panel.series.cells.visible(FAR - 1).period
    return moment(int(grid.at(np.array([known.max()], dtype=np.int64))[0]), integer=grid.integer)


def _judged(
    plan: PropensityPlan, months: Months, rows: pl.DataFrame, variants: tuple[str, ...], terms: FreezeTerms
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Scores and flags by month, segment and group."""
    grid, rng = plan.task.series.grid, np.random.default_rng(plan.plan.seed)
    scores: list[tuple[object, ...]] = []
    flags: list[tuple[object, ...]] = []
    for number, cutoff in enumerate(months.cutoffs, 1):
        at = (number, grid.say(cutoff))
        if number > months.settled:
            flags.append((*at, ALL, ALL, None, None, None, _censored(grid, cutoff, plan.task.horizon)))
            continue
        for segment, group, part in parts_of(rows.filter(pl.col(MONTH) == number), plan.task.group, terms.groups):
            flag, found = _scored(part, variants, plan.task.account, rng, terms.replicates)
            rate = part["y"].mean() if part.height else None
            flags.append((*at, segment, group, part.height, float(part["y"].sum()), rate, flag))
            scores += [(variant, *at, segment, group, metric, *ends) for variant, metric, *ends in found]
    words, numbers = pl.String(), dict.fromkeys(("value", "low", "high"), pl.Float64())
    places = {MONTH: pl.Int64(), CUTOFF: words, SEGMENT: words, GROUP: words}
    counts = {"pairs": pl.Int64(), "buyers": pl.Float64(), "rate": pl.Float64(), "flag": words}
    return (
        pl.DataFrame(scores, schema={VARIANT: words, **places, "metric": words, **numbers}, orient="row"),
        pl.DataFrame(flags, schema={**places, **counts}, orient="row"),
    )


def parts_of(rows: pl.DataFrame, column: str, groups: Sequence[str]) -> list[tuple[str, str, pl.DataFrame]]:
    """Segment, group and rows: each of the groups, or all of them together, whitespace apart from repeat."""
    found = []
    for (segment,), part in rows.sort(SEGMENT, descending=True, maintain_order=True).group_by(
        [SEGMENT], maintain_order=True
    ):
        for group in groups or (ALL,):
            found.append((str(segment), group, part if group == ALL else part.filter(pl.col(column) == group)))
    return found


def _censored(grid: Grid, cutoff: Moment, horizon: int) -> str:
    return f"censored: its window ends at {grid.say(grid.add(cutoff, horizon))}, after the last fact"


def _scored(
    part: pl.DataFrame, variants: tuple[str, ...], account: str, rng: np.random.Generator, replicates: int
) -> tuple[str, list[tuple[str, str, float, float | None, float | None]]]:
    """What is wrong with the rows, and variant, metric, value, low, high; all variants on the same draws of accounts."""
    flag = check_cutoff(float(part["y"].mean() or 0.0), int(part["y"].sum()))  # type: ignore[arg-type]
    y = part["y"].to_numpy()
    if not 0.0 < float(y.sum()) < y.size:
        return flag or "nobody who did not buy", []
    statistics = {
        f"{variant}\t{metric}": score
        for variant in variants
        for metric, score in statistics_of(y, part[variant].to_numpy(), names=METRICS).items()
    }
    try:
        drawn = cluster_bootstrap(part[account].to_numpy(), statistics, rng=rng, replicates=replicates).intervals
    except BadInput:
        once = np.ones(y.size)
        said = "too few buyers for intervals"
        found = [(*name.split("\t"), score(once), None, None) for name, score in statistics.items()]
        return f"{flag}; {said}" if flag else said, found  # type: ignore[return-value]
    return flag, [(*name.split("\t"), i.estimate, i.low, i.high) for name, i in drawn.items()]  # type: ignore[misc]


__all__ = [
    "ALL",
    "GROUP",
    "METRICS",
    "MONTH",
    "PLANNED",
    "VARIANT",
    "FreezeTerms",
    "Months",
    "Prequential",
    "frozen_rows",
    "months_of",
    "parts_of",
    "prequential",
]
