"""Which residuals are pooled: by a class of their series, and by how near the point was to the bound of the target."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, literal
from foreproof.core.predict import CUTOFF
from foreproof.models.offsets import Bools, Calibration
from foreproof.models.panel import Floats, Ints, panel

POOL, ROOM = "pool", "room"
FAR = -1
_REACH = 0.005


def series_class(target: pl.DataFrame, by: str, *, entity: Sequence[str], cutoff: Moment) -> pl.DataFrame:
    """Entity columns, cutoff, `pool`: the class of each series by its history up to the cutoff.

    by: `demand_class` (see `demand_class`); `intermittency`, the share of steps without demand: 0, under 1/4, under 1/2, more;
    `scale` and `length`, thirds of the series by mean |y| and by steps; or one of the entity columns.
    """
    series = panel(target, entity)
    match by:
        case "demand_class":
            found = [demand_class(y) for y in series]
        case "intermittency":
            found = [f"zeros{int(np.ceil(min(4.0 * float(np.mean(y == 0.0)), 2.5)))}" for y in series]
        case "scale":
            found = _thirds(np.array([np.mean(np.abs(y)) for y in series]))
        case "length":
            found = _thirds(series.lengths.astype(np.float64))
        case _:
            found = [key[list(entity).index(by)] for key in series.keys]
    keys = [pl.Series(name, [key[i] for key in series.keys], dtype=pl.String) for i, name in enumerate(entity)]
    columns = pl.DataFrame([*keys, pl.Series(POOL, found, dtype=pl.String)])
    return columns.select(*entity, literal(cutoff).alias(CUTOFF), POOL)


def demand_class(y: Floats) -> str:
    """`smooth`, `erratic`, `intermittent` or `lumpy`: whether steps a demand are above 1.32, and its squared variation above .49.

    ADI = steps / demands, CV2 = (deviation / mean of the demands that are not 0)^2: Syntetos, Boylan & Croston (2005).
    """
    demands = y[y != 0.0]
    if not demands.size:
        return "intermittent"
    often = y.size / demands.size <= 1.32
    even = float(np.std(demands) / np.mean(np.abs(demands))) ** 2 <= 0.49
    return ("smooth" if even else "erratic") if often else ("intermittent" if even else "lumpy")


def _thirds(values: Floats) -> list[str]:
    cuts = np.quantile(values, (1 / 3, 2 / 3)) if values.size else np.zeros(2)
    return [f"third{place + 1}" for place in np.searchsorted(cuts, values, side="left").tolist()]


def edges_of(held: pl.DataFrame, value: Floats, calibration: Calibration) -> tuple[float, ...]:
    """The upper edges, rising, of the places near the bound; none without `room`, or with too few points near it.

    A demand of 0.4 a day can fall by 0.4 alone: where a point is so near to the bound that the lowest of 200 errors would
    pass it, errors are lopsided and grow with the point, so that quantiles from elsewhere, cut off at the bound, have too
    large a mean. There residuals are pooled by place: m parts in the order of `room`, the first i of which hold (i / m)^2 of the
    residuals, finest where a series has all but stopped; `bound` parts at most, `enough` residuals in each at least.
    """
    if ROOM not in held.columns or not calibration.bound:
        return ()
    room = held[ROOM].to_numpy()
    reach = -float(np.quantile(value, _REACH))
    near = np.sort(room[room < reach])
    many = min(calibration.bound, math.isqrt(near.size // max(calibration.enough, 1)))
    if reach <= 0.0 or many < 1:
        return ()
    inner = np.quantile(near, (np.arange(1, many) / many) ** 2)
    return tuple(np.unique(np.append(inner, reach)).tolist())


def place_of(rows: pl.DataFrame, edges: tuple[float, ...]) -> Ints:
    """The place of each row near the bound, 0 the nearest; FAR where it is far from it, or there is no bound."""
    if not edges or ROOM not in rows.columns:
        return np.full(rows.height, FAR, dtype=np.int64)
    place = np.searchsorted(np.array(edges), rows[ROOM].to_numpy(), side="left").astype(np.int64)
    return np.where(place == len(edges), FAR, place)


def height_of(held: pl.DataFrame, place: Ints) -> Floats:
    """Residuals, and near the bound how far the target came above it: residual + room, so that a demand of 0 stays 0."""
    value = held["residual"].to_numpy()
    return np.where(place == FAR, value, value + held[ROOM].to_numpy()) if ROOM in held.columns else value


def cells_of(rows: pl.DataFrame, place: Ints) -> Iterator[tuple[str, int, Bools]]:
    """Each class and place with rows, as (class, place, its rows); the places of all classes come first, as class ``""``."""
    for at in np.unique(place).tolist():
        if at != FAR:
            yield "", at, place == at
    if POOL in rows.columns:
        classes = rows[POOL].cast(pl.String).fill_null("").to_numpy()
        for name in sorted(set(classes.tolist()) - {""}):
            for at in np.unique(place[classes == name]).tolist():
                yield name, at, (classes == name) & (place == at)


__all__ = [
    "FAR",
    "POOL",
    "ROOM",
    "cells_of",
    "demand_class",
    "edges_of",
    "height_of",
    "place_of",
    "series_class",
]
