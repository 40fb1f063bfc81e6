"""Runs of sorted cells: how many of a key's cells lie up to each cutoff, running sums of them, and the extremes of a run.

Cells are sorted by key and period, so a window of a key is a run of them, [first, last): a sum over it is the difference of two
running sums, and nothing here costs more for longer windows or for more of them that share a border.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foreproof.core.clock import Ticks
from foreproof.features.cells import Values

_WHOLE = 2.0**52
"""Floats hold every integer up to twice this; the room is for the rounding of the sum that is compared."""


def counted(code: Ticks, period: Ticks, ends: Ticks, *, size: int) -> Ticks:
    """C x K: how many cells of each of K = `size` keys have a period <= each of C rising ends."""
    place = _places(ends, period)
    place *= size
    place += code
    held = np.bincount(place, minlength=(len(ends) + 1) * size)[: len(ends) * size].reshape(len(ends), size)
    # whole lines at a time: numpy's own cumsum walks each key's few cutoffs one by one
    for line in range(1, len(ends)):
        held[line] += held[line - 1]
    return held


def running(weights: Ticks) -> Values:
    """N + 1 sums of the first 0 ... N integer weights, as floats where these hold them exactly: nothing is turned later."""
    exact = float(np.abs(weights).sum(dtype=np.float64)) < _WHOLE
    total = np.zeros(len(weights) + 1, dtype=np.float64 if exact else np.int64)
    np.cumsum(weights, out=total[1:])
    return total


def extremes(values: Values, first: Ticks, last: Ticks, *, fold: Any, blank: float) -> Values:
    """`fold` (np.minimum or np.maximum) of values[first:last] for each place of `last`; `blank` where that is empty.

    Two overlapping runs of 2^j values cover any run: values are folded over runs of 1, 2, 4, ... once (Bender and
    Farach-Colton, 2000).
    """
    size = last - first
    found = np.full(size.shape, blank)
    some = np.flatnonzero(size)
    if not len(some):
        return found
    many, end = size.reshape(-1)[some], last.reshape(-1)[some]
    level = np.zeros(int(many.max()) + 1, dtype=np.int64)
    folded = [values]
    while 2 ** len(folded) < len(level):
        half, longest = 2 ** (len(folded) - 1), folded[-1]
        level[2 * half :] = len(folded)
        # the last ones reach beyond the values, and no run begins there
        folded.append(np.append(fold(longest[:-half], longest[half:]), longest[-half:]))
    row = level[many] * len(values)
    flat = np.concatenate(folded)
    found.reshape(-1)[some] = fold(flat[row + end - many], flat[row + end - (1 << level[many])])
    return found


def _places(ends: Ticks, period: Ticks) -> Ticks:
    """The position of the first end at or after each period."""
    if not len(period):
        return np.zeros(0, dtype=np.int64)
    low, high = int(period.min()), int(period.max())
    if high - low >= len(period):
        return np.searchsorted(ends, period)
    return np.searchsorted(ends, np.arange(low, high + 1))[period - low]


__all__ = ["counted", "extremes", "running"]
