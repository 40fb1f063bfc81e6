"""Policies that filter features by what they read: a filter over declared values, not other code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from foreproof.core.section import Section
from foreproof.errors import BadInput, PlanError
from foreproof.features.declare import Feature
from foreproof.features.viewed import Custom

_OUT = ("recency", "decay")
_FAMILIES = (
    "affinity",
    "ahead",
    "calendar",
    "custom",
    "decay",
    "events",
    "rates",
    "recency",
    "statics",
    "tenure",
    "windows",
)


@dataclass(frozen=True, slots=True)
class Policy:
    """Features that read nothing nearer to the cutoff than `nearest` steps, in no window shorter than `shortest`.

    without: families that are left out. What reads no past fact (calendars, dates known ahead, statics) stays.
    """

    name: str
    nearest: int = 0
    shortest: int = 0
    without: tuple[str, ...] = ()

    def keeps(self, feature: Feature, horizon: int) -> bool:
        """Whether a feature passes."""
        meta = feature.meta(horizon)
        if meta.family in self.without:
            return False
        if meta.nearness is None or meta.family == "statics":
            return True
        return meta.nearness >= self.nearest and (meta.window is None or meta.window >= self.shortest)


FULL = Policy("full")


def safe(*, nearest: int = 30, shortest: int = 182) -> Policy:
    """SAFE: nothing nearer than 30 steps, no window under half a year, no recency: what a leak near the cutoff cannot reach."""
    return Policy("SAFE", nearest, shortest, _OUT)


def safe_lite(*, shortest: int) -> Policy:
    """SAFE-lite: no short windows and no recency, but up to the cutoff itself."""
    return Policy("SAFE-lite", 0, shortest, _OUT)


def no_short(*, shortest: int) -> Policy:
    """No window shorter than so many steps."""
    return Policy("no short windows", 0, shortest)


def kept(features: Sequence[Feature], policy: Policy, *, horizon: int) -> tuple[Feature, ...]:
    """The features that pass; BadInput where none does."""
    found = tuple(feature for feature in features if policy.keeps(feature, horizon))
    if not found:
        raise BadInput(
            f"policy {policy.name}",
            found="no feature that passes",
            wanted="features with long windows that end well before the cutoff",
            fix=f"declare some with lag: {policy.nearest} and window: {max(policy.shortest, 1)} or more",
        )
    return found


POLICIES = ("full", "no_short", "safe_lite", "safe")


def policy_of(name: str, *, horizon: int, variants: Sequence[Policy] = ()) -> Policy:
    """A policy by its name in plans: `full`, `no_short`, `safe_lite`, `safe`, or one of the plan's own variants.

    30 steps and half a year, or the horizon and four of them where that is less: a short history has no longer windows.
    """
    own = next((policy for policy in variants if policy.name == name), None)
    if own is not None:
        return own
    nearest, shortest = min(30, horizon), min(182, 4 * horizon)
    match name:
        case "no_short":
            return no_short(shortest=shortest)
        case "safe_lite":
            return safe_lite(shortest=shortest)
        case "safe":
            return safe(nearest=nearest, shortest=shortest)
        case _:
            return FULL


def parse_variants(section: Section, *, declared: Sequence[Feature], horizon: int) -> tuple[Policy, ...]:
    """The plan's own policies: `{NAME: {nearest: 30, shortest: 182, without: [recency]}}`, in its order.

    declared: the plan's features; a family that none of them has, and that no feature can have, is refused. Raises PlanError.
    """
    known = {*_FAMILIES, *(feature.meta(horizon).family for feature in declared)}
    found = []
    for name in section:
        if name in POLICIES:
            raise PlanError(
                f"{section.path}.{name}", found="the name of a policy that there is", fix="choose another name"
            )
        one = section.section(name)
        policy = Policy(
            name,
            nearest=one.whole("nearest", default=0, low=0),
            shortest=one.whole("shortest", default=0, low=0),
            without=one.texts("without", default=()),
        )
        one.done()
        unknown = [family for family in policy.without if family not in known]
        if unknown:
            wanted = f"some of {', '.join(sorted(known))}"
            raise PlanError(f"{section.path}.{name}.without", found=repr(unknown[0]), wanted=wanted)
        if policy == Policy(name):
            wanted = "at least one of nearest, shortest, without"
            raise PlanError(f"{section.path}.{name}", found="a policy that drops nothing", wanted=wanted)
        found.append(policy)
    section.done()
    return tuple(found)


def moved(feature: Feature, policy: Policy, *, horizon: int) -> Feature:
    """The feature itself where it passes, else one like it with a longer window and a lag that pass, where it has both."""
    # What a user's own function reads does not change with what it is said to read.
    if isinstance(feature, Custom) or policy.keeps(feature, horizon) or feature.meta(horizon).family in policy.without:
        return feature
    changes: dict[str, Any] = {}
    window, lag = getattr(feature, "window", None), getattr(feature, "lag", None)
    if lag is not None and lag < policy.nearest:
        changes["lag"] = policy.nearest
    if window is not None and window < policy.shortest:
        parts = getattr(feature, "parts", 1)
        changes["window"] = -(-policy.shortest // parts) * parts if isinstance(parts, int) else policy.shortest
    try:
        return replace(feature, **changes)  # type: ignore[type-var]
    except (TypeError, BadInput):
        return feature


def swapped(features: Sequence[Feature], policy: Policy, *, horizon: int) -> tuple[Feature, ...]:
    """Short and near features swapped for longer, earlier ones, then those that pass, each once."""
    found = dict.fromkeys(moved(feature, policy, horizon=horizon) for feature in features)
    return kept(tuple(found), policy, horizon=horizon)


__all__ = [
    "FULL",
    "POLICIES",
    "Policy",
    "kept",
    "moved",
    "no_short",
    "parse_variants",
    "policy_of",
    "safe",
    "safe_lite",
    "swapped",
]
