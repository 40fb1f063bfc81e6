"""The gate: ids, limits, quotas, sizes of bodies, what is said when something fails, and who may read the numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

import service_home
from foreproof.adapters.service.migrate import open_store
from foreproof.adapters.service.usage import Used, record
from foreproof.app.api.limits import Limits, Quota
from foreproof.errors import StoreError


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    return service_home.opened(service_home.made(tmp_path / "home"), {"FOREPROOF_MAX_BODY": "2000"})


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with service_home.client(app) as found:
        yield found


def test_every_answer_carries_the_id_of_its_request_and_a_sane_one_is_taken_over(client: TestClient) -> None:
    mine = client.get("/api/v1/me", headers={"X-Request-ID": "batch-7.42:a_b"})
    assert mine.headers["x-request-id"] == "batch-7.42:a_b"
    found = [client.get("/health/live").headers["x-request-id"] for _ in range(3)]
    assert len(set(found)) == 3
    for bad in ("x" * 65, 'a"b', "a b", "", "{}"):
        assert client.get("/health/live", headers={"X-Request-ID": bad}).headers["x-request-id"] != bad
    answer = client.get("/api/v1/nothing", headers={"X-Request-ID": "lost"})
    assert answer.json()["instance"] == "lost"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    at = [0.0]
    limits = Limits(2.0, 3.0, clock=lambda: at[0])
    assert [limits.take("a") for _ in range(3)] == [2.0, 1.0, 0.0]
    assert limits.take("a") == -0.5, "half a second until the next one"
    assert limits.take("a") == -0.5, "a refused request costs nothing"
    assert limits.take("b") == 2.0, "each key has its own"
    at[0] = 0.5
    assert limits.take("a") == 0.0
    at[0] = 100.0
    assert limits.take("a") == 2.0, "never more than the burst"
    assert Limits(0.0, 1.0).take("a") == Limits(0.0, 1.0).take("a") == 1.0


def test_forgetting_full_buckets_gives_nobody_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foreproof.app.api.limits._MANY", 3)
    at = [0.0]
    limits = Limits(1.0, 2.0, clock=lambda: at[0])
    limits.take("a"), limits.take("a")
    for name in ("b", "c", "d", "e"):
        at[0] += 0.4
        limits.take(name)
    assert limits.take("a") == pytest.approx(0.6)
    assert len(limits._buckets) <= 4


def test_too_many_requests_are_told_how_long_to_wait(tmp_path: Path) -> None:
    env = {"FOREPROOF_RATE": "0.1", "FOREPROOF_BURST": "2"}
    with service_home.client(service_home.opened(service_home.made(tmp_path / "home"), env)) as client:
        good = client.get("/api/v1/me")
        assert good.headers["x-ratelimit-remaining"] == "1"
        client.get("/api/v1/me")
        refused = client.get("/api/v1/me")
        assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
        assert 1 <= int(refused.headers["retry-after"]) <= 11
        assert client.get("/health/ready").status_code == 200, "health is never limited"


def test_a_tenants_day_ends_for_all_its_keys_and_for_nobody_else(tmp_path: Path) -> None:
    app = service_home.opened(service_home.made(tmp_path / "home"), {"FOREPROOF_QUOTA": "3"})
    keys = [service_home.key(app, tenant, "reader")[1] for tenant in ("amber", "amber", "birch")]
    with service_home.client(app) as client:
        used = [client.get("/api/v1/me", headers=keys[number % 2]).status_code for number in range(4)]
        assert used == [200, 200, 200, 429]
        assert client.get("/api/v1/me", headers=keys[2]).status_code == 200
        assert int(client.get("/api/v1/me", headers=keys[0]).headers["retry-after"]) <= 86_401


def test_a_quota_counts_what_is_written_down_of_today_alone(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'service.db'}")
    now = datetime(2026, 11, 5, 13, tzinfo=UTC)
    record(store, [Used("amber", now - timedelta(hours=age), "request", "GET /me", calls=2) for age in (1, 5, 20)])
    quota = Quota(store, 5, now=lambda: now)
    assert quota.left("amber") is None
    quota.look_up("amber")
    assert quota.left("amber") == 1
    quota.count("amber")
    assert quota.left("amber") == 0
    assert quota.seconds_to_midnight() == 11 * 3600
    later = Quota(store, 5, now=lambda: now + timedelta(days=1))
    later.look_up("amber")
    assert later.left("amber") == 5
    store.close()


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_also_in_chunks(
    client: TestClient, headers: dict[str, str], chunked: bool
) -> None:
    body = b'{"name": "' + b"x" * 3000 + b'", "role": "reader"}'
    content = iter([body[:1500], body[1500:]]) if chunked else body
    kind = {"Content-Type": "application/json"}
    answer = client.post("/api/v1/keys", content=content, headers=kind | headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert "FOREPROOF_MAX_BODY" in answer.json()["title"]
    fine = client.post("/api/v1/keys", content=iter([b'{"name": "a",', b'"role": "reader"}']), headers=kind | headers)
    assert fine.status_code == 201


def test_a_fault_of_ours_is_a_500_without_its_words_and_the_next_call_works(app: FastAPI, client: TestClient) -> None:
    @app.get("/api/v1/broken")
    async def broken() -> None:
        raise RuntimeError("a secret of the inside")

    answer = client.get("/api/v1/broken")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "inside" not in answer.text and answer.json()["instance"] == answer.headers["x-request-id"]
    assert client.get("/api/v1/me").status_code == 200
    assert 'foreproof_requests_total{method="GET",route="/broken",status="500"} 1.0' in client.get("/metrics").text


def test_a_store_that_does_not_answer_is_a_503_and_nothing_is_lost(
    app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations = app.state.service.operations
    _, shown = service_home.key(app, "amber", "admin")

    def gone(*_: object, **__: object) -> None:
        raise StoreError("service store", found="gone", wanted="a database that answers", fix="try again")

    client.get("/api/v1/me", headers=shown)
    with monkeypatch.context() as patch:
        patch.setattr("foreproof.adapters.service.usage.record", gone)
        patch.setattr("foreproof.app.api.gate.write_entries", gone)
        patch.setattr("foreproof.app.api.operations.write_entries", gone)
        patch.setattr("foreproof.app.api.identity.find_key", gone)
        assert client.get("/api/v1/me", headers=shown).status_code == 200, "who is known goes on for a moment"
        made = client.post("/api/v1/keys", json={"name": "made", "role": "reader"}, headers=shown)
        assert made.status_code == 201
        operations.flush()
        answer = client.get("/api/v1/me", headers={"Authorization": "Bearer fp_unknown"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    operations.flush()
    assert [row["route"] for row in client.get("/api/v1/audit", headers=shown).json()["items"]] == ["/keys"]
    rows = client.get("/api/v1/usage", headers=shown).json()["rows"]
    assert {row["name"]: row["calls"] for row in rows}["GET /me"] == 2


def test_numbers_are_open_here_and_an_admins_of_the_service_elsewhere(tmp_path: Path) -> None:
    home = service_home.made(tmp_path / "home")
    near, far = service_home.opened(home), service_home.opened(home, local=False)
    shown = {
        (tenant, role): service_home.key(near, tenant, role)[1]
        for tenant in ("local", "amber")
        for role in ("admin", "reader")
    }
    with service_home.client(near) as client:
        for path in ("/metrics", "/api/v1/metrics"):
            assert client.get(path).status_code == 200
            assert client.get(path, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 401
        assert client.get("/metrics", headers=shown["amber", "admin"]).status_code == 403
    with service_home.client(far) as client:
        assert client.get("/metrics").status_code == 401
        codes = {who: client.get("/metrics", headers=headers).status_code for who, headers in shown.items()}
        assert codes == {who: 200 if who == ("local", "admin") else 403 for who in shown}


def test_an_application_that_mounts_this_one_needs_no_more(tmp_path: Path) -> None:
    inner = service_home.opened(service_home.made(tmp_path / "home"))
    outer = FastAPI()
    outer.mount("/proof", inner)
    with TestClient(outer) as client:  # a mounted application's lifespan is not run
        assert client.get("/proof/api/v1/me").json()["tenant"] == "local"
        assert client.get("/proof/health/live").status_code == 200
        assert client.get("/proof/metrics").status_code == 200
    inner.state.service.operations.stop()
    inner.state.service.store.close()


def test_what_a_call_may_add_to_its_meter_stands_in_its_usage(app: FastAPI, client: TestClient) -> None:
    @app.get("/api/v1/counted")
    async def counted(request: Request) -> dict[str, int]:
        request.state.meter.rows_predicted += 28
        request.state.meter.bytes_scanned += 4096
        await asyncio.sleep(0)
        return {}

    client.get("/api/v1/counted"), client.get("/api/v1/counted")
    rows = {row["name"]: row for row in client.get("/api/v1/usage").json()["rows"]}
    found = rows["GET /counted"]
    assert (found["calls"], found["rows_predicted"], found["bytes_scanned"]) == (2, 56, 8192)
    assert found["cpu_seconds"] > 0


def test_nothing_but_http_goes_past_the_gate(app: FastAPI, client: TestClient) -> None:
    from fastapi import WebSocket
    from starlette.websockets import WebSocketDisconnect

    @app.websocket("/api/v1/ws")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()

    with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/api/v1/ws"):
        pass
    assert caught.value.code == 1008


def test_odd_paths_and_ids_are_not_found_and_break_nothing(tmp_path: Path, postgres_url: str) -> None:
    import uuid

    import sqlalchemy as sa

    schema = f"fp_{uuid.uuid4().hex[:12]}"
    env = {"FOREPROOF_SERVICE": f"{postgres_url}?schema={schema}"}
    app = service_home.opened(service_home.made(tmp_path / "home"), env)
    with service_home.client(app) as client:
        for odd in ("%00", "a%00b", "%ff%fe", "..%2f..", "%F0%9F%92%A9", "x" * 2000):
            for headers in ({}, {"Idempotency-Key": "k"}):
                answer = client.delete(f"/api/v1/keys/{odd}", headers=headers)
                assert answer.status_code in (404, 422), (odd, answer.text)
        assert client.get("/api/v1/audit").json()["total"] == 12
        with app.state.service.store.writing() as connection:
            connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
