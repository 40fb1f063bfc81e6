"""`python -m foreproof.app.jobs.step HOME TENANT PROJECT JOB KIND STEP REQUEST`: one step of a job, in a process of its own.

It says what happens as lines of JSON on standard output: `progress`, `log`, and at the end `result` or `error`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from foreproof.errors import ForeproofError

_OFTEN = 0.5
"""Seconds between two lines about the same stage."""


class Streamed:
    """Progress as lines of JSON; implements `core.ports.Progress`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._stage, self._done, self._total = "", 0, 0
        self._said = 0.0
        self._lock = threading.Lock()

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` pieces."""
        if total:
            self._stage, self._done, self._total = name, 0, total
            self._say()

    def advance(self, n: int = 1) -> None:
        """N more pieces of the stage are done."""
        self._done += n
        if self._done >= self._total or time.monotonic() - self._said > _OFTEN:
            self._say()

    def say(self, event: str, **said: Any) -> None:
        """One line."""
        with self._lock:
            self._out.write(json.dumps({"event": event, **said}, default=str) + "\n")
            self._out.flush()

    def _say(self) -> None:
        self._said = time.monotonic()
        used = os.times()
        cpu = round(used.user + used.system + used.children_user + used.children_system, 3)
        self.say("progress", stage=self._stage, done=self._done, total=self._total, cpu_seconds=cpu)


def main(words: list[str]) -> int:
    """Do the step; 0 where it is done, else the exit code of its error."""
    home, tenant, project, job, kind, step, request = words
    # What libraries print must not mix with what is said: only this file descriptor speaks.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    streamed = Streamed(out)
    threading.Thread(target=_end_with_worker, daemon=True).start()
    try:
        from foreproof.app.home import open_home
        from foreproof.app.jobs.work import Asked, do_step

        asked: Mapping[str, Any] = json.loads(request)
        place = open_home(Path(home)).place(tenant, project)
        result = do_step(Asked(place, job, kind, step, asked), streamed)
    except ForeproofError as error:
        streamed.say("error", error=error.as_dict())
        return error.exit_code
    except Exception as error:  # a fault of ours ends the job in words, not the worker
        streamed.say("log", line=traceback.format_exc()[-4000:])
        fault = ForeproofError(
            f"step {step}", found=repr(error)[:500], fix="see the job's log; this is a fault of ours"
        )
        streamed.say("error", error=fault.as_dict())
        return 1
    streamed.say("result", result=result)
    return 0


def _end_with_worker() -> None:
    """The worker holds the other end of standard input: where that closes, this process and all that it started end."""
    with suppress(OSError):
        while os.read(0, 1):
            pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # Threads of libraries must not hold up what is done.
    os._exit(code)

__all__ = ["Streamed", "main"]
