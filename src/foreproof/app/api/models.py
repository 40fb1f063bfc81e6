"""Model artefacts and what was made of them, in memory by content, no more than so many bytes in all."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")
MOST_BYTES = 512 * 2**20


class ModelShelf:
    """What is expensive to open, kept by the sha256 of what it was opened from; the least recently asked for goes first.

    A key of what belongs to a tenant holds the tenant's name: only artefacts that are equal byte for byte are shared.
    """

    def __init__(self, *, most: int = MOST_BYTES) -> None:
        self._kept: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self._most = most
        self._bytes = 0
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}

    @property
    def bytes(self) -> int:
        """What is kept, as counted by whoever made it."""
        return self._bytes

    def get(self, key: Hashable, make: Callable[[], tuple[T, int]]) -> T:
        """What is kept under a key, else what `make` gives, with its size in bytes; made once also where several ask at once."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]  # type: ignore[return-value]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._kept:
                    return self._kept[key][0]  # type: ignore[return-value]
            value, size = make()
            with self._lock:
                self._making.pop(key, None)
                self._kept[key] = (value, size)
                self._bytes += size
                while self._bytes > self._most and len(self._kept) > 1:
                    _, (_, gone) = self._kept.popitem(last=False)
                    self._bytes -= gone
            return value


__all__ = ["MOST_BYTES", "ModelShelf"]
