"""What is served, comparing runs, and the mirror in a real MLflow server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import project
import pytest
from typer.testing import CliRunner

from foreproof.app.cards import shown
from foreproof.app.cli import app
from foreproof.app.diff import diff
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute
from foreproof.app.serving import override, promote, restore, served, served_words, snapshot
from foreproof.errors import BadInput, IntegrityError

# Fast members that beat the seasonal naive on these rows.
QUICK = project.PLAN.replace(
    "models: [seasonal_naive, theta]", "models: [seasonal_naive, theta]\nproof: {coverage: 0.8}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with two whole runs: the second under a shorter horizon."""
    made = project.make(tmp_path_factory.mktemp("serving") / "p", plan=QUICK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOREPROOF_WORKERS", "1")
        execute(open_project(made), progress=Silent(), tag="first")
        shorter = open_project(made).having(horizon=6, decision={"cover": 6, "short": 2.0, "over": 1.0})
        execute(shorter, progress=Silent(), tag="second")
        yield made


def runs(folder: Path) -> list[str]:
    return [record.run_id for record in open_project(folder).catalog.runs()]


def status(folder: Path, run: str) -> str:
    return open_project(folder).catalog.run(run).status


def mark(folder: Path, run: str, word: str) -> None:
    """Change a recorded status: what a failed run looks like to `restore`."""
    opened = open_project(folder)
    record = opened.catalog.run(run)
    opened.catalog.save_run(replace(record, status=word, manifest={**record.manifest, "status": word}))  # type: ignore[arg-type]


def test_a_proven_run_is_served_and_an_earlier_one_can_be_restored(folder: Path) -> None:
    first, second = runs(folder)
    opened = open_project(folder)
    for run in (first, second):
        mark(folder, run, "proven")
    promote(opened, first, by="run")
    promote(opened, second, by="run")
    now = served(opened)
    assert now is not None
    assert (now["run"], now["previous"]) == (second, first)
    again = restore(opened, first[:6])
    assert (again["run"], again["previous"], again["by"]) == (first, second, "restore")
    copy = snapshot(opened)
    assert copy is not None
    assert (copy / "index.html").read_bytes() == (folder / "runs" / first / "index.html").read_bytes()
    leaf = opened.catalog.leaves()[again["leaf"]]
    assert first.encode() in leaf
    assert b"restore" in leaf
    assert opened.ledger.verify() == []


def test_a_run_that_is_not_proven_or_not_as_logged_is_not_restored(folder: Path) -> None:
    first, second = runs(folder)
    opened = open_project(folder)
    mark(folder, first, "proven")
    mark(folder, second, "proven")
    promote(opened, first, by="run")
    mark(folder, second, "failed")
    with pytest.raises(BadInput, match="failed"):
        restore(opened, second)
    with pytest.raises(BadInput, match="0 such runs"):
        restore(opened, "nothing")
    mark(folder, second, "proven")
    page = folder / "runs" / second / "index.html"
    before = page.read_bytes()
    page.write_bytes(before + b"<!-- kinder words -->")
    with pytest.raises(IntegrityError, match="index"):
        restore(opened, second)
    page.write_bytes(before)
    now = served(opened)
    assert now is not None
    assert now["run"] == first


def test_a_run_without_a_proof_is_served_only_by_somebodys_name_and_reason(folder: Path) -> None:
    first, second = runs(folder)
    opened = open_project(folder)
    mark(folder, first, "proven")
    promote(opened, first, by="run")
    assert served_words(served(opened)) == ""
    mark(folder, second, "failed")
    for name, reason in (("", "it is late"), ("Ann", " ")):
        with pytest.raises(BadInput, match="override"):
            override(opened, second, name=name, reason=reason)
    with pytest.raises(BadInput, match="status proven"):
        override(opened, first, name="Ann", reason="it is late")
    words = ["runs", "override", second, "--name", "Ann", "--reason", "the shop opens tomorrow", "-C", str(folder)]
    told = CliRunner().invoke(app, words, env={"COLUMNS": "200"}, catch_exceptions=False)
    assert "Ann overrode it (the shop opens tomorrow)" in told.output
    now = served(opened)
    assert now is not None
    assert (now["run"], now["by"], now["name"]) == (second, "override", "Ann")
    assert b"the shop opens tomorrow" in opened.catalog.leaves()[now["leaf"]]
    listed = CliRunner().invoke(
        app, ["runs", "list", "-C", str(folder)], env={"COLUMNS": "200"}, catch_exceptions=False
    )
    assert "override" in listed.output
    assert "Ann overrode it" in listed.output
    mark(folder, first, "refused")
    with pytest.raises(BadInput, match="refused"):
        override(opened, first, name="Ann", reason="it is late")


def test_a_run_with_a_check_left_out_is_served_by_nobody(folder: Path) -> None:
    run, opened = runs(folder)[1], open_project(folder)
    kept = opened.catalog.run(run)
    left = {"name": "overlap", "outcome": "not proven", "evidence": {"ran": False}}
    partly = {**kept.manifest, "status": "not proven", "verdicts": [*kept.manifest["verdicts"], left]}
    opened.catalog.save_run(replace(kept, status="not proven", manifest=partly))
    with pytest.raises(BadInput, match="did not run: overlap"):
        override(opened, run, name="Ann", reason="it is late")
    opened.catalog.save_run(kept)


def test_a_card_says_what_past_origins_showed_and_what_changed_since_the_card_before(folder: Path) -> None:
    first, second = runs(folder)
    card = shown(open_project(folder), second, "")
    figures = {one["name"]: one for one in card["figures"]}
    scores = open_project(folder).catalog.run(second).manifest["scores"]
    assert figures["wape"]["value"] == pytest.approx(scores["wape"])
    assert 0.0 <= figures["coverage of 80%"]["low"] <= figures["coverage of 80%"]["high"] <= 1.0
    assert {"rebuild", "coverage"} <= {one["name"] for one in card["verdicts"]}
    assert any("wrong clock" in words for words in card["limits"])
    text = (folder / "runs" / second / "cards" / "index.html").read_text(encoding="utf-8")
    assert "Against the card before" in text
    assert "Against the card before" not in (folder / "runs" / first / "cards" / "index.html").read_text(
        encoding="utf-8"
    )
    told = CliRunner().invoke(app, ["card", second, "-C", str(folder)], env={"COLUMNS": "200"}, catch_exceptions=False)
    assert "wape" in told.output
    assert isinstance(CliRunner().invoke(app, ["card", "--group", "no", "-C", str(folder)]).exception, BadInput)


def test_a_difference_says_what_changed_and_by_how_much(folder: Path) -> None:
    first, second = runs(folder)
    found = diff(open_project(folder), first, second)
    changed = dict(found.settings.select("setting", "b").iter_rows())
    assert changed["horizon"] == "6"
    assert found.data.is_empty()
    assert found.forecasts["item"].n_unique() == 5
    assert found.path.height == 6
    table = pl.read_parquet(folder / "runs" / first / "tables" / "forecast.parquet").filter(pl.col("level").is_null())
    reached = table.filter((pl.col("item") == "item 3") & (pl.col("step") <= 6))["value"].sum()
    assert found.forecasts.filter(pl.col("item") == "item 3")["a"].item() == pytest.approx(reached)
    same = diff(open_project(folder), first, first)
    assert same.settings.is_empty()
    assert same.forecasts["change"].abs().max() == 0.0
    assert same.features["changed"].max() == 0
    with pytest.raises(BadInput, match="such runs"):
        diff(open_project(folder), first, "zz")


def test_the_commands_diff_restore_and_list(folder: Path) -> None:
    first, second = runs(folder)
    mark(folder, first, "proven")
    run = CliRunner().invoke
    compared = run(app, ["runs", "diff", first, second, "-C", str(folder)], catch_exceptions=False)
    assert compared.exit_code == 0
    page = folder / "runs" / "diffs" / f"{first}-{second}" / "index.html"
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "-horizon: 7" in text
    assert "+horizon: 6" in text
    assert "http" not in text.replace("http://www.w3.org", "")
    assert run(app, ["runs", "restore", first, "-C", str(folder)], catch_exceptions=False).exit_code == 0
    listed = run(app, ["runs", "list", "-C", str(folder)], env={"COLUMNS": "200"}, catch_exceptions=False)
    assert "served" in listed.output
    assert isinstance(run(app, ["runs", "restore", "zz", "-C", str(folder)]).exception, BadInput)


# The mirror ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow tracking server on SQLite, for as long as the module's tests run."""
    home = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{home / 'mlflow.db'}",
        "--artifacts-destination",
        str(home / "files"),
    ]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment.pop("PYTHONPATH", None)
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=home)
        try:
            _wait(f"http://127.0.0.1:{port}/health", server, home / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, 15)
            server.wait(timeout=30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.2)
    pytest.fail(f"MLflow did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def _client(url: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=url)


@pytest.mark.filterwarnings("ignore")
def test_a_run_is_mirrored_once_with_parameters_scores_tags_and_files(
    folder: Path, mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREPROOF_MLFLOW", mlflow_server)
    first = runs(folder)[0]
    for _ in range(2):
        told = CliRunner().invoke(app, ["runs", "mirror", first, "-C", str(folder)], catch_exceptions=False)
        assert told.exit_code == 0
    client = _client(mlflow_server)
    experiment = client.get_experiment_by_name("foreproof/shop")
    (one,) = client.search_runs([experiment.experiment_id])
    assert one.data.params["horizon"] == "7"
    assert one.data.tags["foreproof.run"] == first
    assert one.data.tags["foreproof.check.rebuild"] == "passed"
    scores = open_project(folder).catalog.run(first).manifest["scores"]
    assert one.data.metrics["wape"] == pytest.approx(scores["wape"])
    files = {item.path for item in client.list_artifacts(one.info.run_id)}
    assert {"index.html", "manifest.json", "plots"} <= files


@pytest.mark.filterwarnings("ignore")
def test_a_whole_run_goes_to_the_mirror_by_itself_and_does_without_one_that_is_away(
    folder: Path, mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREPROOF_MLFLOW", mlflow_server)
    again = execute(open_project(folder), progress=Silent(), tag="mirrored")
    assert again.warnings == ()
    client = _client(mlflow_server)
    experiment = client.get_experiment_by_name("foreproof/shop")
    tags = [run.data.tags["foreproof.tag"] for run in client.search_runs([experiment.experiment_id])]
    assert "mirrored" in tags
    monkeypatch.setenv("FOREPROOF_MLFLOW", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = execute(open_project(folder), progress=Silent(), tag="away")
    assert away.error is None
    assert "MLflow at http://127.0.0.1:9" in away.warnings[0]
    assert "secret" not in away.warnings[0]
    monkeypatch.delenv("FOREPROOF_MLFLOW")
    told = CliRunner().invoke(app, ["runs", "mirror", again.run.id, "-C", str(folder)])
    assert isinstance(told.exception, BadInput)
