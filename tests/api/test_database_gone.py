"""The database goes away under a running service and comes back: right answers meanwhile, and nothing lost after."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))

import project
from fastapi.testclient import TestClient

from foreproof.adapters.service.migrate import open_store
from foreproof.app.api.app import create_app
from foreproof.app.home import open_home
from foreproof.app.project import open_project
from relay import Relay, relay


@pytest.fixture
def through(postgres_url: str) -> Iterator[tuple[Relay, str]]:
    """A relay in front of PostgreSQL, and the address of the same database through it."""
    url = sa.make_url(postgres_url)
    with relay(url.host or "127.0.0.1", url.port or 5432) as found:
        own = url.set(host="127.0.0.1", port=found.port).render_as_string(hide_password=False)
        yield found, own


def test_while_the_database_is_gone_calls_are_refused_in_words_and_afterwards_nothing_is_missing(
    through: tuple[Relay, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, url = through
    name = f"g{uuid.uuid4().hex[:10]}"
    monkeypatch.setenv("FOREPROOF_CATALOG", f"{url}?schema={name}_catalog")
    folder = project.make(tmp_path / "home" / "shop")
    home = open_home(folder.parent, {"FOREPROOF_SERVICE": f"{url}?schema={name}_service"})
    open_store(home.settings.store).close()
    with TestClient(create_app(home), raise_server_exceptions=False) as client:

        def send(units: int, key: str) -> tuple[int, dict[str, object]]:
            rows = [{"item": "item 1", "date": "2024-05-20", "units": units}]
            answer = client.post("/api/v1/data/sales", json={"rows": rows}, headers={"Idempotency-Key": key})
            return answer.status_code, answer.json()

        assert send(1, "first")[0] == 201
        line.cut()
        status, said = send(2, "second")
        assert status == 503, said
        assert {"found", "wanted", "fix"} <= set(said) and "second" not in str(said), said
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503
        for path in ("/me", "/runs", "/jobs", "/usage", "/overview", "/audit"):
            answer = client.get(f"/api/v1{path}")
            assert answer.status_code in (200, 503), (path, answer.text)
            assert answer.status_code == 200 or answer.headers["retry-after"]
        refused = client.post("/api/v1/jobs", json={"kind": "load"}, headers={"Idempotency-Key": "job"})
        assert refused.status_code == 503, refused.text
        client.app.state.service.operations.tick()  # type: ignore[attr-defined] # usage that cannot be written down waits
        line.mend()
        assert client.get("/health/ready").status_code == 200
        status, said = send(2, "second")
        assert status == 201 and said["superseding"] == 1, said
        assert send(2, "second") == (status, said), "the same call again is answered as it was"
        asked = client.post("/api/v1/jobs", json={"kind": "load"}, headers={"Idempotency-Key": "job"})
        assert asked.status_code == 202 and len(client.get("/api/v1/jobs").json()["items"]) == 1
        client.app.state.service.operations.flush()  # type: ignore[attr-defined]
        told = client.get("/api/v1/audit").json()["items"]
        assert sum(row["route"] == "/data/{table}" and row["status"] == 201 for row in told) >= 2, told
        rows = client.get("/api/v1/usage").json()["rows"]
        assert {row["name"]: row["calls"] for row in rows}["POST /data/{table}"] >= 3, rows
    assert open_project(folder).lake.batches("sales").height == 2
