"""Routes that take large bodies of JSON, read by pydantic's parser: several times as fast as the standard library's."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json


class _Request(Request):
    async def json(self) -> Any:
        body = await self.body()
        try:
            return from_json(body, allow_inf_nan=False)
        except ValueError:
            return json.loads(body)  # its error says where, in the words of all other routes


class QuickRoute(APIRoute):
    """A route whose body may hold ten thousand items."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a request that parses its body so."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return handler


__all__ = ["QuickRoute"]
