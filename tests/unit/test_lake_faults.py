"""The lake under what goes wrong: `kill -9`, two loads at once, a full disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.naive_lake import CONTRACTS, at, batch, noise

from foreproof.adapters.lake import Lake
from foreproof.core.view import Table
from foreproof.errors import StoreError

TESTS = Path(__file__).resolve().parent.parent
DAILY = CONTRACTS["daily"]

_HEADER = """
import sys
sys.path.insert(0, sys.argv[1])
from foreproof.adapters.lake import Lake
from naive_lake import at, batch
lake = Lake(sys.argv[2], clock=lambda: at(10**6))
"""
_LOADER = _HEADER + "print('ready', flush=True)\nfor n in range(6):\n    lake.load(batch(n))\n"
_RACER = _HEADER + "for n in range(int(sys.argv[3]), 6, 1):\n    print(lake.load(batch(n)).batch)\n"


def _start(code: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, str(TESTS), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A local folder, or a bucket of an object store."""
    return str(tmp_path) if request.param == "folder" else f"s3://{request.getfixturevalue('s3_bucket')}"


def _whole(root: str) -> Table:
    """The table after six loads that nothing disturbed."""
    lake = Lake(root, clock=lambda: at(10**6))
    for n in range(6):
        lake.load(batch(n))
    return lake.table(DAILY)


def test_a_kill_at_any_moment_leaves_whole_batches_and_a_second_run_completes_them(place: str) -> None:
    rng = np.random.default_rng(20100101)
    whole = _whole(f"{place}/whole")
    killed = 0
    for attempt in range(8 if place.startswith("/") else 3):
        root = f"{place}/lake{attempt}"
        process = _start(_LOADER, root)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(float(rng.uniform(0.0, 0.25 if place.startswith("/") else 2.0)))
        process.kill()
        process.communicate()
        killed += process.returncode == -9
        lake = Lake(root, clock=lambda: at(10**6))
        done = lake.version("daily")
        if done is not None:
            got = lake.table(DAILY).rows
            assert got.equals(whole.rows.filter(pl.col("_batch") <= done + 1))
        repeats = [lake.load(batch(n)).already_loaded for n in range(6)]
        assert repeats == [done is not None and n <= done for n in range(6)]
        assert lake.table(DAILY).rows.equals(whole.rows)
        assert lake.batches("daily")["batch"].to_list() == [1, 2, 3, 4, 5, 6]
    assert killed


def test_two_processes_that_load_at_once_end_as_if_one_came_after_the_other(place: str) -> None:
    root = f"{place}/lake"
    processes = [_start(_RACER, root, start) for start in ("0", "0", "2")]
    numbers: list[int] = []
    for process in processes:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        numbers += [int(line) for line in out.split()]
    lake = Lake(root, clock=lambda: at(10**6))
    batches = lake.batches("daily")
    # Each batch once, numbers without gaps, and everybody was told the same number for the same batch.
    assert batches["batch"].to_list() == [1, 2, 3, 4, 5, 6]
    assert batches["digest"].n_unique() == 6
    assert set(numbers) == {1, 2, 3, 4, 5, 6}
    assert len(numbers) == 16
    # Loading the same batches one after the other, in the order in which they came in, gives the same lake.
    order = {Lake(f"{place}/n{n}", clock=lambda: at(0)).load(batch(n)).digest: n for n in range(6)}
    again = Lake(f"{place}/again", clock=lambda: at(10**6))
    for digest in batches["digest"]:
        again.load(batch(order[digest]))
    assert again.data_digest("daily") == lake.data_digest("daily")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte where this user may mount one; elsewhere the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError:
        pytest.skip("no mount here")
    if done.returncode:
        pytest.skip(f"cannot mount a small file system here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("loaded_before", [True, False])
def test_a_full_disk_is_a_store_error_and_leaves_the_lake_as_it_was(small_disk: Path, loaded_before: bool) -> None:
    lake = Lake(str(small_disk / "lake"), clock=lambda: at(10**6))
    if loaded_before:
        lake.load(batch(0))
    before = lake.table(DAILY).rows if loaded_before else None
    with pytest.raises(StoreError, match=r"no space left on the disk; wanted room .*; free some space"):
        lake.load(noise(200_000))
    assert lake.version("daily") == (0 if loaded_before else None)
    if before is not None:
        assert lake.table(DAILY).rows.equals(before)
    # With room again, here by a smaller batch, loading goes on.
    assert lake.load(batch(1)).batch == 1 + loaded_before


_LIMITED = (
    _HEADER
    + """
import resource
from foreproof.errors import StoreError
from naive_lake import noise
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    lake.load(noise(100_000))
except StoreError as error:
    print(error)
"""
)


@pytest.mark.parametrize("limit", [100, 2_000, 100_000])
def test_a_write_that_stops_in_the_middle_leaves_the_lake_as_it_was(tmp_path: Path, limit: int) -> None:
    pytest.importorskip("resource", reason="no such limits here")
    lake = Lake(str(tmp_path / "lake"), clock=lambda: at(10**6))
    lake.load(batch(0))
    before = lake.table(DAILY).rows
    process = _start(_LIMITED, str(tmp_path / "lake"), str(limit))
    out, errors = process.communicate(timeout=120)
    assert "table daily: no space left on the disk" in out, errors
    assert lake.table(DAILY).rows.equals(before)
    assert lake.load(noise(100_000)).batch == 2


def test_a_lake_in_a_place_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lake = Lake(str(tmp_path / "file" / "lake"), clock=lambda: at(0))
    with pytest.raises(StoreError, match="table daily: it cannot be written"):
        lake.load(batch(0))
