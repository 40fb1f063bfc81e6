"""Numbers, dates and ages as a reader says them."""

from __future__ import annotations

import pytest

from foreproof.ui import words


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (12345.678, "", "12,346"),
        (123.456, "euros", "123.5 euros"),
        (0.05127, "", "0.0513"),
        (0.05127, "share", "5.13%"),
        (7, "", "7"),
        (7.0, "steps", "7 steps"),
        (None, "euros", "-"),
        (float("nan"), "", "-"),
        (True, "", "True"),
        ("text", "", "text"),
    ],
)
def test_numbers_have_about_four_digits_and_their_unit(value: object, unit: str, said: str) -> None:
    assert words.number(value, unit) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2024-05-19 21:59:59.999999+00:00", "19 May 2024"),  # the end of that day in Paris
        ("2024-05-20T03:59:59.999999Z", "19 May 2024"),  # in New York
        ("2024-05-19T14:59:59.999999Z", "19 May 2024"),  # in Tokyo
        ("2024-05-19", "19 May 2024"),
        ("later", "later"),
        (None, "-"),
    ],
)
def test_the_end_of_a_day_bears_that_day_in_every_zone(text: str | None, said: str) -> None:
    assert words.day(text) == said


def test_days_stand_at_their_middle_and_hours_where_they_end() -> None:
    days = words.periods(["2024-05-19T21:59:59.999999Z", "2024-05-20T21:59:59.999999Z"])
    assert [f"{at:%d %H:%M}" for at in days] == ["19 09:00", "20 09:00"]
    hours = words.periods(["2024-05-19T20:59:59.999999Z", "2024-05-19T21:59:59.999999Z"])
    assert [f"{at:%d %H:%M}" for at in hours] == ["19 20:59", "19 21:59"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5, "less than a minute"), (3600, "1 hour"), (3 * 86400, "3 days"), (8e7, "2 years"), (None, "unknown age")],
)
def test_ages_are_told_in_their_largest_unit(seconds: float | None, said: str) -> None:
    assert words.age(seconds) == said


def test_shares_sizes_counts_and_names_read_as_words() -> None:
    assert [words.percent(v) for v in (0.051, 0.5, None)] == ["5.1%", "50%", "-"]
    assert [words.size(v) for v in (900, 22716, 3.2e9, None)] == ["900 bytes", "22.7 kB", "3.2 GB", "-"]
    assert (words.many(1, "check"), words.many(1200, "check")) == ("1 check", "1,200 checks")
    assert words.plain("data_age_seconds") == "Data age seconds"
