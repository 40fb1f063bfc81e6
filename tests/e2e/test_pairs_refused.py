"""A propensity that must not be: refused by the installed program with the law's name and the fix, and nothing half-written.

And what interrupts one that may be: a kill, a second process, a batch that comes twice.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from project import environment, manifests
from shop import KINDS, PLAN, exit_code, given, lines

from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import Outcome, execute

FEATURE = "features:\n"
CUSTOMERS = """  customers:
    key: [customer]
    known: same_as_happened
    columns: {customer: text, region: text}
"""
LAWS = {
    "a table without known": ("    known: same_as_happened\n", "", "law 1, two clocks", "known: {delay: 2d}"),
    "a dimension as of today": ("pairs:", CUSTOMERS + "pairs:", "law 1, two clocks", "valid-from dates"),
    "a dimension without a word why": (
        "pairs:",
        CUSTOMERS.replace("known: same_as_happened", "constant: ' '") + "pairs:",
        "law 1, two clocks",
        "write why",
    ),
    "a label from the cutoff day": (
        "owned: 42}",
        "owned: 42, label_from: 0}",
        "law 3, half-open time",
        "leave label_from out",
    ),
    "a random split": ("backtest: {", "backtest: {split: random, ", "law 4, the gap law", "leave split out"),
    "an encoder of all rows": (
        FEATURE,
        FEATURE + "  - {rate: kind, unit: customer, of: lines, window: 28, fitted: all}\n",
        "law 2, one door",
        "leave fitted out",
    ),
    "a feature from the future": (
        FEATURE,
        FEATURE + "  - {over: count, of: lines, window: 7, lag: -1}\n",
        "law 3, half-open time",
        "ahead",
    ),
    "past facts read ahead": (
        FEATURE,
        FEATURE + "  - {coming: count, table: lines, within: 7}\n",
        "law 3, half-open time",
        "mark the table",
    ),
}


@pytest.mark.parametrize("case", LAWS)
def test_a_plan_that_breaks_a_law_is_refused_with_its_name_and_the_fix(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new, law, fix = LAWS[case]
    assert old in PLAN
    folder = given(tmp_path, plan=PLAN.replace(old, new, 1))
    assert exit_code(monkeypatch, "features", "-C", str(folder)) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert law in told
    assert fix in told
    assert "Traceback" not in told
    assert not list(folder.glob(".foreproof/lake/customers/*"))


def csv(rows: list[tuple[str, str, int]]) -> str:
    days = [(customer, kind, date(2024, 1, 1) + timedelta(days=day)) for customer, kind, day in rows]
    return "customer,kind,date,amount\n" + "".join(f"{customer},{kind},{day},1.00\n" for customer, kind, day in days)


GOOD = "\n".join(lines()) + "\n"
BAD = {
    "an empty file": ("", "an empty file"),
    "a header only": ("customer,kind,date,amount\n", "a header and no rows"),
    "another date format": (GOOD.replace("2024-02-03", "03.02.2024"), "wanted %Y-%m-%d"),
    "a purchase of nobody": (GOOD + ",bread,2024-02-02,1.0\n", "a value in every row"),
    "money below its bound": (GOOD + "c1,bread,2024-02-02,-1.0\n", "at least 0"),
    "one row": (csv([("c1", "bread", 3)]), "load more history"),
    "one customer": (csv([("c1", KINDS[day % 3], day) for day in range(140)]), "no whitespace pair"),
    "nobody buys again": (csv([(f"c{i:03d}", KINDS[i % 3], i) for i in range(140)]), "0 positive labels"),
}


@pytest.mark.parametrize("case", BAD)
def test_data_that_cannot_be_learned_from_are_refused_in_words(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, said = BAD[case]
    folder = given(tmp_path, data=data)
    assert exit_code(monkeypatch, "train", "-C", str(folder)) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    (manifest,) = manifests(folder)
    assert manifest["status"] == "refused"
    assert manifest["error"]["object"] and manifest["error"]["found"]
    if case in list(BAD)[:5]:
        assert open_project(folder).lake.version("lines") is None, "a refused batch reached the lake"


@pytest.fixture(scope="module")
def never(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A run that nothing interrupted."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FOREPROOF_WORKERS", "1")
        return execute(open_project(given(tmp_path_factory.mktemp("never"))), progress=Silent(), until="train")


def digests(folder: Path) -> dict[str, str]:
    """What the one run of a folder made, by name."""
    (manifest,) = manifests(folder)
    assert manifest["status"] != "refused", manifest["error"]
    found: dict[str, str] = manifest["digests"]
    return found


def test_a_batch_that_comes_twice_changes_nothing(never: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = never.folder.parents[1]
    before = digests(folder)
    assert exit_code(monkeypatch, "train", "-C", str(folder)) == 0
    assert digests(folder) == before
    project = open_project(folder)
    assert project.lake.batches("lines").height == 1
    (manifest,) = manifests(folder)
    assert [one["already_loaded"] for one in manifest["loads"]] == [True]


KILLED = """
import os, signal, sys
from pathlib import Path
from foreproof.adapters.steps import Steps
from foreproof.app.cli import main

done, put = [], Steps.put

def killed(self, key, frames):
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(key)
    return put(self, key, frames)

Steps.put = killed
main()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_run_that_was_killed_between_two_fits_goes_on_and_ends_as_if_it_never_was(
    never: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = given(tmp_path)
    command = [sys.executable, "-c", KILLED, "run", "-C", str(folder)]
    killed = subprocess.run(command, capture_output=True, check=False, env=environment(), timeout=240)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    steps = set((folder / ".foreproof" / "steps").rglob("*.*"))
    assert len([path for path in steps if path.is_file()]) >= 2
    assert exit_code(monkeypatch, "train", "-C", str(folder)) == 0
    assert steps <= set((folder / ".foreproof" / "steps").rglob("*.*")), "what was finished is kept"
    assert digests(folder) == digests(never.folder.parents[1])
    assert exit_code(monkeypatch, "log", "verify", "-C", str(folder)) == 0


def test_two_runs_at_once_end_as_one(never: Outcome, tmp_path: Path) -> None:
    folder = given(tmp_path)
    command = [sys.executable, "-c", "from foreproof.app.cli import main; main()", "train", "-C", str(folder)]
    both = [subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert digests(folder) == digests(never.folder.parents[1])
    assert open_project(folder).lake.batches("lines").height == 1
    assert json.loads(next(folder.glob("runs/*/preflight.json")).read_text(encoding="utf-8"))["counts"]["error"] == 0
