"""The client of the API: answers as plain values, and errors in words that say what to do."""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import httpx

from foreproof.ui.settings import PageSettings

PREFIX = "/api/v1"
TIMEOUT = httpx.Timeout(30.0, connect=3.0)
_WAITS = (0.3, 1.0)
_FRESH, _BRIEF = 3.0, 0.5
_KEPT = 256

Json = Any
"""What JSON may hold; pages read it by the names of the contract."""


class ApiError(Exception):
    """What the API refused or could not do. title: one sentence; fix: what to do about it; status: 0 where nothing answered."""

    def __init__(self, title: str, *, status: int, fix: str = "", **said: str) -> None:
        super().__init__(title)
        self.title = title
        self.status = status
        self.fix = fix
        self.object = said.get("object", "")
        self.found = said.get("found", "")
        self.wanted = said.get("wanted", "")
        self.instance = said.get("instance", "")


@dataclass(frozen=True, slots=True)
class Download:
    """A file as the API sent it."""

    name: str
    media: str
    body: bytes


@dataclass
class _Kept:
    """Answers by address, with the ETag that says whether they still hold; shared by the sessions of one key."""

    answers: OrderedDict[str, tuple[str, float, Json]] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, address: str) -> tuple[str, float, Json] | None:
        with self.lock:
            return self.answers.get(address)

    def put(self, address: str, etag: str, at: float, body: Json) -> None:
        with self.lock:
            self.answers[address] = (etag, at, body)
            self.answers.move_to_end(address)
            while len(self.answers) > _KEPT:
                self.answers.popitem(last=False)

    def clear(self) -> None:
        with self.lock:
            self.answers.clear()


@dataclass(frozen=True)
class Client:
    """Calls of one key, about one project where `project` names it.

    An answer with an ETag is not asked for again for three seconds, and after that only confirmed; one without is good for half a
    second, in which a page may need it twice. 503 and lost connections are tried three times; writes carry a key of idempotency,
    so a second try cannot act twice.
    """

    http: httpx.Client
    project: str = ""
    wait: Callable[[float], None] = time.sleep
    _kept: _Kept = field(default_factory=_Kept, repr=False)

    @property
    def url(self) -> str:
        """The address of the service."""
        return str(self.http.base_url).rstrip("/").removesuffix(PREFIX)

    def of(self, project: str) -> Client:
        """The same client, about one project."""
        return replace(self, project=project)

    def get(self, path: str, **params: Json) -> Json:
        """The answer of a read. Raises ApiError."""
        query = self._query(params)
        address = str(httpx.URL(path, params=query))
        kept = self._kept.get(address)
        if kept is not None and time.monotonic() - kept[1] < (_FRESH if kept[0] else _BRIEF):
            return kept[2]
        headers = {"If-None-Match": kept[0]} if kept is not None and kept[0] else {}
        answer = self._send("GET", path, params=query, headers=headers)
        if answer.status_code == 304 and kept is not None:
            self._kept.put(address, kept[0], time.monotonic(), kept[2])
            return kept[2]
        body = _json(answer)
        self._kept.put(address, answer.headers.get("etag", ""), time.monotonic(), body)
        return body

    def pages(self, path: str, *, most: int = 5000, **params: Json) -> list[Json]:
        """The items of a list that pages, up to `most`. Raises ApiError."""
        items: list[Json] = []
        while True:
            found = self.get(path, limit=min(1000, most), offset=len(items), **params)
            items += found["items"]
            if not found["items"] or len(items) >= min(most, int(found.get("total", 0))):
                return items[:most]

    def post(self, path: str, body: Json = None) -> Json:
        """The answer of a write, or of a question with a body. Raises ApiError."""
        return self._write("POST", path, body)

    def delete(self, path: str) -> Json:
        """The answer of a removal. Raises ApiError."""
        return self._write("DELETE", path, None)

    def download(self, path: str, **params: Json) -> Download:
        """A file of the API, whole. Raises ApiError."""
        answer = self._send("GET", path, params=self._query(params), headers={})
        named = re.search(r'filename="?([^";]+)', answer.headers.get("content-disposition", ""))
        name = named[1] if named else path.rstrip("/").rsplit("/", 1)[-1]
        return Download(name, answer.headers.get("content-type", "application/octet-stream"), answer.content)

    def _write(self, method: str, path: str, body: Json) -> Json:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = self._send(method, path, params=self._query({}), headers=headers, body=body)
        self._kept.clear()
        return _json(answer) if answer.content else {}

    def _query(self, params: Mapping[str, Json]) -> dict[str, Json]:
        given = {name: value for name, value in params.items() if value not in (None, "", [])}
        return {"project": self.project, **given} if self.project else given

    def _send(
        self, method: str, path: str, *, params: Mapping[str, Json], headers: Mapping[str, str], body: Json = None
    ) -> httpx.Response:
        for pause in (*_WAITS, None):
            try:
                answer = self.http.request(method, path, params=dict(params), headers=dict(headers), json=body)
            except httpx.HTTPError as error:
                if pause is None or isinstance(error, httpx.ReadTimeout):
                    raise _unreachable(self.url, error) from None
            else:
                if answer.status_code != 503 or pause is None:
                    return _fine(answer)
            self.wait(pause)
        raise AssertionError("the last try returns or raises")


def connect(settings: PageSettings, *, transport: httpx.BaseTransport | None = None) -> Client:
    """A client of the service that the settings name."""
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {settings.key}"} if settings.key else {})
    http = httpx.Client(base_url=f"{settings.url}{PREFIX}", headers=headers, timeout=TIMEOUT, transport=transport)
    return Client(http)


def part(name: str) -> str:
    """A name as one part of an address: a series called `A / B` keeps its slash."""
    return quote(name, safe="")


def _fine(answer: httpx.Response) -> httpx.Response:
    """The answer, unless it is an error. Raises ApiError with the words of the problem."""
    if answer.status_code < 400:
        return answer
    try:
        said = answer.json()
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    status = answer.status_code
    title = str(said.get("title") or _TITLES.get(status, f"The service answered with status {status}."))
    fix = str(said.get("fix") or _FIXES.get(status, ""))
    kept = {name: str(said.get(name) or "") for name in ("object", "found", "wanted", "instance")}
    raise ApiError(title, status=status, fix=fix, **kept)


def _json(answer: httpx.Response) -> Json:
    try:
        return answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        where = answer.request.url.path
        raise ApiError(
            f"{where} did not answer with JSON",
            status=answer.status_code,
            fix="FOREPROOF_API_URL has to be the address of foreproof serve, without /api/v1",
        ) from None


def _unreachable(url: str, error: httpx.HTTPError) -> ApiError:
    if isinstance(error, httpx.ReadTimeout):
        return ApiError(
            f"The service at {url} took longer than {TIMEOUT.read:.0f} seconds.",
            status=0,
            fix="ask for less, or look at the log of foreproof serve",
        )
    return ApiError(
        f"Nothing answers at {url}.",
        status=0,
        found=type(error).__name__,
        fix="start it with foreproof serve, or set FOREPROOF_API_URL to where it runs, then reload this page",
    )


_TITLES = {
    401: "The service does not know this key.",
    403: "This key's role is too small for that.",
    404: "The service has nothing of this name.",
    429: "Too many requests for the moment.",
    503: "One of the service's stores does not answer.",
}
_FIXES = {
    401: "set FOREPROOF_API_KEY to a key of your tenant and start the pages again",
    403: "ask an admin of the tenant for a key with a larger role",
    429: "wait a moment, then reload",
    503: "wait a moment, then reload; foreproof serve says at /health/ready which store it is",
}

__all__ = ["PREFIX", "TIMEOUT", "ApiError", "Client", "Download", "Json", "connect", "part"]
