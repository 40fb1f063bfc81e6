"""The recursive strategy: a model of one step ahead, fed with its own predictions.

At each further step the columns that read the target are computed anew, from the series followed by what was predicted so
far; what is known ahead (calendar, plans, statics) comes from the row of that step.
Taieb, Bontempi, Atiya & Sorjamaa, A review of strategies for multi-step ahead forecasting (2012).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from foreproof.core.model import Now
from foreproof.core.predict import STEP
from foreproof.core.recipe import Recipe, Stat
from foreproof.errors import BadInput
from foreproof.models.panel import Floats, Ints, Panel, panel
from foreproof.models.rows import index_of
from foreproof.models.scaling import SCALE, UNIT


def check_recipes(columns: Sequence[str], recipes: Sequence[Recipe]) -> None:
    """Refuse columns in the unit of the target that no recipe explains; `y_scale` stays as it was at the cutoff."""
    known = {recipe.column for recipe in recipes}
    for name in columns:
        if name.startswith(UNIT) and name != SCALE and name not in known:
            raise BadInput(
                f"rows: {name}",
                found="a column of the target without a recipe",
                wanted="recipes for all of them, since a recursive model computes them anew",
                fix="give the model `recipes`, or take strategy: direct",
            )


def unrolled(
    now: Now, rows: pl.DataFrame, recipes: Sequence[Recipe], ahead: Callable[[pl.DataFrame], Floats]
) -> pl.DataFrame:
    """The rows as the one-step model sees them: columns of recipes computed anew at each step; `step` stays as it is.

    ahead: from rows, all taken as of step 1, to predictions in the unit of the target.
    """
    past = panel(now.target, now.frame.entity)
    horizon = now.frame.horizon
    grown = _aligned(past, horizon)
    place = {key: i for i, key in enumerate(past.keys)}
    parts = []
    for step in range(1, horizon + 1):
        part = rows.filter(pl.col(STEP) == step)
        keys = part.select(now.frame.entity).cast(pl.String).rows() if now.frame.entity else [()] * part.height
        which = np.array([place.get(key, -1) for key in keys], dtype=np.int64)
        # A row of a series that the target lacks has no past to read: nothing follows from it.
        part, which = part.filter(pl.Series(which >= 0, dtype=pl.Boolean)), which[which >= 0]
        if step > 1:
            end = grown.shape[1] - horizon + step - 1
            new = [pl.Series(r.column, _computed(r, grown[:, :end], which, part, step)) for r in recipes]
            part = part.with_columns(column.fill_nan(None) for column in new if column.name in part.columns)
        grown[which, grown.shape[1] - horizon + step - 1] = ahead(part)
        parts.append(part)
    return pl.concat(parts).sort(index_of(now.frame))


def _aligned(past: Panel, horizon: int) -> Floats:
    """N x (longest + horizon): each series ends before the last `horizon` columns; NaN elsewhere."""
    longest = int(past.lengths.max(initial=0))
    grown = np.full((len(past), longest + horizon), np.nan)
    for i, y in enumerate(past):
        grown[i, longest - y.size : longest] = y
    return grown


def _computed(recipe: Recipe, grown: Floats, which: Ints, part: pl.DataFrame, step: int) -> Floats:
    """The recipe's column for some series, whose values end with the last column of `grown`."""
    if recipe.stat == "age":
        given = part[recipe.column].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return np.asarray(given + (step - 1))
    last = grown.shape[1] - 1
    if recipe.life:
        read = grown[which, : max(last + 1 - recipe.lags[0], 0)]
        return statistic(read, recipe.stat)
    if recipe.stat == "difference":
        later, earlier = (_at(grown, which, (lag,))[:, 0] for lag in recipe.lags)
        return np.asarray(later - earlier)
    if recipe.stat == "ratio":
        above, below = (statistic(_at(grown, which, lags), "mean") for lags in (recipe.lags, recipe.base))
        return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0.0)
    return statistic(_at(grown, which, recipe.lags), recipe.stat)


def _at(grown: Floats, which: Ints, lags: Sequence[int]) -> Floats:
    """Series x lags, NaN before the start; the lag 0 is the last column."""
    columns = grown.shape[1] - 1 - np.array(lags, dtype=np.int64)
    found: Floats = grown[which[:, None], np.maximum(columns, 0)[None, :]]
    return np.where(columns[None, :] >= 0, found, np.nan)


def statistic(values: Floats, stat: Stat) -> Floats:
    """Of each row, over the values that are there; NaN over none, std over fewer than two."""
    there = np.isfinite(values)
    count = there.sum(axis=1)
    kept = np.where(there, values, 0.0)
    none = np.full(values.shape[0], np.nan)
    match stat:
        case "min" | "max":
            empty = np.inf if stat == "min" else -np.inf
            reduced = np.where(there, values, empty)
            best = reduced.min(axis=1, initial=empty) if stat == "min" else reduced.max(axis=1, initial=empty)
            return np.where(count > 0, best, np.nan)
        case "nonzero":
            return np.where(count > 0, (kept != 0.0).sum(axis=1), np.nan)
        case "std":
            mean = np.divide(kept.sum(axis=1), count, out=none.copy(), where=count > 0)
            squares = np.where(there, (values - mean[:, None]) ** 2, 0.0).sum(axis=1)
            deviation: Floats = np.sqrt(np.divide(squares, count - 1, out=none, where=count > 1))
            return deviation
        case "sum":
            return np.where(count > 0, kept.sum(axis=1), np.nan)
        case _:
            mean_of: Floats = np.divide(kept.sum(axis=1), count, out=none, where=count > 0)
            return mean_of


__all__ = ["check_recipes", "statistic", "unrolled"]
