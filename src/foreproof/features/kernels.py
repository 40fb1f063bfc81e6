"""The kernels: each reads cells once and answers for all keys and cutoffs, `[K, C]` or `[L, K, C]`.

cutoffs: C rising period numbers. Lags count steps back from the cutoff; a negative lag is a period after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foreproof.core.clock import Ticks
from foreproof.features.cells import FAR, Cells, Values

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Panel:
    """What each key held `lag` steps before each cutoff, as known then.

    value: L x K x C, 0 where nothing was; present: whether something was; slot: the position of each lag in L.
    """

    value: Values
    present: Bools
    slot: dict[int, int]


def window_sum(cells: Cells, weights: Ticks, *, cutoffs: Ticks, lag: int, window: int, size: int) -> Ticks:
    """K x C: the weights of the cells with period in (cutoff - lag - window, cutoff - lag], visible at the cutoff.

    A cell counts for the cutoffs in [max(since, period + lag), min(until, period + lag + window)): one addition where that
    range begins, one subtraction where it ends, and a running sum over the cutoffs. Int64, so exact. The cost does not
    grow with the number of cutoffs or the length of the window.
    """
    first = np.searchsorted(cutoffs, np.maximum(cells.since, cells.period + lag))
    last = np.searchsorted(cutoffs, np.minimum(cells.until, cells.period + (lag + window)))
    counts = first < last
    row = cells.code[counts] * (len(cutoffs) + 1)
    change = np.zeros(size * (len(cutoffs) + 1), dtype=np.int64)
    np.add.at(change, row + first[counts], weights[counts])
    np.subtract.at(change, row + last[counts], weights[counts])
    total: Ticks = np.cumsum(change.reshape(size, len(cutoffs) + 1), axis=1)[:, :-1]
    return total


def earliest(cells: Cells, *, cutoffs: Ticks, size: int) -> Ticks:
    """K x C: the first period <= cutoff with a visible cell, FAR where there is none."""
    first = np.searchsorted(cutoffs, np.maximum(cells.since, cells.period))
    last = np.searchsorted(cutoffs, cells.until)
    width = len(cutoffs) + 1
    found = np.full(size * width, FAR, dtype=np.int64)
    # A cell that nothing supersedes counts from `first` on: a running minimum carries it. The others are written out.
    lasting = last >= len(cutoffs)
    np.minimum.at(found, cells.code[lasting] * width + first[lasting], cells.period[lasting])
    running = np.minimum.accumulate(found.reshape(size, width), axis=1)[:, :-1].copy()
    ending = np.flatnonzero(~lasting & (first < last))
    lengths = (last - first)[ending]
    offset = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    place = np.repeat(ending, lengths)
    np.minimum.at(running, (cells.code[place], first[place] + offset), cells.period[place])
    return running


def latest(cells: Cells, *, cutoffs: Ticks, lag: int, size: int) -> Ticks:
    """K x C: the position of the last visible cell with period <= cutoff - lag, -1 where there is none.

    Last means last in the order of `cells`, so statics may order cells of one period by what they like.
    """
    found = np.full((size, len(cutoffs)), -1, dtype=np.int64)
    since, period_end = np.maximum(cells.since, cells.period + lag), cells.until
    for i, cutoff in enumerate(cutoffs.tolist()):
        seen = np.flatnonzero((since <= cutoff) & (cutoff < period_end))
        found[cells.code[seen], i] = seen  # positions rise, and of equal targets the last assignment stays
    return found


def panel(cells: Cells, *, cutoffs: Ticks, lags: Ticks, size: int) -> Panel:
    """The values at each of the rising `lags`: a cell is at lag l of cutoff c iff period = c - l and since <= c < until."""
    value: npt.NDArray[Any] = np.zeros((len(lags), size, len(cutoffs)), dtype=cells.value.dtype)
    present = np.zeros(value.shape, dtype=bool)
    slot = {lag: place for place, lag in enumerate(lags.tolist())}
    if not len(lags):
        return Panel(value, present, slot)
    low, high = int(lags[0]), int(lags[-1])
    places = np.full(high - low + 1, -1, dtype=np.int64)
    places[lags - low] = np.arange(len(lags))
    by_period = cells.where(np.argsort(cells.period, kind="stable"))
    for i, cutoff in enumerate(cutoffs.tolist()):
        a = np.searchsorted(by_period.period, cutoff - high, side="left")
        b = np.searchsorted(by_period.period, cutoff - low, side="right")
        place = places[cutoff - by_period.period[a:b] - low]
        seen = (by_period.since[a:b] <= cutoff) & (cutoff < by_period.until[a:b]) & (place >= 0)
        code, place = by_period.code[a:b][seen], place[seen]
        value[place, code, i] = by_period.value[a:b][seen]
        present[place, code, i] = True
    return Panel(value, present, slot)


def carried(cells: Cells, *, cutoffs: Ticks, lags: Ticks, size: int) -> Panel:
    """`panel` in which a period without a cell holds the last value before it; `lags` is a run without holes."""
    filled = panel(cells, cutoffs=cutoffs, lags=lags, size=size)
    before = latest(cells, cutoffs=cutoffs, lag=int(lags[-1]) + 1, size=size)
    value = np.where(before >= 0, cells.value[before] if len(cells.value) else 0, 0)
    present = before >= 0
    for place in reversed(range(len(lags))):
        here = filled.present[place]
        value, present = np.where(here, filled.value[place], value), here | present
        filled.value[place], filled.present[place] = value, present
    return filled


__all__ = ["Bools", "Panel", "carried", "earliest", "latest", "panel", "window_sum"]
