"""How much a key may ask at once, and a tenant in a day."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from foreproof.adapters.service.store import ServiceStore
from foreproof.adapters.service.usage import calls_since

_MANY = 10_000
"""So many buckets are kept before full ones are thrown away."""


class Limits:
    """Token buckets by key: `rate` requests a second, `burst` at once; a rate of 0 stands for no limit."""

    def __init__(self, rate: float, burst: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.burst = max(burst, 1.0)
        self._clock = clock
        self._buckets: dict[str, list[float]] = {}

    def take(self, key: str) -> float:
        """What is left after this request; negative: seconds to wait, and nothing was taken."""
        if not self.rate:
            return self.burst
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= _MANY:
                self._prune(now)
            bucket = self._buckets[key] = [self.burst, now]
        left = bucket[0] + (now - bucket[1]) * self.rate
        left = min(left, self.burst) - 1.0
        bucket[1] = now
        if left < 0.0:
            bucket[0] = left + 1.0
            return left / self.rate
        bucket[0] = left
        return left

    def _prune(self, now: float) -> None:
        self._buckets = {
            key: bucket
            for key, bucket in self._buckets.items()
            if bucket[0] + (now - bucket[1]) * self.rate < self.burst
        }


class Quota:
    """Requests of a tenant in a day of UTC, over all processes: what is written down, and what this one has let in since."""

    def __init__(self, store: ServiceStore, daily: int, *, now: Callable[[], datetime] | None = None) -> None:
        self.daily = daily
        self._store = store
        self._now = now or (lambda: datetime.now(UTC))
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, int]] = {}

    def left(self, tenant: str) -> int | None:
        """How many requests the tenant may still make today, this one among them; None where it has to be looked up."""
        kept = self._counts.get(tenant)
        if kept is None or kept[0] != self._now().toordinal():
            return None
        return self.daily - kept[1]

    def count(self, tenant: str) -> None:
        """One request that was let in."""
        with self._lock:
            if kept := self._counts.get(tenant):
                self._counts[tenant] = (kept[0], kept[1] + 1)

    def look_up(self, tenant: str, *, waiting: int = 0) -> None:
        """Read what is written down of today. waiting: requests that are counted but not yet written."""
        now = self._now()
        start = now.replace(hour=0, minute=0, second=0, microsecond=0)
        found = calls_since(self._store, tenant, start)
        with self._lock:
            self._counts[tenant] = (now.toordinal(), found + waiting)

    def tenants(self) -> tuple[str, ...]:
        """The tenants that were counted."""
        return tuple(self._counts)

    def seconds_to_midnight(self) -> int:
        """When the next day begins."""
        now = self._now()
        return 86_400 - (now.hour * 3600 + now.minute * 60 + now.second)


__all__ = ["Limits", "Quota"]
