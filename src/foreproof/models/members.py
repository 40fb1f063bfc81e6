"""The members of a forecast: those that the plan lists, and of those the ones that its CPU budget allows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from foreproof.core.model import Model
from foreproof.core.plugins import Plugin
from foreproof.core.recipe import Recipe
from foreproof.core.section import Section
from foreproof.errors import PlanError
from foreproof.models.boost import GlobalBoost
from foreproof.models.budget import Budget, LeftOut, Load, candidates, choose
from foreproof.models.demand import ByClass
from foreproof.models.registry import parse_models

BASELINE = "seasonal_naive"
_BUDGET = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(ms|s) per series")


def parse_members(
    root: Section, load: Load, *, default: Sequence[str], own: Mapping[str, Plugin] = MappingProxyType({})
) -> tuple[tuple[Model, ...], tuple[LeftOut, ...]]:
    """The members and what a budget left out, from the settings `models` and `budget`.

    default: the models of a plan that is silent; under a budget, `candidates` stand in for them. own: models of plugins.
    """
    listed = root.raw("models", default=None)
    budget = _budget(root)
    if listed is None and budget is not None:
        models = candidates(load.season)
    else:
        models = parse_models(list(default) if listed is None else listed, own=own)
    if BASELINE not in [model.name for model in models]:
        raise PlanError("models", found=f"no {BASELINE}", wanted="the baseline among the models", fix=f"add {BASELINE}")
    if budget is None:
        return models, ()
    pool = choose(models, budget, load, baseline=BASELINE)
    return pool.models, pool.left_out


def with_recipes(models: Sequence[Model], recipes: Callable[[], tuple[Recipe, ...]]) -> tuple[Model, ...]:
    """The models, and each recursive one among them with its recipes; these are made only if one asks for them."""
    return tuple(_with(model, recipes) for model in models)


def _with(model: Model, recipes: Callable[[], tuple[Recipe, ...]]) -> Model:
    match model:
        case GlobalBoost() if model.strategy == "recursive":
            return replace(model, recipes=recipes())
        case ByClass():
            return replace(
                model,
                smooth=_with(model.smooth, recipes),
                erratic=_with(model.erratic, recipes),
                intermittent=_with(model.intermittent, recipes),
                lumpy=_with(model.lumpy, recipes),
            )
        case _:
            return model


def _budget(root: Section) -> Budget | None:
    """`20 ms per series`, or a mapping with the CPU milliseconds a series and the length of a typical one."""
    if "budget" not in root:
        root.raw("budget", default=None)
        return None
    given = root.section_or_text("budget")
    if isinstance(given, str):
        match = _BUDGET.fullmatch(given.strip())
        if match is None or float(match[1]) <= 0.0:
            raise PlanError(
                "budget", found=repr(given), wanted="CPU time above 0, such as `20 ms per series` or `0.5 s per series`"
            )
        return Budget(float(match[1]) * (1000.0 if match[2] == "s" else 1.0))
    ms = given.number("ms")
    if not (math.isfinite(ms) and ms > 0.0):
        raise PlanError("budget.ms", found=str(ms), wanted="CPU milliseconds a series, above 0")
    budget = Budget(ms, given.whole("length", default=0, low=0))
    given.done()
    return budget


__all__ = ["BASELINE", "parse_members", "with_recipes"]
