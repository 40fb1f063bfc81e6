"""Several classifiers as one, with weights learned by stacking forward in time.

Weights never see the predictions of a member on rows that it learned from: they are learned on settled cutoffs, each
predicted by members that were fitted on what had settled before it. Wolpert, Stacked generalization (1992); on the simplex:
Breiman, Stacked regressions (1996).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from foreproof.core.logistic import logit, sigmoid
from foreproof.core.predict import CUTOFF
from foreproof.errors import BadInput
from foreproof.models.calibrate import clipped
from foreproof.models.combine import onto_simplex
from foreproof.models.panel import Floats, Ints

Scale = Literal["logit", "percentile"]
Y = "y"
_ROUNDS = 1000
_HALF = 50.0


@dataclass(frozen=True, slots=True)
class BlendWeights:
    """Weights of at least 0 that add up to 1, in the order of `members`.

    own: by value of the column `segment`, its weights; a value that is not among them takes `weights`. fine: by segment and value
    of the column `group`, likewise; one that is not among them takes those of its segment. positives: how many the weights were
    learned from.
    """

    members: tuple[str, ...]
    scale: Scale
    weights: tuple[float, ...]
    segment: str = ""
    own: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    positives: int = 0
    group: str = ""
    fine: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        found: dict[str, Any] = {
            "members": list(self.members),
            "scale": self.scale,
            "weights": list(self.weights),
            "segment": self.segment,
            "own": {value: list(self.own[value]) for value in sorted(self.own)},
            "positives": self.positives,
        }
        if self.group:
            fine = {value: {name: list(by[name]) for name in sorted(by)} for value, by in sorted(self.fine.items())}
            found |= {"group": self.group, "fine": fine}
        return found


def blend_weights_of(values: Mapping[str, Any]) -> BlendWeights:
    """The inverse of `BlendWeights.as_dict`."""
    return BlendWeights(
        tuple(values["members"]),
        values["scale"],
        tuple(values["weights"]),
        values["segment"],
        {value: tuple(weights) for value, weights in values["own"].items()},
        int(values["positives"]),
        values.get("group", ""),
        {value: {name: tuple(w) for name, w in by.items()} for value, by in values.get("fine", {}).items()},
    )


def learn_blend(
    settled: pl.DataFrame,
    members: Sequence[str],
    *,
    scale: Scale = "logit",
    segment: str = "",
    group: str = "",
    half: float = _HALF,
) -> BlendWeights:
    """Weights from what members predicted at settled cutoffs, each before it had seen that cutoff's labels.

    settled: `cutoff`, `y` (0 or 1), a column of probabilities for each member, `segment` and `group` if named; one row a
    prediction. With z_m the logit of member m's probability the weights minimise the mean log loss of sigmoid(sum w_m z_m)
    over w >= 0, sum w = 1. On the scale `percentile` z_m is the logit of (rank - 1/2) / n among the cutoff's rows, the loss
    is that of sigmoid(a + sum b_m z_m) over a and b >= 0, and w = b / sum b: only the order of each member counts.

    Few positives say little: with n of them the weights go n / (n + half) of the way from equal ones to these, and those of
    a segment n / (n + half) of the way from there to its own, n its positives; with `group` (which needs `segment`) those of each
    group of a segment likewise from the segment's. Without positives: equal. Raises BadInput.
    """
    if group and not segment:
        raise BadInput(
            "blend", found=f"groups ({group}) without segments", wanted="the segments that they are drawn to"
        )
    outcome = _checked(settled, members, [name for name in (segment, group) if name])
    logits = _logits(settled, members, scale)
    positives = int(outcome.sum())
    equal = np.full(len(members), 1.0 / len(members))
    pooled = _towards(equal, logits, outcome, scale, half)
    own: dict[str, tuple[float, ...]] = {}
    fine: dict[str, dict[str, tuple[float, ...]]] = {}
    if segment:
        values = _segments(settled, segment)
        names = _segments(settled, group) if group else values
        for value in sorted(set(values.tolist())):
            here = values == value
            found = _towards(pooled, logits[here], outcome[here], scale, half)
            own[value] = tuple(found.tolist())
            for name in sorted(set(names[here].tolist())) if group else ():
                one = here & (names == name)
                of_group = _towards(found, logits[one], outcome[one], scale, half)
                fine.setdefault(value, {})[name] = tuple(of_group.tolist())
    return BlendWeights(tuple(members), scale, tuple(pooled.tolist()), segment, own, positives, group, fine)


def equal_blend(members: Sequence[str], *, scale: Scale = "logit") -> BlendWeights:
    """The plain mean."""
    return BlendWeights(tuple(members), scale, (1.0 / len(members),) * len(members))


def blend(predicted: pl.DataFrame, weights: BlendWeights) -> Floats:
    """One probability a row from those of the members.

    predicted: a column of probabilities for each member, `cutoff`, and the columns of segment and group if weights have them. On
    the scale `logit` it is sigmoid(sum w_m logit p_m). On the scale `percentile` rows are put in the order of the weighted
    logits of their percentiles, and the probability at each place of that order is the weighted mean of the members'
    probabilities at the same place of theirs (equal ones share their places): give a cutoff's whole list, never one row.
    Raises BadInput.
    """
    _columns_of(predicted, [*weights.members, CUTOFF, *(n for n in (weights.segment, weights.group) if n)])
    each = np.tile(np.array(weights.weights), (predicted.height, 1))
    if weights.segment:
        values = _segments(predicted, weights.segment)
        names = _segments(predicted, weights.group) if weights.group else values
        for value, own in weights.own.items():
            here = values == value
            each[here] = own
            for name, fine in weights.fine.get(value, {}).items():
                each[here & (names == name)] = fine
    score = np.sum(_logits(predicted, weights.members, weights.scale) * each, axis=1)
    if weights.scale == "logit":
        return sigmoid(score)
    given = np.column_stack([clipped(predicted[name].to_numpy()) for name in weights.members])
    found = np.empty(predicted.height)
    for rows in _by_cutoff(predicted):
        at_place = np.sort(given[rows], axis=0) @ np.array(weights.weights)
        order = np.argsort(score[rows], kind="stable")
        run = np.cumsum(np.append(0, np.diff(score[rows][order]) > 1e-12))
        found[rows[order]] = (np.bincount(run, weights=at_place) / np.bincount(run))[run]
    return np.clip(found, 0.0, 1.0)


def _towards(start: Floats, logits: Floats, outcome: Floats, scale: Scale, half: float) -> Floats:
    """N / (n + half) of the way from `start` to the best weights for these rows, n their positives."""
    positives = float(outcome.sum())
    if positives == 0.0 or positives == outcome.size or len(start) == 1:
        return start
    share = positives / (positives + half)
    best = _on_simplex(logits, outcome, start) if scale == "logit" else _above_zero(logits, outcome, start)
    return (1.0 - share) * start + share * best


def _on_simplex(logits: Floats, outcome: Floats, start: Floats) -> Floats:
    if len(start) == 2 and np.any(logits[:, 0] != logits[:, 1]):
        share = _between(logits[:, 1], logits[:, 0] - logits[:, 1], outcome)
        return np.array([share, 1.0 - share])
    return _descended(logits, outcome, start, onto_simplex)


def _between(base: Floats, slope: Floats, outcome: Floats) -> float:
    """The w in [0, 1] with the least mean log loss of sigmoid(base + w slope): Newton's method, kept between two bounds.

    The loss is convex in w, so its derivative rises, and a bound moves to w at each step; where Newton would leave the bounds
    they are halved.
    """
    low, high = 0.0, 1.0
    edges = [float(slope @ (sigmoid(base + w * slope) - outcome)) for w in (low, high)]
    if edges[0] >= 0.0 or edges[1] <= 0.0:
        return low if edges[0] >= 0.0 else high
    w = 0.5
    for _ in range(_ROUNDS):
        p = sigmoid(base + w * slope)
        rise, bend = float(slope @ (p - outcome)), float((slope * slope) @ (p * (1.0 - p)))
        low, high = (w, high) if rise < 0.0 else (low, w)
        ahead = w - rise / bend if bend > 0.0 else low
        ahead = ahead if low <= ahead <= high else (low + high) / 2.0
        if abs(ahead - w) < 1e-10:
            return ahead
        w = ahead
    return w


def _above_zero(logits: Floats, outcome: Floats, start: Floats) -> Floats:
    """B / sum b of the free regression with b >= 0; `start` where no member has anything to say."""
    matrix = np.column_stack([logits, np.ones(outcome.size)])

    def project(point: Floats) -> Floats:
        return np.append(np.maximum(point[:-1], 0.0), point[-1])

    first = np.append(start, float(logit(outcome.mean())))
    found = _descended(matrix, outcome, first, project)[:-1]
    total = float(found.sum())
    return found / total if total > 1e-9 else start


def _descended(matrix: Floats, outcome: Floats, start: Floats, project: Callable[[Floats], Floats]) -> Floats:
    """The least mean log loss of sigmoid(matrix b) where `project` allows b: accelerated projected gradient.

    Beck & Teboulle (2009), started again where a step goes uphill (O'Donoghue & Candes 2015). Deterministic.
    """
    n = outcome.size
    steepest = float(np.linalg.eigvalsh(matrix.T @ matrix / n)[-1]) / 4.0 + 1e-12
    found = ahead = start.copy()
    momentum = 1.0
    for _ in range(_ROUNDS):
        gradient = matrix.T @ (sigmoid(matrix @ ahead) - outcome) / n
        following = project(ahead - gradient / steepest)
        if max(np.max(np.abs(following - found)), np.max(np.abs(following - ahead))) < 1e-9:
            return following
        pace = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        uphill = float(gradient @ (following - found)) > 0.0
        ahead = following if uphill else following + (momentum - 1.0) / pace * (following - found)
        found, momentum = following, 1.0 if uphill else pace
    return found


def _logits(frame: pl.DataFrame, members: Sequence[str], scale: Scale) -> Floats:
    """N x M on the scale of the blend."""
    given = np.column_stack([clipped(frame[name].to_numpy()) for name in members])
    if scale == "logit":
        return logit(given)
    ranks = frame.select(((pl.col(name).rank("average") - 0.5) / pl.len()).over(CUTOFF).alias(name) for name in members)
    return logit(ranks.to_numpy())


def _by_cutoff(frame: pl.DataFrame) -> list[Ints]:
    """The places of the rows of each cutoff."""
    places = frame.select(CUTOFF).with_row_index("_place").group_by(CUTOFF, maintain_order=True).agg("_place")
    return [each.to_numpy().astype(np.int64) for each in places["_place"]]


def _segments(frame: pl.DataFrame, segment: str) -> np.ndarray[Any, Any]:
    return frame[segment].cast(pl.String).fill_null("").to_numpy()


def _checked(settled: pl.DataFrame, members: Sequence[str], columns: Sequence[str]) -> Floats:
    if not members or len(set(members)) < len(members):
        raise BadInput("blend", found=f"members {list(members)}", wanted="at least one, each once")
    _columns_of(settled, [*members, Y, CUTOFF, *columns])
    outcome = settled[Y].cast(pl.Float64).fill_null(np.nan).to_numpy()
    if not settled.height or not np.all((outcome == 0.0) | (outcome == 1.0)):
        found = "no settled rows" if not settled.height else "an outcome that is missing or neither 0 nor 1"
        raise BadInput("blend", found=found, wanted="settled rows with y 0 or 1")
    return outcome


def _columns_of(frame: pl.DataFrame, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise BadInput("blend", found=f"no column {missing[0]}", wanted=f"columns {', '.join(names)}")


__all__ = ["BlendWeights", "Scale", "blend", "blend_weights_of", "equal_blend", "learn_blend"]
