"""What every declared feature keeps, by listing them: a new one is held to it once it is in `every_feature`."""

from __future__ import annotations

import pickle
import re

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_tables import GRIDS, HORIZON, clock_of, database_of, event_features, every_feature, row
from foreproof.core.view import Database, Table
from foreproof.features import Age, Feature, Meta, Series, compile_rows
from foreproof.features.compile import FAMILIES

GRID = GRIDS["days"]
SPEC = Series("sales", ("store", "sku"), "units", GRID)
FEATURES = tuple(dict.fromkeys((*every_feature(GRID), *event_features())))
CLOCK = clock_of(GRID)


def database() -> Database:
    sales = []
    for number in range(60):
        at, late = CLOCK(number * 7), CLOCK(number * 7 + (number % 5) * 11)
        names = {"store": "ns"[number % 2], "sku": "ab"[number // 3 % 2], "promo": number % 4 == 0}
        sales.append(row(at, late, id=number, units=number * 13 % 40, price=number / 7, **names))
        if number % 9 == 0:
            again = CLOCK(number * 7 + 100)
            sales.append(row(at, again, 2, number % 2 == 0, id=number, units=5, price=None, **names))
    plans = [row(CLOCK(n * 20), CLOCK(n * 20 - 90), id=n, sku="ab"[n % 2], display=n, depth=n / 3) for n in range(30)]
    products = [
        row(CLOCK(n * 90), CLOCK(n * 95), id=n, sku="ab"[n % 2], department=f"d{n}", size=n * 25) for n in range(5)
    ]
    weather = [row(CLOCK(n * 24), CLOCK(n * 24 - 60), id=n, heat=n - 9) for n in range(25)]
    return database_of(GRID, sales=sales, plans=plans, products=products, weather=weather)


DATABASE = database()
CUTOFFS = [GRID.add(CLOCK(0), step) for step in (3, 9, 14)]


def compiled(feature: Feature, source: Database = DATABASE) -> pl.DataFrame:
    return compile_rows(source, SPEC, [feature], CUTOFFS, HORIZON)


every = pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)


@every
def test_is_deterministic_and_leaves_its_inputs_alone(feature: Feature) -> None:
    before = {name: table.rows.clone() for name, table in DATABASE.tables.items()}
    assert_frame_equal(compiled(feature), compiled(feature), check_exact=True)
    for name, table in DATABASE.tables.items():
        assert_frame_equal(table.rows, before[name], check_exact=True)


@every
def test_does_not_see_the_order_of_rows(feature: Feature) -> None:
    turned = {
        name: Table(t.contract, t.rows.sample(fraction=1, shuffle=True, seed=5)) for name, t in DATABASE.tables.items()
    }
    assert_frame_equal(compiled(feature), compiled(feature, Database(turned)), check_exact=True)


@every
def test_has_a_column_of_numbers_or_text_that_says_something(feature: Feature) -> None:
    column = compiled(feature)[feature.name]
    assert column.dtype in (pl.Float64, pl.String)
    assert column.drop_nulls().len() > 0
    if column.dtype == pl.Float64:
        assert column.drop_nulls().is_finite().all(), "null is null, not NaN"


@every
def test_pickles_compares_and_hashes_as_a_value(feature: Feature) -> None:
    again = pickle.loads(pickle.dumps(feature))
    assert again == feature
    assert hash(again) == hash(feature)
    with pytest.raises((AttributeError, TypeError)):
        feature.lag = 0  # type: ignore[attr-defined]


@every
def test_says_what_it_reads(feature: Feature) -> None:
    meta = feature.meta(HORIZON)
    assert isinstance(meta, Meta)
    assert (meta.name, meta.maths) == (feature.name, feature.maths())
    families = ("lags", "windows", "calendar", "statics", "ahead", "events", "recency", "tenure", "decay")
    families += ("rates", "affinity", "learned", "custom")
    assert meta.family in families
    assert meta.nearness is None or meta.nearness >= 0
    assert meta.window is None or meta.window >= 1
    assert re.search(r"cutoff|target", meta.maths), meta.maths
    assert re.fullmatch(r"\w+", feature.name)


FAR_READERS = [feature for feature in FEATURES if feature.meta(HORIZON).nearness]
# the age reads when the first fact was, not what a fact is worth
PAST = [f for f in FEATURES if f.meta(HORIZON).family in ("lags", "windows") and not isinstance(f, Age)]
NUMBERS = ("units", "price", "display", "depth")


def changed(facts: pl.Expr, by: int) -> Database:
    """The database with some facts worth `by` more."""

    def more(table: Table) -> Table:
        names = [name for name in NUMBERS if name in table.rows.columns]
        return Table(
            table.contract, table.rows.with_columns(pl.when(facts).then(pl.col(n) + by).otherwise(n) for n in names)
        )

    return Database({name: more(table) for name, table in DATABASE.tables.items()})


@pytest.mark.parametrize("feature", FAR_READERS, ids=lambda feature: feature.name)
def test_facts_nearer_than_its_nearness_cannot_change_a_feature(feature: Feature) -> None:
    for cutoff in CUTOFFS:
        edge = GRID.add(cutoff, -(feature.meta(HORIZON).nearness or 0))
        ours = compile_rows(DATABASE, SPEC, [feature], [cutoff], HORIZON)
        other = changed(pl.col("_happened") > edge, 977)
        assert_frame_equal(ours, compile_rows(other, SPEC, [feature], [cutoff], HORIZON), check_exact=True)


@pytest.mark.parametrize("feature", PAST, ids=lambda feature: feature.name)
def test_a_fact_of_its_nearness_can_change_a_feature(feature: Feature) -> None:
    """A claim to read nothing near that it does read would let a policy pass what it should stop."""
    cutoff, nearness = CUTOFFS[-1], feature.meta(HORIZON).nearness or 0
    facts = (pl.col("_happened") <= GRID.add(cutoff, -nearness)) & (
        pl.col("_happened") > GRID.add(cutoff, -nearness - 1)
    )
    ours = compile_rows(DATABASE, SPEC, [feature], [cutoff], HORIZON)
    absent = Database({name: Table(t.contract, t.rows.filter(~facts)) for name, t in DATABASE.tables.items()})
    others = [changed(facts, 100_003), changed(facts, -100_003), absent]
    assert any(not ours.equals(compile_rows(other, SPEC, [feature], [cutoff], HORIZON)) for other in others)


def test_names_are_unique() -> None:
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)


def test_every_family_is_listed() -> None:
    assert {type(feature) for feature in FEATURES} == set(FAMILIES)
