"""What runs beside the calls: who calls, limits, usage, audit, kept answers, metrics, traces; and one thread that writes it down.

The thread wakes every second. What could not be written, since the store did not answer, stays in memory until it can be.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from foreproof.adapters.service import answers, usage
from foreproof.adapters.service.audit import Entry, write_entries
from foreproof.adapters.service.keys import touch_keys
from foreproof.adapters.service.secret import key_secret
from foreproof.adapters.service.store import ServiceStore
from foreproof.app.api import logs
from foreproof.app.api.identity import Identity
from foreproof.app.api.limits import Limits, Quota
from foreproof.app.api.meter import Till
from foreproof.app.api.numbers import Numbers
from foreproof.app.api.published import Shelves
from foreproof.app.api.repeats import Repeats
from foreproof.app.api.traces import Tracing
from foreproof.app.home import LOCAL, Home
from foreproof.errors import StoreError

_EVERY = 1.0
_IDLE = 60.0
_HOUR = 3600.0
_SETTLED = 30.0
"""Seconds after the start before the first look at what lies in the folders."""


class Operations:
    """The operations of one application. local: only this machine can reach it."""

    def __init__(self, home: Home, store: ServiceStore, shelves: Shelves, *, local: bool) -> None:
        settings = home.settings
        self.home = home
        self.store = store
        self.local = local
        self.secret = key_secret(settings.key_secret, home.inside / "keys" / "api.secret")
        self.identity = Identity(store, self.secret, settings, local=local)
        self.limits = Limits(settings.rate, settings.burst)
        self.quota = Quota(store, settings.quota) if settings.quota else None
        self.till = Till()
        self.numbers = Numbers(home, store, shelves)
        self.repeats = Repeats(store, self.secret)
        self.tracing = Tracing(settings.otel) if settings.otel else None
        self.running = False
        self._entries: list[Entry] = []
        self._lines: list[usage.Used] = []
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        now = time.monotonic()
        self._flushed, self._hourly = now, now - _HOUR + _SETTLED

    def start(self) -> None:
        """Begin to write down; more than once changes nothing."""
        if not self.running:
            self.running = True
            self._end.clear()
            self._thread = threading.Thread(target=self._work, name="foreproof-operations", daemon=True)
            self._thread.start()
            atexit.register(self.stop)  # an application that mounts this one may never run its lifespan

    def stop(self) -> None:
        """Write down what is left, and end."""
        if self.running:
            self.running = False
            self._end.set()
            if self._thread is not None:
                self._thread.join(timeout=10.0)
            atexit.unregister(self.stop)
            self.flush()
            if self.tracing is not None:
                self.tracing.close()

    def audit_later(self, entry: Entry) -> None:
        """Keep an entry that could not be written at once; never waits, since the event loop calls it."""
        self._entries.append(entry)

    def flush(self) -> None:
        """Write down usage and whatever waits. A store that does not answer is said, and asked again the next time."""
        with self._lock:
            self._lines += self.till.take()
            self._flushed = time.monotonic()
            try:
                usage.record(self.store, self._lines)
                self._lines = []
                ready = len(self._entries)
                write_entries(self.store, self._entries[:ready])
                del self._entries[:ready]
                used, self.identity.used = self.identity.used, {}
                touch_keys(self.store, used)
            except StoreError as error:
                logs.say("not written", level=30, found=str(error), lines=len(self._lines), entries=len(self._entries))

    def tick(self) -> None:
        """What is due: usage, signs of life of calls under way, quotas; every hour old answers and what lies in the folders."""
        now = time.monotonic()
        # An idle service writes its few milliseconds of overhead once a minute.
        if self.till.waiting or self._lines or self._entries or now - self._flushed > _IDLE:
            self.flush()
        try:
            self.repeats.still_here()
            if self.quota is not None:
                for tenant in self.quota.tenants():
                    self.quota.look_up(tenant, waiting=self.till.calls(tenant))
            if now - self._hourly >= _HOUR:
                self._hourly = now
                answers.forget_old(self.store, now=datetime.now(UTC))
                usage.record(self.store, stored(self.home))
        except StoreError as error:
            logs.say("not written", level=30, found=str(error))

    def _work(self) -> None:
        while not self._end.wait(_EVERY):
            try:
                self.tick()
            except Exception as error:
                # The thread has to outlive what nobody thought of: without it nothing is written down any more.
                logs.say("operations failed", level=40, error=error)


def stored(home: Home) -> list[usage.Used]:
    """One line a tenant: the bytes that its folders hold now."""
    at = datetime.now(UTC)
    lines = []
    for tenant in home.tenants():
        apart = home.folder / "tenants" if tenant == LOCAL else None
        size = _size(home.root(tenant), apart)
        lines.append(usage.Used(tenant, at, "storage", "folders", calls=0, bytes_stored=size))
    return lines


def _size(folder: Path, apart: Path | None) -> int:
    total = 0
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if apart is None or Path(at, name) != apart]
        for name in names:
            try:
                total += os.lstat(os.path.join(at, name)).st_size
            except OSError:
                continue  # it went while we looked
    return total


__all__ = ["Operations", "stored"]
