"""Far months decide which features are kept, group by group, and the choice is written into the plan whole or not at all."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import pair_shop as shop
from foreproof.app.ablation import apply_policies, variants_of
from foreproof.core.plan import plan_of
from foreproof.core.score_binary import auc
from foreproof.engine.ablate import ablate, choose_policies
from foreproof.engine.prequential import Months, Prequential
from foreproof.errors import BadInput, PlanError
from foreproof.workloads.propensity import Policies

PLAN = shop.plan()
N = 150


def frozen(good: dict[int, dict[str, tuple[float, float]]], *, rare: str = "") -> Prequential:
    """Months of pairs; good: by month and group, how clearly `full` and `safe` see who buys."""
    rng = np.random.default_rng(2)
    parts = []
    for month, groups in good.items():
        for group, (full, safe) in groups.items():
            y = (rng.uniform(size=N) < (0.04 if group == rare else 0.4)).astype(float)
            noise = rng.normal(size=N)
            said = {n: 1 / (1 + np.exp(-(s * (2 * y - 1) + noise))) for n, s in (("full", full), ("safe", safe))}
            columns: dict[str, Any] = {
                "customer": [f"c{i}" for i in range(N)],
                "kind": [group] * N,
                "cutoff": [month] * N,
            }
            parts.append(pl.DataFrame({**columns, "month": month, "segment": "whitespace", "y": y, **said}))
    rows = pl.concat(parts)
    months = Months(0, tuple(good), len(good))
    return Prequential(months, rows, pl.DataFrame({"variant": ["full", "safe"]}), pl.DataFrame())


def test_a_gain_that_is_gone_after_the_first_month_is_not_paid_for() -> None:
    near = {"bread": (3.0, 0.5), "cheese": (3.0, 0.5)}
    even = {"bread": (1.0, 1.0), "cheese": (1.0, 1.0)}
    found = ablate(PLAN, frozen({1: near, 2: near, 3: even, 4: even}), replicates=100)
    assert found.far == (3, 4)
    chosen = choose_policies(found, PLAN.policies, threshold=0.02)
    assert chosen.policies == Policies("safe")
    # The planted fault: were the first months to decide, all features would be kept.
    turned = ablate(PLAN, frozen({1: even, 2: even, 3: near, 4: near}), replicates=100)
    assert choose_policies(turned, PLAN.policies, threshold=0.02).policies == Policies("full")


def test_each_group_with_enough_buyers_has_the_policy_that_its_own_far_months_speak_for() -> None:
    month = {"bread": (2.5, 0.2), "cheese": (1.0, 1.0), "dill": (2.5, 0.2)}
    found = ablate(PLAN, frozen({1: month, 2: month}, rare="dill"), replicates=100)
    chosen = choose_policies(found, PLAN.policies, threshold=0.02)
    assert chosen.policies == Policies("full", (("cheese", "safe"),))
    why = {row["group"]: row for row in chosen.table.iter_rows(named=True)}
    assert "fewer than 30: the policy of all groups" in why["dill"]["why"]
    assert why["cheese"]["high"] <= 0.02
    # One group asked for: the others keep what they had.
    before = Policies("safe", (("bread", "no_short"),))
    one = choose_policies(found, before, threshold=0.02, groups=("cheese",))
    assert one.policies == Policies("safe", (("bread", "no_short"),))
    assert one.table["group"].to_list() == ["cheese"]


def test_losses_are_differences_of_scores_over_the_far_months() -> None:
    data = frozen({1: {"bread": (2.0, 1.0)}, 2: {"bread": (2.0, 1.0)}})
    found = ablate(PLAN, data, replicates=50)
    far = data.rows.filter(pl.col("month") == 2)
    wanted = auc(far["y"], far["full"]) - auc(far["y"], far["safe"])
    lost = found.losses.filter(pl.col("group") == "bread", pl.col("metric") == "auc").row(0, named=True)
    assert lost["value"] == pytest.approx(wanted)
    assert lost["low"] <= wanted <= lost["high"]


def test_one_month_or_one_variant_cannot_decide() -> None:
    with pytest.raises(BadInput, match="the first one does not decide"):
        ablate(PLAN, frozen({1: {"bread": (1.0, 1.0)}}))
    lone = frozen({1: {"bread": (1.0, 1.0)}, 2: {"bread": (1.0, 1.0)}})
    with pytest.raises(BadInput, match="1 variants"):
        ablate(PLAN, Prequential(lone.months, lone.rows, pl.DataFrame({"variant": ["full"]}), pl.DataFrame()))


def test_the_choice_is_written_in_the_place_of_what_was_there(tmp_path: Path) -> None:
    import yaml

    project: Any = SimpleNamespace(folder=tmp_path, plan=plan_of(shop.PLAN))
    path = tmp_path / "foreproof.yaml"
    base = yaml.safe_dump({**shop.PLAN, "models": ["logistic"]}, sort_keys=False)
    path.write_text(base + "policy:\n  default: full\n  groups:\n    bread: safe\n# the end\n", encoding="utf-8")
    apply_policies(project, Policies("safe", (("cheese", "no_short"),)))
    text = path.read_text(encoding="utf-8")
    assert text == base + "policy: {default: safe, groups: {cheese: no_short}}\n# the end\n"
    apply_policies(project, Policies("safe_lite"))
    assert path.read_text(encoding="utf-8") == base + "policy: safe_lite\n# the end\n"
    with pytest.raises(PlanError, match="oracle"):
        apply_policies(project, Policies("oracle"))
    assert path.read_text(encoding="utf-8") == base + "policy: safe_lite\n# the end\n"


def test_variants_are_the_known_policies_and_those_of_the_plan() -> None:
    own = shop.plan(variants={"mild": {"nearest": 7}})
    assert variants_of(own) == ("full", "mild", "no_short", "safe_lite", "safe")
    assert variants_of(own, ("safe", "mild")) == ("full", "mild", "safe")
    with pytest.raises(BadInput, match="'oracle'"):
        variants_of(own, ("oracle",))
