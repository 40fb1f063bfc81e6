"""A score with what each entity adds to it, so that bands and p-values treat the rows of one entity as one.

value* = value + sum_e (w_e - 1) influence_e is the score when entity e is drawn w_e times, to first order; its variance over
draws of E whole entities is E / (E - 1) sum_e influence_e^2. For AUC these are the placement values of Obuchowski (1997),
Biometrics 53; for a correlation the usual influence function. One pass instead of a thousand draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foreproof.core.compare import Interval
from foreproof.core.distribution import student_cdf, student_quantile
from foreproof.core.trial import Kind
from foreproof.errors import BadInput

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """value, and influence: E numbers of the same unit that sum to 0, one an entity."""

    value: float
    influence: Floats

    def __sub__(self, other: Score) -> Score:
        """The paired difference on the same entities."""
        return Score(self.value - other.value, self.influence - other.influence)

    def times(self, factor: float) -> Score:
        """The score in another unit."""
        return Score(self.value * factor, self.influence * factor)

    def fisher(self) -> Score:
        """Atanh of a correlation, whose spread hardly depends on its size. Fisher (1921)."""
        held = min(max(self.value, -0.9999), 0.9999)
        return Score(math.atanh(held), self.influence / (1.0 - held * held))

    def log_odds(self) -> Score:
        """The log odds of an AUC."""
        held = min(max(self.value, 1e-4), 1.0 - 1e-4)
        return Score(math.log(held / (1.0 - held)), self.influence / (held * (1.0 - held)))

    def stretched(self, kind: Kind) -> Score:
        """On a scale without an end, so that .98 is further from .9 than .6 from .52: log odds of AUC, atanh of a correlation."""
        return self.log_odds() if kind == "chance" else self.fisher()

    @property
    def error(self) -> float:
        """The standard error over draws of whole entities."""
        count = self.influence.size
        return math.sqrt(count / (count - 1) * float(self.influence @ self.influence))

    def band(self, confidence: float = 0.95) -> Interval:
        """Student's interval with E - 1 degrees of freedom."""
        reach = student_quantile(0.5 + confidence / 2.0, self.influence.size - 1) * self.error
        return Interval(self.value, self.value - reach, self.value + reach, confidence)

    def p_above(self, limit: float, *, entities: int | None = None) -> float:
        """One-sided p of "the score is at most `limit`": small where it is surely above.

        entities: how many of them the score rests on, where these are few of all.
        """
        if self.error == 0.0:
            return 0.0 if self.value > limit else 1.0
        whole = self.influence.size
        count = entities or whole
        error = self.error * math.sqrt(count / (count - 1) * (whole - 1) / whole)
        return student_cdf(-(self.value - limit) / error, count - 1)

    def draws(self, rng: np.random.Generator, replicates: int) -> Floats:
        """Scores of `replicates` draws of whole entities, to first order."""
        count = self.influence.size
        return self.value + weights(rng, count, replicates) @ self.influence


def weights(rng: np.random.Generator, count: int, replicates: int) -> Floats:
    """Replicates x count: how often each entity is drawn, when as many are drawn as there are."""
    return rng.multinomial(count, np.full(count, 1.0 / count), size=replicates).astype(np.float64)


def scored(kind: Kind, y: Floats, said: Floats, *, entity: Ints, stratum: Ints, entities: int) -> Score:
    """AUC within strata for a chance, the correlation of what is left after the strata's means for a quantity.

    y, said: n. entity: n codes below `entities`. stratum: n codes (cutoff, or cutoff and step), so that no score is earned
    by knowing that one time is busier than another. Raises BadInput where nothing can be scored.
    """
    if kind == "chance":
        return _auc(y, said, entity, stratum, entities)
    return _correlation(_centred(y, stratum), _centred(said, stratum), entity, entities)


def _auc(y: Floats, said: Floats, entity: Ints, stratum: Ints, entities: int) -> Score:
    order = np.lexsort((said, stratum))
    starts = np.flatnonzero(np.append(True, np.diff(stratum[order]) != 0))
    parts: list[tuple[int, float, npt.NDArray[np.intp], Floats]] = []
    for rows in np.split(order, starts[1:]):
        hit = y[rows] > 0.5
        hits = int(hit.sum())
        if 0 < hits < rows.size:
            area, per_row = placements(hit, said[rows])
            parts.append((hits, area, rows, per_row))
    if not parts:
        raise BadInput("probe", found="no cutoff with both outcomes", wanted="some of each", fix="judge more cutoffs")
    total = float(sum(hits for hits, *_ in parts))
    influence = np.zeros(entities)
    for hits, _, rows, per_row in parts:
        influence += hits / total * np.bincount(entity[rows], weights=per_row, minlength=entities)
    return Score(sum(hits * area for hits, area, *_ in parts) / total, influence)


def placements(hit: npt.NDArray[np.bool_], said: Floats) -> tuple[float, Floats]:
    """AUC of n rows that are sorted by `said`, and each row's influence on it: its placement less the AUC, by its class."""
    level = np.cumsum(np.append(0, np.diff(said) != 0))
    of_hits = np.bincount(level, weights=hit)
    of_rest = np.bincount(level, weights=~hit)
    hits, rest = float(of_hits.sum()), float(of_rest.sum())
    below = (np.cumsum(of_rest) - of_rest / 2.0) / rest
    above = 1.0 - (np.cumsum(of_hits) - of_hits / 2.0) / hits
    area = float(below @ of_hits) / hits
    return area, np.where(hit, (below[level] - area) / hits, (above[level] - area) / rest)


def _correlation(y: Floats, said: Floats, entity: Ints, entities: int) -> Score:
    spread = math.sqrt(float(y @ y)), math.sqrt(float(said @ said))
    if not spread[0] > 0.0:
        raise BadInput("probe", found="labels that are all alike", wanted="labels that differ")
    if spread[1] <= 1e-9 * y.size:
        return Score(0.0, np.zeros(entities))
    u, v = y / spread[0], said / spread[1]
    r = float(u @ v)
    per_row = u * v - r * (u * u + v * v) / 2.0
    return Score(r, np.bincount(entity, weights=per_row, minlength=entities).astype(np.float64))


def _centred(values: Floats, stratum: Ints) -> Floats:
    size = np.maximum(np.bincount(stratum), 1)
    return values - (np.bincount(stratum, weights=values) / size)[stratum]


__all__ = ["Floats", "Ints", "Score", "placements", "scored", "weights"]
