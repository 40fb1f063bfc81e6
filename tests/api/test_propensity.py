"""Propensities over HTTP: the published list, lists solved again, scores that add up, and groups as judged."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

API = "/api/v1/propensity"


def table(home: Path, name: str) -> pl.DataFrame:
    (path,) = home.glob(f"propensity/served/*/tables/{name}.parquet")
    return pl.read_parquet(path)


def asked(client: TestClient, path: str, **params: Any) -> dict[str, Any]:
    answer = client.get(f"{API}{path}", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_the_list_is_the_published_one_with_an_interval_about_each_chance(
    reading: TestClient, published_home: Path
) -> None:
    body = asked(reading, "/whitespace")
    listed = table(published_home, "list")
    assert [(one["account"], one["group"]) for one in body["items"]] == listed.select("customer", "kind").rows()
    assert [one["chance"] for one in body["items"]] == listed["p"].to_list()
    for one in body["items"]:
        assert one["low"] <= one["chance"] <= one["high"] and one["interval"]
        assert one["reasons"][0].startswith(f"rank {one['rank']} of")
    assert not body["solved"] and body["capacity"] == listed.height and body["provenance"]["proof"] == "proven"


def test_filters_and_pages_show_less_of_the_same_list(reading: TestClient) -> None:
    whole = asked(reading, "/whitespace", capacity=40)["items"]
    group, segment = whole[0]["group"], whole[0]["segment"]
    some = asked(reading, "/whitespace", capacity=40, group=group, segment=segment, min_chance=0.1, top=30)
    assert some["items"] == [
        one
        for one in whole
        if (one["group"], one["segment"]) == (group, segment) and one["chance"] >= 0.1 and one["rank"] <= 30
    ]
    page = asked(reading, "/whitespace", capacity=40, limit=7, offset=5)
    assert (page["items"], page["total"]) == (whole[5:12], 40)


def test_a_list_solved_again_keeps_its_limits_and_says_what_they_cost(reading: TestClient) -> None:
    free, capped = (
        asked(reading, "/whitespace", capacity=30),
        asked(reading, "/whitespace", capacity=30, cap=0.4, per_account=1),
    )
    groups, accounts = ([one[name] for one in capped["items"]] for name in ("group", "account"))
    assert max(map(groups.count, groups)) <= 12 and len(set(accounts)) == len(accounts)
    assert capped["solved"] and capped["expected_value"] < free["expected_value"]
    assert any(one["price"] > 0 and "would gain" in one["words"] for one in capped["prices"])
    named = asked(reading, "/whitespace", capacity=30, caps=f"{groups[0]}:0.1")
    assert sum(one["group"] == groups[0] for one in named["items"]) <= 3
    assert [one["count"] for one in free["curve"]] == [15, 22, 30, 45, 60]


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow"])
def test_an_export_has_the_rows_of_the_list(reading: TestClient, kind: str) -> None:
    answer = reading.get(f"{API}/whitespace", params={"format": kind, "limit": 1})
    read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "arrow": pl.read_ipc_stream}[kind]
    frame = read(io.BytesIO(answer.content))
    items = asked(reading, "/whitespace")["items"]
    assert frame["account"].to_list() == [one["account"] for one in items]
    assert answer.headers["content-disposition"].endswith(f'.{kind}"')


@pytest.mark.parametrize(
    "params",
    [{"capacity": 0}, {"cap": 2}, {"caps": "cheese"}, {"caps": "none:0.1"}, {"min_chance": "high"}, {"cool_down": 5},
     {"format": "xml"}, {"limit": 1001}],
)  # fmt: skip
def test_a_list_that_cannot_be_is_refused_in_words(reading: TestClient, params: dict[str, Any]) -> None:
    answer = reading.get(f"{API}/whitespace", params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text


def test_contributions_add_up_to_the_chance_that_was_published(reading: TestClient, published_home: Path) -> None:
    chances = table(published_home, "chances").filter(pl.col("cutoff") == pl.col("cutoff").max())
    rows = chances.sample(60, seed=1).to_dicts()
    pairs = [{"account": row["customer"], "group": row["kind"]} for row in rows]
    body = reading.post(f"{API}/score", json={"pairs": pairs, "explain": 2}).json()
    badges = set()
    for row, one in zip(rows, body["items"], strict=True):
        badges.add(one["badge"])
        assert (one["account"], one["group"]) == (row["customer"], row["kind"])
        assert one["low"] <= one["chance"] <= one["high"] and "past" in one["interval"]
        if one["badge"] == "heuristic":
            assert one["chance"] == row["base"] and not one["contributions"] and one["baseline"] is None
            continue
        assert one["chance"] == row["p"] and len(one["contributions"]) == 2
        raw = one["baseline"] + sum(part["contribution"] for part in one["contributions"]) + one["others"]
        assert raw == pytest.approx(logit(row["raw"]), abs=1e-6)
        assert raw + one["calibration"] == pytest.approx(logit(row["p"]), abs=1e-6)
    assert badges == {"model", "heuristic"}


def test_one_pair_is_scored_as_in_a_batch_and_strangers_are_named(reading: TestClient, published_home: Path) -> None:
    row = table(published_home, "features").row(3, named=True)
    pair = {"account": row["customer"], "group": row["kind"]}
    alone = reading.post(f"{API}/score", json=pair).json()
    batch = reading.post(f"{API}/score", json={"pairs": [pair, {"account": "nobody", "group": "cheese"}]}).json()
    assert alone["items"] == batch["items"] and batch["unknown"] == [{"account": "nobody", "group": "cheese"}]
    missing = reading.post(f"{API}/score", json={"account": "nobody", "group": "cheese"})
    assert (missing.status_code, missing.json()["object"]) == (404, "pair nobody / cheese")
    for body in (
        {},
        {"account": "a"},
        {**pair, "pairs": [pair]},
        {"pairs": []},
        {"pairs": [pair] * 1001},
        {**pair, "x": 1},
    ):
        assert reading.post(f"{API}/score", json=body).status_code == 422


def test_a_model_file_that_is_not_as_logged_explains_nothing(client: TestClient, own_home: Path) -> None:
    (path,) = own_home.glob("propensity/served/*/models/logistic/logistic.json")
    path.write_bytes(path.read_bytes() + b" ")
    row = table(own_home, "chances").filter(pl.col("segment") == "repeat", pl.col("cutoff") == pl.col("cutoff").max())
    pair = {"account": row["customer"][0], "group": row["kind"][0]}
    assert client.post(f"{API}/score", json={**pair, "explain": 0}).status_code == 200
    answer = client.post(f"{API}/score", json=pair)
    assert (answer.status_code, answer.json()["type"]) == (409, "IntegrityError")


def test_a_group_is_shown_as_it_was_judged(reading: TestClient, published_home: Path) -> None:
    scores = table(published_home, "pair_scores").filter(
        pl.col("cutoff") == "all", pl.col("segment") == "whitespace", pl.col("who") == "foreproof"
    )
    whole = asked(reading, "/groups/all")
    for metric, value in scores.select("metric", "value").iter_rows():
        assert whole["metrics"][metric] == pytest.approx(value)
    assert whole["base_rate"] == pytest.approx(whole["buyers"] / whole["pairs"])
    assert whole["capture"][0] == {"share": 0.0, "capture": 0.0} and whole["capture"][-1]["capture"] == pytest.approx(
        1.0
    )
    least = [one["least"] for one in whole["thresholds"]]
    assert least == sorted(least, reverse=True) and len(whole["reliability"]) == 10
    listed = asked(reading, "/groups")["items"]
    assert [one["group"] for one in listed] == ["all", "apples", "bread", "cheese"]
    one = asked(reading, "/groups/cheese")
    assert one["metrics"]["auc"] == listed[3]["auc"] and one["chosen"]["badge"] in ("model", "heuristic")
    assert sum(each["pairs"] for each in listed[1:]) == listed[0]["pairs"]
    assert asked(reading, "/groups/cheese", segment="pooled")["pairs"] > one["pairs"]
    assert reading.get(f"{API}/groups/none").status_code == 404


def test_reads_that_did_not_change_answer_304(reading: TestClient) -> None:
    for path in ("/whitespace?limit=3", "/groups", "/groups/all"):
        tag = reading.get(f"{API}{path}").headers["etag"]
        assert reading.get(f"{API}{path}", headers={"If-None-Match": tag}).status_code == 304
        assert reading.get(f"{API}{path}", headers={"If-None-Match": '"other"'}).status_code == 200
