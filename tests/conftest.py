"""What every test may ask for: hypothesis profiles, the data folder, servers."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

# Before any library starts its threads: workers run side by side, so each library gets one.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import psycopg
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# No deadline: a machine that is busy with something else must not turn a law red.
settings.register_profile("dev", max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("gate", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.register_profile("ci", settings.get_profile("gate"), max_examples=200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

RequireServer = Callable[[str, str], NoReturn]


def _require_server(name: str, reason: str) -> NoReturn:
    """Skip because the server `name` is not there, or fail where FOREPROOF_REQUIRE_SERVERS=1 (as in CI)."""
    if os.environ.get("FOREPROOF_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{name} is required here (FOREPROOF_REQUIRE_SERVERS=1): {reason}", pytrace=False)
    pytest.skip(f"{name}: {reason}")


@pytest.fixture(scope="session")
def require_server() -> RequireServer:
    """`require_server(name, reason)`: skips the test, or fails it where servers are required."""
    return _require_server


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """A SQLAlchemy URL of a PostgreSQL database that tests may write to; workers share it, so name things uniquely."""
    url = os.environ.get("FOREPROOF_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
    try:
        psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=3).close()
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        _require_server(
            "PostgreSQL", f"{reason}; set FOREPROOF_TEST_POSTGRES=postgresql+psycopg://USER:PASSWORD@HOST/NAME"
        )
    return url


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server (moto's) in a process of its own, for as long as the session lasts."""
    log = tmp_path_factory.mktemp("s3") / "log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if server.poll() is not None:
                break
            time.sleep(0.1)
        if server.poll() is not None:
            _require_server("S3", f"moto's server ended: {log.read_text(encoding='utf-8', errors='replace')[-500:]}")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def s3_bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket's name; the clients of the test find the server by the environment, as a user's do."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    import boto3

    name = f"b{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of benchmark data: FOREPROOF_DATA, or ../shared/data beside the project."""
    folder = Path(os.environ.get("FOREPROOF_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no benchmark data here; FOREPROOF_DATA names the folder (see docs/benchmarks.md)")
    return folder
