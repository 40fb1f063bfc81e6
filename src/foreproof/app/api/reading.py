"""How routes read what is published: `shown` says which run, and `KeptRoute` keeps what was said of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute

from foreproof.app.api.archive import settings_of
from foreproof.app.api.caching import CONTROL, SURE, Kept, State, T, etag_of, has, pointer, state_of
from foreproof.app.api.caller import Reader, Service
from foreproof.app.api.published import Published
from foreproof.app.home import Place

_AGE = re.compile(rb'"data_age_seconds":\s*([0-9.e+-]+|null)')


@dataclass(frozen=True, slots=True)
class Shown:
    """What one call reads: a published run, and the instant of the call."""

    place: Place
    published: Published
    now: datetime
    state: State
    workload: str
    service: Service

    def provenance(self) -> dict[str, Any]:
        """What stands beside every answer that predicts."""
        return self.published.provenance(self.now)

    def once(self, name: str, make: Callable[[Published], T]) -> T:
        """What is derived of the run, made once and kept in memory under a name."""
        return self.service.answers.once(self.published, name, make)


class KeptRoute(APIRoute):
    """A route whose answer hangs on what is published and on its address alone: kept where it read through `shown`.

    The gate gives a kept answer again, and such a call reaches no route: who calls was settled before, and any role may read. So
    no route of this class may ask for more, or say who calls.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that marks and keeps what it answers."""
        compute = super().get_route_handler()

        async def handler(request: Request) -> Response:
            service: Service = request.app.state.service
            scope = request.scope
            key = (request.state.caller.tenant, scope["path"], scope["query_string"])
            response = await compute(request)
            shown: Shown | None = getattr(request.state, "shown", None)
            if shown is None or scope["method"] != "GET" or response.status_code != 200:
                return response
            etag = etag_of(shown.published.etag, scope["path"], scope["query_string"])
            response.headers["etag"], response.headers["cache-control"] = etag, CONTROL
            if has(request.headers.get("if-none-match"), etag):
                return Response(status_code=304, headers={"etag": etag, "cache-control": CONTROL})
            if response.media_type == "application/json" and isinstance(getattr(response, "body", None), bytes):
                asked = (request.query_params.get("project", ""), self.path)
                service.answers.keep(key, _halves(bytes(response.body), shown, etag, asked))
            return response

        return handler


def shown(workload: str = "") -> Callable[..., Shown]:
    """A dependency: what the named project serves, or the tenant's first one (of a workload). Raises NotFound."""

    def read(request: Request, desk: Reader) -> Shown:
        place = desk.place(workload)
        state = state_of(pointer(place))  # before it is read: a move in between is seen by the next call
        published = desk.service.shelves.published(place)
        found = Shown(place, published, settings_of(place).now(), state or (0, 0), workload, desk.service)
        request.state.shown = found
        return found

    return read


def _halves(body: bytes, shown: Shown, etag: str, asked: tuple[str, str]) -> Kept:
    """What is kept of a body. asked: the project that the call named, and the route."""
    found = None
    for found in _AGE.finditer(body):  # noqa: B007  the last one: provenance ends an answer
        pass
    aged = None
    head, tail = body, b""
    if found is not None and found[1] != b"null":
        head, tail = body[: found.start(1)], body[found.end(1) :]
        cutoff = datetime.fromisoformat(str(shown.published.manifest["cutoff"]))
        aged = (cutoff if cutoff.tzinfo else cutoff.replace(tzinfo=UTC)).timestamp()
    today = settings_of(shown.place).today
    return Kept(
        head=head,
        tail=tail,
        aged=aged,
        today=today.timestamp() if today else None,
        headers={"etag": etag, "cache-control": CONTROL},
        place=shown.place,
        watched=pointer(shown.place),
        state=shown.state,
        asked=(asked[0], shown.workload),
        until=time.monotonic() + SURE,
        route=asked[1],
    )


Forecast = Annotated[Shown, Depends(shown("forecast"))]
"""The published forecast that a call reads."""
Propensity = Annotated[Shown, Depends(shown("propensity"))]
"""The published propensity that a call reads."""
Either = Annotated[Shown, Depends(shown())]
"""What the named project serves, whatever its workload."""

__all__ = ["Either", "Forecast", "KeptRoute", "Propensity", "Shown", "shown"]
