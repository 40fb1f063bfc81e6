"""SQL over the lake: what it shows, in which units, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from tests.naive_lake import CONTRACTS, Row, at, table_of

from foreproof.adapters.lake import Lake
from foreproof.adapters.query import query
from foreproof.core.contract import Column
from foreproof.core.view import Table
from foreproof.errors import BadInput

DAILY, STEPS = CONTRACTS["daily"], CONTRACTS["steps"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two loads: at 10 two rows, at 20 a correction of `a` and a tombstone of `b`; one row is known only at 30."""
    times = iter([10, 20, 25])
    lake = Lake(str(tmp_path / "my lake"), clock=lambda: at(next(times, 25)))
    lake.load(table_of(DAILY, [Row("a", 1, 1, 105, 0.5), Row("b", 1, 2, 1), Row("c", 1, 30, 7)]))
    lake.load(table_of(DAILY, [Row("a", 1, 1, 250, 0.5), Row("b", 1, 2, None, deleted=True)]))
    return lake


def test_a_table_is_as_of_now_unless_a_cutoff_is_given(lake: Lake) -> None:
    sql = "SELECT sku, qty FROM daily ORDER BY sku"
    assert query(lake, [DAILY], sql).rows() == [("a", Decimal("2.50"))]
    assert query(lake, [DAILY], sql, as_of=at(19)).rows() == [("a", Decimal("1.05")), ("b", Decimal("0.01"))]
    assert query(lake, [DAILY], sql, as_of=at(30)).rows() == [("a", Decimal("2.50")), ("c", Decimal("0.07"))]
    assert query(lake, [DAILY], sql, as_of=at(0)).is_empty()


def test_versions_hold_everything_with_both_clocks(lake: Lake) -> None:
    frame = query(lake, [DAILY], "SELECT * FROM daily_versions ORDER BY sku, _known")
    assert frame.columns == ["sku", "qty", "price", "_happened", "_known", "_batch", "_deleted"]
    assert frame["_known"].to_list() == [at(1), at(20), at(2), at(20), at(30)]
    assert frame["_deleted"].to_list() == [False, False, False, True, False]
    assert frame.schema["_happened"] == pl.Datetime("us", "UTC")


def test_decimals_come_in_the_users_unit_and_add_up_exactly(lake: Lake) -> None:
    frame = query(lake, [DAILY], "SELECT sum(qty) AS s, count(*) AS n, sum(_batch) AS b FROM daily_versions")
    assert frame.row(0) == (Decimal("3.63"), 5, 7)
    assert frame.schema["b"] == pl.Int64
    assert query(lake, [DAILY], "SELECT sku FROM daily WHERE qty = 2.5")["sku"].to_list() == ["a"]
    assert query(lake, [DAILY], "SELECT sum(9223372036854775807::BIGINT) + 1 AS big")["big"].to_list() == [2**63]


def test_the_largest_scaled_number_is_shown_without_rounding(lake: Lake) -> None:
    nine = replace(DAILY, name="nine", columns=(Column("sku", "text"), Column("qty", "decimal", decimals=9)))
    rows = table_of(DAILY, [Row("a", 1, 1, 2**63 - 1), Row("b", 1, 1, -(2**63))]).rows
    lake.load(Table(nine, rows))
    shown = query(lake, [nine], "SELECT qty FROM nine ORDER BY sku")["qty"].to_list()
    assert shown == [Decimal(2**63 - 1).scaleb(-9), Decimal(-(2**63)).scaleb(-9)]


def test_steps_are_cut_by_steps(lake: Lake) -> None:
    lake.load(table_of(STEPS, [Row("a", 1, 1, 100), Row("a", 1, 5, 200)]))
    sql = "SELECT qty::INTEGER AS q FROM steps"
    assert query(lake, [STEPS], sql)["q"].to_list() == [2]
    assert query(lake, [STEPS], sql, as_of=4)["q"].to_list() == [1]
    with pytest.raises(BadInput, match=r"steps: cutoff: .* on a clock of integer steps"):
        query(lake, [STEPS], sql, as_of=at(4))
    with pytest.raises(BadInput, match="daily: cutoff: 4 on a clock of instants"):
        query(lake, [DAILY], "SELECT 1", as_of=4)


def test_a_column_that_joined_later_is_empty_before(lake: Lake) -> None:
    grown = replace(DAILY, columns=(*DAILY.columns, Column("store", "text", nullable=True)))
    assert query(lake, [grown], "SELECT DISTINCT store FROM daily_versions")["store"].to_list() == [None]
    lake.load(Table(grown, table_of(DAILY, [Row("z", 1, 1)]).rows.with_columns(store=pl.lit("x"))))
    assert query(lake, [grown], "SELECT store FROM daily ORDER BY sku")["store"].to_list() == [None, "x"]


def test_tables_join(lake: Lake) -> None:
    slow = CONTRACTS["slow"]
    lake.load(table_of(slow, [Row("a", 0, 0, 300)]))
    sql = 'SELECT d.qty, s.qty AS "of slow" FROM daily d JOIN slow s USING (sku)'
    assert query(lake, [DAILY, slow], sql).rows() == [(Decimal("2.50"), Decimal("3.00"))]


def test_asking_for_how_it_would_be_done_is_reading(lake: Lake) -> None:
    assert "daily" in str(query(lake, [DAILY], "SHOW TABLES").rows())
    assert query(lake, [DAILY], "EXPLAIN SELECT * FROM daily").height == 1


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC sku FROM daily", "Parser Error"),
        ("SELECT nope FROM daily", 'Referenced column "nope" not found'),
        ("SELECT * FROM nope", r"nope does not exist.*tables here: daily, daily_versions"),
        ("SELECT sku::INTEGER FROM daily", "Conversion Error"),
        ("", "something else than one SELECT"),
        ("SELECT 1; SELECT 2", "something else than one SELECT"),
        ("CREATE TABLE t AS SELECT 1", "something else than one SELECT"),
        ("DROP VIEW daily", "something else than one SELECT"),
        ("SET enable_external_access = true", "something else than one SELECT"),
        ("INSTALL delta", "something else than one SELECT"),
        ("SELECT * FROM read_csv('{file}')", "file system operations are disabled"),
        ("SELECT * FROM read_text('{file}')", "file system operations are disabled"),
        ("SELECT * FROM glob('{file}')", "disabled"),
        ("SELECT * FROM '{file}'", "file system operations are disabled"),
        ("COPY daily TO '{file}'", "something else than one SELECT"),
        ("ATTACH '{file}' AS other", "something else than one SELECT"),
        ("SELECT * FROM table_of_this_process", "does not exist"),
    ],
)
def test_sql_that_does_not_read_the_lake_is_refused_in_words(lake: Lake, tmp_path: Path, sql: str, words: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    table_of_this_process = pl.DataFrame({"a": [1]})
    with pytest.raises(BadInput, match=words) as caught:
        query(lake, [DAILY], sql.replace("{file}", str(secret)))
    assert str(caught.value).startswith("sql: ")
    assert secret.read_text() == "a\n1\n"
    assert table_of_this_process.height == 1


def test_a_table_that_was_never_loaded_is_not_there(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), clock=lambda: at(0))
    with pytest.raises(BadInput, match=r"daily does not exist.*tables here: none: load them first"):
        query(lake, [DAILY], "SELECT * FROM daily")
