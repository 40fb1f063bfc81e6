"""Deciders see beliefs, judges see truth: what a policy is given and what it gives back.

A policy receives quantiles of what will happen after the cutoff, and facts known at the cutoff. What did happen after
it never reaches a policy: the replay compares decisions with it afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.predict import CUTOFF, LEVEL, VALUE
from foreproof.errors import BadInput, LawError

BECAUSE = "because"

Floats = npt.NDArray[np.float64]

_NAMES = (pl.String, pl.Categorical, pl.Enum)


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """What to do for each entity at each cutoff, and why.

    rows: entity columns, `cutoff`, one Float64 column for each name in `actions`, `because` (text); one row per entity
    and cutoff, no NaN, no infinity, no decision without a reason. The constructor checks that (LawError otherwise).
    """

    entity: tuple[str, ...]
    actions: tuple[str, ...]
    rows: pl.DataFrame

    def __post_init__(self) -> None:
        wanted = [*self.index, *self.actions, BECAUSE]
        if self.rows.columns != wanted:
            raise LawError("decisions", found=f"columns {self.rows.columns}", wanted=f"{wanted}")
        finite = pl.all_horizontal(pl.col(name).is_finite().fill_null(False) for name in self.actions)
        self._refuse("holds no finite number", self.rows.filter(~finite))
        self._refuse("comes twice", self.rows.filter(self.rows.select(self.index).is_duplicated()))
        self._refuse("gives no reason", self.rows.filter(pl.col(BECAUSE).fill_null("").str.strip_chars() == ""))

    @property
    def index(self) -> list[str]:
        """The columns that name one decision."""
        return [*self.entity, CUTOFF]

    def canonical(self) -> pl.DataFrame:
        """The rows sorted: what digests are taken of."""
        return self.rows.sort(self.index)

    def _refuse(self, what: str, rows: pl.DataFrame) -> None:
        if rows.height:
            found = f"{rows.height} of {self.rows.height} decisions: one {what}: {rows.row(0, named=True)}"
            raise LawError("decisions", found=found)


class Policy(Protocol):
    """A way to decide, as a frozen value."""

    def decide(self, beliefs: pl.DataFrame, *, held: pl.DataFrame | None = None) -> Decisions:
        """Decide from what was believed and held at each cutoff, and from nothing that happened after it.

        beliefs: entity columns, `cutoff`, `level`, `value` (see `parse_beliefs`). held: entity columns, `cutoff` where it
        changes between cutoffs, and what is known of each entity then (stock, costs, capacity). The same beliefs and held
        give the same decisions, in whatever order their rows come.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """Quantiles of one quantity for each entity and cutoff.

    keys: n rows, entity columns and `cutoff`, sorted. levels: K, rising, in (0, 1). values: n x K, finite, in the unit of
    the quantity, never falling along a row.
    """

    keys: pl.DataFrame
    levels: Floats
    values: Floats

    @property
    def entity(self) -> tuple[str, ...]:
        """The columns that name an entity."""
        return tuple(name for name in self.keys.columns if name != CUTOFF)


def parse_beliefs(frame: pl.DataFrame) -> Beliefs:
    """Beliefs from a frame with `cutoff`, `level`, `value`; every other column names the entity (text or integer).

    Raises BadInput for missing or wrong columns (a number column beside the value could be what happened, so it is
    refused), missing or infinite values, levels outside (0, 1), repeated rows, levels that differ between entities, and
    quantiles that cross.
    """
    lacking = [name for name in (CUTOFF, LEVEL, VALUE) if name not in frame.columns]
    if lacking:
        raise BadInput("beliefs", found=f"no column {', '.join(lacking)}", wanted="cutoff, level, value", fix="add it")
    if frame.height == 0:
        raise BadInput("beliefs", found="no rows", wanted="at least one quantile of one entity")
    index = [name for name in frame.columns if name not in (CUTOFF, LEVEL, VALUE)] + [CUTOFF]
    _check_index(frame, index)
    for name in (LEVEL, VALUE):
        if not frame.schema[name].is_numeric():
            raise BadInput(f"beliefs.{name}", found=f"type {frame.schema[name]}", wanted="numbers")
    rows = frame.with_columns(pl.col(LEVEL, VALUE).cast(pl.Float64)).sort([*index, LEVEL])
    outside = ~pl.col(LEVEL).is_between(0, 1, closed="none").fill_null(False)
    finite = pl.col(VALUE).is_finite().fill_null(False)
    repeated = pl.struct(*index, LEVEL).is_duplicated()
    _refuse_rows(rows, ~finite, what="value is missing or infinite", fix="fill or drop these series before deciding")
    _refuse_rows(rows, outside, what="level is not strictly between 0 and 1", fix="give levels such as 0.1, 0.5, 0.9")
    _refuse_rows(rows, repeated, what="level comes twice", fix="keep one row per entity, cutoff and level")
    keys = rows.select(index).unique(maintain_order=True)
    levels = rows[LEVEL].to_numpy()
    width = rows.height // keys.height
    if rows.height % keys.height or not np.array_equal(levels, np.tile(levels[:width], keys.height)):
        groups = rows.group_by(index, maintain_order=True).agg(pl.col(LEVEL))
        usual = groups[LEVEL][0].to_list()
        other = next(row for row in groups.iter_rows(named=True) if row[LEVEL] != usual)
        raise BadInput(
            "beliefs", found=f"levels {other}", wanted=f"the same for all: {usual}", fix="add or drop levels"
        )
    fall = pl.col(VALUE).diff().over(index, order_by=LEVEL) < 0
    _refuse_rows(rows, fall.fill_null(False), what="value is below that of a lower level", fix="sort the quantiles")
    return Beliefs(keys, levels[:width].copy(), rows[VALUE].to_numpy().reshape(keys.height, width).copy())


def quantile_arrays(levels: npt.ArrayLike, values: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Bare quantiles, checked: levels, K, rising in (0, 1); values, ... x K, finite, never falling along the last axis.

    For arithmetic that is called with arrays instead of a frame. Raises BadInput.
    """
    u, v = np.asarray(levels, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if u.ndim != 1 or u.size == 0 or v.ndim == 0 or v.shape[-1] != u.size:
        raise BadInput("beliefs", found=f"levels {u.shape}, values {v.shape}", wanted="K levels, and K values a row")
    if not (u[0] > 0.0 and u[-1] < 1.0 and np.all(np.diff(u) > 0.0)):
        raise BadInput("beliefs.level", found=f"{u.tolist()}", wanted="rising levels strictly between 0 and 1")
    if not np.all(np.isfinite(v)):
        raise BadInput("beliefs.value", found="a value that is missing or infinite", wanted="finite numbers")
    if np.any(np.diff(v) < 0.0):
        raise BadInput("beliefs.value", found="a value below that of a lower level", fix="sort the quantiles")
    return u, v


def look_up(keys: pl.DataFrame, facts: pl.DataFrame, *, columns: Sequence[str], subject: str) -> list[Floats]:
    """The numbers in `columns` of `facts`, one array of n for each, in the order of the n `keys`.

    Rows meet on the entity columns, and on `cutoff` where `facts` has one; rows of other entities are passed over.
    Raises BadInput (about `subject`) for a lacking column, a key of another type, a key that comes twice, a key without
    a row, and a missing or infinite number.
    """
    on = [name for name in keys.columns if name != CUTOFF or name in facts.columns]
    lacking = [name for name in (*on, *columns) if name not in facts.columns]
    if lacking:
        found = f"no column {', '.join(lacking)} (there are: {', '.join(facts.columns)})"
        raise BadInput(subject, found=found, wanted=", ".join((*on, *columns)), fix="add it, or rename one")
    for name in on:
        if facts.schema[name] != keys.schema[name]:
            found = f"{name} of type {facts.schema[name]}"
            raise BadInput(subject, found=found, wanted=f"{keys.schema[name]}, as in the beliefs", fix="cast it")
    for name in columns:
        if not facts.schema[name].is_numeric():
            raise BadInput(f"{subject}.{name}", found=f"type {facts.schema[name]}", wanted="numbers")
    repeated = facts.filter(facts.select(on).is_duplicated()) if on else facts.slice(1)
    if repeated.height:
        found = f"{_name(repeated, on)} comes more than once"
        raise BadInput(subject, found=found, wanted=f"one row per {', '.join(on) or 'decision'}", fix="keep one")
    unknown = keys.join(facts, on=on, how="anti") if on else keys.clear() if facts.height else keys
    if unknown.height:
        found = f"no row for {unknown.height} of {keys.height} decisions (first: {_name(unknown, on)})"
        raise BadInput(subject, found=found, wanted="a row for each entity that is decided on", fix="add the row")
    chosen = facts.select(*on, pl.col(columns).cast(pl.Float64))
    matched = keys.join(chosen, on=on, how="left", maintain_order="left") if on else keys.join(chosen, how="cross")
    for name in columns:
        bad = matched.filter(~pl.col(name).is_finite().fill_null(False))
        if bad.height:
            found = f"missing or infinite for {bad.height} of {keys.height} decisions (first: {_name(bad, on)})"
            raise BadInput(f"{subject}.{name}", found=found, wanted="a finite number", fix="fill it in; 0 is a number")
    return [matched[name].to_numpy() for name in columns]


def _check_index(frame: pl.DataFrame, index: Sequence[str]) -> None:
    for name in index:
        dtype = frame.schema[name]
        if name == CUTOFF and not (dtype.is_temporal() or dtype.is_integer()):
            raise BadInput("beliefs.cutoff", found=f"type {dtype}", wanted="an instant, a date or an integer step")
        if name != CUTOFF and not (dtype in _NAMES or dtype.is_integer()):
            wanted = "text or integers: every column but cutoff, level and value names the entity"
            raise BadInput(f"beliefs.{name}", found=f"type {dtype}", wanted=wanted, fix="drop the column, or cast it")
    if frame.select(index).null_count().sum_horizontal().item():
        raise BadInput("beliefs", found=f"an empty place in {', '.join(index)}", wanted="a name for every row")


def _refuse_rows(rows: pl.DataFrame, bad: pl.Expr, *, what: str, fix: str) -> None:
    found = rows.filter(bad)
    if found.height:
        first = found.row(0, named=True)
        raise BadInput("beliefs", found=f"{what} in {found.height} of {rows.height} rows (first: {first})", fix=fix)


def _name(rows: pl.DataFrame, columns: Sequence[str]) -> str:
    return ", ".join(f"{name} {rows[name][0]}" for name in columns) or "the one entity"


__all__ = ["BECAUSE", "Beliefs", "Decisions", "Floats", "Policy", "look_up", "parse_beliefs", "quantile_arrays"]
