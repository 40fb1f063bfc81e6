"""Seasonal adjustment for models that take no season, or not one so long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foreproof.models.panel import Floats

_SMALLEST_INDEX = 0.01
"""A multiplicative index below this would blow one observation up a hundredfold; the season is added instead."""


@dataclass(frozen=True, slots=True)
class Seasonal:
    """Seasonal indices by `period mod m`: factors with mean 1, or terms with mean 0 in the unit of the target."""

    multiplicative: bool
    indices: tuple[float, ...]

    def at(self, start: int, length: int) -> Floats:
        """The indices of `length` periods from `start` on."""
        return np.asarray(self.indices)[(start + np.arange(length)) % len(self.indices)]

    def remove(self, y: Floats, start: int) -> Floats:
        """The series without its season; y[0] belongs to period `start`."""
        index = self.at(start, y.size)
        return y / index if self.multiplicative else y - index

    def restore(self, y: Floats, start: int) -> Floats:
        """The inverse of `remove`."""
        index = self.at(start, y.size)
        return y * index if self.multiplicative else y + index


def learn_seasonal(y: Floats, start: int, season: int) -> Seasonal | None:
    """The season of a series by classical decomposition, shrunk by its strength; None where there is none to be seen.

    The trend is a centred moving average over one season; an index is the mean of y / trend (or y - trend) of its phase.
    Of the two forms the one that leaves less variance is kept; factors need a positive series. Its strength, with the
    degrees of freedom that m indices take paid for, is F = max(0, 1 - (SSE / SST) (k - 1) / (k - m)), over the k periods
    that have a trend; the logarithms of factors (or the terms) are shrunk by F over the unpaid strength.

    y: n values, y[0] in period `start`. Needs n > 2 m and m > 1.
    Decomposition: Hyndman & Athanasopoulos (2021), section 3.4. Strength: Wang, Smith & Hyndman (2006). That shrinking
    seasonal indices helps: Miller & Williams (2003).
    """
    if season < 2 or y.size <= 2 * season:
        return None
    trend, first = _trend(y, season)
    middle = y[first : first + trend.size]
    positive = bool(y.min() > 0 and trend.min() > 0)
    found = [_indices(middle, trend, start + first, season, multiplicative=False)]
    if positive:
        found.insert(0, _indices(middle, trend, start + first, season, multiplicative=True))
    strength, unpaid, seasonal = max(found, key=lambda each: each[0])
    if strength <= 0.0:
        return None
    share = strength / unpaid
    indices = np.asarray(seasonal.indices)
    shrunk = indices**share if seasonal.multiplicative else indices * share
    return Seasonal(seasonal.multiplicative, tuple(shrunk.tolist()))


def _trend(y: Floats, season: int) -> tuple[Floats, int]:
    """The centred moving average over one season (2 x m for an even one), and the position of its first value."""
    weights = np.ones(season + 1 - season % 2)
    if season % 2 == 0:
        weights[[0, -1]] = 0.5
    return np.convolve(y, weights / season, mode="valid"), (weights.size - 1) // 2


def _indices(
    y: Floats, trend: Floats, start: int, season: int, *, multiplicative: bool
) -> tuple[float, float, Seasonal]:
    """Strength with and without paying for the indices, and the indices; strength 0 where a factor is too small."""
    phase = (start + np.arange(y.size)) % season
    detrended = y / trend if multiplicative else y - trend
    means = np.bincount(phase, weights=detrended, minlength=season) / np.bincount(phase, minlength=season)
    indices = means / means.mean() if multiplicative else means - means.mean()
    seasonal = Seasonal(multiplicative, tuple(indices.tolist()))
    if multiplicative and indices.min() < _SMALLEST_INDEX:
        return 0.0, 0.0, seasonal
    left = float(np.sum((y - seasonal.restore(trend, start)) ** 2))
    total = float(np.sum((y - trend) ** 2))
    if total <= 1e-24 * float(np.sum(y**2)):
        return 0.0, 0.0, seasonal
    paid = (y.size - 1) / max(y.size - season, 1)
    return max(0.0, 1.0 - left / total * paid), 1.0 - left / total, seasonal


__all__ = ["Seasonal", "learn_seasonal"]
