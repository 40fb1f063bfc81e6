"""The benchmark of faults: what it counts as a fault, and that it asks for everything."""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The tenants' part; it imports its neighbours as a script does."""
    monkeypatch.syspath_prepend(str(FOLDER))
    found = importlib.import_module("_tenant_faults")
    yield found
    for name in ("_tenant_faults", "_process_faults", "faults", "common"):
        sys.modules.pop(name, None)


def test_what_is_told_unasked_is_a_leak_and_an_echo_is_none(part: ModuleType) -> None:
    theirs = part.Theirs(("velvet",), ("hushhush", "hushhush 0", "run-1"))
    assert part.leaked('{"item": "velvet 2"}', theirs, theirs.names, "GET /x") == ["GET /x tells velvet"]
    assert part.leaked("run run-1: no such run", theirs, {"run-1"}, "GET") == []
    assert part.leaked('{"run": "run-1"}', theirs, set(), "GET") == ["GET tells run-1"]
    assert part.leaked("hushhush", theirs, {"hushhush 0"}, "GET") == [], "part of a name that was said"


def test_every_part_of_an_address_is_drawn_from_what_the_other_one_has(part: ModuleType) -> None:
    drawn, words = random.Random(1), ["run-1", "../x", "a b"]
    operation = {
        "parameters": [
            {"name": "run", "in": "path"},
            {"name": "name", "in": "path"},
            {"name": "limit", "in": "query", "required": True, "schema": {"type": "integer"}},
        ],
        "requestBody": {"content": {"application/json": {"example": {"kind": "load", "n": 1, "rows": [{"a": "b"}]}}}},
    }
    for _ in range(50):
        url, query, body = part.request_of(drawn, "/runs/{run}/tables/{name}", operation, words)
        assert "{" not in url
        assert query["limit"] in "0123"
        assert body["n"] == 1 and set(body) == {"kind", "n", "rows"}
        assert body["kind"] in (*words, "load")


def test_rows_of_kills_say_what_was_violated_and_how_long_recovery_took(part: ModuleType) -> None:
    process = importlib.import_module("_process_faults")
    told = process.Told("sqlite_api", kills=3, recovery=[1.0, 2.0, 6.0])
    told.wrong("a batch is gone")
    rows = told.rows()
    assert [(row.case, row.metric, row.value, row.n) for row in rows] == [
        ("sqlite_api", "violations", 1.0, 3),
        ("sqlite_api_p50", "wall_seconds", 2.0, 3),
        ("sqlite_api_max", "wall_seconds", 6.0, 3),
    ]
    common = importlib.import_module("common")
    assert common.expect(rows, process.checks(rows)) == 1
    fine = process.Told("sqlite_api", kills=1, recovery=[1.0]).rows()
    assert common.expect(fine, process.checks(fine)) == 0


def test_every_part_says_what_it_expects(part: ModuleType) -> None:
    faults = importlib.import_module("faults")
    for name in faults.PARTS[:2]:
        module = importlib.import_module(name)
        assert callable(module.rows) and callable(module.checks)
    rows = [part.Row("faults", "cross_tenant", "foreproof", "violations", 0.0, "count", 5)]
    assert [check.who for check in part.checks(rows)] == ["foreproof", "control.own_key"]
