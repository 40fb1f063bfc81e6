from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import permutations

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_tables import GRIDS, clock_of, database_of, row
from foreproof.core.clock import BEGINNING, INSTANT
from foreproof.core.contract import Column, Contract, Known, Stamp
from foreproof.core.grid import parse_grid, session_grid
from foreproof.core.view import Database, Table
from foreproof.errors import BadInput, PlanError
from foreproof.features import Lag, Series, Static, compile_rows, labels, target, versioned_series
from foreproof.features.cells import FAR, period_numbers
from foreproof.features.kernels import window_sum

INTEGER = GRIDS["integer"]
SPEC = Series("sales", ("sku",), "units", INTEGER)


def sale(at: int, known: int, units: int | None, *, sku: str | None = "a", batch: int = 1, dead: bool = False, **more):
    fact = {"id": at, "store": "n", "sku": sku, "units": units, "price": 1.0, "promo": False} | more
    return row(at, known, batch, dead, **fact)


def sales(*rows) -> Database:
    return database_of(INTEGER, sales=rows)


def ys(database: Database, cutoff: int, spec: Series = SPEC) -> list[tuple]:
    return target(database, spec, cutoff).rows()


def test_a_series_runs_from_its_first_fact_to_the_cutoff_and_a_step_without_facts_is_zero() -> None:
    database = sales(sale(2, 2, 15), sale(4, 4, 30), sale(7, 7, 99))
    assert ys(database, 5) == [("a", 2, 1.5), ("a", 3, 0.0), ("a", 4, 3.0), ("a", 5, 0.0)]


@pytest.mark.parametrize(("gap", "middle"), [("zero", 0.0), ("missing", None), ("carry", 1.5)])
def test_the_gap_rule_says_what_a_step_without_facts_is_worth(gap, middle) -> None:
    database = sales(sale(2, 2, 15), sale(4, 4, 30))
    spec = Series("sales", ("sku",), "units", INTEGER, gap=gap)
    assert ys(database, 4, spec) == [("a", 2, 1.5), ("a", 3, middle), ("a", 4, 3.0)]


@pytest.mark.parametrize(("aggregate", "y"), [("sum", 6.0), ("mean", 2.0), ("last", 1.0)])
def test_the_facts_of_a_period_become_one_value(aggregate, y) -> None:
    database = sales(*(sale(1, known, units, id=known) for known, units in ((1, 35), (2, 15), (3, 10))))
    assert ys(database, 3, Series("sales", ("sku",), "units", INTEGER, aggregate))[0] == ("a", 1, y)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (row(2, 5, 1, units=10), row(1, 6, 2, units=90)),
        (row(1, 6, 1, units=10), row(1, 5, 2, units=90)),
        (row(1, 5, 2, units=10), row(1, 5, 1, units=90)),
    ],
    ids=["happened", "known", "batch"],
)
def test_the_last_fact_is_that_of_the_later_stamp_then_known_then_batch(later, earlier) -> None:
    grid = GRIDS["pairs"]  # steps 1 and 2 are one period
    names = {"store": "n", "sku": "a", "price": 1.0, "promo": False}
    database = database_of(grid, sales=[{**later, **names, "id": 1}, {**earlier, **names, "id": 2}])
    assert target(database, Series("sales", (), "units", grid, "last"), 6).rows()[0] == (1, 1.0)


def test_a_series_of_an_ahead_table_does_not_begin_before_its_first_fact_took_place() -> None:
    plans = [row(at, 1, id=at, sku="a", display=at, depth=None) for at in (4, 6)]
    database, spec = database_of(INTEGER, plans=plans), Series("plans", ("sku",), "display", INTEGER)
    assert [target(database, spec, cutoff)["y"].to_list() for cutoff in (3, 4, 5)] == [[], [4.0], [4.0, 0.0]]
    assert compile_rows(database, spec, [Lag(0)], [3, 5], 1).rows() == [("a", 5, 1, 0.0)]
    assert labels(database, spec, [3, 5], 1, at=6).rows() == [("a", 5, 1, 6.0)]


def test_a_correction_counts_from_the_step_it_is_known_and_a_tombstone_ends_the_fact() -> None:
    database = sales(
        sale(1, 1, 10, id=0), sale(1, 3, 70, id=0, batch=2), sale(1, 5, 70, id=0, batch=3, dead=True), sale(2, 2, 20)
    )
    first = {cutoff: ys(database, cutoff)[0] for cutoff in (1, 2, 3, 4, 5)}
    assert [first[cutoff] for cutoff in (1, 2, 3, 4)] == [("a", 1, 1.0), ("a", 1, 1.0), ("a", 1, 7.0), ("a", 1, 7.0)]
    assert first[5] == ("a", 2, 2.0), "the series now begins with its second fact"


def test_a_late_fact_moves_the_start_back_only_when_it_is_known() -> None:
    database = sales(sale(5, 5, 10), sale(2, 8, 10))
    assert [len(ys(database, cutoff)) for cutoff in (4, 5, 7, 8)] == [0, 1, 3, 7]


def test_facts_without_a_value_or_a_name_are_no_facts() -> None:
    database = sales(sale(1, 1, 10), sale(2, 2, 10, sku=None), sale(3, 3, 10, promo=True, price=None))
    assert ys(database, 3, Series("sales", ("sku",), "price", INTEGER)) == [("a", 1, 1.0), ("a", 2, 0.0), ("a", 3, 0.0)]


def test_facts_can_be_kept_and_dropped_by_value() -> None:
    database = sales(sale(1, 1, 10), sale(2, 2, 20, store="s"), sale(3, 3, 30, promo=True))
    kept = Series("sales", (), "units", INTEGER, keep=(("store", ("n", "x")),))
    dropped = Series("sales", (), "units", INTEGER, drop=(("promo", ("true",)),))
    assert ys(database, 3, kept) == [(1, 1.0), (2, 0.0), (3, 3.0)]
    assert ys(database, 3, dropped) == [(1, 1.0), (2, 2.0), (3, 0.0)]


def test_a_date_belongs_to_the_local_day_of_the_grid() -> None:
    grid = parse_grid("1d", zone="America/New_York")
    late = datetime(2024, 3, 11, 3, 30, tzinfo=UTC)  # half past eleven in the evening of the 10th, after the change
    early = datetime(2024, 3, 10, 4, 30, tzinfo=UTC)  # half past eleven in the evening of the 9th, before it
    database = database_of(grid, sales=[sale(late, late, 10, id=1), sale(early, early, 20, id=2)])
    cutoff = grid.add(late, 0)
    found = target(database, Series("sales", (), "units", grid), cutoff)
    assert found["y"].to_list() == [2.0, 1.0]
    assert found["period"].to_list() == [(datetime(2024, 3, day) - datetime(1970, 1, 1)).days for day in (9, 10)]


def test_a_fact_of_the_last_microsecond_is_of_its_own_period() -> None:
    grid = parse_grid("1h")
    end = datetime(2024, 3, 1, 9, 59, 59, 999_999, tzinfo=UTC)
    after = datetime(2024, 3, 1, 10, tzinfo=UTC)
    database = database_of(grid, sales=[sale(end, end, 10, id=1), sale(after, after, 20, id=2)])
    spec = Series("sales", (), "units", grid)
    assert target(database, spec, end)["y"].to_list() == [1.0]
    assert target(database, spec, grid.add(end, 1))["y"].to_list() == [1.0, 2.0]


def test_a_cutoff_inside_a_period_is_refused_with_the_grid_point_before_it() -> None:
    grid = parse_grid("1d")
    with pytest.raises(BadInput, match=r"use the grid point before it, 2024-02-29 23:59:59.999999"):
        target(database_of(grid), Series("sales", (), "units", grid), datetime(2024, 3, 1, 9, tzinfo=UTC))


def test_a_cutoff_of_the_other_clock_is_refused() -> None:
    with pytest.raises(BadInput, match="a moment of the grid's clock"):
        target(sales(), SPEC, datetime(2024, 3, 1, tzinfo=UTC))


def test_a_table_on_the_other_clock_is_refused() -> None:
    grid = parse_grid("1d")
    with pytest.raises(BadInput, match=r"tables.sales: a clock of Int64"):
        target(sales(), Series("sales", (), "units", grid), grid.add(datetime(2024, 3, 1, tzinfo=UTC), 0))


def test_a_view_answers_for_its_own_cutoff_only() -> None:
    view = sales(sale(1, 1, 10)).as_of(3)
    with pytest.raises(BadInput, match="not the view's own"):
        target(view, SPEC, 2)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"table": "sale"}, BadInput, "series.table: no table 'sale'"),
        ({"value": "unit"}, PlanError, "no column 'unit'"),
        ({"value": "sku"}, BadInput, "sales.sku: a text column"),
        ({"by": ("shop",)}, PlanError, "no column 'shop'"),
        ({"keep": (("shop", ("n",)),)}, PlanError, "no column 'shop'"),
    ],
)
def test_a_series_of_what_is_not_there_is_refused(change, error, words) -> None:
    spec = Series(**{"table": "sales", "by": ("sku",), "value": "units", "grid": INTEGER} | change)
    with pytest.raises(error, match=words):
        versioned_series(sales(), spec)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"aggregate": "median"}, "series.aggregate"), ({"gap": "hole"}, "series.gap"), ({"by": ("step",)}, "series.by")],
)
def test_a_series_that_makes_no_sense_is_refused(change, words) -> None:
    with pytest.raises(BadInput, match=words):
        Series(**{"table": "sales", "by": ("sku",), "value": "units", "grid": INTEGER} | change)


def test_versions_of_another_series_are_refused() -> None:
    with pytest.raises(BadInput, match="versions of"):
        target(versioned_series(sales(), SPEC), Series("sales", (), "units", INTEGER), 1)


def test_series_resolved_once_serve_many_cutoffs() -> None:
    database = sales(sale(1, 1, 10), sale(2, 4, 20), sale(1, 3, 50, batch=2))
    once = versioned_series(database, SPEC)
    for cutoff in range(1, 6):
        assert_frame_equal(target(once, SPEC, cutoff), target(database, SPEC, cutoff))
    assert_frame_equal(labels(once, SPEC, [1, 2], 2, at=4), labels(database, SPEC, [1, 2], 2, at=4))


def test_exactly_one_version_of_a_period_is_visible_at_any_cutoff() -> None:
    rows = [sale(1, known, 10 * known, id=number, batch=known) for number in (0, 1) for known in (1, 2 + number, 5)]
    found = versioned_series(sales(*rows), SPEC).cells
    assert [len(found.visible(cutoff).code) for cutoff in range(7)] == [0, 1, 1, 1, 1, 1, 1]
    assert (found.since[1:] == found.until[:-1]).all()
    assert [found.visible(cutoff).value[0] for cutoff in range(1, 7)] == [20, 30, 50, 50, 100, 100]


def test_labels_are_the_truth_as_known_at_a_moment_and_end_there() -> None:
    database = sales(sale(1, 1, 10), sale(2, 2, 20, id=7), sale(2, 6, 90, id=7, batch=2), sale(4, 5, 40))
    early = labels(database, SPEC, [1], 3, at=4).rows()
    assert early == [("a", 1, 1, 2.0), ("a", 1, 2, 0.0), ("a", 1, 3, 0.0)]
    assert labels(database, SPEC, [1], 3, at=3).rows() == early[:2]
    assert labels(database, SPEC, [1], 3, at=6)["y"].to_list() == [9.0, 0.0, 4.0]


def test_without_a_moment_labels_end_with_the_last_fact_of_any_series() -> None:
    database = sales(sale(1, 1, 10), sale(3, 3, 10, sku="b"))
    assert labels(database, SPEC, [1], 5).rows() == [("a", 1, 1, 0.0), ("a", 1, 2, 0.0)]


@pytest.mark.parametrize(
    ("gap", "wanted"), [("zero", [0.0, 3.0, 0.0]), ("missing", [None, 3.0, None]), ("carry", [1.0, 3.0, 3.0])]
)
def test_labels_follow_the_gap_rule(gap, wanted) -> None:
    spec = Series("sales", ("sku",), "units", INTEGER, gap=gap)
    assert labels(sales(sale(1, 1, 10), sale(3, 3, 30)), spec, [1], 3, at=4)["y"].to_list() == wanted


def test_no_cutoffs_have_no_labels_and_no_steps_are_refused() -> None:
    assert labels(sales(sale(1, 1, 10)), SPEC, [], 2).height == 0
    with pytest.raises(BadInput, match="horizon: 0"):
        labels(sales(sale(1, 1, 10)), SPEC, [1], 0)


def test_a_series_that_had_not_begun_has_no_labels() -> None:
    database = sales(sale(1, 1, 10), sale(3, 3, 10, sku="b"), sale(2, 5, 10, sku="c"))
    assert labels(database, SPEC, [2], 1, at=9)["sku"].to_list() == ["a"]


def test_sums_of_scaled_integers_stay_exact_where_floats_would_not() -> None:
    big = 2**53
    database = sales(sale(1, 1, big, id=1), sale(1, 1, 1, id=2), sale(1, 1, -big, id=3))
    assert ys(database, 1) == [("a", 1, 0.1)]
    later = sales(sale(1, 1, big), sale(2, 2, 1), sale(3, 3, -big), sale(4, 4, 0))
    window = window_sum(
        (cells := versioned_series(later, SPEC).cells), cells.value, cutoffs=np.array([3]), lag=0, window=3, size=1
    )
    assert window.tolist() == [[1]]


@pytest.mark.parametrize("aggregate", ["sum", "mean"])
def test_floats_of_a_period_add_up_to_the_same_bits_in_any_order_of_rows(aggregate) -> None:
    prices = (0.1, 0.2, 0.3, 1e16, -1e16)
    spec = Series("sales", (), "price", INTEGER, aggregate)
    rows = [sale(1, 1, 0, id=number, price=price) for number, price in enumerate(prices)]
    bits = {target(sales(*some), spec, 1)["y"].to_numpy().tobytes() for some in permutations(rows)}
    corrected = [row | {"_known": 9, "_batch": 2, "price": 5.0} for row in rows[:3]]
    assert len(bits | {target(sales(*rows, *corrected), spec, 1)["y"].to_numpy().tobytes()}) == 1


def test_minus_zero_is_zero() -> None:
    spec = Series("sales", (), "price", INTEGER)
    y = target(sales(sale(1, 1, 0, price=-0.0)), spec, 1)["y"][0]
    assert (y, math.copysign(1, y)) == (0.0, 1.0)


def test_no_facts_are_empty_frames_of_the_right_types() -> None:
    for spec in (
        SPEC,
        Series("sales", (), "units", INTEGER, gap="carry"),
        Series("sales", (), "price", INTEGER, "last"),
    ):
        names = dict.fromkeys(spec.by, pl.String)
        assert target(sales(), spec, 3).schema == names | {"period": pl.Int64, "y": pl.Float64}
        found = labels(sales(), spec, [3], 2, at=9)
        assert found.schema == names | {"cutoff": pl.Int64, "step": pl.Int64, "y": pl.Float64}
        rows = compile_rows(sales(), spec, [Lag(0)], [3], 2)
        assert rows.schema == names | {"cutoff": pl.Int64, "step": pl.Int64, "lag_0": pl.Float64}
        assert (target(sales(), spec, 3).height, found.height, rows.height) == (0, 0, 0)


def test_the_beginning_and_forever_lie_outside_every_calendar() -> None:
    at = np.array([BEGINNING, 0, 2**62], dtype=np.int64)
    assert period_numbers(parse_grid("1d"), at).tolist() == [-FAR, 0, FAR]


def test_sessions_are_steps() -> None:
    days = [datetime(2024, 3, day, 21, tzinfo=UTC) for day in (1, 4, 5)]
    grid = session_grid(np.array([int(day.timestamp() * 1e6) for day in days]))
    database = database_of(grid, sales=[sale(days[0], days[0], 10, id=1), sale(days[2], days[2], 30, id=2)])
    assert target(database, Series("sales", (), "units", grid), days[2]).rows() == [(0, 1.0), (1, 0.0), (2, 3.0)]


def test_a_constant_table_may_be_on_any_clock() -> None:
    columns = (Column("id", "integer"), Column("sku", "text"), Column("size", "integer"))
    contract = Contract("sizes", ("id",), None, Known("constant", why="a size never changes"), columns)
    rows = pl.DataFrame({"id": [1], "sku": ["a"], "size": [4]}).with_columns(
        *(pl.lit(BEGINNING).cast(INSTANT).alias(name) for name in ("_happened", "_known")),
        pl.lit(1, dtype=pl.Int64).alias("_batch"),
        pl.lit(False).alias("_deleted"),
    )
    database = Database({**sales(sale(1, 1, 10)).tables, "sizes": Table(contract, rows)})
    assert compile_rows(database, SPEC, [Static("sizes", "size")], [1], 1)["static_sizes_size"].to_list() == [4.0]


def test_clocks_of_tests_are_what_they_say() -> None:
    assert clock_of(INTEGER)(3) == 3
    assert clock_of(GRIDS["days"])(0) == datetime(2024, 3, 1, 9, tzinfo=UTC)
    assert Stamp("at").period == ""
