"""Programs of ours as processes of their own, for tests that look at them from outside."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

PATIENCE = 60.0
"""Seconds that a process may take to start, and a page to be drawn, on a machine that is busy."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def started(words: Sequence[str], address: str, log: Path, **settings: str) -> Iterator[str]:
    """`foreproof WORDS` in a process of its own, from when its address answers until the end of the block."""
    command = [sys.executable, "-c", "from foreproof.app.start import main; main()", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **settings}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
        try:
            until = time.monotonic() + PATIENCE
            while True:
                with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2):
                    break
                said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                assert process.poll() is None, said
                assert time.monotonic() < until, said
                time.sleep(0.1)
            yield address
        finally:
            # The pages' command starts Streamlit as a process of its own: both end with their session.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


@contextlib.contextmanager
def pages_over(api: str, log: Path, **settings: str) -> Iterator[str]:
    """`foreproof ui` over an API, until the end of the block."""
    base = f"http://127.0.0.1:{(port := free_port())}"
    words = ("ui", "--port", str(port), "--api", api)
    with started(words, f"{base}/_stcore/health", log, **settings):
        yield base
