"""Facts over HTTP: in the lake when they are acknowledged, and not at all when they are refused."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))

import project
from fastapi.testclient import TestClient

from foreproof.adapters.service.migrate import open_store
from foreproof.app.api.app import create_app
from foreproof.app.home import open_home
from foreproof.app.intake import ARROW, ARROW_FILE, CSV, JSON, PARQUET, frame_of
from foreproof.app.progress import Silent
from foreproof.app.project import Project, open_project
from foreproof.app.runner import execute

ROWS = [{"item": "item 1", "date": "2024-05-20", "units": 31}, {"item": "item 2", "date": "2024-05-20", "units": 40}]
PLAN = project.PLAN.replace(
    "  sales: {url: sales.csv}", "  sales: {url: sales.csv, clean: [{drop: {item: {is: [test]}}}]}"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project.make(tmp_path / "home" / "shop")


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    home = open_home(folder.parent, {})
    open_store(home.settings.store).close()
    with TestClient(create_app(home), raise_server_exceptions=False) as found:
        yield found


def as_body(rows: list[dict[str, Any]], media: str) -> bytes:
    frame, out = pl.DataFrame(rows), io.BytesIO()
    match media:
        case "application/json":
            import json

            return json.dumps({"rows": rows}).encode()
        case "text/csv":
            return frame.write_csv().encode()
        case "application/vnd.apache.parquet":
            frame.write_parquet(out)
        case "application/vnd.apache.arrow.stream":
            frame.write_ipc_stream(out)
        case _:
            frame.write_ipc(out)
    return out.getvalue()


def sent(client: TestClient, body: bytes, media: str, table: str = "sales") -> Any:
    return client.post(f"/api/v1/data/{table}", content=body, headers={"content-type": media})


def test_the_same_rows_in_any_form_are_one_batch(client: TestClient, folder: Path) -> None:
    digests = set()
    for n, media in enumerate((JSON, CSV, PARQUET, ARROW, ARROW_FILE)):
        answer = sent(client, as_body(ROWS, media), media)
        assert answer.status_code == 201, answer.text
        said = answer.json()
        assert (said["added"], said["already_loaded"]) == ((2, False) if n == 0 else (0, True))
        digests.add(said["digest"])
    assert len(digests) == 1
    batches = open_project(folder).lake.batches("sales")
    assert batches.select("batch", "digest", "rows").rows() == [(1, digests.pop(), 2)]


def test_a_batch_by_http_is_the_batch_that_load_would_make(client: TestClient, folder: Path) -> None:
    text = (folder / "sales.csv").read_bytes()
    digest = sent(client, text, "text/csv; charset=utf-8").json()["digest"]
    outcome = execute(open_project(folder), progress=Silent(), until="load")
    assert [(one["digest"], one["already_loaded"]) for one in outcome.work.loads] == [(digest, True)]


@pytest.mark.parametrize(
    ("body", "media", "about"),
    [
        (as_body([*ROWS, {"item": "item 3", "date": "2024-05-99", "units": 1}], JSON), JSON, "sales.date"),
        (as_body([*ROWS, {"item": "item 3", "date": "2024-05-20", "units": -1}], JSON), JSON, "sales.units"),
        (as_body([*ROWS, {"item": "item 3", "date": "2024-05-20", "units": 1.5}], JSON), JSON, "sales.units"),
        (as_body([*ROWS, ROWS[0]], JSON), JSON, "sales"),
        (b"item,date\nitem 1,2024-05-20\n", CSV, "sales"),
        (b'{"rows": [{"item": {"a": 1}}]}', JSON, "sales (body)"),
        (b'{"rows": 3}', JSON, "sales (body)"),
        (b'{"rows": []}', JSON, "sales (api)"),
        (b"PAR1 not", PARQUET, "sales (body)"),
        (b"not arrow", ARROW, "sales (body)"),
        (b"x", "application/x-thing", "sales (body)"),
        (b"\xff\xfe\x00", CSV, "sales"),
        (b'{"rows": [{"item": "a", "date": "2024-05-20", "units": NaN}]}', JSON, "sales.units"),
    ],
)
def test_a_refused_batch_says_why_and_leaves_the_lake_as_it_was(
    client: TestClient, folder: Path, body: bytes, media: str, about: str
) -> None:
    first = sent(client, as_body(ROWS[:1], JSON), JSON)
    assert first.status_code == 201
    before = open_project(folder).lake.data_digest("sales")
    answer = sent(client, body, media)
    assert answer.status_code == 422, answer.text
    assert answer.json()["object"].startswith(about)
    assert answer.json()["found"]
    assert open_project(folder).lake.data_digest("sales") == before
    assert open_project(folder).lake.version("sales") == 0


def test_a_correction_supersedes_and_a_table_without_a_contract_is_not_found(client: TestClient) -> None:
    assert sent(client, as_body(ROWS, JSON), JSON).status_code == 201
    said = sent(client, as_body([{**ROWS[0], "units": 32}, ROWS[1]], JSON), JSON).json()
    assert (said["batch"], said["added"], said["superseding"], said["unchanged"]) == (2, 0, 1, 1)
    assert sent(client, as_body(ROWS, JSON), JSON, table="purchases").status_code == 404
    assert sent(client, as_body(ROWS, JSON), JSON, table="../x").status_code == 404


def test_rows_are_cleaned_by_the_tables_own_rules(tmp_path: Path) -> None:
    from foreproof.app.intake import take_in

    opened: Project = open_project(project.make(tmp_path / "shop", plan=PLAN))
    rows = [*ROWS, {"item": "test", "date": "2024-05-20", "units": 1}]
    frame = frame_of(opened, "sales", JSON, as_body(rows, JSON))
    assert take_in(opened, "sales", frame, source="api")["added"] == 2


def test_numbers_keep_the_digits_that_were_sent(tmp_path: Path) -> None:
    opened = open_project(project.make(tmp_path / "shop"))
    body = b'{"rows": [{"units": 0.10}, {"units": 12345678901234567890}, {"units": null}, {"units": true}]}'
    assert frame_of(opened, "sales", JSON, body)["units"].to_list() == ["0.10", "12345678901234567890", None, "true"]
