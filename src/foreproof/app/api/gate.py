"""The gate: each call gets an id, a caller, its limits and a meter before any route sees it, and is written down when it ends.

Plain ASGI, since every call pays for it: what is remembered costs microseconds, and only what is not goes to a thread.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Awaitable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from itertools import count
from typing import Any

from anyio import to_thread
from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from foreproof.adapters.service.audit import Entry, write_entries
from foreproof.app.api import logs
from foreproof.app.api.caching import Kept
from foreproof.app.api.caller import Caller, Service
from foreproof.app.api.meter import METER, Meter, stepped
from foreproof.app.api.problem import problem, status_of
from foreproof.app.api.repeats import Conflict
from foreproof.app.api.traces import tenant_hash
from foreproof.app.home import LOCAL
from foreproof.errors import ForeproofError, StoreError

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""The methods that write: audited, and repeatable under an Idempotency-Key."""
COMPUTES = frozenset({"/metrics/historical", "/decisions/recommend_qty", "/decisions/voi", "/propensity/score"})
"""Routes that are POST since what they are asked is long; they change nothing, so nothing is audited."""
_METHODS = WRITES | {"GET", "HEAD", "OPTIONS"}
_OPEN_ENDS = ("/health/live", "/health/ready", "/openapi.json", "/docs")
_METRICS = ("/metrics", "/api/v1/metrics")
_PUBLIC = Caller(LOCAL, "reader", "public")
_SANE = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"
_ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"vary", b"authorization"))
_START = secrets.token_hex(6).encode()
_NUMBER = count(1)


class _Call:
    """One call under way: what is known of it, and the `send` that puts our headers on its answer."""

    __slots__ = ("audited", "body", "caller", "gate", "id", "left", "meter", "scope", "sender", "status")

    def __init__(self, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        self.gate = gate
        self.scope = scope
        self.sender = send
        self.id = b""
        self.caller = _PUBLIC
        self.meter = Meter()
        self.left: float | None = None
        self.status = 0
        self.audited = False
        self.body = _Body(receive, gate.most)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.id), *_ALWAYS]
            if self.left is not None:
                headers.append((b"x-ratelimit-limit", self.gate.rate))
                headers.append((b"x-ratelimit-remaining", b"%d" % self.left))
            message["headers"] = headers
            if self.audited and self.route not in COMPUTES:
                await self._audit()
        await self.sender(message)

    @property
    def route(self) -> str:
        """The template of the route that took the call."""
        route = self.scope.get("route")
        if route is None:
            return self.scope["state"].get("route") or "unmatched"
        path: str = getattr(route, "path", "") or "unmatched"
        return path.removeprefix("/api/v1")

    async def _audit(self) -> None:
        # Before the first byte of the answer: a write that was acknowledged is always on record.
        caller, scope, said = self.caller, self.scope, self.body.digest
        path = scope["path"][:500].replace("\0", "\ufffd")  # PostgreSQL keeps no text with a zero in it
        who = (caller.tenant, datetime.now(UTC), caller.key, caller.role)
        entry = Entry(*who, scope["method"], self.route, path, self.status, self.id.decode(), said)
        try:
            await to_thread.run_sync(write_entries, self.gate.operations.store, (entry,))
        except StoreError:
            self.gate.operations.audit_later(entry)


class _Body:
    """`receive`, which counts what comes, refuses what is over the limit, and keeps the digest."""

    __slots__ = ("_hash", "_most", "_receive", "_size")

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._size = 0
        self._hash: Any = None

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and (body := message.get("body")):
            self._size += len(body)
            if self._size > self._most:
                raise HTTPException(413, _too_large(self._most))
            self._hash = self._hash or hashlib.sha256()
            self._hash.update(body)
        return message

    @property
    def digest(self) -> str:
        """SHA-256 of what came so far, in hex; empty for nothing."""
        return self._hash.hexdigest() if self._hash is not None else ""


class Gate:
    """ASGI middleware in front of every route; `service.operations` says who may call and takes down what was done."""

    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        self.app = app
        self.operations = service.operations
        self.answers = service.answers
        self.home = service.home
        self.most = service.home.settings.max_body
        self.rate = b"%d" % service.home.settings.rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a call in, or say why not."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":  # there are none, and none that one adds goes past the gate
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        if not self.operations.running:
            self.operations.start()
        call = _Call(self, scope, receive, send)
        headers = dict(scope["headers"])
        call.id = _id(headers.get(b"x-request-id"))
        state = scope.setdefault("state", {})
        state["request_id"] = call.id.decode()
        state["meter"] = call.meter
        metering = METER.set(call.meter)
        current = logs.CURRENT.set({"request": state["request_id"]})
        try:
            with self._span(headers) as span:
                try:
                    await stepped(self._take(call, headers), call.meter)
                finally:
                    if span is not None:
                        _describe(span, call)
        finally:
            self._write_down(call, time.perf_counter() - began)
            METER.reset(metering)
            logs.CURRENT.reset(current)

    async def _take(self, call: _Call, headers: dict[bytes, bytes]) -> None:
        """Let the call in and answer whatever is raised; what nobody thought of is a 500 without a word of what it was."""
        try:
            refusal = await self._refuse(call, headers)
            if refusal is not None:
                await refusal(call.scope, call.body, call.send)
            else:
                await self._pass(call, headers)
        except Conflict as error:
            await _answer(call, 409, f"Idempotency-Key: {error.found}", object="Idempotency-Key", fix=error.fix)
        except ForeproofError as error:
            said = {"object": error.subject, "found": error.found, "wanted": error.wanted, "fix": error.fix}
            await _answer(call, status_of(error), str(error), type=type(error).__name__, **said)
        except HTTPException as error:
            await _answer(call, error.status_code, str(error.detail))
        except Exception as error:
            logs.say("failed", level=40, error=error, route=call.route)
            await _answer(call, 500, "something of ours failed; the logs say what, under this request's id")

    async def _refuse(self, call: _Call, headers: dict[bytes, bytes]) -> Any:
        """The answer to a call that is not let in; None for one that is. Raises Denied for nobody we know."""
        scope, operations = call.scope, self.operations
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        proxied = b"x-forwarded-for" in headers or b"forwarded" in headers
        shown = headers.get(b"authorization") or headers.get(b"x-api-key") or b""
        open_metrics = path in _METRICS and operations.local and not (proxied or shown)
        if path.removeprefix("/api/v1") in _OPEN_ENDS or open_metrics:
            scope["state"]["caller"] = _PUBLIC
            return None
        caller = operations.identity.known(shown, proxied=proxied)
        if caller is None:
            caller = await operations.identity.resolve(shown, proxied=proxied)
        scope["state"]["caller"] = call.caller = caller
        left = operations.limits.take(caller.key)
        if left < 0:
            words = "too many requests of this key at once"
            return _refusal(call, 429, words, wait=-left, wanted=f"{self.rate.decode()} a second")
        call.left = left
        if operations.quota is not None and (wait := await self._over_quota(caller.tenant)):
            return _refusal(call, 429, "the requests of today are used up", wait=wait)
        size = headers.get(b"content-length", b"")
        if size.isdigit() and int(size) > self.most:
            return _refusal(call, 413, _too_large(self.most), object=scope["path"])
        return None

    async def _over_quota(self, tenant: str) -> int:
        """Seconds to the next day where the tenant's quota is used up; 0 where it is not."""
        quota = self.operations.quota
        assert quota is not None
        left = quota.left(tenant)
        if left is None:
            await to_thread.run_sync(quota.look_up, tenant)
            left = quota.left(tenant) or 0
        if left <= 0:
            return quota.seconds_to_midnight()
        quota.count(tenant)
        return 0

    async def _pass(self, call: _Call, headers: dict[bytes, bytes]) -> None:
        scope = call.scope
        if scope["method"] == "GET" and call.caller is not _PUBLIC:
            kept = self.answers.find((call.caller.tenant, scope["path"], scope["query_string"]), self.home)
            if kept is not None:
                await _again(call, kept, headers)
                return
        writes = scope["method"] in WRITES and call.caller is not _PUBLIC
        call.audited = writes
        key = headers.get(b"idempotency-key") if writes else None
        if key is None:
            await self.app(scope, call.body, call.send)
        else:
            whole = (scope, call.body, call.send)
            await self.operations.repeats.run(key, call.caller, whole, self.app)

    def _span(self, headers: dict[bytes, bytes]) -> AbstractContextManager[Any]:
        tracing = self.operations.tracing
        if tracing is None:
            return nullcontext()
        parent = {"traceparent": headers.get(b"traceparent", b"").decode("latin-1")}
        return tracing.span("request", parent=parent)

    def _write_down(self, call: _Call, seconds: float) -> None:
        caller, route, status = call.caller, call.route, call.status or 499
        method = call.scope["method"] if call.scope["method"] in _METHODS else "other"
        self.operations.numbers.request(route, method, status, seconds)
        if caller is not _PUBLIC:
            self.operations.till.add(caller.tenant, f"{method} {route}", caller.key, call.meter)
        if logs.LOGGER.isEnabledFor(20):
            said: dict[str, Any] = {"tenant": caller.tenant} if caller is not _PUBLIC else {}
            run = call.scope.get("path_params", {}).get("run") or call.scope["state"].get("run")
            said |= {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 2)}
            logs.access(said | {"run": run} if run else said)


def _id(given: bytes | None) -> bytes:
    """The id that the caller gave, if it is one that may stand in a log; else the next of this process."""
    if given and len(given) <= 64 and not given.translate(None, _SANE):
        return given
    return b"%s%08x" % (_START, next(_NUMBER))


async def _again(call: _Call, kept: Kept, headers: dict[bytes, bytes]) -> None:
    """Answer with what was kept: no route is asked."""
    mark = headers.get(b"if-none-match")
    status, body = kept.answer(mark.decode("latin-1") if mark is not None else None)
    call.scope["state"]["route"] = kept.route
    head = [(name.encode(), value.encode()) for name, value in kept.headers.items()]
    if status == 200:
        head += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await call.send({"type": "http.response.start", "status": status, "headers": head})
    await call.send({"type": "http.response.body", "body": body})


def _describe(span: Any, call: _Call) -> None:
    span.update_name(f"{call.scope['method']} {call.route}")
    span.set_attribute("http.route", call.route)
    span.set_attribute("http.response.status_code", call.status or 499)
    span.set_attribute("foreproof.request", call.id.decode())
    span.set_attribute("foreproof.tenant", tenant_hash(call.caller.tenant))


def _refusal(call: _Call, status: int, title: str, *, wait: float = 0.0, **said: str) -> Any:
    response = problem(status, title, request=Request(call.scope), **said)
    if wait:
        response.headers["Retry-After"] = str(max(1, round(wait + 0.5)))
    return response


def _answer(call: _Call, status: int, title: str, **said: str) -> Awaitable[None]:
    """Answer as a problem; nothing where an answer is on its way, which then ends early."""
    if call.status:
        return _nothing()
    return problem(status, title, request=Request(call.scope), **said)(call.scope, call.body, call.send)


async def _nothing() -> None:
    return


def _too_large(most: int) -> str:
    return f"the body is over {most} bytes (FOREPROOF_MAX_BODY)"


__all__ = ["COMPUTES", "WRITES", "Gate"]
