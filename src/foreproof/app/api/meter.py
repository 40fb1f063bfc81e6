"""What a call costs: CPU measured around each step of it, and what routes count themselves.

The event loop's share is the time of the thread between two of the coroutine's waits; a route that is a plain function runs in a
thread of its own, where `measured` takes the time. What neither sees (the server's parsing, tasks that a call leaves behind)
is the process's overhead, which `Till` computes as the rest.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from foreproof.adapters.service.usage import COUNTERS, Used

_COUNTED = tuple(name for name in COUNTERS if name != "calls")


@dataclass(slots=True)
class Meter:
    """What one call has used so far. Routes add to all but `cpu_ns`: `request.state.meter.rows_predicted += 28`."""

    cpu_ns: int = 0
    bytes_scanned: int = 0
    bytes_stored: int = 0
    rows_predicted: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


METER: ContextVar[Meter | None] = ContextVar("foreproof_meter", default=None)
"""The meter of the call under way, also in the thread that a plain function runs in."""


class stepped:  # noqa: N801 - it is awaited like a function
    """`await stepped(awaitable, meter)`: the awaitable's result, with the CPU of each of its steps on the meter."""

    __slots__ = ("awaitable", "meter")

    def __init__(self, awaitable: Awaitable[Any], meter: Meter) -> None:
        self.awaitable = awaitable
        self.meter = meter

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self.awaitable.__await__()
        meter, clock = self.meter, time.thread_time_ns
        send: Callable[[Any], Any] = steps.send
        value: Any = None
        while True:
            began = clock()
            try:
                waits_for = send(value)
            except StopIteration as end:
                return end.value
            finally:
                meter.cpu_ns += clock() - began
            try:
                value, send = (yield waits_for), steps.send
            except BaseException as error:
                value, send = error, steps.throw


def measured(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """A route's function, with the CPU of its thread on the meter; a coroutine function is measured where it is stepped."""
    if inspect.iscoroutinefunction(endpoint) or hasattr(endpoint, "__foreproof_measured__"):
        return endpoint

    @wraps(endpoint)
    def timed(*args: Any, **kwargs: Any) -> Any:
        meter, began = METER.get(), time.thread_time_ns()
        try:
            return endpoint(*args, **kwargs)
        finally:
            # Called on the loop itself (by a test, by another route), its time is on the meter already.
            if meter is not None and not _on_a_loop():
                meter.cpu_ns += time.thread_time_ns() - began

    timed.__foreproof_measured__ = True  # type: ignore[attr-defined]
    return timed


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Till:
    """Usage of this process, summed in memory until `take` hands it over, with the overhead that makes the sums whole.

    The CPU of all lines taken so far is the CPU of the process since `started`, to the nanosecond. clock: process CPU in ns.
    """

    def __init__(self, *, clock: Callable[[], int] = time.process_time_ns, started: int | None = None) -> None:
        self._clock = clock
        self._taken = clock() if started is None else started
        self._lock = threading.Lock()
        self._sums: dict[tuple[str, str, str], list[int]] = {}

    def add(self, tenant: str, route: str, key: str, meter: Meter) -> None:
        """One call that has ended."""
        where = (tenant, route, key)
        with self._lock:
            row = self._sums.get(where)
            if row is None:
                row = self._sums[where] = [0] * (len(_COUNTED) + 1)
            row[0] += 1
            row[1] += meter.cpu_ns
            row[2] += meter.bytes_scanned
            row[3] += meter.bytes_stored
            row[4] += meter.rows_predicted
            row[5] += meter.tokens_in
            row[6] += meter.tokens_out

    @property
    def waiting(self) -> bool:
        """Whether there are calls that were not taken yet."""
        return bool(self._sums)

    def calls(self, tenant: str) -> int:
        """How many of a tenant's calls were not taken yet."""
        with self._lock:
            return sum(row[0] for where, row in self._sums.items() if where[0] == tenant)

    def take(self, now: datetime | None = None) -> list[Used]:
        """The lines since the last time, and the overhead between."""
        at = datetime.now(UTC) if now is None else now
        with self._lock:
            sums, self._sums = self._sums, {}
            spent = self._clock() - self._taken
            self._taken += spent
        lines = [
            Used(tenant, at, "request", route, key, row[0], **dict(zip(_COUNTED, row[1:], strict=True)))
            for (tenant, route, key), row in sums.items()
        ]
        rest = spent - sum(line.cpu_ns for line in lines)
        return [*lines, Used("local", at, "overhead", "process", calls=0, cpu_ns=rest)]


__all__ = ["METER", "Meter", "Till", "measured", "stepped"]
