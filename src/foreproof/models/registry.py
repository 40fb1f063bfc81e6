"""Models by the names that plans use."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, get_args

from foreproof.core.model import Model
from foreproof.core.section import Section
from foreproof.errors import PlanError
from foreproof.models.boost import GlobalBoost, Loss
from foreproof.models.naive import Naive, SeasonalNaive
from foreproof.models.statistical import AutoETS, Theta


def parse_models(listed: Any, *, path: str = "models") -> tuple[Model, ...]:
    """The models of a plan, in its order.

    listed: a list whose items are a name, or a mapping of one name to its settings, such as
    `[seasonal_naive, auto_ets, {boost: {loss: l2, name: boost_mean}}]`. Each model takes `name`, under which it appears, so
    that one kind may stand there twice. Raises PlanError with the dotted path for an unknown name (with the nearest one)
    or setting, and for two models of one name.
    """
    if not isinstance(listed, list | tuple) or not listed:
        raise PlanError(path, found=f"{listed!r}", wanted="a list of models", fix=f"known: {', '.join(KINDS)}")
    models = tuple(_model(item, f"{path}[{i}]") for i, item in enumerate(listed))
    names = [model.name for model in models]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise PlanError(f"{path}[{i}]", found=f"a second model {name!r}", fix="give one of them another name")
    return models


def _model(item: Any, path: str) -> Model:
    if isinstance(item, Mapping) and len(item) == 1:
        kind, settings = next(iter(item.items()))
    else:
        kind, settings = item, None
    if not isinstance(kind, str) or not isinstance(settings, Mapping | None):
        raise PlanError(path, found=f"{item!r}", wanted="a name, or one name with its settings")
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        known = f"known: {', '.join(KINDS)}"
        raise PlanError(path, found=f"{kind!r}, no model", fix=f"did you mean {near[0]!r}? {known}" if near else known)
    section = Section(settings or {}, path=f"{path}.{kind}")
    model = KINDS[kind](section)
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
    return GlobalBoost(
        name=section.text("name", plain.name),
        loss=section.choice("loss", get_args(Loss), plain.loss),
        trees=section.whole("trees", plain.trees, low=1, high=100_000),
        rate=section.number("rate", plain.rate, low=1e-4, high=1.0),
        leaves=section.whole("leaves", plain.leaves, low=2, high=4096),
        least=section.whole("least", plain.least, low=1),
        blocks=section.whole("blocks", plain.blocks, low=1, high=1000),
        max_rows=section.whole("max_rows", plain.max_rows, low=1000),
        relative=section.flag("relative", plain.relative),
    )


KINDS: Mapping[str, Callable[[Section], Model]] = {
    "seasonal_naive": _seasonal_naive,
    "naive": _naive,
    "auto_ets": _auto_ets,
    "theta": _theta,
    "boost": _boost,
}
"""Every kind of model, by name."""

__all__ = ["KINDS", "parse_models"]
