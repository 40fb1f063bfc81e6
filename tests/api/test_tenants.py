"""Keys, roles and tenants: who shows what may do what, and nobody sees that another tenant exists."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import service_home
from foreproof.adapters.service.keys import create_key, find_key, keyed_hash, list_keys, rotate_key
from foreproof.adapters.service.migrate import open_store
from foreproof.adapters.service.secret import key_secret
from foreproof.app.api.gate import COMPUTES, WRITES
from foreproof.app.api.identity import REMEMBERED, Identity
from foreproof.app.home import open_home
from foreproof.errors import BadInput, StoreError

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SECRET = b"a secret of the tests"
READERS_MAY = COMPUTES | {"/copilot/explain", "/copilot/summarize"}
"""What a reader may POST: it computes or explains, and changes nothing of the tenant's."""


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    return service_home.opened(service_home.made(tmp_path / "home"))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with service_home.client(app) as found:
        yield found


def test_a_key_is_kept_as_a_keyed_hash_and_found_by_its_text_alone(tmp_path: Path) -> None:
    path = tmp_path / "service.db"
    store = open_store(f"sqlite:///{path}")
    terms = {"tenant": "amber", "name": "one", "role": "reader"}
    key, text = create_key(store, SECRET, terms=terms, now=NOW)
    assert find_key(store, SECRET, text) == key
    assert find_key(store, b"another secret of the tests", text) is None
    other = text[:-2] + ("a" if text[-2] != "a" else "b") + text[-1]
    assert find_key(store, SECRET, other) is None
    with store.reading() as connection:
        kept = connection.exec_driver_sql("SELECT digest FROM api_keys").scalar_one()
    assert bytes(kept) == keyed_hash(SECRET, text)
    store.close()
    files = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert text[12:].encode() not in files


@pytest.mark.parametrize("text", ["", "fp_", "x" * 64, "fp_aaaaaaaa_" + "a" * 51 + "'", "fp_aaaaaaaa-" + "a" * 52])
def test_a_text_that_is_no_key_is_nobodys(text: str, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'service.db'}")
    assert find_key(store, SECRET, text) is None
    store.close()


def test_a_rotated_key_goes_on_for_its_grace_and_never_longer_than_it_would_have(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'service.db'}")
    terms = {"tenant": "amber", "name": "one", "role": "analyst"}
    end = NOW + timedelta(minutes=30)
    old, text = create_key(store, SECRET, terms=terms, now=NOW, expires=end)
    new, _ = rotate_key(store, SECRET, tenant="amber", key_id=old.id, now=NOW, grace=timedelta(hours=2))
    found = find_key(store, SECRET, text)
    assert found is not None
    assert (found.expires, found.replaced_by, new.expires, new.role) == (end, new.id, end, "analyst")
    newer, _ = rotate_key(store, SECRET, tenant="amber", key_id=new.id, now=NOW, grace=timedelta(0))
    states = {key.id: key.state(NOW) for key in list_keys(store, "amber")}
    assert states == {old.id: "active", new.id: "expired", newer.id: "active"}
    with pytest.raises(BadInput, match="expired"):
        rotate_key(store, SECRET, tenant="amber", key_id=new.id, now=NOW, grace=timedelta(0))
    with pytest.raises(BadInput, match="no such key"):
        rotate_key(store, SECRET, tenant="birch", key_id=old.id, now=NOW, grace=timedelta(0))
    store.close()


@pytest.mark.parametrize(
    ("terms", "expires"),
    [
        ({"role": "owner"}, None),
        ({"name": " "}, None),
        ({"name": "x" * 101}, None),
        ({"name": "a\nb"}, None),
        ({}, NOW),
    ],
)
def test_a_key_for_nothing_is_refused(terms: dict[str, str], expires: datetime | None, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'service.db'}")
    with pytest.raises(BadInput):
        create_key(
            store, SECRET, terms={"tenant": "a", "name": "n", "role": "reader"} | terms, now=NOW, expires=expires
        )
    store.close()


def test_the_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "api.secret"
    made = key_secret("", path)
    assert key_secret("", path) == made and len(made) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["api.secret"]
    assert key_secret("from the environment", path) == b"from the environment"
    with pytest.raises(BadInput, match="FOREPROOF_KEY_SECRET"):
        key_secret("short", path)
    os.chmod(path, 0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        key_secret("", path)


def test_a_home_is_open_to_its_own_machine_until_the_first_key(client: TestClient, app: FastAPI) -> None:
    assert client.get("/api/v1/me").json() == {"tenant": "local", "role": "admin", "key": "open"}
    proxied = client.get("/api/v1/me", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (proxied.status_code, proxied.headers["www-authenticate"]) == (401, "Bearer")
    made = client.post("/api/v1/keys", json={"name": "first", "role": "admin"}).json()
    refused = client.get("/api/v1/me")
    assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
    assert refused.headers["cache-control"] == "no-store"
    shown = {"Authorization": f"Bearer {made['key']}"}
    assert client.get("/api/v1/me", headers=shown).json() == {"tenant": "local", "role": "admin", "key": made["id"]}
    client.delete(f"/api/v1/keys/{made['id']}", headers=shown)
    assert client.get("/api/v1/me").status_code == 401, "a home that had a key is never open again"


def test_a_service_that_others_can_reach_is_never_open(tmp_path: Path) -> None:
    home = service_home.made(tmp_path / "home")
    for app in (
        service_home.opened(home, local=False),
        service_home.opened(home, {"FOREPROOF_AUTH": "keys"}),
    ):
        with service_home.client(app) as client:
            assert client.get("/api/v1/me").status_code == 401
            assert client.get("/health/live").status_code == 200


def test_a_revoked_key_stops_at_once_and_an_expired_one_in_time(client: TestClient, app: FastAPI) -> None:
    _, admin = service_home.key(app, "amber", "admin")
    reader, shown = service_home.key(app, "amber", "reader")
    assert client.get("/api/v1/me", headers=shown).json()["key"] == reader
    assert client.delete(f"/api/v1/keys/{reader}", headers=admin).json()["state"] == "revoked"
    refused = client.get("/api/v1/me", headers=shown)
    assert (refused.status_code, refused.json()["found"]) == (401, "a key that is revoked")
    again = client.delete(f"/api/v1/keys/{reader}", headers=admin)
    assert again.status_code == 200, "revoking twice is revoking once"
    _, short = service_home.key(app, "amber", "reader", days=0.3 / 86_400)
    assert client.get("/api/v1/me", headers=short).status_code == 200
    for _ in range(50):
        if client.get("/api/v1/me", headers=short).status_code == 401:
            break
        import time

        time.sleep(0.02)
    assert client.get("/api/v1/me", headers=short).json()["found"] == "a key that is expired"


def test_another_process_believes_a_key_for_a_few_seconds_at_most(tmp_path: Path) -> None:
    import asyncio

    home = open_home(service_home.made(tmp_path / "home"), {})
    store = open_store(home.settings.store)
    key, text = create_key(
        store, SECRET, terms={"tenant": "amber", "name": "n", "role": "reader"}, now=datetime.now(UTC)
    )
    at = [100.0]
    other = Identity(store, SECRET, home.settings, local=False, clock=lambda: at[0])
    shown = f"Bearer {text}".encode()
    assert asyncio.run(other.resolve(shown)).key == key.id
    from foreproof.adapters.service.keys import revoke_key

    revoke_key(store, tenant="amber", key_id=key.id, now=datetime.now(UTC))
    assert other.known(shown) is not None and REMEMBERED < 5
    at[0] += REMEMBERED
    assert other.known(shown) is None
    with pytest.raises(Exception, match="revoked"):
        asyncio.run(other.resolve(shown))
    store.close()


def writes(app: FastAPI) -> list[tuple[str, str]]:
    found = app.openapi()["paths"]
    return sorted((method.upper(), path) for path, ways in found.items() for method in ways if method.upper() in WRITES)


def test_a_reader_writes_nothing_and_an_analyst_makes_no_keys(client: TestClient, app: FastAPI) -> None:
    _, reader = service_home.key(app, "amber", "reader")
    _, analyst = service_home.key(app, "amber", "analyst")
    routes = writes(app)
    assert ("POST", "/api/v1/keys") in routes
    for method, path in routes:
        short = path.removeprefix("/api/v1")
        concrete = path
        for name in ("id", "run", "name", "table", "a", "b", "series", "job"):
            concrete = concrete.replace("{" + name + "}", "none")
        answer = client.request(method, concrete, headers=reader, json={})
        if short not in READERS_MAY:
            assert answer.status_code == 403, (method, path, answer.text)
        if short.startswith("/keys"):
            assert client.request(method, concrete, headers=analyst, json={}).status_code == 403
    for path in ("/api/v1/keys", "/api/v1/audit"):
        assert [client.get(path, headers=headers).status_code for headers in (reader, analyst)] == [403, 403]
    assert client.get("/api/v1/usage", headers=reader).status_code == 200


WORDS = st.sampled_from(
    ["amber", "birch", "local", "amber-sales", "birch-sales", "local-sales", "run-amber", "*", ".."]
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_call_ever_sees_another_tenants_things(client: TestClient, app: FastAPI, data: st.DataObject) -> None:
    mine = data.draw(st.sampled_from(service_home.TENANTS))
    role = data.draw(st.sampled_from(["reader", "analyst", "admin"]))
    if not hasattr(app.state, "shown"):
        app.state.shown = {}
    if (mine, role) not in app.state.shown:
        app.state.shown[mine, role] = service_home.key(app, mine, role)
    _, shown = app.state.shown[mine, role]
    others = [tenant for tenant in service_home.TENANTS if tenant != mine]
    foreign = [key_id for (tenant, _), (key_id, _) in app.state.shown.items() if tenant != mine]
    for path, ways in app.openapi()["paths"].items():
        for method in sorted(set(ways) & {"get", "delete"}):
            asked = data.draw(WORDS)
            concrete = "".join(
                (data.draw(st.sampled_from(foreign or ["none"])) if part == "{id}" else asked)
                if part[:1] == "{"
                else part
                for part in split(path)
            )
            query = {"project": data.draw(WORDS), "tenant": data.draw(WORDS)}
            if mine == "local" and role == "admin":
                query.pop("tenant")  # who runs the service may sum what all used
            answer = client.request(method.upper(), concrete, params=query, headers=shown)
            if path.endswith(("/metrics", "/openapi.json")):
                continue  # numbers of all, for who runs the service; held by a test of its own
            said = strip(answer.text, [asked, *query.values(), concrete])
            for tenant in others:
                signs = (f"{tenant}-sales", f"run-{tenant}", f" of {tenant}", f'"tenant":"{tenant}"')
                assert [word for word in signs if word in said] == [], (mine, method, concrete, query)
            if path == "/api/v1/keys/{id}":
                assert answer.status_code in (403, 404), "a foreign key is not there"


def split(path: str) -> list[str]:
    import re

    return re.split(r"(\{[^}]+\})", path)


def strip(text: str, asked: list[Any]) -> str:
    """An answer without what the call itself said, which it may repeat."""
    for word in sorted(map(str, asked), key=len, reverse=True):
        text = text.replace(json.dumps(word)[1:-1], "")
    return text


def test_another_tenants_key_is_not_found_like_one_that_never_was(client: TestClient, app: FastAPI) -> None:
    theirs, _ = service_home.key(app, "birch", "reader")
    _, admin = service_home.key(app, "amber", "admin")
    answers = [client.delete(f"/api/v1/keys/{one}", headers=admin) for one in (theirs, "aaaaaaaa")]
    texts = [(one.status_code, one.json()["title"].replace(theirs, "X").replace("aaaaaaaa", "X")) for one in answers]
    assert texts[0] == texts[1] and texts[0][0] == 404
    assert [key["name"] for key in client.get("/api/v1/keys", headers=admin).json()["items"]] == ["admin of amber"]


def test_usage_of_all_is_for_who_runs_the_service(client: TestClient, app: FastAPI) -> None:
    keys = {tenant: service_home.key(app, tenant, "admin")[1] for tenant in service_home.TENANTS}
    for shown in keys.values():
        client.get("/api/v1/me", headers=shown)
    found = client.get("/api/v1/usage?tenant=*&by=tenant", headers=keys["local"]).json()
    assert {row["tenant"] for row in found["rows"]} >= set(service_home.TENANTS)
    for asked in ("*", "birch"):
        assert client.get(f"/api/v1/usage?tenant={asked}", headers=keys["amber"]).status_code == 403
    mine = client.get("/api/v1/usage", headers=keys["amber"]).json()
    assert {row["tenant"] for row in mine["rows"]} == {"amber"}
