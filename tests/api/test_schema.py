"""The whole OpenAPI under schemathesis: whatever is asked, nothing answers with a fault of the service's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings

from foreproof.app.api.app import create_app
from foreproof.app.home import open_home

EXAMPLES = int(os.environ.get("FOREPROOF_SCHEMA_EXAMPLES", "2"))
"""Cases a route; a night may take more."""


@pytest.fixture(scope="module")
def schema(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> schemathesis.schemas.BaseSchema:
    """The description that a service over a home of its own gives of itself."""
    home = tmp_path_factory.mktemp("schema") / "home"
    shutil.copytree(published_home, home)
    # As many as come: what is tried here is what is answered, not how often one may ask.
    app = create_app(open_home(home, {"FOREPROOF_RATE": "1000000", "FOREPROOF_BURST": "1000000"}))
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/api/v1/health/ready").status_code == 200
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)


def test_no_call_is_answered_with_a_fault_of_the_service(schema: schemathesis.schemas.BaseSchema) -> None:
    faults, tried = [], 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.label == "POST /api/v1/keys":
            continue  # the first key would lock all other calls out; tests/api/test_tenants.py tries it

        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def asked(case: schemathesis.Case) -> None:
            answer = case.call()
            assert answer.status_code < 500 or answer.status_code == 501, (
                f"{case.as_curl_command()}: {answer.text[:300]}"
            )

        try:
            asked()
        except AssertionError as error:
            faults.append(f"{operation.label}: {error}")
        tried += 1
    assert tried > 50
    assert faults == []
