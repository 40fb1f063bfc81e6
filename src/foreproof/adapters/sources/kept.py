"""Kept copies of what a remote source gave: read again while young, and, where the plan says so, when the remote fails."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from filelock import FileLock

from foreproof.adapters.sources.batch import Batch, Reading, Source
from foreproof.core.clock import shift_ticks, ticks
from foreproof.core.digest import digest_bytes
from foreproof.errors import SourceError

_ENTRY = "entry.json"
_ENV = re.compile(r"env:(\w+)")


@dataclass(frozen=True, slots=True)
class Cached:
    """A source whose batches are kept. age: how long a copy is read instead, as an offset such as 6h.

    stale: whether an older copy is read when the source fails. A copy belongs to the settings of its source, the values
    of the environment that they name, and the columns that were asked for.
    """

    source: Source
    age: str | int
    stale: bool = False

    def describe(self) -> str:
        """The source itself."""
        return self.source.describe()

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """The copy while it is young, else what the source gives, kept first.

        A batch of a copy has a note with its age. Raises SourceError where the source does and there is no copy to use.
        """
        folder = reading.cache / self._key(reading)
        copy = _find(folder, reading)
        if copy is not None and ticks(copy.at) <= ticks(reading.now) < self._due(copy.at):
            yield from copy.batches(_aged(copy.at, reading.now))
            return
        try:
            copy = _keep(folder, self.source, reading)
        except SourceError as error:
            if copy is None or not self.stale:
                raise
            yield from copy.batches(f"{_aged(copy.at, reading.now)}, since {error}")
        else:
            yield from copy.batches("")

    def _due(self, at: datetime) -> int:
        return int(shift_ticks(np.array([ticks(at)]), self.age, zone="UTC")[0])

    def _key(self, reading: Reading) -> str:
        words = repr(self.source)
        values = {name: reading.environ.get(name, "") for name in _ENV.findall(words)}
        return digest_bytes(json.dumps([words, values, reading.wanted], sort_keys=True).encode())[:32]


@dataclass(frozen=True, slots=True)
class _Copy:
    """Files of a copy: (batch without its frame as plain values, file) each, and the instant at which it was read."""

    at: datetime
    kept: tuple[tuple[dict[str, str], Path], ...]

    def batches(self, note: str) -> Iterator[Batch]:
        for told, path in self.kept:
            notes = "; ".join(part for part in (note, told["note"]) if part)
            yield Batch(told["name"], pl.read_parquet(path, glob=False), told["source"], notes)


def _find(folder: Path, reading: Reading) -> _Copy | None:
    """The copy of a folder, or None: none yet, a damaged one, or rows after a watermark that the lake no longer has."""
    try:
        entry = json.loads((folder / _ENTRY).read_text(encoding="utf-8"))
        kept = tuple((told, folder / entry["folder"] / told.pop("file")) for told in entry["batches"])
        if any(digest_bytes(path.read_bytes()) != told.pop("digest") for told, path in kept):
            return None
        at = datetime.fromisoformat(entry["at"])
    except (OSError, ValueError, KeyError):
        return None
    lost = [column for column, value in entry["after"].items() if value is not None and reading.newest(column) is None]
    return None if lost else _Copy(at, kept)


def _keep(folder: Path, source: Source, reading: Reading) -> _Copy:
    """Write what a source gives into a folder of its own, then let the entry point to it, in one step."""
    after: dict[str, str | None] = {}

    def newest(column: str) -> Any:
        value = reading.newest(column)
        after[column] = None if value is None else str(value)
        return value

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        draft = Path(tempfile.mkdtemp(dir=folder))
        try:
            told = [_write(draft, i, batch) for i, batch in enumerate(source.batches(replace(reading, newest=newest)))]
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        entry = {"at": reading.now.isoformat(), "folder": draft.name, "batches": told, "after": after}
        before = _named(folder)
        written = draft / _ENTRY
        written.write_text(json.dumps(entry, indent=1), encoding="utf-8")
        written.replace(folder / _ENTRY)
        # The copy before stays for whoever reads it now; older ones go.
        _clear(folder, but=(draft.name, before))
    return _Copy(reading.now, tuple((one, draft / one.pop("file")) for one in told))


def _write(draft: Path, number: int, batch: Batch) -> dict[str, str]:
    path = draft / f"{number}.parquet"
    batch.frame.write_parquet(path)
    digest = digest_bytes(path.read_bytes())
    return {"file": path.name, "digest": digest, "name": batch.name, "source": batch.source, "note": batch.note}


def _named(folder: Path) -> str:
    try:
        return str(json.loads((folder / _ENTRY).read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError):
        return ""


def _clear(folder: Path, *, but: Iterable[str]) -> None:
    for path in folder.iterdir():
        if path.is_dir() and path.name not in but:
            shutil.rmtree(path, ignore_errors=True)


def _aged(at: datetime, now: datetime) -> str:
    minutes = (now - at) // timedelta(minutes=1)
    age = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} d"
    return f"a copy of {at:%Y-%m-%d %H:%M} UTC, {age} old"


__all__ = ["Cached"]
