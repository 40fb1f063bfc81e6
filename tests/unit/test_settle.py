"""A run or a promotion that was killed at its worst moment is finished, and is in the log once."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))

import project as shop

from foreproof.app import runner, serving
from foreproof.app.history import verify
from foreproof.app.progress import Silent
from foreproof.app.project import Project, open_project
from foreproof.app.runner import execute
from foreproof.app.settle import recorded, settle
from foreproof.core.log import decode_leaf


class Killed(BaseException):
    """Nothing catches it: what stands after it is never reached, as with kill -9."""


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    return open_project(shop.make(tmp_path / "shop", data=shop.csv(shop.rows(items=1, days=20))))


def leaves(project: Project) -> Counter[str]:
    return Counter(decode_leaf(leaf)["kind"] for leaf in project.catalog.leaves())


def killed(patch: pytest.MonkeyPatch, where: Any, name: str, project: Project, tag: str) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Killed

    with patch.context() as inner:
        inner.setattr(where, name, stop)
        with pytest.raises(Killed):
            execute(project, progress=Silent(), until="check", tag=tag)


def test_a_run_killed_after_its_leaf_is_finished_and_logged_once(
    opened: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(monkeypatch, runner, "finish", opened, "job 1")
    assert leaves(opened) == {"key": 1, "run": 1}
    assert opened.catalog.runs() == []
    found = recorded(opened, "job 1")
    assert found is not None
    assert leaves(opened) == {"key": 1, "run": 1}
    assert verify(opened) == []
    assert [one.run_id for one in opened.catalog.runs()] == [found["run"]]
    assert recorded(opened, "job 1") == found
    assert not list(opened.runs.glob(".*.draft"))


def test_a_run_killed_before_its_record_gets_it(opened: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(monkeypatch, type(opened.catalog), "save_run", opened, "job 1")
    assert recorded(opened, "job 1") is not None
    assert leaves(opened) == {"key": 1, "run": 1}
    assert verify(opened) == []


def test_a_draft_that_was_never_logged_is_removed_and_another_ones_is_left_alone(
    opened: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    killed(monkeypatch, type(opened.ledger), "append", opened, "job 1")
    (draft,) = opened.runs.glob(".*.draft")
    name = draft.name.removeprefix(".").removesuffix(".draft")
    with FileLock(opened.runs / f".{name}.lock"):
        assert settle(opened) == []
        assert draft.is_dir()
    assert recorded(opened, "job 1") is None
    assert not draft.exists()


def test_another_jobs_run_is_not_taken_for_ones_own(opened: Project) -> None:
    outcome = execute(opened, progress=Silent(), until="check", tag="job 1")
    assert recorded(opened, "job 2") is None
    assert recorded(opened, "job 1") is not None
    (outcome.folder / "manifest.json").write_bytes((outcome.folder / "manifest.json").read_bytes() + b"\n")
    assert recorded(opened, "job 1") is None, "files that are not as logged are made again"


def test_a_promotion_killed_after_its_leaf_moves_the_pointer_to_that_leaf(
    opened: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = execute(opened, progress=Silent(), until="check").run.id

    def stop(*_: object) -> None:
        raise Killed

    for _ in range(2):
        with monkeypatch.context() as inner:
            inner.setattr(os, "replace", stop)
            with pytest.raises(Killed):
                serving.promote(opened, run, by="run")
    assert serving.served(opened) is None
    pointer = serving.promote(opened, run, by="run")
    assert leaves(opened)["serve"] == 1
    assert b'"serve"' in opened.catalog.leaves()[pointer["leaf"]]
    again = serving.promote(opened, run, by="run")
    assert again["leaf"] > pointer["leaf"], "a finished promotion that is asked for again is another one"
