"""Models by the names that plans use."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

from foreproof.core.model import Model
from foreproof.core.plugins import Plugin
from foreproof.core.section import Section
from foreproof.errors import PlanError
from foreproof.models.arima import AutoARIMA
from foreproof.models.boost import GlobalBoost, Loss, Strategy
from foreproof.models.demand import ByClass
from foreproof.models.foreign import ForeignRows, sklearn_model, statsforecast_model
from foreproof.models.intermittent import IMAPA, TSB, CrostonSBA
from foreproof.models.mstl import MSTL
from foreproof.models.naive import Naive, SeasonalNaive
from foreproof.models.normalise import Kind, Normalised
from foreproof.models.plain import Drift, SeasonalWindowMean, WindowMean
from foreproof.models.plugged import plugged
from foreproof.models.statistical import AutoCES, AutoETS, Theta


def parse_models(
    listed: Any, *, path: str = "models", own: Mapping[str, Plugin] = MappingProxyType({})
) -> tuple[Model, ...]:
    """The models of a plan, in its order.

    listed: a list whose items are a name, or a mapping of one name to its settings, such as
    `[seasonal_naive, auto_ets, {boost: {loss: l2, name: boost_mean}}]`. Each model takes `name`, under which it appears, so
    that one kind may stand there twice. own: models of plugins. Raises PlanError with the dotted path for an unknown name
    (with the nearest one) or setting, and for two models of one name.
    """
    return parse_listed(listed, {**KINDS, **plugged(own)}, path=path)


def parse_listed(listed: Any, kinds: Mapping[str, Callable[[Section], Model]], *, path: str) -> tuple[Model, ...]:
    """`parse_models` for kinds of models of one's own."""
    if not isinstance(listed, list | tuple) or not listed:
        raise PlanError(path, found=f"{listed!r}", wanted="a list of models", fix=f"known: {', '.join(kinds)}")
    models = tuple(_model(item, f"{path}[{i}]", kinds) for i, item in enumerate(listed))
    names = [model.name for model in models]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise PlanError(f"{path}[{i}]", found=f"a second model {name!r}", fix="give one of them another name")
    return models


def _model(item: Any, path: str, kinds: Mapping[str, Callable[[Section], Model]]) -> Model:
    if isinstance(item, Mapping) and len(item) == 1:
        kind, settings = next(iter(item.items()))
    else:
        kind, settings = item, None
    if not isinstance(kind, str) or not isinstance(settings, Mapping | None):
        raise PlanError(path, found=f"{item!r}", wanted="a name, or one name with its settings")
    if kind not in kinds:
        near = difflib.get_close_matches(kind, kinds, n=1)
        known = f"known: {', '.join(kinds)}"
        raise PlanError(path, found=f"{kind!r}, no model", fix=f"did you mean {near[0]!r}? {known}" if near else known)
    section = Section(settings or {}, path=f"{path}.{kind}")
    model = kinds[kind](section)
    section.done()
    return model


def _seasonal_naive(section: Section) -> Model:
    return SeasonalNaive(name=section.text("name", "seasonal_naive"))


def _naive(section: Section) -> Model:
    return Naive(name=section.text("name", "naive"))


def _auto_ets(section: Section) -> Model:
    plain = AutoETS()
    return AutoETS(
        name=section.text("name", plain.name),
        # statsforecast's states hold 24 phases at most.
        longest_season=section.whole("longest_season", plain.longest_season, low=1, high=24),
        history=section.whole("history", plain.history, low=0),
    )


def _theta(section: Section) -> Model:
    plain = Theta()
    return Theta(name=section.text("name", plain.name), history=section.whole("history", plain.history, low=0))


def _boost(section: Section) -> Model:
    plain = GlobalBoost()
    strategy = section.choice("strategy", get_args(Strategy), plain.strategy)
    loss = section.choice("loss", get_args(Loss), plain.loss)
    if "level" in section and loss != "quantile":
        raise PlanError(f"{section.path}.level", found=f"a level for loss {loss}", fix="set loss: quantile")
    if "blocks" in section and strategy == "recursive":
        raise PlanError(
            f"{section.path}.blocks", found="blocks of steps", wanted="none: a recursive model has one step"
        )
    return GlobalBoost(
        name=section.text("name", plain.name),
        loss=loss,
        trees=section.whole("trees", plain.trees, low=1, high=100_000),
        rate=section.number("rate", plain.rate, low=1e-4, high=1.0),
        leaves=section.whole("leaves", plain.leaves, low=2, high=4096),
        least=section.whole("least", plain.least, low=1),
        blocks=section.whole("blocks", plain.blocks, low=1, high=1000),
        max_rows=section.whole("max_rows", plain.max_rows, low=1000),
        relative=section.flag("relative", plain.relative),
        level=section.number("level", plain.level, low=0.001, high=0.999),
        strategy=strategy,
    )


def _auto_ces(section: Section) -> Model:
    plain = AutoCES()
    return AutoCES(
        name=section.text("name", plain.name),
        longest_season=section.whole("longest_season", plain.longest_season, low=1, high=1000),
        history=section.whole("history", plain.history, low=0),
    )


def _auto_arima(section: Section) -> Model:
    plain = AutoARIMA()
    return AutoARIMA(
        name=section.text("name", plain.name),
        longest_season=section.whole("longest_season", plain.longest_season, low=1, high=1000),
        history=section.whole("history", plain.history, low=0),
    )


def _mstl(section: Section) -> Model:
    plain = MSTL()
    seasons = section.wholes("seasons", default=(), low=2)
    history = section.whole("history", plain.history, low=0)
    if seasons and 0 < history <= 2 * max(seasons):
        raise PlanError(
            f"{section.path}.history",
            found=f"{history} steps for a season of {max(seasons)}",
            wanted=f"more than {2 * max(seasons)}: two seasons",
        )
    return MSTL(name=section.text("name", plain.name), seasons=tuple(sorted(set(seasons))), history=history)


def _window_mean(section: Section) -> Model:
    plain = WindowMean()
    return WindowMean(section.text("name", plain.name), section.whole("window", plain.window, low=0))


def _seasonal_window_mean(section: Section) -> Model:
    plain = SeasonalWindowMean()
    return SeasonalWindowMean(section.text("name", plain.name), section.whole("window", plain.window, low=1))


def _drift(section: Section) -> Model:
    plain = Drift()
    window = section.whole("window", plain.window, low=0)
    if window == 1:
        raise PlanError(f"{section.path}.window", found="1", wanted="0 for all values, or at least 2")
    return Drift(section.text("name", plain.name), window)


def _croston_sba(section: Section) -> Model:
    plain = CrostonSBA()
    return CrostonSBA(section.text("name", plain.name), _share(section, "alpha", plain.alpha))


def _tsb(section: Section) -> Model:
    plain = TSB()
    alpha, beta = _share(section, "alpha", plain.alpha), _share(section, "beta", plain.beta)
    return TSB(section.text("name", plain.name), alpha, beta)


def _imapa(section: Section) -> Model:
    plain = IMAPA()
    return IMAPA(section.text("name", plain.name), section.whole("history", plain.history, low=0))


def _share(section: Section, name: str, default: float) -> float:
    """A smoothing constant: above 0, at most 1."""
    return section.number(name, default, low=0.001, high=1.0)


def _by_class(section: Section) -> Model:
    plain = ByClass()
    given = {word: section.raw(word, default=None) for word in plain.members}
    chosen = {
        word: plain.members[word] if item is None else _model(item, f"{section.path}.{word}", KINDS)
        for word, item in given.items()
    }
    return ByClass(section.text("name", plain.name), **chosen)


def _statsforecast(section: Section) -> Model:
    model = section.text("model")
    settings = section.raw("settings", default={})
    name = section.text("name", model.lower())
    return statsforecast_model(name, model, _plain(section, settings), path=section.path)


def _sklearn(section: Section) -> Model:
    model = section.text("model")
    settings = _plain(section, section.raw("settings", default={}))
    found = ForeignRows(
        name=section.text("name", model.rpartition(".")[2].lower()),
        model=model,
        settings=json.dumps(settings, sort_keys=True),
        max_rows=section.whole("max_rows", 200_000, low=1000),
        relative=section.flag("relative", True),
    )
    return sklearn_model(found, path=section.path)


def _plain(section: Section, settings: Any) -> dict[str, Any]:
    """A mapping of names to plain values, as JSON has them."""
    if not isinstance(settings, Mapping) or not all(isinstance(name, str) for name in settings):
        raise PlanError(f"{section.path}.settings", found=f"{settings!r}", wanted="a mapping of the model's parameters")
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError):
        raise PlanError(
            f"{section.path}.settings", found=f"{settings!r}", wanted="numbers, texts, flags and lists of them"
        ) from None
    return found


def _normalised(section: Section) -> Model:
    kind, of = section.choice("kind", get_args(Kind), default="log1p"), section.text("of", default="theta")
    if of not in KINDS or of == "normalised":
        raise PlanError(f"{section.path}.of", found=repr(of), wanted="a local model, such as theta or auto_ets")
    model = KINDS[of](Section({"name": section.text("name", default=f"{of}_{kind}")}, path=section.path))
    if model.reads_rows:
        raise PlanError(f"{section.path}.of", found=f"{of}, which scales its rows itself", wanted="a local model")
    return Normalised(model, kind)


KINDS: Mapping[str, Callable[[Section], Model]] = {
    "seasonal_naive": _seasonal_naive,
    "naive": _naive,
    "drift": _drift,
    "window_mean": _window_mean,
    "seasonal_window_mean": _seasonal_window_mean,
    "auto_ets": _auto_ets,
    "theta": _theta,
    "auto_ces": _auto_ces,
    "auto_arima": _auto_arima,
    "mstl": _mstl,
    "croston_sba": _croston_sba,
    "tsb": _tsb,
    "imapa": _imapa,
    "by_class": _by_class,
    "normalised": _normalised,
    "boost": _boost,
    "statsforecast": _statsforecast,
    "sklearn": _sklearn,
}
"""Every kind of model, by name."""

__all__ = ["KINDS", "parse_listed", "parse_models"]
