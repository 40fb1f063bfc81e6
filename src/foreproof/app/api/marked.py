"""Answers that are computed at each call: marked by an ETag of the question and what it was asked of, and 304 for who has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic_core import to_json

from foreproof.app.api.caching import CONTROL, has
from foreproof.app.api.published import Published
from foreproof.core.digest import digest_bytes


def tag_of(request: Request, published: Published) -> dict[str, str]:
    """Headers of a read of what is published: the ETag of this question to this state, and to ask again each time."""
    asked = digest_bytes(f"{request.url.path}?{request.url.query}".encode())[:12]
    return {"ETag": f'"{published.etag}-{asked}"', "Cache-Control": CONTROL}


def unchanged(request: Request, headers: Mapping[str, str]) -> Response | None:
    """The answer 304 to a caller who has this very answer already."""
    same = has(request.headers.get("if-none-match"), headers["ETag"])
    return Response(status_code=304, headers=dict(headers)) if same else None


def answered(body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """A JSON answer with its headers."""
    # Several times as fast as the standard library's, of ten thousand items a tenth of a second.
    content = to_json(dict(body), inf_nan_mode="null")
    return Response(content, media_type="application/json", headers=dict(headers))


__all__ = ["answered", "tag_of", "unchanged"]
