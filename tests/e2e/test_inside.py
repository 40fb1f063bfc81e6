"""The commands in this process: what they print, write and return, from a user's file to a verified log."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import csv, make, rows

from foreproof.app import commands, commands_runs
from foreproof.app.runner import environment
from foreproof.app.settings import read_settings
from foreproof.errors import BadInput


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was run once in this process."""
    patch = pytest.MonkeyPatch()
    patch.setenv("FOREPROOF_WORKERS", "1")
    folder = make(tmp_path_factory.mktemp("inside"))
    assert commands.run(folder, until="run", tag="inside", parent="") in (0, 1)
    yield folder
    patch.undo()


def test_a_finished_run_is_listed_shown_repeated_and_verified(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = next((project / "runs").glob("*/manifest.json")).parent.name
    commands_runs.runs_list(project)
    assert commands_runs.runs_show(project, run) == 0
    assert commands_runs.runs_repeat(project, run) == 0
    assert commands_runs.log_verify(project, []) == 0
    assert commands_runs.log_verify(project, [project / "runs" / run / "checkpoint.txt"]) == 0
    said = capsys.readouterr().out
    assert "digests equal" in said
    assert "all holds" in said


def test_the_log_proves_and_rotates(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands_runs.log_checkpoint(project)
    commands_runs.log_prove_inclusion(project, 1)
    commands_runs.log_prove_consistency(project, 1)
    commands_runs.log_rotate_key(project)
    said = capsys.readouterr().out
    assert '"index": 1' in said
    assert "new key in force" in said
    assert commands_runs.log_verify(project, []) == 0


def test_a_stage_on_its_own_keeps_the_whole_run(project: Path) -> None:
    before = {path.name for path in (project / "runs").iterdir() if path.is_dir()}
    assert commands.run(project, until="features", tag="", parent="") == 0
    after = {path.name for path in (project / "runs").iterdir() if path.is_dir()}
    (added,) = after - before
    assert added.endswith("-features")


def test_facts_are_asked_for_in_sql(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands.sql(project, "SELECT count(*) AS n FROM sales", as_of="2024-01-10")
    assert "50" in capsys.readouterr().out
    with pytest.raises(BadInput, match="--as-of"):
        commands.sql(project, "SELECT 1", as_of="soon")


def test_a_users_file_becomes_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "mine.csv"
    data.write_text(csv(rows(items=2)), encoding="utf-8")
    commands.new_forecast(tmp_path / "new", data)
    assert "url: ../mine.csv" in (tmp_path / "new" / "foreproof.yaml").read_text(encoding="utf-8")
    with pytest.raises(BadInput, match="a plan already"):
        commands.new_forecast(tmp_path / "new", data)
    assert commands.run(tmp_path / "new", until="check", tag="", parent="") == 0
    assert "page:" in capsys.readouterr().out


def test_a_refused_run_says_so_and_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(tmp_path, data=csv([*rows(), rows()[0]]))
    assert commands.run(folder, until="run", tag="", parent="") == 2
    assert "repeats in 2 rows" in " ".join(capsys.readouterr().err.split())


def test_the_doctor_and_the_environment_name_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.doctor() == 0
    assert "polars" in capsys.readouterr().out
    assert environment().libraries["polars"]


@pytest.mark.parametrize("given", [{"FOREPROOF_WORKERS": "many"}, {"FOREPROOF_TODAY": "soon"}])
def test_a_setting_that_cannot_be_read_names_its_variable(tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(BadInput, match=next(iter(given))):
        read_settings(tmp_path, given)
    assert read_settings(tmp_path, {"FOREPROOF_TODAY": "2024-01-02"}).now().isoformat() == "2024-01-02T00:00:00+00:00"
