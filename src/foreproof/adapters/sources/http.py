"""Rows behind an HTTP address: JSON or CSV, page by page, with retries and time-outs; all pages make one batch, or none does."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, get_args
from urllib.parse import urljoin, urlsplit

import numpy as np
import polars as pl

from foreproof.adapters.sources.batch import Batch, Reading, secret, shown, together
from foreproof.adapters.sources.text import Dialect, read_text
from foreproof.core.section import Section
from foreproof.errors import MissingExtra, PlanError, SourceError

Paging = Literal["none", "page", "offset", "cursor", "link"]
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Pages:
    """How one page leads to the next.

    page: `param` counts pages from `first`. offset: `param` counts rows. Both end at a page without rows, or with
    fewer than `size`. cursor: the value at the dotted path `next` goes into `param`. link: the address at `next`, or
    in the header Link. Those two end where there is none. size: rows a page, asked for by `size_param` where there is
    one.
    """

    kind: Paging = "none"
    param: str = ""
    first: int = 1
    size: int = 0
    size_param: str = ""
    next: str = ""
    most: int = 10_000


@dataclass(frozen=True, slots=True)
class Patience:
    """retries: further attempts at one page. timeout: seconds that a server may be silent. total: seconds for everything."""

    retries: int = 4
    timeout: float = 10.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class Http:
    """Rows behind an address.

    records: the dotted path to the list of records in a JSON answer; empty for an answer that is the list. params,
    headers: sent with each request; `env:NAME` is read from the environment. since: (parameter, column): sent with the
    largest value of the column in the lake. sleep: how the pauses between attempts pass; a test gives its own.
    """

    url: str
    format: Literal["json", "csv"] = "json"
    records: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    pages: Pages = field(default_factory=Pages)
    patience: Patience = field(default_factory=Patience)
    since: tuple[str, str] = ("", "")
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False, repr=False)

    def describe(self) -> str:
        """The address without what may be secret."""
        return shown(self.url)

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """One batch of all pages. Raises SourceError where one of them cannot be had."""
        params = {name: secret(value, reading.environ, f"params.{name}") for name, value in self.params.items()}
        headers = {name: secret(value, reading.environ, f"headers.{name}") for name, value in self.headers.items()}
        newest = reading.newest(self.since[1]) if self.since[0] else None
        if newest is not None:
            params[self.since[0]] = newest.isoformat() if isinstance(newest, date | datetime) else str(newest)
        url = secret(self.url, reading.environ, "sources: http")
        httpx = _library()
        with httpx.Client(headers=headers, timeout=self.patience.timeout, follow_redirects=False) as client:
            frames = [_frame(self, body, reading.wanted) for body in _bodies(self, client, url, params)]
        held = [frame for frame in frames if frame.height]
        if not held and newest is None:
            raise SourceError(
                self.describe(), found="no records", wanted="at least one", fix="check http: and records:"
            )
        if held:
            yield Batch(self.describe(), together(held))


def parse_http(section: Section) -> Http:
    """An address from a section with `http`."""
    paging = section.section("paging", default={})
    since = section.section("since", default={})
    kind = paging.choice("kind", get_args(Paging), default="none")
    pages = Pages(
        kind=kind,
        param=paging.text("param", default={"page": "page", "offset": "offset", "cursor": "cursor"}.get(kind, "")),
        first=paging.whole("first", default=1 if kind == "page" else 0, low=0),
        size=paging.whole("size", default=0, low=0),
        size_param=paging.text("size_param", default=""),
        next=paging.text("next", default=""),
        most=paging.whole("most", default=10_000, low=1),
    )
    paging.done()
    source = Http(
        url=section.text("http"),
        format=section.choice("format", ("json", "csv"), default="json"),
        records=section.text("records", default=""),
        params=_texts(section.section("params", default={})),
        headers=_texts(section.section("headers", default={})),
        pages=pages,
        patience=Patience(
            retries=section.whole("retries", default=4, low=0, high=100),
            timeout=section.number("timeout", default=10.0, low=0.01),
            total=section.number("total", default=600.0, low=0.01),
        ),
        since=(since.text("param", default=""), since.text("column", default="")),
    )
    since.done()
    section.done()
    if not source.url.startswith(("http://", "https://", "env:")):
        raise PlanError(f"{section.path}.http", found=repr(source.url), wanted="https://..., or env:NAME")
    if source.format == "csv" and kind in ("cursor", "link") and pages.next:
        raise PlanError(
            f"{section.path}.paging.next", found="a path into CSV", wanted="JSON, or kind: link by its header"
        )
    if kind == "cursor" and not pages.next:
        raise PlanError(f"{section.path}.paging.next", found="nothing", wanted="the dotted path of the next cursor")
    if bool(source.since[0]) != bool(source.since[1]):
        raise PlanError(f"{section.path}.since", found="one of param and column", wanted="both")
    return source


def _texts(section: Section) -> dict[str, str]:
    return {name: str(section.raw(name)) for name in section}


def _library() -> Any:
    try:
        return importlib.import_module("httpx")
    except ModuleNotFoundError:
        raise MissingExtra(
            "httpx", found="not installed", wanted="the extra `http`", fix="pip install 'foreproof[http]'"
        ) from None


def _bodies(source: Http, client: Any, url: str, params: Mapping[str, str]) -> Iterator[Any]:
    """The parsed answer of each page: JSON values, or the bytes of CSV."""
    pages, asked, until = source.pages, dict(params), time.monotonic() + source.patience.total
    if pages.size_param and pages.size:
        asked[pages.size_param] = str(pages.size)
    if pages.kind in ("page", "offset"):
        asked[pages.param] = str(pages.first)
    seen: set[str] = set()
    for number in range(1, pages.most + 1):
        answer = _get(source, client, url, asked, until)
        body = answer.content if source.format == "csv" else _parsed(source, answer)
        rows = len(_records(source, body)) if source.format == "json" else _lines(answer.content)
        yield body
        if pages.kind in ("none",) or (pages.kind in ("page", "offset") and (not rows or rows < pages.size)):
            return
        if pages.kind in ("page", "offset"):
            asked[pages.param] = str(int(asked[pages.param]) + (1 if pages.kind == "page" else rows))
            continue
        following = _following(source, answer, body)
        if not following:
            return
        if following in seen:
            raise SourceError(source.describe(), found=f"page {number} leads back to an earlier one", wanted="an end")
        seen.add(following)
        if pages.kind == "cursor":
            asked[pages.param] = following
        else:
            url, asked = _same_host(source, url, following), {}
    raise SourceError(source.describe(), found=f"more than {pages.most} pages", wanted="fewer", fix="raise paging.most")


def _following(source: Http, answer: Any, body: Any) -> str:
    """The next cursor or address; empty at the end."""
    if source.pages.next:
        found = _at(body, source.pages.next)
        return "" if found is None or found is False else str(found)
    return str(answer.links.get("next", {}).get("url", ""))


def _same_host(source: Http, url: str, following: str) -> str:
    """The address of the next page. Another host, or no more https, would carry a token where it does not belong."""
    target = urljoin(url, following)
    here, there = urlsplit(url), urlsplit(target)
    if (here.scheme, here.netloc) != (there.scheme, there.netloc):
        found = f"a next page at {there.scheme}://{there.hostname}"
        raise SourceError(source.describe(), found=found, wanted="the same host", fix="name that host in http:")
    return target


def _get(source: Http, client: Any, url: str, params: Mapping[str, str], until: float) -> Any:
    """One answer, tried again where that may help."""
    httpx, jitter = _library(), np.random.default_rng(0)
    said = ""
    for attempt in range(source.patience.retries + 1):
        if attempt:
            _pause(source, said, float(jitter.uniform(0.5, 1.0)) * min(2.0 ** (attempt - 1), _LONGEST_PAUSE), until)
        try:
            answer = client.get(url, params=params or None)
        except httpx.InvalidURL:
            raise SourceError(source.describe(), found="an address that cannot be read", wanted="https://...") from None
        except httpx.HTTPError as error:
            said = f"{type(error).__name__}: {error}"
            continue
        if answer.status_code == 200:
            return answer
        said = f"status {answer.status_code}: {answer.text[:200].strip()}"
        if answer.status_code not in _AGAIN:
            raise SourceError(
                source.describe(), found=said, wanted="status 200", fix="check http:, params: and headers:"
            )
        _wait_as_told(source, answer, until)
    found = f"{said} after {source.patience.retries + 1} attempts"
    raise SourceError(source.describe(), found=found, wanted="an answer", fix="nothing was loaded; try again later")


def _wait_as_told(source: Http, answer: Any, until: float) -> None:
    """Retry-After in seconds, where the server gives it."""
    told = answer.headers.get("retry-after", "")
    if told.isdigit():
        _pause(source, f"status {answer.status_code}", min(float(told), _LONGEST_PAUSE), until)


def _pause(source: Http, said: str, seconds: float, until: float) -> None:
    if time.monotonic() + seconds > until:
        found = f"{said}, and {source.patience.total:g} s are over"
        raise SourceError(source.describe(), found=found, wanted="an answer in time", fix="raise total:")
    source.sleep(seconds)


def _parsed(source: Http, answer: Any) -> Any:
    try:
        # Numbers keep the text that they came as: a float would round them.
        return json.loads(answer.content, parse_float=str, parse_int=str)
    except ValueError as error:
        found = f"no JSON ({error}): {answer.text[:60]!r}"
        raise SourceError(source.describe(), found=found, wanted="JSON", fix="set format: csv") from None


def _records(source: Http, body: Any) -> Sequence[Mapping[str, Any]]:
    found = _at(body, source.records) if source.records else body
    if not isinstance(found, list):
        where = source.records or "the answer"
        raise SourceError(
            source.describe(), found=f"no list at {where}", wanted="a list of records", fix="set records:"
        )
    for place, record in enumerate(found):
        if not isinstance(record, Mapping):
            raise SourceError(source.describe(), found=f"record {place + 1}: {record!r:.60}", wanted="an object")
    return found


def _frame(source: Http, body: Any, wanted: Sequence[str]) -> pl.DataFrame:
    if source.format == "csv":
        return read_text(source.describe(), body, Dialect(), wanted=wanted) if _lines(body) else pl.DataFrame()
    records = _records(source, body)
    names = list(wanted) or list(dict.fromkeys(name for record in records for name in record))
    return pl.DataFrame(
        {name: pl.Series([_text(_at(record, name)) for record in records], dtype=pl.String) for name in names}
    )


def _at(value: Any, path: str) -> Any:
    """What stands at a dotted path; None where the way ends early. A name with dots of its own is found first."""
    if isinstance(value, Mapping) and path in value:
        return value[path]
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case _:
            return json.dumps(value)


def _lines(body: bytes) -> int:
    """Rows of a CSV page, its header not counted."""
    return max(0, len(body.strip().splitlines()) - 1)


__all__ = ["Http", "Pages", "Patience", "parse_http"]
