"""The page of the API can fail: each of its examples runs against a service, and each route stands on it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
PREFIX = "/api/v1"
_BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SERVE = "from foreproof.app.start import main; main()"
# One process for all of them, as a start of Python costs more than an example; each has names of its own.
_RUN = """
import json, subprocess, sys
for kind, text in json.load(sys.stdin):
    print(text, flush=True)
    if kind == "bash":
        subprocess.run(["bash", "-euo", "pipefail", "-c", text], check=True)
    else:
        exec(compile(text, "example", "exec"), {"__name__": "__main__"})
"""


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and text of each block that runs."""
    return [(found[1], found[2]) for found in _BLOCK.finditer(text)]


def unnamed(app: FastAPI, text: str) -> list[str]:
    """Routes of the OpenAPI whose path the page does not name."""
    paths = (path.removeprefix(PREFIX) for path in app.openapi()["paths"])
    return sorted(path for path in set(paths) if not re.search(rf"(?<![\w/]){re.escape(path)}(?![\w/{{])", text))


@pytest.fixture
def service(own_home: Path) -> Iterator[str]:
    """The address of a service of its own process over `own_home`."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-c", _SERVE, "serve", str(own_home), "--port", str(port)]
    log = (own_home.parent / "serve.log").open("w")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FOREPROOF_")}
    with log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, process)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=60)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{address}/health/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the service did not start")


def test_every_example_of_the_page_runs(service: str, tmp_path: Path) -> None:
    found = blocks(PAGE.read_text(encoding="utf-8"))
    assert {kind for kind, _ in found} == {"bash", "python"}
    environment = {**os.environ, "FOREPROOF_API": service}
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        input=json.dumps(found),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def test_every_route_stands_on_the_page(client: TestClient) -> None:
    assert isinstance(client.app, FastAPI)
    assert unnamed(client.app, PAGE.read_text(encoding="utf-8")) == []


def test_a_route_without_a_place_on_the_page_is_found() -> None:
    app = FastAPI()
    app.get(f"{PREFIX}/runs/{{run}}")(lambda run: run)
    app.get(f"{PREFIX}/runs")(lambda: "")
    assert unnamed(app, "`/runs/{run}` alone") == ["/runs"]
    assert unnamed(app, "`/runs` and `/runs/{run}/tables`") == ["/runs/{run}"]


def test_every_route_says_what_it_is_for(client: TestClient) -> None:
    assert isinstance(client.app, FastAPI)
    for path, methods in client.app.openapi()["paths"].items():
        for method, said in methods.items():
            assert said.get("summary") and said.get("description"), f"{method} {path}"
