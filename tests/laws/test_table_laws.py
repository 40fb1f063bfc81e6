"""Parsing: exact, in any order of rows, and never known before it happened."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from foreproof.core.contract import Contract, parse_contract
from foreproof.core.section import Section
from foreproof.core.table import parse

ZONES = ["UTC", "America/New_York", "America/Santiago", "Atlantic/Azores", "America/Havana"]
DAYS = st.dates(date(2000, 1, 1), date(2023, 12, 31))


def contract(zone: str = "UTC", **changes: object) -> Contract:
    settings = {
        "key": ["sku", "day"],
        "happened": "day",
        "known": "same_as_happened",
        "zone": zone,
        "columns": {"sku": "text", "qty": {"type": "decimal", "decimals": 3}},
    }
    return parse_contract("sales", Section({**settings, **changes}, path="tables.sales"))


@given(day=DAYS, zone=st.sampled_from(ZONES))
def test_a_date_happened_at_the_last_microsecond_of_its_local_day(day: date, zone: str) -> None:
    raw = pl.DataFrame({"sku": ["a"], "day": [day.isoformat()], "qty": ["1"]})
    happened = parse(contract(zone), raw, now=None).rows["_happened"][0]
    assert happened.astimezone(ZoneInfo(zone)).date() == day
    assert (happened + timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() == day + timedelta(days=1)


@given(numbers=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_decimals_are_exact_and_the_order_of_rows_does_not_matter(numbers: list[int], seed: int) -> None:
    text = [str(Decimal(number) / 1000) for number in numbers]
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(len(numbers))]
    raw = pl.DataFrame({"sku": ["a"] * len(numbers), "day": days, "qty": text})
    parsed = parse(contract(), raw, now=None).rows
    assert parsed["qty"].to_list() == numbers
    again = parse(contract(), raw.sample(fraction=1, shuffle=True, seed=seed), now=None).rows
    assert again.sort("_happened").equals(parsed.sort("_happened"))


@given(day=DAYS, zone=st.sampled_from(ZONES), days=st.integers(0, 90), ahead=st.booleans())
def test_a_delay_keeps_the_wall_clock_and_only_plans_are_known_before_they_happen(
    day: date, zone: str, days: int, ahead: bool
) -> None:
    rule = {"lead": f"{days}d"} if ahead else {"delay": f"{days}d"}
    raw = pl.DataFrame({"sku": ["a"], "day": [day], "qty": ["1"]})
    rows = parse(contract(zone, known=rule, ahead=ahead), raw, now=None).rows
    happened, known = rows["_happened"][0], rows["_known"][0]
    assert (known <= happened) if ahead else (known >= happened)
    local = known.astimezone(ZoneInfo(zone))
    expected = day + timedelta(days=-days if ahead else days)
    # Where the zone skips that midnight, the wall clock is moved on by the gap.
    assert local.date() in (expected, expected + timedelta(days=1))
    assert isinstance(local, datetime)


@given(copies=st.integers(1, 6))
def test_rows_without_a_key_are_told_apart_by_their_occurrence(copies: int) -> None:
    raw = pl.DataFrame(
        {"sku": ["a"] * copies + ["b"], "day": ["2020-01-01"] * (copies + 1), "qty": ["1"] * (copies + 1)}
    )
    rows = parse(contract(key=[]), raw, now=None).rows
    assert sorted(rows.filter(pl.col("sku") == "a")["_occurrence"]) == list(range(1, copies + 1))
    assert rows.select(contract(key=[]).keys).is_duplicated().sum() == 0
