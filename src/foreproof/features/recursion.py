"""From declared features to recipes: how each column of the target follows from its values, one step after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from foreproof.core.recipe import Recipe
from foreproof.errors import PlanError
from foreproof.features.ahead import Ahead
from foreproof.features.calendar import Calendar, Holiday
from foreproof.features.declare import Feature
from foreproof.features.lags import Age, Difference, Lag, SeasonalLag
from foreproof.features.statics import Static
from foreproof.features.windows import Ratio, Rolling, SeasonalRolling


def recipes_of(features: Sequence[Feature], column: Callable[[Feature], str]) -> tuple[Recipe, ...]:
    """The recipes of all columns that read the target; PlanError names a feature that has none.

    column: the name under which a model sees a feature. Calendar, ahead and static columns speak of the step itself and need
    no recipe.
    """
    found = [_recipe(feature, column(feature)) for feature in features]
    return tuple(recipe for recipe in found if recipe is not None)


def _recipe(feature: Feature, column: str) -> Recipe | None:
    """The recipe of a column that reads the target; None for one that speaks of the step itself."""
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
                wanted="for a recursive model: lags and windows of the target, calendar, ahead and static columns",
                fix="leave the feature out, or take strategy: direct",
            )


def _back(lag: int, anchor: str) -> int:
    """Steps back from the cutoff at step 1."""
    return lag if anchor == "cutoff" else lag - 1


def _phase(season: int) -> int:
    """Steps back from the cutoff to the last value of the phase of step 1."""
    return -1 % season


__all__ = ["recipes_of"]
