"""The service says whether it lives and can answer."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_it_lives_and_its_stores_answer(client: TestClient) -> None:
    for prefix in ("", "/api/v1"):
        assert client.get(f"{prefix}/health/live").json() == {"status": "live"}
        ready = client.get(f"{prefix}/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")


def test_an_unknown_address_is_a_problem(client: TestClient) -> None:
    answer = client.get("/api/v1/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["object"] == "/api/v1/nothing"
