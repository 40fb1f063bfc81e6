"""`foreproof ablate`: what is lost without the features that a leak could hide in, and the choice written into the plan."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

from foreproof.app.prequential import Evaluation, asked_of, facts_of, write_evaluation
from foreproof.app.project import PLAN_FILE, Project
from foreproof.core.plan import parse_yaml
from foreproof.core.ports import Progress
from foreproof.engine.ablate import Ablated, Chosen, ablate, choose_policies, far_of
from foreproof.engine.line import Bench
from foreproof.engine.prequential import ALL, GROUP, VARIANT, FreezeTerms, months_of, prequential
from foreproof.errors import BadInput
from foreproof.features.policy import POLICIES
from foreproof.workloads.propensity import SEGMENT, Policies, PropensityPlan, parse_propensity

_BLOCK = re.compile(r"(?m)^policy:.*(?:\n[ \t]+\S.*)*$")
"""A top-level `policy:`, with the indented lines that belong to it."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """What was found, the policies it speaks for, and the page."""

    found: Ablated
    chosen: Chosen
    page: Path


def run_ablation(
    project: Project, variants: Sequence[str], terms: FreezeTerms, *, threshold: float, progress: Progress
) -> Ablation:
    """Freeze every variant, judge the far months, choose for all groups and for each, and write `ablation/ID/`."""
    plan, database = project.propensity, facts_of(project)
    bench = Bench(project.steps, project.settings.workers, progress)
    names = variants_of(plan, variants)
    far_of(months_of(plan, database, plan.task.panel(database), terms))  # before anything is fitted
    # All groups are scored month by month; single ones over the far months, where enough buyers come together.
    frozen = prequential(plan, database, names, terms, bench)
    found = ablate(plan, frozen, groups=terms.groups, replicates=terms.replicates)
    chosen = choose_policies(found, plan.policies, threshold=threshold, groups=terms.groups)
    grid = plan.task.series.grid
    lines = [
        f"Frozen at {grid.say(frozen.months.freeze)}, {frozen.months.settled} settled months; months "
        f"{', '.join(map(str, found.far))} decide.",
        f"Chosen is the safest policy that surely loses at most {threshold:g} of AUC on whitespace pairs.",
    ]
    frames = {
        "policies": chosen.table,
        "losses": loss_table(found),
        "scores": frozen.scores,
        "months": frozen.flags,
    }
    asked = {"variants": list(names), "threshold": threshold, **asked_of(terms)}
    title = "Policies of features, frozen and far from the freeze"
    page = write_evaluation(project, Evaluation("ablation", title, lines, frames, asked), frozen)
    return Ablation(found, chosen, page)


def variants_of(plan: PropensityPlan, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """The policies that are compared: all features first, then those wanted, or every known one, in order of safety."""
    known = (*(variant.name for variant in plan.variants), *POLICIES[1:])
    unknown = [name for name in wanted if name not in (POLICIES[0], *known)]
    if unknown:
        raise BadInput("--variant", found=repr(unknown[0]), wanted=f"some of {', '.join([POLICIES[0], *known])}")
    return (POLICIES[0], *(name for name in known if not wanted or name in wanted))


def apply_policies(project: Project, policies: Policies) -> tuple[Path, str]:
    """Write `policy:` into the plan's file, whole or not at all; returns the file and the line."""
    path = project.folder / PLAN_FILE
    text = path.read_text(encoding="utf-8")
    value = {"policy": policies.plain()}
    line = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).strip()[1:-1]
    found = _BLOCK.sub(lambda _: line, text) if _BLOCK.search(text) else f"{text.rstrip()}\n{line}\n"
    parse_propensity(project.plan.having(**value))  # a policy that is not known is refused before anything is written
    if parse_yaml(found, name=PLAN_FILE).get("policy") != value["policy"]:
        raise BadInput(str(path), found="a plan that does not take the line", wanted=line, fix="write it by hand")
    half = path.with_name(f".{PLAN_FILE}.half")
    half.write_text(found, encoding="utf-8")
    os.replace(half, path)
    return path, line


def loss_table(found: Ablated) -> pl.DataFrame:
    """Scores of every variant beside what it lost."""
    losses = found.losses.rename({"value": "lost", "low": "lost_low", "high": "lost_high"})
    on = [VARIANT, SEGMENT, GROUP, "metric"]
    joined = found.scores.join(losses, on=on, how="left", maintain_order="left")
    first = pl.col(GROUP) != ALL
    return joined.sort(SEGMENT, first, GROUP, "metric", maintain_order=True)


__all__ = ["Ablation", "apply_policies", "loss_table", "run_ablation", "variants_of"]
