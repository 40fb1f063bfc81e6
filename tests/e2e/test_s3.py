"""A project whose sources and lake are in S3: a real server (moto's) over HTTP."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import boto3
import project
import pytest

from foreproof.adapters.sources import read
from foreproof.adapters.sources.files import Files
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute
from foreproof.errors import SourceError

MONTHS = (0, 300, 500, 700)


def parts() -> list[bytes]:
    """The rows of the small project, cut into three files."""
    rows = sorted(project.rows(), key=lambda row: (row[1], row[0]))
    return [project.csv(rows[a:b]).encode() for a, b in itertools.pairwise(MONTHS)]


def put(bucket: str, name: str, body: bytes) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key=name, Body=body)


def given(folder: Path, bucket: str, url: str) -> Path:
    plan = project.PLAN.replace("{url: sales.csv}", f'{{url: "s3://{bucket}/{url}"}}')
    return project.make(folder, plan=plan)


def test_a_folder_of_an_object_store_gives_a_batch_a_file_into_a_lake_there(
    tmp_path: Path, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREPROOF_LAKE", f"s3://{s3_bucket}/lake")
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    files = parts()
    for number, body in enumerate(files[:2]):
        put(s3_bucket, f"sales/{number}.csv.gz", gzip.compress(body))
    folder = given(tmp_path / "p", s3_bucket, "sales/*.csv.gz")
    first = execute(open_project(folder), progress=Silent(), until="load")
    assert first.error is None
    put(s3_bucket, "sales/2.csv.gz", gzip.compress(files[2]))
    second = execute(open_project(folder), progress=Silent(), until="load")
    assert second.error is None
    lake = open_project(folder).lake
    assert lake.root == f"s3://{s3_bucket}/lake"
    assert lake.batches("sales")["added"].to_list() == [300, 200, 200]
    keys = [item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket=s3_bucket)["Contents"]]
    assert any(key.startswith("lake/sales/_delta_log/") for key in keys)
    # A whole run reads its facts from there: the same forecast as from local files.
    monkeypatch.delenv("FOREPROOF_LAKE")
    local = execute(open_project(project.make(tmp_path / "local")), progress=Silent(), until="features")
    monkeypatch.setenv("FOREPROOF_LAKE", f"s3://{s3_bucket}/lake")
    remote = execute(open_project(folder), progress=Silent(), until="features")
    assert remote.work.final is not None
    assert local.work.final is not None
    assert remote.work.final.rows.equals(local.work.final.rows)


def test_a_second_file_with_another_schema_refuses_the_load_and_the_lake_stays(
    tmp_path: Path, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREPROOF_LAKE", f"s3://{s3_bucket}/lake")
    files = parts()
    put(s3_bucket, "sales/0.csv", files[0])
    put(s3_bucket, "sales/1.csv", files[1].replace(b"item,date,units", b"item,date,pieces"))
    folder = given(tmp_path / "p", s3_bucket, "sales/*.csv")
    outcome = execute(open_project(folder), progress=Silent(), until="load")
    assert outcome.error is not None
    assert "units" in str(outcome.error)
    assert open_project(folder).lake.version("sales") is None


@pytest.mark.parametrize("url", ["nothing/here.csv", "nothing/*.csv"])
def test_an_object_that_is_not_there_is_a_source_error(tmp_path: Path, s3_bucket: str, url: str) -> None:
    with pytest.raises(SourceError):
        read(Files(f"s3://{s3_bucket}/{url}"), folder=tmp_path)
