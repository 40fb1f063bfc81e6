"""CSV as text columns. Types are the contract's business, which can then say which row it refuses.

polars fills what a short line lacks with nulls and renames columns that share a name; both would be silent losses, so the
shape of the file is checked here before polars reads it.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from foreproof.errors import SourceError

Decimal = Literal[".", ","]
_DELIMITERS = (",", ";", "\t", "|")
_CHUNK = 1 << 20
"""Bytes that are decoded or counted at a time."""
_NEWLINE = 10


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written."""

    delimiter: str = ","
    decimal: Decimal = "."
    encoding: str = "utf-8"
    quote: str = '"'
    null_values: tuple[str, ...] = ("",)


def read_text(name: str, body: bytes, dialect: Dialect, *, wanted: Sequence[str] = ()) -> pl.DataFrame:
    """The rows of a CSV file, every column as text. name: the file, for errors. wanted: columns to read, none means all.

    Raises SourceError: an empty file, no rows, bytes that are not in the encoding, a header that repeats a name or lacks
    a wanted one, a line with more or fewer fields than the header.
    """
    if not body.strip():
        raise SourceError(name, found="an empty file", wanted="a header and rows")
    body = _utf8(name, body, dialect.encoding).removeprefix(b"\xef\xbb\xbf")
    if body.endswith((b"\n\n", b"\n\r\n")):
        body = body.rstrip(b"\r\n") + b"\n"
    try:
        header, start = _header(body, dialect)
    except csv.Error as error:
        raise SourceError(name, found=f"a header that cannot be read ({error})", fix="check quote:") from None
    check_header(name, header, wanted, delimiter=dialect.delimiter)
    if not body[start : start + _CHUNK].strip() and not body[start:].strip():
        raise SourceError(name, found="a header and no rows", wanted="rows", fix="check the export")
    if len(header) > 1 and _is_ragged(body, start, len(header), dialect):
        # Where the slow reader gives up, polars judges: it reads the file in any case.
        with suppress(csv.Error):
            _refuse_ragged(name, body, len(header), dialect)
    columns = [column for column in header if not wanted or column in wanted]
    try:
        frame = pl.read_csv(
            body,
            columns=columns,
            separator=dialect.delimiter,
            quote_char=dialect.quote or None,
            null_values=list(dialect.null_values),
            infer_schema=False,
            truncate_ragged_lines=False,
        )
    except pl.exceptions.PolarsError as error:
        found = str(error).strip().splitlines()[0]
        raise SourceError(
            name, found=found, wanted="as many fields in each line as in the header", fix="quote the delimiter"
        ) from None
    return frame.with_columns(_point(pl.col(pl.String))) if dialect.decimal == "," else frame


def check_header(name: str, header: Sequence[str], wanted: Sequence[str], *, delimiter: str = "") -> None:
    """Refuse a header that has a name twice or lacks a wanted one. delimiter: of a text file, to guess a wrong one."""
    twice = sorted({column for column in header if header.count(column) > 1 and (not wanted or column in wanted)})
    if twice:
        found = f"the column {twice[0]!r} {header.count(twice[0])} times in the header"
        raise SourceError(name, found=found, wanted="each name once", fix="rename one in the file")
    missing = [column for column in wanted if column not in header]
    if not missing:
        return
    others = [mark for mark in _DELIMITERS if mark != delimiter and any(mark in column for column in header)]
    fix = (
        f"set delimiter: {others[0]!r}"
        if others and delimiter
        else "check the header, or name the file's column with source:"
    )
    raise SourceError(name, found=f"columns {', '.join(header)}", wanted=f"{', '.join(missing)} among them", fix=fix)


def _utf8(name: str, body: bytes, encoding: str) -> bytes:
    """The text as UTF-8, decoded a piece at a time; what is UTF-8 already is only checked."""
    same = encoding.lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig", "ascii")
    try:
        decoder = codecs.getincrementaldecoder("utf-8" if same else encoding)()
    except LookupError:
        raise SourceError(name, found=f"encoding {encoding!r}", wanted="one that Python knows") from None
    made = bytearray()
    for at in range(0, len(body), _CHUNK):
        held = decoder.getstate()[0]
        try:
            text = decoder.decode(body[at : at + _CHUNK], at + _CHUNK >= len(body))
        except UnicodeDecodeError as error:
            raise _undecodable(name, body, at - len(held) + error.start, encoding) from None
        except UnicodeError as error:
            raise SourceError(name, found=str(error), wanted=f"text in {encoding}") from None
        if not same:
            made += text.encode()
    return body if same else bytes(made)


def _undecodable(name: str, body: bytes, at: int, encoding: str) -> SourceError:
    line = body.count(b"\n", 0, at) + 1
    likely = "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"
    found = f"byte 0x{body[at]:02x} in line {line}, which is not {encoding}"
    return SourceError(name, found=found, wanted=f"text in {encoding}", fix=f"set encoding: {likely}")


def _records(body: bytes, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of each record, slowly and by the book; empty lines before the header are passed over."""
    text = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", newline="\n")
    quoting: Any = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    reader = csv.reader(text, delimiter=dialect.delimiter, quotechar=dialect.quote or None, quoting=quoting)
    begun = False
    for record in reader:
        begun = begun or bool(record)
        if begun:
            yield reader.line_num, record


def _header(body: bytes, dialect: Dialect) -> tuple[list[str], int]:
    """The names in the header, and the position of the byte after it."""
    line, header = next(_records(body, dialect))
    start = 0
    for _ in range(line):
        start = body.find(b"\n", start) + 1
        if not start:
            return header, len(body)
    return header, start


def _is_ragged(body: bytes, start: int, width: int, dialect: Dialect) -> bool:
    """Whether a line from `start` on seems to have other than `width` fields, by counting delimiters outside of quotes."""
    mark, quote = ord(dialect.delimiter), ord(dialect.quote) if dialect.quote else -1
    quoted, carried = 0, 0
    for at in range(start, len(body), _CHUNK):
        piece = np.frombuffer(body, dtype=np.uint8, count=min(_CHUNK, len(body) - at), offset=at)
        marks, ends = piece == mark, piece == _NEWLINE
        if quoted or (quote >= 0 and body.find(quote, at, at + _CHUNK) >= 0):
            # A count modulo 256 is as odd as the count itself.
            outside = ((np.cumsum(piece == quote, dtype=np.uint8) + np.uint8(quoted)) & 1) == 0
            quoted = int(not outside[-1])
            marks, ends = marks & outside, ends & outside
        places, stops = np.flatnonzero(marks), np.flatnonzero(ends)
        counts = np.diff(np.searchsorted(places, stops), prepend=0)
        if len(stops):
            counts[0] += carried
            carried = len(places) - int(counts.sum()) + carried
            if (counts != width - 1).any():
                return True
        else:
            carried += len(places)
    return bool(body[-1] != _NEWLINE and carried != width - 1)


def _refuse_ragged(name: str, body: bytes, width: int, dialect: Dialect) -> None:
    """Name the first line with another number of fields; pass where a slow reading finds none."""
    for line, fields in _records(body, dialect):
        if len(fields) != width:
            few = len(fields) < width
            raise SourceError(
                name,
                found=f"{'fewer' if few else 'more'} fields in line {line} ({len(fields)}) than in the header ({width})",
                wanted="as many fields in each line as in the header",
                fix="mend the export" if few else "quote the delimiter",
            )


def _point(text: pl.Expr) -> pl.Expr:
    """A number with a decimal comma (and dots between thousands) as one with a point; other text stays."""
    number = text.str.contains(r"^\s*[-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?\s*$")
    return (
        pl.when(number)
        .then(text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
        .otherwise(text)
    )


__all__ = ["Decimal", "Dialect", "check_header", "read_text"]
