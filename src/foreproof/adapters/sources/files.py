"""Files: CSV, Parquet and Excel, one or many, compressed or not, local, packaged, or at any fsspec address."""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import fsspec
import polars as pl

from foreproof.adapters.sources.batch import Batch, Reading, secret, shown, together
from foreproof.adapters.sources.excel import read_sheet
from foreproof.adapters.sources.text import Decimal, Dialect, check_header, read_text
from foreproof.adapters.sources.unpack import plain_name, unpack
from foreproof.core.section import Section
from foreproof.errors import ForeproofError, SourceError

Format = Literal["csv", "parquet", "excel"]
Batches = Literal["each", "together"]
_PACKAGE = "package://"
_LOCAL = "file://"
_MAGIC = "*?["
_PARQUET = b"PAR1"
_FORMATS: Mapping[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
    ".xls": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
}


@dataclass(frozen=True, slots=True)
class Files:
    """Files of rows. url: a path, a folder or a pattern (relative to the project), any fsspec address or pattern, or
    `package://MODULE/file`.

    format: None goes by each file's ending. sheet: of Excel files, its name or its number from 1. batches: whether each
    file of a folder or pattern is a batch, or all together are one. options: of the address's client (fsspec).
    """

    url: str
    format: Format | None = None
    dialect: Dialect = field(default_factory=Dialect)
    sheet: str | int = 1
    batches_are: Batches = "each"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def remote(self) -> bool:
        """Whether the files are on another machine."""
        return ("://" in self.url and not self.url.startswith((_PACKAGE, _LOCAL))) or self.url.startswith("env:")

    def describe(self) -> str:
        """The address, its password hidden."""
        return shown(self.url)

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """A batch a file in the order of names, or one of all of them.

        Raises SourceError: nothing there, an address that cannot be read, a file that cannot.
        """
        each = (Batch(name, _read_one(self, name, get(), reading.wanted)) for name, get in _parts(self, reading))
        if self.batches_are == "together":
            yield Batch(self.describe(), together(batch.frame for batch in each))
        else:
            yield from each


def parse_files(section: Section) -> Files:
    """Files from a section with a `url`."""
    dialect = Dialect(
        delimiter=section.text("delimiter", default=","),
        decimal=section.choice("decimal", get_args(Decimal), default="."),
        encoding=section.text("encoding", default="utf-8"),
        quote=section.text("quote", default='"'),
        null_values=section.texts("null_values", default=("",)),
    )
    files = Files(
        url=section.text("url"),
        format=section.choice("format", get_args(Format)) if section.raw("format", default=None) else None,
        dialect=dialect,
        sheet=section.text_or_whole("sheet") if section.raw("sheet", default=None) is not None else 1,
        batches_are=section.choice("batches", get_args(Batches), default="each"),
        options=dict(section.raw("options", default={})),
    )
    section.done()
    mark = dialect.delimiter
    if len(mark) != 1 or mark == dialect.decimal or not mark.isascii():
        raise SourceError(
            f"{section.path}.delimiter",
            found=f"{mark!r} with decimal {dialect.decimal!r}",
            wanted="one character other than the decimal mark",
        )
    if len(dialect.quote) > 1 or not dialect.quote.isascii():
        raise SourceError(f"{section.path}.quote", found=f"{dialect.quote!r}", wanted="one character, or none")
    return files


def _parts(files: Files, reading: Reading) -> list[tuple[str, Callable[[], bytes | Path]]]:
    """(name, its content when called) of each file, in the order of names."""
    url = secret(files.url, reading.environ, "sources: url")
    if url.startswith(_PACKAGE):
        path = _packaged(url)
        return [(files.describe(), lambda: path)]
    if "://" not in url or url.startswith(_LOCAL):
        found = _local(url, reading.folder)
        return [(files.describe() if name == url else name, lambda path=path: path) for name, path in found]  # type: ignore[misc]
    options = {key: _option(key, value, reading.environ) for key, value in files.options.items()}
    with _told(url):
        system, root = fsspec.core.url_to_fs(url, **options)
        system.invalidate_cache()
        paths = _addressed(system, root, url)
    if not paths:
        raise SourceError(shown(url), found="no files", wanted="at least one")
    alone = paths == [root]

    def get(path: str) -> bytes:
        with _told(url):
            return bytes(system.cat_file(path))

    return [(files.describe() if alone else _short(path, paths), lambda path=path: get(path)) for path in paths]  # type: ignore[misc]


def _addressed(system: Any, root: str, url: str) -> list[str]:
    """The paths that an address names: the files of a folder (a slash at its end) or of a pattern, or itself."""
    web = url.startswith(("http://", "https://"))
    magic = "*[" if web else _MAGIC
    if url.endswith("/") and not web:
        return sorted(
            one["name"] for one in system.ls(root, detail=True) if one["type"] == "file" and _is_data(one["name"])
        )
    if any(mark in root for mark in magic):
        return sorted(one for one in system.glob(root) if not system.isdir(one))
    return [root]


def _local(url: str, folder: Path) -> list[tuple[str, Path]]:
    """The same on this machine."""
    path = folder / url.removeprefix(_LOCAL)
    if path.is_file():
        return [(url, path)]
    if path.is_dir():
        paths = [one for one in path.iterdir() if one.is_file() and _is_data(one.name)]
    else:
        paths = [Path(one) for one in glob.glob(str(path), recursive=True) if Path(one).is_file()]
    if not paths:
        raise SourceError(
            url, found="no such file", wanted="a file, a folder of files or a pattern", fix="check sources: url"
        )
    names = [one.as_posix() for one in paths]
    return sorted((_short(name, names), one) for name, one in zip(names, paths, strict=True))


def _is_data(path: str) -> bool:
    return not path.rpartition("/")[2].startswith((".", "_"))


def _short(path: str, paths: Sequence[str]) -> str:
    """A path without the folder that all of them are in."""
    base = os.path.commonpath([one.rpartition("/")[0] for one in paths])
    return path.removeprefix(base).lstrip("/")


def _option(name: str, value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _option(f"{name}.{key}", inner, environ) for key, inner in value.items()}
    return secret(value, environ, f"sources: options.{name}") if isinstance(value, str) else value


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Errors of an address's client in house form, without what is secret in the address."""
    try:
        yield
    except (ForeproofError, MemoryError):
        raise
    except Exception as error:  # each client has a tree of errors of its own
        words = " ".join(str(error).replace(url, shown(url)).split())[:300]
        found = f"{type(error).__name__}: {words}"
        raise SourceError(shown(url), found=found, wanted="an address that can be read") from None


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


def _read_one(files: Files, name: str, content: bytes | Path, wanted: Sequence[str]) -> pl.DataFrame:
    match files.format or format_of(name):
        case "excel":
            return read_sheet(name, _body(content), files.sheet, wanted=wanted)
        case "parquet":
            return _parquet(name, content, wanted)
        case "csv":
            body = unpack(name, _body(content))
            if body.startswith(_PARQUET):
                raise SourceError(name, found="a Parquet file", wanted="text", fix="set format: parquet")
            return read_text(name, body, files.dialect, wanted=wanted)


def format_of(name: str) -> Format:
    """The format that a file's ending stands for; of a compressed one, the ending before that of the compression."""
    return _FORMATS.get(os.path.splitext(plain_name(name))[1], "csv")


def _body(content: bytes | Path) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content


def _parquet(name: str, content: bytes | Path, wanted: Sequence[str]) -> pl.DataFrame:
    try:
        if isinstance(content, Path):
            with content.open("rb") as file:
                whole = file.read(len(_PARQUET)) == _PARQUET
            content = content if whole else unpack(name, content.read_bytes())
        else:
            content = unpack(name, content)
        given = content if isinstance(content, Path) else io.BytesIO(content)
        header = list(pl.read_parquet_schema(given))
        check_header(name, header, wanted)
        if isinstance(given, io.BytesIO):
            given.seek(0)
        return pl.read_parquet(
            given, columns=[column for column in header if not wanted or column in wanted], glob=False
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(
            name, found=f"not a Parquet file ({error})", wanted="Parquet", fix="set format: csv"
        ) from None


__all__ = ["Batches", "Files", "Format", "format_of", "parse_files"]
