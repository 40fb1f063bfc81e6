"""Writes that may be repeated: under the same Idempotency-Key the first answer comes again, and the write is not made again."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from anyio import to_thread
from starlette.types import Message, Receive, Scope, Send

from foreproof.adapters.service import answers
from foreproof.adapters.service.answers import Answer, Asked
from foreproof.adapters.service.store import ServiceStore
from foreproof.app.api import logs
from foreproof.app.api.caller import Caller
from foreproof.errors import BadInput, StoreError

LONGEST = 128
"""Characters of a key of idempotency."""
_LARGEST = 4 * 2**20
_ROUTE = "route"
"""Beside the kept headers: the template that took the first call, for the audit of a repeated one."""
_HEADERS = (b"content-type", b"location", b"etag", b"cache-control")


class Conflict(Exception):
    """Why a repeated write is refused, in words, and what to do."""

    def __init__(self, found: str, fix: str) -> None:
        self.found = found
        self.fix = fix
        super().__init__(found)


class Repeats:
    """Kept answers of one process. A row of a call under way belongs to its `owner`, which says that it lives."""

    def __init__(self, store: ServiceStore, secret: bytes) -> None:
        self._store = store
        self._secret = secret
        self._owner = secrets.token_hex(8)
        self._open = 0

    def still_here(self) -> None:
        """Say that our calls under way are not cut off, where there are any."""
        if self._open:
            answers.still_here(self._store, owner=self._owner, now=datetime.now(UTC))

    async def run(
        self, key: bytes, caller: Caller, call: tuple[Scope, Receive, Send], make: Callable[..., Awaitable[None]]
    ) -> None:
        """Answer a write with what is kept, or make it and keep what it answers.

        Raises BadInput for a key that is none, Conflict for one that was used for something else or is under way.
        """
        scope, receive, send = call
        body = await _whole(receive)
        if body is None:
            return
        asked = _asked(key, caller, scope, body)
        state = await to_thread.run_sync(self._begin, asked)
        if isinstance(state, Answer):
            scope["state"]["route"] = state.head.get(_ROUTE, "")
            await _send(state, send)
        elif state == "other body":
            raise Conflict("it was used for something else", "one key for one write")
        elif state == "under way":
            raise Conflict("the first call with it is under way", "try again in a moment")
        else:
            await self._make(asked, (scope, _again(body, receive), send), make)

    def _begin(self, asked: Asked) -> Answer | answers.State:
        return answers.begin(self._store, self._secret, asked, owner=self._owner, now=datetime.now(UTC))

    async def _make(
        self, asked: Asked, call: tuple[Scope, Receive, Send], make: Callable[..., Awaitable[None]]
    ) -> None:
        scope, receive, send = call
        held = _Held(send)
        self._open += 1
        try:
            await make(scope, receive, held)
        finally:
            self._open -= 1
            # Kept before anybody sees it: an answer that was seen can always be had again.
            await self._finish(asked, held.answer(getattr(scope.get("route"), "path", "")))
            await held.let_go()

    async def _finish(self, asked: Asked, answer: Answer | None) -> None:
        kept = answer if answer is not None and answer.status < 500 else None

        def finish() -> None:
            answers.finish(self._store, self._secret, asked, owner=self._owner, answer=kept)

        try:
            await to_thread.run_sync(finish)
        except StoreError as error:
            logs.say("answer not kept", level=30, found=str(error))


class _Held:
    """Messages of an answer, kept back until it is whole or too large to keep."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: list[Message] = []
        self._size = 0
        self._whole = False
        self._large = False

    async def __call__(self, message: Message) -> None:
        if self._large:
            await self._send(message)
            return
        self._messages.append(message)
        if message["type"] == "http.response.body":
            self._size += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
        if self._size > _LARGEST:
            self._large = True
            await self.let_go()

    def answer(self, route: str) -> Answer | None:
        """The answer, if all of it came and it is small enough."""
        if self._large or not self._whole:
            return None
        start, *rest = self._messages
        found = {name.lower(): value for name, value in start.get("headers", ())}
        head = {name.decode(): found[name].decode("latin-1") for name in _HEADERS if name in found}
        head[_ROUTE] = route
        return Answer(start["status"], head, b"".join(message.get("body", b"") for message in rest))

    async def let_go(self) -> None:
        """Send what was kept back."""
        waiting, self._messages = self._messages, []
        for message in waiting:
            await self._send(message)


def _asked(key: bytes, caller: Caller, scope: Scope, body: bytes) -> Asked:
    text = key.decode("latin-1")
    if not 0 < len(text) <= LONGEST or not (text.isascii() and text.isprintable()):
        raise BadInput("Idempotency-Key", found=f"{len(text)} characters", wanted=f"1 to {LONGEST}, printable ASCII")
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    # The role is in it: what an admin was answered is not for a reader who repeats the call.
    said = [caller.role.encode(), scope["query_string"], kind]
    parts = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in (*said, body)))
    path = scope["path"].replace("\0", "\ufffd")  # PostgreSQL keeps no text with a zero in it
    return Asked(caller.tenant, scope["method"], path, text, parts.digest())


async def _whole(receive: Receive) -> bytes | None:
    """The body; None where the client went before it was there."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    waiting: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def once() -> Message:
        return waiting.pop() if waiting else await receive()

    return once


async def _send(answer: Answer, send: Send) -> None:
    said = {name: value for name, value in answer.head.items() if name != _ROUTE}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in said.items()]
    headers += [(b"content-length", str(len(answer.body)).encode()), (b"idempotency-replayed", b"true")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


__all__ = ["LONGEST", "Conflict", "Repeats"]
