"""The client of the pages: errors become words, what may be tried again is, and nothing is asked for twice without need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from foreproof.ui import client as module
from foreproof.ui.client import ApiError, Client, connect, part
from foreproof.ui.settings import DEFAULT_URL, PageSettings, read_page_settings

Answers = Callable[[httpx.Request], httpx.Response]


def _client(answers: Answers, key: str = "") -> Client:
    return replace(
        connect(PageSettings("http://api", key), transport=httpx.MockTransport(answers)), wait=lambda _: None
    )


def test_a_problem_becomes_its_own_words() -> None:
    said = {"title": "series milk: no such series", "object": "series milk", "found": "no such series"}
    said |= {"wanted": "one of 5", "fix": "GET /api/v1/forecasts lists them", "instance": "abc"}
    api = _client(lambda _: httpx.Response(404, json=said))
    with pytest.raises(ApiError) as caught:
        api.get("/forecasts/milk")
    error = caught.value
    assert (error.status, error.title, error.fix) == (404, said["title"], said["fix"])
    assert (error.object, error.found, error.wanted, error.instance) == (
        "series milk",
        "no such series",
        "one of 5",
        "abc",
    )


@pytest.mark.parametrize(
    ("status", "title", "fix"),
    [
        (401, "does not know this key", "FOREPROOF_API_KEY"),
        (403, "role is too small", "ask an admin"),
        (418, "status 418", ""),
    ],
)
def test_a_status_without_words_gets_some(status: int, title: str, fix: str) -> None:
    with pytest.raises(ApiError) as caught:
        _client(lambda _: httpx.Response(status, text="<html>")).get("/overview")
    assert title in caught.value.title
    assert fix in caught.value.fix


def test_a_service_that_is_down_is_said_with_how_to_start_it() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ApiError) as caught:
        _client(refuse).get("/overview")
    assert (caught.value.status, caught.value.title) == (0, "Nothing answers at http://api.")
    assert "foreproof serve" in caught.value.fix


def test_an_answer_that_is_no_json_says_that_the_address_is_wrong() -> None:
    with pytest.raises(ApiError, match="did not answer with JSON") as caught:
        _client(lambda _: httpx.Response(200, text="<html>")).get("/overview")
    assert "FOREPROOF_API_URL" in caught.value.fix


def test_a_store_that_is_away_for_a_moment_is_tried_three_times_with_one_key_of_idempotency() -> None:
    calls: list[httpx.Request] = []

    def answers(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(503, json={"title": "away"}) if len(calls) < 3 else httpx.Response(202, json={"job": "j"})

    assert _client(answers).post("/jobs", {"kind": "run"}) == {"job": "j"}
    assert len(calls) == 3
    assert len({call.headers["Idempotency-Key"] for call in calls}) == 1
    calls.clear()
    with pytest.raises(ApiError, match="away"):
        _client(lambda request: calls.append(request) or httpx.Response(503, json={"title": "away"})).get("/x")  # type: ignore[func-returns-value]
    assert len(calls) == 3


def test_two_clicks_are_two_writes() -> None:
    keys: list[str] = []

    def answers(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        return httpx.Response(204)

    api = _client(answers)
    assert (api.delete("/scenarios/a"), api.delete("/scenarios/a")) == ({}, {})
    assert len(set(keys)) == 2


def test_an_answer_is_confirmed_by_its_etag_and_a_write_forgets_what_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def answers(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("If-None-Match", "-"))
        if request.method == "POST":
            return httpx.Response(200, json={})
        if seen[-1] == '"a"':
            return httpx.Response(304, headers={"ETag": '"a"'})
        return httpx.Response(200, json={"n": len(seen)}, headers={"ETag": '"a"'})

    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    api = _client(answers)
    assert [api.get("/x"), api.get("/x")] == [{"n": 1}, {"n": 1}]
    assert seen == ["-"]
    now[0] = 60.0
    assert api.get("/x") == {"n": 1}
    assert seen == ["-", '"a"']
    api.post("/y", {})
    assert api.get("/x") == {"n": 4}


def test_answers_of_one_project_or_parameter_are_not_those_of_another() -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=str(request.url.query.decode()), headers={"ETag": '"same"'})

    api = _client(answers)
    assert api.of("a").get("/x", limit=2) == "project=a&limit=2"
    assert api.of("b").get("/x", limit=2, series="") == "project=b&limit=2"
    assert api.get("/x") == ""


def test_a_list_is_read_page_by_page() -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        start, limit = (int(request.url.params[name]) for name in ("offset", "limit"))
        return httpx.Response(200, json={"items": list(range(2500))[start : start + limit], "total": 2500})

    assert _client(answers).pages("/forecasts") == list(range(2500))
    assert _client(answers).pages("/forecasts", most=1200) == list(range(1200))


def test_a_name_with_a_slash_is_one_part_of_the_address_and_the_key_is_a_header() -> None:
    calls: list[httpx.Request] = []
    api = _client(lambda request: calls.append(request) or httpx.Response(200, json={}), key="secret")  # type: ignore[func-returns-value]
    api.get(f"/forecasts/{part('milk / 2%')}")
    assert calls[0].url.raw_path == b"/api/v1/forecasts/milk%20%2F%202%25"
    assert calls[0].headers["Authorization"] == "Bearer secret"
    assert "secret" not in repr(api)


def test_a_file_keeps_the_name_that_the_service_gave_it() -> None:
    head = {"content-disposition": 'attachment; filename="forecast.csv"', "content-type": "text/csv"}
    found = _client(lambda _: httpx.Response(200, content=b"a,b\n", headers=head)).download("/forecasts/export")
    assert (found.name, found.media, found.body) == ("forecast.csv", "text/csv", b"a,b\n")


def test_settings_come_from_the_environment_and_hide_the_key() -> None:
    found = read_page_settings({"FOREPROOF_API_URL": "http://h:1/api/v1/", "FOREPROOF_API_KEY": " k "})
    assert (found.url, found.key) == ("http://h:1", "k")
    assert "k" not in repr(found).replace("key", "")
    assert read_page_settings({}).url == DEFAULT_URL
