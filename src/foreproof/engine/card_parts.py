"""Parts of model cards: how near features read, how customers were cut, what a group believes, who is listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from foreproof.decisions.listed import fairness
from foreproof.decisions.shortlist import SEGMENT as SIZE
from foreproof.engine.chances import Choice
from foreproof.engine.shortlist import Listed
from foreproof.features.declare import Feature
from foreproof.features.policy import POLICIES, policy_of
from foreproof.models.calibrate_choice import Chosen
from foreproof.workloads.propensity import PropensityPlan

Row = dict[str, Any]


def safe_words(features: Sequence[Feature], *, horizon: int) -> str:
    """Whether features keep SAFE's rule, and how many do not; what reads no past fact keeps it."""
    rule = policy_of("safe", horizon=horizon)
    near = [feature.name for feature in features if not rule.keeps(feature, horizon)]
    said = f"nothing nearer than {rule.nearest} steps, no window under {rule.shortest}, no recency"
    if not near:
        return f"SAFE: {said}"
    return f"not SAFE ({said}): {len(near)} of {len(features)} features do not keep it, the first {near[0]}"


def safe_state(plan: PropensityPlan, policies: Sequence[str]) -> str:
    """The SAFE state of the features that some policies leave, each policy in turn."""
    told = []
    for policy in policies:
        features = plan.under(policy).features
        told.append(
            f"{policy if policy in POLICIES else f'{policy} (of the plan)'}: {safe_words(features, horizon=plan.task.horizon)}"
        )
    return "; ".join(told)


def fold_words(plan: PropensityPlan, manifest: Mapping[str, Any]) -> str:
    """How customers are cut into folds, and what was checked of it. manifest: of `engine.folds`, or empty."""
    folds = plan.folds
    words = f"{folds.count} folds of accounts by a hash with seed {plan.plan.seed}, purge of {folds.purge} days"
    if not manifest:
        return f"{words}; not cut yet"
    return (
        f"{words}; {manifest['splits']} splits checked: {manifest['overlap']} accounts on both sides, "
        "every label settled before its test cutoff"
    )


def fold_rows(manifest: Mapping[str, Any]) -> list[Row]:
    """`fold`, `customers`, `rows`, `positives` at the last cutoff that was cut."""
    counts = manifest.get("counts", ())
    if not counts:
        return []
    last = max(row["cutoff"] for row in counts)
    names = ("fold", "customers", "rows", "positives")
    return [{name: row[name] for name in names} for row in counts if row["cutoff"] == last]


def belief_words(choice: Choice | None, chosen: Chosen | None) -> Mapping[str, str]:
    """Estimator, calibrator and why: of a group, else of its segment."""
    if choice is not None:
        words = f"{choice.calibrator}, learned from {choice.buyers} settled buyers"
        return {"estimator": choice.estimator, "calibration": words, "why": choice.why}
    if chosen is not None:
        return {"estimator": "blend", "calibration": chosen.name, "why": chosen.why}
    return {"calibration": "none"}


def fair_rows(listed: Listed | None, group: str, name: str) -> list[Row]:
    """By segment of account the shares `listed`, of the `population`, of expected `buyers`, and `ratio`; of one group, or all.

    group: the column of groups; name: the group, empty for all.
    """
    if listed is None:
        return []
    if not name:
        return listed.fair.to_dicts()
    rows, beliefs = (frame.filter(pl.col(group) == name) for frame in (listed.chosen.rows, listed.beliefs))
    return fairness(rows, beliefs, SIZE).to_dicts() if rows.height else []


__all__ = ["belief_words", "fair_rows", "fold_rows", "fold_words", "safe_state", "safe_words"]
