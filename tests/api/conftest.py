"""A home with a forecast and a propensity, both run whole and proven, and clients of its API."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api_home import published_home
from foreproof.app.api.app import create_app
from foreproof.app.home import open_home


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


__all__ = ["client", "own_home", "published_home", "reading"]
