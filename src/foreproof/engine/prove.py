"""Put a plan's pipeline through the gauntlet, each check beside its planted fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.cuts import Cuts
from foreproof.core.ports import Progress
from foreproof.core.predict import CUTOFF
from foreproof.core.trial import Build, Built, Kind, Live, Repeat, Trial, Verdict, Witness, proven
from foreproof.core.view import Database, Table
from foreproof.engine.build import scaled_rows
from foreproof.engine.pairs import member_rows
from foreproof.engine.scale import separable
from foreproof.errors import BadInput
from foreproof.features.population import population_of
from foreproof.gauntlet.holm import finalised
from foreproof.gauntlet.leaks.zoo import leaks_nothing, planted
from foreproof.gauntlet.registry import entries, suite
from foreproof.models.scaling import SCALE
from foreproof.workloads.forecast import ForecastPlan, column_of
from foreproof.workloads.propensity import PropensityPlan


@dataclass(frozen=True, slots=True)
class Beside:
    """What a proof has beside the pipeline.

    repeat: the same build in another process. safe: the same pipeline on SAFE features. looks: at these cutoffs' outcomes, this
    one included. loaded: by table, the ticks at which the log says that each batch was loaded. scored: rows as earlier runs
    scored them live, in the columns of `Built.rows` or some.
    """

    repeat: Repeat | None = None
    safe: Build | None = None
    looks: int = 1
    loaded: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    scored: pl.DataFrame | None = None


def prove(
    plan: ForecastPlan | PropensityPlan,
    database: Database,
    cutoffs: Sequence[Moment],
    build: Build,
    *,
    progress: Progress,
    beside: Beside | None = None,
) -> list[Verdict]:
    """One verdict a check of the plan's workload, in order; on a check that does not run, the verdict that says so.

    database: the log's, as the workload reads it; the pipeline is held to it. Statistical alarms are corrected over the whole
    proof. A leak that the plan plants is planted before anything is judged; BadInput where no check fails because it
    leaks nothing.
    """
    given = beside or Beside()
    trial = trial_of(plan, database, cutoffs, build, repeat=given.repeat)
    witness = Witness(database, given.loaded)
    trial = replace(trial, safe=given.safe, looks=given.looks, witness=witness, scored=given.scored)
    honest, plant = trial, plan.proof.plant
    if plant:
        trial = held(planted(plant, honest))
    checks, known = suite(plan.proof, trial.kind), entries(plan.proof)
    progress.stage("prove", len(checks))
    verdicts = []
    for check in checks:
        done = check if isinstance(check, Verdict) else proven(check, trial)
        # A plugin's check might say another name than its own.
        verdicts.append(replace(done, name=check.name, tier=known[check.name].tier))
        progress.advance(1)
    if plant and not any(verdict.outcome == "failed" for verdict in verdicts):
        _refuse_idle(plant, honest, trial)
    return finalised(verdicts, alpha=plan.proof.family)


def trial_of(
    plan: ForecastPlan | PropensityPlan,
    database: Database,
    cutoffs: Sequence[Moment],
    build: Build,
    *,
    repeat: Repeat | None = None,
) -> Trial:
    """A plan's pipeline as the gauntlet sees it; what is built from the database or a cut of it is built once."""
    task, forecast = plan.task, isinstance(plan, ForecastPlan)
    cuts = Cuts(database)
    kind: Kind = "quantity" if forecast else "chance"
    return Trial(
        database,
        tuple(cutoffs),
        task.entity,
        task.horizon,
        plan.plan.seed,
        remembered(build, keeps=cuts.owns),
        task.series.grid,
        kind=kind,
        delay=task.delay,
        nearness=nearness_of(plan),
        carried=task.series.gap == "carry",
        cuts=cuts,
        live=live_of(plan),
        repeat=repeat,
        witness=Witness(database),
    )


def _refuse_idle(name: str, honest: Trial, spoiled: Trial) -> None:
    """A leak that leaks nothing is no leak that was missed, and must not look like one."""
    if leaks_nothing(name, honest, spoiled):
        raise BadInput(
            "proof.plant",
            found=f"{name}, which leaks nothing on these data: its honest twin builds the same but for columns of one value",
            wanted="a leak that changes something",
            fix="plant another one; docs/zoo.md says what each does",
        )


def held(trial: Trial) -> Trial:
    """The same trial; what its pipeline builds from the database or a cut of it is kept, as a planted leak's is not."""
    cuts = trial.cuts if trial.cuts is not None and trial.cuts.database is trial.database else Cuts(trial.database)
    return replace(trial, cuts=cuts, build=remembered(trial.build, keeps=cuts.owns))


def nearness_of(plan: ForecastPlan | PropensityPlan) -> dict[str, int | None]:
    """By column of the rows, how near to the cutoff it is declared to read; the scale of a series reads up to it."""
    horizon = plan.task.horizon
    if isinstance(plan, PropensityPlan):
        return {feature.name: feature.meta(horizon).nearness for feature in plan.features}
    return {column_of(feature): feature.meta(horizon).nearness for feature in plan.features} | {SCALE: 0}


def live_of(plan: ForecastPlan | PropensityPlan) -> Live | None:
    """How serving makes the rows of a few entities alone; None where they depend on all others.

    A pair is asked about alone, of all tables. A series is cut out of the table of facts, as a chunk of `engine.scale` is.
    """
    if isinstance(plan, PropensityPlan):
        return lambda database, cutoff: _pairs_alone(plan, database, cutoff)
    return (lambda database, cutoff: _series_alone(plan, database, cutoff)) if separable(plan) else None


def _pairs_alone(plan: PropensityPlan, database: Database, cutoff: Moment) -> Callable[[pl.DataFrame], pl.DataFrame]:
    grid, entity = plan.task.series.grid, plan.task.entity
    clock = pl.lit(cutoff, dtype=pl.Int64() if isinstance(cutoff, int) else pl.Datetime("us", "UTC")).alias(CUTOFF)

    def rows(asked: pl.DataFrame) -> pl.DataFrame:
        return member_rows(plan, database, population_of(asked.with_columns(clock), entity, grid=grid))

    return rows


def _series_alone(plan: ForecastPlan, database: Database, cutoff: Moment) -> Callable[[pl.DataFrame], pl.DataFrame]:
    name, entity = plan.task.series.table, list(plan.task.entity)

    def rows(asked: pl.DataFrame) -> pl.DataFrame:
        facts = database[name]
        own = Table(facts.contract, facts.rows.join(asked, on=entity, how="semi", maintain_order="left"))
        alone = Database({**database.tables, name: own})
        return scaled_rows(plan, alone, plan.task.panel(alone), [cutoff])

    return rows


def remembered(build: Build, *, keeps: Callable[[Database], bool] = lambda database: True) -> Build:
    """The same pure function, each result kept for the next check that asks for the same database and cutoffs.

    keeps: of which databases; a planted fault's own is built from once, and would only take room.
    """
    kept: dict[tuple[int, tuple[Moment, ...], int], tuple[Database, Built]] = {}

    def once(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        # The database is kept too: while it lives, no other one can have its id.
        key = (id(database), tuple(cutoffs), seed)
        if key in kept:
            return kept[key][1]
        built = build(database, cutoffs, seed)
        if keeps(database):
            kept[key] = (database, built)
        return built

    return once


__all__ = ["Beside", "held", "live_of", "nearness_of", "prove", "remembered", "trial_of"]
