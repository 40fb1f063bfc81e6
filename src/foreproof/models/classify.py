"""Classifiers by the names that plans use: models of rows whose label is 0 or 1, behind `core.model.Model`.

They stand apart from the forecast's models (`registry`): their rows have one step, their prediction is a probability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

from foreproof.core.model import Fitted, Model
from foreproof.core.plugins import Plugin
from foreproof.core.section import Section
from foreproof.errors import BadInput, PlanError
from foreproof.models.blend import Scale, blend_weights_of
from foreproof.models.boost_binary import (
    BoostClassifier,
    CatClassifier,
    load_boost_classifier,
    load_cat_classifier,
)
from foreproof.models.logistic import Logistic, load_logistic
from foreproof.models.plugged import Plugged, plugged
from foreproof.models.registry import parse_listed
from foreproof.models.stack import Blend, FittedBlend, weights_in


def parse_classifiers(
    section: Section,
    *,
    setting: str = "models",
    default: Any = ("logistic", "boost"),
    own: Mapping[str, Plugin] = MappingProxyType({}),
) -> tuple[Model, ...]:
    """The classifiers that a section lists under `setting`, in its order.

    A list whose items are a name, or a mapping of one name to its settings, as for `registry.parse_models`:
    `[logistic, {boost: {trees: 500, monotone: {recency: -1}}}, {blend: {members: [logistic, boost]}}]`.
    own: classifiers of plugins. Raises PlanError.
    """
    path = f"{section.path}.{setting}" if section.path else setting
    return parse_listed(section.raw(setting, default=default), {**CLASSIFIERS, **plugged(own)}, path=path)


def load_classifier(model: Model, files: Mapping[str, bytes]) -> Fitted:
    """The inverse of `Fitted.dump` for a classifier of the plan; predicts the same bytes. Raises BadInput."""
    match model:
        case Logistic():
            return load_logistic(model, files)
        case BoostClassifier():
            return load_boost_classifier(model, files)
        case CatClassifier():
            return load_cat_classifier(model, files)
        case Blend():
            inner = {name.removeprefix(f"{model.name}."): content for name, content in files.items()}
            members = tuple(load_classifier(member, inner) for member in model.members)
            return FittedBlend(model, members, blend_weights_of(weights_in(files, model.name)))
        case Plugged():
            return model.load(files)
        case _:
            raise BadInput(f"model {model.name}", found="no classifier", wanted=f"one of {', '.join(CLASSIFIERS)}")


def _logistic(section: Section) -> Model:
    plain = Logistic()
    return Logistic(
        name=section.text("name", plain.name),
        strength=section.number("strength", plain.strength, low=1e-6, high=1e6),
        rare=section.whole("rare", plain.rare, low=1),
        max_rows=section.whole("max_rows", plain.max_rows, low=1000),
        columns=section.texts("columns", default=()),
    )


def _boost(section: Section) -> Model:
    plain = BoostClassifier()
    directions = section.section("monotone", default={})
    monotone = tuple(sorted((name, directions.whole(name, low=-1, high=1)) for name in directions))
    zero = [name for name, direction in monotone if direction == 0]
    if zero:
        raise PlanError(f"{directions.path}.{zero[0]}", found="0", wanted="1 or -1", fix="leave the feature out")
    return BoostClassifier(
        name=section.text("name", plain.name),
        trees=section.whole("trees", plain.trees, low=1, high=100_000),
        rate=section.number("rate", plain.rate, low=1e-4, high=1.0),
        leaves=section.whole("leaves", plain.leaves, low=2, high=4096),
        least=section.whole("least", plain.least, low=1),
        ridge=section.number("ridge", plain.ridge, low=0.0),
        monotone=monotone,
        max_rows=section.whole("max_rows", plain.max_rows, low=1000),
    )


def _catboost(section: Section) -> Model:
    plain = CatClassifier()
    return CatClassifier(
        name=section.text("name", plain.name),
        trees=section.whole("trees", plain.trees, low=1, high=100_000),
        rate=section.number("rate", plain.rate, low=1e-4, high=1.0),
        depth=section.whole("depth", plain.depth, low=1, high=16),
        ridge=section.number("ridge", plain.ridge, low=0.0),
        max_rows=section.whole("max_rows", plain.max_rows, low=1000),
    )


def _blend(section: Section) -> Model:
    listed = section.raw("members", default=["logistic", "boost"])
    members = parse_listed(listed, CLASSIFIERS, path=f"{section.path}.members")
    plain = Blend(members)
    return Blend(
        members,
        name=section.text("name", plain.name),
        scale=section.choice("scale", get_args(Scale), default=plain.scale),
        segment=section.text("segment", default=plain.segment),
        judged=section.whole("judged", plain.judged, low=0, high=100),
        half=section.number("half", plain.half, low=0.0),
    )


CLASSIFIERS: Mapping[str, Callable[[Section], Model]] = {
    "logistic": _logistic,
    "boost": _boost,
    "catboost": _catboost,
    "blend": _blend,
}
"""Every kind of classifier, by name."""

__all__ = ["CLASSIFIERS", "load_classifier", "parse_classifiers"]
