"""Settings of the service: where it keeps keys, usage and jobs, whom it lets in, and how much of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from foreproof.app.configuration import merged
from foreproof.errors import BadInput

Auth = Literal["auto", "keys"]


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What `foreproof serve` and `foreproof worker` run under.

    store, jobs: SQLAlchemy URLs. auth: `auto` asks for keys as soon as one exists or the host is not this machine's own.
    key_secret: with what API keys are hashed; empty for a file made on first use. rate, burst: requests a second and at once, a
    key; quota: requests a day, a tenant, 0 for no end. max_body: bytes.
    """

    store: str
    jobs: str
    auth: Auth = "auto"
    key_secret: str = field(default="", repr=False)
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_tenant: str = "tenant"
    oidc_role: str = "role"
    rate: float = 2000.0
    burst: float = 4000.0
    quota: int = 0
    max_body: int = 16 * 2**20
    prices: str = ""
    log: Literal["text", "json"] = "json"
    otel: str = ""


def read_service_settings(home: Path, environment: Mapping[str, str] | None = None) -> ServiceSettings:
    """The settings of a home; an unreadable value is an error that names the variable."""
    env = merged(home, os.environ if environment is None else environment)
    inside = home / ".foreproof"
    return ServiceSettings(
        store=env.get("FOREPROOF_SERVICE") or f"sqlite:///{inside / 'service.db'}",
        jobs=env.get("FOREPROOF_JOBS") or f"sqlite:///{inside / 'jobs.db'}",
        auth=_one_of(env, "FOREPROOF_AUTH", "auto", ("auto", "keys")),  # type: ignore[arg-type]
        key_secret=env.get("FOREPROOF_KEY_SECRET", ""),
        oidc_issuer=env.get("FOREPROOF_OIDC_ISSUER", ""),
        oidc_audience=env.get("FOREPROOF_OIDC_AUDIENCE", ""),
        oidc_tenant=env.get("FOREPROOF_OIDC_TENANT") or "tenant",
        oidc_role=env.get("FOREPROOF_OIDC_ROLE") or "role",
        rate=_number(env, "FOREPROOF_RATE", 2000.0),
        burst=_number(env, "FOREPROOF_BURST", 4000.0),
        quota=int(_number(env, "FOREPROOF_QUOTA", 0)),
        max_body=int(_number(env, "FOREPROOF_MAX_BODY", 16 * 2**20)),
        prices=env.get("FOREPROOF_PRICES", ""),
        log=_one_of(env, "FOREPROOF_LOG", "json", ("text", "json")),  # type: ignore[arg-type]
        otel=env.get("FOREPROOF_OTEL", ""),
    )


def _one_of(env: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]) -> str:
    text = env.get(name) or default
    if text not in allowed:
        raise BadInput(name, found=repr(text), wanted=" or ".join(allowed))
    return text


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "")
    try:
        found = float(text) if text else default
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e15:
        raise BadInput(name, found=repr(text), wanted="a number from 0 on")
    return found


__all__ = ["Auth", "ServiceSettings", "read_service_settings"]
