"""Writes under an Idempotency-Key have one effect, also at once, also after a restart; each write is on record."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import service_home
from foreproof.adapters.service import answers
from foreproof.adapters.service.answers import KEPT, SILENT, Answer, Asked
from foreproof.adapters.service.migrate import open_store
from foreproof.errors import IntegrityError

TERMS = {"name": "made once", "role": "reader"}
NOW = datetime(2026, 11, 1, tzinfo=UTC)
SECRET = b"a secret of the tests"
ASKED = Asked("amber", "POST", "/x", "k", hashlib.sha256(b"body").digest())


def made(client: TestClient, headers: dict[str, str]) -> int:
    return int(client.get("/api/v1/keys", headers=headers).json()["total"])


def test_a_repeated_write_answers_as_the_first_did_also_after_a_restart(tmp_path: Path) -> None:
    home = service_home.made(tmp_path / "home")
    app = service_home.opened(home)
    _, shown = service_home.key(app, "amber", "admin")
    once = shown | {"Idempotency-Key": "order-1"}
    with service_home.client(app) as client:
        first = client.post("/api/v1/keys", json=TERMS, headers=once)
        again = client.post("/api/v1/keys", json=TERMS, headers=once)
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers["idempotency-replayed"] == "true" and "idempotency-replayed" not in first.headers
        other = client.post("/api/v1/keys", json=TERMS | {"role": "admin"}, headers=once)
        assert (other.status_code, other.json()["object"]) == (409, "Idempotency-Key")
        assert client.post("/api/v1/keys?x=1", json=TERMS, headers=once).status_code == 409
        assert made(client, shown) == 2
    with service_home.client(service_home.opened(home)) as client:
        restarted = client.post("/api/v1/keys", json=TERMS, headers=once)
        assert (restarted.status_code, restarted.json()) == (201, first.json())
        assert made(client, shown) == 2
        rows = client.get("/api/v1/audit", headers=shown).json()["items"]
        assert {(row["route"], row["status"]) for row in rows} == {("/keys", 201), ("unmatched", 409)}
    raw = b"".join(path.read_bytes() for path in (home / ".foreproof").glob("service.db*"))
    assert first.json()["key"][12:].encode() not in raw, "a kept answer is sealed"


def test_a_key_of_idempotency_belongs_to_its_tenant_and_role(tmp_path: Path) -> None:
    app = service_home.opened(service_home.made(tmp_path / "home"))
    shown = {
        who: service_home.key(app, *who)[1] for who in (("amber", "admin"), ("amber", "reader"), ("birch", "admin"))
    }
    with service_home.client(app) as client:
        found = [
            client.post("/api/v1/keys", json=TERMS, headers=one | {"Idempotency-Key": "k"}) for one in shown.values()
        ]
        assert [answer.status_code for answer in found] == [201, 409, 201]
        assert found[0].json()["key"] != found[2].json()["key"]


@pytest.mark.parametrize("key", ["x" * 129, "", "\u00e9"])
def test_what_is_no_key_of_idempotency_is_refused(key: str, tmp_path: Path) -> None:
    with service_home.client(service_home.opened(service_home.made(tmp_path / "home"))) as client:
        answer = client.post("/api/v1/keys", json=TERMS, headers={"Idempotency-Key": key.encode("latin-1")})
        assert (answer.status_code, answer.json()["object"]) == (422, "Idempotency-Key")


def test_two_at_once_have_one_effect(tmp_path: Path) -> None:
    app = service_home.opened(service_home.made(tmp_path / "home"))
    entered, go, calls = threading.Event(), threading.Event(), []

    @app.post("/api/v1/slow")
    def slow() -> dict[str, int]:
        calls.append(1)
        entered.set()
        go.wait(20)
        return {"number": len(calls)}

    with service_home.client(app) as client:
        found = []
        first = threading.Thread(
            target=lambda: found.append(client.post("/api/v1/slow", headers={"Idempotency-Key": "k"}))
        )
        first.start()
        assert entered.wait(20)
        second = client.post("/api/v1/slow", headers={"Idempotency-Key": "k"})
        assert (second.status_code, "under way" in second.json()["title"]) == (409, True)
        go.set()
        first.join(20)
        third = client.post("/api/v1/slow", headers={"Idempotency-Key": "k"})
        assert [found[0].json(), third.json(), len(calls)] == [{"number": 1}, {"number": 1}, 1]


def test_an_answer_of_ours_that_failed_is_not_kept(tmp_path: Path) -> None:
    app = service_home.opened(service_home.made(tmp_path / "home"))
    calls: list[int] = []

    @app.post("/api/v1/shaky")
    async def shaky() -> dict[str, int]:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError
        return {"call": len(calls)}

    with service_home.client(app) as client:
        found = [client.post("/api/v1/shaky", headers={"Idempotency-Key": "k"}) for _ in range(3)]
        assert [answer.status_code for answer in found] == [500, 200, 200]
        assert found[2].json() == {"call": 2}


def test_a_call_whose_process_fell_silent_may_be_made_again_and_a_living_one_may_not(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'service.db'}")
    assert answers.begin(store, SECRET, ASKED, owner="one", now=NOW) == "new"
    late = NOW + SILENT + timedelta(seconds=1)
    answers.still_here(store, owner="one", now=NOW + SILENT)
    assert answers.begin(store, SECRET, ASKED, owner="two", now=late) == "under way"
    assert answers.begin(store, SECRET, ASKED, owner="two", now=late + SILENT) == "new"
    # The first one, which was only slow, changes nothing any more.
    answers.finish(store, SECRET, ASKED, owner="one", answer=Answer(200, {}, b"late"))
    answers.finish(store, SECRET, ASKED, owner="two", answer=Answer(201, {"a": "b"}, b"two"))
    assert answers.begin(store, SECRET, ASKED, owner="x", now=late) == Answer(201, {"a": "b"}, b"two")
    store.close()


def test_an_answer_is_kept_for_a_day_and_read_under_its_secret_alone(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'service.db'}")
    answers.begin(store, SECRET, ASKED, owner="one", now=NOW)
    answers.finish(store, SECRET, ASKED, owner="one", answer=Answer(200, {}, b"kept"))
    with pytest.raises(IntegrityError, match="FOREPROOF_KEY_SECRET"):
        answers.begin(store, b"another secret of the tests", ASKED, owner="one", now=NOW)
    answers.forget_old(store, now=NOW + KEPT)
    assert answers.begin(store, SECRET, ASKED, owner="one", now=NOW + KEPT) == Answer(200, {}, b"kept")
    answers.forget_old(store, now=NOW + KEPT + timedelta(seconds=1))
    assert answers.begin(store, SECRET, ASKED, owner="one", now=NOW) == "new"
    store.close()


def test_two_processes_that_ask_at_once_get_one_first_call(postgres_url: str) -> None:
    import uuid

    import sqlalchemy as sa

    schema = f"fp_{uuid.uuid4().hex[:12]}"
    store = open_store(f"{postgres_url}?schema={schema}")
    found: list[object] = []

    def ask(owner: str) -> None:
        found.append(answers.begin(store, SECRET, ASKED, owner=owner, now=NOW))

    threads = [threading.Thread(target=ask, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == ["new", "under way", "under way", "under way"]
    with store.writing() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
    store.close()


def test_each_write_is_on_record_without_what_was_sent_and_a_look_is_not(tmp_path: Path) -> None:
    app: FastAPI = service_home.opened(service_home.made(tmp_path / "home"))
    key_id, admin = service_home.key(app, "amber", "admin")
    reader, shown = service_home.key(app, "amber", "reader")
    _, other = service_home.key(app, "birch", "admin")
    body = b'{"name": "a private name", "role": "reader"}'
    with service_home.client(app) as client:
        client.post(
            "/api/v1/keys", content=body, headers=admin | {"X-Request-ID": "mine", "Content-Type": "application/json"}
        )
        client.delete(f"/api/v1/keys/{reader}?why=secret", headers=shown)
        client.get("/api/v1/keys", headers=admin)
        found = client.get("/api/v1/audit", headers=admin).json()
        assert found["total"] == 2
        newest, oldest = found["items"]
        assert (oldest["key"], oldest["status"], oldest["request"]) == (key_id, 201, "mine")
        assert oldest["body"] == hashlib.sha256(body).hexdigest()
        assert (newest["key"], newest["role"], newest["status"], newest["route"]) == (
            reader,
            "reader",
            403,
            "/keys/{id}",
        )
        assert newest["path"] == f"/api/v1/keys/{reader}" and "private" not in str(found) and "secret" not in str(found)
        page = client.get("/api/v1/audit?limit=1&offset=1", headers=admin).json()
        assert page["items"] == [oldest]
        assert client.get("/api/v1/audit", headers=other).json()["total"] == 0
