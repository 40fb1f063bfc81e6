"""The arithmetic of the statistical checks as loops so plain that they are right by reading."""

from __future__ import annotations

import math

import numpy as np


def auc(y: list[float], said: list[float], weight: list[float]) -> float:
    """The weighted share of pairs (positive, other) in the right order, ties half."""
    right = total = 0.0
    for a, p, w in zip(y, said, weight, strict=True):
        for b, q, v in zip(y, said, weight, strict=True):
            if a > b:
                total += w * v
                right += w * v * (1.0 if p > q else 0.5 if p == q else 0.0)
    return right / total


def ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Least squares with sqrt(n penalty) rows of zeros below: the textbook's augmented system."""
    n, k = x.shape
    below = math.sqrt(n * penalty) * np.eye(k)
    found: np.ndarray = np.linalg.lstsq(np.vstack([x, below]), np.append(y, np.zeros(k)), rcond=None)[0]
    return found


def psi(expected: list[float], realised: list[float]) -> float:
    """The population stability index of two lists of amounts by bin."""
    total = 0.0
    for e, r in zip(expected, realised, strict=True):
        a, b = e / sum(expected), r / sum(realised)
        total += (a - b) * math.log(a / b)
    return total


__all__ = ["auc", "psi", "ridge"]
