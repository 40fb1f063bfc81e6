from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from feature_tables import GRIDS, HORIZON, database_of, row
from foreproof.core.grid import Grid, parse_grid
from foreproof.core.section import Section
from foreproof.core.view import Database, Table
from foreproof.errors import BadInput, ForeproofError, LawError, MissingExtra, PlanError
from foreproof.features import (
    Age,
    Ahead,
    Calendar,
    Difference,
    Feature,
    Holiday,
    Lag,
    Ratio,
    Reading,
    Rolling,
    SeasonalLag,
    SeasonalRolling,
    Series,
    Static,
    check_law,
    compile_rows,
    default_features,
    parse_features,
)  # fmt: skip
from foreproof.features.compile import batches

INTEGER = GRIDS["integer"]
SPEC = Series("sales", ("store", "sku"), "units", INTEGER)


def sale(at, units: int, *, sku: str = "a", known=None, batch: int = 1, dead: bool = False, id: int = -1):  # noqa: A002
    values = {
        "id": hash((at, sku)) if id < 0 else id,
        "store": "n",
        "sku": sku,
        "units": units,
        "price": units / 2,
        "promo": False,
    }
    return row(at, at if known is None else known, batch, dead, **values)


def line(*units: int) -> list:
    """One fact a step, from step 1 on, in tenths."""
    return [sale(step + 1, value * 10, id=step) for step, value in enumerate(units)]


def column(feature: Feature, cutoff=6, *, horizon: int = HORIZON, spec: Series = SPEC, **rows) -> list:
    return compile_rows(database_of(spec.grid, **rows), spec, [feature], [cutoff], horizon)[feature.name].to_list()


ONE_TO_SIX = line(1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    ("feature", "wanted"),
    [
        (Lag(0), [6, 6, 6]),
        (Lag(4), [2, 2, 2]),
        (Lag(6), [None] * 3),
        (Lag(3, "target"), [4, 5, 6]),
        (SeasonalLag(2), [5, 6, 5]),
        (SeasonalLag(2, 2), [3, 4, 3]),
        (SeasonalLag(7), [None, 1, 2]),
        (Rolling("mean", 2), [5.5] * 3),
        (Rolling("mean", 2, 1), [4.5] * 3),
        (Rolling("sum", 4), [18] * 3),
        (Rolling("sum", 400), [21] * 3),
        (Rolling("mean", None), [3.5] * 3),
        (Rolling("mean", None, 2), [2.5] * 3),
        (Rolling("max", None, 2), [4] * 3),
        (Rolling("min", 3), [4] * 3),
        (Rolling("max", 3, 1), [5] * 3),
        (Rolling("std", 3), [1] * 3),
        (Rolling("std", 1), [None] * 3),
        (Rolling("nonzero", 4), [4] * 3),
        (Rolling("mean", 2, 3, "target"), [3.5, 4.5, 5.5]),
        (Rolling("mean", 3, 7), [None] * 3),
        (SeasonalRolling("mean", 2, 3), [3, 4, 3]),
        (SeasonalRolling("mean", 4, 9), [3, 4, 3]),
        (Difference(0, 1), [1] * 3),
        (Difference(1, 3), [3] * 3),
        (Difference(0, 6), [None] * 3),
        (Ratio(2, 4), [5.5 / 4.5] * 3),
        (Age(), [5] * 3),
        (Calendar("phase", 4), [3, 0, 1]),
        (Calendar("trend"), [6, 7, 8]),
    ],
)
def test_a_feature_of_the_line_one_to_six_at_step_six(feature, wanted) -> None:
    assert column(feature, sales=ONE_TO_SIX) == wanted


def test_steps_of_a_life_without_facts_count_as_zero_and_steps_before_it_do_not_count() -> None:
    facts = [sale(3, 40), sale(6, 80)]
    assert column(Rolling("mean", 4), sales=facts)[0] == 3.0, "(4 + 0 + 0 + 8) / 4"
    assert column(Rolling("mean", 10), sales=facts)[0] == 3.0, "two of the ten steps come before the life"
    assert column(Rolling("nonzero", 4), sales=facts)[0] == 2.0
    assert column(Rolling("std", 4), sales=facts)[0] == pytest.approx(math.sqrt((1 + 9 + 9 + 25) / 3))
    assert [column(Lag(lag), sales=facts)[0] for lag in (0, 1, 3, 4)] == [8.0, 0.0, 4.0, None]


def test_missing_steps_are_in_no_window_and_carried_ones_are() -> None:
    facts = [sale(3, 40), sale(6, 80)]
    missing = Series("sales", ("sku",), "units", INTEGER, gap="missing")
    carry = Series("sales", ("sku",), "units", INTEGER, gap="carry")
    assert column(Rolling("mean", 4), spec=missing, sales=facts)[0] == 6.0
    assert column(Rolling("mean", 4), spec=carry, sales=facts)[0] == 5.0
    assert column(Lag(0), cutoff=9, spec=carry, sales=facts)[0] == 8.0
    assert column(Lag(0), cutoff=9, spec=missing, sales=facts)[0] is None


def test_a_window_reads_what_was_known_and_not_what_was_corrected_later() -> None:
    facts = [*line(1, 2), sale(1, 90, known=4, batch=2, id=0), sale(2, 20, known=6, batch=2, id=1, dead=True)]
    database = database_of(INTEGER, sales=facts)
    found = compile_rows(database, SPEC, [Rolling("sum", 10), Lag(2), Lag(4)], [2, 3, 4, 5, 6], 1)
    assert found["rolling_sum_10"].to_list() == [3.0, 3.0, 11.0, 11.0, 9.0]
    assert found["lag_2"].to_list() == [None, 1.0, 2.0, 0.0, 0.0]
    assert found["lag_4"].to_list() == [None, None, None, 9.0, 0.0], "the fact of step 2 was deleted at 6"


def test_a_row_known_between_two_cutoffs_is_seen_by_the_second_only() -> None:
    grid = parse_grid("1d")
    noon = datetime(2024, 3, 1, 12, tzinfo=UTC)
    facts = [sale(noon, 10, id=1), sale(noon, 50, id=2, known=datetime(2024, 3, 2, 0, 0, tzinfo=UTC))]
    spec = Series("sales", (), "units", grid)
    cutoffs = [grid.add(noon, 0), grid.add(noon, 1)]
    found = compile_rows(database_of(grid, sales=facts), spec, [Rolling("sum", 2)], cutoffs, 1)
    assert found["rolling_sum_2"].to_list() == [1.0, 6.0]


def plan(at: int, display: int, known: int, *, sku: str = "a", id: int = 0):  # noqa: A002
    return row(at, known, id=id, sku=sku, display=display, depth=display / 2)


def test_ahead_reads_what_was_planned_for_the_target_step_by_the_cutoff() -> None:
    plans = [plan(7, 3, 2), plan(8, 5, 7, id=1), plan(9, 1, 6, id=2), plan(9, 4, 6, id=3), plan(9, 8, 1, sku="b", id=4)]
    rows = {"sales": ONE_TO_SIX, "plans": plans}
    assert column(Ahead("plans", "display", "sum"), **rows) == [3.0, 0.0, 5.0], "8 was not yet planned"
    assert column(Ahead("plans", "display", "max"), **rows) == [3.0, None, 4.0]
    assert column(Ahead("plans", "", "count"), **rows) == [1.0, 0.0, 2.0]
    assert column(Ahead("plans", "display", "sum", 1), **rows) == [0.0, 5.0, None], "nothing beyond the horizon"
    assert column(Ahead("plans", "display", "sum", -1), **rows) == [0.0, 3.0, 0.0]


def test_a_row_of_a_table_with_fewer_names_speaks_for_all_its_series() -> None:
    weather = [row(7, 1, id=1, heat=30), row(8, 9, id=2, heat=31)]
    rows = {"sales": [*ONE_TO_SIX, sale(6, 10, sku="b")], "weather": weather}
    assert column(Ahead("weather", "heat", "mean"), **rows) == [30.0, None, None] * 2


def test_a_static_is_the_latest_row_visible_at_the_cutoff() -> None:
    products = [
        row(1, 1, id=1, sku="a", department="food", size=125),
        row(4, 4, id=2, sku="a", department="fuel", size=None),
        row(5, 8, id=3, sku="a", department="toys", size=999),
    ]
    rows = {"sales": [*ONE_TO_SIX, sale(6, 10, sku="b")], "products": products}
    assert column(Static("products", "department"), **rows) == ["fuel"] * 3 + [None] * 3
    assert column(Static("products", "size"), **rows) == [1.25] * 3 + [None] * 3
    assert column(Static("products", "department"), cutoff=8, **rows)[0] == "toys"


def test_a_past_column_of_another_table_is_a_window_too() -> None:
    plans = [plan(4, 3, 2), plan(6, 5, 1, id=1), plan(6, 7, 9, id=2)]
    rows = {"sales": ONE_TO_SIX, "plans": plans}
    assert column(Rolling("sum", 3, of=Reading("plans", "display", "sum", "zero")), **rows)[0] == 8.0
    assert column(Rolling("mean", 2, of=Reading("plans", "display", "sum", "missing")), **rows)[0] == 5.0
    assert column(Lag(1, of=Reading("plans", "display", "last", "carry")), **rows)[0] == 3.0
    assert column(Lag(0, of=Reading("sales", "price", "mean", "missing")), **rows)[0] == 30.0


DAYS = parse_grid("1d", zone="America/New_York")
DAILY = Series("sales", (), "units", DAYS)
EVE = DAYS.add(datetime(2024, 7, 2, 12, tzinfo=UTC), 0)


@pytest.mark.parametrize(
    ("feature", "wanted"),
    [
        (Calendar("weekday"), [3.0, 4.0, 5.0]),
        (Calendar("day"), [3.0, 4.0, 5.0]),
        (Calendar("day_of_year"), [185.0, 186.0, 187.0]),
        (Calendar("week"), [27.0] * 3),
        (Calendar("month"), [7.0] * 3),
        (Calendar("quarter"), [3.0] * 3),
        (Calendar("year"), [2024.0] * 3),
        (Calendar("hour"), [23.0] * 3),
        (Holiday("US"), [0.0, 1.0, 0.0]),
        (Holiday("US", "to_next"), [1.0, 0.0, None]),
        (Holiday("US", "since_last"), [14.0, 0.0, 1.0]),
        (Holiday("US", "name"), [None, "Independence Day", None]),
        (Holiday("US", "since_last", within=13), [None, 0.0, 1.0]),
        (Holiday("FR"), [0.0] * 3),
    ],
)
def test_the_calendar_of_the_target_day(feature, wanted) -> None:
    noon = datetime(2024, 7, 1, 12, tzinfo=UTC)
    assert column(feature, cutoff=EVE, spec=DAILY, sales=[sale(noon, 10)]) == wanted


def test_holidays_of_a_week_are_counted() -> None:
    grid = parse_grid("1w", zone="America/New_York")
    at = datetime(2024, 12, 18, 12, tzinfo=UTC)
    found = column(Holiday("US"), cutoff=grid.add(at, 0), spec=Series("sales", (), "units", grid), sales=[sale(at, 10)])
    assert found == [1.0, 1.0, 0.0], "25 December, 1 January, none"


def test_an_unknown_country_is_refused() -> None:
    noon = datetime(2024, 7, 1, 12, tzinfo=UTC)
    with pytest.raises(BadInput, match="holiday_ZZ_is"):
        column(Holiday("ZZ"), cutoff=EVE, spec=DAILY, sales=[sale(noon, 10)])


@pytest.mark.parametrize("feature", [Calendar("weekday"), Holiday("US")])
def test_a_grid_without_dates_has_no_calendar(feature) -> None:
    with pytest.raises(BadInput, match="an integer grid"):
        column(feature, sales=ONE_TO_SIX)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Lag(-1), LawError, "law 3"),
        (lambda: Rolling("mean", 7, -1), LawError, "law 3"),
        (lambda: Difference(-2, 1), LawError, "law 3"),
        (lambda: Ratio(1, 2, -1), LawError, "law 3"),
        (lambda: Rolling("mean", 0), BadInput, "window 0"),
        (lambda: Ratio(0, 7), BadInput, "window 0"),
        (lambda: SeasonalLag(0), BadInput, "season 0"),
        (lambda: SeasonalLag(7, 0), BadInput, "k 0"),
        (lambda: SeasonalRolling("mean", 7, 0), BadInput, "count 0"),
        (lambda: Difference(0, 0), BadInput, "span 0"),
        (lambda: Rolling("median", 7), BadInput, "median"),
        (lambda: Lag(1, "future"), BadInput, "future"),
        (lambda: Calendar("moon"), BadInput, "moon"),
        (lambda: Calendar("phase"), BadInput, "season 0"),
        (lambda: Calendar("week", 7), BadInput, "season 7"),
        (lambda: Holiday("US", "eve"), BadInput, "eve"),
        (lambda: Holiday("US", within=0), BadInput, "within 0"),
        (lambda: Ahead("plans", "display", "median"), BadInput, "median"),
    ],
)
def test_a_feature_that_makes_no_sense_cannot_be_declared(make, error, words) -> None:
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("feature", "error", "words"),
    [
        (Lag(2, "target"), LawError, r"lag_2_target.*law 3.*lag >= 3"),
        (Rolling("mean", 7, 2, "target"), LawError, "law 3"),
        (Rolling("mean", 7, 2, "target", Reading("plans", "display")), LawError, "law 3"),
        (Ahead("sales", "units"), LawError, r"sales, a table of past facts.*law 3"),
        (Ahead("plan", "display"), BadInput, "no table 'plan'"),
        (Ahead("plans", "displays"), PlanError, "no column 'displays'"),
        (Ahead("plans", "sku"), BadInput, "a text column"),
        (Static("product", "size"), BadInput, "no table 'product'"),
        (Static("products", "sizes"), PlanError, "no column 'sizes'"),
        (Lag(1, of=Reading("shops", "x")), BadInput, "no table 'shops'"),
        (Lag(1, of=Reading("sales", "prices")), PlanError, "no column 'prices'"),
        (Rolling("mean", 3, of=Reading("products", "department")), BadInput, "a text column"),
    ],
)
def test_a_feature_that_cannot_be_made_says_why(feature, error, words) -> None:
    with pytest.raises(error, match=words):
        column(feature, sales=ONE_TO_SIX)


def test_the_largest_lag_that_every_step_may_read_is_allowed() -> None:
    check_law(Lag(3, "target"), 3)
    with pytest.raises(LawError):
        check_law(Lag(3, "target"), 4)


def test_no_steps_and_no_cutoffs_are_refused() -> None:
    with pytest.raises(BadInput, match="horizon: 0"):
        compile_rows(database_of(INTEGER), SPEC, [SeasonalLag(7)], [1], 0)
    with pytest.raises(BadInput, match="cutoffs: none"):
        compile_rows(database_of(INTEGER), SPEC, [Lag(1)], [], 1)


def test_two_features_of_one_name_are_refused() -> None:
    with pytest.raises(BadInput, match="lag_1"):
        compile_rows(database_of(INTEGER), SPEC, [Lag(1), Lag(1)], [1], 1)


def test_what_is_no_declared_feature_is_refused() -> None:
    class Odd(Lag):
        pass

    with pytest.raises(BadInput, match="Odd"):
        compile_rows(database_of(INTEGER), SPEC, [Odd(1)], [1], 1)


def test_a_key_of_another_type_is_refused() -> None:
    database = database_of(INTEGER, sales=ONE_TO_SIX)
    table = database["plans"]
    numbered = Table(table.contract, table.rows.with_columns(pl.lit(1).alias("sku")))
    with pytest.raises(BadInput, match=r"tables.plans.sku"):
        compile_rows(Database({**database.tables, "plans": numbered}), SPEC, [Ahead("plans", "display")], [6], 1)


@pytest.mark.parametrize("names", [["a"], ["b"], ["c"], ["c", "a"], []])
def test_rows_of_some_series_are_those_of_all_series(names) -> None:
    facts = [sale(at, at, sku=sku, id=at * 10 + i) for i, sku in enumerate("abc") for at in range(i, 9)]
    features = default_features(3, INTEGER, HORIZON)
    database = database_of(INTEGER, sales=facts)
    whole = compile_rows(database, SPEC, features, [5, 8], HORIZON)
    entities = pl.DataFrame([("n", name) for name in names], {"store": pl.String, "sku": pl.String}, orient="row")
    some = compile_rows(database, SPEC, features, [8, 5, 5], HORIZON, entities=entities)
    assert_frame_equal(some, whole.filter(pl.col("sku").is_in(names)), check_exact=True)


def test_chunks_hold_every_series_once() -> None:
    codes = np.arange(7)
    assert [part.tolist() for part in batches(codes, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [part.tolist() for part in batches(codes[:0], 3)] == [[]]


# The plan -------------------------------------------------------------------------------------------------------------


def parsed(text: str, *, grid: Grid = DAYS) -> tuple[Feature, ...]:
    sections = [Section(item, path=f"features[{i}]") for i, item in enumerate(yaml.safe_load(text))]
    return parse_features(sections, season=7, grid=grid, horizon=HORIZON)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[{lag: 1}]", (Lag(1),)),
        ("[{lag: [0, 1], anchor: cutoff}]", (Lag(0), Lag(1))),
        ("[{lag: 5, anchor: target}]", (Lag(5, "target"),)),
        ("[{lag: 1, of: sales.price}]", (Lag(1, of=Reading("sales", "price", "mean", "missing")),)),
        ("[{lag: 0, of: plans}]", (Lag(0, of=Reading("plans", "", "count", "zero")),)),
        ("[{seasonal_lag: 7, k: [1, 2]}]", (SeasonalLag(7), SeasonalLag(7, 2))),
        ("[{rolling: mean, window: 7}]", (Rolling("mean", 7),)),
        (
            "[{lag: 2, rolling: [mean, std], window: [7, 28]}]",
            tuple(Rolling(s, w, 2) for s in ("mean", "std") for w in (7, 28)),
        ),
        ("[{rolling: mean, window: life}]", (Rolling("mean", None),)),
        (
            "[{rolling: sum, window: 7, of: plans.display, aggregate: sum}]",
            (Rolling("sum", 7, of=Reading("plans", "display", "sum", "zero")),),
        ),
        ("[{seasonal_rolling: mean, count: 4}]", (SeasonalRolling("mean", 7, 4),)),
        ("[{difference: 7, lag: 1}]", (Difference(1, 7),)),
        ("[{ratio: 7, base: 28}]", (Ratio(7, 28),)),
        ("[{age: true}]", (Age(),)),
        ("[{calendar: [weekday, phase], season: 3}]", (Calendar("weekday"), Calendar("phase", 3))),
        (
            "[{holiday: US, parts: [is, to_next], within: 7}]",
            (Holiday("US", "is", "", 7), Holiday("US", "to_next", "", 7)),
        ),
        ("[{static: products.department}]", (Static("products", "department"),)),
        ("[{ahead: plans.display}, {ahead: plans}]", (Ahead("plans", "display"), Ahead("plans", "", "count"))),
        (
            "[{ahead: plans.depth, aggregate: mean, offset: [0, -1]}]",
            tuple(Ahead("plans", "depth", "mean", o) for o in (0, -1)),
        ),
        ("[{default: true}, {lag: 0}]", default_features(7, DAYS, HORIZON)),
    ],
)
def test_the_plan_declares_features(text, wanted) -> None:
    assert parsed(text) == wanted


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("[{legs: 1}]", PlanError, r"features\[0\]: legs"),
        ("[{lag: 1}, {lag: 1.5}]", PlanError, r"features\[1\].lag"),
        ("[{lag: -1}]", LawError, "law 3"),
        ("[{lag: 1, anchor: target}]", LawError, "law 3"),
        ("[{lag: 1, windo: 3}]", PlanError, r"features\[0\].windo: an unknown setting"),
        ("[{rolling: median, window: 3}]", PlanError, "median"),
        ("[{rolling: mean}]", PlanError, r"features\[0\].window"),
        ("[{calendar: moon}]", PlanError, "moon"),
        ("[{static: products}]", PlanError, "table.column"),
        ("[{ahead: plans, aggregate: sum}]", PlanError, "table.column"),
        ("[{lag: 1, of: plans, aggregate: sum}]", PlanError, "table.column"),
    ],
)
def test_a_plan_that_declares_nonsense_is_refused_with_its_path(text, error, words) -> None:
    with pytest.raises(error, match=words):
        parsed(text)


@pytest.mark.parametrize("text", ["[{calendar: weekday}]", "[{holiday: US}]"])
def test_a_plan_of_integer_steps_cannot_ask_for_dates(text) -> None:
    with pytest.raises(PlanError, match="integer grid"):
        parsed(text, grid=INTEGER)


@pytest.mark.parametrize(
    ("grid", "season"),
    [("1h", 24), ("1d", 7), ("1w", 52), ("1mo", 12), ("1q", 4), ("1y", 1), ("integer", 24), ("integer", 1)],
)
def test_the_default_set_compiles_on_every_grid(grid, season) -> None:
    steps = parse_grid(grid)
    start = 5 if steps.integer else datetime(2024, 1, 31, tzinfo=UTC)
    facts = [sale(start, 10, id=1), sale(steps.add(start, 30), 20, id=2)]
    spec = Series("sales", ("sku",), "units", steps)
    features = default_features(season, steps, HORIZON)
    found = compile_rows(database_of(steps, sales=facts), spec, features, [steps.add(start, 30)], HORIZON)
    assert found.columns == ["sku", "cutoff", "step", *(feature.name for feature in features)]
    assert found["rolling_mean_life"].to_list() == [3.0 / 31] * 3
    assert len(features) >= 8


def test_a_short_history_gets_no_feature_that_reaches_beyond_half_of_it() -> None:
    features = default_features(7, DAYS, HORIZON, history=40)
    windows = [feature.meta(HORIZON).window for feature in features]
    assert max(window for window in windows if window is not None) <= 20
    assert len(features) < len(default_features(7, DAYS, HORIZON))


def test_without_the_library_holidays_the_error_names_the_extra() -> None:
    error = MissingExtra(
        "feature holiday_US_is", found="no library `holidays`", fix="pip install 'foreproof[forecast]'"
    )
    assert isinstance(error, ForeproofError)
    assert "foreproof[forecast]" in str(error)
