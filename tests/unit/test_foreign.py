"""Models of statsforecast and scikit-learn by name: what is checked, how they learn, and what a later view does."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import polars as pl
import pytest

import naive_models as naive
from foreproof.core.model import Frame, Now, Past
from foreproof.errors import BadInput, PlanError
from foreproof.models import ForeignRows, ForeignSeries, load_fitted, parse_models
from foreproof.models.late import library
from member_series import STEPS, forecast, local, wave

# --- plans -----------------------------------------------------------------------------------------------------------


def test_names_and_settings_stand_in_the_plan() -> None:
    forest, ets, ridge = parse_models(
        [
            {
                "sklearn": {
                    "model": "ensemble.RandomForestRegressor",
                    "settings": {"n_estimators": 50, "max_depth": 6},
                    "name": "forest",
                }
            },
            {"statsforecast": {"model": "AutoETS", "settings": {"model": "ZZN"}}},
            {"sklearn": {"model": "linear_model.Ridge", "relative": False, "max_rows": 5000}},
        ]
    )
    assert forest == ForeignRows("forest", "ensemble.RandomForestRegressor", '{"max_depth": 6, "n_estimators": 50}')
    assert ets == ForeignSeries("autoets", "AutoETS", '{"model": "ZZN"}')
    assert ridge == ForeignRows("ridge", "linear_model.Ridge", max_rows=5000, relative=False)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"statsforecast": {"model": "AutoETZ"}}, r"statsforecast.model: 'AutoETZ'.*did you mean 'AutoETS'"),
        ({"statsforecast": {"model": "os"}}, r"statsforecast.model: 'os', no model"),
        ({"statsforecast": {"model": "ConformalSeasonalPool"}}, "without a seed"),
        ({"statsforecast": {"model": "SklearnModel"}}, "use the model `sklearn`"),
        (
            {"statsforecast": {"model": "AutoARIMA", "settings": {"max_pp": 3}}},
            r"settings.max_pp: no parameter of AutoARIMA.*did you mean 'max_p'",
        ),
        ({"statsforecast": {"model": "TSB", "settings": {"alpha_d": 0.1}}}, r"settings.alpha_p: nothing"),
        ({"statsforecast": {"model": "AutoETS", "settings": {"alias": "x"}}}, r"settings.alias: no parameter"),
        ({"statsforecast": {"model": "AutoETS", "settings": {"model": "QQQ"}}}, None),
        ({"statsforecast": {"model": "MSTL", "settings": [1]}}, "a mapping of the model's parameters"),
        ({"statsforecast": {}}, r"statsforecast.model: nothing"),
        (
            {"sklearn": {"model": "ensemble.RandomForrestRegressor"}},
            r"sklearn.model: 'ensemble.RandomForrestRegressor'.*did you mean 'ensemble.RandomForestRegressor'",
        ),
        ({"sklearn": {"model": "RandomForestRegressor"}}, "did you mean 'ensemble.RandomForestRegressor'"),
        ({"sklearn": {"model": "ensemble.RandomForestClassifier"}}, "no regressor"),
        ({"sklearn": {"model": "base.clone"}}, "no regressor"),
        ({"sklearn": {"model": "..os.system"}}, "no regressor"),
        (
            {"sklearn": {"model": "linear_model.Ridge", "settings": {"alfa": 1}}},
            r"sklearn.settings.alfa: no parameter of Ridge.*did you mean 'alpha'",
        ),
        ({"sklearn": {"model": "linear_model.Ridge", "settings": {"alpha": "much"}}}, "refuses them"),
        ({"sklearn": {"model": "ensemble.StackingRegressor"}}, r"settings.estimators: nothing"),
        ({"sklearn": {"model": "linear_model.Ridge", "settings": {"alpha": float("nan")}}}, "numbers, texts"),
    ],
)
def test_wrong_names_and_settings_are_refused_when_the_plan_is_read(item: Any, message: str | None) -> None:
    if message is None:
        parse_models([item])  # the library itself only looks at this when it fits
        return
    with pytest.raises(PlanError, match=message):
        parse_models([item])


# --- statsforecast ---------------------------------------------------------------------------------------------------

FORWARD = ["AutoETS", "Holt", "DynamicOptimizedTheta", "AutoCES"]


@pytest.mark.parametrize("name", FORWARD)
def test_a_model_with_forward_gives_what_the_library_gives(name: str) -> None:
    y = wave(60)
    fitted, found = local(ForeignSeries("other", name), {"a": y[:50]}, ends=50)
    cls = getattr(library("statsforecast.models"), name)
    theirs = cls(season_length=4).fit(np.array(y[:50]))
    assert found["a"] == pytest.approx(theirs.forward(np.array(y[:50]), 6)["mean"].tolist())
    later = forecast(fitted, {"a": y}, ends=60)["a"]
    assert later == pytest.approx(theirs.forward(np.array(y), 6)["mean"].tolist())
    assert later != found["a"]


def test_a_rule_is_its_formula_on_the_later_series() -> None:
    y = wave(60)
    fitted, _ = local(ForeignSeries("mean", "HistoricAverage"), {"a": y[:50]}, ends=50)
    assert forecast(fitted, {"a": y}, ends=60)["a"] == pytest.approx([naive.mean(y)] * 6)


def test_any_other_goes_on_from_its_fit_and_moves_by_its_recent_error() -> None:
    y = [float(v) for v in [*wave(50, season=4), *(np.array(wave(60, season=4)[50:]) + 30)]]
    fitted, found = local(ForeignSeries("es", "SeasonalExponentialSmoothingOptimized"), {"a": y[:50]}, ends=50)
    theirs = library("statsforecast.models").SeasonalExponentialSmoothingOptimized(season_length=4)
    ahead = theirs.fit(np.array(y[:50])).predict(16)["mean"]
    assert found["a"] == pytest.approx(ahead[:6].tolist())
    moved = ahead[10:] + np.mean(np.array(y[56:60]) - ahead[6:10])
    assert forecast(fitted, {"a": y}, ends=60)["a"] == pytest.approx(moved.tolist())


def test_series_that_cannot_be_fitted_get_the_naive_and_are_counted() -> None:
    y = wave(40)
    fitted, found = local(ForeignSeries("ets", "AutoETS", '{"model": "QQQ"}'), {"a": y, "b": [1.0, 2.0]})
    assert fitted.fallbacks == 2
    assert found["a"] == naive.seasonal_naive(y, 4, 6)


def test_the_dump_names_class_settings_and_what_was_predicted() -> None:
    fitted, _ = local(ForeignSeries("ets", "AutoETS", '{"model": "ANN"}'), {"a": wave(40), "b": [1.0]})
    state = json.loads(fitted.dump()["ets.json"])
    assert state["class"] == "statsforecast.models.AutoETS"
    assert state["settings"] == {"model": "ANN"}
    assert [series["key"] for series in state["series"]] == [["a"], ["b"]]
    assert len(state["series"][0]["forecast"]) == 64
    assert state["series"][1]["forecast"] is None
    with pytest.raises(BadInput, match="fit it again"):
        load_fitted(fitted.model, fitted.dump(), season=4)


NEEDED: dict[str, dict[str, Any]] = {
    "ARIMA": {"order": [1, 1, 0]},
    "AutoRegressive": {"lags": [1, 4]},
    "AutoMFLES": {"test_size": 4},
    "SeasonalExponentialSmoothing": {"alpha": 0.3},
    "SimpleExponentialSmoothing": {"alpha": 0.3},
    "SeasonalWindowAverage": {"window_size": 2},
    "WindowAverage": {"window_size": 3},
    "TSB": {"alpha_d": 0.1, "alpha_p": 0.1},
    "ConstantModel": {"constant": 3.0},
}


def every_class() -> list[str]:
    """Each class of the library; AutoTBATS takes seconds a series and is TBATS with a search."""
    module = library("statsforecast.models")
    found = (name for name in dir(module) if inspect.isclass(getattr(module, name)) and name[0] != "_")
    kept = (name for name in found if issubclass(getattr(module, name), module._TS))
    return [name for name in kept if name not in ("AutoTBATS", "ConformalSeasonalPool", "SklearnModel", "NaNModel")]


@pytest.mark.parametrize("name", every_class())
def test_every_class_can_be_a_member_repeats_and_moves_without_a_refit(name: str) -> None:
    item = {"statsforecast": {"model": name, "settings": NEEDED.get(name, {}), "name": "other"}}
    (model,) = parse_models([item])
    y = [value - t for t, value in enumerate(wave(48))]  # level, so that an autoregression is stationary
    first, again = local(model, {"a": y[:44]}, ends=44), local(model, {"a": y[:44]}, ends=44)
    assert first[1] == again[1]
    assert first[0].dump() == again[0].dump()
    assert first[0].fallbacks == 0
    later = forecast(first[0], {"a": y}, ends=48)
    assert later == forecast(again[0], {"a": y}, ends=48)
    assert (later == first[1]) == (name in ("ConstantModel", "ZeroModel"))


# --- scikit-learn ----------------------------------------------------------------------------------------------------


def rows(count: int, *, label: bool, hole: bool = False) -> pl.DataFrame:
    """Rows where the label is twice the lag, in the unit of each series; one column is missing in places."""
    rng = np.random.default_rng(2)
    found = []
    for i in range(count):
        unit = 10.0 ** (i % 3)
        lag = float(rng.uniform(1, 5))
        for step in (1, 2):
            row: dict[str, Any] = {"id": "abc"[i % 3], "cutoff": -2 - i // 3, "step": step, "y_lag_1": lag * unit}
            row |= {"y_scale": 3.0 * unit, "kind": "xy"[i % 2], "warm": None if hole and i % 4 == 0 else float(i % 5)}
            if label:
                row["label"] = 2.0 * lag * unit
            found.append(row)
    return pl.DataFrame(found, infer_schema_length=None)


def sklearn(model: ForeignRows, *, hole: bool = False, seed: int = 1) -> Any:
    frame = Frame(("id",), STEPS, 2, 1)
    series = pl.DataFrame({"id": list("aabbcc"), "period": [-1, 0] * 3, "y": [1.0, 2.0, 10.0, 20.0, 100.0, 200.0]})
    learned = rows(90, label=True, hole=hole)
    current = rows(3, label=False, hole=hole).with_columns(cutoff=pl.lit(0, dtype=pl.Int64))
    fitted = model.fit(Past(frame, 0, series, lambda: learned), seed=seed)
    return fitted, current, fitted.predict(Now(frame, 0, series, lambda: current)).canonical()


@pytest.mark.parametrize("hole", [False, True])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("linear_model.Ridge", {"alpha": 1e-6}),
        ("ensemble.RandomForestRegressor", {"n_estimators": 20}),
        ("ensemble.HistGradientBoostingRegressor", {"min_samples_leaf": 3}),
        ("neighbors.KNeighborsRegressor", {}),
        ("tree.DecisionTreeRegressor", {}),
    ],
)
def test_a_regressor_learns_series_of_every_size(name: str, settings: dict[str, Any], hole: bool) -> None:
    model = ForeignRows("m", name, json.dumps(settings), relative=False)
    _, current, found = sklearn(model, hole=hole)
    expected = current.sort("id", "step")["y_lag_1"] * 2
    assert found["value"].to_numpy() == pytest.approx(expected.to_numpy(), rel=0.35)


def test_missing_values_are_medians_for_a_forest_and_stay_for_histograms() -> None:
    forest = sklearn(ForeignRows("m", "ensemble.RandomForestRegressor", '{"n_estimators": 2}'), hole=True)[0]
    histograms = sklearn(ForeignRows("m", "ensemble.HistGradientBoostingRegressor"), hole=True)[0]
    there = rows(90, label=True, hole=True)["warm"].drop_nulls().to_list()
    assert forest.fills[forest.columns.names.index("warm")] == naive.median(there)
    assert histograms.fills == ()


def test_the_seed_is_the_fits_unless_the_plan_sets_one() -> None:
    def learned(settings: str, seed: int) -> list[float]:
        return sklearn(ForeignRows("m", "ensemble.RandomForestRegressor", settings), seed=seed)[2]["value"].to_list()

    few, fixed = '{"n_estimators": 3}', '{"n_estimators": 3, "random_state": 5}'
    assert learned(few, 1) == learned(few, 1)
    assert learned(few, 1) != learned(few, 2)
    assert learned(fixed, 1) == learned(fixed, 2)


def test_the_dump_of_a_regressor_has_a_digest_of_its_answers() -> None:
    model = ForeignRows("m", "linear_model.Ridge", '{"alpha": 2}')
    fitted = sklearn(model)[0]
    state = json.loads(fitted.dump()["m.json"])
    assert state["class"] == "sklearn.linear_model.Ridge"
    assert state["settings"] == {"alpha": 2}
    assert state["codes"] == {"kind": {"x": 0, "y": 1}}
    other = sklearn(ForeignRows("m", "linear_model.Ridge", '{"alpha": 3}'))[0]
    assert len(state["predictions"]) == 64
    assert json.loads(other.dump()["m.json"])["predictions"] != state["predictions"]


def test_a_regressor_that_refuses_its_rows_says_so() -> None:
    with pytest.raises(BadInput, match=r"model m: sklearn.neighbors.KNeighborsRegressor refuses the rows"):
        sklearn(ForeignRows("m", "neighbors.KNeighborsRegressor", '{"metric": "haversine"}'))
