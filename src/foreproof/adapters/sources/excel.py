"""Excel sheets as typed columns: dates stay dates, whole numbers are whole, and a mixed column is text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from foreproof.adapters.sources.text import check_header
from foreproof.errors import MissingExtra, SourceError

_MIDNIGHT = " 00:00:00"


def read_sheet(name: str, body: bytes, sheet: str | int, *, wanted: Sequence[str] = ()) -> pl.DataFrame:
    """The rows of a sheet under its first row. sheet: its name, or its number from 1.

    Raises SourceError: no Excel file, no such sheet, no rows, a header that repeats a name or lacks a wanted one.
    """
    try:
        import fastexcel
    except ImportError:
        raise MissingExtra(
            name, found="an Excel file, and no fastexcel", fix='pip install "foreproof[excel]"'
        ) from None
    try:
        book = fastexcel.read_excel(body)
    except fastexcel.FastExcelError as error:
        found = f"not an Excel file ({str(error).splitlines()[0]})"
        raise SourceError(name, found=found, wanted="xlsx, xls, xlsb or ods", fix="set format: csv") from None
    place = _place(name, sheet, book.sheet_names)
    try:
        header = [str(value or "") for value in _header(book, place)]
        check_header(name, header, wanted)
        frame = pl.read_excel(body, sheet_name=book.sheet_names[place], engine="calamine", raise_if_empty=False)
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError, ValueError) as error:
        raise SourceError(name, found=f"a sheet that cannot be read ({str(error).splitlines()[0]})") from None
    if frame.is_empty():
        raise SourceError(name, found="a sheet without rows", wanted="a header and rows", fix="check sheet:")
    frame = frame.select([column for column in frame.columns if not wanted or column in wanted])
    return frame.with_columns(_whole(frame[column]) for column in frame.columns)


def _place(name: str, sheet: str | int, names: Sequence[str]) -> int:
    if isinstance(sheet, int) and 1 <= sheet <= len(names):
        return sheet - 1
    if isinstance(sheet, str) and sheet in names:
        return list(names).index(sheet)
    raise SourceError(
        name, found=f"no sheet {sheet!r}", wanted=f"one of {', '.join(names)}, or 1 to {len(names)}", fix="set sheet:"
    )


def _header(book: Any, place: int) -> tuple[Any, ...]:
    first = book.load_sheet(place, header_row=None, n_rows=1, dtypes="string").to_polars()
    return tuple(first.row(0)) if first.height else ()


def _whole(column: pl.Series) -> pl.Series:
    """Excel keeps every number with a point: numbers that are all whole become whole, so that a code reads 1001."""
    if column.dtype.is_float():
        held = column.drop_nulls()
        whole = held.is_finite().all() and (held == held.round()).all() and (held.abs() < 2**53).all()
        return column.cast(pl.Int64) if whole else column
    if column.dtype == pl.String:
        # Where text and dates share a column, a day comes as its midnight.
        return column.str.replace(rf"^(\d{{4}}-\d\d-\d\d){_MIDNIGHT}$", "$1")
    return column


__all__ = ["read_sheet"]
