"""Features and steps in words that whoever makes the calls understands."""

from __future__ import annotations

import math

from foreproof.core.grid import Grid
from foreproof.features.declare import Feature
from foreproof.features.encoders import Rate
from foreproof.features.events import Over, Share, Trend
from foreproof.features.ledger import Events
from foreproof.features.rhythm import Decay, Recency, Rhythm, Tenure
from foreproof.features.viewed import CoPurchase

_UNITS = {"d": "days", "w": "weeks", "mo": "months", "q": "quarters", "y": "years"}


def unit_of(grid: Grid) -> str:
    """`days` where a step is one, such as in `28 days`; `steps` where it has no name."""
    return _UNITS.get(grid.unit, "steps") if grid.kind == "calendar" and grid.every == 1 else "steps"


def words_of(feature: Feature, grid: Grid) -> str:
    """What a feature measures, in words; its name where there are none for it."""
    unit = unit_of(grid)
    match feature:
        case Over(stat="active" | "count", window=window):
            counted = f"{unit} with" if feature.stat == "active" else "rows of"
            return f"{counted} {feature.of.table}{_over(window, unit)}{_whose(feature.of)}"
        case Over(stat="distinct", window=window):
            return f"different {feature.column}{_over(window, unit)}{_whose(feature.of)}"
        case Over(window=window):
            return f"{feature.stat} of {feature.column}{_over(window, unit)}{_whose(feature.of)}"
        case Share():
            return f"share of {feature.column or feature.of.table} in {feature.window} {unit}"
        case Trend():
            return f"trend of {feature.column or feature.of.table} over {feature.window} {unit}{_whose(feature.of)}"
        case Recency():
            return f"{unit} since the last of {feature.of.table}{_whose(feature.of)}"
        case Tenure():
            return f"{unit} since the first of {feature.of.table}{_whose(feature.of)}"
        case Rhythm(part=part):
            said = {"interval": f"usual {unit} between", "due": f"{unit} until the next is due in"}
            return f"{said.get(part, 'how often there are')} {feature.of.table}{_whose(feature.of)}"
        case Decay():
            return f"recent {feature.column or feature.of.table} (half-life {feature.half_life:g} {unit}){_whose(feature.of)}"
        case Rate():
            return f"share of all {feature.unit}s that met the {feature.item} in {feature.window} {unit}"
        case CoPurchase():
            return f"goes with the other {feature.item}s of the {feature.unit} (lift)"
        case _:
            return feature.name.replace("_", " ")


def plain_value(feature: Feature, value: float) -> float:
    """The value that the words are about: `recency_log` is told in steps."""
    match feature:
        case Recency(form="log"):
            return math.expm1(value)
        case Recency(form="inverse"):
            return 1.0 / value - 1.0 if value > 0.0 else math.nan
        case _:
            return value


def _over(window: int | None, unit: str) -> str:
    return "" if window is None else f" in {window} {unit}"


def _whose(of: Events) -> str:
    if of.along is None:
        return " of this pair"
    return f" of the {' and '.join(of.along)}" if of.along else " of all"


__all__ = ["plain_value", "unit_of", "words_of"]
