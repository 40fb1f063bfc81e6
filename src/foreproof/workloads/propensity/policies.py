"""Which policy of features each group has: one for all, or one by default and others for single groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from foreproof.core.section import Section
from foreproof.errors import BadInput, PlanError
from foreproof.features.declare import Feature
from foreproof.features.policy import POLICIES, Policy, policy_of, swapped


@dataclass(frozen=True, slots=True)
class Policies:
    """default: the policy of every group that `groups` does not name. groups: (group, policy), sorted."""

    default: str = "full"
    groups: tuple[tuple[str, str], ...] = ()

    @property
    def used(self) -> tuple[str, ...]:
        """Every policy that some group has, the default first."""
        return tuple(dict.fromkeys([self.default, *sorted(policy for _, policy in self.groups)]))

    def of(self, group: str) -> str:
        """The policy of a group."""
        return dict(self.groups).get(group, self.default)

    def column(self, group: str) -> pl.Expr:
        """The policy of each row by its column of groups."""
        return pl.col(group).replace_strict(dict(self.groups), default=self.default, return_dtype=pl.String)

    def plain(self) -> Any:
        """The value of `policy` in a plan."""
        if not self.groups:
            return self.default
        return {"default": self.default, "groups": dict(self.groups)}


def parse_policies(root: Section, variants: Sequence[Policy], groups: Sequence[str]) -> Policies:
    """The plan's `policy`: a name, or `{default: NAME, groups: {GROUP: NAME}}`. groups: those declared. Raises PlanError."""
    names = (*POLICIES, *(variant.name for variant in variants))
    if not isinstance(root.raw("policy", default="full"), Mapping):
        return Policies(root.choice("policy", names, default="full"))
    section = root.section("policy")
    by_group = section.section("groups", default={})
    unknown = [group for group in by_group if groups and group not in groups]
    if unknown:
        wanted = f"one of {', '.join(groups)}"
        raise PlanError(
            f"{by_group.path}.{unknown[0]}", found="a group that pairs.groups does not declare", wanted=wanted
        )
    default = section.choice("default", names, default="full")
    own = {group: by_group.choice(group, names) for group in by_group}
    section.done()
    return Policies(default, tuple(sorted((group, policy) for group, policy in own.items() if policy != default)))


def features_under(
    declared: Sequence[Feature], policies: Policies, variants: Sequence[Policy], *, horizon: int
) -> tuple[Feature, ...]:
    """What the policies leave of the declared features, together, each once. Raises BadInput."""
    found: dict[Feature, None] = {}
    for name in policies.used:
        if name not in POLICIES and name not in {variant.name for variant in variants}:
            wanted = f"one of {', '.join([*POLICIES, *(variant.name for variant in variants)])}"
            raise BadInput("policy", found=repr(name), wanted=wanted, fix="declare it under variants:")
        policy = policy_of(name, horizon=horizon, variants=variants)
        found |= dict.fromkeys(declared if name == "full" else swapped(declared, policy, horizon=horizon))
    return tuple(found)


__all__ = ["Policies", "features_under", "parse_policies"]
