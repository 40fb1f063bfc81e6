"""What every test may ask for: hypothesis profiles, the data folder, servers."""

from __future__ import annotations

import os
from collections.abc import Callable
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
settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
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
def data_dir() -> Path:
    """The folder of benchmark data: FOREPROOF_DATA, or ../shared/data beside the project."""
    folder = Path(os.environ.get("FOREPROOF_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no benchmark data here; FOREPROOF_DATA names the folder (see docs/benchmarks.md)")
    return folder
