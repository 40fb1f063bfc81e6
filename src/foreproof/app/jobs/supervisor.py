"""`foreproof worker`: a process that does nothing but keep its slots alive."""

from __future__ import annotations

import os
import signal
import socket
import time
import traceback
from dataclasses import dataclass

from foreproof.adapters.queue import check_url
from foreproof.app.home import Home
from foreproof.app.jobs.slot import run_slot, say
from foreproof.errors import BadInput

_LOOK = 0.05
_SHORT, _LONGEST = 0.1, 30.0
"""Seconds before a slot that ended is begun again: the first time, and at most, doubled each time it ended within ten seconds."""
_GRACE = 20.0
"""Seconds that a slot has to finish the step that it is at, once asked to stop."""


@dataclass
class _Kept:
    """A slot as its supervisor sees it; pid 0 while it does not run."""

    pid: int = 0
    since: float = 0.0
    again: float = 0.0
    pause: float = _SHORT


def worker_name(given: str) -> str:
    """The name under which slots are found again: the one given, else the machine's. Raises BadInput."""
    name = given or socket.gethostname() or "worker"
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or len(name) > 100:
        raise BadInput("--name", found=repr(name), wanted="letters, digits, dots and dashes, 100 at most")
    return name


def supervise(home: Home, *, slots: int, name: str = "") -> int:
    """Keep `slots` slots of a home at work until SIGTERM or SIGINT; they finish the step that they are at, for a while."""
    if not 1 <= slots <= 256:
        raise BadInput("--slots", found=str(slots), wanted="1 to 256")
    if not hasattr(os, "fork"):
        raise BadInput("worker", found=os.name, wanted="a POSIX system", fix="run it in WSL or a container")
    check_url(home.settings.jobs)
    named = worker_name(name)
    _prepare(home)
    stop: list[int] = []
    before = {
        number: signal.signal(number, lambda got, _: stop.append(got)) for number in (signal.SIGTERM, signal.SIGINT)
    }
    # Slots hold the reading end: it closes with this process, however that ends.
    alive, ours = os.pipe()
    kept = {number: _Kept() for number in range(slots)}
    say(f"worker {named}: {slots} slot{'s' if slots > 1 else ''} for {home.folder}")
    while not stop:
        for number, slot in kept.items():
            if not slot.pid and time.monotonic() >= slot.again:
                slot.pid, slot.since = _fork(home, named, number, (alive, ours)), time.monotonic()
        _reap(kept)
        time.sleep(_LOOK)
    _stop(kept)
    for number, handler in before.items():
        signal.signal(number, handler)
    os.close(ours)
    os.close(alive)
    say(f"worker {named}: stopped")
    return 0


def _prepare(home: Home) -> None:
    """The tables, and what slots share: imported here, they are there as soon as a slot is forked."""
    import dbos  # noqa: F401

    from foreproof.adapters.service.migrate import open_store

    open_store(home.settings.store).close()


def _fork(home: Home, name: str, number: int, pipe: tuple[int, int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.close(pipe[1])
        for got in (signal.SIGTERM, signal.SIGINT):
            signal.signal(got, signal.SIG_DFL)
        run_slot(home, name, number, pipe[0])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _reap(kept: dict[int, _Kept]) -> None:
    """Note which slots ended, and when to begin them again: at once where something killed them."""
    by_pid = {slot.pid: (number, slot) for number, slot in kept.items() if slot.pid}
    for pid, (number, slot) in by_pid.items():
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            continue
        code = os.waitstatus_to_exitcode(status)
        lived = time.monotonic() - slot.since
        slot.pause = _SHORT if lived > 10 or code < 0 else min(2 * slot.pause, _LONGEST)
        slot.pid, slot.again = 0, time.monotonic() + slot.pause
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        say(f"slot {number} ended by {how}; it is back in {slot.pause:.1f} s")


def _stop(kept: dict[int, _Kept]) -> None:
    """Ask every slot to stop, and end those that do not within the grace."""
    for slot in kept.values():
        if slot.pid:
            os.kill(slot.pid, signal.SIGTERM)
    end = time.monotonic() + _GRACE
    while any(slot.pid for slot in kept.values()):
        for slot in kept.values():
            if slot.pid and os.waitpid(slot.pid, os.WNOHANG)[0]:
                slot.pid = 0
            elif slot.pid and time.monotonic() > end:
                os.kill(slot.pid, signal.SIGKILL)
        time.sleep(_LOOK)


__all__ = ["supervise", "worker_name"]
