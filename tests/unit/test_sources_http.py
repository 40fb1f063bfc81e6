"""HTTP sources against a real local server: pages, retries, half answers, loops."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest

from foreproof.adapters.sources import Http, Reading, parse_source
from foreproof.adapters.sources.http import Pages, Patience
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute
from foreproof.core.section import Section
from foreproof.errors import PlanError, SourceError

ROWS = [
    {"item": "tea", "day": f"2024-01-{day:02d}", "units": day + 0.1, "price": {"amount": 1.10}} for day in range(1, 24)
]
Answer = Callable[["Server"], tuple[int, dict[str, str], bytes]]


class Server(BaseHTTPRequestHandler):
    """Answers by the function that the test put at a path; remembers what was asked."""

    answers: dict[str, Answer] = {}
    asked: list[dict[str, str]] = []

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        Server.asked.append({**self.query, "token": self.headers.get("Authorization", "")})
        status, headers, body = Server.answers[parts.path](self)
        self.send_response(status)
        length = headers.pop("Content-Length", str(len(body)))
        for name, value in {**headers, "Content-Length": length}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def fresh() -> None:
    Server.answers, Server.asked = {}, []


def answer(value: Any, status: int = 200, **headers: str) -> tuple[int, dict[str, str], bytes]:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return status, named, value if isinstance(value, bytes) else json.dumps(value).encode()


def reading(*wanted: str, since: Any = None, **environ: str) -> Reading:
    now = datetime(2024, 6, 1, tzinfo=UTC)
    return Reading(Path(), wanted, now, lambda column: since, environ, Path("cache"))


def rows(source: Http, *wanted: str, **given: Any) -> pl.DataFrame:
    batches = list(source.batches(reading(*(wanted or ("item", "day", "units")), **given)))
    return batches[0].frame if batches else pl.DataFrame()


def quick(url: str, pauses: list[float] | None = None, **settings: Any) -> Http:
    slept = pauses if pauses is not None else []
    return Http(url, sleep=slept.append, **settings)


def test_pages_by_number_and_by_offset_end_where_the_rows_end(base: str) -> None:
    def by_page(server: Server) -> Any:
        start = (int(server.query["page"]) - 1) * 10
        return answer({"data": {"items": ROWS[start : start + int(server.query["limit"])]}})

    def by_offset(server: Server) -> Any:
        start = int(server.query["offset"])
        return answer({"data": {"items": ROWS[start : start + 10]}})

    Server.answers = {"/page": by_page, "/offset": by_offset}
    page = Pages("page", "page", 1, 10, "limit")
    found = rows(quick(f"{base}/page", records="data.items", pages=page, params={"region": "north"}))
    assert found["units"].to_list() == [f"{row['units']}" for row in ROWS]
    assert [one["page"] for one in Server.asked] == ["1", "2", "3"]
    assert {one["region"] for one in Server.asked} == {"north"}
    offset = Pages("offset", "offset", 0, 10)
    assert rows(quick(f"{base}/offset", records="data.items", pages=offset)).equals(found)


def test_cursors_and_links_are_followed_to_the_end(base: str) -> None:
    def by_cursor(server: Server) -> Any:
        start = int(server.query.get("after", "0"))
        following = str(start + 8) if start + 8 < len(ROWS) else None
        return answer({"rows": ROWS[start : start + 8], "meta": {"next": following}})

    def by_link(server: Server) -> Any:
        start = int(server.query.get("start", "0"))
        more = {"Link": f'</link?start={start + 8}>; rel="next"'} if start + 8 < len(ROWS) else {}
        return answer(ROWS[start : start + 8], **more)

    Server.answers = {"/cursor": by_cursor, "/link": by_link}
    one = rows(quick(f"{base}/cursor", records="rows", pages=Pages("cursor", "after", next="meta.next")))
    two = rows(quick(f"{base}/link", pages=Pages("link")))
    assert one.height == len(ROWS)
    assert one.equals(two)


def test_nested_columns_keep_every_digit_and_what_is_missing_is_empty(base: str) -> None:
    body = b'[{"item": "tea", "price": {"amount": 1.10}, "n": 12345678901234567890}, {"item": "oats", "ok": true}]'
    Server.answers = {"/": lambda _: answer(body)}
    found = rows(quick(f"{base}/"), "item", "price.amount", "n", "ok")
    assert found.rows() == [("tea", "1.10", "12345678901234567890", None), ("oats", None, None, "true")]


def test_what_may_pass_is_tried_again_with_pauses_that_grow(base: str) -> None:
    left = [answer(b"busy", 503), answer(b"slow down", 429, Retry_After="7"), answer(ROWS)]
    Server.answers = {"/": lambda _: left.pop(0)}
    pauses: list[float] = []
    assert rows(quick(f"{base}/", pauses)).height == len(ROWS)
    assert 7.0 in pauses
    assert len(pauses) == 3
    Server.answers = {"/": lambda _: answer(b"busy", 503)}
    pauses.clear()
    with pytest.raises(SourceError, match=r"status 503: busy after 5 attempts"):
        rows(quick(f"{base}/", pauses))
    assert pauses == sorted(pauses)
    with pytest.raises(SourceError, match="are over"):
        rows(quick(f"{base}/", patience=Patience(total=0.4)))


def test_a_wrong_request_fails_at_once_with_the_servers_words(base: str) -> None:
    Server.answers = {"/": lambda _: answer(b"no such report", 404)}
    with pytest.raises(SourceError, match="status 404: no such report"):
        rows(quick(f"{base}/"))
    assert len(Server.asked) == 1


def test_half_an_answer_is_tried_again_and_never_loaded(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = json.dumps(ROWS).encode()

    def half(_: Server) -> Any:
        return 200, {"Content-Length": str(len(whole))}, whole[: len(whole) // 2]

    left: list[Answer] = [half, lambda _: answer(whole)]
    Server.answers = {"/": lambda server: left.pop(0)(server)}
    assert rows(quick(f"{base}/")).height == len(ROWS)
    Server.answers = {"/": half}
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    plan = f"""
schema: 1
name: shop
workload: forecast
sources: {{sales: {{http: "{base}/", retries: 1}}}}
tables:
  sales:
    key: [item, day]
    happened: {{column: day, formats: ["%Y-%m-%d"]}}
    known: same_as_happened
    columns: {{item: text, units: {{type: decimal, decimals: 1}}}}
series: {{table: sales, by: [item], value: units, every: 1d, gap: missing}}
horizon: 2
"""
    (tmp_path / "foreproof.yaml").write_text(plan, encoding="utf-8")
    outcome = execute(open_project(tmp_path), progress=Silent(), until="load")
    assert isinstance(outcome.error, SourceError)
    assert open_project(tmp_path).lake.version("sales") is None
    Server.answers = {"/": lambda _: answer(whole)}
    assert execute(open_project(tmp_path), progress=Silent(), until="load").error is None
    assert open_project(tmp_path).lake.batches("sales")["added"].to_list() == [23]


def test_a_silent_server_and_an_absent_one_are_said(base: str) -> None:
    over = threading.Event()

    def silent(_: Server) -> Any:
        over.wait(2.0)
        return answer(ROWS)

    Server.answers = {"/": silent}
    with pytest.raises(SourceError, match="ReadTimeout"):
        rows(quick(f"{base}/", patience=Patience(retries=1, timeout=0.1)))
    over.set()
    with pytest.raises(SourceError, match="ConnectError"):
        rows(quick("http://127.0.0.1:9/", patience=Patience(retries=0)))


def test_loops_other_hosts_and_endless_pages_are_refused(base: str) -> None:
    Server.answers = {
        "/loop": lambda _: answer({"rows": ROWS, "next": "again"}),
        "/away": lambda _: answer({"rows": ROWS, "next": "http://example.org/steal"}),
        "/endless": lambda _: answer(ROWS),
    }
    with pytest.raises(SourceError, match="leads back"):
        rows(quick(f"{base}/loop", records="rows", pages=Pages("cursor", "c", next="next")))
    with pytest.raises(SourceError, match=r"example\.org"):
        rows(quick(f"{base}/away", records="rows", pages=Pages("link", next="next"), headers={"Authorization": "t"}))
    with pytest.raises(SourceError, match="more than 5 pages"):
        rows(quick(f"{base}/endless", pages=Pages("page", "page", most=5)))


def test_csv_pages_since_and_secrets(base: str) -> None:
    Server.answers = {"/": lambda _: answer(b"item,day,units\ntea,2024-01-01,1.5\n")}
    source = quick(f"{base}/", format="csv", headers={"Authorization": "env:TOKEN"}, since=("updated_since", "day"))
    assert rows(source, since=date(2024, 1, 3), TOKEN="hidden").rows() == [("tea", "2024-01-01", "1.5")]
    assert Server.asked[0] == {"updated_since": "2024-01-03", "token": "hidden"}
    assert "hidden" not in source.describe()
    with pytest.raises(SourceError, match="TOKEN"):
        rows(source)
    Server.answers = {"/": lambda _: answer([])}
    assert rows(replace(source, format="json"), since=date(2024, 1, 3), TOKEN="hidden").is_empty()
    with pytest.raises(SourceError, match="no records"):
        rows(quick(f"{base}/"))


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"<html>", "no JSON"), (b'{"a": 1}', "no list"), (b'[{"item": 1}, 7]', "record 2")],
)
def test_an_answer_of_another_shape_is_said(base: str, body: bytes, words: str) -> None:
    Server.answers = {"/": lambda _: answer(body)}
    with pytest.raises(SourceError, match=words):
        rows(quick(f"{base}/"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"http": "ftp://x"}, "https://"),
        ({"http": "https://x", "paging": {"kind": "cursor"}}, "next"),
        ({"http": "https://x", "format": "csv", "paging": {"kind": "link", "next": "a.b"}}, "CSV"),
        ({"http": "https://x", "since": {"param": "after"}}, "both"),
        ({"http": "https://x", "retries": -1}, "retries"),
        ({"http": "https://x", "recods": "a"}, "did you mean 'records'"),
    ],
)
def test_a_plan_that_asks_for_something_else_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        parse_source(Section(settings, path="sources.sales"))


def test_a_whole_section_is_read() -> None:
    source = parse_source(
        Section(
            {"http": "https://x/y?key=secret", "records": "a.b", "retries": 2, "timeout": 3, "total": 9, "params": {"n": 5},
             "paging": {"kind": "offset", "size": 50, "size_param": "limit"}, "since": {"param": "p", "column": "c"}},
            path="sources.sales",
        )
    )  # fmt: skip
    assert isinstance(source, Http)
    assert source.pages == Pages("offset", "offset", 0, 50, "limit")
    assert source.patience == Patience(2, 3.0, 9.0)
    assert "secret" not in source.describe()
