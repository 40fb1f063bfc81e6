"""Kept rows: whole cutoffs, once each, whatever columns a plan has."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.naive_lake import CONTRACTS, Row, at, table_of

from foreproof.adapters.lake import Lake
from foreproof.adapters.query import query
from foreproof.adapters.shelf import Shelf
from foreproof.core.plan import plan_of
from foreproof.errors import PlanError, StoreError

ROWS = pl.DataFrame({"sku": ["a", "b", "a"], "cutoff": [at(1), at(1), at(2)], "x": [1.0, None, 3.0]}).with_columns(
    pl.col("cutoff").cast(pl.Datetime("us", "UTC"))
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "my lake"), clock=lambda: at(9))


def ask(lake: Lake, sql: str, **more: object) -> list[tuple[object, ...]]:
    return query(lake, [], sql, kept={"features": Shelf(lake).dataset("features")}, **more).rows()  # type: ignore[arg-type]


def test_the_same_rows_twice_change_nothing_and_other_data_or_plans_add(lake: Lake) -> None:
    shelf = Shelf(lake)
    assert shelf.dataset("features") is None
    assert shelf.keep("features", ROWS, plan="p", data="d") == 3
    assert shelf.keep("features", ROWS, plan="p", data="d") == 0
    assert shelf.keep("features", ROWS.filter(pl.col("sku") == "a"), plan="p", data="d") == 0, (
        "a cutoff is whole already"
    )
    assert shelf.keep("features", ROWS, plan="q", data="d") == 3
    assert shelf.keep("features", ROWS, plan="p", data="e") == 3
    counted = ask(lake, "SELECT _plan, _data, count(*) FROM features GROUP BY ALL ORDER BY ALL")
    assert counted == [("p", "d", 3), ("p", "e", 3), ("q", "d", 3)]


def test_another_plan_may_have_other_columns(lake: Lake) -> None:
    shelf = Shelf(lake)
    shelf.keep("features", ROWS, plan="p", data="d")
    shelf.keep("features", ROWS.rename({"x": "y"}), plan="q", data="d")
    assert ask(lake, "SELECT sum(x), sum(y), count(*) FROM features") == [(4.0, 4.0, 6)]


def test_rows_of_later_cutoffs_are_not_shown_before(lake: Lake) -> None:
    Shelf(lake).keep("features", ROWS, plan="p", data="d")
    assert ask(lake, "SELECT count(*) FROM features", as_of=at(1)) == [(2,)]
    assert ask(lake, "SELECT count(*) FROM features", as_of=at(2)) == [(3,)]


def test_cutoffs_of_integer_steps_are_kept_too(lake: Lake) -> None:
    rows = pl.DataFrame({"sku": ["a", "a"], "cutoff": [3, 5], "x": [1, 2]})
    Shelf(lake).keep("features", rows, plan="p", data="d")
    assert ask(lake, "SELECT max(x) FROM features", as_of=3) == [(1,)]


def test_a_table_of_facts_of_that_name_goes_first(lake: Lake) -> None:
    daily = CONTRACTS["daily"]
    lake.load(table_of(daily, [Row("a", 1, 1, 105, 0.5)]))
    Shelf(lake).keep("features", ROWS, plan="p", data="d")
    found = query(lake, [daily], "SELECT count(*) AS n FROM daily", kept={"daily": Shelf(lake).dataset("features")})
    assert found["n"].item() == 1


def test_a_folder_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / ".rows").write_text("in the way", encoding="utf-8")
    with pytest.raises(StoreError, match="kept features"):
        Shelf(Lake(str(tmp_path / "lake"), clock=lambda: at(9))).keep("features", ROWS, plan="p", data="d")


def test_a_plan_keeps_only_what_there_is() -> None:
    from foreproof.core.plan import parse_keep

    values = {"schema": 1, "name": "n", "workload": "forecast"}
    assert parse_keep(plan_of({**values, "keep": ["features"]}).root()) == ("features",)
    with pytest.raises(PlanError, match="some of features, chances"):
        parse_keep(plan_of({**values, "keep": ["models"]}).root())
