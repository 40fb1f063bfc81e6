"""The gap law, and the splits that obey it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreproof.core.clock import ticks
from foreproof.core.grid import Grid, parse_grid
from foreproof.core.split import RollingOrigin, settled, settles
from foreproof.errors import BadInput

DAYS = parse_grid("1d", zone="America/New_York")
STEPS = parse_grid("integer")
START = datetime(2024, 1, 1, 12, tzinfo=UTC)


@given(cutoff=st.integers(-50, 50), step=st.integers(1, 30), delay=st.integers(0, 10), at=st.integers(-60, 120))
def test_an_example_is_settled_exactly_when_its_step_and_the_delay_have_passed(
    cutoff: int, step: int, delay: int, at: int
) -> None:
    assert settled(STEPS, cutoff, step, delay=delay, at=at) == (cutoff + step + delay <= at)


@given(day=st.integers(0, 700), step=st.integers(1, 40), late=st.integers(0, 5))
def test_a_label_settles_at_the_end_of_its_local_day_also_when_the_clocks_change(
    day: int, step: int, late: int
) -> None:
    cutoff = DAYS.add(START, day)
    expected = DAYS.add(START, day + step + late)
    found = settles(DAYS, np.array([ticks(cutoff)]), step, delay=f"{late}d")[0]
    assert found == ticks(expected)
    assert settled(DAYS, cutoff, step, delay=f"{late}d", at=expected)
    assert isinstance(expected, datetime)
    assert not settled(DAYS, cutoff, step, delay=f"{late}d", at=expected - timedelta(microseconds=1))


@given(
    cutoffs=st.lists(st.integers(0, 200), min_size=6, max_size=40, unique=True),
    horizon=st.integers(1, 30),
    delay=st.integers(0, 9),
    origins=st.integers(1, 4),
    calibrations=st.integers(0, 5),
)
def test_no_split_learns_from_or_calibrates_on_an_unsettled_cutoff(
    cutoffs: list[int], horizon: int, delay: int, origins: int, calibrations: int
) -> None:
    splits = list(RollingOrigin(STEPS, horizon, delay, origins, calibrations).split(cutoffs))
    assert [split.test[0] for split in splits] == sorted(cutoffs)[-origins:]
    for split in splits:
        test = split.test[0]
        assert isinstance(test, int)
        assert all(int(o) + horizon + delay <= test for o in split.calibrate)
        assert len(split.calibrate) <= calibrations
        first = int(split.calibrate[0]) if split.calibrate else test
        assert all(int(o) + horizon + delay <= first for o in split.train)
        # What could have calibrated is not thrown away.
        ready = [o for o in sorted(cutoffs) if o + horizon + delay <= test]
        assert list(split.calibrate) == (ready[-calibrations:] if calibrations else [])


def test_too_few_cutoffs_are_refused_with_the_fix() -> None:
    with pytest.raises(BadInput, match="lower backtest"):
        list(RollingOrigin(Grid("integer"), 1, origins=4).split([1, 2]))
