"""`foreproof ablate`: what is lost without the features that a leak could hide in, and the choice written into the plan."""

from __future__ import annotations

import os
import re
from pathlib import Path

import polars as pl

from foreproof.app.project import PLAN_FILE, Project
from foreproof.core.ports import Progress
from foreproof.engine.ablate import Ablated, ablate, choose_variant
from foreproof.engine.cutoff import latest_cutoff
from foreproof.engine.line import Bench, ladder
from foreproof.errors import BadInput
from foreproof.features.declare import Feature
from foreproof.features.policy import POLICIES, policy_of, swapped
from foreproof.workloads.propensity import WHITESPACE, PropensityPlan


def run_ablation(project: Project, *, progress: Progress) -> Ablated:
    """The policies of `features.policy` at the plan's past cutoffs, on the facts that are loaded."""
    plan = project.propensity
    missing = [contract.name for contract in plan.contracts if project.lake.version(contract.name) is None]
    if missing:
        raise BadInput(f"tables.{missing[0]}", found="no data", wanted="loaded facts", fix="foreproof load")
    database = project.database()
    cutoff = latest_cutoff(plan, database)
    cutoffs = ladder(plan, cutoff, plan.backtest.origins + 1)[:-1]
    bench = Bench(project.steps, project.settings.workers, progress)
    return ablate(plan, database, cutoffs, variants_of(plan), bench)


def variants_of(plan: PropensityPlan) -> dict[str, tuple[Feature, ...]]:
    """The plan's features under each policy, from all to the safest."""
    horizon = plan.task.horizon
    safer = {n: swapped(plan.declared, policy_of(n, horizon=horizon), horizon=horizon) for n in POLICIES[1:]}
    return {POLICIES[0]: plan.declared, **safer}


def chosen_policy(found: Ablated, *, threshold: float) -> str:
    """The safest policy whose loss of AUC on whitespace pairs is surely no more than the threshold."""
    return choose_variant(found, threshold=threshold, segment=WHITESPACE)


def apply_policy(project: Project, name: str) -> Path:
    """Write `policy:` into the plan's file, whole or not at all."""
    path = project.folder / PLAN_FILE
    text = path.read_text(encoding="utf-8")
    line = f"policy: {name}"
    found = re.sub(r"(?m)^policy:.*$", line, text) if re.search(r"(?m)^policy:", text) else f"{text.rstrip()}\n{line}\n"
    half = path.with_name(f".{PLAN_FILE}.half")
    half.write_text(found, encoding="utf-8")
    os.replace(half, path)
    return path


def loss_table(found: Ablated) -> pl.DataFrame:
    """Scores of every variant beside what it lost."""
    losses = found.losses.rename({"value": "lost", "low": "lost_low", "high": "lost_high"})
    joined = found.scores.join(losses, on=["variant", "segment", "metric"], how="left", maintain_order="left")
    return joined.sort("segment", "metric", maintain_order=True)


__all__ = ["apply_policy", "chosen_policy", "loss_table", "run_ablation", "variants_of"]
