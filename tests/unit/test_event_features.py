"""Features of events: how a plan writes them, what it may not say, and what is done with what is missing."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from feature_tables import GRIDS, clock_of, database_of, event_features, row
from foreproof.core.section import Section
from foreproof.errors import BadInput, ForeproofError, LawError, PlanError
from foreproof.features import Events, Lag, Over, Population, compile_pairs, population_of
from foreproof.features.missing import Missing, fill_missing, parse_missing
from foreproof.features.parse import parse_features
from foreproof.features.parse_events import entry_of, event_default, parse_event_features, refuse_near
from foreproof.features.viewed import Custom

GRID = GRIDS["days"]
AT = clock_of(GRID)


def read(*entries: dict[str, Any]) -> tuple[Any, ...]:
    return parse_event_features([Section(entry, path=f"features.{i}") for i, entry in enumerate(entries)], horizon=28)


@pytest.mark.parametrize("feature", event_features(("store",)), ids=lambda feature: feature.name)
def test_a_feature_written_to_a_plan_is_read_back_as_the_same_value(feature: Any) -> None:
    assert read(entry_of(feature)) == (feature,)


def test_the_default_set_survives_the_plan_and_has_no_two_names() -> None:
    features = event_default("lines", "sales", "account", "group", horizon=28)
    assert read(*(entry_of(feature) for feature in features)) == features
    assert len({feature.name for feature in features}) == len(features) > 30


def test_a_product_column_brings_the_learned_affinity_into_the_default_set() -> None:
    plain = event_default("lines", "sales", "account", "group", horizon=90)
    features = event_default("lines", "sales", "account", "group", horizon=90, product="sku")
    assert features[: len(plain)] == plain
    assert read(*(entry_of(feature) for feature in features)) == features
    added = {feature.name for feature in features[len(plain) :]}
    assert {f"affinity_{part}_group_sku_360_of_lines" for part in ("score", "cosine", "coverage")} < added
    assert len({feature.name for feature in features}) == len(features)


def test_one_entry_declares_many_windows() -> None:
    made = read({"over": ["sum", "count"], "of": "lines.sales", "window": [30, 90], "lag": 7, "along": ["account"]})
    along = Events("lines", ("account",))
    assert made == (
        Over("sum", along, "sales", 30, 7),
        Over("sum", along, "sales", 90, 7),
        Over("count", along, "", 30, 7),
        Over("count", along, "", 90, 7),
    )


def test_a_forecast_takes_features_of_events_too() -> None:
    section = Section({"recency": "log", "of": "visits"}, path="features.0")
    (made,) = parse_features([section], season=7, grid=GRID, horizon=3)
    assert made.name == "recency_log_of_visits"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"sideways": 1}, "one of over"),
        ({"over": "median", "of": "lines.sales"}, "median"),
        ({"over": "sum", "of": "lines"}, "a column"),
        ({"over": "sum", "of": "lines.sales", "window": 1.5}, "whole numbers"),
        ({"over": "last", "of": "lines.sales", "window": 5}, "whole life"),
        ({"trend": True, "of": "lines", "window": 10, "parts": 3}, "equal length"),
        ({"tenure": True, "of": "lines", "edges": [9, 3]}, "rising"),
        ({"decay": 0, "of": "lines"}, "half-life"),
        ({"rate": "group", "unit": "group", "of": "lines", "window": 5}, "columns of their own"),
        ({"custom": "nothing"}, "package.module:function"),
        ({"static": "accounts"}, "table.column"),
        ({"over": "count", "of": "lines", "window": 5, "surprise": 1}, "surprise"),
    ],
)
def test_what_cannot_be_is_refused_in_words(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(ForeproofError, match=words):
        read(entry)


@pytest.mark.parametrize("kind", ["over", "recency", "decay", "tenure", "rhythm"])
def test_a_lag_below_zero_breaks_law_three(kind: str) -> None:
    said: dict[str, dict[str, Any]] = {
        "over": {"over": "count", "window": 5},
        "recency": {"recency": "steps"},
        "decay": {"decay": 3},
        "tenure": {"tenure": True},
        "rhythm": {"rhythm": "due"},
    }
    with pytest.raises(LawError, match="law 3"):
        read({**said[kind], "of": "lines", "lag": -1})


def test_an_embargo_refuses_what_reads_nearer() -> None:
    far = Over("count", Events("lines"), window=5, lag=30)
    refuse_near([far], nearest=30, horizon=28)
    with pytest.raises(LawError, match="embargo"):
        refuse_near([far, Over("count", Events("lines"), window=5)], nearest=30, horizon=28)


def asked() -> Population:
    frame = pl.DataFrame({"store": ["n", "n"], "sku": ["a", "z"], "cutoff": [GRID.add(AT(0), 3)] * 2})
    return population_of(frame, ("store", "sku"), grid=GRID)


def sales() -> Any:
    rows = [row(AT(i * 24), AT(i * 24), id=i, store="n", sku="a", units=10, price=1.5, promo=True) for i in range(3)]
    return database_of(GRID, sales=rows)


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (Lag(0), "reads a series' y"),
        (Over("sum", Events("sales"), "sku", 5), "numbers or flags"),
        (Over("sum", Events("sales"), "colour", 5), "colour"),
        (Over("count", Events("nowhere"), window=5), "nowhere"),
        (Over("count", Events("sales", ("region",)), window=5), "region"),
        (Custom("no.such.module:f"), "importable"),
        (Custom("feature_tables:nothing"), "polars frame"),
        (Custom("feature_tables:twice"), "one row for each"),
    ],
)
def test_a_feature_that_cannot_be_made_says_why(feature: Any, words: str) -> None:
    with pytest.raises(ForeproofError, match=words):
        compile_pairs(sales(), asked(), [feature], 28)


def test_a_population_refuses_repeats_and_half_periods() -> None:
    frame = pl.DataFrame({"store": ["n", "n"], "sku": ["a", "a"], "cutoff": [GRID.add(AT(0), 3)] * 2})
    with pytest.raises(BadInput, match="twice"):
        population_of(frame, ("store", "sku"), grid=GRID)
    with pytest.raises(BadInput, match="inside a period"):
        population_of(frame.head(1).with_columns(cutoff=pl.lit(AT(5))), ("store", "sku"), grid=GRID)


def test_a_population_gives_back_its_rows() -> None:
    frame = asked().frame()
    assert frame.rows() == [("n", "a", GRID.add(AT(0), 3)), ("n", "z", GRID.add(AT(0), 3))]
    assert asked().at(0).rows() == [("n", "a"), ("n", "z")]


def test_pairs_that_never_met_count_zero_and_have_no_mean() -> None:
    found = compile_pairs(
        sales(), asked(), [Over("count", Events("sales"), window=9), Over("mean", Events("sales"), "price", 9)], 28
    )
    assert found["count_9_of_sales"].to_list() == [3.0, 0.0]
    assert found["mean_price_9_of_sales"].to_list() == [1.5, None]


def test_missing_values_get_flags_and_one_fill_after_all_features() -> None:
    rows = pl.DataFrame({"a": [1.0, None], "b": [2.0, 3.0], "c": ["x", None]})
    found = fill_missing(rows, ["a", "b", "c"], Missing(flags=True, fill="number", value=-1.0))
    assert found.to_dict(as_series=False) == {
        "a": [1.0, -1.0],
        "b": [2.0, 3.0],
        "c": ["x", None],
        "a_missing": [0.0, 1.0],
        "b_missing": [0.0, 0.0],
    }
    assert fill_missing(rows, ["a"], Missing()).equals(rows)
    assert parse_missing(Section({"flags": True, "fill": "zero"}, path="missing")) == Missing(True, "zero")
    assert parse_missing(Section({"fill": -1}, path="missing")) == Missing(False, "number", -1.0)
    with pytest.raises(PlanError, match="none, zero or a number"):
        parse_missing(Section({"fill": "median"}, path="missing"))
