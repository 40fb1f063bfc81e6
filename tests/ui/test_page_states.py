"""Every page in a home without projects, without the other workload, without a service, and with a wrong key: words, no error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from foreproof.ui.client import connect
from foreproof.ui.settings import PageSettings
from foreproof.ui.views import views

NAMES = [view.name for view in views()]
Answers = Callable[[httpx.Request], httpx.Response]


def _drawn(name: str, answers: Answers) -> AppTest:
    """A page drawn over a service that answers so."""
    api = replace(connect(PageSettings("http://api"), transport=httpx.MockTransport(answers)), wait=lambda _: None)

    def script(name, client):  # type: ignore[no-untyped-def]  # its source is run alone, where no name stands for a type
        from foreproof.ui.main import guarded
        from foreproof.ui.views import views

        guarded(next(view for view in views() if view.name == name), client)

    return AppTest.from_function(script, default_timeout=60, args=(name, api)).run()


def _said(found: AppTest) -> str:
    elements = [
        *found.markdown,
        *found.caption,
        *found.error,
        *found.info,
        *found.warning,
        *found.code,
        *found.subheader,
    ]
    return "\n".join(str(element.value) for element in elements)


def _empty(request: httpx.Request) -> httpx.Response:
    path = request.url.path.removeprefix("/api/v1")
    if path == "/overview":
        return httpx.Response(200, json={"tenant": "local", "projects": [], "attention": []})
    return httpx.Response(200, json={"rows": [], "items": [], "totals": {}, "total": 0})


def test_the_menu_lists_every_page_of_the_issue() -> None:
    assert NAMES[0] == "overview"
    wanted = "overview forecasts accounts groups proof runs monitoring jobs usage log copilot"
    assert set(NAMES) == set(wanted.split())


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_home_is_told_what_to_do_first(name: str) -> None:
    found = _drawn(name, _empty)
    assert not found.exception
    assert "Nothing was used yet" in _said(found) if name == "usage" else "foreproof demo" in _said(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_service_that_is_down_is_told_with_how_to_start_it(name: str) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    found = _drawn(name, refuse)
    assert not found.exception
    assert "Nothing answers" in found.error[0].value
    assert "foreproof serve" in _said(found)


@pytest.mark.parametrize("name", ["overview", "accounts", "usage"])
def test_a_wrong_key_is_told_with_where_to_put_the_right_one(name: str) -> None:
    found = _drawn(name, lambda _: httpx.Response(401, json={"title": "key: not known", "status": 401}))
    assert not found.exception
    assert "key" in found.error[0].value
    assert "API" in _said(found)


@pytest.mark.parametrize(
    ("name", "workload"),
    [
        *((name, "propensity" if name in ("accounts", "groups", "proof") else "forecast") for name in NAMES),
        ("forecasts", "propensity"),
        ("accounts", "forecast"),
    ],
)
def test_a_project_that_serves_nothing_yet_is_told_what_to_run(name: str, workload: str) -> None:
    one: dict[str, Any] = {"project": "shop", "workload": workload, "name": "shop", "served": None, "attention": []}

    def answers(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        if path == "/overview":
            return httpx.Response(200, json={"tenant": "local", "projects": [one], "attention": []})
        if path == "/log/checkpoint":
            return httpx.Response(200, json={"text": "", "size": 0, "root": "", "key": ""})
        return httpx.Response(200, json={"rows": [], "items": [], "totals": {}, "total": 0})

    found = _drawn(name, answers)
    assert not found.exception
    assert not found.error
    said = _said(found)
    assert "foreproof" in said or "Nothing was used yet" in said


def test_an_answer_of_another_version_is_told_in_words() -> None:
    found = _drawn("overview", lambda _: httpx.Response(200, json={"projects": [{"workload": 3}]}))
    assert not found.exception
    assert "does not understand" in found.error[0].value
    assert "same version" in _said(found)
