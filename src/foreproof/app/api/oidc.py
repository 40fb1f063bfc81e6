"""Bearer tokens of an OpenID Connect issuer: who calls is in their claims, and their signature is the issuer's.

Accepted are RS256 and ES256 alone: a token that chooses `none` or a shared secret is refused before its signature is looked at.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from foreproof.app.home import is_tenant
from foreproof.app.service_settings import ServiceSettings
from foreproof.errors import BadInput, Denied, StoreError

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

ALGORITHMS = ("RS256", "ES256")
"""The algorithms whose signatures are believed."""
_FRESH = 3600.0
_AGAIN = 10.0
_LEEWAY = 30
_TIMEOUT = 5.0
_LONGEST = 200
_NEAR = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token that holds says: subject, tenant, role, and when it ends (seconds since 1970)."""

    subject: str
    tenant: str
    role: str
    expires: float


class Issuer:
    """An issuer whose keys are fetched on the first token, and again on an unknown key (every ten seconds at most)."""

    def __init__(self, settings: ServiceSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self.address = settings.oidc_issuer.rstrip("/")
        parts = urlsplit(self.address)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _NEAR):
            raise BadInput("FOREPROOF_OIDC_ISSUER", found=self.address, wanted="an https address")
        if not settings.oidc_audience:
            # Without one, a token that the issuer made for any other service would open this one.
            raise BadInput(
                "FOREPROOF_OIDC_AUDIENCE", found="nothing", wanted="what `aud` of a token for this service is"
            )

    def claims(self, token: str) -> Claims:
        """The claims of a token. Raises Denied for one that does not hold, StoreError where the issuer does not answer."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError, MissingKeyError

        keys = self._known()
        try:
            try:
                found = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
            except (InvalidKeyIdError, MissingKeyError):
                # The issuer may have made another key since.
                found = jwt.decode(token, self._known(after=keys), algorithms=list(ALGORITHMS))
            said = dict(found.claims)
            jwt.JWTClaimsRegistry(
                leeway=_LEEWAY,
                iss={"essential": True, "values": [self._settings.oidc_issuer, self.address]},
                aud={"essential": True, "value": self._settings.oidc_audience},
                exp={"essential": True},
                sub={"essential": True},
            ).validate(said)
        except (JoseError, ValueError) as error:
            raise _refused(type(error).__name__) from None
        subject = str(said["sub"])
        if not subject.isprintable() or len(subject) > _LONGEST:
            raise _refused("its subject")
        role = _role(_claim(said, self._settings.oidc_role))
        tenant = _claim(said, self._settings.oidc_tenant)
        if not isinstance(tenant, str) or not is_tenant(tenant) or not role:
            raise _refused(f"no usable {self._settings.oidc_tenant} or {self._settings.oidc_role} in its claims")
        return Claims(subject, tenant, role, float(said["exp"]) + _LEEWAY)

    def _known(self, *, after: KeySet | None = None) -> KeySet:
        with self._lock:
            age = self._clock() - self._fetched
            kept = self._keys
            fresh = kept is not None and age < (_AGAIN if kept is after else _FRESH)
            if kept is None or not fresh:
                kept = self._keys = _fetch(self.address)
                self._fetched = self._clock()
            return kept


def _fetch(address: str) -> KeySet:
    import httpx
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    try:
        with httpx.Client(timeout=_TIMEOUT) as client:
            about = client.get(f"{address}/.well-known/openid-configuration").raise_for_status().json()
            if str(about["issuer"]).rstrip("/") != address:
                raise ValueError("another issuer in the discovery document")
            return KeySet.import_key_set(client.get(str(about["jwks_uri"])).raise_for_status().json())
    except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"issuer {address}", found=str(error) or type(error).__name__, wanted="its keys", fix="try again"
        ) from error


def _claim(said: Mapping[str, Any], name: str) -> Any:
    """A claim by name, or by dotted path: `realm_access.roles`."""
    found: Any = said
    if name in said:
        return said[name]
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _role(said: Any) -> str:
    """The largest role that a claim names, alone or in a list."""
    named = said if isinstance(said, list) else [said]
    return next((role for role in ("admin", "analyst", "reader") if role in named), "")


def _refused(why: str) -> Denied:
    return Denied(
        "bearer token", found=f"it does not hold ({why})", wanted="one of the issuer, for this service, in time"
    )


__all__ = ["ALGORITHMS", "Claims", "Issuer"]
