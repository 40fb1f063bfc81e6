"""Forecast models, their combination, and calibrated intervals; heavy libraries are imported when a model is fitted."""

from __future__ import annotations

from foreproof.models.arima import AutoARIMA
from foreproof.models.boost import FittedBoost, GlobalBoost, Loss, Strategy, load_boost
from foreproof.models.budget import Budget, LeftOut, Load, Pool, candidates, choose, nominal_ms
from foreproof.models.cold import ColdPlan, ColdStart, Statics, cold_start, hierarchical_quantile
from foreproof.models.combine import (
    Shrinkage,
    Weights,
    combine,
    equal_weights,
    held_out,
    learn_weights,
    solve_simplex,
    weights_of,
)
from foreproof.models.conformal import (
    Intervals,
    apply_intervals,
    calibrate_total,
    fit_intervals,
    intervals_of,
    residuals,
    sum_residuals,
    total,
)
from foreproof.models.demand import ByClass, FittedByClass, demand_classes
from foreproof.models.depend import Dependence, dependence
from foreproof.models.foreign import FittedRows, FittedSeries, ForeignRows, ForeignSeries
from foreproof.models.intermittent import IMAPA, TSB, CrostonSBA
from foreproof.models.load import load_fitted
from foreproof.models.local import FittedLocal, load_local
from foreproof.models.marginal import KNOTS, levelled, marginal_values, quantile_function, quantile_mean
from foreproof.models.mstl import MSTL
from foreproof.models.naive import FittedNaive, Naive, SeasonalNaive
from foreproof.models.normalise import FittedNormalised, Kind, Normalised, Scaling, learn_scaling, normalised
from foreproof.models.offsets import Calibration, Errors, conformal_quantile, moved_levels
from foreproof.models.plain import Drift, FittedRule, SeasonalWindowMean, WindowMean
from foreproof.models.registry import KINDS, parse_models
from foreproof.models.sample import Sampler
from foreproof.models.scale import series_scale
from foreproof.models.scaling import Columns, learn_columns, scaled
from foreproof.models.season import Seasonal, learn_seasonal
from foreproof.models.statistical import AutoCES, AutoETS, Theta

__all__ = [
    "IMAPA",
    "KINDS",
    "KNOTS",
    "MSTL",
    "TSB",
    "AutoARIMA",
    "AutoCES",
    "AutoETS",
    "Budget",
    "ByClass",
    "Calibration",
    "ColdPlan",
    "ColdStart",
    "Columns",
    "CrostonSBA",
    "Dependence",
    "Drift",
    "Errors",
    "FittedBoost",
    "FittedByClass",
    "FittedLocal",
    "FittedNaive",
    "FittedNormalised",
    "FittedRows",
    "FittedRule",
    "FittedSeries",
    "ForeignRows",
    "ForeignSeries",
    "GlobalBoost",
    "Intervals",
    "Kind",
    "LeftOut",
    "Load",
    "Loss",
    "Naive",
    "Normalised",
    "Pool",
    "Sampler",
    "Scaling",
    "Seasonal",
    "SeasonalNaive",
    "SeasonalWindowMean",
    "Shrinkage",
    "Statics",
    "Strategy",
    "Theta",
    "Weights",
    "WindowMean",
    "apply_intervals",
    "calibrate_total",
    "candidates",
    "choose",
    "cold_start",
    "combine",
    "conformal_quantile",
    "demand_classes",
    "dependence",
    "equal_weights",
    "fit_intervals",
    "held_out",
    "hierarchical_quantile",
    "intervals_of",
    "learn_columns",
    "learn_scaling",
    "learn_seasonal",
    "learn_weights",
    "levelled",
    "load_boost",
    "load_fitted",
    "load_local",
    "marginal_values",
    "moved_levels",
    "nominal_ms",
    "normalised",
    "parse_models",
    "quantile_function",
    "quantile_mean",
    "residuals",
    "scaled",
    "series_scale",
    "solve_simplex",
    "sum_residuals",
    "total",
    "weights_of",
]
