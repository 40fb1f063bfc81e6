"""The arithmetic of steps, in every kind of grid and in zones whose midnights are skipped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreproof.core.clock import ticks
from foreproof.core.grid import Grid, parse_grid, parse_moment, session_grid
from foreproof.errors import BadInput

ZONES = [
    "UTC",
    "America/New_York",
    "America/Santiago",
    "Atlantic/Azores",
    "America/Havana",
    "America/Sao_Paulo",
    "Asia/Amman",
]
EVERY = ["15min", "1h", "1d", "3d", "1w", "2w", "1mo", "1q", "1y", "integer"]
grids = st.builds(lambda every, zone: parse_grid(every, zone=zone), st.sampled_from(EVERY), st.sampled_from(ZONES))
instants = st.datetimes(datetime(1995, 1, 1), datetime(2035, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


@given(grid=grids, at=instants, far=st.integers(0, 400))
def test_a_point_is_the_last_tick_of_its_period(grid: Grid, at: datetime, far: int) -> None:
    start = int(grid.index(np.array([ticks(at)]))[0])
    periods = start + np.arange(far + 2)
    points = grid.at(periods)
    assert (np.diff(points) > 0).all()
    assert (grid.index(points) == periods).all()
    assert (grid.index(points + 1) == periods + 1).all()
    assert grid.at(np.array([start - 1]))[0] < ticks(at) <= points[0]


@given(grid=grids, at=instants, a=st.integers(-60, 60), b=st.integers(-60, 60))
def test_steps_add_up(grid: Grid, at: datetime, a: int, b: int) -> None:
    moment = ticks(at) if grid.integer else at
    point = grid.add(moment, 0)
    assert grid.add(grid.add(point, a), b) == grid.add(point, a + b)
    assert grid.add(point, 0) == point


@given(grid=grids, at=instants, n=st.integers(0, 40))
def test_between_is_half_open(grid: Grid, at: datetime, n: int) -> None:
    start = grid.add(ticks(at) if grid.integer else at, 0)
    end = grid.add(start, n)
    inside = grid.between(start, end)
    assert len(inside) == n
    assert start not in inside
    assert (end in inside) == (n > 0)


@given(day=st.integers(0, 9000), zone=st.sampled_from(ZONES))
def test_a_date_is_the_last_microsecond_of_its_local_day(day: int, zone: str) -> None:
    date = (datetime(2005, 1, 1) + timedelta(days=day)).date()
    grid = parse_grid("1d", zone=zone)
    at = parse_moment(date.isoformat(), grid, subject="x")
    assert grid.add(at, 0) == at
    assert isinstance(at, datetime)
    from zoneinfo import ZoneInfo

    assert at.astimezone(ZoneInfo(zone)).date() == date
    assert (at + timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() > date


def test_sessions_count_listed_instants_and_end_with_them() -> None:
    grid = session_grid(np.array([30, 10, 20, 20]))
    assert grid.index(np.array([5, 10, 11, 30])).tolist() == [0, 0, 1, 2]
    assert grid.at(np.array([0, 2])).tolist() == [10, 30]
    with pytest.raises(BadInput, match="outside the 3 listed"):
        grid.at(np.array([3]))


def test_words_for_grids_and_moments() -> None:
    assert [parse_grid(every).describe() for every in EVERY] == EVERY
    assert [parse_grid(every).season for every in ("1h", "1d", "1w", "1mo", "1q", "1y", "integer")] == [
        24,
        7,
        52,
        12,
        4,
        1,
        1,
    ]
    for bad in ("0d", "fortnight", ""):
        with pytest.raises(BadInput, match="15min"):
            parse_grid(bad)
    with pytest.raises(BadInput, match="integer step"):
        parse_moment("2024-01-01", parse_grid("integer"), subject="x")
    with pytest.raises(BadInput, match="a date or an instant"):
        parse_moment("soon", parse_grid("1d"), subject="x")
    assert parse_moment("-3", parse_grid("integer"), subject="x") == -3
    assert parse_moment("2024-01-01T05:00", parse_grid("1d"), subject="x") == datetime(2024, 1, 1, 5, tzinfo=UTC)


def test_one_grid_point_is_the_same_asked_for_alone_and_among_others() -> None:
    """To the last day that a calendar date can hold, whose midnight lies beyond it; clocks that skip midnight included."""
    for zone in ("UTC", "America/Sao_Paulo", "Europe/Berlin"):
        grid = parse_grid("1d", zone=zone)
        days = np.array([0, 17_837, 19_800, 2_932_896], dtype=np.int64)  # 2018-11-03 and 9999-12-31 among them
        assert [int(grid.at(days[n : n + 1])[0]) for n in range(days.size)] == grid.at(days).tolist()
