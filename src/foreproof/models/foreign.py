"""Models of statsforecast and regressors of scikit-learn by their names, with their settings checked when the plan is read.

Their state has no text form: `dump` names the class, its settings and a digest of what it predicts.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import json
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.model import Now, Past
from foreproof.core.predict import CUTOFF, Prediction
from foreproof.errors import BadInput, PlanError
from foreproof.models.late import library
from foreproof.models.local import FEWEST, sound
from foreproof.models.panel import Floats, panel, points, seasonal_naive
from foreproof.models.rows import FEWEST_ROWS, LABEL, answered, training_rows
from foreproof.models.scaling import Columns, learn_columns, scaled

_SEASON = "season_length"
_OURS = frozenset({"self", "alias", "prediction_intervals"})
_REFUSED = {
    "ConformalSeasonalPool": "it draws numbers without a seed, so no run could be repeated",
    "SklearnModel": "it takes a regressor as an object; use the model `sklearn`",
    "NaNModel": "it forecasts nothing",
}
_RULES = frozenset(
    {
        "CrostonClassic",
        "CrostonSBA",
        "HistoricAverage",
        "RandomWalkWithDrift",
        "SeasonalExponentialSmoothing",
        "SeasonalWindowAverage",
        "SimpleExponentialSmoothing",
        "TSB",
        "WindowAverage",
    }
)
"""Classes without `forward` that learn nothing: their forecast of a later series is the update."""
_TAILS = (0.001, 0.999)


# --- statsforecast ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ForeignSeries:
    """A class of `statsforecast.models`, one series at a time. settings: its parameters as JSON, sorted.

    `season_length`, where the class has one and the settings are silent, is the plan's season. A later view is an update
    without a refit: by the class's `forward`, by its formula where it learns nothing, else the forecast made at the fit
    goes on, moved by its mean error over the steps seen since (one season of them at most).
    """

    name: str
    model: str
    settings: str = "{}"

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedSeries:
        """A fitted object a series; the seasonal naive stands in where a series has under 8 values or cannot be fitted."""
        season = max(1, past.frame.season)
        series = panel(past.target, past.frame.entity)
        learned = {
            key: _learned(self, y, int(start), season)
            for key, start, y in zip(series.keys, series.starts, series, strict=True)
        }
        return FittedSeries(self, season, learned)


@dataclass(frozen=True, slots=True)
class LearnedSeries:
    """start, length: the first period that was learned from, and how many. fitted: the library's object. digest: of its
    forecast of one season at the fit.
    """

    start: int
    length: int
    fitted: Any
    digest: str


@dataclass(frozen=True, slots=True)
class FittedSeries:
    """The library's objects by series; None where the seasonal naive stands in."""

    model: ForeignSeries
    season: int
    learned: Mapping[tuple[str, ...], LearnedSeries | None]

    @property
    def fallbacks(self) -> int:
        """How many series are forecast by the seasonal naive."""
        return sum(learned is None for learned in self.learned.values())

    def predict(self, now: Now) -> Prediction:
        """Forecasts of every series of the target; one that was not there at the fit gets the seasonal naive."""
        past = panel(now.target, now.frame.entity)
        values = seasonal_naive(past, season=self.season, horizon=now.frame.horizon)
        for i, (key, y) in enumerate(zip(past.keys, past, strict=True)):
            learned = self.learned.get(key)
            skip = learned.start - int(past.starts[i]) if learned else -1
            if learned is not None and 0 <= skip < y.size:
                forecast = _carried(learned, y[skip:], self.season, now.frame.horizon)
                if forecast is not None:
                    values[i] = forecast
        return points(now, past.keys, values)

    def dump(self) -> Mapping[str, bytes]:
        """Class, settings, and a digest of each series' forecast at the fit, as JSON."""
        series = [{"key": key, "forecast": kept.digest if kept else None} for key, kept in sorted(self.learned.items())]
        state = {"class": f"statsforecast.models.{self.model.model}", "settings": json.loads(self.model.settings)}
        return {f"{self.model.name}.json": json.dumps({**state, "series": series}, sort_keys=True).encode()}


def statsforecast_model(name: str, model: str, settings: Mapping[str, Any], *, path: str) -> ForeignSeries:
    """The member for a class of `statsforecast.models`; PlanError with the nearest name for one that is not there."""
    module = library("statsforecast.models")
    known = sorted(
        each
        for each, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, module._TS) and not each.startswith("_") and each not in _REFUSED
    )
    if model in _REFUSED:
        raise PlanError(f"{path}.model", found=model, wanted="a model that can be a member", fix=_REFUSED[model])
    if model not in known:
        raise _unknown(f"{path}.model", f"{model!r}, no model of statsforecast", model, known)
    cls = getattr(module, model)
    _check_settings(cls, settings, given={_SEASON}, path=path)
    found = ForeignSeries(name, model, json.dumps(settings, sort_keys=True))
    try:
        _made(found, 2)
    except Exception as error:
        raise PlanError(f"{path}.settings", found=f"{model} refuses them: {error}") from None
    return found


def _made(model: ForeignSeries, season: int) -> Any:
    """A fresh object of the class."""
    cls = getattr(library("statsforecast.models"), model.model)
    parameters = inspect.signature(cls.__init__).parameters
    settings = json.loads(model.settings)
    if _SEASON in parameters:
        settings = {_SEASON: season, **settings}
    for name, value in settings.items():
        if isinstance(value, list) and parameters[name].annotation == tuple[int, int, int]:
            settings[name] = tuple(value)
    return cls(**settings)


def _learned(model: ForeignSeries, y: Floats, start: int, season: int) -> LearnedSeries | None:
    if y.size < FEWEST or np.ptp(y) <= 0.0:
        return None
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            fitted = _made(model, season).fit(np.array(y))
    except Exception:  # the library raises plain exceptions of many kinds where nothing can be fitted
        return None
    learned = LearnedSeries(start, y.size, fitted, "")
    first = _carried(learned, y, season, season)
    return None if first is None else LearnedSeries(start, y.size, fitted, _digest(first))


def _carried(learned: LearnedSeries, y: Floats, season: int, horizon: int) -> Floats | None:
    """The forecast after y under what was learned; None where it fails or is not sound."""
    fitted, later = learned.fitted, y.size - learned.length
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if hasattr(fitted, "forward"):
                found = fitted.forward(np.array(y), horizon)["mean"]
            elif type(fitted).__name__ in _RULES:
                found = fitted.forecast(np.array(y), horizon)["mean"]
            elif later >= 0:
                ahead = np.asarray(fitted.predict(later + horizon)["mean"], dtype=np.float64)
                seen = min(later, max(season, 1))
                missed = y[y.size - seen :] - ahead[later - seen : later]
                found = ahead[later:] + (missed.mean() if seen else 0.0)
            else:
                return None
    except Exception:
        return None
    return sound(np.asarray(found, dtype=np.float64), y)


# --- scikit-learn -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ForeignRows:
    """A regressor of scikit-learn, one for all series and steps, on the rows that `GlobalBoost` reads, scaled alike.

    model: its name below `sklearn`, such as `ensemble.RandomForestRegressor`. settings: its parameters as JSON, sorted; a
    `random_state` is the fit's seed and `n_jobs` is 1, where the class has them. Categories are numbers; what is missing
    stays so for histogram gradient boosting, and is its column's median for all others.
    """

    name: str
    model: str
    settings: str = "{}"
    max_rows: int = 200_000
    relative: bool = True

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: yes."""
        return True

    def fit(self, past: Past, *, seed: int) -> FittedRows:
        """Learn from the labelled rows; nothing from fewer than 30."""
        rows = training_rows(past, most=self.max_rows, seed=seed)
        season = max(1, past.frame.season)
        if rows.height < FEWEST_ROWS:
            return FittedRows(self, season, Columns((), {}, False), None, (), "")
        columns = learn_columns(rows, [*past.frame.entity, CUTOFF, LABEL], relative=self.relative)
        given = scaled(rows, columns)
        value = (rows[LABEL].cast(pl.Float64).to_numpy() - given.origin) / given.unit
        fills = () if "HistGradientBoosting" in self.model else _medians(given.matrix)
        regressor = _regressor(self, seed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                regressor.fit(_filled(given.matrix, fills), np.clip(value, *np.quantile(value, _TAILS)))
        except (ValueError, TypeError) as error:
            raise BadInput(
                f"model {self.name}", found=f"sklearn.{self.model} refuses the rows: {error}", fix="mend its settings"
            ) from error
        fitted = FittedRows(self, season, columns, regressor, fills, "")
        digest = _digest(fitted.answer(rows))
        return FittedRows(self, season, columns, regressor, fills, digest)


@dataclass(frozen=True, slots=True)
class FittedRows:
    """The fitted regressor, None where there was too little to learn from; fills: what stands for missing, by column."""

    model: ForeignRows
    season: int
    columns: Columns
    regressor: Any
    fills: tuple[float, ...]
    digest: str

    @property
    def fallbacks(self) -> int:
        """1 where the seasonal naive forecasts everything, because there were fewer than 30 training rows; else 0."""
        return int(self.regressor is None)

    def answer(self, rows: pl.DataFrame) -> Floats:
        """The answer to each row, in the unit of the target."""
        given = scaled(rows, self.columns)
        found = np.asarray(self.regressor.predict(_filled(given.matrix, self.fills)), dtype=np.float64).reshape(-1)
        return given.origin + given.unit * found

    def predict(self, now: Now) -> Prediction:
        """Forecasts of every series of the target; see `answered`."""
        return answered(now, self.season, None if self.regressor is None else self.answer)

    def dump(self) -> Mapping[str, bytes]:
        """Class, settings, columns, and a digest of the predictions for the training rows, as JSON."""
        state = {
            "class": f"sklearn.{self.model.model}",
            "settings": json.loads(self.model.settings),
            "names": self.columns.names,
            "codes": self.columns.codes,
            "predictions": self.digest,
        }
        return {f"{self.model.name}.json": json.dumps(state, sort_keys=True).encode()}


def sklearn_model(model: ForeignRows, *, path: str) -> ForeignRows:
    """The model, checked: class and parameters are scikit-learn's; PlanError with the nearest name where they are not."""
    cls = _regressor_class(model.model)
    if cls is None:
        found = f"{model.model!r}, no regressor of scikit-learn"
        raise _unknown(f"{path}.model", found, model.model, _regressors())
    _check_settings(cls, json.loads(model.settings), given=set(), path=path)
    try:
        regressor = _regressor(model, 1)
        getattr(regressor, "_validate_params", lambda: None)()
    except (ValueError, TypeError) as error:
        raise PlanError(f"{path}.settings", found=f"{model.model} refuses them: {error}") from None
    return model


def _regressor_class(name: str) -> Any:
    base = library("sklearn.base")
    module, _, word = name.rpartition(".")
    if not module or not all(part.isidentifier() and not part.startswith("_") for part in name.split(".")):
        return None
    try:
        cls = getattr(importlib.import_module(f"sklearn.{module}"), word, None)
    except ModuleNotFoundError:
        return None
    return cls if inspect.isclass(cls) and issubclass(cls, base.RegressorMixin) else None


def _regressors() -> list[str]:
    """`ensemble.RandomForestRegressor`, ...: without the private modules that classes live in."""
    found = library("sklearn.utils.discovery").all_estimators(type_filter="regressor")
    public = ([part for part in cls.__module__.split(".")[1:] if not part.startswith("_")] for _, cls in found)
    return [".".join([*parts, name]) for parts, (name, _) in zip(public, found, strict=True)]


def _regressor(model: ForeignRows, seed: int) -> Any:
    cls = _regressor_class(model.model)
    parameters = inspect.signature(cls.__init__).parameters
    ours = {name: value for name, value in (("random_state", seed), ("n_jobs", 1)) if name in parameters}
    return cls(**{**ours, **json.loads(model.settings)})


def _medians(matrix: Floats) -> tuple[float, ...]:
    """The median of each column over what is there; 0 for a column without anything."""
    columns = (column[np.isfinite(column)] for column in matrix.T)
    return tuple(float(np.median(column)) if column.size else 0.0 for column in columns)


def _filled(matrix: Floats, fills: tuple[float, ...]) -> Floats:
    return np.where(np.isfinite(matrix), matrix, np.array(fills)) if fills else matrix


# --- both -------------------------------------------------------------------------------------------------------------


def _check_settings(cls: Any, settings: Mapping[str, Any], *, given: set[str], path: str) -> None:
    """Refuse settings that are no parameters of the class, and the lack of one that has no default."""
    parameters = {n: p for n, p in inspect.signature(cls.__init__).parameters.items() if n not in _OURS}
    for name in settings:
        if name not in parameters:
            raise _unknown(f"{path}.settings.{name}", f"no parameter of {cls.__name__}", name, parameters)
    for name, parameter in parameters.items():
        needed = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if needed and name not in settings and name not in given:
            raise PlanError(
                f"{path}.settings.{name}", found="nothing", wanted=f"a value: {cls.__name__} has no default"
            )


def _unknown(path: str, found: str, word: str, known: Iterable[str]) -> PlanError:
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    listed = f"known: {', '.join(names)}"
    return PlanError(path, found=found, fix=f"did you mean {near[0]!r}? {listed}" if near else listed)


def _digest(values: Floats) -> str:
    """Of nine significant digits: the last bits may differ from one processor to the next."""
    text = ",".join(f"{value:.9g}" if math.isfinite(value) else "none" for value in values.tolist())
    return hashlib.sha256(text.encode()).hexdigest()


__all__ = [
    "FittedRows",
    "FittedSeries",
    "ForeignRows",
    "ForeignSeries",
    "LearnedSeries",
    "sklearn_model",
    "statsforecast_model",
]
