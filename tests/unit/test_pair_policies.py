"""A policy for each group: which features its members are fitted on, and how a plan says so."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import pair_shop as shop
from foreproof.engine.cutoff import latest_cutoff
from foreproof.engine.pairs import check_groups, pair_builder, rows_under
from foreproof.errors import BadInput, PlanError
from foreproof.features.policy import Policy, moved, policy_of
from foreproof.features.viewed import Custom
from foreproof.workloads.propensity import Policies

MIXED = {"default": "full", "groups": {"bread": "safe", "cheese": "full"}}


def test_a_plan_says_one_policy_or_one_a_group() -> None:
    assert shop.plan().policies == Policies()
    assert shop.plan(policy="safe").policies == Policies("safe")
    made = shop.plan(policy=MIXED)
    assert made.policies == Policies("full", (("bread", "safe"),))
    assert made.policies.used == ("full", "safe")
    assert [made.policies.of(group) for group in ("bread", "cheese", "new")] == ["safe", "full", "full"]
    assert shop.plan(policy=made.policies.plain()).policies == made.policies
    assert made.under("safe").policies == Policies("safe")
    assert made.names_under("safe") == {feature.name for feature in shop.plan(policy="safe").features}


def test_features_of_all_policies_are_compiled_once_and_each_learns_from_its_own() -> None:
    made = shop.plan(policy=MIXED, missing={"flags": True})
    names = [feature.name for feature in made.features]
    assert len(names) == len(set(names))
    rows = pl.DataFrame({name: [1.0] for name in [*names, *(f"{name}_missing" for name in names), "other"]})
    for policy in ("full", "safe"):
        kept = made.names_under(policy)
        assert set(rows_under(made, policy, rows).columns) == {*kept, *(f"{name}_missing" for name in kept), "other"}
    alone = shop.plan()
    assert rows_under(alone, "full", rows) is rows


def test_each_group_has_the_members_of_its_policy() -> None:
    """The mixed plan's members say of bread what an all-SAFE plan's say, and of the others what a plan without policy says."""
    data, bench = shop.database(shop.plan()), shop.bench()
    made = {
        name: shop.plan(policy=policy, choice="pooled")
        for name, policy in (("mixed", MIXED), ("full", "full"), ("safe", "safe"))
    }
    cutoff = latest_cutoff(made["full"], data)
    rows = {
        name: pair_builder(one, bench)(data, (cutoff,), 3)
        .forecasts.detail[cutoff]
        .rows.select("customer", "kind", "logistic", "stiff")
        for name, one in made.items()
    }
    bread = pl.col("kind") == "bread"
    assert_frame_equal(rows["mixed"].filter(bread), rows["safe"].filter(bread))
    assert_frame_equal(rows["mixed"].filter(~bread), rows["full"].filter(~bread))
    assert not rows["full"].filter(bread).equals(rows["safe"].filter(bread))


def test_a_variant_of_the_plan_is_a_policy_like_the_others() -> None:
    made = shop.plan(variants={"mild": {"nearest": 14, "without": ["recency"]}}, policy="mild")
    assert made.variants == (Policy("mild", 14, 0, ("recency",)),)
    assert {feature.meta(14).family for feature in made.features} == {"events"}
    assert all((feature.meta(14).nearness or 0) >= 14 for feature in made.features)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"policy": "oracle"}, "policy: 'oracle'"),
        ({"policy": {"default": "oracle"}}, r"policy\.default"),
        ({"policy": {"groups": {"bread": "oracle"}}}, r"policy\.groups\.bread"),
        ({"policy": {"defualt": "full"}}, "did you mean 'default'"),
        ({"variants": {"safe": {"nearest": 3}}}, "a policy that there is"),
        ({"variants": {"mild": {}}}, "drops nothing"),
        ({"variants": {"mild": {"without": ["magic"]}}}, "'magic'"),
        ({"variants": {"mild": {"nearest": -1}}}, "at least 0"),
        ({"challenger": {}}, "nothing that differs"),
        ({"challenger": {"horizon": 7}}, "challenger.horizon: an unknown setting"),
        ({"challenger": {"models": ["oracle"]}}, r"challenger\.models.*oracle"),
        ({"choice": "mine"}, "one of pooled, group"),
        ({"folds": {"count": 1}}, r"folds\.count"),
    ],
)
def test_what_a_plan_cannot_say_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        shop.plan(**changes)


def test_a_group_that_is_not_there_is_refused() -> None:
    declared = {**shop.PLAN["pairs"], "groups": ["bread", "cheese"]}
    with pytest.raises(PlanError, match="does not declare"):
        shop.plan(pairs=declared, policy={"groups": {"eggs": "safe"}})
    made = shop.plan()
    panel = made.task.panel(shop.database(made))
    check_groups(panel, ["bread"], subject="policy.groups")
    with pytest.raises(BadInput, match="'eggs', an unknown group; wanted some of apples, bread, cheese"):
        check_groups(panel, ["bread", "eggs"], subject="policy.groups")


def test_a_challenger_is_the_same_plan_but_for_what_it_names() -> None:
    made = shop.plan(challenger={"models": ["logistic"], "policy": "safe"})
    other = made.challenger
    assert other is not None
    assert (other.task, other.backtest, other.calibrators) == (made.task, made.backtest, made.calibrators)
    assert [model.name for model in other.models] == ["logistic"]
    assert other.policies == Policies("safe")
    assert made.under("full").challenger is None


def test_a_function_of_the_users_own_is_dropped_by_a_policy_and_never_said_to_read_something_else() -> None:
    own = Custom("mine:f", window=10)
    assert moved(own, policy_of("safe", horizon=14), horizon=14) == own
