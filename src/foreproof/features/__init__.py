"""Declared features and the one pass that compiles them; series, their targets and their labels."""

from __future__ import annotations

from foreproof.features.ahead import Ahead
from foreproof.features.calendar import Calendar, CutoffCalendar, Holiday
from foreproof.features.cells import Gap, Reading
from foreproof.features.compile import compile_pairs, compile_rows, pair_chunks
from foreproof.features.declare import Feature, Meta, check_law
from foreproof.features.encoders import Rate
from foreproof.features.events import Against, Over, Share, Trend
from foreproof.features.lags import Age, Difference, Lag, SeasonalLag
from foreproof.features.learned import Affinity
from foreproof.features.ledger import Events
from foreproof.features.parse import default_features, parse_features
from foreproof.features.population import Population, population_of
from foreproof.features.rhythm import Decay, Recency, Rhythm, Tenure
from foreproof.features.series import Aggregate, Series, VersionedSeries, labels, target, versioned_series
from foreproof.features.statics import Static
from foreproof.features.viewed import Coming, CoPurchase, Custom
from foreproof.features.windows import Ratio, Rolling, SeasonalRolling

__all__ = [
    "Affinity",
    "Against",
    "Age",
    "Aggregate",
    "Ahead",
    "Calendar",
    "CoPurchase",
    "Coming",
    "Custom",
    "CutoffCalendar",
    "Decay",
    "Difference",
    "Events",
    "Feature",
    "Gap",
    "Holiday",
    "Lag",
    "Meta",
    "Over",
    "Population",
    "Rate",
    "Ratio",
    "Reading",
    "Recency",
    "Rhythm",
    "Rolling",
    "SeasonalLag",
    "SeasonalRolling",
    "Series",
    "Share",
    "Static",
    "Tenure",
    "Trend",
    "VersionedSeries",
    "check_law",
    "compile_pairs",
    "compile_rows",
    "default_features",
    "labels",
    "pair_chunks",
    "parse_features",
    "population_of",
    "target",
    "versioned_series",
]
