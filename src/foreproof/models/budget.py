"""Which members a CPU budget allows: by a table of nominal costs and not by a clock, so that a run repeats.

How the table was measured: on 21 November 2026, one core of a shared x86-64 machine (2 cores), one thread, statsforecast
2.1.1 and LightGBM 4.7.0: CPU time of one fit and one predict a series, mean of 6 to 30 series of the training parts of M4
Yearly, Weekly and Hourly and M3 Quarterly and Monthly, cut to their last n values; for boost, 28,800 rows of 25 features.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foreproof.core.model import Model
from foreproof.models.arima import AutoARIMA
from foreproof.models.boost import GlobalBoost
from foreproof.models.demand import ByClass
from foreproof.models.intermittent import IMAPA, TSB, CrostonSBA
from foreproof.models.mstl import MSTL
from foreproof.models.naive import Naive, SeasonalNaive
from foreproof.models.normalise import Normalised
from foreproof.models.plain import Drift, SeasonalWindowMean, WindowMean
from foreproof.models.statistical import AutoCES, AutoETS, Theta

_VALUE: tuple[type, ...] = (
    SeasonalNaive,
    Theta,
    AutoETS,
    GlobalBoost,
    AutoCES,
    ByClass,
    MSTL,
    TSB,
    IMAPA,
    CrostonSBA,
    SeasonalWindowMean,
    WindowMean,
    Drift,
    Naive,
    AutoARIMA,
)
"""What a member adds to a combination for its cost, best first: the order in which the budget is spent."""

_Curve = tuple[tuple[int, float], ...]
_FLAT: Mapping[type, float] = {IMAPA: 1.3, CrostonSBA: 0.3, TSB: 0.25, SeasonalWindowMean: 0.25, WindowMean: 0.2}
_QUICK = 0.2
"""CPU ms of a rule: mostly the reading of the series."""
_CURVES: Mapping[type, Mapping[int, _Curve]] = {
    Theta: {1: ((20, 1.6), (60, 4.3), (200, 11.3))},
    AutoCES: {
        1: ((20, 0.8), (60, 0.9), (200, 1.3)),
        4: ((24, 3.9), (60, 5.1), (200, 12.4)),
        12: ((50, 7.0), (120, 9.7), (240, 14.2)),
    },
    AutoETS: {
        1: ((20, 3.8), (60, 10.6), (200, 22.3)),
        4: ((24, 32.6), (60, 56.8), (200, 171.0)),
        12: ((50, 64.3), (120, 144.7), (200, 172.7)),
    },
    AutoARIMA: {
        1: ((20, 203.0), (60, 292.0), (200, 449.0)),
        4: ((24, 464.0), (60, 524.0), (200, 1132.0)),
        12: ((50, 560.0), (120, 1312.0), (200, 1312.0)),
    },
    MSTL: {
        1: ((20, 3.7), (60, 9.9), (200, 15.8)),
        4: ((24, 7.5), (60, 12.4), (200, 23.2)),
        12: ((50, 9.5), (120, 15.4), (200, 22.5)),
        24: ((72, 17.0), (240, 34.9)),
    },
}
"""CPU ms a series by season (the largest that is not above the model's own) and by observations used."""
_BOOST = 0.0002 / 31
"""CPU ms a training row, tree and leaf."""


@dataclass(frozen=True, slots=True)
class Budget:
    """CPU ms a series that a run may spend on fits. length: steps of a typical series; 0: as many as each model uses."""

    ms: float
    length: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a member in one run: season and horizon in steps, training cutoffs of a fit, and how many fits."""

    season: int
    horizon: int
    examples: int
    fits: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A member that the budget does not allow; ms: its nominal cost a series over all fits, None where it has none."""

    name: str
    ms: float | None
    words: str


@dataclass(frozen=True, slots=True)
class Pool:
    """The members that a run fits, in the plan's order; what was left out, and why; ms: the nominal cost of those kept."""

    models: tuple[Model, ...]
    left_out: tuple[LeftOut, ...]
    ms: float


def candidates(season: int) -> tuple[Model, ...]:
    """What a budget chooses from where the plan lists no models."""
    several: tuple[Model, ...] = (MSTL(),) if season > 1 else ()
    return (SeasonalNaive(), AutoETS(), Theta(), GlobalBoost(), AutoCES(), *several, AutoARIMA())


def choose(models: Sequence[Model], budget: Budget, load: Load, *, baseline: str) -> Pool:
    """The baseline always, then members in the order of value, each if it still fits into the budget.

    A dearer one that does not fit does not stop a cheaper one behind it. Of one kind the plan's order counts.
    """
    kept, left, spent = {baseline}, [], 0.0
    for model in sorted(models, key=lambda model: (model.name != baseline, _rank(model))):
        each = nominal_ms(model, load, length=budget.length)
        if each is None:
            words = "its cost is not in the table, so no budget can hold it; list it in a plan without a budget"
            left.append(LeftOut(model.name, None, words))
            continue
        cost = each * load.fits
        if model.name != baseline and spent + cost > budget.ms:
            room = max(budget.ms - spent, 0.0)
            words = f"{load.fits} fits of {each:.3g} ms cost {cost:.3g} ms a series, and {room:.3g} of {budget.ms:g} ms were left"
            left.append(LeftOut(model.name, cost, words))
            continue
        kept.add(model.name)
        spent += cost
    return Pool(tuple(model for model in models if model.name in kept), tuple(left), spent)


def nominal_ms(model: Model, load: Load, *, length: int = 0) -> float | None:
    """CPU ms a series of one fit and one predict, by the table; None for a model of another library.

    length: observations a series; 0: as many as the model uses at most. Between two lengths of the table the cost is a
    straight line, beyond the last it grows in proportion.
    """
    match model:
        case ByClass():
            # Which class a series has is not known before: the dearest is promised.
            parts = [nominal_ms(inner, load, length=length) for inner in model.members.values()]
            known = [part for part in parts if part is not None]
            return max(known) + _QUICK if len(known) == len(parts) else None
        case Normalised():
            inside = nominal_ms(model.model, load, length=length)
            return None if inside is None else inside + _QUICK
        case GlobalBoost():
            steps = 1 if model.strategy == "recursive" else load.horizon
            return _QUICK + _BOOST * model.trees * model.leaves * load.examples * steps
        case AutoETS() | AutoCES() | AutoARIMA() | Theta():
            season = load.season if load.season <= model.longest_season else 1
            return _on_curve(type(model), season, _used(length, model.history, 10 * load.season))
        case MSTL():
            seasons = model.seasons or (load.season,)
            longest = max(seasons)
            used = _used(length, model.history, max(10 * load.season, 4 * longest))
            # Two rounds over several seasons, one over a single one.
            return _on_curve(MSTL, longest, used) * (1 if len(seasons) == 1 else 2 * len(seasons))
        case _ if type(model) in _VALUE:
            return _FLAT.get(type(model), _QUICK)
        case _:
            return None


def _rank(model: Model) -> int:
    return _VALUE.index(type(model)) if type(model) in _VALUE else len(_VALUE)


def _used(length: int, history: int, usual: int) -> int:
    """Observations that a local model uses of a series of some length."""
    most = history or max(usual, 200)
    return min(length, most) if length else most


def _on_curve(kind: type, season: int, used: int) -> float:
    curves = _CURVES[kind]
    curve = curves[max(known for known in curves if known <= season)]
    (first, least), (last, most) = curve[0], curve[-1]
    if used <= first:
        return least
    if used >= last:
        return most * used / last
    for (n, low), (m, high) in itertools.pairwise(curve):
        if used <= m:
            return low + (high - low) * (used - n) / (m - n)
    return most


__all__ = ["Budget", "LeftOut", "Load", "Pool", "candidates", "choose", "nominal_ms"]
