"""The step store: whole or absent, never a pickle."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from foreproof.adapters.steps import Steps
from foreproof.core.ports import Frames, StepStore
from foreproof.errors import BadInput, StoreError

FRAMES = {
    "rows": pl.DataFrame({"sku": ["a", None], "y": [0.1, float("nan")], "path": [[1, 2], []]}),
    "empty": pl.DataFrame(schema={"t": pl.Datetime("us", "UTC")}),
    "coded": pl.DataFrame({"c": ["x", "y", "x"]}, schema={"c": pl.Categorical}),
}


def _same(a: Frames, b: Frames) -> bool:
    return list(a) == list(b) and all(a[name].equals(b[name]) and a[name].schema == b[name].schema for name in a)


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(tmp_path / "steps")


def test_a_step_comes_back_as_it_was_kept(steps: Steps) -> None:
    store: StepStore = steps
    assert store.get("abc") is None
    store.put("abc", FRAMES)
    found = store.get("abc")
    assert found is not None
    assert _same(found, FRAMES)
    store.put("nothing", {})
    assert store.get("nothing") == {}


def test_a_step_runs_once(steps: Steps) -> None:
    calls: list[int] = []

    def compute() -> Frames:
        calls.append(1)
        return FRAMES

    assert _same(steps.run("k1", compute), FRAMES)
    assert _same(steps.run("k1", compute), FRAMES)
    assert _same(Steps(steps.folder).run("k1", compute), FRAMES)
    assert calls == [1]


def test_a_step_that_fails_leaves_nothing(steps: Steps) -> None:
    def broken() -> Frames:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        steps.run("k1", broken)
    assert steps.get("k1") is None


def test_any_flipped_byte_makes_a_step_absent_with_a_warning(steps: Steps, caplog: pytest.LogCaptureFixture) -> None:
    steps.put("k1", {"rows": FRAMES["rows"]})
    path = steps.folder / "k1.step"
    content = path.read_bytes()
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        caplog.clear()
        with caplog.at_level(logging.WARNING, "foreproof.steps"):
            assert steps.get("k1") is None
        assert "do not match their digest" in caplog.text
    path.write_bytes(content)
    assert steps.get("k1") is not None


def test_any_cut_makes_a_step_absent_and_it_is_computed_again(steps: Steps) -> None:
    steps.put("k1", {"rows": FRAMES["rows"]})
    path = steps.folder / "k1.step"
    content = path.read_bytes()
    for length in range(0, len(content), 11):
        path.write_bytes(content[:length])
        assert steps.get("k1") is None
    assert _same(steps.run("k1", lambda: FRAMES), FRAMES)
    assert path.read_bytes() != content


def test_a_file_under_another_steps_name_is_absent(steps: Steps) -> None:
    steps.put("k1", FRAMES)
    os.rename(steps.folder / "k1.step", steps.folder / "k2.step")
    assert steps.get("k2") is None


class Trap:
    """Unpickling one of these would leave a trace."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return (os.mkdir, ("trapped",))


def test_a_pickle_in_a_steps_place_is_never_opened(
    steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    steps.folder.mkdir()
    (steps.folder / "k1.step").write_bytes(pickle.dumps(Trap()))
    assert steps.get("k1") is None
    assert not Path("trapped").exists()


@pytest.mark.parametrize("key", ["", "../up", "a/b", ".part", "x" * 201, "a\n"])
def test_a_key_cannot_leave_the_folder(steps: Steps, key: str) -> None:
    for use in (lambda: steps.get(key), lambda: steps.put(key, {})):
        with pytest.raises(BadInput, match="step: the key"):
            use()


def test_a_folder_that_cannot_be_written_or_read_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="room for"):
        Steps(tmp_path / "file" / "steps").put("k1", FRAMES)
    steps = Steps(tmp_path / "steps")
    (steps.folder / "k1.step").mkdir(parents=True)
    with pytest.raises(StoreError, match="a readable file"):
        steps.get("k1")


def test_a_full_disk_leaves_the_earlier_file_and_no_rest(steps: Steps) -> None:
    """The size limit of a process stands in for a disk that fills up: the write stops in the middle."""
    resource = pytest.importorskip("resource", reason="no such limits here")
    steps.put("k1", {"rows": FRAMES["rows"]})
    before = (steps.folder / "k1.step").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StoreError, match="File too large"):
            steps.put("k1", {"rows": pl.DataFrame({"x": range(10_000)})})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in steps.folder.iterdir()} == {"k1.step": before}


_WRITER = """
import sys
import polars as pl
from foreproof.adapters.steps import Steps
steps = Steps(sys.argv[1])
for n in range(40):
    frame = pl.DataFrame({"x": range(n * 50)})
    assert steps.run(f"k{n}", lambda: {"x": frame})["x"].equals(frame)
    steps.put("same", {"x": pl.DataFrame({"x": range(5000)})})
    assert steps.get("same")["x"].height == 5000
"""


def test_two_processes_share_a_folder(steps: Steps) -> None:
    command = [sys.executable, "-W", "error", "-c", _WRITER, str(steps.folder)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, b"")
    assert sorted(path.suffix for path in steps.folder.iterdir()) == [".step"] * 41
