"""Put a plan's pipeline through the gauntlet, each check beside its planted fault."""

from __future__ import annotations

from collections.abc import Sequence

from foreproof.core.clock import Moment
from foreproof.core.ports import Progress
from foreproof.core.trial import Build, Built, Check, Trial, Verdict, proven
from foreproof.core.view import Database
from foreproof.gauntlet import BeatsBaseline, BeatsRate, Calibrated, Coverage, Duplicates, GapLaw, Rebuild
from foreproof.workloads.forecast import ForecastPlan
from foreproof.workloads.propensity import PropensityPlan


def checks(plan: ForecastPlan) -> tuple[Check, ...]:
    """The checks of a forecast with the plan's limits, structural ones first."""
    return (
        Rebuild(),
        GapLaw(),
        Duplicates(),
        BeatsBaseline(alpha=plan.proof.alpha),
        Coverage(nominal=plan.proof.coverage, alpha=plan.proof.alpha),
    )


def pair_checks(plan: PropensityPlan) -> tuple[Check, ...]:
    """The checks of a propensity with the plan's limits, structural ones first."""
    return (
        Rebuild(),
        GapLaw(),
        Duplicates(),
        BeatsRate(alpha=plan.proof.alpha),
        Calibrated(limit=plan.proof.calibration),
    )


def prove(
    plan: ForecastPlan | PropensityPlan,
    database: Database,
    cutoffs: Sequence[Moment],
    build: Build,
    *,
    progress: Progress,
) -> list[Verdict]:
    """One verdict a check, in order."""
    task = plan.task
    trial = Trial(
        database,
        tuple(cutoffs),
        task.entity,
        task.horizon,
        plan.plan.seed,
        remembered(build),
        task.series.grid,
        kind="quantity" if isinstance(plan, ForecastPlan) else "chance",
        delay=task.delay,
        nearness={f.name: f.meta(task.horizon).nearness for f in plan.features},
    )
    suite = checks(plan) if isinstance(plan, ForecastPlan) else pair_checks(plan)
    progress.stage("prove", len(suite))
    verdicts = []
    for check in suite:
        verdicts.append(proven(check, trial))
        progress.advance(1)
    return verdicts


def remembered(build: Build) -> Build:
    """The same pure function, each result kept for the next check that asks for the same database and cutoffs."""
    kept: dict[tuple[int, tuple[Moment, ...], int], tuple[Database, Built]] = {}

    def once(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        # The database is kept too: while it lives, no other one can have its id.
        key = (id(database), tuple(cutoffs), seed)
        if key not in kept:
            kept[key] = (database, build(database, cutoffs, seed))
        return kept[key][1]

    return once


__all__ = ["checks", "pair_checks", "prove", "remembered"]
