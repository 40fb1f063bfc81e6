"""What every model does: the same suite for each, and a faulty model for each check, which must find it."""

from __future__ import annotations

import importlib
import inspect
import math
import pickle
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pytest

import foreproof.models
from foreproof.core.grid import Grid
from foreproof.core.model import Fitted, Frame, Model, Now, Past
from foreproof.core.predict import Prediction
from foreproof.core.recipe import Recipe
from foreproof.errors import ForeproofError
from foreproof.models import (
    IMAPA,
    KINDS,
    MSTL,
    TSB,
    AutoARIMA,
    AutoCES,
    AutoETS,
    ByClass,
    CrostonSBA,
    Drift,
    ForeignRows,
    ForeignSeries,
    GlobalBoost,
    Naive,
    Normalised,
    SeasonalNaive,
    SeasonalWindowMean,
    Theta,
    WindowMean,
    load_fitted,
    parse_models,
)
from foreproof.models.classify import CLASSIFIERS
from foreproof.models.plain import FittedRule
from foreproof.models.plugged import Plugged
from foreproof.models.registry import parse_listed

FRAME = Frame(("shop", "sku"), Grid("integer", unit="step"), 5, 4)
LAST = 80

RECIPES = (
    *(Recipe(f"y_lag_{lag}", "value", (lag,)) for lag in (0, 1, 3, 7)),
    Recipe("y_mean", "mean", tuple(range(8))),
)


@dataclass(frozen=True, slots=True)
class Mine(WindowMean):
    """As a plugin would have it: a model that reads its own state back."""

    def load(self, files: Mapping[str, bytes]) -> Fitted:
        return FittedRule(self, FRAME.season)


CASES: dict[str, Model] = {
    "seasonal naive": SeasonalNaive(),
    "naive": Naive(),
    "ets": AutoETS(),
    "ets without its season": AutoETS(longest_season=1, history=40),
    "theta": Theta(),
    "ces": AutoCES(),
    "arima": AutoARIMA(longest_season=1, history=10),
    "mstl": MSTL(),
    "mstl of two seasons": MSTL(seasons=(4, 12)),
    "window mean": WindowMean(),
    "seasonal window mean": SeasonalWindowMean(),
    "drift": Drift(),
    "croston": CrostonSBA(),
    "tsb": TSB(),
    "imapa": IMAPA(),
    "by class": ByClass(),
    "by class with rows": ByClass(smooth=GlobalBoost(trees=10), erratic=CrostonSBA()),
    "statsforecast that goes forward": ForeignSeries("holt", "Holt"),
    "statsforecast by a rule": ForeignSeries("ses", "SimpleExponentialSmoothing", '{"alpha": 0.3}'),
    "statsforecast that goes on": ForeignSeries("seasonal_es", "SeasonalExponentialSmoothingOptimized"),
    "forest": ForeignRows("forest", "ensemble.RandomForestRegressor", '{"n_estimators": 8}'),
    "histograms": ForeignRows(
        "histograms", "ensemble.HistGradientBoostingRegressor", '{"max_iter": 8}', relative=False
    ),
    "ridge": ForeignRows("ridge", "linear_model.Ridge"),
    "normalised by logarithms": Normalised(Theta(), "log1p"),
    "normalised by a power": Normalised(AutoETS(), "box_cox"),
    "a plugin's": Plugged(Mine(window=3), "acme 1.0"),
    "boost": GlobalBoost(trees=15),
    "boost of few rows": GlobalBoost(trees=15, max_rows=200, relative=False),
    "boost of a quantile": GlobalBoost(trees=15, loss="quantile", level=0.8),
    "boost by recursion": GlobalBoost(trees=15, strategy="recursive", recipes=RECIPES),
    "boost by blocks": GlobalBoost(trees=15, blocks=2, loss="tweedie"),
}


# --- a small world: five series of every kind, with rows as a compiler would give -------------------------------------


def series() -> dict[tuple[str, str], list[float]]:
    rng = np.random.default_rng(3)
    t = np.arange(LAST)
    wave = 50.0 + 0.2 * t + 10.0 * np.sin(np.pi * t / 2) + rng.normal(size=LAST)
    return {
        ("north", "a"): wave.tolist(),
        ("north", "b"): (1000.0 * wave[20:]).tolist(),
        ("south", "a"): [0.0] * LAST,
        ("south", "b"): rng.poisson(1.5, size=LAST).astype(float).tolist(),
        ("south", "c"): [4.0],
    }


def target(cutoff: int = LAST) -> pl.DataFrame:
    """Each series ends at period LAST; as of an earlier cutoff its end is not there."""
    rows = [
        (*key, LAST - len(y) + 1 + i, value)
        for key, y in series().items()
        for i, value in enumerate(y)
        if LAST - len(y) + 1 + i <= cutoff
    ]
    return pl.DataFrame(
        rows, schema={"shop": pl.String, "sku": pl.String, "period": pl.Int64, "y": pl.Float64}, orient="row"
    )


def rows(cutoffs: Any, *, label: bool, known: int) -> pl.DataFrame:
    """Lags and means as of each cutoff; labels of the steps that had settled at `known`."""
    found = []
    for key, y in series().items():
        values = {LAST - len(y) + 1 + i: v for i, v in enumerate(y)}
        for cutoff in cutoffs:
            if cutoff not in values:
                continue
            past = [v for period, v in values.items() if period <= cutoff]
            for step in range(1, FRAME.horizon + 1):
                row: dict[str, Any] = {"shop": key[0], "sku": key[1], "cutoff": cutoff, "step": step}
                row |= {f"y_lag_{lag}": past[-1 - lag] if len(past) > lag else None for lag in (0, 1, 3, 7)}
                row["y_mean"] = sum(past[-8:]) / len(past[-8:])
                row["place"] = key[0]
                row["y_scale"] = sum(abs(v) for v in past[-28:]) / len(past[-28:]) or 1.0
                if label:
                    row["label"] = values.get(cutoff + step)
                found.append(row)
    frame = pl.DataFrame(found, infer_schema_length=None)
    return frame.filter(pl.col("cutoff") + pl.col("step") <= known) if label else frame


def past_at(cutoff: int) -> Past:
    learned = rows(range(cutoff - 40, cutoff, 3), label=True, known=cutoff)
    return Past(FRAME, cutoff, target(cutoff), lambda: learned)


def now_at(cutoff: int) -> Now:
    current = rows([cutoff], label=False, known=cutoff)
    return Now(FRAME, cutoff, target(cutoff), lambda: current)


EARLY, LATE = past_at(LAST - 8), now_at(LAST)
SAME = now_at(LAST - 8)


def predicted(model: Model, past: Past = EARLY, now: Now = SAME, *, seed: int = 1) -> pl.DataFrame:
    return model.fit(past, seed=seed).predict(now).canonical()


# --- the checks: each says what is wrong, or nothing ------------------------------------------------------------------


def deterministic(model: Model) -> str | None:
    fitted = [model.fit(EARLY, seed=7) for _ in range(3)]
    if any(dict(f.dump()) != dict(fitted[0].dump()) for f in fitted):
        return "learns other bytes from the same past and seed"
    first = fitted[0].predict(SAME).canonical()
    same = all(f.predict(SAME).canonical().equals(first) for f in [*fitted, fitted[0]])
    return None if same else "predicts otherwise from fit to fit"


def leaves_inputs_alone(model: Model) -> str | None:
    past, now = past_at(LAST - 8), now_at(LAST - 8)
    predicted(model, past, now)
    pairs = [(past.target, EARLY.target), (past.make_rows(), EARLY.make_rows())]
    pairs += [(now.target, SAME.target), (now.make_rows(), SAME.make_rows())]
    return None if all(a.equals(b) for a, b in pairs) else "changes its input"


def ignores_row_order(model: Model) -> str | None:
    def shuffled(given: Past | Now) -> Any:
        mixed = given.make_rows().sample(fraction=1.0, shuffle=True, seed=4)
        return replace(given, target=given.target.reverse(), make_rows=lambda: mixed)

    other = predicted(model, shuffled(EARLY), shuffled(SAME))
    return None if other.equals(predicted(model)) else "depends on the order of rows"


def pickles(model: Model) -> str | None:
    try:
        copy = pickle.loads(pickle.dumps(model))
        fitted = pickle.loads(pickle.dumps(model.fit(EARLY, seed=1)))
    except Exception as error:
        return f"does not pickle: {error}"
    if copy != model or copy.name != model.name or repr(copy) != repr(model):
        return "is another model after pickling"
    found = predicted(model)
    same = predicted(copy).equals(found) and fitted.predict(SAME).canonical().equals(found)
    return None if same else "predicts otherwise after pickling"


def refuses_missing(model: Model) -> str | None:
    fitted = model.fit(EARLY, seed=1)
    for bad in (math.nan, math.inf, -math.inf, None):
        hole = pl.when(pl.int_range(pl.len()) == 7).then(pl.lit(bad, dtype=pl.Float64)).otherwise("y").alias("y")
        past = replace(EARLY, target=EARLY.target.with_columns(hole))
        now = replace(SAME, target=SAME.target.with_columns(hole))
        for act, where in (
            (lambda past=past: model.fit(past, seed=1), "fit"),
            (lambda now=now: fitted.predict(now), "predict"),
        ):
            try:
                act()
            except ForeproofError as error:
                if not ("target" in str(error) and error.found and (error.wanted or error.fix)):
                    return f"{where} refuses {bad} without saying what and how to mend it: {error}"
            except Exception as error:
                return f"{where} breaks on {bad}: {error!r}"
            else:
                return f"{where} takes {bad}"
    return None


def answers_for_every_series_and_step(model: Model) -> str | None:
    prediction = model.fit(EARLY, seed=1).predict(SAME)
    if not isinstance(prediction, Prediction) or prediction.kind != "point":
        return "gives no point prediction"
    expected = (
        SAME.target.select("shop", "sku")
        .unique()
        .join(pl.DataFrame({"step": range(1, FRAME.horizon + 1)}, schema={"step": pl.Int64}), how="cross")
    )
    found = prediction.rows
    missing = expected.join(found, on=["shop", "sku", "step"], how="anti").height
    if missing or found.height != expected.height:
        return f"has {found.height} rows of {expected.height}"
    return None if found["cutoff"].unique().to_list() == [SAME.cutoff] else "names another cutoff"


def predicts_at_a_later_view(model: Model) -> str | None:
    """Update without refit: the same learned state, a later target, one more series."""
    fitted = model.fit(EARLY, seed=1)
    before = dict(fitted.dump())
    try:
        found = fitted.predict(LATE).rows
    except Exception as error:
        return f"breaks at a later view: {error!r}"
    if dict(fitted.dump()) != before:
        return "learns while it predicts"
    if found.height != 5 * FRAME.horizon or found["cutoff"].unique().to_list() != [LATE.cutoff]:
        return "has other rows at a later view"
    wave = (pl.col("shop") == "north") & (pl.col("sku") == "a")
    same = found.filter(wave)["value"].equals(predicted(model).filter(wave)["value"])
    return "does not look at the later view" if same else None


def asks_for_rows_only_if_it_says_so(model: Model) -> str | None:
    asked: list[str] = []

    def spied(given: Past | Now, what: str) -> Any:
        def make() -> pl.DataFrame:
            asked.append(what)
            return given.make_rows()

        return replace(given, make_rows=make)

    predicted(model, spied(EARLY, "past"), spied(SAME, "now"))
    return None if bool(asked) == model.reads_rows else f"says reads_rows {model.reads_rows}, and asks for {asked}"


def dumps_text(model: Model) -> str | None:
    """Never a pickle: whoever reads an artefact must not have to trust it."""
    for name, content in model.fit(EARLY, seed=1).dump().items():
        if content[:1] == b"\x80" or (
            not content.decode("utf-8", errors="replace").isprintable() and b"\n" not in content
        ):
            return f"{name} is no text"
        if not name.startswith(f"{model.name}."):
            return f"{name} does not name its model"
    return None


def loads_what_it_dumped(model: Model) -> str | None:
    """A state that is text can be read back, and predicts the same bytes, now and later; another library's says it cannot."""
    fitted = model.fit(EARLY, seed=1)
    try:
        again = load_fitted(model, dict(fitted.dump()), season=FRAME.season)
    except ForeproofError as error:
        foreign = isinstance(model, ForeignRows | ForeignSeries)
        return None if foreign and "fit it again" in str(error) else f"does not load: {error}"
    except Exception as error:
        return f"does not load: {error!r}"
    same = all(again.predict(now).canonical().equals(fitted.predict(now).canonical()) for now in (SAME, LATE))
    return None if same and dict(again.dump()) == dict(fitted.dump()) else "predicts otherwise after loading"


CHECKS: list[Callable[[Model], str | None]] = [
    deterministic,
    leaves_inputs_alone,
    ignores_row_order,
    pickles,
    refuses_missing,
    answers_for_every_series_and_step,
    predicts_at_a_later_view,
    asks_for_rows_only_if_it_says_so,
    dumps_text,
    loads_what_it_dumped,
]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_model_keeps_the_law(check: Callable[[Model], str | None], name: str) -> None:
    assert check(CASES[name]) is None


def test_every_model_is_listed() -> None:
    """Classifiers, whose rows have labels of 0 and 1, have a suite of their own: see test_classifiers."""
    modules = [
        importlib.import_module(f"foreproof.models.{module.name}")
        for module in pkgutil.iter_modules(foreproof.models.__path__)
    ]
    models = {
        thing
        for module in modules
        for _, thing in inspect.getmembers(module, inspect.isclass)
        if hasattr(thing, "fit") and thing.__module__.startswith("foreproof.models")
        if "past" in inspect.signature(thing.fit).parameters  # a calibrator fits probabilities, and is no model
    }
    classifiers = {type(model) for model in parse_listed(list(CLASSIFIERS), CLASSIFIERS, path="models")}
    assert classifiers < models
    models -= classifiers
    assert {type(model) for model in CASES.values()} == models
    named = {"statsforecast": {"model": "Naive", "name": "other"}, "sklearn": {"model": "linear_model.Ridge"}}
    every = [{kind: named[kind]} if kind in named else kind for kind in KINDS]
    assert {type(model) for model in parse_models(every)} == models - {Plugged}


# --- each check finds the fault that it is for ------------------------------------------------------------------------

RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Wrapped:
    """A naive that one function spoils."""

    spoil: Callable[[Prediction, Now], Prediction]
    past: Past | None = None
    name: str = "wrapped"
    reads_rows: bool = False

    def fit(self, past: Past, *, seed: int) -> Fitted:
        SeasonalNaive().fit(past, seed=seed)
        return replace(self, past=past)  # type: ignore[return-value]

    def predict(self, now: Now) -> Prediction:
        assert self.past is not None
        return self.spoil(SeasonalNaive().fit(self.past, seed=1).predict(now), now)

    def dump(self) -> Mapping[str, bytes]:
        return {}


def changed(prediction: Prediction, value: Any) -> Prediction:
    return Prediction("point", prediction.entity, prediction.rows.with_columns(value=value))


def noisy(prediction: Prediction, now: Now) -> Prediction:
    return changed(prediction, pl.Series(RNG.normal(size=prediction.rows.height)))


def first_row(prediction: Prediction, now: Now) -> Prediction:
    return changed(prediction, pl.lit(float(now.target["y"][0])))


def short(prediction: Prediction, now: Now) -> Prediction:
    return Prediction("point", prediction.entity, prediction.rows.filter(pl.col("step") < FRAME.horizon))


def asking(prediction: Prediction, now: Now) -> Prediction:
    now.make_rows()
    return prediction


def spoiling(prediction: Prediction, now: Now) -> Prediction:
    now.target.replace_column(3, now.target["y"] + 1.0)
    return prediction


class Careless(SeasonalNaive):
    """Drops what is missing without a word."""

    def fit(self, past: Past, *, seed: int) -> Any:
        kept = past.target.filter(pl.col("y").is_finite())
        return super().fit(replace(past, target=kept.filter(pl.lit(False))), seed=seed)


class Frozen(Naive):
    """Answers from the view that it was fitted at."""

    def fit(self, past: Past, *, seed: int) -> Any:
        return Stuck(past)


@dataclass(frozen=True)
class Stuck:
    past: Past

    def predict(self, now: Now) -> Prediction:
        at = replace(now, target=self.past.target)
        found = Naive().fit(self.past, seed=1).predict(at)
        return Prediction("point", found.entity, found.rows.with_columns(cutoff=pl.lit(now.cutoff, dtype=pl.Int64)))

    def dump(self) -> Mapping[str, bytes]:
        return {"frozen.bin": pickle.dumps(self.past.cutoff)}


class Forgetful(SeasonalNaive):
    """Learns the season of the fit and dumps nothing of it."""

    def fit(self, past: Past, *, seed: int) -> Any:
        return SeasonalNaive().fit(replace(past, frame=replace(past.frame, season=3)), seed=seed)


FAULTS: list[tuple[Callable[[Model], str | None], Any, str]] = [
    (deterministic, Wrapped(noisy), "predicts otherwise"),
    (leaves_inputs_alone, Wrapped(spoiling), "changes its input"),
    (ignores_row_order, Wrapped(first_row), "depends on the order"),
    (pickles, Wrapped(lambda prediction, now: prediction), "does not pickle"),
    (refuses_missing, Careless(), "fit takes nan"),
    (answers_for_every_series_and_step, Wrapped(short), "has 16 rows of 20"),
    (predicts_at_a_later_view, Wrapped(lambda p, now: changed(p, pl.lit(1.0))), "does not look"),
    (predicts_at_a_later_view, Frozen(), "other rows at a later view"),
    (asks_for_rows_only_if_it_says_so, Wrapped(asking), "asks for"),
    (asks_for_rows_only_if_it_says_so, Wrapped(lambda p, now: p, reads_rows=True), "says reads_rows True"),
    (dumps_text, Frozen(), "is no text"),
    (loads_what_it_dumped, Forgetful(), "predicts otherwise after loading"),
]


@pytest.mark.parametrize(("check", "faulty", "found"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_each_check_finds_its_fault(check: Callable[[Model], str | None], faulty: Any, found: str) -> None:
    answer = check(faulty)
    assert answer is not None
    assert found in answer
