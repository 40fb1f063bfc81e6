"""Declared features and the one pass that compiles them; series, their targets and their labels."""

from __future__ import annotations

from foreproof.features.ahead import Ahead
from foreproof.features.calendar import Calendar, Holiday
from foreproof.features.cells import Gap, Reading
from foreproof.features.compile import compile_rows
from foreproof.features.declare import Feature, Meta, check_law
from foreproof.features.lags import Age, Difference, Lag, SeasonalLag
from foreproof.features.parse import default_features, parse_features
from foreproof.features.series import Aggregate, Series, VersionedSeries, labels, target, versioned_series
from foreproof.features.statics import Static
from foreproof.features.windows import Ratio, Rolling, SeasonalRolling

__all__ = [
    "Age",
    "Aggregate",
    "Ahead",
    "Calendar",
    "Difference",
    "Feature",
    "Gap",
    "Holiday",
    "Lag",
    "Meta",
    "Ratio",
    "Reading",
    "Rolling",
    "SeasonalLag",
    "SeasonalRolling",
    "Series",
    "Static",
    "VersionedSeries",
    "check_law",
    "compile_rows",
    "default_features",
    "labels",
    "parse_features",
    "target",
    "versioned_series",
]
