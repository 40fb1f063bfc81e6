"""Two clocks: a view holds what was known, whatever came later."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from foreproof.core.contract import Column, Contract, Known, Stamp
from foreproof.core.view import Database, Table, View
from foreproof.errors import BadInput, LawError

COLUMNS = ["sku", "y", "_happened", "_known", "_batch", "_deleted"]


def contract(*, ahead: bool = False) -> Contract:
    columns = (Column("sku", "text"), Column("y", "integer"))
    return Contract("t", ("sku", "t"), Stamp("t", period="integer"), Known("same_as_happened"), columns, ahead=ahead)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Late rows, corrections, ties and tombstones; a key comes once in a batch."""
    ahead = draw(st.booleans())
    found = {}
    for _ in range(draw(st.integers(1, 40))):
        sku, t, batch = draw(st.sampled_from("ab")), draw(st.integers(0, 4)), draw(st.integers(1, 4))
        known = draw(st.integers(-3, 8)) if ahead else t + draw(st.integers(0, 5))
        found[sku, t, batch] = (sku, draw(st.integers(0, 99)), t, known, batch, draw(st.integers(0, 3)) == 0)
    return Table(contract(ahead=ahead), pl.DataFrame(list(found.values()), schema=COLUMNS, orient="row"))


def plain(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    return sorted(frame.select(COLUMNS).iter_rows())


@given(table=tables(), cutoff=st.integers(-4, 14))
def test_a_view_equals_the_plain_loop(table: Table, cutoff: int) -> None:
    expected = naive.as_of(list(table.rows.iter_rows(named=True)), ["sku", "_happened"], cutoff)
    assert plain(table.as_of(cutoff)) == sorted(tuple(row[name] for name in COLUMNS) for row in expected)


@given(table=tables(), cutoff=st.integers(-4, 14), seed=st.integers(0, 99))
def test_rows_known_later_and_the_order_of_rows_change_nothing(table: Table, cutoff: int, seed: int) -> None:
    shuffled = Table(table.contract, table.rows.sample(fraction=1, shuffle=True, seed=seed))
    seen = plain(table.as_of(cutoff))
    assert plain(table.truncate(cutoff).as_of(cutoff)) == seen
    assert plain(shuffled.as_of(cutoff)) == seen
    noise = table.rows.filter(pl.col("_known") > cutoff).with_columns(pl.col("y") * -7, ~pl.col("_deleted"))
    scrambled = Table(table.contract, pl.concat([table.rows.filter(pl.col("_known") <= cutoff), noise]))
    assert plain(scrambled.as_of(cutoff)) == seen


@given(table=tables(), cutoff=st.integers(-4, 14))
def test_a_view_made_of_later_rows_is_refused(table: Table, cutoff: int) -> None:
    view = Database({"t": table}).as_of(cutoff)
    assert plain(view["t"]) == plain(table.as_of(cutoff))
    if table.rows.filter(pl.col("_known") > cutoff).height:
        with pytest.raises(LawError, match="law 1"):
            View(cutoff, {"t": table})


def test_a_cutoff_on_another_clock_and_an_unknown_table_are_refused() -> None:
    from datetime import UTC, datetime

    table = Table(contract(), pl.DataFrame([("a", 1, 0, 0, 1, False)], schema=COLUMNS, orient="row"))
    with pytest.raises(BadInput, match="own clock"):
        table.as_of(datetime(2024, 1, 1, tzinfo=UTC))
    with pytest.raises(BadInput, match="no table 'x'"):
        Database({"t": table})["x"]


def test_a_row_without_a_natural_key_that_comes_again_in_a_later_batch_is_one_row() -> None:
    columns = (Column("sku", "text"), Column("qty", "integer"))
    keyless = Contract("t", (), Stamp("t", period="integer"), Known("same_as_happened"), columns)
    rows = pl.DataFrame(
        {"sku": ["a", "a", "b"], "qty": [1, 1, 1], "_happened": 1, "_known": 1, "_batch": 1, "_deleted": False},
    ).with_columns(pl.Series("_occurrence", [1, 2, 1]))
    again = rows.with_columns(pl.lit(2, dtype=pl.Int64).alias("_batch"), pl.lit(3, dtype=pl.Int64).alias("_known"))
    rows = rows.with_columns(pl.col("_batch", "_known", "_happened").cast(pl.Int64))
    assert Table(keyless, rows).as_of(9).height == 3
    twice = Table(keyless, pl.concat([rows, again.select(rows.columns).cast(dict(rows.schema))]))
    assert twice.as_of(9).height == 3
    assert twice.as_of(9)["_batch"].to_list() == [2, 2, 2]
    assert twice.as_of(2)["_batch"].to_list() == [1, 1, 1]
