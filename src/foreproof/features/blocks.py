"""Cells of events: one a key and period, with what is known of the rows in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.clock import Ticks
from foreproof.core.contract import BATCH, HAPPENED, KNOWN
from foreproof.features.cells import CODE, FAR, PERIOD, Values

Floats = npt.NDArray[np.float64]
_ROWS = "_rows"
_BITS = 62


@dataclass(frozen=True, slots=True)
class Block:
    """Cells, one a key and period, sorted by both: rows (how many), and by column what is known of its numbers.

    numbers: of each column `n` (numbers that are there), and of `sum`, `min`, `max`, `last` those asked for, in stored units.
    """

    code: Ticks
    period: Ticks
    rows: Ticks
    numbers: Mapping[str, Mapping[str, Values]]

    def among(self, first: int, last: int) -> Block:
        """The cells first ... last - 1, codes counted from 0 at `first`'s."""
        part = slice(first, last)
        numbers = {name: {what: held[part] for what, held in kinds.items()} for name, kinds in self.numbers.items()}
        return Block(self.code[part], self.period[part], self.rows[part], numbers)

    def where(self, rows: npt.NDArray[np.bool_]) -> Block:
        """The cells of a mask."""
        numbers = {name: {what: held[rows] for what, held in kinds.items()} for name, kinds in self.numbers.items()}
        return Block(self.code[rows], self.period[rows], self.rows[rows], numbers)


@dataclass(frozen=True, slots=True)
class Number:
    """A column of numbers: what stored ones are divided by, whether they are floats, and what is taken of them."""

    scale: int
    real: bool
    kinds: tuple[str, ...]


def block_of(rows: pl.DataFrame, numbers: Mapping[str, Number]) -> Block:
    """Cells of rows; floats of a cell are added in rising order."""
    whole = _whole(rows, numbers)
    if whole is not None:
        return whole
    made = [pl.len().cast(pl.Int64).alias(_ROWS)]
    for name, number in numbers.items():
        column = pl.col(name)
        made.append(column.count().cast(pl.Int64).alias(f"n:{name}"))
        for kind in number.kinds:
            if kind == "last":
                made.append(column.sort_by(HAPPENED, KNOWN, BATCH, name).drop_nulls().last().alias(f"last:{name}"))
            elif not (number.real and kind == "sum"):
                made.append(getattr(column, kind)().alias(f"{kind}:{name}"))
    frame = _grouped(rows, made)
    held: dict[str, dict[str, Values]] = {}
    for name, number in numbers.items():
        held[name] = {"n": frame[f"n:{name}"].to_numpy()}
        for kind in number.kinds:
            exact = not (number.real and kind == "sum")
            held[name][kind] = frame[f"{kind}:{name}"].fill_null(0).to_numpy() if exact else _sums(rows, name, frame)
    code, period, count = (frame[name].to_numpy().astype(np.int64, copy=False) for name in (CODE, PERIOD, _ROWS))
    return Block(code, period, count, held)


def summed(cells: pl.DataFrame, numbers: Mapping[str, Number]) -> Block:
    """Cells of finer cells (columns `rows`, `n:NAME`, `sum:NAME`): all are integers and add up."""
    frame = _grouped(cells, [pl.exclude(CODE, PERIOD).sum()])
    held = {name: {what: frame[f"{what}:{name}"].to_numpy() for what in ("n", "sum")} for name in numbers}
    return Block(frame[CODE].to_numpy(), frame[PERIOD].to_numpy(), frame["rows"].to_numpy(), held)


def _whole(rows: pl.DataFrame, numbers: Mapping[str, Number]) -> Block | None:
    """Cells by sorting, each number packed into one integer with its cell: much cheaper than grouping.

    None where numbers are not whole, not all there, asked for their last, or too large for what the cell leaves of 62 bits.
    """
    if not rows.height or any(number.real or "last" in number.kinds for number in numbers.values()):
        return None
    limits = rows.select(
        pl.col(PERIOD, CODE, *numbers).min().name.prefix("low:"),
        pl.col(PERIOD, CODE, *numbers).max().name.prefix("high:"),
        pl.col(*numbers).null_count().name.prefix("empty:") if numbers else pl.lit(0).alias("empty:"),
    ).row(0, named=True)
    low, span = limits[f"low:{PERIOD}"], limits[f"high:{PERIOD}"] - limits[f"low:{PERIOD}"] + 1
    cells = ((limits[f"high:{CODE}"] + 1) * span).bit_length()
    if cells > _BITS or any(empty for name, empty in limits.items() if name.startswith("empty:")):
        return None
    widths = {name: (limits[f"high:{name}"] - limits[f"low:{name}"]).bit_length() for name in numbers}
    if any(cells + width > _BITS for width in widths.values()):
        return None
    cell = rows[CODE].to_numpy() * span
    cell += rows[PERIOD].to_numpy()
    cell -= low
    starts, held = None, {}
    for name, number in numbers.items():
        packed = cell << widths[name]
        packed += rows[name].to_numpy()
        packed -= limits[f"low:{name}"]
        packed.sort()
        if starts is None:
            starts, kept = _starts(packed >> widths[name])
        packed &= (1 << widths[name]) - 1
        packed += limits[f"low:{name}"]
        held[name] = {kind: _taken(kind, packed, starts) for kind in number.kinds}
        del packed
    if starts is None:
        cell.sort()
        starts, kept = _starts(cell)
    many = np.diff(starts, append=rows.height)
    code, period = np.divmod(kept, span)
    period += low
    return Block(code, period, many, {name: {"n": many, **kinds} for name, kinds in held.items()})


def _starts(cell: Ticks) -> tuple[Ticks, Ticks]:
    """Where each value of a sorted array begins, and the values."""
    first = np.ones(len(cell), dtype=bool)
    np.not_equal(cell[1:], cell[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    return starts, cell[starts]


def _taken(kind: str, values: Ticks, starts: Ticks) -> Ticks:
    """The sum, least or largest of runs of rising values."""
    match kind:
        case "sum":
            return np.asarray(np.add.reduceat(values, starts))
        case "min":
            return values[starts]
        case _:
            return np.asarray(values[np.append(starts[1:], len(values)) - 1])


def _grouped(rows: pl.DataFrame, made: list[pl.Expr]) -> pl.DataFrame:
    """`made` by code and period, sorted by both; by one number instead of two where they fit into one."""
    low, high, most = rows.select(pl.col(PERIOD).min(), pl.col(PERIOD).max().alias("h"), pl.col(CODE).max()).row(0)
    if not rows.height or (most + 1) * (high - low + 1) >= FAR:
        return rows.group_by(CODE, PERIOD).agg(made).sort(CODE, PERIOD)
    span = high - low + 1
    one = rows.select((pl.col(CODE) * span + (pl.col(PERIOD) - low)).alias(CODE), pl.exclude(CODE, PERIOD))
    frame = one.group_by(CODE).agg(made).sort(CODE)
    return frame.with_columns(pl.col(CODE) // span, (pl.col(CODE) % span + low).alias(PERIOD))


def _sums(rows: pl.DataFrame, name: str, frame: pl.DataFrame) -> Floats:
    """The sum of floats by cell, added in rising order; empty ones are 0."""
    ordered = rows.select(CODE, PERIOD, pl.col(name).fill_null(0.0)).sort(CODE, PERIOD, name)
    sizes = frame[_ROWS].to_numpy()
    if not len(sizes):
        return np.empty(0)
    return np.asarray(np.add.reduceat(ordered[name].to_numpy(), np.cumsum(sizes) - sizes))


__all__ = ["Block", "Number", "block_of", "summed"]
