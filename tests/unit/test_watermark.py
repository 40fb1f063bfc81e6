"""How far the lake has come, in the words of the source: a watermark may lag behind, but it skips nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from foreproof.adapters.lake import Lake
from foreproof.app.watermark import newest
from foreproof.core.contract import Contract, parse_contract
from foreproof.core.section import Section
from foreproof.core.table import parse
from foreproof.errors import BadInput

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


def contract(**settings: Any) -> Contract:
    given: dict[str, Any] = {
        "key": ["item", "at"],
        "happened": "at",
        "known": "same_as_happened",
        "zone": "Europe/Paris",
        "columns": {"item": "text", "price": {"type": "decimal", "decimals": 2, "nullable": True}},
    }
    return parse_contract("sales", Section({**given, **settings}, path="tables.sales"))


def loaded(folder: Path, promise: Contract, *batches: Mapping[str, list[Any]]) -> Lake:
    clock = [NOW + timedelta(hours=i) for i in range(len(batches) + 1)]
    lake = Lake(str(folder), clock=lambda: clock[0])
    for rows in batches:
        lake.load(parse(promise, pl.DataFrame(rows), now=None if promise.integer else clock[0]))
        clock.pop(0)
    return lake


def test_before_the_first_load_there_is_none(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), clock=lambda: NOW)
    assert [newest(lake, contract(), name) for name in ("at", "price", "item")] == [None] * 3


def test_a_day_comes_back_as_that_day_in_its_zone(tmp_path: Path) -> None:
    lake = loaded(
        tmp_path, contract(), {"item": ["a", "b"], "at": ["2024-03-31", "2024-03-30"], "price": ["1.25", "0.5"]}
    )
    assert newest(lake, contract(), "at") == date(2024, 3, 31)
    assert type(newest(lake, contract(), "at")) is date
    assert newest(lake, contract(), "price") == 1.25
    assert newest(lake, contract(), "item") == "b"


def test_a_period_comes_back_as_its_first_day(tmp_path: Path) -> None:
    promise = contract(happened={"column": "at", "period": "1mo"})
    lake = loaded(tmp_path, promise, {"item": ["a", "a"], "at": ["2024-03-01", "2024-02-01"], "price": ["1", "1"]})
    assert newest(lake, promise, "at") == date(2024, 3, 1)


def test_an_instant_comes_back_in_the_zone_in_which_it_is_written(tmp_path: Path) -> None:
    promise = contract(happened={"column": "at", "formats": ["%Y-%m-%d %H:%M"], "stamp_zone": "America/New_York"})
    lake = loaded(tmp_path, promise, {"item": ["a"], "at": ["2024-03-01 22:30"], "price": ["1"]})
    found = newest(lake, promise, "at")
    assert found.strftime("%Y-%m-%d %H:%M") == "2024-03-01 22:30"
    assert found == datetime(2024, 3, 2, 3, 30, tzinfo=UTC)


def test_a_step_comes_back_as_a_number(tmp_path: Path) -> None:
    promise = contract(happened={"column": "at", "period": "integer"})
    lake = loaded(tmp_path, promise, {"item": ["a", "a"], "at": [3, 9], "price": ["1", "1"]})
    assert newest(lake, promise, "at") == 9


def test_a_version_that_was_known_from_its_load_does_not_push_the_watermark(tmp_path: Path) -> None:
    promise = contract(
        happened={"column": "at", "formats": ["%Y-%m-%d"]},
        known={"column": "entered", "formats": ["%Y-%m-%d %H:%M"]},
    )
    first = {"item": ["a", "b"], "at": ["2024-03-01"] * 2, "price": ["1", "2"]}
    entered = ["2024-03-02 08:00", "2024-03-02 09:00"]
    lake = loaded(tmp_path, promise, {**first, "entered": entered}, {**first, "price": ["1", "3"], "entered": entered})
    assert lake.table(promise).rows.height == 3
    # The correction claims 09:00 and is known from its load in June; rows entered since March must still be asked for.
    assert newest(lake, promise, "entered") == datetime(2024, 3, 2, 9, tzinfo=PARIS)
    assert newest(lake, promise, "_known") == datetime(2024, 3, 2, 9, tzinfo=PARIS)


def test_a_column_that_the_table_has_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no column 'updated'"):
        newest(Lake(str(tmp_path), clock=lambda: NOW), contract(), "updated")
