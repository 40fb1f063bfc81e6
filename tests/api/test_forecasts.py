"""Published forecasts over HTTP say what the run's tables say."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute

API = "/api/v1"


def tables(home: Path, project: str = "forecast") -> Path:
    pointer = json.loads((home / project / "served" / "current.json").read_text())
    return home / project / "served" / pointer["run"] / "tables"


def problem(answer: Any, status: int) -> dict[str, Any]:
    """The problem that an answer is."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    return found


def test_every_series_is_listed_and_pages_join_to_the_whole(client: TestClient, own_home: Path) -> None:
    wanted = pl.read_parquet(tables(own_home) / "forecast.parquet")["item"].unique().sort().to_list()
    first, second = (client.get(f"{API}/forecasts", params={"limit": 3, "offset": k}).json() for k in (0, 3))
    assert [one["series"] for one in first["items"] + second["items"]] == wanted
    assert first["items"][0]["entity"] == {"item": wanted[0]}
    assert (first["total"], first["limit"], second["offset"]) == (len(wanted), 3, 3)


def test_a_series_has_the_quantiles_mean_and_history_of_the_tables(client: TestClient, own_home: Path) -> None:
    found = client.get(f"{API}/forecasts/item 3", params={"levels": "0.1,0.9", "horizon": 4, "history": 5}).json()
    rows = pl.read_parquet(tables(own_home) / "forecast.parquet").filter(pl.col("item") == "item 3")
    values = {
        (step, level): (value, at) for step, level, value, at in rows.select("step", "level", "value", "at").rows()
    }
    assert [one["step"] for one in found["steps"]] == [1, 2, 3, 4]
    for one in found["steps"]:
        step = one["step"]
        assert one["quantiles"] == {"0.1": values[step, 0.1][0], "0.9": values[step, 0.9][0]}
        assert one["mean"] == values[step, None][0]
        assert datetime.fromisoformat(one["at"]) == values[step, None][1]
    past = pl.read_parquet(tables(own_home) / "history.parquet").filter(pl.col("item") == "item 3").tail(5)
    assert [one["y"] for one in found["history"]] == past["y"].to_list()
    assert (found["unit"], found["levels"], found["entity"]) == ("units a day", [0.1, 0.9], {"item": "item 3"})
    pointer = json.loads((own_home / "forecast" / "served" / "current.json").read_text())
    said = found["provenance"]
    assert (said["run"], said["leaf"], said["proof"]) == (pointer["run"], pointer["leaf"], "proven")
    age = (datetime.now(UTC) - datetime.fromisoformat(said["cutoff"])).total_seconds()
    assert said["data_age_seconds"] == pytest.approx(age, abs=60)


def test_what_was_not_predicted_is_refused_in_words(client: TestClient) -> None:
    assert problem(client.get(f"{API}/forecasts/item 99"), 404)["object"] == "series item 99"
    far = problem(client.get(f"{API}/forecasts/item 1", params={"horizon": 10_000}), 422)
    assert (far["object"], far["found"], far["wanted"]) == ("horizon", "10000", "1 to 7, the plan's horizon")
    assert "0.99" in problem(client.get(f"{API}/forecasts/item 1", params={"levels": "0.123"}), 422)["wanted"]
    for params in ({"levels": "a,b"}, {"horizon": "soon"}, {"history": -1}):
        problem(client.get(f"{API}/forecasts/item 1", params=params), 422)
    problem(client.get(f"{API}/forecasts", params={"limit": 1001}), 422)


def test_what_another_tenant_has_is_not_found(client: TestClient) -> None:
    assert problem(client.get(f"{API}/forecasts", params={"project": "other"}), 404)["object"] == "project other"
    for path in ("forecasts", "forecasts/item 1", "runs", "overview", "log/checkpoint", "monitoring/summary"):
        problem(client.get(f"{API}/{path}", params={"project": "../tenants/other/forecast"}), 404)


@pytest.mark.parametrize("how", ["json", "ndjson", "csv", "parquet", "arrow"])
def test_an_export_is_the_whole_table_in_any_format(client: TestClient, own_home: Path, how: str) -> None:
    wanted = pl.read_parquet(tables(own_home) / "forecast.parquet")
    answer = client.get(f"{API}/forecasts/export", params={"format": how})
    assert answer.headers["content-disposition"].endswith(f'.{how}"')
    assert json.loads(answer.headers["foreproof-provenance"])["proof"] == "proven"
    body = io.BytesIO(answer.content)
    match how:
        case "json":
            found = pl.DataFrame(answer.json()["items"], infer_schema_length=None)
        case "ndjson":
            found = pl.read_ndjson(body, infer_schema_length=None)
        case "csv":
            found = pl.read_csv(body, infer_schema_length=None)
        case "parquet":
            found = pl.read_parquet(body)
        case _:
            found = pl.read_ipc_stream(body)
    assert found.columns == wanted.columns
    assert found["value"].to_list() == wanted["value"].to_list()
    if how in ("parquet", "arrow"):
        assert found.equals(wanted)


def test_an_export_of_many_parts_is_one_file(monkeypatch: pytest.MonkeyPatch, client: TestClient) -> None:
    whole = {
        how: client.get(f"{API}/forecasts/export?format={how}").content for how in ("json", "csv", "arrow", "parquet")
    }
    monkeypatch.setattr("foreproof.app.api.export.ROWS", 100)
    for how, wanted in whole.items():
        found = client.get(f"{API}/forecasts/export?format={how}").content
        match how:
            case "json":
                assert json.loads(found)["items"] == json.loads(wanted)["items"]
            case "csv":
                assert found == wanted
            case "arrow":
                assert pl.read_ipc_stream(io.BytesIO(found)).equals(pl.read_ipc_stream(io.BytesIO(wanted)))
            case _:
                assert pl.read_parquet(io.BytesIO(found)).equals(pl.read_parquet(io.BytesIO(wanted)))


def test_who_has_the_answer_gets_304_and_the_kept_one_is_the_same(client: TestClient) -> None:
    first = client.get(f"{API}/forecasts/item 1")
    again = client.get(f"{API}/forecasts/item 1")
    assert first.headers["etag"] == again.headers["etag"]
    assert first.headers["cache-control"] == "private, max-age=0, must-revalidate"
    one, other = first.json(), again.json()
    assert other["provenance"].pop("data_age_seconds") >= one["provenance"].pop("data_age_seconds")
    assert one == other
    same = client.get(f"{API}/forecasts/item 1", headers={"If-None-Match": f'"x", {first.headers["etag"]}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    assert client.get(f"{API}/forecasts/item 2").headers["etag"] != first.headers["etag"]
    assert client.get(f"{API}/forecasts/item 1?horizon=2").headers["etag"] != first.headers["etag"]


def test_another_run_changes_the_mark(client: TestClient, own_home: Path) -> None:
    path = f"{API}/forecasts/item 1"
    before = client.get(path)
    run = before.json()["provenance"]["run"]
    assert client.get(path, headers={"If-None-Match": before.headers["etag"]}).status_code == 304
    assert client.post(f"{API}/runs/{run}/restore").status_code == 200
    after = client.get(path, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.headers["etag"] != before.headers["etag"]
    assert after.json()["provenance"]["leaf"] > before.json()["provenance"]["leaf"]
    assert after.json()["steps"] == before.json()["steps"]


def test_a_run_that_is_refused_changes_nothing_that_is_served(client: TestClient, own_home: Path) -> None:
    path, folder = f"{API}/forecasts/item 1", own_home / "forecast"
    before = client.get(path)
    (folder / "sales.csv").write_text("item,date,units\nitem 1,2024-05-20,many\n", encoding="utf-8")
    outcome = execute(open_project(folder), progress=Silent())
    assert outcome.run.status == "refused"
    assert client.get(path, headers={"If-None-Match": before.headers["etag"]}).status_code == 304
    listed = client.get(f"{API}/runs").json()["items"]
    assert {(one["status"], one["served"]) for one in listed} == {("refused", False), ("proven", True)}
    said = client.get(f"{API}/overview").json()["projects"][0]
    assert said["served"]["run"] == before.json()["provenance"]["run"]
    assert any("is refused" in words and "is still served" in words for words in said["attention"])


def test_generate_answers_at_once_what_is_published(client: TestClient) -> None:
    asked = {"series": ["item 2", "item 0"], "horizon": 3, "levels": [0.5]}
    found = client.post(f"{API}/forecasts/generate", json=asked).json()
    assert [one["series"] for one in found["items"]] == ["item 2", "item 0"]
    alone = client.get(f"{API}/forecasts/item 2", params={"horizon": 3, "levels": "0.5", "history": 0}).json()
    assert found["items"][0]["steps"] == alone["steps"]
    assert client.post(f"{API}/forecasts/generate", json={}).json()["total"] == 5
    assert problem(client.post(f"{API}/forecasts/generate", json={"horizon": 8}), 422)["wanted"].startswith("1 to 7")
    problem(client.post(f"{API}/forecasts/generate", json={"series": ["item 9"]}), 404)
    problem(client.post(f"{API}/forecasts/generate", json={"horizon": "x"}), 422)


def test_generate_starts_a_job_for_what_is_not_published(client: TestClient, own_home: Path) -> None:
    answer = client.post(f"{API}/forecasts/generate", json={"scenario": "promo"})
    assert answer.status_code == 202
    (own_home / "forecast" / "served" / "current.json").unlink()
    assert client.post(f"{API}/forecasts/generate", json={}).status_code == 202
    asked = client.get(f"{API}/jobs").json()["items"]
    assert {(one["project"], one["kind"], one["request"].get("name")) for one in asked} == {
        ("forecast", "scenario", "promo"),
        ("forecast", "run", None),
    }
    assert answer.json()["job"] in {one["job"] for one in asked}
    problem(client.get(f"{API}/forecasts"), 404)


def test_reading_imports_no_engine_and_no_model(own_home: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom fastapi.testclient import TestClient\n"
        "from foreproof.app.api.app import create_app\nfrom foreproof.app.home import open_home\n"
        "with TestClient(create_app(open_home(Path(sys.argv[1]), {}))) as client:\n"
        "    for path in sys.argv[2:]:\n"
        "        answer = client.get('/api/v1/' + path)\n"
        "        assert answer.status_code == 200, answer.text\n"
        "heavy = ('foreproof.engine', 'foreproof.models', 'foreproof.workloads', 'lightgbm', 'sklearn', 'torch')\n"
        "assert not [name for name in sys.modules if name.startswith(heavy)], sys.modules\n"
    )
    paths = ("overview", "forecasts", "forecasts/item 1", "metrics/historical", "runs", "runs/served", "proofs/served",
             "cards", "cards/all", "log/checkpoint", "log/leaves", "log/inclusion?leaf=0", "log/consistency?old=1")  # fmt: skip
    command = [sys.executable, "-c", program, str(own_home), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-2000:]
