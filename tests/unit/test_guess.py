"""A guessed plan parses, and says what it was read off."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from foreproof.app.guess import guess_plan
from foreproof.core.plan import parse_plan
from foreproof.errors import ForeproofError
from foreproof.workloads.forecast import ForecastPlan, parse_forecast

NOW = datetime(2025, 1, 1, tzinfo=UTC)


def guessed(path: Path) -> ForecastPlan:
    return parse_forecast(parse_plan(guess_plan(path, now=NOW)))


def test_a_month_and_a_number_make_one_series() -> None:
    plan = guessed(Path(str(resources.files("foreproof.app"))) / "templates" / "co2.csv")
    assert (plan.task.series.by, plan.task.series.value, plan.task.series.aggregate) == ((), "co2_ppm", "mean")
    assert (plan.task.series.grid.describe(), plan.task.horizon, plan.task.season) == ("1mo", 12, 12)
    assert plan.contracts[0].column("co2_ppm").decimals == 2


def test_a_long_frame_with_integer_steps_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("unique_id,ds,y\n" + "".join(f"{name},{t},{t % 7}\n" for name in "ab" for t in range(80)))
    plan = guessed(path)
    assert plan.task.series.grid.integer
    assert (plan.task.series.by, plan.task.series.value) == (("unique_id",), "y")


def test_semicolons_decimal_commas_and_day_first_dates_are_seen(tmp_path: Path) -> None:
    start = date(2024, 1, 1)
    days = [start + timedelta(days=d) for d in range(60)]
    lines = "".join(f"{day:%d.%m.%Y};{name};{i},{i % 10}0\n" for name in ("x", "y") for i, day in enumerate(days))
    (tmp_path / "a.csv").write_bytes(("Datum;Artikel;Preis\n" + lines).encode("cp1252"))
    plan = guessed(tmp_path / "a.csv")
    stamp = plan.contracts[0].happened
    assert stamp is not None
    assert stamp.formats == ("%d.%m.%Y",)
    assert plan.plan.values["sources"]["a"]["delimiter"] == ";"
    assert plan.plan.values["sources"]["a"]["decimal"] == ","


def test_a_compressed_file_and_a_workbook_are_guessed_like_the_plain_file(tmp_path: Path) -> None:
    days = [date(2024, 1, 1) + timedelta(days=d) for d in range(60)]
    frame = pl.DataFrame({"day": days, "shop": ["north"] * 60, "units": [d % 7 for d in range(60)]})
    frame.write_csv(tmp_path / "a.csv")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    book = openpyxl.Workbook()
    for row in (tuple(frame.columns), *frame.rows()):
        book.active.append(row)  # type: ignore[union-attr]
    book.save(tmp_path / "a.xlsx")
    plain, packed, excel = (guessed(tmp_path / name).task.series for name in ("a.csv", "a.csv.gz", "a.xlsx"))
    assert (plain.by, plain.value, plain.grid.describe()) == (("shop",), "units", "1d")
    for other in (packed, excel):
        assert (other.by, other.value, other.grid) == (plain.by, plain.value, plain.grid)


def test_rows_that_repeat_are_their_own_key_and_are_summed(tmp_path: Path) -> None:
    start = date(2024, 1, 1)
    rows = [("s", start + timedelta(days=d // 3), 2) for d in range(180)]
    pl.DataFrame(rows, schema=["shop", "date", "qty"], orient="row").write_parquet(tmp_path / "b.parquet")
    plan = guessed(tmp_path / "b.parquet")
    assert plan.contracts[0].key == ()
    assert (plan.task.series.aggregate, plan.task.series.gap, plan.task.series.grid.describe()) == ("sum", "zero", "1d")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "an empty file"),
        ("date,y\n", "a header and no rows"),
        ("a,b\nx,y\n", "no column of dates"),
        ("date,b\n2024-01-01,y\n", "no column of numbers"),
    ],
)
def test_a_file_that_cannot_be_forecast_says_why(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "f.csv"
    path.write_text(content)
    with pytest.raises(ForeproofError, match=said):
        guess_plan(path, now=NOW)
    with pytest.raises(ForeproofError, match="no such file"):
        guess_plan(tmp_path / "none.csv", now=NOW)
