"""Policies filter declared features by what they say they read."""

from __future__ import annotations

import pytest

from foreproof.errors import BadInput
from foreproof.features import Affinity, CutoffCalendar, Decay, Events, Over, Recency, Static, Trend
from foreproof.features.policy import FULL, Policy, kept, moved, policy_of, safe, safe_lite, swapped

LINES = Events("lines")
NEAR = Over("count", LINES, window=28)
FAR = Over("count", LINES, window=200, lag=40)
LIFE = Over("count", LINES)


def test_safe_keeps_what_is_far_and_long_and_what_reads_no_fact() -> None:
    features = (NEAR, FAR, LIFE, Recency(LINES), Decay(LINES, 30.0), CutoffCalendar("month"), Static("a", "b"))
    assert kept(features, safe(), horizon=28) == (FAR, CutoffCalendar("month"), Static("a", "b"))
    assert kept(features, FULL, horizon=28) == features
    assert NEAR not in kept(features, safe_lite(shortest=182), horizon=28)


def test_a_short_window_is_swapped_for_a_longer_and_earlier_one() -> None:
    policy = policy_of("safe", horizon=28)
    assert moved(NEAR, policy, horizon=28) == Over("count", LINES, window=112, lag=28)
    assert moved(Trend(LINES, 30, 5), policy, horizon=28).window == 115  # type: ignore[attr-defined]
    assert swapped((NEAR, Over("count", LINES, window=56), Recency(LINES)), policy, horizon=28) == (
        Over("count", LINES, window=112, lag=28),
    )


def test_a_learned_feature_is_moved_like_a_declared_one_and_dropped_by_its_family() -> None:
    near = Affinity("score", "lines", "household", "department", "sku", 84)
    owned = Affinity("score", "assets", "household", "department", "sku")
    policy = policy_of("safe", horizon=28)
    earlier = Affinity("score", "lines", "household", "department", "sku", 112, 28)
    assert moved(near, policy, horizon=28) == earlier
    assert moved(owned, policy, horizon=28) == Affinity("score", "assets", "household", "department", "sku", lag=28)
    audit = Policy("audit", without=("learned",))
    assert kept((near, owned, NEAR), audit, horizon=28) == swapped((near, NEAR), audit, horizon=28) == (NEAR,)


def test_a_policy_that_leaves_nothing_says_so() -> None:
    with pytest.raises(BadInput, match="no feature that passes"):
        kept((Recency(LINES),), safe(), horizon=28)
