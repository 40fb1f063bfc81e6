"""A small home of three tenants without any run behind it: what a test of the gate needs, and made in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from foreproof.adapters.service.keys import create_key
from foreproof.app.api.app import create_app
from foreproof.app.home import open_home

TENANTS = ("local", "amber", "birch")


def made(folder: Path) -> Path:
    """`local`, `amber` and `birch` with one project each, all of them called differently, and each with a served run."""
    for tenant in TENANTS:
        project = folder / ("" if tenant == "local" else f"tenants/{tenant}") / f"{tenant}-sales"
        run = project / "served" / f"run-{tenant}"
        run.mkdir(parents=True)
        (project / "foreproof.yaml").write_text(f"workload: forecast\nname: {tenant}\n", encoding="utf-8")
        manifest = {"run": run.name, "workload": "forecast", "cutoff": "2024-06-30T23:59:59+00:00", "status": "proven"}
        (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        pointer = {"run": run.name, "by": "run", "leaf": 7}
        (project / "served" / "current.json").write_text(json.dumps(pointer), encoding="utf-8")
    return folder


def opened(folder: Path, environment: Mapping[str, str] | None = None, *, local: bool = True) -> FastAPI:
    """The API of a home."""
    return create_app(open_home(folder, environment or {}), local=local)


def key(app: FastAPI, tenant: str, role: str, *, days: float | None = None) -> tuple[str, dict[str, str]]:
    """A key's id, and the headers of a call with it. days: until it expires."""
    operations = app.state.service.operations
    now = datetime.now(UTC)
    expires = None if days is None else now + timedelta(days=days)
    terms = {"tenant": tenant, "name": f"{role} of {tenant}", "role": role}
    found, text = create_key(app.state.service.store, operations.secret, terms=terms, now=now, expires=expires)
    operations.identity.forget()
    return found.id, {"Authorization": f"Bearer {text}"}


def client(app: FastAPI) -> TestClient:
    """A client that answers 500 instead of raising."""
    return TestClient(app, raise_server_exceptions=False)
