"""Scenarios over HTTP: kept, listed, run, shown and taken back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from foreproof.app import scenarios
from foreproof.app.api.app import create_app
from foreproof.app.home import open_home
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute

API = "/api/v1/scenarios"
PLAN = """
schema: 1
name: promoted
workload: forecast
seed: 4
sources: {facts: {url: facts.csv}, promotions: {url: promotions.csv}}
tables:
  facts:
    key: [id, step]
    happened: {column: step, period: integer}
    known: same_as_happened
    columns: {id: text, y: {type: real, low: 0}}
  promotions:
    key: [id, step]
    happened: {column: step, period: integer}
    known: {lead: 30, why: planned}
    ahead: true
    columns: {id: text, deep: {type: decimal, decimals: 2, low: 0, high: 1}}
series: {table: facts, by: [id], value: y, every: integer, aggregate: last, gap: missing}
horizon: 6
season: 4
cutoff: 99
features: [{lag: [1, 2, 4]}, {ahead: promotions.deep, aggregate: max}]
models: [seasonal_naive, {boost: {trees: 30, least: 5}}]
backtest: {origins: 1, every: 6, calibrations: 2, examples: 10, stride: 6}
decision: {cover: 6, short: 2.0, over: 1.0, currency: euros}
"""
PUSH: dict[str, Any] = {
    "name": "a push",
    "author": "planning",
    "reason": "what half off would bring",
    "overrides": [{"table": "promotions", "column": "deep", "set": 0.5, "steps": [3, 5]}],
}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client of a home with one project that was loaded and never run."""
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    folder, drawn = tmp_path / "promoted", random.Random(7)
    folder.mkdir()
    facts, plans = ["id,step,y"], ["id,step,deep"]
    for i in range(3):
        for step in range(106):
            deep = 0.5 if step <= 99 and drawn.random() < 0.25 else 0.0
            plans.append(f"s{i},{step},{deep}")
            if step <= 99:
                facts.append(f"s{i},{step},{100 + 20 * (deep > 0) + drawn.gauss(0, 2):.3f}")
    (folder / "facts.csv").write_text("\n".join(facts) + "\n", encoding="utf-8")
    (folder / "promotions.csv").write_text("\n".join(plans) + "\n", encoding="utf-8")
    (folder / "foreproof.yaml").write_text(PLAN, encoding="utf-8")
    execute(open_project(folder), progress=Silent(), until="load")
    with TestClient(create_app(open_home(tmp_path)), raise_server_exceptions=True) as found:
        yield found


def test_a_scenario_is_kept_run_shown_and_taken_back(client: TestClient, tmp_path: Path) -> None:
    made = client.post(API, json=PUSH)
    assert (made.status_code, made.json()["words"]) == (201, ["promotions.deep = 0.5 in steps 3 to 5"])
    (listed,) = client.get(API).json()["items"]
    assert (listed["name"], listed["author"], listed["ran"]) == ("a push", "planning", False)
    assert client.get(f"{API}/a push").json()["result"] is None
    job = client.post(f"{API}/a push/run", json={"price": 3})
    assert job.status_code == 202 and job.json()["job"], job.text
    # What a worker does with that job.
    scenarios.run(open_project(tmp_path / "promoted"), "a push", price=3.0, progress=Silent())
    shown = client.get(f"{API}/a push").json()["result"]
    units = shown["effect"]["units"]
    assert units > 50 and shown["effect"]["money"][0] == pytest.approx(3 * units)
    assert sum(row["difference"] for row in shown["path"]) == pytest.approx(units)
    assert shown["orders"] and any("95% interval" in words for words in shown["words"])
    assert client.delete(f"{API}/a push").status_code == 204
    assert client.get(API).json()["items"] == []
    assert client.get(f"{API}/a push").status_code == 404


def test_what_is_no_scenario_is_refused_in_words(client: TestClient) -> None:
    change = PUSH["overrides"][0]
    for other in (
        {"set": None},
        {"add": 1},
        {"table": "facts", "column": "y"},
        {"column": "shallow"},
        {"steps": [3, 7]},
        {"steps": []},
        {"where": {"shop": ["a"]}},
    ):
        answer = client.post(API, json={**PUSH, "overrides": [{**change, **other}]})
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), other
    for lacking in ("name", "author", "reason", "overrides"):
        assert client.post(API, json={key: value for key, value in PUSH.items() if key != lacking}).status_code == 422
    assert client.post(API, json={**PUSH, "name": "  "}).status_code == 422
    for method, path in (("GET", "/none"), ("DELETE", "/none"), ("POST", "/none/run")):
        assert client.request(method, f"{API}{path}").status_code == 404
