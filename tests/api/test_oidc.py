"""Bearer tokens of an issuer: signature, issuer, audience and times have to hold; tenant and role come from the claims."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

import service_home
from foreproof.app.api.oidc import Issuer
from foreproof.app.service_settings import ServiceSettings
from foreproof.errors import BadInput, Denied, StoreError

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"}, private=True)
ELLIPTIC = ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig"}, private=True)
LATER = ECKey.generate_key("P-256", {"kid": "ec-2", "use": "sig"}, private=True)
STRANGE = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"}, private=True)


class Served:
    """An issuer over real HTTP, with the public keys that it now has."""

    def __init__(self) -> None:
        self.keys: list[Any] = [RSA, ELLIPTIC]
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                about = {"issuer": outer.address, "jwks_uri": f"{outer.address}/keys"}
                keys = {"keys": [key.as_dict(private=False) for key in outer.keys]}
                body = json.dumps(about if "well-known" in self.path else keys).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Served]:
    found = Served()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def client(issuer: Served, tmp_path: Path) -> Iterator[TestClient]:
    issuer.keys, env = (
        [RSA, ELLIPTIC],
        {"FOREPROOF_OIDC_ISSUER": issuer.address, "FOREPROOF_OIDC_AUDIENCE": "foreproof"},
    )
    with service_home.client(service_home.opened(service_home.made(tmp_path / "home"), env)) as found:
        yield found


def claims(issuer: Served, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": issuer.address, "aud": "foreproof", "sub": "ann", "tenant": "amber", "role": "analyst"}
    found = said | {"iat": now, "nbf": now - 5, "exp": now + 300} | changes
    return {name: value for name, value in found.items() if value is not None}


def token(said: dict[str, Any], key: Any = RSA, alg: str = "RS256") -> str:
    return jwt.encode({"alg": alg, "kid": key.as_dict().get("kid")}, said, key, algorithms=[alg])


def asked(client: TestClient, text: str) -> Any:
    return client.get("/api/v1/me", headers={"Authorization": f"Bearer {text}"})


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (ELLIPTIC, "ES256")])
def test_a_token_that_holds_says_who_calls(client: TestClient, issuer: Served, key: Any, alg: str) -> None:
    answer = asked(client, token(claims(issuer), key, alg))
    assert answer.json() == {"tenant": "amber", "role": "analyst", "key": "oidc:ann"}
    assert client.get("/api/v1/me").status_code == 401, "with an issuer, a home is never open"


def test_roles_may_come_in_a_list_and_the_largest_counts(client: TestClient, issuer: Served) -> None:
    said = claims(issuer, role=["reader", "offline_access", "admin"], aud=["other", "foreproof"])
    assert asked(client, token(said)).json()["role"] == "admin"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://another.example"},
        {"aud": "another"},
        {"aud": None},
        {"exp": 1_000},
        {"exp": None},
        {"nbf": 4_000_000_000},
        {"sub": None},
        {"role": "owner"},
        {"role": None},
        {"tenant": None},
        {"tenant": ["amber", "birch"]},
    ],
    ids=str,
)
def test_a_token_with_one_wrong_claim_is_refused(client: TestClient, issuer: Served, changes: dict[str, Any]) -> None:
    answer = asked(client, token(claims(issuer, **changes)))
    assert (answer.status_code, answer.json()["type"]) == (401, "Denied")


def test_a_token_under_another_signature_or_algorithm_is_refused(client: TestClient, issuer: Served) -> None:
    said = claims(issuer)

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    unsigned = f"{part({'alg': 'none'})}.{part(said)}."
    # The public key as a shared secret, which everybody knows.
    head = f"{part({'alg': 'HS256', 'kid': 'rsa-1'})}.{part(said)}"
    seal = hmac.digest(RSA.as_pem(private=False), head.encode(), "sha256")
    shared = f"{head}.{base64.urlsafe_b64encode(seal).decode().rstrip('=')}"
    good = token(said)
    changed = good.split(".")[0] + "." + part(said | {"role": "admin"}) + "." + good.split(".")[2]
    for text in (token(said, STRANGE), token(said, RSA, "RS512"), unsigned, shared, changed, "a.b.c", "", "x"):
        assert asked(client, text).status_code == 401, text


def test_a_tenant_that_is_no_name_reaches_nothing(client: TestClient, issuer: Served) -> None:
    answer = client.get(
        "/api/v1/usage", headers={"Authorization": f"Bearer {token(claims(issuer, tenant='../birch', role='admin'))}"}
    )
    assert answer.status_code == 401


def test_keys_are_fetched_late_once_and_again_for_an_unknown_one(issuer: Served) -> None:
    at = [0.0]
    settings = ServiceSettings(store="", jobs="", oidc_issuer=issuer.address, oidc_audience="foreproof")
    issuer.keys = [RSA, ELLIPTIC]
    issuer.asked.clear()
    found = Issuer(settings, clock=lambda: at[0])
    assert issuer.asked == []
    for _ in range(3):
        found.claims(token(claims(issuer)))
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
    issuer.keys = [LATER]
    new = token(claims(issuer), LATER, "ES256")
    with pytest.raises(Denied):
        found.claims(new)  # within ten seconds of the last time, so nobody makes us ask and ask
    assert len(issuer.asked) == 2
    at[0] = 11.0
    assert found.claims(new).tenant == "amber"
    assert len(issuer.asked) == 4
    at[0] = 12.0
    with pytest.raises(Denied):
        found.claims(token(claims(issuer)))  # the old key is gone


def test_an_issuer_that_does_not_answer_or_cannot_be_trusted_is_said() -> None:
    gone = ServiceSettings(store="", jobs="", oidc_issuer="http://127.0.0.1:9", oidc_audience="foreproof")
    with pytest.raises(StoreError, match="issuer"):
        Issuer(gone).claims("a.b.c")
    for address, audience in (("http://login.example", "foreproof"), ("https://login.example", "")):
        with pytest.raises(BadInput, match="FOREPROOF_OIDC"):
            Issuer(ServiceSettings(store="", jobs="", oidc_issuer=address, oidc_audience=audience))
