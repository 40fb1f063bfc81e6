"""The stages of a propensity run: the same names in the same order, other work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from foreproof.app.project import Project
from foreproof.app.stages import (
    FORECAST,
    Work,
    before_final,
    beside_of,
    check,
    cutoff_of,
    database_of,
    load,
    looked,
)
from foreproof.core.clock import Moment, ticks
from foreproof.core.trial import Build, Built
from foreproof.core.view import Database
from foreproof.engine.challenger import judge_challenger, shadowed
from foreproof.engine.cutoff import latest_cutoff
from foreproof.engine.decide import origins
from foreproof.engine.folds import fold_customers
from foreproof.engine.judge import judge_pairs, judged_rows
from foreproof.engine.known import check_list, known_at
from foreproof.engine.line import Bench, ladder
from foreproof.engine.list_scenarios import list_scenarios
from foreproof.engine.pairs import check_groups, pair_builder
from foreproof.engine.past_lists import (
    PastList,
    Recalled,
    list_gains,
    outcomes_of,
    past_lists,
    ranking_at,
    replay_lists,
    thresholds,
)
from foreproof.engine.prove import prove
from foreproof.engine.shortlist import list_now
from foreproof.workloads.propensity import PropensityPlan


def features(work: Work) -> Work:
    """Settle the cutoff and compile features for it: what would be served, as known then."""
    plan, database = work.project.propensity, database_of(work)
    check_groups(plan.task.panel(database), [group for group, _ in plan.policies.groups], subject="policy.groups")
    cutoff = latest_cutoff(plan, database)
    line = ladder(plan, cutoff, plan.backtest.origins + 1)
    final = pair_builder(plan, work.bench)(database, (cutoff,), plan.plan.seed)
    check_list(plan, database, plan.task.panel(database), cutoff)
    return replace(work, cutoff=cutoff, origins=tuple(line[:-1]), final=final)


def train(work: Work) -> Work:
    """Fit every classifier at every cutoff that is served or calibrates; blend and calibrate."""
    plan, cutoffs = work.project.propensity, (*work.origins, cutoff_of(work))
    database = database_of(work)
    built = pair_builder(plan, work.bench)(database, cutoffs, plan.plan.seed)
    chances = built.forecasts.detail
    if plan.challenger is not None:
        other = pair_builder(plan.challenger, work.bench)(database, cutoffs, plan.plan.seed)
        chances = shadowed(chances, other.forecasts.detail)
    return replace(work, built=built, chances=chances)


def score(work: Work) -> Work:
    """Judge the past cutoffs, repeat and whitespace pairs apart."""
    plan = work.project.propensity
    past, seed = origins(work.chances, before=cutoff_of(work)), plan.plan.seed
    judged = judge_pairs(plan, before_final(work), past, seed=seed)
    challenged = None
    if plan.challenger is not None:
        challenged = judge_challenger(plan, before_final(work), past, seed=seed)
    last = work.origins[-1]
    folds = fold_customers(plan, database_of(work), last, work.chances[last], work.bench)
    return replace(work, judged=judged, challenged=challenged, folds=folds)


def gauntlet(work: Work) -> Work:
    """Every check beside its planted fault, over the judged cutoffs."""
    plan = work.project.propensity
    work = looked(work)
    build, beside = pair_builder(plan, work.bench), replace(beside_of(work), safe=safe_builder(plan, work.bench))
    verdicts = prove(plan, database_of(work), work.origins, build, progress=work.progress, beside=beside)
    return replace(work, verdicts=tuple(verdicts))


def safe_builder(plan: PropensityPlan, bench: Bench) -> Build:
    """The pipeline on SAFE features, made when asked for: a plan without any is for the check to say, and stops no run."""

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        return pair_builder(plan.under("safe"), bench)(database, cutoffs, seed)

    return build


def shortlist(work: Work) -> Work:
    """Whom to call now, and what past lists would have caught."""
    plan = work.project.propensity
    if plan.shortlist is None or work.built is None:
        return work
    database, cutoff, seed = database_of(work), cutoff_of(work), plan.plan.seed
    panel, rows = plan.task.panel(database), work.built.rows
    known = {c: known_at(plan, database, panel, c, rows) for c in work.chances}
    served = origins(work.chances, before=cutoff)
    judged = judged_rows(plan, before_final(work), served)
    past = past_lists(plan, judged, served, known)
    ranking = ranking_at(plan, judged, cutoff)
    before = past[max(past, key=ticks)].rows if past else None
    listed = list_now(plan, work.chances[cutoff], known[cutoff], before, by=ranking.by)
    outcomes = outcomes_of(plan, judged)
    newest = PastList(listed.chosen.rows, listed.beliefs, plan.shortlist, ranking)
    recalled = Recalled(
        ranking=ranking,
        thresholds=thresholds(plan, past, newest, cutoff),
        gains=list_gains(plan, outcomes, past),
        scenarios=list_scenarios(plan, outcomes, past, seed=seed),
    )
    lists = replay_lists(plan, outcomes, past, seed=seed)
    return replace(work, lists=lists, listed=listed, recalled=recalled)


PROPENSITY: Mapping[str, Callable[[Work], Work]] = {
    "check": check,
    "load": load,
    "features": features,
    "train": train,
    "backtest": score,
    "prove": gauntlet,
    "predict": lambda work: work,
    "decide": shortlist,
}


def pipeline(project: Project) -> Mapping[str, Callable[[Work], Work]]:
    """The stages of a project's workload."""
    return FORECAST if project.plan.workload == "forecast" else PROPENSITY


__all__ = ["PROPENSITY", "pipeline", "safe_builder"]
