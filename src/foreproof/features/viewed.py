"""Features that are made from one view a cutoff: slower than the one pass, and under the same laws.

What they are made from is a `View`, so they cannot see what was known later. Each gives a frame of the entity's columns (or some
of them) and a value; an entity that is not in the frame has `empty`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from foreproof.core.clock import Ticks, tick_values
from foreproof.core.contract import HAPPENED
from foreproof.core.grid import Grid
from foreproof.core.view import View
from foreproof.errors import BadInput, LawError, PlanError
from foreproof.features.context import Context, Floats
from foreproof.features.declare import Meta, at_least, past, span, word

VALUE = "value"
ComingPart = Literal["until", "count"]


@dataclass(frozen=True, slots=True)
class Coming:
    """Dates known ahead (an expiry, a renewal): over (cutoff, cutoff + within], in a table with `ahead: true`, known <= cutoff.

    until: steps to the first one, null without. count: how many.
    """

    part: ComingPart
    table: str
    within: int

    def __post_init__(self) -> None:
        word(self, "part", self.part, ComingPart)
        at_least(self, within=self.within)

    @property
    def name(self) -> str:
        """`coming_until_renewals_90`."""
        return f"coming_{self.part}_{self.table}_{self.within}"

    def maths(self) -> str:
        """Steps to, or number of, rows over (cutoff, cutoff + within], known <= cutoff."""
        what = "steps to the first row" if self.part == "until" else "rows"
        return f"{what} of {self.table} over (cutoff, cutoff + {self.within}], known <= cutoff"

    def meta(self, horizon: int) -> Meta:
        """It reads no past fact."""
        return Meta(self.name, "ahead", "cutoff", None, self.within, None, self.maths())

    def of(self, view: View, period: int, grid: Grid, entity: Sequence[str]) -> pl.DataFrame:
        """The entity's columns that the table has, and `value`."""
        table = view.tables[self.table]
        if not table.contract.ahead:
            raise LawError(
                f"feature {self.name}",
                found=f"{self.table}, a table of past facts, read beyond the cutoff",
                wanted="a table with ahead: true (law 3, half-open time)",
                fix="mark the table if its rows are known before they happen",
            )
        names = {column.name for column in table.contract.columns}
        shared = [name for name in entity if name in names]
        steps = pl.Series("_steps", grid.index(tick_values(table.rows[HAPPENED])) - period, dtype=pl.Int64)
        rows = table.rows.with_columns(steps).filter(pl.col("_steps").is_between(1, self.within))
        taken = pl.col("_steps").min() if self.part == "until" else pl.len()
        value = taken.cast(pl.Float64).alias(VALUE)
        return rows.group_by(shared, maintain_order=True).agg(value) if shared else rows.select(value)

    @property
    def empty(self) -> float:
        """What an entity without such a row has."""
        return np.nan if self.part == "until" else 0.0


@dataclass(frozen=True, slots=True)
class CoPurchase:
    """How much more often than by chance the units (accounts) that have the pair's other items have its item too.

    With P the share of units known up to cutoff - lag that met an item over (cutoff - lag - window, cutoff - lag], and one
    unit added to each count: lift(g, h) = P(g and h) / (P(g) P(h)). The value for account a and group g is the mean lift(g, h)
    over the other groups h that a met in that window; null where it met none. `lag` is the embargo: what was bought
    together with the very purchase that is predicted must not be read. Brin, Motwani, Ullman & Tsur (1997).
    """

    table: str
    unit: str
    item: str
    window: int
    lag: int = 0

    def __post_init__(self) -> None:
        at_least(self, window=self.window)
        past(self, self.lag, "cutoff")

    @property
    def name(self) -> str:
        """`copurchase_department_365_lag_30_of_lines`."""
        return f"copurchase_{self.item}_{self.window}{f'_lag_{self.lag}' if self.lag else ''}_of_{self.table}"

    def maths(self) -> str:
        """Mean lift of the item with the unit's other items."""
        return f"mean lift of {self.item} with the {self.unit}'s other {self.item}s over {span('cutoff', self.lag, self.window)}"

    def meta(self, horizon: int) -> Meta:
        """The window as declared."""
        return Meta(self.name, "affinity", "cutoff", self.lag, self.window, self.lag, self.maths())

    def of(self, view: View, period: int, grid: Grid, entity: Sequence[str]) -> pl.DataFrame:
        """Unit, item and `value`: every unit that met something, with every item that anybody met."""
        rows = view[self.table].select(self.unit, self.item, HAPPENED).drop_nulls()
        at = pl.Series("_at", grid.index(tick_values(rows[HAPPENED])), dtype=pl.Int64)
        end = period - self.lag
        rows = rows.with_columns(at).filter(pl.col("_at") <= end)
        known = rows[self.unit].n_unique()
        met = (
            rows.filter(pl.col("_at") > end - self.window)
            .select(self.unit, self.item)
            .unique()
            .sort(self.unit, self.item)
        )
        units, items = (met[name].unique().sort() for name in (self.unit, self.item))
        table = np.zeros((len(units), len(items)))
        table[_places(met[self.unit], units), _places(met[self.item], items)] = 1.0
        both, each = table.T @ table + 1.0, table.sum(axis=0) + 1.0
        lift = both * (known + 1.0) / np.outer(each, each)
        np.fill_diagonal(lift, 0.0)
        others = table.sum(axis=1, keepdims=True) - table
        value = np.divide(table @ lift, others, out=np.full(table.shape, np.nan), where=others > 0)
        return pl.DataFrame(
            {
                self.unit: units.gather(np.repeat(np.arange(len(units)), len(items))),
                self.item: items.gather(np.tile(np.arange(len(items)), len(units))),
                VALUE: pl.Series(value.reshape(-1), dtype=pl.Float64, nan_to_null=True),
            }
        )

    @property
    def empty(self) -> float:
        """What an account that met nothing has."""
        return np.nan


@dataclass(frozen=True, slots=True)
class Custom:
    """A function of the user's own: `package.module:name`, called as `name(view)`; gives entity columns and `value`.

    family, window, lag say what it reads, for policies that filter features by it: they are the user's word, not checked. It is
    held to the laws like the others: it sees a view, and the gauntlet rebuilds it from truncated tables.
    """

    function: str
    family: str = "custom"
    window: int | None = None
    lag: int = 0

    def __post_init__(self) -> None:
        past(self, self.lag, "cutoff")

    @property
    def name(self) -> str:
        """`custom_NAME`."""
        return f"custom_{self.function.rpartition(':')[2]}"

    def maths(self) -> str:
        """The function of the view at the cutoff."""
        return f"{self.function}(view at the cutoff)"

    def meta(self, horizon: int) -> Meta:
        """As the user declared it."""
        return Meta(self.name, self.family, "cutoff", self.lag, self.window, self.lag, self.maths())

    def of(self, view: View, period: int, grid: Grid, entity: Sequence[str]) -> pl.DataFrame:
        """What the function gives, checked."""
        found = _loaded(self.function)(view)
        if not isinstance(found, pl.DataFrame) or VALUE not in found.columns:
            raise BadInput(
                f"feature {self.name}", found=f"{type(found).__name__}", wanted="a polars frame with `value`"
            )
        extra = [name for name in found.columns if name != VALUE and name not in entity]
        keys = [name for name in found.columns if name != VALUE]
        if extra or (keys and found.select(keys).is_duplicated().any()) or (not keys and found.height > 1):
            raise BadInput(
                f"feature {self.name}",
                found=f"columns {', '.join(found.columns)}, {found.height} rows",
                wanted=f"one row for each {' x '.join(entity)}, or for some of these columns",
            )
        return found.with_columns(pl.col(VALUE).cast(pl.Float64))

    @property
    def empty(self) -> float:
        """What an entity that the function leaves out has."""
        return np.nan


Viewed = Coming | CoPurchase | Custom


def viewed_column(context: Context, feature: Viewed) -> Floats:
    """E x C: the value of each entity in each cutoff's frame."""
    found = np.full((*context.start.shape, 1), feature.empty)
    for i, frame in enumerate(context.viewed[feature]):
        keys = [name for name in frame.columns if name != VALUE]
        if not keys:
            found[:, i, 0] = frame[VALUE][0] if frame.height and frame[VALUE][0] is not None else feature.empty
            continue
        joined = context.names.join(frame, on=keys, how="left", maintain_order="left")
        values = joined[VALUE].cast(pl.Float64).to_numpy()
        found[:, i, 0] = np.where(np.isnan(values), feature.empty, values)
    return found


def _loaded(path: str) -> Callable[[View], Any]:
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise PlanError(
            f"feature {path}",
            found=str(error),
            wanted="package.module:function, importable where the plan runs",
            fix="put the module beside the plan, or install it",
        ) from None
    made: Callable[[View], Any] = found
    return made


def _places(values: pl.Series, among: pl.Series) -> Ticks:
    return np.asarray(among.search_sorted(values)).astype(np.int64)


__all__ = ["CoPurchase", "Coming", "ComingPart", "Custom", "Viewed", "viewed_column"]
