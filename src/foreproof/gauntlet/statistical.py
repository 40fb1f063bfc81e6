"""The statistical tier by name: a factory a check, whose arguments are its limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from foreproof.core.trial import Check, Kind
from foreproof.gauntlet.adjacency import Adjacency
from foreproof.gauntlet.arrival import ArrivalLag
from foreproof.gauntlet.base_rate import BaseRate
from foreproof.gauntlet.cliff import Cliff
from foreproof.gauntlet.crossed import Crossed
from foreproof.gauntlet.drift import ExpectedRealised, FeatureDrift
from foreproof.gauntlet.embargo import Embargo
from foreproof.gauntlet.looks import Looks
from foreproof.gauntlet.months import ForwardMonth, PrequentialDecline
from foreproof.gauntlet.permutation import Permutation
from foreproof.gauntlet.safe_ablation import SafeAblation
from foreproof.gauntlet.shift_grid import ShiftGrid
from foreproof.gauntlet.single_feature import SingleFeature
from foreproof.gauntlet.stability import Stability

Factory = Callable[..., Check]

STATISTICAL: Mapping[str, Factory] = MappingProxyType(
    {
        "permutation": Permutation,
        "cliff": Cliff,
        "shift grid": ShiftGrid,
        "single feature": SingleFeature,
        "cross-validated minus forward": Crossed,
        "safe ablation": SafeAblation,
        "prequential decline": PrequentialDecline,
        "forward month": ForwardMonth,
        "adjacency": Adjacency,
        "stability": Stability,
        "embargo": Embargo,
        "arrival lag": ArrivalLag,
        "base rate": BaseRate,
        "expected against realised": ExpectedRealised,
        "feature drift": FeatureDrift,
        "looks": Looks,
    }
)
"""Every check of the tier, in the order in which a proof runs them."""

CHANCES_ONLY = ("embargo",)
"""Checks that ask about a label of 0 and 1."""
_DECLARED_ONLY = ("safe ablation", "adjacency")


def names_for(kind: Kind, *, declared: bool) -> tuple[str, ...]:
    """The checks that can judge a trial of this kind; declared: whether its features say how near they read."""
    left_out = (*(() if kind == "chance" else CHANCES_ONLY), *(() if declared else _DECLARED_ONLY))
    return tuple(name for name in STATISTICAL if name not in left_out)


__all__ = ["CHANCES_ONLY", "STATISTICAL", "Factory", "names_for"]
