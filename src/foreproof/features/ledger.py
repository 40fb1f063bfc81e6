"""Events by key: what happened in a window, for all keys and cutoffs, from one reading of the table.

Rows are gathered by key and period. A period of a key is calm where every row of it was known when the period ended and
was never changed: it is read from there on, so sums over (cutoff - lag - window, cutoff - lag] are differences of running
sums, which all windows of all cutoffs share. The few other rows are restless: they are looked at once a cutoff, as a view
would show them. Both kinds give integers, or numbers that do not depend on the kind: what a later version makes
restless keeps its bits (law 8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.clock import Ticks
from foreproof.core.contract import UNTIL
from foreproof.features.blocks import Block, Number, block_of
from foreproof.features.cells import CODE, FAR, PERIOD, SINCE, Values, Where
from foreproof.features.spans import counted, extremes, running

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

    def open(self, entities: Ticks, turn: Ticks, *, cutoffs: Ticks) -> Ledger:
        """The ledger of R questions: an entity, and the position of a cutoff in `cutoffs`."""
        asked = self.key[entities]
        low, high = (int(asked.min()), int(asked.max()) + 1) if len(asked) else (0, 0)
        first, last = np.searchsorted(self.calm.code, [low, high])
        calm = self.calm.among(int(first), int(last))
        restless = _among(self.restless, low, high)
        late = cutoffs.tolist() if restless.height else []
        size, place = high - low, None
        key, spot = asked - low, turn * (high - low) + (asked - low)
        if size * len(cutoffs) < len(asked):
            # many entities share a key: each key is answered once a cutoff
            place, spot = spot, np.arange(size * len(cutoffs))
            key = np.tile(np.arange(size), len(cutoffs))
        return Ledger(
            key=key,
            spot=spot,
            place=place,
            size=size,
            cutoffs=cutoffs,
            calm=Block(calm.code - low, calm.period, calm.rows, calm.numbers),
            restless=[block_of(_seen(restless, cutoff), self.numbers) for cutoff in late],
            different={name: _part(held, low, high) for name, held in self.different.items()},
            numbers=self.numbers,
        )


@dataclass(frozen=True)
class Ledger:
    """The events of K keys at C cutoffs, for R questions: every answer has R values, in stored units.

    Q questions are worked on: the R themselves, or, where these are more, all C x K (`place` then says which is whose).
    key: Q, of each. spot: Q, its position in an array of C x K. restless: by cutoff, or none where nothing is.
    """

    key: Ticks
    spot: Ticks
    place: Ticks | None
    size: int
    cutoffs: Ticks
    calm: Block
    restless: list[Block]
    different: Mapping[str, Different]
    numbers: Mapping[str, Number]
    memo: dict[Any, Any] = field(default_factory=dict)

    def rows(self, lag: int, window: int | None) -> Values:
        """How many rows happened in (cutoff - lag - window, cutoff - lag]."""
        return self._swept("rows", lambda block: block.rows, lag, window)

    def active(self, lag: int, window: int | None) -> Values:
        """In how many periods something happened."""
        found = self._upto(lag) - self._from(lag, window)
        return self._each(self._with_late(found, np.add, 0, lambda block: np.ones_like(block.rows), lag, window))

    def count(self, column: str, lag: int, window: int | None) -> Values:
        """How many numbers of a column there are."""
        return self._swept(("n", column), lambda block: block.numbers[column]["n"], lag, window)

    def total(self, column: str, lag: int, window: int | None) -> Values:
        """The sum of a column: whole where it is exact, else floats added from the oldest period on."""
        if not self.numbers[column].real:
            return self._swept(("sum", column), lambda block: block.numbers[column]["sum"], lag, window)
        total = np.zeros((len(self.cutoffs), self.size))
        for i, cutoff in enumerate(self.cutoffs.tolist()):
            low = -FAR if window is None else cutoff - lag - window
            seen = self._merged(i, cutoff - lag, low)
            total[i] = np.bincount(seen.code, weights=seen.numbers[column]["sum"], minlength=self.size)
        return self._each(np.take(total, self.spot))

    def extreme(self, kind: Extreme, column: str, lag: int, window: int | None) -> Floats:
        """The least or the largest number of a column, in its unit; NaN where there is none."""
        fold, blank = (np.minimum, np.inf) if kind == "min" else (np.maximum, -np.inf)
        scale = self.numbers[column].scale

        def units(block: Block) -> Floats:
            numbers = block.numbers[column]
            return np.where(numbers["n"] > 0, numbers[kind] / scale, blank)

        if (kind, column) not in self.memo:
            self.memo[kind, column] = units(self.calm)
        found = extremes(self.memo[kind, column], self._from(lag, window), self._upto(lag), fold=fold, blank=blank)
        found = self._with_late(found, fold, blank, units, lag, window)
        found[np.isinf(found)] = np.nan
        return self._each(found)

    def last(self, column: str, lag: int) -> Floats:
        """The last number of a column at or before cutoff - lag, in its unit; NaN where there is none."""
        found = np.full((len(self.cutoffs), self.size), np.nan)
        for i, cutoff in enumerate(self.cutoffs.tolist()):
            seen = self._merged(i, cutoff - lag, -FAR)
            there = seen.where(seen.numbers[column]["n"] > 0)
            # cells rise in period, and of equal targets the last assignment stays
            found[i, there.code] = there.numbers[column]["last"] / self.numbers[column].scale
        return self._each(np.take(found, self.spot))

    def newest(self, lag: int) -> Ticks:
        """The last period <= cutoff - lag in which something happened, -FAR where there is none."""
        if ("newest", lag) not in self.memo:
            before, end = np.append(-FAR, self.calm.period), self._upto(lag)
            found = np.where(end > self._first(), np.take(before, end), -FAR)
            found = self._with_late(found, np.maximum, -FAR, lambda block: block.period, lag, None)
            self.memo["newest", lag] = self._each(found)
        return np.asarray(self.memo["newest", lag])

    def oldest(self, lag: int) -> Ticks:
        """The first period <= cutoff - lag in which something happened, FAR where there is none."""
        if ("oldest", lag) not in self.memo:
            after, first = np.append(self.calm.period, FAR), self._first()
            found = np.where(self._upto(lag) > first, np.take(after, first), FAR)
            found = self._with_late(found, np.minimum, FAR, lambda block: block.period, lag, None)
            self.memo["oldest", lag] = self._each(found)
        return np.asarray(self.memo["oldest", lag])

    def distinct(self, column: str, lag: int, window: int | None) -> Ticks:
        """How many different values a column has in the window."""
        held = self.different[column]
        gone = held.following if window is None else np.minimum(held.following, held.period + window)
        ends = self.cutoffs - lag
        entered = counted(held.code, held.period, ends, size=self.size)
        found = entered - counted(held.code, gone, ends, size=self.size)
        for i, cutoff in enumerate(self.cutoffs.tolist() if held.restless.height else []):
            low = -FAR if window is None else cutoff - lag - window
            seen = _seen(held.restless, cutoff).filter(pl.col(PERIOD) <= cutoff - lag, pl.col(PERIOD) > low)
            codes = seen.select(CODE, "_named").unique()[CODE].to_numpy()
            found[i] += np.bincount(codes, minlength=self.size)
        return self._each(np.take(found, self.spot))

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
        return self._each(np.take(total, self.spot))

    def _swept(self, name: Any, weights: Callable[[Block], Ticks], lag: int, window: int | None) -> Values:
        """Integer weights of the cells with period in (cutoff - lag - window, cutoff - lag], added up."""
        if (name, lag, window) not in self.memo:
            if name not in self.memo:
                self.memo[name] = running(weights(self.calm))
            low = np.take(self.memo[name], self._first()) if window is None else self._run(name, lag + window)
            found = self._with_late(self._run(name, lag) - low, np.add, 0, weights, lag, window)
            self.memo[name, lag, window] = self._each(found)
        return np.asarray(self.memo[name, lag, window])

    def _run(self, name: Any, back: int) -> Values:
        """Q: the running sum of calm cells up to cutoff - back, those of keys before included."""
        if (name, back) not in self.memo:
            self.memo[name, back] = np.take(self.memo[name], self._upto(back))
        return np.asarray(self.memo[name, back])

    def _with_late(
        self, found: Values, fold: Any, blank: float, values: Callable[[Block], Values], lag: int, window: int | None
    ) -> Values:
        """Q: what calm cells gave, folded with the values of the restless cells in the windows."""
        if not self.restless:
            return found
        late = np.full((len(self.cutoffs), self.size), blank, dtype=found.dtype)
        for i, cutoff in enumerate(self.cutoffs.tolist()):
            block = _within(self.restless[i], cutoff - lag, -FAR if window is None else cutoff - lag - window)
            fold.at(late[i], block.code, values(block))
        return np.asarray(fold(found, np.take(late, self.spot)))

    def _upto(self, back: int) -> Ticks:
        """Q: where the calm cells of the key with period <= cutoff - back end."""
        if ("upto", back) not in self.memo:
            inside = counted(self.calm.code, self.calm.period, self.cutoffs - back, size=self.size)
            self.memo["upto", back] = np.take(inside, self.spot) + self._first()
        return np.asarray(self.memo["upto", back])

    def _first(self) -> Ticks:
        """Q: where the calm cells of the key begin."""
        if "first" not in self.memo:
            self.memo["first"] = np.take(np.searchsorted(self.calm.code, np.arange(self.size)), self.key)
        return np.asarray(self.memo["first"])

    def _from(self, lag: int, window: int | None) -> Ticks:
        """Q: where the calm cells of the window begin."""
        return self._first() if window is None else self._upto(lag + window)

    def _each(self, found: Values) -> Values:
        """Q to R."""
        return found if self.place is None else np.take(found, self.place)

    def _merged(self, place: int, end: int, low: int) -> Block:
        """The cells with period in (low, end] as the cutoff's view shows them, sorted by code and period."""
        calm = _within(self.calm, end, low)
        if not self.restless:
            return calm
        other = _within(self.restless[place], end, low)
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
    return Different(held.code[part] - low, held.period[part], held.following[part], _among(held.restless, low, high))


def _among(rows: pl.DataFrame, low: int, high: int) -> pl.DataFrame:
    """The rows of keys low ... high - 1, coded anew from 0."""
    if not rows.height:
        return rows
    return rows.filter(pl.col(CODE).is_between(low, high - 1)).with_columns(pl.col(CODE) - low)


def _seen(rows: pl.DataFrame, cutoff: int) -> pl.DataFrame:
    return rows.filter(pl.col(SINCE) <= cutoff, pl.col(UNTIL) > cutoff) if rows.height else rows


def _within(block: Block, end: int, low: int) -> Block:
    """The cells with period in (low, end]."""
    if not len(block.code):
        return block
    return block.where((block.period > low) & (block.period <= end))


__all__ = ["Different", "EventSource", "Events", "Extreme", "Kind", "Ledger", "Tally"]
