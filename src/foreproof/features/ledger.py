"""Events by key: what happened in a window, for all keys and cutoffs, from one reading of the table.

Rows are gathered by key and period. A period of a key is calm where every row of it was known when the period ended and
was never changed: it is read from there on, so sums over (cutoff - lag - window, cutoff - lag] are differences of running
sums, which all windows of all cutoffs share. The few other rows are restless: they are looked at once a cutoff, as a view
would show them. Both kinds give integers, or numbers that do not depend on the kind: what a later version makes
restless keeps its bits (law 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.clock import Ticks
from foreproof.core.contract import UNTIL
from foreproof.features.blocks import Block, Number, block_of
from foreproof.features.cells import CODE, FAR, PERIOD, SINCE, Values, Where

Floats = npt.NDArray[np.float64]
Extreme = Literal["min", "max"]
Kind = Literal["rows", "sum", "min", "max", "last", "distinct"]


@dataclass(frozen=True, slots=True)
class Events:
    """The rows of a table, read as events of the entities whose name they bear.

    along: the columns of an entity's name that a row must share with it: of account x group, `("account",)` reads all that the
    account did, and () all that anybody did; None for every one that the table has. keep, drop: (column, values) that a
    row must, must not have.
    """

    table: str
    along: tuple[str, ...] | None = None
    keep: Where = ()
    drop: Where = ()

    def __str__(self) -> str:
        along = "" if self.along is None else f" along {' x '.join(self.along) or 'all'}"
        return f"{self.table}{along}"

    @property
    def tail(self) -> str:
        """The end of a feature's name."""
        along = "" if self.along is None else f"_along_{'_'.join(self.along) or 'all'}"
        return f"_of_{self.table}{along}{'_where' if self.keep or self.drop else ''}"


@dataclass(frozen=True, slots=True)
class Tally:
    """What a feature needs of events: which rows, and what is taken of which column, over (cutoff - lag - window, cutoff - lag].

    lag, window: steps; window None for the whole life.
    """

    events: Events
    lag: int = 0
    window: int | None = None
    kind: Kind = "rows"
    column: str = ""


@dataclass(frozen=True, slots=True)
class Different:
    """For one column, each (key, value): the periods with it, calm ones with the period that follows, and restless rows."""

    code: Ticks
    period: Ticks
    following: Ticks
    restless: pl.DataFrame


@dataclass(frozen=True, slots=True)
class EventSource:
    """Events of K keys, read once for all cutoffs. key: of each entity. numbers: its columns. whole: all rows of the table are
    in it, and calm.
    """

    key: Ticks
    size: int
    calm: Block
    restless: pl.DataFrame
    different: Mapping[str, Different]
    numbers: Mapping[str, Number]
    whole: bool = False

    def open(self, entities: Ticks, *, cutoffs: Ticks, borders: Ticks) -> Ledger:
        """The ledger of some entities at C cutoffs; borders: every period at which one of their windows begins or ends."""
        keys, key = np.unique(self.key[entities], return_inverse=True)
        low, high = (int(keys[0]), int(keys[-1]) + 1) if len(keys) else (0, 0)
        first, last = np.searchsorted(self.calm.code, [low, high])
        calm = self.calm.among(int(first), int(last))
        code = calm.code - low
        inside = self.restless.filter(pl.col(CODE).is_between(low, high - 1))
        restless = inside.with_columns(pl.col(CODE) - low)
        if restless.height:
            blocks = [block_of(_seen(restless, cutoff), self.numbers) for cutoff in cutoffs.tolist()]
        else:
            blocks = [self.calm.among(0, 0)] * len(cutoffs)
        different = {name: _part(held, low, high) for name, held in self.different.items()}
        place = keys[key.reshape(-1)] - low
        return Ledger(
            key=place,
            size=high - low,
            cutoffs=cutoffs,
            borders=borders,
            calm=Block(code, calm.period, calm.rows, calm.numbers),
            restless=blocks,
            different=different,
            numbers=self.numbers,
            alone=len(place) == high - low and bool((place == np.arange(len(place))).all()),
        )


@dataclass(frozen=True)
class Ledger:
    """The events of E entities with K keys at C cutoffs. Every answer is E x C, in stored units.

    alone: whether entity e is key e.
    """

    key: Ticks
    size: int
    cutoffs: Ticks
    borders: Ticks
    calm: Block
    restless: list[Block]
    different: Mapping[str, Different]
    numbers: Mapping[str, Number]
    alone: bool
    memo: dict[Any, Any] = field(default_factory=dict)

    def rows(self, lag: int, window: int | None) -> Ticks:
        """How many rows happened in (cutoff - lag - window, cutoff - lag]."""
        return self._each(self._swept("rows", lambda block: block.rows, lag, window))

    def active(self, lag: int, window: int | None) -> Ticks:
        """In how many periods something happened."""
        return self._each(self._swept("active", lambda block: np.ones_like(block.rows), lag, window))

    def count(self, column: str, lag: int, window: int | None) -> Ticks:
        """How many numbers of a column there are."""
        return self._each(self._swept(("n", column), lambda block: block.numbers[column]["n"], lag, window))

    def total(self, column: str, lag: int, window: int | None) -> Values:
        """The sum of a column; Int64 where it is exact, else floats added from the oldest period on."""
        if not self.numbers[column].real:
            swept = self._swept(("sum", column), lambda block: block.numbers[column]["sum"], lag, window)
            return self._each(swept)
        total = np.zeros((len(self.cutoffs), self.size))
        for i, cutoff in enumerate(self.cutoffs.tolist()):
            low = -FAR if window is None else cutoff - lag - window
            seen = self._merged(i, cutoff - lag, low)
            total[i] = np.bincount(seen.code, weights=seen.numbers[column]["sum"], minlength=self.size)
        return self._each(total)

    def extreme(self, kind: Extreme, column: str, lag: int, window: int | None) -> Floats:
        """The least or the largest number of a column, in its unit; NaN where there is none."""
        least = kind == "min"
        fold = np.minimum if least else np.maximum
        blank = np.inf if least else -np.inf
        high, low = self._at(lag), None if window is None else self._at(lag + window)
        held = self._buckets(
            (kind, column), lambda block: _units(block, column, kind, self.numbers[column].scale), fold, blank
        )
        found = np.full((len(self.cutoffs), self.size), blank)
        for i, cutoff in enumerate(self.cutoffs.tolist()):
            first = 0 if low is None else low[i] + 1
            if first <= high[i]:
                found[i] = fold.reduce(held[first : high[i] + 1], axis=0)
            block = _within(self.restless[i], cutoff - lag, -FAR if window is None else cutoff - lag - window)
            fold.at(found[i], block.code, _units(block, column, kind, self.numbers[column].scale))
        return self._each(np.where(np.isinf(found), np.nan, found))

    def last(self, column: str, lag: int) -> Floats:
        """The last number of a column at or before cutoff - lag, in its unit; NaN where there is none."""
        found = np.full((len(self.cutoffs), self.size), np.nan)
        for i, cutoff in enumerate(self.cutoffs.tolist()):
            seen = self._merged(i, cutoff - lag, -FAR)
            there = seen.where(seen.numbers[column]["n"] > 0)
            # cells rise in period, and of equal targets the last assignment stays
            found[i, there.code] = there.numbers[column]["last"] / self.numbers[column].scale
        return self._each(found)

    def newest(self, lag: int) -> Ticks:
        """The last period <= cutoff - lag in which something happened, -FAR where there is none."""
        return self._each(self._edge(np.maximum, -FAR, lag))

    def oldest(self, lag: int) -> Ticks:
        """The first period <= cutoff - lag in which something happened, FAR where there is none."""
        return self._each(self._edge(np.minimum, FAR, lag))

    def distinct(self, column: str, lag: int, window: int | None) -> Ticks:
        """How many different values a column has in the window."""
        held = self.different[column]
        gone = held.following if window is None else np.minimum(held.following, held.period + window)
        shift = self.cutoffs - lag
        entered, left = (
            _running(place * self.size + held.code, np.ones_like(held.code), len(self.borders), self.size)
            for place in (np.searchsorted(self.borders, moved, side="left") for moved in (held.period, gone))
        )
        at = np.searchsorted(self.borders, shift)
        found: Ticks = (entered - left)[at]
        for i, cutoff in enumerate(self.cutoffs.tolist() if held.restless.height else []):
            low = -FAR if window is None else cutoff - lag - window
            seen = _seen(held.restless, cutoff).filter(pl.col(PERIOD) <= cutoff - lag, pl.col(PERIOD) > low)
            codes = seen.select(CODE, "_named").unique()[CODE].to_numpy()
            found[i] += np.bincount(codes, minlength=self.size)
        return self._each(found)

    def decayed(self, column: str, half_life: float, lag: int) -> Floats:
        """The sum over all cells of 2^(-(cutoff - lag - period) / half_life) x rows, or x a column's sum, in stored units."""
        total = np.zeros((len(self.cutoffs), self.size))
        for i, cutoff in enumerate(self.cutoffs.tolist()):
            seen = self._merged(i, cutoff - lag, -FAR)
            age = cutoff - lag - seen.period
            # one table for all: a power taken of an array may differ in the last bit with its place there
            table = np.array([2.0 ** (-step / half_life) for step in range(int(age.max(initial=0)) + 1)])
            weights = seen.numbers[column]["sum"] if column else seen.rows
            total[i] = np.bincount(seen.code, weights=table[age] * weights, minlength=self.size)
        return self._each(total)

    def _swept(self, name: Any, weights: Any, lag: int, window: int | None) -> Ticks:
        """C x K: integer weights of the cells with period in (cutoff - lag - window, cutoff - lag]."""
        if name not in self.memo:
            at = self._places() * self.size + self.calm.code
            self.memo[name] = _running(at, weights(self.calm), len(self.borders), self.size)
        if (name, lag, window) in self.memo:
            return np.asarray(self.memo[name, lag, window])
        running = self.memo[name]
        found: Ticks = running[self._at(lag)]
        if window is not None:
            found -= running[self._at(lag + window)]
        for i, cutoff in enumerate(self.cutoffs.tolist()):
            if len(self.restless[i].code):
                block = _within(self.restless[i], cutoff - lag, -FAR if window is None else cutoff - lag - window)
                np.add.at(found[i], block.code, weights(block))
        self.memo[name, lag, window] = found
        return found

    def _edge(self, fold: Any, blank: int, lag: int) -> Ticks:
        name = ("edge", blank, lag)
        if name not in self.memo:
            place = np.searchsorted(self.cutoffs - lag, self.calm.period, side="left")
            held = np.full((len(self.cutoffs) + 1) * self.size, blank, dtype=np.int64)
            fold.at(held, place * self.size + self.calm.code, self.calm.period)
            found = fold.accumulate(held.reshape(len(self.cutoffs) + 1, self.size)[:-1], axis=0)
            for i, cutoff in enumerate(self.cutoffs.tolist()):
                block = _within(self.restless[i], cutoff - lag, -FAR)
                fold.at(found[i], block.code, block.period)
            self.memo[name] = found
        return np.asarray(self.memo[name])

    def _buckets(self, name: Any, values: Any, fold: Any, blank: float) -> Any:
        """(borders + 1) x K: the fold of calm cells between one border and the next."""
        if name not in self.memo:
            place = self._places()
            width = len(self.borders) + 1
            held = np.full(self.size * width, blank)
            fold.at(held, place * self.size + self.calm.code, values(self.calm))
            self.memo[name] = held.reshape(width, self.size)
        return self.memo[name]

    def _places(self) -> Ticks:
        """The border at or after each calm cell."""
        if "places" not in self.memo:
            self.memo["places"] = np.searchsorted(self.borders, self.calm.period, side="left")
        return np.asarray(self.memo["places"])

    def _each(self, found: Values) -> Values:
        """C x K to E x C."""
        return (found if self.alone else np.take(found, self.key, axis=1)).T

    def _at(self, back: int) -> Ticks:
        return np.searchsorted(self.borders, self.cutoffs - back)

    def _merged(self, place: int, end: int, low: int) -> Block:
        """The cells with period in (low, end] as the cutoff's view shows them, sorted by code and period."""
        calm, other = _within(self.calm, end, low), _within(self.restless[place], end, low)
        if not len(other.code):
            return calm
        order = np.lexsort((np.append(calm.period, other.period), np.append(calm.code, other.code)))
        numbers = {
            name: {what: np.append(held, other.numbers[name][what])[order] for what, held in kinds.items()}
            for name, kinds in calm.numbers.items()
        }
        return Block(
            np.append(calm.code, other.code)[order],
            np.append(calm.period, other.period)[order],
            np.append(calm.rows, other.rows)[order],
            numbers,
        )


def _part(held: Different, low: int, high: int) -> Different:
    first, last = np.searchsorted(held.code, [low, high])
    part = slice(int(first), int(last))
    restless = held.restless.filter(pl.col(CODE).is_between(low, high - 1)).with_columns(pl.col(CODE) - low)
    return Different(held.code[part] - low, held.period[part], held.following[part], restless)


def _seen(rows: pl.DataFrame, cutoff: int) -> pl.DataFrame:
    return rows.filter(pl.col(SINCE) <= cutoff, pl.col(UNTIL) > cutoff) if rows.height else rows


def _within(block: Block, end: int, low: int) -> Block:
    """The cells with period in (low, end]."""
    if not len(block.code):
        return block
    return block.where((block.period > low) & (block.period <= end))


def _units(block: Block, column: str, kind: str, scale: int) -> Floats:
    numbers = block.numbers[column]
    blank = np.inf if kind == "min" else -np.inf
    return np.where(numbers["n"] > 0, numbers[kind] / scale, blank)


def _running(at: Ticks, weights: Ticks, borders: int, size: int) -> Ticks:
    """Borders x K: the sum of integer weights of the cells up to each border; at: where a cell is counted, border by border."""
    held = np.zeros((borders + 1) * size, dtype=np.int64)
    np.add.at(held, at, weights)
    total = held.reshape(borders + 1, size)[:-1]
    # whole lines at a time: numpy's own cumsum walks each key's few borders one by one
    for line in range(1, borders):
        total[line] += total[line - 1]
    return total


__all__ = ["Different", "EventSource", "Events", "Extreme", "Kind", "Ledger", "Tally"]
