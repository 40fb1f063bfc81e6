"""Answers kept in memory: an ETag, 304 for who has it, and the same bytes until another run is served.

A kept answer is found by tenant, address and query. It holds as long as the pointer in `served/` is the same file: one look at
the disk a call. What changes between two calls is the age of the data alone, so a body is kept in two halves around it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from foreproof.app.api.published import Published
from foreproof.app.home import Home, Place
from foreproof.core.digest import digest_bytes
from foreproof.errors import ForeproofError

CONTROL = "private, max-age=0, must-revalidate"
"""What a client may do with an answer: keep it, and ask whether it still holds."""
T = TypeVar("T")
State = tuple[int, int]
Key = tuple[str, str, bytes]
SURE = 1.0
"""Seconds for which the project that a call without a name means is not looked up again."""


@dataclass(slots=True)
class Kept:
    """An answer: its body around the age of the data, its headers, what it stands on, and the route that gave it."""

    head: bytes
    tail: bytes
    aged: float | None
    today: float | None
    headers: dict[str, str]
    place: Place
    watched: str
    state: State
    asked: tuple[str, str]
    until: float
    route: str

    def size(self) -> int:
        """Bytes."""
        return len(self.head) + len(self.tail)

    def answer(self, mark: str | None) -> tuple[int, bytes]:
        """Status and body now; 304 and nothing for who has it. mark: If-None-Match."""
        if has(mark, self.headers["etag"]):
            return 304, b""
        if self.aged is None:
            return 200, self.head
        now = self.today if self.today is not None else time.time()
        return 200, b"%s%.3f%s" % (self.head, max(0.0, now - self.aged), self.tail)


class Answers:
    """Kept answers, the least used ones dropped; and what was derived of published runs."""

    def __init__(self, *, most: int = 64 * 2**20, derived: int = 256) -> None:
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._derived: OrderedDict[tuple[Path, str, str], Any] = OrderedDict()
        self._size, self._most, self._many = 0, most, derived
        self._lock = threading.Lock()

    def find(self, key: Key, home: Home) -> Kept | None:
        """A kept answer that still holds."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if state_of(kept.watched) != kept.state or not _same_project(kept, key[0], home):
            self._drop(key)
            return None
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
        return kept

    def keep(self, key: Key, kept: Kept) -> None:
        """Keep an answer, unless it is large beside all there is room for."""
        if kept.size() > self._most // 16:
            return
        self._drop(key)
        with self._lock:
            self._kept[key] = kept
            self._size += kept.size()
            while self._size > self._most:
                _, old = self._kept.popitem(last=False)
                self._size -= old.size()

    def once(self, published: Published, name: str, make: Callable[[Published], T]) -> T:
        """What `make` says of a published run, made once for each state of it."""
        key = (published.folder, published.etag, name)
        if key not in self._derived:
            made = make(published)
            with self._lock:
                self._derived[key] = made
                while len(self._derived) > self._many:
                    self._derived.popitem(last=False)
            return made
        return cast(T, self._derived[key])

    def _drop(self, key: Key) -> None:
        with self._lock:
            old = self._kept.pop(key, None)
            self._size -= old.size() if old is not None else 0


def etag_of(published: str, path: str, query: bytes) -> str:
    """The mark of one answer. Weak, for the age of the data in it grows."""
    return f'W/"{published}-{digest_bytes(path.encode() + b"?" + query)[:12]}"'


def _same_project(kept: Kept, tenant: str, home: Home) -> bool:
    """Whether the call still means the project it meant: without a name, another first one may have come."""
    project, workload = kept.asked
    if project or time.monotonic() < kept.until:
        return True
    try:
        place = home.place(tenant, project, workload=workload)
    except ForeproofError:
        return False
    kept.until = time.monotonic() + SURE
    return place.folder == kept.place.folder


def pointer(place: Place) -> str:
    """The file that says which run a place serves."""
    return str(place.folder / "served" / "current.json")


def state_of(path: str) -> State | None:
    """What a file is known by; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def has(given: str | None, etag: str) -> bool:
    """Whether If-None-Match names the mark, compared weakly (RFC 9110, 13.1.2)."""
    if given is None:
        return False
    marks = {mark.strip().removeprefix("W/") for mark in given.split(",")}
    return "*" in marks or etag.removeprefix("W/") in marks


__all__ = ["CONTROL", "SURE", "Answers", "Kept", "Key", "State", "etag_of", "has", "pointer", "state_of"]
