"""A contract that is kept makes a table; one that is broken says which rows, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import polars as pl
import pytest

from foreproof.core.contract import parse_contract
from foreproof.core.section import Section
from foreproof.core.table import parse
from foreproof.core.view import Table
from foreproof.errors import ContractError

NOW = datetime(2025, 1, 1, tzinfo=UTC)
BASE: dict[str, Any] = {
    "key": ["sku", "day"],
    "happened": "day",
    "known": "same_as_happened",
    "columns": {"sku": "text", "qty": {"type": "decimal", "decimals": 1, "low": 0, "high": 100}},
}
ROWS = {"sku": ["a", "b"], "day": ["2024-01-01", "2024-01-02"], "qty": ["1.5", "2"]}


def table(raw: Any, **changes: Any) -> Table:
    frame = pl.DataFrame(raw) if isinstance(raw, dict) else raw
    return parse(parse_contract("sales", Section({**BASE, **changes}, path="tables.sales")), frame, now=NOW)


def test_every_type_is_cast() -> None:
    columns = {
        "sku": "text",
        "n": "integer",
        "x": "real",
        "f": "flag",
        "d": "date",
        "m": {"type": "decimal", "decimals": 2},
    }
    raw = {"sku": [7], "day": ["2024-01-01"], "n": ["4"], "x": [" 1.25 "], "f": ["Yes"], "d": ["2024-02-03"], "m": [2]}
    row = table(raw, columns=columns).rows.row(0, named=True)
    assert (row["sku"], row["n"], row["x"], row["f"], str(row["d"]), row["m"]) == (
        "7",
        4,
        1.25,
        True,
        "2024-02-03",
        200,
    )
    assert row["_deleted"] is False


def test_pandas_frames_and_typed_columns_are_taken() -> None:
    raw = pd.DataFrame({"sku": ["a"], "day": pd.to_datetime(["2024-01-01 10:00"]), "qty": [1.5]})
    assert table(raw).rows["qty"].to_list() == [15]


BROKEN = {
    "a text in a number": ({"qty": ["1", "many"]}, "'many'", (2,)),
    "too many decimals": ({"qty": ["1", "2.25"]}, "at most 1 decimals", (2,)),
    "a value missing": ({"qty": [None, "2"]}, "a value in every row", (1,)),
    "below its bound": ({"qty": ["-1", "2"]}, "at least 0", (1,)),
    "above its bound": ({"qty": ["1", "200"]}, "at most 100", (2,)),
    "another date format": ({"day": ["2024-01-01", "02/01/2024"]}, "02/01/2024", (2,)),
    "a day that does not exist": ({"day": ["2024-02-30", "2024-01-01"]}, "2024-02-30", (1,)),
    "beyond now": ({"day": ["2024-01-01", "2031-01-01"]}, "known after now", (2,)),
    "a repeated key": ({"sku": ["a", "a"], "day": ["2024-01-01"] * 2}, "keep one row per key", (1, 2)),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_contract_names_the_rows(case: str) -> None:
    change, said, rows = BROKEN[case]
    with pytest.raises(ContractError) as error:
        table({**ROWS, **change})
    assert said in str(error.value)
    assert error.value.rows == rows
    assert error.value.as_dict()["rows"] == list(rows)


def test_missing_columns_and_no_rows_are_told() -> None:
    with pytest.raises(ContractError, match="no column qty among sku, day"):
        table({"sku": ["a"], "day": ["2024-01-01"]})
    with pytest.raises(ContractError, match="no rows"):
        table(pl.DataFrame(ROWS).clear())


def test_declared_formats_are_read_and_two_that_disagree_are_refused() -> None:
    day_first = {"column": "day", "formats": ["%d/%m/%Y"]}
    found = table({**ROWS, "day": ["03/02/2024", "04/02/2024"]}, happened=day_first).rows["_happened"]
    assert found[0].date().isoformat() == "2024-02-03"
    both = {"column": "day", "formats": ["%d/%m/%Y", "%m/%d/%Y"]}
    with pytest.raises(ContractError, match="one reading"):
        table({**ROWS, "day": ["03/02/2024", "04/02/2024"]}, happened=both)


def test_a_stamp_may_name_a_month_and_is_then_known_when_it_is_over() -> None:
    found = table({**ROWS, "day": ["2024-01-01", "2024-02-01"]}, happened={"column": "day", "period": "1mo"}).rows
    assert [at.date().isoformat() for at in found["_known"]] == ["2024-01-31", "2024-02-29"]


def test_duplicates_are_refused_or_the_last_or_the_sum_stands() -> None:
    raw = {"sku": ["a", "a", "b"], "day": ["2024-01-01"] * 3, "qty": ["1", "2.5", "4"]}
    assert table(raw, duplicates="keep_last").rows.sort("sku")["qty"].to_list() == [25, 40]
    assert table(raw, duplicates="sum").rows.sort("sku")["qty"].to_list() == [35, 40]


def test_a_tombstone_needs_no_values() -> None:
    raw = {**ROWS, "gone": ["no", "yes"], "qty": ["1", None]}
    assert table(raw, deleted="gone").rows["_deleted"].to_list() == [False, True]


def test_a_known_column_is_read_and_must_not_lie_before_the_fact() -> None:
    raw = {**ROWS, "loaded": ["2024-01-03", "2024-01-02"]}
    assert table(raw, known={"column": "loaded"}).rows["_known"][0].date().isoformat() == "2024-01-03"
    early = {**ROWS, "loaded": ["2023-12-31", "2024-01-02"]}
    with pytest.raises(ContractError, match="law 1, two clocks"):
        table(early, known={"column": "loaded"})
    assert table(early, known={"column": "loaded"}, ahead=True).rows.height == 2


def test_an_integer_clock_counts_steps() -> None:
    contract = parse_contract("s", Section({**BASE, "happened": {"column": "day", "period": "integer"}}, path="t"))
    rows = parse(contract, pl.DataFrame({**ROWS, "day": ["1", "2"]}), now=None).rows
    assert rows["_happened"].to_list() == [1, 2]
    with pytest.raises(ContractError, match="whole number"):
        parse(contract, pl.DataFrame({**ROWS, "day": ["1", "x"]}), now=None)


def test_allowed_words_and_a_constant_table() -> None:
    columns = {"sku": {"type": "text", "allowed": ["a"]}, "qty": {"type": "decimal", "decimals": 1}}
    with pytest.raises(ContractError, match="one of a"):
        table(ROWS, columns=columns)
    settings = {"key": ["sku"], "constant": "the catalogue of 2024, printed", "columns": {"sku": "text"}}
    contract = parse_contract("products", Section(settings, path="t"))
    assert (
        parse(contract, pl.DataFrame({"sku": ["a", "b"]}), now=NOW).as_of(datetime(1990, 1, 1, tzinfo=UTC)).height == 2
    )
