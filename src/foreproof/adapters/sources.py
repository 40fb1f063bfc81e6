"""Read raw rows: CSV or Parquet, one file or many, local, packaged, or at any fsspec URL.

CSV is read as text: types are the contract's business, which can then say which row it refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import fsspec
import polars as pl

from foreproof.core.section import Section
from foreproof.errors import SourceError

Format = Literal["csv", "parquet"]
Decimal = Literal[".", ","]
_PACKAGE = "package://"
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from. url: a path (relative to the project), a glob, any fsspec URL, or `package://MODULE/file`."""

    url: str
    format: Format
    delimiter: str = ","
    decimal: Decimal = "."
    encoding: str = "utf-8"
    quote: str = '"'
    null_values: tuple[str, ...] = ("",)

    def describe(self) -> str:
        """The source in one word, for the lake's batches."""
        return self.url


def parse_source(section: Section) -> Source:
    """A source from the plan's section `sources.TABLE`."""
    url = section.text("url")
    guess = "parquet" if url.lower().endswith((".parquet", ".pq")) else "csv"
    source = Source(
        url=url,
        format=section.choice("format", get_args(Format), default=guess),
        delimiter=section.text("delimiter", default=","),
        decimal=section.choice("decimal", get_args(Decimal), default="."),
        encoding=section.text("encoding", default="utf-8"),
        quote=section.text("quote", default='"'),
        null_values=section.texts("null_values", default=("",)),
    )
    section.done()
    if len(source.delimiter) != 1 or source.delimiter == source.decimal:
        raise SourceError(
            f"{section.path}.delimiter",
            found=f"{source.delimiter!r} with decimal {source.decimal!r}",
            wanted="one character other than the decimal mark",
        )
    return source


def read(source: Source, *, folder: Path, wanted: Sequence[str] = ()) -> pl.DataFrame:
    """All rows of a source. folder: what relative paths start from. wanted: columns to read; others are skipped.

    Raises SourceError: nothing there, an empty file, no header, a header under another delimiter, bytes that are not in the
    encoding, lines with too many fields.
    """
    frames = [_read_one(source, name, content, wanted) for name, content in _open(source, folder)]
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical_relaxed")


def _open(source: Source, folder: Path) -> list[tuple[str, Any]]:
    """(name, path or bytes) of each file, in order of names."""
    if source.url.startswith(_PACKAGE):
        return [(source.url, _packaged(source.url))]
    if "://" not in source.url:
        path = Path(source.url)
        paths = [path if path.is_absolute() else folder / path]
        if any(mark in source.url for mark in "*?["):
            paths = sorted(paths[0].parent.glob(paths[0].name))
        missing = [one for one in paths if not one.is_file()]
        if missing or not paths:
            raise SourceError(source.url, found="no such file", wanted="a file", fix="check sources: url")
        return [(one.name, one) for one in paths]
    try:
        files = fsspec.open_files(source.url, "rb")
        found = []
        for file in files:
            with file as stream:
                found.append((file.path, stream.read()))
    except (OSError, ValueError, ImportError) as error:
        raise SourceError(
            source.url, found=f"{type(error).__name__}: {error}", wanted="an address that can be read"
        ) from None
    if not found:
        raise SourceError(source.url, found="no files", wanted="at least one")
    return found


def _packaged(url: str) -> Path:
    module, _, name = url.removeprefix(_PACKAGE).partition("/")
    try:
        path = Path(str(resources.files(module))) / name
    except ModuleNotFoundError:
        raise SourceError(
            url, found=f"no package {module}", wanted="it installed", fix=f"pip install {module}"
        ) from None
    if not path.is_file():
        raise SourceError(url, found="no such file in the package", wanted="one of its data files")
    return path


def _read_one(source: Source, name: str, content: Any, wanted: Sequence[str]) -> pl.DataFrame:
    if source.format == "parquet":
        try:
            frame = pl.read_parquet(content)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceError(
                name, found=f"not a Parquet file ({error})", wanted="Parquet", fix="set format: csv"
            ) from None
        return frame.select([column for column in frame.columns if not wanted or column in wanted])
    body = content.read_bytes() if isinstance(content, Path) else content
    if not body.strip():
        raise SourceError(name, found="an empty file", wanted="a header and rows")
    if source.encoding.lower().replace("-", "") not in ("utf8", "utf8sig", "ascii"):
        body = _decoded(source, name, body).encode()
    else:
        _check_utf8(source, name, body)
    body = body.removeprefix(b"\xef\xbb\xbf")
    header = _header(source, body)
    _check_header(source, name, header, wanted)
    if not body.partition(b"\n")[2].strip():
        raise SourceError(name, found="a header and no rows", wanted="rows", fix="check the export")
    frame = _csv(source, name, body, [column for column in header if not wanted or column in wanted])
    if source.decimal == ",":
        frame = frame.with_columns(_point(pl.col(pl.String)))
    return frame


def _csv(source: Source, name: str, body: bytes, columns: Sequence[str]) -> pl.DataFrame:
    try:
        return pl.read_csv(
            body,
            columns=list(columns),
            separator=source.delimiter,
            quote_char=source.quote or None,
            null_values=list(source.null_values),
            infer_schema=False,
            truncate_ragged_lines=False,
        )
    except pl.exceptions.PolarsError as error:
        raise SourceError(
            name,
            found=_first_line(error),
            wanted="as many fields in each line as in the header",
            fix="quote the delimiter",
        ) from None


def _point(text: pl.Expr) -> pl.Expr:
    """A number with a decimal comma (and dots between thousands) as one with a point; other text stays."""
    number = text.str.contains(r"^\s*[-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?\s*$")
    return (
        pl.when(number)
        .then(text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
        .otherwise(text)
    )


def _header(source: Source, body: bytes) -> list[str]:
    line = body.partition(b"\n")[0] + b"\n"
    frame = pl.read_csv(line, separator=source.delimiter, quote_char=source.quote or None, infer_schema=False)
    return frame.columns


def _check_header(source: Source, name: str, header: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [column for column in wanted if column not in header]
    if not missing:
        return
    others = [mark for mark in _DELIMITERS if mark != source.delimiter and any(mark in column for column in header)]
    fix = f"set delimiter: {others[0]!r}" if others else "check the header, or name the file's column with source:"
    raise SourceError(name, found=f"columns {', '.join(header)}", wanted=f"{', '.join(missing)} among them", fix=fix)


def _check_utf8(source: Source, name: str, body: bytes) -> None:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _undecodable(source, name, body, error) from None


def _decoded(source: Source, name: str, body: bytes) -> str:
    try:
        return body.decode(source.encoding)
    except LookupError:
        raise SourceError(name, found=f"encoding {source.encoding!r}", wanted="one that Python knows") from None
    except UnicodeDecodeError as error:
        raise _undecodable(source, name, body, error) from None


def _undecodable(source: Source, name: str, body: bytes, error: UnicodeDecodeError) -> SourceError:
    line = body.count(b"\n", 0, error.start) + 1
    likely = "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"
    found = f"byte 0x{body[error.start]:02x} in line {line}, which is not {source.encoding}"
    return SourceError(name, found=found, wanted=f"text in {source.encoding}", fix=f"set encoding: {likely}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


__all__ = ["Source", "parse_source", "read"]
