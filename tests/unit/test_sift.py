"""Long lists in seconds: what is sifted is worth what the whole programme finds, and a bound proves it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreproof.decisions import assign as assigned
from foreproof.decisions.assign import assign, marginal_prices
from foreproof.decisions.programme import Limit, relaxed, whole
from foreproof.decisions.sift import sift
from foreproof.errors import BadInput


@st.composite
def programmes(draw: st.DrawFn) -> tuple[Any, list[Limit], int]:
    accounts, groups = draw(st.integers(3, 40)), draw(st.integers(1, 5))
    size = accounts * groups
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    value = np.round(rng.gamma(1.0, 3.0, size), draw(st.sampled_from([0, 1, 6])))
    most = draw(st.integers(1, max(1, size // 2)))
    account, group = np.repeat(np.arange(accounts), groups), np.tile(np.arange(groups), accounts)
    limits = []
    if draw(st.booleans()):
        cap = draw(st.integers(1, max(1, most)))
        limits += [Limit(f"cap {g}", np.flatnonzero(group == g), 0, cap) for g in range(groups)]
    segment = rng.integers(0, 3, accounts)[account]
    floor = draw(st.sampled_from([0, 0, 1, max(1, most // 3)]))
    if floor:
        limits.append(Limit("floor", np.flatnonzero(segment == 0), floor))
    room = draw(st.sampled_from([0, 1, 2]))
    if room:
        limits += [Limit(f"account {a}", np.flatnonzero(account == a), 0, room, "per account") for a in range(accounts)]
    return value, limits, most


@given(programmes(), st.sampled_from([2, 10, 1000]))
def test_what_is_sifted_is_worth_what_the_whole_programme_finds(
    programme: tuple[Any, list[Limit], int], core: int
) -> None:
    value, limits, most = programme
    truth = whole(value, limits, most=most)
    found = sift(value, limits, most=most, core=core)
    if truth.x is None:
        assert found is None
        return
    assert found is not None
    best = float(value[truth.x > 0.5].sum())
    assert float(value[found.chosen].sum()) == pytest.approx(best)
    assert found.bound >= best * (1.0 - 1e-6) - 1e-6
    assert found.chosen.size <= most
    for limit in limits:
        assert limit.low <= np.isin(found.chosen, limit.rows).sum() <= limit.high
    assert min(found.prices, default=0.0) >= 0.0


@given(programmes())
def test_prices_of_one_rule_more_lead_to_the_same_list(programme: tuple[Any, list[Limit], int]) -> None:
    value, limits, most = programme
    found = sift(value, limits, most=most)
    fewer = [one for one in limits if one.rule != "per account"]
    if found is None:
        return
    cold, warm = sift(value, fewer, most=most), sift(value, fewer, most=most, start=found.start)
    assert cold is not None
    assert warm is not None
    assert float(value[warm.chosen].sum()) == pytest.approx(float(value[cold.chosen].sum()))


def many(rows: int = 9_000) -> tuple[Any, list[Limit], int]:
    rng = np.random.default_rng(4)
    value = np.sort(rng.gamma(1.0, 3.0, rows))[::-1]
    account, group, region = (rng.integers(0, n, rows) for n in (rows // 6, 6, 3))
    limits = [Limit(f"cap {g}", np.flatnonzero(group == g), 0, 60) for g in range(6)]
    limits += [Limit("floor", np.flatnonzero(region == 2), 150)]
    limits += [
        Limit(f"account {a}", np.flatnonzero(account == a), 0, 1, "per account")
        for a in np.flatnonzero(np.bincount(account) > 1).tolist()
    ]
    return value, limits, 300


def test_a_long_list_is_sifted_and_equals_the_solvers(monkeypatch: pytest.MonkeyPatch) -> None:
    value, limits, most = many()
    sifted, marginal = assign(value, limits, most=most), marginal_prices(value, limits, most=most)
    assert sifted.start
    monkeypatch.setattr(assigned, "_LARGE", value.size)
    solved = assign(value, limits, most=most)
    assert not solved.start
    assert sifted.chosen.tolist() == solved.chosen.tolist()
    assert marginal[6] == pytest.approx(marginal_prices(value, limits, most=most)[6], rel=1e-6)


def test_a_list_that_was_not_proven_is_left_to_the_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    value, limits, most = many()
    best = float(value[assign(value, limits, most=most).chosen].sum())
    monkeypatch.setattr(assigned, "sift", lambda *args, **named: None)
    assert float(value[assign(value, limits, most=most).chosen].sum()) == pytest.approx(best)


def test_long_limits_that_clash_are_named() -> None:
    value, limits, most = many(7_000)
    short = [*limits[:6], Limit("floor", limits[6].rows[:100], 150)]
    assert sift(value, short, most=most) is None
    with pytest.raises(BadInput, match="floor"):
        assign(value, short, most=most)


def test_the_relaxed_programme_prices_what_binds_alone() -> None:
    value = np.array([5.0, 4.0, 3.0, 1.0])
    limits = [Limit("cap", np.array([0, 1]), 0, 1), Limit("loose", np.array([2, 3]), 0, 2)]
    assert relaxed(value, limits, most=2).x.round(6).tolist() == [1.0, 0.0, 1.0, 0.0]
    assert marginal_prices(value, limits, most=2) == pytest.approx([1.0, 0.0])
