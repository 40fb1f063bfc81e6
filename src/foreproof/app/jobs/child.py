"""One step of a job as a process: started, listened to, stopped on request, and charged with all the CPU that it used.

The process leads a group of its own, so that whatever it starts ends with it; and it ends when the pipe to its worker does,
so that a killed worker leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_LOOK = 0.25
"""Seconds between two looks at whether to stop."""
_LONGEST = 64 * 1024
Event = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a step ended. signal: which one ended it, or 0. cpu_seconds: its own, and those of what it waited for."""

    outcome: Mapping[str, Any]
    code: int
    signal: int
    stopped: bool
    seconds: float
    cpu_seconds: float


def run_child(
    words: Sequence[str],
    *,
    said: Callable[[Sequence[Event]], None],
    stop: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run `python -m foreproof.app.jobs.step WORDS`; `said` is given its events as they come, `stop` is asked all the while."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "foreproof.app.jobs.step", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=None if environment is None else dict(environment),
    )
    try:
        outcome, stopped = _listen(process, said, stop)
    except BaseException:
        _kill(process)
        raise
    finally:
        # wait4 counts what the process waited for as well; a worker of its own that it left behind is ended here.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        _kill(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
    ended = process.returncode
    return Ended(
        outcome=outcome,
        code=max(ended, 0),
        signal=max(-ended, 0),
        stopped=stopped,
        seconds=time.monotonic() - started,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
    )


def _listen(
    process: subprocess.Popen[bytes], said: Callable[[Sequence[Event]], None], stop: Callable[[], bool]
) -> tuple[Mapping[str, Any], bool]:
    """Hand on what the process says until it says nothing more; what it said last of its outcome."""
    outcome: Mapping[str, Any] = {}
    stopped = False
    rest = {"out": b"", "err": b""}
    with selectors.DefaultSelector() as both:
        both.register(process.stdout, selectors.EVENT_READ, "out")  # type: ignore[arg-type]
        both.register(process.stderr, selectors.EVENT_READ, "err")  # type: ignore[arg-type]
        looked = 0.0
        while both.get_map():
            events: list[Event] = []
            for key, _ in both.select(_LOOK):
                part = os.read(key.fd, _LONGEST)
                if not part:
                    both.unregister(key.fileobj)
                lines = (rest[key.data] + part).split(b"\n")
                rest[key.data] = lines.pop() if part else b""
                events += [event for line in lines if (event := _event(line, key.data)) is not None]
            ends = [words for name, words in events if name in ("result", "error")]
            outcome = ends[-1] if ends else outcome
            if told := [event for event in events if event[0] not in ("result", "error")]:
                said(told)
            if not stopped and time.monotonic() - looked > _LOOK:
                looked = time.monotonic()
                if stop():
                    stopped = True
                    _kill(process)
    return outcome, stopped


def _event(line: bytes, pipe: str) -> Event | None:
    text = line.decode(errors="replace").strip()
    if not text:
        return None
    if pipe == "err":
        return "log", {"line": text[:2000]}
    values = json.loads(text)
    return values.pop("event"), values


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


__all__ = ["Ended", "Event", "run_child"]
