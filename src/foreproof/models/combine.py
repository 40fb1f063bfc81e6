"""The combination of members, weighted on settled earlier origins and never on the target itself.

Pooled weights over all series come first, drawn towards equal ones; each series then moves some way from them towards the
weights that its own errors speak for. Why the mean is so hard to beat: Claeskens, Magnus, Vasnev & Wang (2016).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE, Prediction
from foreproof.errors import BadInput
from foreproof.models.panel import Floats, Y

MODEL, SCALE = "model", "scale"
_BEND = 0.1
"""Errors below this share of the mean error count by their square, so that the objective has one gradient everywhere."""
_ROUNDS = 500
_LEAST = 1e-150  # an error of zero, and still a number when squared


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """How far weights may move from what is simpler.

    pooled: the penalty on the way from equal weights, `pooled * (1 + 30 / (series x origins))`. own: the origins after
    which a series goes half of its own way; infinity for pooled weights alone. blocks: runs of steps with weights of their
    own, drawn towards those of all steps.
    """

    pooled: float = 0.03
    own: float = 6.0
    blocks: int = 1


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights on the simplex, in the order of `members`.

    blocks: the last step of each run of steps, and its weights; the last run has no end. own: the weights that a
    series' own errors speak for, by its entity values. share: how far a series goes from the first to the second.
    """

    entity: tuple[str, ...]
    members: tuple[str, ...]
    blocks: tuple[tuple[int, tuple[float, ...]], ...]
    own: Mapping[tuple[str, ...], tuple[float, ...]]
    share: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "entity": list(self.entity),
            "members": list(self.members),
            "blocks": [{"to": last, "weights": list(weights)} for last, weights in self.blocks],
            "own": [{"series": list(key), "weights": list(self.own[key])} for key in sorted(self.own)],
            "share": self.share,
        }

    def frame(self, steps: Sequence[int]) -> pl.DataFrame:
        """Entity columns, step, model, weight: what each known series gives each member at some steps."""
        keys = sorted(self.own)
        rows = [
            (*key, step, member, float(weight))
            for key in keys
            for step in steps
            for member, weight in zip(self.members, _mixed(self, key, step), strict=True)
        ]
        schema = {**dict.fromkeys(self.entity, pl.String), STEP: pl.Int64, MODEL: pl.String, "weight": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")


def weights_of(values: Mapping[str, Any]) -> Weights:
    """The inverse of `Weights.as_dict`."""
    return Weights(
        entity=tuple(values["entity"]),
        members=tuple(values["members"]),
        blocks=tuple((int(block["to"]), tuple(block["weights"])) for block in values["blocks"]),
        own={tuple(each["series"]): tuple(each["weights"]) for each in values["own"]},
        share=float(values["share"]),
    )


def equal_weights(entity: Sequence[str], members: Sequence[str]) -> Weights:
    """The plain mean."""
    return Weights(tuple(entity), tuple(members), ((0, (1.0 / len(members),) * len(members)),), {}, 0.0)


def learn_weights(errors: pl.DataFrame, *, entity: Sequence[str], shrinkage: Shrinkage | None = None) -> Weights:
    """Weights from point predictions at settled origins.

    errors: entity columns, cutoff, step, `model`, `value` (point prediction), `y` (actual), `scale` (unit of y, above 0,
    known at the cutoff). Rows that some member lacks are left out. With e the n x K errors by scale over their mean size
    under equal weights, the pooled weights minimise over the simplex

        mean_i h(e_i w) + lambda |w - 1/K|^2,    h(r) = |r| - b/2, or r^2 / 2b where |r| < b = 0.1

    (absolute loss with egalitarian ridge: Diebold & Shin 2019) by accelerated projected gradient (Beck & Teboulle 2009).
    A series' own weights are proportional to 1 / (mean |error|)^2 of each member (Bates & Granger 1969, without
    correlations, as Newbold & Granger 1974 advise); it goes `share = origins / (origins + own)` of the way to them.
    """
    shrinkage = shrinkage or Shrinkage()
    members = tuple(errors[MODEL].unique().sort().to_list())
    if not members:
        raise BadInput("weights", found="no errors at settled origins", wanted="one origin", fix="load more history")
    index = [*entity, CUTOFF, STEP]
    wrong = errors.filter(~pl.all_horizontal(pl.col(VALUE, Y, SCALE).is_finite().fill_null(False), pl.col(SCALE) > 0))
    if wrong.height:
        raise BadInput("weights", found=f"{wrong.row(0, named=True)}", wanted="finite value and y, scale above 0")
    scaled = errors.with_columns(((pl.col(VALUE) - pl.col(Y)) / pl.col(SCALE)).alias("error"))
    wide = scaled.pivot(on=MODEL, on_columns=list(members), index=index, values="error").drop_nulls().sort(index)
    if not wide.height:
        raise BadInput("weights", found="no row that all members predict", wanted="the same rows from each member")
    matrix = wide.select(members).to_numpy()
    cells = wide.select(*entity, CUTOFF).unique().height
    penalty = shrinkage.pooled * (1.0 + 30.0 / cells)
    pooled = solve_simplex(matrix, np.full(len(members), 1.0 / len(members)), penalty)
    origins = wide[CUTOFF].n_unique()
    share = origins / (origins + shrinkage.own)
    return Weights(
        entity=tuple(entity),
        members=members,
        blocks=_by_block(matrix, wide[STEP].to_numpy(), pooled, penalty, shrinkage.blocks),
        own=_own(wide, matrix, entity, members),
        share=share,
    )


def held_out(errors: pl.DataFrame, *, entity: Sequence[str], shrinkage: Shrinkage | None = None) -> Prediction:
    """The combination at each settled origin, with weights learned at the others: what intervals are calibrated on.

    errors: as for `learn_weights`. Weights fitted to the very errors that are to be judged would make them look small.
    With one origin there are no others: the weights are pooled over series only, so that no series has its own.
    """
    shrinkage = shrinkage or Shrinkage()
    cutoffs = errors[CUTOFF].unique().sort()
    parts = []
    for i in range(len(cutoffs)):
        here = pl.col(CUTOFF) == cutoffs[i]
        others = errors.filter(~here)
        if len(cutoffs) == 1:
            others, shrinkage = errors, replace(shrinkage, own=math.inf)
        weights = learn_weights(others, entity=entity, shrinkage=shrinkage)
        parts.append(combine(_members(errors.filter(here), weights), weights).rows)
    if not parts:
        raise BadInput("weights", found="no errors at settled origins", wanted="one origin", fix="load more history")
    return Prediction("point", tuple(entity), pl.concat(parts))


def combine(predictions: Mapping[str, Prediction], weights: Weights) -> Prediction:
    """The weighted sum of point predictions, on the rows that all members have in common.

    Raises BadInput where a member is missing, or has other rows than the first.
    """
    index = [*weights.entity, CUTOFF, STEP]
    wide: pl.DataFrame | None = None
    for member in weights.members:
        if member not in predictions:
            raise BadInput("combination", found=f"no prediction of {member}", wanted=", ".join(weights.members))
        rows = predictions[member].rows.select(*index, pl.col(VALUE).alias(f"_{member}"))
        height = rows.height if wide is None else wide.height
        wide = rows.sort(index) if wide is None else wide.join(rows, on=index, how="inner", maintain_order="left")
        if not height == rows.height == wide.height:
            raise BadInput(
                f"combination: {member}",
                found=f"{rows.height} rows, of which {wide.height} are the others' too",
                wanted=f"the {height} rows of {weights.members[0]}",
            )
    if wide is None:
        raise BadInput("combination", found="no members", wanted="at least one")
    values = wide.select(f"_{member}" for member in weights.members).to_numpy()
    total = np.zeros(wide.height)
    for column, weight in zip(values.T, _rows(wide, weights).T, strict=True):
        total += column * weight
    rows = wide.select(*index, pl.lit(None, dtype=pl.Float64).alias(LEVEL), pl.Series(VALUE, total))
    return Prediction("point", weights.entity, rows)


def solve_simplex(errors: Floats, towards: Floats, penalty: float) -> Floats:
    """The weights w >= 0, sum w = 1, that minimise the objective of `learn_weights` with `towards` for 1/K.

    errors: n x K. Equal errors, or none, give `towards`. Deterministic: a fixed start and at most 500 rounds.
    """
    size = float(np.mean(np.abs(errors @ towards)))
    if size <= 0.0 or not np.isfinite(size):
        return towards
    matrix = errors / size
    steepest = np.linalg.eigvalsh(matrix.T @ matrix / len(matrix))[-1] / _BEND + 2.0 * penalty
    weights = ahead = towards.copy()
    momentum = 1.0
    for _ in range(_ROUNDS):
        slope = np.clip(matrix @ ahead / _BEND, -1.0, 1.0)
        gradient = matrix.T @ slope / len(matrix) + 2.0 * penalty * (ahead - towards)
        following = onto_simplex(ahead - gradient / steepest)
        if np.max(np.abs(following - weights)) < 1e-12 and np.max(np.abs(following - ahead)) < 1e-12:
            return following
        pace = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        # A step uphill means that the momentum overshot: start it again (O'Donoghue & Candes 2015).
        uphill = float(gradient @ (following - weights)) > 0.0
        ahead = following if uphill else following + (momentum - 1.0) / pace * (following - weights)
        weights, momentum = following, 1.0 if uphill else pace
    return weights


def _members(errors: pl.DataFrame, weights: Weights) -> dict[str, Prediction]:
    """The point predictions in a frame of errors, by member, on the rows that all members have."""
    index = [*weights.entity, CUTOFF, STEP]
    many = pl.col(MODEL).n_unique().over(index)
    common = errors.filter(pl.col(MODEL).is_in(weights.members)).filter(many == len(weights.members))
    rows = common.with_columns(pl.lit(None, dtype=pl.Float64).alias(LEVEL))
    return {
        member: Prediction("point", weights.entity, rows.filter(pl.col(MODEL) == member)) for member in weights.members
    }


def onto_simplex(point: Floats) -> Floats:
    """The nearest K numbers of at least 0 that add up to 1. Duchi, Shalev-Shwartz, Singer & Chandra (2008)."""
    falling = np.sort(point)[::-1]
    excess = (np.cumsum(falling) - 1.0) / np.arange(1, point.size + 1)
    cut = excess[np.flatnonzero(falling > excess)[-1]]
    nearest: Floats = np.maximum(point - cut, 0.0)
    return nearest


def _by_block(
    matrix: Floats, steps: Floats, pooled: Floats, penalty: float, blocks: int
) -> tuple[tuple[int, tuple[float, ...]], ...]:
    """The last step and the weights of each of `blocks` equal runs of steps; with one, the pooled weights."""
    last = int(steps.max())
    ends = [last * (b + 1) // blocks for b in range(blocks)]
    if len(ends) == 1:
        return ((last, tuple(pooled.tolist())),)
    found = []
    for low, high in zip([0, *ends[:-1]], ends, strict=True):
        inside = (steps > low) & (steps <= high)
        if inside.any():
            found.append((high, tuple(solve_simplex(matrix[inside], pooled, penalty).tolist())))
    return tuple(found)


def _own(
    wide: pl.DataFrame, matrix: Floats, entity: Sequence[str], members: Sequence[str]
) -> dict[tuple[str, ...], tuple[float, ...]]:
    """Inverse squared mean absolute errors by series, each error floored so that luck on a few steps is no certainty."""
    sizes = wide.select(*entity, *(pl.col(member).abs() for member in members))
    floor = 0.001 * float(np.mean(np.abs(matrix)))
    grouped = sizes.group_by(entity, maintain_order=True).mean() if entity else sizes.mean()
    inverse = 1.0 / np.maximum(grouped.select(members).to_numpy() + floor, _LEAST) ** 2
    shares = inverse / inverse.sum(axis=1, keepdims=True)
    keys = grouped.select(entity).cast(pl.String).rows() if entity else [()]
    return {tuple(key): tuple(share) for key, share in zip(keys, shares.tolist(), strict=True)}


def _block_of(weights: Weights, step: int) -> tuple[float, ...]:
    return next((found for last, found in weights.blocks if step <= last), weights.blocks[-1][1])


def _mixed(weights: Weights, key: tuple[str, ...], step: int) -> Floats:
    pooled = np.asarray(_block_of(weights, step))
    own = weights.own.get(key)
    return pooled if own is None else (1.0 - weights.share) * pooled + weights.share * np.asarray(own)


def _rows(wide: pl.DataFrame, weights: Weights) -> Floats:
    """Rows x members."""
    steps, place = np.unique(wide[STEP].to_numpy(), return_inverse=True)
    pooled = np.array([_block_of(weights, int(step)) for step in steps])[place]
    keys = wide.select(weights.entity).cast(pl.String).rows() if weights.entity else [()] * wide.height
    own = np.array([weights.own.get(key, (np.nan,) * len(weights.members)) for key in keys])
    mixed = (1.0 - weights.share) * pooled + weights.share * own
    return np.where(np.isnan(mixed), pooled, mixed)


__all__ = [
    "MODEL",
    "SCALE",
    "Shrinkage",
    "Weights",
    "combine",
    "equal_weights",
    "held_out",
    "learn_weights",
    "onto_simplex",
    "solve_simplex",
    "weights_of",
]
