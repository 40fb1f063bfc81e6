"""Model cards from what a run found: one for the whole model, and for a propensity one for each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.clusters import cluster_bootstrap, statistics_of
from foreproof.core.run import Run
from foreproof.core.score_binary import reliability
from foreproof.core.trial import Built, Verdict
from foreproof.engine.backtest import Scored
from foreproof.engine.card_parts import belief_words, fair_rows, fold_rows, fold_words, safe_state, safe_words
from foreproof.engine.chances import HEURISTIC, MODEL
from foreproof.engine.judge import judged_rows
from foreproof.engine.pairs import BASE, P, PairServed
from foreproof.engine.shortlist import Listed
from foreproof.errors import BadInput
from foreproof.explain import Card, Figure, known_limits
from foreproof.workloads.forecast import OURS, ForecastPlan
from foreproof.workloads.propensity import SEGMENT, WHITESPACE, PropensityPlan

SHARES = (0.01, 0.05, 0.1)
"""Of the pairs from the top, at which capture and thresholds are told."""
_METRICS = ("auc", "pr_auc", "brier", "calibration_mae")
_REPLICATES = 300


def forecast_card(plan: ForecastPlan, run: Run, scored: Scored, verdicts: Sequence[Verdict]) -> Card:
    """The card of a forecast: the combination that is served, judged at the past origins."""
    task, backtest = plan.task, plan.backtest
    ours = scored.overall.filter(pl.col("model") == OURS)
    figures = [
        Figure(str(row["metric"]), row["value"], n=int(row["n"]))
        for row in ours.drop_nulls("value").iter_rows(named=True)
    ]
    figures += [
        Figure(f"coverage of {row['nominal']:.0%}", row["coverage"], row["low"], row["high"], "share", int(row["n"]))
        for row in scored.coverage.drop_nulls("coverage").iter_rows(named=True)
    ]
    steps = scored.by_step.filter(pl.col("model") == OURS).drop_nulls("value")
    curves = steps.filter(pl.col("metric").is_in(["wape", "mase"])).pivot("metric", index="step", values="value")
    made = {
        "predicts": f"{task.series.value} of {task.series.table}, by {', '.join(task.entity) or 'one series'}, "
        f"{task.horizon} steps ahead",
        "members": ", ".join(model.name for model in plan.models),
        "safe state": safe_words(plan.features, horizon=task.horizon),
        "calibration": "conformal: quantiles of residuals at settled origins, a step's own from "
        f"{plan.calibration.enough} on, else with its neighbours'; how often they held stands beside",
        "splits": f"{backtest.origins} past origins {backtest.every} steps apart, each with models and weights of its own; "
        f"intervals from up to {backtest.calibrations} settled origins before it",
        "gap law": f"a label is used once origin + step + delay ({task.delay}) has passed",
    }
    return Card(
        name=run.name,
        workload=run.workload,
        run=run.id,
        cutoff=run.cutoff,
        status=run.status,
        intended=f"Quantiles of {task.series.value} for planning {task.horizon} steps ahead, and orders made from them. "
        "Not for series without a past, and not for what a plan or a price never tried before would do.",
        made={**made, **_common(run)},
        figures=tuple(figures),
        tables={"by step": curves.sort("step").to_dicts() if curves.width else []},
        verdicts=tuple(verdicts),
        inflation=inflation_of(verdicts),
        limits=known_limits(verdicts),
        links=_links(run),
    )


@dataclass(frozen=True, slots=True)
class PairFacts:
    """What a run made, for its cards.

    served: at the past cutoffs, judged by `built`. now: at the cutoff that is served; without it the last past one. listed: the
    list, folds: the manifest of `engine.folds`; both may be missing.
    """

    built: Built
    served: Mapping[Moment, PairServed]
    now: PairServed | None = None
    listed: Listed | None = None
    folds: Mapping[str, Any] = field(default_factory=dict)

    @property
    def latest(self) -> PairServed:
        """What is served, or would have been."""
        return self.now or self.served[max(self.served, key=ticks)]


def pair_cards(plan: PropensityPlan, run: Run, facts: PairFacts, verdicts: Sequence[Verdict]) -> list[Card]:
    """A card for all groups, then one a group.

    Figures are of whitespace pairs over all past cutoffs, with intervals that draw whole accounts (300 draws). The badge is that
    of the group's choice. Raises BadInput where no past cutoff was judged.
    """
    rows = judged_rows(plan, facts.built, facts.served).filter(pl.col(SEGMENT) == WHITESPACE)
    group = plan.task.group
    parts = [(str(name), part) for (name,), part in rows.sort(group).group_by([group], maintain_order=True)]
    cards = [_pair_card(plan, run, name, part, facts) for name, part in parts]
    whole = _pair_card(plan, run, "", rows, facts)
    whole = replace(whole, tables={**whole.tables, "what each group believes": [_belief(card) for card in cards]})
    whole = replace(whole, tables={**whole.tables, "folds at the last cutoff": fold_rows(facts.folds)})
    proof = {"verdicts": tuple(verdicts), "inflation": inflation_of(verdicts), "limits": known_limits(verdicts)}
    return [replace(card, **proof) for card in (whole, *cards)]  # type: ignore[arg-type]


def _belief(card: Card) -> dict[str, Any]:
    """One row of the table of all groups."""
    figures = {figure.name: figure for figure in card.figures}
    error, rate = figures.get("calibration_mae"), figures["base rate"]
    return {
        "group": card.group,
        "badge": card.badge,
        "policy": card.made["policy"],
        "estimator": card.made.get("estimator", "-"),
        "calibration": card.made["calibration"],
        "calibration error": error.value if error else None,
        "base rate": rate.value,
        "buyers": rate.n,
    }


def _pair_card(plan: PropensityPlan, run: Run, name: str, rows: pl.DataFrame, facts: PairFacts) -> Card:
    task, backtest = plan.task, plan.backtest
    chances = facts.latest.chances
    choice = chances.own.get((WHITESPACE, name))
    policies = (plan.policies.of(name),) if name else plan.policies.used
    kept = frozenset().union(*(plan.names_under(policy) for policy in policies))
    figures, top = _pair_figures(rows, task.account, seed=plan.plan.seed)
    where = f" in {name}" if name else ""
    made = {
        "predicts": f"a purchase{where} over (cutoff, cutoff + {task.horizon}] by an account without one in {task.owned} steps",
        "policy": " and ".join(policies),
        "features": f"{len(kept)}, {len(plan.declared)} declared",
        "safe state": safe_state(plan, policies),
        "members": ", ".join(model.name for model in plan.models),
        **belief_words(choice, chances.chosen.get(WHITESPACE)),
        "splits": f"{backtest.origins} past cutoffs {backtest.every} steps apart, members fitted on {backtest.examples} earlier "
        f"ones, blend and calibrator on {backtest.calibrations} settled ones",
        "folds": fold_words(plan, facts.folds),
        "purge": f"a label is used once cutoff + {task.horizon} + delay ({task.delay}) has passed",
    }
    both = rows.height > 0 and 0.0 < float(rows["y"].sum()) < rows.height
    told = reliability(rows["y"].to_numpy(), rows[P].to_numpy()).to_dicts() if both else []
    fair = fair_rows(facts.listed, task.group, name)
    return Card(
        name=run.name,
        workload=run.workload,
        run=run.id,
        cutoff=run.cutoff,
        status=run.status,
        group=name,
        badge=choice.badge if choice else MODEL if not name else HEURISTIC,
        intended=f"Ranking accounts to be called{where}, and the chance of a purchase. Not for refusing service, "
        "prices or credit, and not a measure of what a call changes.",
        made={**made, **_common(run)},
        figures=tuple(figures),
        tables={"top of the list": top, "fairness of the list": fair, "said against seen": told},
        links=_links(run),
    )


def _pair_figures(rows: pl.DataFrame, account: str, *, seed: int) -> tuple[list[Figure], list[dict[str, float]]]:
    """Scores with intervals, and for each share of the top its threshold, precision and capture."""
    y, p, n = rows["y"].to_numpy(), rows[P].to_numpy(), rows.height
    rate = float(y.mean()) if n else None
    figures = [Figure("base rate", rate, unit="share", n=int(y.sum()))]
    if not n or not 0.0 < float(y.sum()) < n:
        return figures, []
    shares = {f"capture{100 * share:g}": share for share in SHARES}
    statistics = statistics_of(y, p, shares=SHARES, names=(*_METRICS, *shares))
    try:
        drawn = cluster_bootstrap(
            rows[account].to_numpy(), statistics, rng=np.random.default_rng(seed), replicates=_REPLICATES
        ).intervals
    except BadInput:
        # too few buyers for an interval: the figure alone is told, and the badge says what stands in for the model
        drawn = {}
    once = np.ones(n)
    for metric, score in statistics.items():
        held = drawn.get(metric)
        low, high = (held.low, held.high) if held else (None, None)
        figures.append(Figure(metric, float(score(once)), low, high, n=int(y.sum())))
    ordered = rows.sort(P, descending=True)
    told = {figure.name: figure for figure in figures}
    top = []
    for name, share in shares.items():
        many = max(1, round(share * n))
        part = ordered.head(many)
        row = {"share": share, "pairs": float(many), "threshold": float(part[P][-1])}
        top.append({**row, "precision": float(part["y"].mean()), "capture": float(told[name].value or 0.0)})  # type: ignore[arg-type]
    by_rate = float(np.mean((rows[BASE].to_numpy() - y) ** 2))
    figures.append(Figure("brier of the base rate", by_rate, n=int(y.sum())))
    return figures, top


def inflation_of(verdicts: Sequence[Verdict]) -> Figure | None:
    """Reported score less score on the as-of replay, where a check measured it."""
    for verdict in verdicts:
        found = verdict.evidence.get("inflation")
        if isinstance(found, Mapping):
            return Figure(
                "replay inflation", found["estimate"], found["low"], found["high"], str(found.get("metric", ""))
            )
    return None


def _common(run: Run) -> dict[str, str]:
    data = ", ".join(f"{name} {digest[:12]}" for name, digest in sorted(run.data.items()))
    return {"data": data, "seed": str(run.seed), "commit": run.environment.commit, "machine": run.environment.machine}


def _links(run: Run) -> dict[str, str]:
    return {
        "page": "../index.html",
        "plan": "../plan_resolved.yaml",
        "plan digest": run.plan,
        "verifier": "../verify.py",
    }


__all__ = ["SHARES", "PairFacts", "forecast_card", "inflation_of", "pair_cards"]
