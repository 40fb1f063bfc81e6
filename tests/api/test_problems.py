"""A fault of the service's own is a problem like every other one, and tells nothing of its inside."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from foreproof.app.api.app import create_app
from foreproof.app.home import open_home


def test_a_fault_of_ours_is_a_problem_that_tells_nothing_of_the_inside(own_home: Path) -> None:
    app = create_app(open_home(own_home, {}))

    @app.get("/api/v1/broken")
    def broken() -> None:
        raise RuntimeError("a secret of the inside")

    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/api/v1/broken")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["instance"] and "secret" not in answer.text
