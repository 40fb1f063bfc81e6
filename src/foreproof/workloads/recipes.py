"""From declared features to what a recursive model needs: how each column of the target follows from its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from foreproof.core.model import Model
from foreproof.errors import PlanError
from foreproof.features.ahead import Ahead
from foreproof.features.calendar import Calendar, Holiday
from foreproof.features.declare import Feature
from foreproof.features.lags import Age, Difference, Lag, SeasonalLag
from foreproof.features.statics import Static
from foreproof.features.windows import Ratio, Rolling, SeasonalRolling
from foreproof.models.boost import GlobalBoost
from foreproof.models.demand import ByClass
from foreproof.models.recursive import Recipe


def in_target_unit(feature: Feature) -> bool:
    """Whether a feature's column is in the target's unit, so that a global model divides it by the series' scale."""
    match feature:
        case Lag() | SeasonalLag() | Difference():
            return feature.of is None
        case Rolling() | SeasonalRolling():
            return feature.of is None and feature.stat != "nonzero"
        case _:
            return False


def with_recipes(models: Sequence[Model], features: Sequence[Feature]) -> tuple[Model, ...]:
    """The models, and each recursive one among them with the recipes of the features; PlanError names a feature that has none."""
    return tuple(_with(model, features) for model in models)


def _with(model: Model, features: Sequence[Feature]) -> Model:
    match model:
        case GlobalBoost() if model.strategy == "recursive":
            found = [_recipe(feature, model.name) for feature in features]
            return replace(model, recipes=tuple(recipe for recipe in found if recipe is not None))
        case ByClass():
            return replace(
                model,
                smooth=_with(model.smooth, features),
                erratic=_with(model.erratic, features),
                intermittent=_with(model.intermittent, features),
                lumpy=_with(model.lumpy, features),
            )
        case _:
            return model


def _recipe(feature: Feature, model: str) -> Recipe | None:
    """The recipe of a column that reads the target; None for one that speaks of the step itself."""
    column = f"y_{feature.name}" if in_target_unit(feature) else feature.name
    match feature:
        case Lag(of=None):
            return Recipe(column, "value", (_back(feature.lag, feature.anchor),))
        case SeasonalLag(of=None):
            return Recipe(column, "value", (_phase(feature.season) + (feature.k - 1) * feature.season,))
        case Difference(of=None):
            back = _back(feature.lag, feature.anchor)
            return Recipe(column, "difference", (back, back + feature.span))
        case Rolling(of=None):
            back = _back(feature.lag, feature.anchor)
            if feature.window is None:
                return Recipe(column, feature.stat, (back,), life=True)
            return Recipe(column, feature.stat, tuple(range(back, back + feature.window)))
        case SeasonalRolling(of=None):
            first = _phase(feature.season)
            return Recipe(column, feature.stat, tuple(first + feature.season * j for j in range(feature.count)))
        case Ratio(of=None):
            back = _back(feature.lag, feature.anchor)
            short, long = (tuple(range(back, back + window)) for window in (feature.window, feature.base))
            return Recipe(column, "ratio", short, long)
        case Age():
            return Recipe(column, "age")
        case Calendar() | Holiday() | Ahead() | Static():
            return None
        case _:
            raise PlanError(
                "features",
                found=f"{feature.name}, which reads facts of later steps that nobody predicts",
                wanted=f"for the recursive model {model}: lags and windows of the target, calendar, ahead and static columns",
                fix="leave the feature out, or take strategy: direct",
            )


def _back(lag: int, anchor: str) -> int:
    """Steps back from the cutoff at step 1."""
    return lag if anchor == "cutoff" else lag - 1


def _phase(season: int) -> int:
    """Steps back from the cutoff to the last value of the phase of step 1."""
    return -1 % season


__all__ = ["in_target_unit", "with_recipes"]
