"""A home with a forecast and a propensity, both run whole and proven, and clients of its API."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))

import project
import shop
from fastapi.testclient import TestClient

from foreproof.app.api.app import create_app
from foreproof.app.home import open_home
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute

FORECAST = project.PLAN.replace(
    "models: [seasonal_naive, theta]", "models: [seasonal_naive, theta]\nproof: {coverage: 0.8}"
)
# Enough customers and cutoffs for every check of the proof.
PROPENSITY = shop.PLAN.replace("origins: 2, calibrations: 2, examples: 2", "origins: 4, calibrations: 2, examples: 3")
PROPENSITY = PROPENSITY.replace("calibration: 0.2", "calibration: 0.1")


def _made(folder: Path) -> Path:
    """`folder/forecast` and `folder/propensity` of tenant local, run whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOREPROOF_WORKERS", "1")
        lines = "\n".join(shop.lines(customers=120, days=200)) + "\n"
        projects = (
            project.make(folder / "forecast", plan=FORECAST),
            shop.given(folder / "propensity", plan=PROPENSITY, data=lines),
        )
        for given in projects:
            outcome = execute(open_project(given), progress=Silent(), tag="api")
            open_ones = [
                verdict for verdict in outcome.run.verdicts if verdict.outcome not in ("passed", "not applicable")
            ]
            assert outcome.run.status == "proven", open_ones
    return folder


@pytest.fixture(scope="session")
def published_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was made once for all workers: read it, never write to it (`own_home` is a copy)."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "api-home"
    with FileLock(f"{shared}.lock"):
        if not (shared / "done").exists():
            shutil.rmtree(shared, ignore_errors=True)
            _made(shared)
            (shared / "done").touch()
    return shared


@pytest.fixture
def own_home(published_home: Path, tmp_path: Path) -> Path:
    """A copy of the home that a test may change; tenant `other` has a copy of the forecast."""
    folder = tmp_path / "home"
    shutil.copytree(published_home, folder)
    shutil.copytree(published_home / "forecast", folder / "tenants" / "other" / "forecast")
    return folder


@pytest.fixture
def client(own_home: Path) -> Iterator[TestClient]:
    """A client of the whole API over `own_home`, open as on one's own machine."""
    with TestClient(create_app(open_home(own_home, {})), raise_server_exceptions=False) as found:
        yield found


@pytest.fixture(scope="session")
def reading(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client for tests that only read: over `published_home` itself, with a store of its own elsewhere."""
    environment = {"FOREPROOF_SERVICE": f"sqlite:///{tmp_path_factory.mktemp('reading') / 'service.db'}"}
    with TestClient(create_app(open_home(published_home, environment)), raise_server_exceptions=False) as found:
        yield found
