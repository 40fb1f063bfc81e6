"""Orders over HTTP: as the command line's, in the order asked, with words for what cannot be."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from foreproof.app.api.app import create_app
from foreproof.app.home import open_home
from foreproof.decisions import newsvendor
from foreproof.errors import BadInput

API = "/api/v1/decisions"
MILK = {"id": "milk", "quantiles": {"0.1": 10, "0.5": 20, "0.9": 40}, "short": 3, "over": 1, "on_hand": 5, "pack": 6}


def orders_of(client: TestClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post(f"{API}/recommend_qty", json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def table(home: Path, name: str) -> pl.DataFrame:
    (path,) = home.glob(f"forecast/served/*/tables/{name}.parquet")
    return pl.read_parquet(path)


def test_a_batch_says_of_each_item_what_the_newsvendor_says_of_it_alone(reading: TestClient) -> None:
    drawn = random.Random(3)
    items = []
    for i in range(60):
        values = sorted(drawn.uniform(0, 90) for _ in range(3))
        levels = ("0.1", "0.5", "0.9") if i % 2 else ("0.9", "0.2", "0.4")  # in no order, and not the same for all
        own = sorted(levels)
        quantiles = {level: values[own.index(level)] for level in levels}
        item = {"id": f"i{i}", "quantiles": quantiles, "short": drawn.uniform(0, 9), "over": drawn.uniform(0.1, 5)}
        items.append(
            {**item, "on_hand": drawn.uniform(-5, 60), "on_order": i % 5, "pack": 1 + i % 7, "minimum": i % 11}
        )
    found = orders_of(reading, {"items": items})
    assert [one["id"] for one in found] == [one["id"] for one in items]
    for item, one in zip(items, found, strict=True):
        alone = newsvendor.recommend_qty(
            {float(level): value for level, value in item["quantiles"].items()},
            held={"on_hand": item["on_hand"], "on_order": item["on_order"]},
            **{name: item[name] for name in ("short", "over", "pack", "minimum")},
        )
        assert one["quantity"] == pytest.approx(alone.quantity, abs=1e-9)
        assert one["expected_cost"] == pytest.approx(alone.expected_cost, rel=1e-9)
        assert one["because"] == alone.because


def test_costs_follow_from_price_cost_and_salvage_and_those_of_all_items_stand_in(reading: TestClient) -> None:
    given = {
        "id": "a",
        "quantiles": MILK["quantiles"],
        "price": 5,
        "cost": 2,
        "salvage": 0.5,
        "goodwill": 1,
        "holding": 0.25,
    }
    named = {"id": "b", "quantiles": MILK["quantiles"], "short": 4, "over": 1.75}
    shared = {"id": "c", "quantiles": MILK["quantiles"]}
    found = orders_of(reading, {"items": [given, named, shared], "costs": {"short": 4, "over": 1.75}})
    assert len({(one["quantity"], one["level"], one["because"]) for one in found}) == 1


def test_published_series_are_ordered_as_published_and_under_other_costs_from_the_same_window(
    reading: TestClient, published_home: Path
) -> None:
    orders = {row["item"]: row for row in table(published_home, "orders").to_dicts()}
    body = reading.post(f"{API}/recommend_qty", json={"series": ["item 3", "item 0"]}).json()
    assert [one["id"] for one in body["items"]] == ["item 3", "item 0"]
    assert body["policy"] == "as published" and body["provenance"]["proof"] == "proven"
    for one in body["items"]:
        assert one["quantity"] == orders[one["id"]]["order"] and one["because"] == orders[one["id"]]["because"]
    same = orders_of(reading, {"series": ["item 3"], "costs": {"short": 2, "over": 1, "on_hand": 0}})
    assert same[0]["quantity"] == orders["item 3"]["order"]
    dearer = orders_of(reading, {"series": ["item 3"], "costs": {"short": 50, "over": 1}})
    assert dearer[0]["quantity"] > same[0]["quantity"]


def test_information_and_the_curve_are_those_of_the_run(reading: TestClient, published_home: Path) -> None:
    worth = table(published_home, "voi")
    body = reading.post(f"{API}/voi", json={}).json()
    assert body["totals"]["perfect"] == pytest.approx(float(worth["perfect_information"].sum()))
    assert [one["series"] for one in body["items"]] == worth["item"].to_list()
    curve = reading.get(f"{API}/curve", params={"series": "item 1"})
    points = curve.json()["points"]
    assert min(points, key=lambda one: one["expected_cost"])["order_up_to"] == curve.json()["chosen"]
    for one in points:
        assert one["short_cost"] >= 0 and one["over_cost"] >= 0
        assert one["short_cost"] + one["over_cost"] == pytest.approx(one["expected_cost"])
    shorts = [one["short_cost"] for one in points]
    assert shorts == sorted(shorts, reverse=True)
    again = reading.get(f"{API}/curve", params={"series": "item 1"}, headers={"If-None-Match": curve.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({}, 422, "neither"),
    ({"items": [MILK], "series": ["item 1"]}, 422, "both"),
    ({"items": []}, 422, "items"),
    ({"items": [MILK, MILK]}, 422, "milk twice"),
    ({"items": [{**MILK, "quantiles": {"0.1": 10, "0.5": 5}}]}, 422, "item milk: quantiles"),
    ({"items": [{**MILK, "quantiles": {"half": 10}}]}, 422, "item milk: quantiles"),
    ({"items": [{**MILK, "quantiles": {"1.5": 10}}]}, 422, "strictly between 0 and 1"),
    ({"items": [{**MILK, "short": 0, "over": 0}]}, 422, "a cost for a unit"),
    ({"items": [{**MILK, "short": -1}]}, 422, "short"),
    ({"items": [{"id": "x", "quantiles": {"0.5": 1}}]}, 422, "item x: short"),
    ({"items": [{**MILK, "short": None, "over": None, "price": 1, "cost": 2}]}, 422, "item milk: short"),
    ({"items": [{**MILK, "pack": 0}]}, 422, "pack"),
    ({"items": [{**MILK, "colour": "red"}]}, 422, "colour"),
    ({"series": ["item 99"]}, 404, "series item 99"),
    ({"items": [{**MILK, "id": str(i)} for i in range(10_001)]}, 422, "10000"),
]


@pytest.mark.parametrize(("body", "status", "words"), BAD)
def test_what_cannot_be_ordered_is_said_in_words(
    reading: TestClient, body: dict[str, Any], status: int, words: str
) -> None:
    answer = reading.post(f"{API}/recommend_qty", json=body)
    assert answer.status_code == status and words in answer.text, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_series_that_is_not_there_has_no_curve_and_no_worth(reading: TestClient) -> None:
    assert reading.get(f"{API}/curve", params={"series": "none"}).status_code == 404
    assert reading.post(f"{API}/voi", json={"series": ["none"]}).status_code == 404


def test_decisions_are_served_alone_from_a_folder_without_projects(tmp_path: Path) -> None:
    with TestClient(create_app(open_home(tmp_path, {}, projects=False), only=["decisions"])) as client:
        assert orders_of(client, {"items": [MILK]})[0]["quantity"] == 30.0
        assert client.get("/health/ready").status_code == 200
        assert client.get("/api/v1/propensity/whitespace").status_code == 404
        assert client.post(f"{API}/voi", json={}).status_code == 404
    with pytest.raises(BadInput, match="no project"):
        open_home(tmp_path, {})


def test_it_mounts_in_an_application_of_somebody_elses(published_home: Path, tmp_path: Path) -> None:
    theirs = FastAPI()

    @theirs.get("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "you"}

    theirs.mount(
        "/foreproof",
        create_app(open_home(published_home, {"FOREPROOF_SERVICE": f"sqlite:///{tmp_path / 'service.db'}"})),
    )
    with TestClient(theirs) as client:
        assert client.get("/hello").json() == {"hello": "you"}
        curve = client.get("/foreproof/api/v1/decisions/curve", params={"series": "item 1"})
        assert curve.json()["provenance"]["proof"] == "proven"
        assert client.get("/foreproof/api/v1/openapi.json").status_code == 200
        missing = client.get("/foreproof/api/v1/decisions/curve", params={"series": "none"})
        assert (missing.status_code, missing.json()["object"]) == (404, "series none")
