"""Drift: what was expected against what came (PSI), and the rows learned from against those judged (Kolmogorov-Smirnov)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.clock import tick_values
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.judged import ALPHA, careful, point, rung, smallest
from foreproof.gauntlet.leaks.planted import heaped, rescaled
from foreproof.gauntlet.probe import MOST, drawn, frame_of
from foreproof.gauntlet.scored import Floats, Ints, Score, weights

_NEARLY = 0.95
_BINS = 10


@dataclass(frozen=True, slots=True)
class ExpectedRealised:
    """PSI between expected and realised value over ten bins of equal expectation is not surely above `limit`.

    sum_b (e_b - r_b) ln(e_b / r_b), e and r the shares of what was predicted and of what came in bin b; .1 is called a small and
    .25 a large shift (Siddiqi 2006). Draws of whole entities, reflected about the estimate because PSI is never negative.
    """

    limit: float = 0.25
    replicates: int = 1999
    alpha: float = ALPHA
    name: str = "expected against realised"

    @property
    def control(self) -> Leak:
        """Expectation heaped on a few rows."""
        return heaped

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where value came from elsewhere than was expected."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        sums, entities = _by_entity(trial)
        rng = np.random.default_rng(trial.seed)
        draws = _psi(weights(rng, entities, self.replicates) @ sums.reshape(entities, -1))
        figure = float(_psi(sums.sum(axis=0).reshape(1, -1))[0])
        p = (1.0 + float((2.0 * figure - draws <= self.limit).sum())) / (1.0 + self.replicates)
        expected, realised = sums.sum(axis=0)
        words = f"PSI {figure:.3f}; {float(expected.sum()):.6g} expected, {float(realised.sum()):.6g} came"
        bins = [
            {"bin": k + 1, "expected": float(e), "realised": float(r)}
            for k, (e, r) in enumerate(zip(expected, realised, strict=True))
        ]
        told = (words, {"bins": bins, "entities": entities})
        return rung(self, p, figure=figure, limit=self.limit, told=told)


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """The Kolmogorov-Smirnov distance of a feature between earlier cutoffs and the last is not surely above `limit`.

    A limit on the size of the shift, not a test of "no shift": with many rows that rings always, and a tenure moves by .8
    within a year. The distance is taken where it is largest, with the band of both shares there. Features that are the same for
    every entity (calendars, a group's popularity) or only count time (an age) are named, not judged: they move as a whole.
    """

    limit: float = 0.95
    warn: float = 0.25
    alpha: float = ALPHA
    name: str = "feature drift"

    @property
    def control(self) -> Leak:
        """A column that changes its unit at the last cutoff."""
        return rescaled

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the feature that is another one in the hold-out."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        found, calendar = _distances(trial)
        first = max(found, key=lambda name: found[name].value)
        p = smallest(found[first].p_above(self.limit), len(found))
        words = f"largest KS distance {found[first].value:.3f}, of {first}, among {len(found)} features"
        ranked = sorted(found, key=lambda name: -found[name].value)
        loud = [name for name in ranked if found[name].value > self.warn]
        evidence = {"feature": first, "distances": [point(name, found[name]) for name in ranked], "calendar": calendar}
        return rung(
            self,
            p,
            figure=found[first].value,
            limit=self.limit,
            told=(words, evidence),
            warning=f"moved since the earlier cutoffs: {', '.join(loud)}" if loud else "",
        )


def _by_entity(trial: Trial) -> tuple[Floats, int]:
    """Entities x 2 x bins: expected and realised value of each entity, by bin of the prediction."""
    built = trial.run()
    index = [*trial.entity, CUTOFF, STEP]
    points = built.forecasts.predictions.filter(pl.col(LEVEL).is_null()).select(*index, VALUE)
    rows = built.labels.select(*index, pl.col("y").cast(pl.Float64)).join(points, on=index, how="inner").sort(index)
    said, came = (np.maximum(rows[name].to_numpy().astype(np.float64), 0.0) for name in (VALUE, "y"))
    entity, entities = codes(rows[trial.entity[0]])
    if entities < _BINS or not (said.sum() > 0.0 and came.sum() > 0.0):
        raise BadInput(
            "PSI", found=f"{entities} entities", wanted=f"{_BINS} with something expected and something come"
        )
    order = np.argsort(said, kind="stable")
    place = np.empty(said.size, dtype=np.int64)
    # Bins of equal expectation: the few large rows are as much of the sum as the many small ones.
    place[order] = np.minimum((np.cumsum(said[order]) / said.sum() * _BINS).astype(np.int64), _BINS - 1)
    cell = entity * _BINS + place
    sides = [np.bincount(cell, weights=side, minlength=entities * _BINS) for side in (said, came)]
    return np.stack([side.reshape(entities, _BINS) for side in sides], axis=1), entities


def _psi(sums: Floats) -> Floats:
    """PSI of each row of 2 x bins sums."""
    both = sums.reshape(-1, 2, _BINS) + 1e-12
    share = both / both.sum(axis=2, keepdims=True)
    share = np.maximum(share, 1e-4)
    return np.asarray(((share[:, 0] - share[:, 1]) * np.log(share[:, 0] / share[:, 1])).sum(axis=1))


def _ticks(frame: pl.DataFrame, name: str, entity: tuple[str, ...]) -> bool:
    """Whether a feature only counts time: from each cutoff to the next it grows by one and the same amount for nearly all."""
    own = [*entity, STEP]
    ordered = frame.sort(*own, CUTOFF).select(
        CUTOFF, pl.col(name).cast(pl.Float64).diff().over(own).round(9).alias("by")
    )
    for _, part in ordered.drop_nulls().group_by(CUTOFF, maintain_order=True):
        amounts, counts = np.unique(part["by"].to_numpy(), return_counts=True)
        if counts.max() < _NEARLY * part.height or amounts[counts.argmax()] <= 0.0:
            return False
    return bool(ordered["by"].count())


def _distances(trial: Trial) -> tuple[dict[str, Score], list[str]]:
    """By feature the distance with its band; and the features that are the same for every entity, or only count time."""
    frame = drawn(frame_of(trial), trial.entity[0], most=MOST, seed=trial.seed)
    entity, entities = codes(frame[trial.entity[0]])
    cutoff = tick_values(frame[CUTOFF])
    last = cutoff == cutoff.max(initial=0)
    if entities < _BINS or last.all():
        raise BadInput("KS", found=f"{entities} entities at one cutoff", wanted="ten, at two cutoffs")
    found: dict[str, Score] = {}
    calendar = []
    for name in frame.columns:
        if name in (*trial.entity, CUTOFF, STEP, "y") or not frame.schema[name].is_numeric():
            continue
        spread = frame.group_by(CUTOFF, STEP, *trial.entity[1:]).agg(pl.col(name).n_unique())[name]
        if int(spread.max()) <= 1 or _ticks(frame, name, trial.entity):  # type: ignore[arg-type]
            calendar.append(name)
            continue
        values = frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        found[name] = ks(values, last, entity, entities)
    if not found:
        raise BadInput("KS", found="no feature that differs between rows", wanted="one", fix="declare features")
    return found, calendar


def ks(values: Floats, last: npt.NDArray[np.bool_], entity: Ints, entities: int) -> Score:
    """|F_last(v) - F_before(v)| at the v where it is largest, NaN as a value of its own below all others."""
    place = np.where(np.isfinite(values), values, -np.inf)
    order = np.argsort(place, kind="stable")
    ends = np.append(np.flatnonzero(place[order][1:] != place[order][:-1]), place.size - 1)
    shares = [np.cumsum(side[order])[ends] / max(1, side.sum()) for side in (last, ~last)]
    at = int(np.argmax(np.abs(shares[0] - shares[1])))
    below = place <= place[order][ends[at]]
    distance = shares[0][at] - shares[1][at]
    sign = 1.0 if distance >= 0.0 else -1.0
    influence = np.zeros(entities)
    for side, share, weight in ((last, shares[0][at], sign), (~last, shares[1][at], -sign)):
        influence += weight * np.bincount(entity[side], weights=below[side] - share, minlength=entities) / side.sum()
    return Score(abs(float(distance)), influence)


def codes(column: pl.Series) -> tuple[Ints, int]:
    """N codes from 0 in the order of the values, and how many there are."""
    found = column.rank("dense").to_numpy().astype(np.int64) - 1
    return found, int(found.max(initial=-1)) + 1


__all__ = ["ExpectedRealised", "FeatureDrift", "codes", "ks"]
