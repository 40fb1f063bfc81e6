"""A copy of a project's stores as they are at one moment, while others go on writing.

What is never changed in place (files of runs, of the lake) is linked, so that a copy costs no room; the rest is copied.
Databases are copied by SQLite's own backup, which waits for no writer and sees whole transactions. Of a Delta table the log is
copied first, and then the files that it names: a load in between adds files that the copied log does not know.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from filelock import FileLock, Timeout

from foreproof.adapters.catalog import Catalog
from foreproof.errors import StoreError

LEFT_OUT = frozenset({"steps", "cache", "lake"})
"""What of `.foreproof` is computed or read again, and the lake, which is copied on its own."""
_BESIDE = ("-wal", "-shm", "-journal", ".lock")
_LOG = "_delta_log"
_COMMIT = re.compile(r"(\d{20})\.(json|checkpoint\..*parquet)")
_PATIENCE = 60.0
"""Seconds to wait for a run that is being put in place, and for a database that is locked."""


def copy_inside(source: Path, target: Path) -> None:
    """`.foreproof` but for what can be computed again and the lake: keys, databases, whatever else lies there."""
    for path in _files(source, without=LEFT_OUT):
        place = target / path.relative_to(source)
        if path.suffix == ".db":
            copy_database(path, place)
        elif not path.name.endswith(_BESIDE):
            copy(path, place)


def copy_database(source: Path, target: Path) -> None:
    """A SQLite database as of its last whole transaction. Raises StoreError where it cannot be read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            closing(sqlite3.connect(source, timeout=_PATIENCE)) as theirs,
            closing(sqlite3.connect(target)) as ours,
        ):
            theirs.backup(ours)
            # One file: a reader of the copy finds no log of writes beside it.
            ours.execute("PRAGMA journal_mode = DELETE").close()
    except sqlite3.Error as error:
        raise StoreError(str(source), found=str(error), wanted="a SQLite database that can be read") from None


def sound(path: Path) -> str:
    """What is wrong with a SQLite database, in words; empty where nothing is."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            said = str(connection.execute("PRAGMA quick_check").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    return "" if said == "ok" else said


def copy_catalog(source: Catalog, target: Catalog) -> None:
    """The rows of a catalogue into an empty one, of whatever kind each is.

    Read against the order of writing (leaves, checkpoints, runs): what another process adds meanwhile leaves nothing without what
    it stands on. Raises StoreError where the target holds a log already.
    """
    runs, checkpoints, leaves = source.runs(), source.checkpoints(), source.leaves()
    target.append(leaves, expected=0)
    for text in checkpoints:
        target.save_checkpoint(text)
    for record in runs:
        target.save_run(record)


def copy_runs(source: Path, target: Path) -> None:
    """Every run's folder that is whole and not there yet; one that is being put in place is waited for."""
    for folder in _folders(source):
        if (target / folder.name).is_dir():
            continue
        with _held(source / f".{folder.name}.lock", folder):
            if folder.is_dir():
                link_tree(folder, target / folder.name)


def copy_served(source: Path, target: Path) -> None:
    """What is served, with the pointer to it: no move of the pointer comes in between."""
    if source.is_dir():
        with _held(source / ".lock", source):
            link_tree(source, target)


def copy_lake(source: Path, target: Path) -> dict[str, int]:
    """Every Delta table of a folder at its newest version: the versions by name."""
    found = {}
    for log in sorted((*source.glob(f"*/{_LOG}"), *source.glob(f".rows/*/{_LOG}"))):
        name = log.parent.relative_to(source).as_posix()
        found[name] = _copy_table(log.parent, target / name)
    return found


def lake_versions(folder: Path) -> dict[str, int]:
    """The version of each Delta table of a folder, by name. Raises StoreError where a log cannot be read."""
    logs = sorted((*folder.glob(f"*/{_LOG}"), *folder.glob(f".rows/*/{_LOG}")))
    return {log.parent.relative_to(folder).as_posix(): _opened(log.parent).version() for log in logs}


def link_tree(source: Path, target: Path) -> None:
    """Every file below a folder, linked where the disk can; hidden ones are somebody's work in progress."""
    for path in _files(source):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        _link(path, place)


def copy(source: Path, target: Path) -> None:
    """One file with its mode."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _copy_table(source: Path, target: Path) -> int:
    log, copied = source / _LOG, target / _LOG
    copied.mkdir(parents=True, exist_ok=True)
    # First the pointer: the checkpoint that it names lies there already, and is not newer than what is listed next.
    pointer = log / "_last_checkpoint"
    if pointer.is_file():
        copy(pointer, copied / pointer.name)
    for path in sorted(log.iterdir()):
        if _COMMIT.fullmatch(path.name):
            _link(path, copied / path.name)
    table = _opened(target)
    base = str(target.resolve())
    for uri in table.file_uris():
        # Delta gives escaped addresses, as in adapters.lake.
        inside = os.path.relpath(unquote(uri.removeprefix("file://")), base)
        place = target / inside
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            _link(source / inside, place)
        except OSError as error:
            raise StoreError(
                str(source), found=f"no file {inside}, which its log names ({error.strerror})", wanted="a whole table"
            ) from None
    return table.version()


def _opened(table: Path) -> DeltaTable:
    try:
        return DeltaTable(str(table.resolve()))
    except (DeltaError, OSError) as error:
        words = " ".join(str(error).split())[:200]
        raise StoreError(str(table), found=f"a log that cannot be read ({words})", wanted="a Delta table") from None


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or one without links
        shutil.copy2(source, target)


def _files(folder: Path, *, without: frozenset[str] = frozenset()) -> Iterator[Path]:
    """The files below a folder, sorted; hidden ones and the named folders are left out."""
    for place, folders, names in os.walk(folder):
        top = Path(place) == folder
        folders[:] = sorted(n for n in folders if not n.startswith(".") and not (top and n in without))
        yield from (
            path for name in sorted(names) if not name.startswith(".") and (path := Path(place) / name).is_file()
        )


def _folders(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and not path.name.startswith("."))


@contextmanager
def _held(lock: Path, what: Path) -> Iterator[None]:
    held = FileLock(lock)
    try:
        held.acquire(timeout=_PATIENCE)
    except Timeout:
        raise StoreError(
            str(what), found=f"another process that has held it for {_PATIENCE:g} s", fix="try again later"
        ) from None
    try:
        yield
    finally:
        held.release()


__all__ = [
    "LEFT_OUT",
    "copy",
    "copy_catalog",
    "copy_database",
    "copy_inside",
    "copy_lake",
    "copy_runs",
    "copy_served",
    "lake_versions",
    "link_tree",
    "sound",
]
