"""What each model does with what it is given: arithmetic against plain twins, short and odd series, settings."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

import naive_models as naive
from foreproof.core.grid import Grid, parse_grid
from foreproof.core.model import Frame, Now, Past
from foreproof.core.predict import Prediction
from foreproof.errors import BadInput, MissingExtra, PlanError
from foreproof.models import (
    AutoETS,
    GlobalBoost,
    Naive,
    SeasonalNaive,
    Theta,
    learn_columns,
    learn_seasonal,
    load_boost,
    load_local,
    parse_models,
    scaled,
    series_scale,
)
from foreproof.models.late import library
from foreproof.models.panel import panel

STEPS = Grid("integer", unit="step")
RNG = np.random.default_rng(7)


def target(series: dict[str, list[float]], *, ends: int = 0) -> pl.DataFrame:
    """Series that end at one period."""
    parts = [
        pl.DataFrame({"id": [name] * len(y), "period": range(ends - len(y) + 1, ends + 1), "y": y}, strict=False)
        for name, y in series.items()
    ]
    schema = {"id": pl.String, "period": pl.Int64, "y": pl.Float64}
    return pl.concat([pl.DataFrame(schema=schema), *(part.cast(schema) for part in parts)])


def no_rows() -> pl.DataFrame:
    raise AssertionError("a local model asked for rows")


def local(model: Any, series: dict[str, list[float]], *, horizon: int = 6, season: int = 4, ends: int = 0) -> Any:
    """The fitted model, and its predictions by series."""
    frame = Frame(("id",), STEPS, horizon, season)
    rows = target(series, ends=ends)
    fitted = model.fit(Past(frame, ends, rows, no_rows), seed=1)
    return fitted, by_series(fitted.predict(Now(frame, ends, rows, no_rows)))


def by_series(prediction: Prediction) -> dict[str, list[float]]:
    rows = prediction.canonical()
    return {str(key): frame["value"].to_list() for (key,), frame in rows.group_by(["id"], maintain_order=True)}


# --- the target as arrays --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_a_target_that_is_not_finite_is_refused_with_its_row(bad: float | None) -> None:
    rows = target({"a": [1.0, 2.0, 3.0]}).with_columns(
        y=pl.when(pl.col("period") == -1).then(pl.lit(bad, dtype=pl.Float64)).otherwise("y")
    )
    with pytest.raises(BadInput, match=r"target: 1 values that are no finite numbers .*'period': -1") as caught:
        panel(rows, ["id"])
    assert caught.value.fix


def test_a_target_with_a_hole_or_a_period_twice_is_refused() -> None:
    rows = target({"a": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(BadInput, match="do not follow"):
        panel(rows.filter(pl.col("period") != -1), ["id"])
    with pytest.raises(BadInput, match="do not follow"):
        panel(pl.concat([rows, rows.tail(1)]), ["id"])


def test_a_panel_tells_series_apart_by_every_entity_column() -> None:
    rows = pl.DataFrame({"a": ["x", "x", "y"], "b": ["1", "2", "1"], "period": [3, 3, 3], "y": [1.0, 2.0, 3.0]})
    found = panel(rows.reverse(), ["a", "b"])
    assert found.keys == (("x", "1"), ("x", "2"), ("y", "1"))
    assert [y.tolist() for y in found] == [[1.0], [2.0], [3.0]]


def test_a_target_without_entity_columns_is_one_series() -> None:
    rows = pl.DataFrame({"period": [2, 1, 3], "y": [2.0, 1.0, 3.0]})
    frame = Frame((), STEPS, 2, 2)
    for model in (SeasonalNaive(), AutoETS(), Theta()):
        found = model.fit(Past(frame, 3, rows, no_rows), seed=1).predict(Now(frame, 3, rows, no_rows))
        assert found.canonical()["value"].to_list() == [2.0, 3.0]


def test_an_empty_target_gives_an_empty_prediction() -> None:
    for model in (SeasonalNaive(), AutoETS(), Theta()):
        assert local(model, {})[1] == {}


def test_predictions_carry_the_cutoff_of_a_calendar() -> None:
    cutoff = datetime(2024, 3, 31, 23, 59, 59, 999999, tzinfo=UTC)
    frame = Frame(("id",), parse_grid("1d"), 2, 7)
    now = Now(frame, cutoff, target({"a": [1.0, 2.0]}), no_rows)
    rows = SeasonalNaive().fit(Past(frame, cutoff, now.target, no_rows), seed=1).predict(now).rows
    assert rows["cutoff"].to_list() == [cutoff, cutoff]
    assert rows.schema["cutoff"] == pl.Datetime("us", "UTC")


# --- naive -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("season", [1, 2, 4, 7])
@pytest.mark.parametrize("horizon", [1, 3, 9])
def test_the_seasonal_naive_equals_its_twin(season: int, horizon: int) -> None:
    series = {f"s{n}": [float(v) for v in RNG.normal(size=n)] for n in (1, 2, 3, 7, 8, 20)}
    found = local(SeasonalNaive(), series, horizon=horizon, season=season)[1]
    assert found == {name: naive.seasonal_naive(y, season, horizon) for name, y in series.items()}


def test_the_naive_repeats_the_last_value_whatever_the_season() -> None:
    assert local(Naive(), {"a": [1.0, 5.0, 2.0]}, horizon=3, season=3)[1] == {"a": [2.0, 2.0, 2.0]}


def test_a_series_of_one_point_is_repeated() -> None:
    for model in (SeasonalNaive(), Naive(), AutoETS(), Theta()):
        assert local(model, {"a": [3.5]}, horizon=3)[1] == {"a": [3.5, 3.5, 3.5]}


# --- seasonal adjustment ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("season", [2, 3, 4, 7])
@pytest.mark.parametrize("start", [0, 5, -3])
def test_seasonal_indices_equal_their_twin(season: int, start: int) -> None:
    t = np.arange(6 * season + 2)
    y = 50.0 + t + 8.0 * np.sin(2 * np.pi * t / season + 0.4) + RNG.normal(size=t.size)
    found = learn_seasonal(y, start, season)
    twins = {form: naive.seasonal_indices(y.tolist(), start, season, multiplicative=form) for form in (True, False)}
    form = twins[True][0] >= twins[False][0]
    paid, unpaid, indices = twins[form]
    assert found is not None
    assert found.multiplicative == form
    shrunk = [index ** (paid / unpaid) if form else index * paid / unpaid for index in indices]
    assert found.indices == pytest.approx(shrunk, rel=1e-9)


def test_a_steady_season_is_removed_whole_and_restored() -> None:
    t = np.arange(40)
    y = 10.0 + np.array([3.0, -1.0, 0.0, -2.0])[t % 4]
    found = learn_seasonal(y, 3, 4)
    assert found is not None
    assert found.remove(y, 3) == pytest.approx(np.full(40, 10.0))
    assert found.restore(found.remove(y, 3), 3) == pytest.approx(y)


def test_no_season_is_seen_in_noise_or_in_fewer_than_two_of_them() -> None:
    steep = 2.0 ** np.arange(30)
    assert learn_seasonal(np.full(40, 5.0), 0, 4) is None
    assert learn_seasonal(np.arange(8.0), 0, 4) is None
    assert learn_seasonal(np.arange(40.0), 0, 1) is None
    found = learn_seasonal(steep, 0, 4)
    assert found is None or np.allclose(found.indices, 1.0, atol=1e-6)


def test_a_series_that_is_not_positive_has_terms_and_not_factors() -> None:
    t = np.arange(40)
    found = learn_seasonal(np.where(t % 4 == 0, 9.0, 0.0), 0, 4)
    assert found is not None
    assert not found.multiplicative


# --- exponential smoothing and theta ---------------------------------------------------------------------------------


def seasonal_series(n: int = 60, season: int = 4, seed: int = 3) -> list[float]:
    t = np.arange(n)
    noise = np.random.default_rng(seed).normal(size=n)
    return [float(v) for v in 100 + 2 * t + 15 * np.sin(2 * np.pi * t / season) + noise]


@pytest.mark.parametrize("model", [AutoETS(), AutoETS(longest_season=1), Theta()])
def test_trend_and_season_go_on(model: Any) -> None:
    y = seasonal_series(66)
    fitted, found = local(model, {"a": y[:60]}, horizon=6)
    assert fitted.fallbacks == 0
    errors = np.abs(np.array(found["a"]) - np.array(y[60:]))
    assert errors.mean() < 4.0
    assert errors.mean() < 0.5 * np.abs(np.array(naive.seasonal_naive(y[:60], 4, 6)) - np.array(y[60:])).mean()


@pytest.mark.parametrize("model", [AutoETS(), Theta()])
@pytest.mark.parametrize(
    "y",
    [[0.0] * 30, [7.5] * 30, [1.0, 2.0], [5.0] * 7, [1.0] * 7 + [2.0], [0.0] * 29 + [1.0], [1e12, -1e12] * 10],
    ids=["zeros", "constant", "two", "seven", "late step", "late one", "huge"],
)
def test_odd_series_are_forecast_without_a_crash(model: Any, y: list[float]) -> None:
    fitted, found = local(model, {"a": y, "b": seasonal_series()})
    assert len(found["a"]) == 6
    assert all(math.isfinite(value) for value in found["a"])
    low, high, reach = min(y), max(y), 10 * (max(y) - min(y))
    assert all(low - reach <= value <= high + reach for value in found["a"])
    if len(y) < 8 or max(y) == min(y):
        assert fitted.fallbacks == 1
        assert found["a"] == naive.seasonal_naive(y, 4, 6)


@pytest.mark.parametrize("model", [AutoETS(), Theta()])
def test_a_search_that_fails_is_counted_and_the_naive_stands_in(model: Any) -> None:
    class Broken(type(model)):  # type: ignore[misc]
        def search(self, y: Any, season: int) -> Any:
            raise RuntimeError("no model able to be fitted")

    y = seasonal_series()
    fitted, found = local(Broken(), {"a": y, "b": y})
    assert fitted.fallbacks == 2
    assert found["a"] == naive.seasonal_naive(y, 4, 6)


@pytest.mark.parametrize("wild", [math.nan, math.inf, 1e6, -1e6])
def test_a_forecast_that_runs_wild_is_replaced(wild: float) -> None:
    class Wild(Theta):
        def carry(self, y: Any, learned: Any, horizon: int) -> Any:
            return np.full(horizon, wild)

    y = seasonal_series()
    fitted, found = local(Wild(), {"a": y})
    assert fitted.fallbacks == 1
    assert found["a"] == naive.seasonal_naive(y, 4, 6)


@pytest.mark.parametrize("model", [AutoETS(), Theta()])
def test_only_the_recent_history_is_used(model: Any) -> None:
    short = type(model)(history=40)
    y = seasonal_series()
    before = [float(v) for v in RNG.normal(scale=1e3, size=50)]
    # lengths differ by whole seasons, so the phases of the recent history are the same
    assert local(short, {"a": before[:48] + y})[1]["a"] == local(short, {"a": y})[1]["a"]


@pytest.mark.parametrize("model", [AutoETS(), Theta(), AutoETS(longest_season=1)])
def test_predicting_later_updates_states_with_the_parameters_learned(model: Any) -> None:
    y = seasonal_series(70)
    fitted, found = local(model, {"a": y[:60]}, ends=60)
    frame = Frame(("id",), STEPS, 6, 4)
    later = by_series(fitted.predict(Now(frame, 64, target({"a": y[:64]}, ends=64), no_rows)))
    assert later["a"] != found["a"]
    assert np.abs(np.array(later["a"]) - y[64:70]).mean() < 4.0
    # what came before the first observation used is not missed
    cut = target({"a": y[:64]}, ends=64).filter(pl.col("period") > 2)
    assert by_series(fitted.predict(Now(frame, 64, cut, no_rows)))["a"] == naive.seasonal_naive(y[:64], 4, 6)


def test_a_series_that_was_not_there_at_the_fit_gets_the_naive() -> None:
    fitted, _ = local(Theta(), {"a": seasonal_series()})
    new = [float(v) for v in range(20)]
    found = by_series(fitted.predict(Now(Frame(("id",), STEPS, 6, 4), 0, target({"new": new}), no_rows)))
    assert found == {"new": naive.seasonal_naive(new, 4, 6)}


@pytest.mark.parametrize("model", [AutoETS(), Theta(), AutoETS(longest_season=1)])
def test_a_local_model_survives_its_dump(model: Any) -> None:
    series = {"a": seasonal_series(), "b": [1.0], "c": seasonal_series(seed=9)}
    fitted, found = local(model, series)
    files = fitted.dump()
    assert list(files) == [f"{model.name}.json"]
    again = load_local(model, files[f"{model.name}.json"])
    assert again == fitted
    frame = Frame(("id",), STEPS, 6, 4)
    assert by_series(again.predict(Now(frame, 0, target(series), no_rows))) == found
    assert json.loads(files[f"{model.name}.json"])["series"][1] == {"key": ["b"], "learned": None}


def test_a_missing_library_is_named_with_its_extra() -> None:
    with pytest.raises(MissingExtra, match=r"not_there: not installed.*foreproof\[forecast\]"):
        library("not_there.inside")


def test_importing_the_models_loads_no_heavy_library() -> None:
    code = "import sys, foreproof.models; print([m for m in ('lightgbm','statsforecast','scipy','pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- scales ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("season", [1, 3, 12])
def test_the_scale_of_series_equals_its_twin(season: int) -> None:
    series = {f"s{n:02}": [float(v) for v in RNG.normal(loc=20, scale=5, size=n)] for n in (1, 2, 4, 12, 13, 60, 90)}
    series |= {"zero": [0.0] * 40, "flat": [7.0] * 40, "one zero": [0.0], "beat": [0.0, 6.0, 0.0] * 14}
    found = series_scale(target(series), season, entity=("id",), cutoff=0)
    expected = naive.series_scale(series, season)
    assert dict(found.select("id", "scale").iter_rows()) == pytest.approx(expected, rel=1e-9)
    assert min(expected.values()) > 0


def test_the_scale_of_zeros_alone_is_one() -> None:
    assert series_scale(target({"a": [0.0, 0.0]}), 7, entity=("id",), cutoff=0)["scale"].to_list() == [1.0]


# --- the global model ------------------------------------------------------------------------------------------------

CUTOFFS = range(-60, -7, 4)


def panel_of(count: int = 12, seed: int = 5, season: int = 4, length: int = 100) -> dict[str, list[float]]:
    """Series of one shape and very different sizes."""
    rng = np.random.default_rng(seed)
    t = np.arange(length)
    found = {}
    for i in range(count):
        shape = 1.0 + 0.4 * np.sin(2 * np.pi * (t / season + rng.uniform())) + 0.05 * rng.normal(size=length)
        found[f"s{i:02}"] = [float(v) for v in 10.0 ** rng.uniform(0, 4) * shape]
    return found


def features(series: dict[str, list[float]], cutoffs: Any, horizon: int = 8, *, label: bool = False) -> pl.DataFrame:
    """Lags, seasonal lags and means, by loops; y[-1] of a series is of period 0."""
    rows = []
    for name, y in series.items():
        for cutoff in cutoffs:
            past = y[: len(y) + cutoff] if cutoff < 0 else y
            scale = sum(abs(v) for v in past[-28:]) / len(past[-28:]) or 1.0
            for step in range(1, horizon + 1):
                row: dict[str, Any] = {"id": name, "cutoff": cutoff, "step": step}
                for lag in range(5):
                    row[f"y_lag_{lag}"] = past[-1 - lag] if len(past) > lag else None
                back = (-step) % 4
                row["y_seasonal_lag_4"] = past[-1 - back] if len(past) > back else None
                row["y_rolling_mean_8"] = sum(past[-8:]) / len(past[-8:])
                row["y_rolling_std_8"] = float(np.std(past[-8:]))
                row["phase"] = float((cutoff + step) % 4)
                row["shape"] = "even" if int(name[1:]) % 2 == 0 else "odd"
                row["y_scale"] = scale
                if label:
                    row["label"] = y[len(y) - 1 + cutoff + step]
                rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def boosted(
    model: GlobalBoost, series: dict[str, list[float]], *, rows: pl.DataFrame | None = None, seed: int = 1
) -> Any:
    frame = Frame(("id",), STEPS, 8, 4)
    learned = features(series, CUTOFFS, label=True) if rows is None else rows
    fitted = model.fit(Past(frame, 0, target(series), lambda: learned), seed=seed)
    return fitted, now_of(series)


def now_of(series: dict[str, list[float]]) -> Now:
    return Now(Frame(("id",), STEPS, 8, 4), 0, target(series), lambda: features(series, [0]))


SMALL = GlobalBoost(trees=60)


@pytest.mark.parametrize(
    "model", [SMALL, GlobalBoost(trees=60, relative=False), GlobalBoost(trees=60, loss="l2", blocks=2)]
)
def test_one_model_learns_series_of_every_size(model: GlobalBoost) -> None:
    whole = panel_of(length=108)
    series = {name: y[:100] for name, y in whole.items()}
    fitted, now = boosted(model, series)
    found = by_series(fitted.predict(now))
    for name, y in whole.items():
        error = np.abs(np.array(found[name]) - y[100:]).mean()
        assert error < 0.15 * np.mean(y)
    ours = sum(np.abs(np.array(found[n]) - y[100:]).mean() / np.mean(y) for n, y in whole.items())
    plain = sum(
        np.abs(np.array(naive.seasonal_naive(y[:100], 4, 8)) - y[100:]).mean() / np.mean(y) for n, y in whole.items()
    )
    assert ours < plain


@pytest.mark.parametrize("relative", [True, False])
def test_the_unit_of_the_target_does_not_matter(relative: bool) -> None:
    series = panel_of(6)
    larger = {name: [1024.0 * v for v in y] for name, y in series.items()}
    model = GlobalBoost(trees=30, relative=relative)
    found = [by_series(fitted.predict(now)) for fitted, now in (boosted(model, s) for s in (series, larger))]
    for name in series:
        assert np.array(found[1][name]) == pytest.approx(1024.0 * np.array(found[0][name]), rel=1e-12)


def test_rows_are_scaled_as_their_twin_says() -> None:
    rows = features(panel_of(3), [-20, 0]).with_columns(
        y_lag_1=pl.when(pl.col("step") == 2).then(None).otherwise("y_lag_1")
    )
    columns = learn_columns(rows, ["id", "cutoff"], relative=True)
    levels = [f"y_lag_{lag}" for lag in range(5)] + ["y_rolling_mean_8", "y_seasonal_lag_4"]
    assert sorted(columns.levels) == sorted(levels)
    given = scaled(rows, columns)
    for i, row in enumerate(rows.iter_rows(named=True)):
        origin, unit = naive.own_unit(row, levels)
        assert given.origin[i] == pytest.approx(origin, rel=1e-12)
        assert given.unit[i] == pytest.approx(unit, rel=1e-9)
        for place, name in enumerate(columns.names):
            value = row[name]
            if name == "shape":
                expected = {"even": 0.0, "odd": 1.0}[value]
            elif value is None:
                expected = math.nan
            elif name in levels:
                expected = (value - origin) / unit
            else:
                expected = value / unit if name.startswith("y_") else value
            assert given.matrix[i, place] == pytest.approx(expected, rel=1e-9, nan_ok=True)
        assert given.matrix[i, -1] == pytest.approx(origin / row["y_scale"], rel=1e-9)


def test_without_relative_rows_are_divided_by_their_scale() -> None:
    rows = features(panel_of(2), [0])
    columns = learn_columns(rows, ["id", "cutoff"], relative=False)
    given = scaled(rows, columns)
    assert columns.inputs == columns.names
    place = columns.names.index("y_lag_2")
    assert given.matrix[:, place] == pytest.approx((rows["y_lag_2"] / rows["y_scale"]).to_numpy())
    assert given.matrix[:, columns.names.index("phase")] == pytest.approx(rows["phase"].to_numpy())
    assert not given.origin.any()


def test_a_dormant_series_has_a_unit_above_zero() -> None:
    rows = features({"s0": [0.0] * 30}, [0])
    for relative in (True, False):
        given = scaled(rows, learn_columns(rows, ["id", "cutoff"], relative=relative))
        assert (given.unit > 0).all()
        assert np.isfinite(given.matrix).all()


def test_an_unknown_category_is_a_missing_value() -> None:
    rows = features(panel_of(4), [0])
    columns = learn_columns(rows, ["id", "cutoff"], relative=False)
    strange = scaled(rows.with_columns(shape=pl.lit("round")), columns)
    assert np.isnan(strange.matrix[:, columns.names.index("shape")]).all()


def test_rows_without_a_scale_or_with_a_column_of_another_type_are_refused() -> None:
    rows = features(panel_of(2), [0])
    with pytest.raises(BadInput, match="no column y_scale"):
        learn_columns(rows.drop("y_scale"), ["id", "cutoff"], relative=True)
    with pytest.raises(BadInput, match="rows: day: type Date"):
        learn_columns(rows.with_columns(day=pl.date(2024, 1, 1)), ["id", "cutoff"], relative=True)
    columns = learn_columns(rows, ["id", "cutoff"], relative=True)
    with pytest.raises(BadInput, match="no column phase"):
        scaled(rows.drop("phase"), columns)


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_a_label_that_is_not_finite_is_refused(bad: float | None) -> None:
    series = panel_of(4)
    rows = features(series, CUTOFFS, label=True).with_columns(
        label=pl.when(pl.int_range(pl.len()) == 5).then(pl.lit(bad, dtype=pl.Float64)).otherwise("label")
    )
    with pytest.raises(BadInput, match=r"rows: label: 1 labels that are no finite numbers"):
        boosted(SMALL, series, rows=rows)


def test_too_few_rows_teach_nothing_and_the_naive_stands_in() -> None:
    series = panel_of(2)
    rows = features(series, [-8], label=True)
    for few in (rows, rows.clear()):
        fitted, now = boosted(SMALL, series, rows=few)
        assert fitted.fallbacks == 1
        assert by_series(fitted.predict(now)) == {n: naive.seasonal_naive(y, 4, 8) for n, y in series.items()}
        with pytest.raises(BadInput, match="learned nothing"):
            fitted.contributions(now)
        assert load_boost(SMALL, fitted.dump()) == fitted


def test_a_series_without_rows_gets_the_naive() -> None:
    series = panel_of(4)
    fitted, now = boosted(SMALL, series)
    some = Now(now.frame, 0, now.target, lambda: now.make_rows().filter(pl.col("id") != "s01"))
    found, all_of = by_series(fitted.predict(some)), by_series(fitted.predict(now))
    assert found["s01"] == naive.seasonal_naive(series["s01"], 4, 8)
    assert found["s02"] == all_of["s02"]


def test_features_that_are_missing_or_infinite_still_give_finite_forecasts() -> None:
    series = panel_of(4)
    fitted, now = boosted(SMALL, series)
    holes = now.make_rows().with_columns(y_lag_0=pl.lit(None, dtype=pl.Float64), phase=pl.lit(math.inf))
    found = by_series(fitted.predict(Now(now.frame, 0, now.target, lambda: holes)))
    assert all(math.isfinite(v) for values in found.values() for v in values)


def test_no_more_rows_than_the_limit_are_learned_from_and_the_seed_draws_them() -> None:
    series = panel_of(6)
    few = GlobalBoost(trees=20, max_rows=300)
    first, again, other = (boosted(few, series, seed=seed)[0].texts for seed in (1, 1, 2))
    assert first == again
    assert first != other
    rows = features(series, CUTOFFS, label=True)
    assert boosted(GlobalBoost(trees=20), series, seed=2)[0].texts != boosted(GlobalBoost(trees=20), series)[0].texts
    drawn = rows[np.sort(np.random.default_rng(1).choice(rows.height, size=300, replace=False))]
    assert boosted(GlobalBoost(trees=20), series, rows=drawn)[0].texts == first


def test_a_block_of_steps_learns_from_its_own_steps() -> None:
    series = panel_of(6)
    rows = features(series, CUTOFFS, label=True)
    shifted = rows.with_columns(label=pl.when(pl.col("step") > 4).then(pl.col("label") * 3).otherwise("label"))
    model = GlobalBoost(trees=20, blocks=2)
    plain, changed = (boosted(model, series, rows=r)[0].texts for r in (rows, shifted))
    assert len(plain) == 2
    assert plain[1] != changed[1]
    # bounds of the outliers are shared, so the first block is compared where none is drawn in
    near = by_series(boosted(model, series, rows=rows)[0].predict(now_of(series)))
    far = by_series(boosted(model, series, rows=shifted)[0].predict(now_of(series)))
    for name in series:
        assert far[name][:4] == pytest.approx(near[name][:4], rel=0.05)
        assert np.mean(far[name][4:]) > 2 * np.mean(near[name][4:])


@pytest.mark.parametrize("loss", ["l1", "l2", "tweedie"])
def test_contributions_add_up_to_the_forecast_in_its_unit(loss: Any) -> None:
    series = panel_of(5)
    fitted, now = boosted(GlobalBoost(trees=40, loss=loss, blocks=2), series)
    parts = fitted.contributions(now)
    names = [name for name in parts.columns if name not in ("id", "cutoff", "step")]
    assert {"base", "step_ahead", "y_lag_0", "shape"} <= set(names)
    sums = parts.select("id", "cutoff", "step", total=pl.sum_horizontal(names))
    both = fitted.predict(now).rows.join(sums, on=["id", "cutoff", "step"])
    assert both.height == 40
    assert both["total"].to_numpy() == pytest.approx(both["value"].to_numpy(), rel=1e-6)
    assert parts.drop("id", "cutoff", "step", "base").to_numpy().any()


def test_tweedie_forecasts_counts_above_zero() -> None:
    rng = np.random.default_rng(2)
    series = {f"s{i}": [float(v) for v in rng.poisson(0.4 + i, size=100)] for i in range(6)}
    fitted, now = boosted(GlobalBoost(trees=40, loss="tweedie"), series)
    found = by_series(fitted.predict(now))
    assert all(v > 0 for values in found.values() for v in values)
    assert np.mean(found["s5"]) == pytest.approx(5.4, rel=0.35)


def test_a_boosted_model_survives_its_dump() -> None:
    series = panel_of(5)
    model = GlobalBoost(trees=25, blocks=3, name="steps")
    fitted, now = boosted(model, series)
    files = fitted.dump()
    assert sorted(files) == ["steps.0.txt", "steps.1.txt", "steps.2.txt", "steps.json"]
    assert files["steps.0.txt"].startswith(b"tree\n")
    again = load_boost(model, files)
    assert again == fitted
    assert again.predict(now).rows.equals(fitted.predict(now).rows)


# --- plans -----------------------------------------------------------------------------------------------------------


def test_models_are_read_by_name_with_their_settings() -> None:
    listed = [
        "seasonal_naive",
        {"auto_ets": {"history": 90}},
        {"theta": None},
        {"boost": {"loss": "l2", "name": "mean"}},
        "naive",
    ]
    found = parse_models(listed)
    assert found == (SeasonalNaive(), AutoETS(history=90), Theta(), GlobalBoost(name="mean", loss="l2"), Naive())
    assert [model.name for model in found] == ["seasonal_naive", "auto_ets", "theta", "mean", "naive"]


def test_a_plan_without_settings_means_the_defaults() -> None:
    assert parse_models([{"boost": {}}, {"auto_ets": {}}, {"theta": {}}]) == (GlobalBoost(), AutoETS(), Theta())


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (["seasonal_naiv"], r"models\[0\]: 'seasonal_naiv', no model; did you mean 'seasonal_naive'\?"),
        (["boost", {"prophet": {}}], r"models\[1\]: 'prophet', no model; known: seasonal_naive, naive"),
        ([{"boost": {"tree": 3}}], r"models\[0\]\.boost\.tree: an unknown setting; did you mean 'trees'\?"),
        ([{"boost": {"loss": "l3"}}], r"models\[0\]\.boost\.loss: 'l3'; wanted one of l1, l2, tweedie"),
        ([{"auto_ets": {"longest_season": 25}}], r"longest_season: 25; wanted 1 to 24"),
        (["theta", "theta"], r"models\[1\]: a second model 'theta'"),
        ([{"theta": {}, "naive": {}}], r"models\[0\]: .*wanted a name"),
        ([{"theta": 3}], r"models\[0\]: .*wanted a name"),
        ([7], r"models\[0\]: 7; wanted a name"),
        ([], r"models: \[\]; wanted a list"),
        ("theta", r"models: 'theta'; wanted a list"),
    ],
)
def test_a_plan_that_asks_for_what_is_not_there_is_refused(listed: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse_models(listed)
