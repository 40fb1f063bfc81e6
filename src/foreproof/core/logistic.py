"""Logistic regression with few columns, by Newton's method: what calibration is measured and corrected with.

The targets may lie between 0 and 1 (Platt's smoothed ones do), and nothing here needs a library of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foreproof.errors import BadInput

Floats = npt.NDArray[np.float64]

_ROUNDS = 100
_STEEPEST = 1e4
"""A coefficient beyond this means that the classes are separated: the likelihood has no maximum."""


def sigmoid(x: npt.ArrayLike) -> Floats:
    """1 / (1 + exp(-x)), without overflow; the shape of x."""
    values = np.asarray(x, dtype=np.float64)
    small = np.exp(-np.abs(values))
    found: Floats = np.where(values >= 0.0, 1.0, small) / (1.0 + small)
    return found


def logit(p: npt.ArrayLike) -> Floats:
    """log(p / (1 - p)) of probabilities strictly between 0 and 1; the shape of p."""
    values = np.asarray(p, dtype=np.float64)
    found: Floats = np.log(values) - np.log1p(-values)
    return found


def logistic_coefficients(
    matrix: Floats, target: Floats, *, weight: Floats | None = None, offset: Floats | None = None
) -> Floats:
    """The b that maximises sum w (t log s + (1 - t) log(1 - s)), s = sigmoid(X b + offset).

    matrix: n x k, with a column of ones where an intercept is wanted; target: n in [0, 1]; weight: n, at least 0.
    Newton's method (iteratively reweighted least squares: McCullagh & Nelder, Generalized Linear Models, 1989, 2.5),
    halving steps that do not climb. Raises BadInput where no maximum exists because a column separates the targets.
    """
    weights = np.ones(target.size) if weight is None else weight
    base = np.zeros(target.size) if offset is None else offset
    beta = np.zeros(matrix.shape[1])
    best = _likelihood(matrix @ beta + base, target, weights)
    for _ in range(_ROUNDS):
        share = sigmoid(matrix @ beta + base)
        gradient = matrix.T @ (weights * (target - share))
        curve = (matrix * (weights * share * (1.0 - share))[:, None]).T @ matrix
        # A touch of ridge on the curvature alone: the way is damped, the maximum stays where it is.
        curve[np.diag_indices_from(curve)] += 1e-10 * (1.0 + np.trace(curve))
        step = np.linalg.solve(curve, gradient)
        for _ in range(40):
            value = _likelihood(matrix @ (beta + step) + base, target, weights)
            if value >= best:
                break
            step = step / 2.0
        beta = beta + step
        best = max(best, value)
        if np.max(np.abs(beta)) > _STEEPEST:
            break
        if np.max(np.abs(step)) <= 1e-10 * (1.0 + np.max(np.abs(beta))):
            return beta
    raise BadInput(
        "logistic regression",
        found=f"{target.size} outcomes that a column separates, so that no steepness is steep enough",
        wanted="outcomes of both kinds at overlapping probabilities",
        fix="give more rows",
    )


def _likelihood(x: Floats, target: Floats, weights: Floats) -> float:
    return float(np.sum(weights * (target * x - np.logaddexp(0.0, x))))


__all__ = ["logistic_coefficients", "logit", "sigmoid"]
