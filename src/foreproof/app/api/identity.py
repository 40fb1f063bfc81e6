"""Who calls: from an API key or a bearer token to a caller, remembered for a few seconds so that a call costs microseconds."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from anyio import to_thread

from foreproof.adapters.service.keys import any_key, find_key
from foreproof.adapters.service.store import ServiceStore
from foreproof.app.api.caller import Caller
from foreproof.app.api.oidc import Issuer
from foreproof.app.home import LOCAL
from foreproof.app.service_settings import ServiceSettings
from foreproof.errors import Denied

REMEMBERED = 3.0
"""Seconds for which a key that was looked up is believed: a revoked one stops in other processes within it."""
_UNKNOWN = 1.0
_MANY = 10_000
_OPEN = Caller(LOCAL, "admin", "open")


class _Kept(NamedTuple):
    until: float
    caller: Caller | None
    why: str


class Identity:
    """The callers of a service. local: only this machine can reach it, so that a home without any key is open."""

    def __init__(
        self,
        store: ServiceStore,
        secret: bytes,
        settings: ServiceSettings,
        *,
        local: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._secret = secret
        self._clock = clock
        self._issuer = Issuer(settings) if settings.oidc_issuer else None
        self._may_be_open = local and settings.auth == "auto" and self._issuer is None
        self._open_until = 0.0
        self._kept: dict[bytes, _Kept] = {}
        self.used: dict[str, datetime] = {}
        """When keys were used since this was last written down."""

    def known(self, shown: bytes, *, proxied: bool = False) -> Caller | None:
        """The caller that showed this (`Bearer ...`, or nothing), if it is remembered: no wait, no look into the store."""
        if not shown:
            return _OPEN if self._clock() < self._open_until and not proxied else None
        kept = self._kept.get(hmac.digest(self._secret, shown, "sha256"))
        return kept.caller if kept is not None and self._clock() < kept.until else None

    async def resolve(self, shown: bytes, *, proxied: bool = False) -> Caller:
        """The caller, looked up. Raises Denied for nobody, StoreError where the store or the issuer does not answer."""
        if not shown:
            if self._may_be_open and not proxied:
                if self._clock() < self._open_until or not await to_thread.run_sync(any_key, self._store):
                    self._open_until = self._clock() + REMEMBERED
                    return _OPEN
                self._may_be_open = False  # once there is a key, there always is one
            raise _nobody("no key")
        digest = hmac.digest(self._secret, shown, "sha256")
        kept = self._kept.get(digest)
        if kept is None or self._clock() >= kept.until:
            kept = await to_thread.run_sync(self._look_up, shown)
            if len(self._kept) >= _MANY:
                now = self._clock()
                self._kept = {name: one for name, one in self._kept.items() if now < one.until}
            if len(self._kept) < _MANY:
                self._kept[digest] = kept
        if kept.caller is None:
            raise _nobody(kept.why)
        return kept.caller

    def forget(self) -> None:
        """Believe nothing any more: after a key was made, rotated or revoked here."""
        self._kept.clear()
        self._open_until = 0.0

    def _look_up(self, shown: bytes) -> _Kept:
        now = self._clock()
        token = shown.decode("latin-1").strip()
        if token[:7].lower() == "bearer ":
            token = token[7:].strip()
        if self._issuer is not None and not token.startswith("fp_"):
            try:
                claims = self._issuer.claims(token)
            except Denied as error:
                return _Kept(now + _UNKNOWN, None, error.found)
            left = claims.expires - datetime.now(UTC).timestamp()
            caller = Caller(claims.tenant, claims.role, f"oidc:{claims.subject}")  # type: ignore[arg-type]
            return _Kept(now + min(REMEMBERED, left), caller, "")
        key = find_key(self._store, self._secret, token)
        at = datetime.now(UTC)
        if key is None:
            return _Kept(now + _UNKNOWN, None, "a key that is not known")
        if (state := key.state(at)) != "active":
            return _Kept(now + _UNKNOWN, None, f"a key that is {state}")
        if key.used is None or (at - key.used).total_seconds() > 60:
            self.used[key.id] = at
        left = REMEMBERED if key.expires is None else (key.expires - at).total_seconds()
        return _Kept(now + min(REMEMBERED, left), Caller(key.tenant, key.role, key.id), "")  # type: ignore[arg-type]


def _nobody(found: str) -> Denied:
    return Denied(
        "caller",
        found=found,
        wanted="Authorization: Bearer KEY",
        fix="an admin of the tenant makes keys: foreproof keys create, or POST /api/v1/keys",
    )


__all__ = ["REMEMBERED", "Identity"]
