"""Rules, intermittent demand, classes of demand, CES, ARIMA and MSTL: against plain twins, odd series, later views."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import naive_models as naive
from foreproof.errors import BadInput, PlanError
from foreproof.models import (
    IMAPA,
    MSTL,
    TSB,
    AutoARIMA,
    AutoCES,
    AutoETS,
    ByClass,
    CrostonSBA,
    Drift,
    SeasonalWindowMean,
    Theta,
    WindowMean,
    demand_classes,
    parse_models,
)
from foreproof.models.intermittent import sums
from foreproof.models.late import library
from foreproof.models.mstl import decompose
from member_series import forecast, local, target, wave

RNG = np.random.default_rng(11)


def sparse(n: int, chance: float, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(v) for v in (rng.random(n) < chance) * rng.integers(1, 20, n)]


INTERMITTENT = {f"s{n}_{chance}": sparse(n, chance, n) for n in (1, 3, 9, 40, 61) for chance in (0.15, 0.4, 0.9)}
INTERMITTENT |= {"zeros": [0.0] * 30, "late": [0.0] * 29 + [3.0], "early": [5.0] + [0.0] * 40}


# --- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 3, 50])
def test_the_window_mean_equals_its_twin(window: int) -> None:
    found = local(WindowMean(window=window), INTERMITTENT)[1]
    for name, y in INTERMITTENT.items():
        assert found[name] == pytest.approx(naive.window_mean(y, window, 6))


def test_the_window_is_one_season_where_the_plan_is_silent() -> None:
    assert local(WindowMean(), {"a": [9.0, 1.0, 2.0, 3.0, 4.0]})[1] == {"a": [2.5] * 6}


@pytest.mark.parametrize(("season", "window"), [(1, 3), (4, 2), (7, 3), (12, 4)])
def test_the_seasonal_window_mean_equals_its_twin(season: int, window: int) -> None:
    found = local(SeasonalWindowMean(window=window), INTERMITTENT, season=season, horizon=9)[1]
    for name, y in INTERMITTENT.items():
        assert found[name] == pytest.approx(naive.seasonal_window_mean(y, season, window, 9))


def test_drift_equals_its_twin_and_may_look_at_the_last_values_alone() -> None:
    found = local(Drift(), INTERMITTENT)[1]
    for name, y in INTERMITTENT.items():
        assert found[name] == pytest.approx(naive.drift(y, 6))
    assert local(Drift(window=2), {"a": [50.0, 1.0, 3.0]})[1]["a"] == [5.0, 7.0, 9.0, 11.0, 13.0, 15.0]


# --- intermittent demand ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.5, 1.0])
def test_croston_and_tsb_equal_their_twins(alpha: float) -> None:
    croston = local(CrostonSBA(alpha=alpha), INTERMITTENT)[1]
    tsb = local(TSB(alpha=alpha, beta=0.2), INTERMITTENT)[1]
    for name, y in INTERMITTENT.items():
        assert croston[name] == pytest.approx([naive.croston_sba(y, alpha)] * 6)
        assert tsb[name] == pytest.approx([naive.tsb(y, alpha, 0.2)] * 6)


def test_imapa_equals_its_twin() -> None:
    fitted, found = local(IMAPA(), INTERMITTENT)
    for name, y in INTERMITTENT.items():
        learned = fitted.learned[(name,)]
        if learned is None:
            assert len(y) < 2 or max(y) == min(y)
            continue
        constants, rate = naive.imapa(y)
        assert learned.numbers == pytest.approx(constants)
        assert found[name] == pytest.approx([rate] * 6)


def test_the_intermittent_models_equal_those_of_statsforecast() -> None:
    theirs = library("statsforecast.models")
    y = sparse(80, 0.3, 5)
    series = {"a": y}
    for ours, other in ((CrostonSBA(), theirs.CrostonSBA()), (TSB(alpha=0.2, beta=0.3), theirs.TSB(0.2, 0.3))):
        assert local(ours, series, horizon=1)[1]["a"] == pytest.approx(other.forecast(np.array(y), 1)["mean"].tolist())
    imapa = theirs.IMAPA().forecast(np.array(y), 1)["mean"][0]
    # Theirs searches between the hundredths, so it comes close only.
    assert local(IMAPA(), series, horizon=1)[1]["a"][0] == pytest.approx(imapa, rel=0.02)


@pytest.mark.parametrize("model", [CrostonSBA(), TSB(), IMAPA(), ByClass()])
def test_a_series_of_zeros_is_forecast_as_zero(model: Any) -> None:
    assert local(model, {"a": [0.0] * 40, "b": sparse(40, 0.4, 2)})[1]["a"] == [0.0] * 6


def test_tsb_fades_when_demand_ends_and_croston_does_not() -> None:
    alive, dead = sparse(60, 0.5, 3), [*sparse(60, 0.5, 3), *[0.0] * 60]
    assert local(TSB(), {"a": dead})[1]["a"][0] < 0.05 * local(TSB(), {"a": alive})[1]["a"][0]
    assert local(CrostonSBA(), {"a": dead})[1]["a"] == local(CrostonSBA(), {"a": alive})[1]["a"]


def test_sums_end_with_the_last_value() -> None:
    assert sums(np.arange(1.0, 8.0), 3).tolist() == [9.0, 18.0]


# --- classes ---------------------------------------------------------------------------------------------------------


def test_classes_equal_their_twin() -> None:
    found = {row[0]: row[1:] for row in demand_classes(target(INTERMITTENT), ["id"]).iter_rows()}
    for name, y in INTERMITTENT.items():
        adi, cv2, word = naive.demand_class(y)
        assert found[name][2] == word
        assert found[name][:2] == pytest.approx((adi, cv2)) if adi else found[name][:2] == (None, None)
    assert {row[2] for row in found.values()} >= {"smooth", "intermittent", "none"}


@pytest.mark.parametrize(
    ("y", "word"),
    [
        ([5.0] * 30, "smooth"),
        ([1.0, 30.0, 1.0, 1.0] * 8, "erratic"),
        ([0.0, 5.0, 0.0, 6.0] * 8, "intermittent"),
        ([0.0, 1.0, 0.0, 40.0, 0.0, 1.0] * 8, "lumpy"),
        ([1.0] * 100 + [0.0] * 32, "intermittent"),
        ([1.0] * 100 + [0.0] * 31, "smooth"),
        ([-3.0, 1.0] * 9, "erratic"),
    ],
)
def test_the_cut_offs_are_those_of_the_paper(y: list[float], word: str) -> None:
    assert demand_classes(target({"a": y}), ["id"])["demand_class"].to_list() == [word]


def test_classes_do_without_entity_columns() -> None:
    found = demand_classes(target({"a": [0.0, 1.0, 0.0, 1.0]}).drop("id"), [])
    assert found.rows() == [(2.0, 0.0, "intermittent")]


CLASSED = {
    "smooth": [float(v) for v in 50 + RNG.normal(size=60)],
    "erratic": [float(v) for v in RNG.lognormal(1.0, 1.5, size=60)],
    "intermittent": [float(v) for v in (np.arange(60) % 3 == 0) * 7.0 + (np.arange(60) % 6 == 0)],
    "lumpy": [float(v) for v in (RNG.random(60) < 0.3) * RNG.lognormal(1.0, 1.6, size=60)],
    "none": [0.0] * 60,
}


def test_each_series_gets_the_model_of_its_class() -> None:
    fitted, found = local(ByClass(), CLASSED)
    assert {key[0]: word for key, word in fitted.classes.items()} == {word: word for word in CLASSED}
    members = {"smooth": AutoETS(), "erratic": Theta(), "intermittent": TSB(), "lumpy": IMAPA()}
    for word, model in members.items():
        assert found[word] == local(model, {word: CLASSED[word]})[1][word]
    assert found["none"] == [0.0] * 6


def test_a_new_series_has_the_class_that_it_has_now() -> None:
    fitted, _ = local(ByClass(), {"intermittent": CLASSED["intermittent"]})
    found = forecast(fitted, {"new": CLASSED["intermittent"], "lumpy": CLASSED["lumpy"], "quiet": [0.0] * 9})
    assert found["new"] == [naive.tsb(CLASSED["intermittent"], 0.1, 0.1)] * 6
    assert found["lumpy"] == naive.seasonal_naive(CLASSED["lumpy"], 4, 6)
    assert found["quiet"] == [0.0] * 6


def test_a_class_keeps_its_model_when_the_series_changes() -> None:
    """Classes are learned: a later view updates forecasts, not classes."""
    y = CLASSED["intermittent"]
    fitted, _ = local(ByClass(), {"a": y})
    later = [*y, *(4.0 + t % 7 for t in range(200))]
    assert forecast(fitted, {"a": later}, ends=200)["a"] == pytest.approx([naive.tsb(later, 0.1, 0.1)] * 6)


# --- complex smoothing, ARIMA, several seasons -----------------------------------------------------------------------


SEARCHED = [AutoCES(), AutoCES(longest_season=1), AutoARIMA(history=40), AutoARIMA(longest_season=1), MSTL()]


@pytest.mark.parametrize("model", SEARCHED, ids=repr)
def test_season_and_trend_go_on_and_a_later_view_needs_no_search(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    y = wave(70)
    fitted, found = local(model, {"a": y[:60]}, ends=60)
    assert fitted.fallbacks == 0
    plain = np.abs(np.array(naive.seasonal_naive(y[:60], 4, 6)) - y[60:66]).mean()
    assert np.abs(np.array(found["a"]) - y[60:66]).mean() < plain
    before = dict(fitted.dump())
    monkeypatch.setattr(type(model), "search", lambda *_: pytest.fail("a later view searched again"))
    later = forecast(fitted, {"a": y[:64]}, ends=64)
    assert later["a"] != found["a"]
    assert np.abs(np.array(later["a"]) - y[64:70]).mean() < 6.0
    assert dict(fitted.dump()) == before


@pytest.mark.parametrize("model", [AutoCES(), AutoARIMA(longest_season=1), MSTL(), IMAPA(), CrostonSBA(), Drift()])
@pytest.mark.parametrize(
    "y",
    [[0.0] * 30, [7.5] * 30, [1.0, 2.0], [3.0], [1.0] * 7 + [2.0], [0.0] * 29 + [1.0], [1e12, -1e12] * 6],
    ids=["zeros", "constant", "two", "one", "late step", "late one", "huge"],
)
def test_odd_series_are_forecast_without_a_crash(model: Any, y: list[float]) -> None:
    found = local(model, {"a": y})[1]["a"]
    assert len(found) == 6
    assert all(math.isfinite(value) for value in found)


@pytest.mark.parametrize("kind", ["drift", "mean"])
def test_arima_goes_forward_as_the_library_does(kind: str) -> None:
    steps = np.random.default_rng(4).normal(size=50)
    y = np.cumsum(steps + 1.5) if kind == "drift" else 20 + steps
    fitted, _ = local(AutoARIMA(longest_season=1), {"a": y[:40].tolist()}, season=1, ends=40)
    learned = fitted.learned[("a",)]
    assert kind in learned.form
    arima = library("statsforecast.arima")
    theirs = arima.forward_arima(arima.auto_arima_f(y[:40], period=1), y)
    expected = arima.forecast_arima(theirs, 6)["mean"]
    later = forecast(fitted, {"a": y.tolist()}, season=1, ends=50)["a"]
    assert later == pytest.approx(expected.tolist(), rel=1e-6)


def test_ces_goes_forward_as_the_library_does() -> None:
    y = np.array(wave(60))
    fitted, _ = local(AutoCES(), {"a": y[:50].tolist()}, ends=50)
    ces = library("statsforecast.ces")
    theirs = ces.forecast_ces(ces.forward_ces(ces.auto_ces(y[:50], m=4), y), 6)["mean"]
    assert forecast(fitted, {"a": y.tolist()}, ends=60)["a"] == pytest.approx(theirs.tolist(), rel=1e-9)


def test_mstl_takes_several_seasons() -> None:
    t = np.arange(216)
    y = 100 + 10 * np.sin(2 * np.pi * t / 6) + 20 * np.cos(2 * np.pi * t / 36)
    fitted, found = local(MSTL(seasons=(6, 36)), {"a": y[:180].tolist()}, horizon=36, season=6)
    assert fitted.learned[("a",)].form.endswith("/6,36")
    errors = np.abs(np.array(found["a"]) - y[180:])
    assert errors.mean() < 2.0
    one = np.abs(np.array(local(MSTL(), {"a": y[:180].tolist()}, horizon=36, season=6)[1]["a"]) - y[180:])
    assert errors.mean() < 0.3 * one.mean()


def test_the_parts_of_mstl_equal_those_of_statsforecast() -> None:
    t = np.arange(150)
    y = 100 + 10 * np.sin(2 * np.pi * t / 6) + 20 * np.cos(2 * np.pi * t / 24) + RNG.normal(size=150)
    theirs = library("statsforecast.mstl").mstl(y, [6, 24])
    ours = decompose(y, (6, 24))
    for part, m in zip(ours, (6, 24), strict=True):
        assert part == pytest.approx(theirs[f"seasonal{m}"].to_numpy(), rel=1e-9)


def test_the_history_holds_four_of_the_longest_season() -> None:
    t = np.arange(900)
    y = 100 + 10 * np.sin(2 * np.pi * t / 24) + 20 * np.cos(2 * np.pi * t / 168)
    fitted, _ = local(MSTL(seasons=(24, 168)), {"a": y.tolist()}, season=24)
    assert fitted.learned[("a",)].form.endswith("/24,168")
    assert fitted.learned[("a",)].start == 1 - 4 * 168


def test_a_season_seen_less_than_twice_is_left_out() -> None:
    fitted, _ = local(MSTL(seasons=(4, 50)), {"a": wave(60)})
    assert fitted.learned[("a",)].form.endswith("/4")


# --- the plan --------------------------------------------------------------------------------------------------------


def test_plans_set_every_member() -> None:
    found = parse_models(
        [
            {"mstl": {"seasons": [168, 24]}},
            {"window_mean": {"window": 5}},
            {"seasonal_window_mean": {"window": 2, "name": "two"}},
            {"drift": {"window": 10}},
            {"croston_sba": {"alpha": 0.2}},
            {"tsb": {"alpha": 0.2, "beta": 0.05}},
            {"by_class": {"smooth": "theta", "lumpy": {"croston_sba": {"alpha": 0.3}}}},
            {"auto_ces": {"history": 60}},
            {"auto_arima": {"longest_season": 1}},
            "imapa",
        ]
    )
    assert found == (
        MSTL(seasons=(24, 168)),
        WindowMean(window=5),
        SeasonalWindowMean("two", 2),
        Drift(window=10),
        CrostonSBA(alpha=0.2),
        TSB(alpha=0.2, beta=0.05),
        ByClass(smooth=Theta(), lumpy=CrostonSBA(alpha=0.3)),
        AutoCES(history=60),
        AutoARIMA(longest_season=1),
        IMAPA(),
    )


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"mstl": {"seasons": [24.5]}}, r"models\[0\].mstl.seasons: 24.5.*whole"),
        ({"mstl": {"seasons": [1]}}, r"models\[0\].mstl.seasons: 1.*at least 2"),
        ({"mstl": {"seasons": [24], "history": 48}}, r"models\[0\].mstl.history: 48 steps for a season of 24"),
        ({"tsb": {"alpha": 0}}, r"models\[0\].tsb.alpha: 0"),
        ({"drift": {"window": 1}}, r"models\[0\].drift.window: 1"),
        ({"by_class": {"lumpy": "croston"}}, r"models\[0\].by_class.lumpy: 'croston'.*did you mean 'croston_sba'"),
        ({"by_class": {"lumpi": "tsb"}}, r"models\[0\].by_class.lumpi.*did you mean 'lumpy'"),
    ],
)
def test_wrong_settings_are_named_with_their_path(item: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse_models([item])


def test_a_target_that_is_not_finite_is_refused() -> None:
    with pytest.raises(BadInput, match="target: 1 values"):
        demand_classes(target({"a": [1.0, math.nan]}), ["id"])
