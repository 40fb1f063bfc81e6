"""Intervals for many ratios of sums at once, by drawing whole customers: shares of buyers caught, precision, money a list."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foreproof.errors import BadInput

Floats = npt.NDArray[np.float64]
_BLOCK = 4_000_000


def ratio_intervals(
    above: Floats, below: Floats, *, rng: np.random.Generator, replicates: int = 1000, confidence: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """Each column's sum(above) / sum(below) with the percentile interval of draws of whole rows: value, low, high; k each.

    above, below: customers x k, what a customer adds to each sum. As many customers are drawn, with replacement, as there are;
    every ratio meets the same draws. NaN where a sum below is 0, and ends where it is 0 in more than 5% of draws. Of one
    customer alone there is nothing to draw from, and the ends are NaN. Davison & Hinkley, Bootstrap Methods and their
    Application (1997), 3.8.
    """
    if above.shape != below.shape or above.ndim != 2 or not above.shape[0]:
        found = f"shapes {above.shape} and {below.shape}"
        raise BadInput("ratio_intervals", found=found, wanted="customers x ratios, both alike, at least one customer")
    many, width = above.shape
    value = _ratio(above.sum(axis=0), below.sum(axis=0))
    if many < 2:
        nothing = np.full(width, np.nan)
        return value, nothing, nothing.copy()
    both = np.concatenate([above, below], axis=1)
    drawn = np.empty((replicates, 2 * width))
    block = max(1, _BLOCK // many)
    for start in range(0, replicates, block):
        size = min(block, replicates - start)
        picks = rng.integers(many, size=(size, many)) + many * np.arange(size)[:, None]
        counts = np.bincount(picks.reshape(-1), minlength=size * many).reshape(size, many)
        drawn[start : start + size] = counts.astype(np.float64) @ both
    ratios = _ratio(drawn[:, :width], drawn[:, width:])
    low, high = np.full(width, np.nan), np.full(width, np.nan)
    for place in range(width):
        known = ratios[np.isfinite(ratios[:, place]), place]
        if known.size >= 0.95 * replicates:
            low[place], high[place] = np.quantile(known, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return value, low, high


def _ratio(above: Floats, below: Floats) -> Floats:
    found: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0.0)
    return found


__all__ = ["ratio_intervals"]
