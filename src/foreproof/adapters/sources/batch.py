"""What every kind of source is to the rest: something that gives batches of raw rows, in order.

A source is a frozen value of the plan. What it needs of the world (the folder, the instant, the environment, what the lake
holds already) comes as a `Reading`, so the same source reads the same rows in a test and in a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import polars as pl

from foreproof.core.clock import EPOCH
from foreproof.errors import SourceError

_SECRET = "env:"


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are loaded together. name: what the run and the lake's list of batches say they were.

    frame: text or typed columns, as `core.table.parse` takes them. source: who gave them, where it is not the table's own
    source but its fallback. note: what a reader of the run should know, such as the age of a kept copy.
    """

    name: str
    frame: pl.DataFrame
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source may ask of the world.

    folder: where relative paths start. wanted: columns to read; others are skipped, and none means all.
    newest: the largest value of a column of the table in the lake, or None: the watermark. cache: a folder for kept copies.
    """

    folder: Path
    wanted: tuple[str, ...]
    now: datetime
    newest: Callable[[str], Any]
    environ: Mapping[str, str]
    cache: Path


class Source(Protocol):
    """Where the rows of a table come from."""

    def describe(self) -> str:
        """The source in one line, without secrets."""
        ...

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """The batches in the order in which they are loaded. Raises SourceError where one cannot be read."""
        ...


def read(source: Source, *, folder: Path, wanted: Sequence[str] = ()) -> pl.DataFrame:
    """All rows of a source as one frame, with no lake and no environment. folder: what relative paths start from."""
    reading = Reading(folder, tuple(wanted), EPOCH, lambda column: None, {}, folder / ".foreproof" / "cache")
    return together(batch.frame for batch in source.batches(reading))


def together(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Frames of the same columns as one."""
    held = list(frames)
    try:
        return held[0] if len(held) == 1 else pl.concat(held, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise SourceError("sources", found=f"files of different columns ({error})", wanted="the same") from None


def secret(text: str, environ: Mapping[str, str], subject: str) -> str:
    """A value of the plan; `env:NAME` is read from the environment. subject: the setting, for the error.

    Raises SourceError where NAME is not set. The value itself never stands in an error.
    """
    if not text.startswith(_SECRET):
        return text
    name = text.removeprefix(_SECRET)
    found = environ.get(name)
    if not found:
        raise SourceError(subject, found=f"no {name} in the environment", wanted="its value", fix=f"export {name}=...")
    return found


def shown(url: str) -> str:
    """An address without what may be secret: a password, and what follows a question mark of an http address."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    _, at, host = parts.netloc.rpartition("@")
    hidden = url.replace(f"{parts.netloc}", f"***@{host}", 1) if at else url
    return hidden.partition("?")[0] + "?..." if parts.scheme in ("http", "https") and parts.query else hidden


__all__ = ["Batch", "Reading", "Source", "read", "secret", "shown", "together"]
