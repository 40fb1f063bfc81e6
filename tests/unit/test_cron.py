"""Cron words, and the schedules of plans."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from croniter import croniter
from hypothesis import assume, given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))

import project

from foreproof.core.cron import parse_cron
from foreproof.core.plan import parse_plan
from foreproof.core.schedule import parse_schedule
from foreproof.errors import BadInput, PlanError
from foreproof.workloads.forecast import parse_forecast

MINUTES = st.sampled_from(["*", "0", "5,35", "*/15", "10-20/5", "59"])
HOURS = st.sampled_from(["*", "0", "5", "*/6", "9-17", "23"])
DAYS = st.sampled_from(["*", "1", "*/10", "31", "13"])
MONTHS = st.sampled_from(["*", "2", "jan-mar", "*/5"])
WEEK = st.sampled_from(["*", "mon", "0", "7", "1-5", "sat,sun"])
INSTANTS = st.datetimes(datetime(2023, 1, 1), datetime(2026, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))


@given(words=st.tuples(MINUTES, HOURS, DAYS, MONTHS, WEEK).map(" ".join), now=INSTANTS)
def test_due_instants_are_those_of_another_implementation(words: str, now: datetime) -> None:
    _, _, day, month, weekday = words.split()
    assume((day, month, weekday) != ("31", "2", "*"))  # the 31st of February: it never comes
    cron = parse_cron(words, subject="x")
    assert cron.next(now, "UTC") == croniter(words, now).get_next(datetime)
    # What is due now counts as due; the other one asks for what was before.
    assert cron.latest(now, "UTC") == croniter(words, now + timedelta(microseconds=1)).get_prev(datetime)


def test_a_day_that_never_comes_is_due_never() -> None:
    assert parse_cron("0 5 31 2 *", subject="x").next(datetime(2024, 1, 1, tzinfo=UTC), "UTC") is None


def test_an_hour_is_that_of_the_zone_on_both_sides_of_a_change_of_clocks() -> None:
    five = parse_cron("0 5 * * *", subject="x")
    winter, summer = datetime(2024, 3, 30, 12, tzinfo=UTC), datetime(2024, 3, 31, 12, tzinfo=UTC)
    assert five.latest(winter, "Europe/Paris") == datetime(2024, 3, 30, 4, tzinfo=UTC)
    assert five.latest(summer, "Europe/Paris") == datetime(2024, 3, 31, 3, tzinfo=UTC)
    skipped = parse_cron("30 2 31 3 *", subject="x").latest(summer, "Europe/Paris")
    assert skipped == datetime(2024, 3, 31, 1, 30, tzinfo=UTC), "half past two did not exist: it is done, once"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("0 5 * *", "4 fields"),
        ("60 5 * * *", "minute.*numbers from 0 to 59"),
        ("0 5-4 * * *", "hour.*the smaller first"),
        ("0 5 * foo *", "month.*jan"),
        ("0 */0 * * *", "hour"),
        ("0 5 1;2 * *", "day of the month"),
    ],
)
def test_words_that_mean_nothing_are_refused_by_field(words: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        parse_cron(words, subject="schedule.run")


def test_a_schedule_is_no_part_of_what_a_plan_computes() -> None:
    plain = parse_plan(project.PLAN)
    timed = parse_plan(project.PLAN + 'schedule: {run: "0 5 * * *"}\n')
    assert timed.digest == plain.digest
    assert parse_forecast(timed).plan.digest == plain.digest
    assert timed.having(horizon=8).digest != plain.digest


def test_a_schedule_goes_by_the_zone_of_the_facts_unless_it_names_one() -> None:
    values = parse_plan(project.PLAN + 'schedule: {run: "0 5 * * *", score_outcomes: "30 6 * * mon"}\n').values
    assert [(one.kind, one.zone) for one in parse_schedule(values)] == [
        ("run", "Europe/Paris"),
        ("score_outcomes", "Europe/Paris"),
    ]
    named = {**values, "schedule": {"run": "0 5 * * *", "zone": "Asia/Tokyo"}}
    assert parse_schedule(named)[0].zone == "Asia/Tokyo"
    assert parse_schedule({"schedule": {"load": "0 * * * *"}})[0].zone == "UTC"


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"publish": "0 5 * * *"}, "schedule.publish"),
        ({"run": "daily"}, "schedule.run"),
        ({"run": "0 5 * * *", "zone": "Mars/Olympus"}, "schedule.zone"),
        ({"run": 5}, "schedule.run"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused_with_the_plan(section: dict[str, object], told: str) -> None:
    plan = parse_plan(project.PLAN)
    with pytest.raises((BadInput, PlanError), match=told):
        parse_forecast(plan.having(schedule=section))
