"""A run from the command line: its artefacts, its repeat, and every way in which it may have been altered."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from project import csv, environment, foreproof, make, manifests, rows

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was run once, kept as it is."""
    folder = make(tmp_path_factory.mktemp("ran"))
    done = foreproof("run", "--tag", "first", folder=folder)
    assert done.returncode in (0, 1), done.stderr
    return folder


@pytest.fixture
def copy(ran: Path, tmp_path: Path) -> Path:
    """The project under another roof, to be tampered with."""
    return Path(shutil.copytree(ran, tmp_path / "copy"))


def test_a_run_leaves_everything_beside_its_page(ran: Path) -> None:
    from foreproof.app.smoke import problems
    from foreproof.gauntlet.registry import names_of

    (manifest,) = manifests(ran)
    folder = ran / "runs" / manifest["run"]
    assert problems(folder, ordering=True) == []
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert [verdict["name"] for verdict in manifest["verdicts"]] == list(names_of("quantity"))
    asked = [verdict for verdict in manifest["verdicts"] if verdict["outcome"] != "not applicable"]
    assert all(verdict["control_caught"] for verdict in asked)
    assert set(names_of("quantity", "structural")) <= {verdict["name"] for verdict in asked}
    proof = (folder / "proof" / "index.html").read_text(encoding="utf-8")
    assert proof.count(": caught</b>") == len(asked)
    evidence = {verdict["name"]: verdict["evidence"] for verdict in manifest["verdicts"]}
    assert evidence["replay"]["inflation"]["estimate"] == 0.0
    assert evidence["repetition"]["process"] is True
    assert evidence["repetition"]["ours"] == evidence["repetition"]["theirs"]
    assert manifest["tag"] == "first"


def test_a_proof_with_a_check_left_out_is_never_proven_and_never_served(copy: Path) -> None:
    before = [json.loads(path.read_text(encoding="utf-8")) for path in copy.glob("**/served.json")]
    done = foreproof("prove", "--only", "overlap", "--only", "gap law", folder=copy)
    assert done.returncode == 0, done.stderr
    (first, other) = sorted(manifests(copy), key=lambda manifest: manifest["started"])
    assert first["tag"] == "first"
    assert other["status"] == "not proven"
    outcomes = {verdict["name"]: (verdict["outcome"], verdict["words"]) for verdict in other["verdicts"]}
    assert (outcomes["overlap"][0], outcomes["gap law"][0]) == ("passed", "passed")
    assert outcomes["rebuild"] == ("not proven", "not asked for (proof.only)")
    assert [json.loads(path.read_text(encoding="utf-8")) for path in copy.glob("**/served.json")] == before


def test_the_structural_tier_in_ci_fails_by_a_line_of_words_where_a_card_is_missing(copy: Path) -> None:
    words = ("prove", "--ci", "--fail-on", "cards", "--fail-on", "base rate")
    done = foreproof(*words, folder=copy)
    assert done.returncode == 0, done.stdout + done.stderr
    (last,) = [line for line in done.stdout.splitlines() if line.startswith("ci: ")]
    assert "12 checks, 12 planted faults caught, 0 faults found" in last
    kept = list(copy.glob("served/*/cards"))
    assert len(kept) == 1
    shutil.rmtree(kept[0])
    done = foreproof(*words, folder=copy)
    assert done.returncode == 1
    assert f"ci: cards: the served run {kept[0].parent.name} has no card" in done.stdout


def test_a_repeat_gives_equal_digests(ran: Path) -> None:
    (manifest,) = manifests(ran)
    done = foreproof("runs", "repeat", manifest["run"], folder=ran)
    count = len(manifest["digests"])
    assert done.returncode == 0, done.stdout
    assert f"{count} of {count} digests equal" in done.stdout


def test_a_second_load_and_a_second_run_change_nothing(copy: Path) -> None:
    before = manifests(copy)[0]
    done = foreproof("run", folder=copy)
    assert done.returncode in (0, 1), done.stderr
    (after,) = manifests(copy)
    assert after["digests"] == before["digests"]
    assert after["versions"] == before["versions"]
    assert after["loads"][0]["already_loaded"]


def test_runs_are_listed_and_shown(ran: Path) -> None:
    (manifest,) = manifests(ran)
    listed = foreproof("runs", "list", folder=ran).stdout
    assert manifest["run"] in listed
    assert "first" in listed
    shown = foreproof("runs", "show", manifest["run"][:6], folder=ran)
    assert shown.returncode == 0, shown.stdout
    assert "all holds" in shown.stdout
    assert foreproof("runs", "show", "zzz", folder=ran).returncode == 2


def test_facts_can_be_asked_for_as_of_any_day(ran: Path) -> None:
    now = foreproof("sql", "SELECT count(*) AS n FROM sales", folder=ran)
    then = foreproof("sql", "SELECT count(*) AS n FROM sales", "--as-of", "2024-01-10", folder=ran)
    assert "700" in now.stdout
    assert "50" in then.stdout
    assert foreproof("sql", "SELEC 1", folder=ran).returncode == 2


def artefacts(folder: Path) -> list[str]:
    (manifest,) = manifests(folder)
    return [str(one["path"]) for one in manifest["artefacts"]]


def test_one_flipped_byte_of_any_artefact_is_found_and_located(copy: Path) -> None:
    (manifest,) = manifests(copy)
    folder = copy / "runs" / manifest["run"]
    names = [
        "index.html",
        "manifest.json",
        "tables/forecast.parquet",
        "plots/coverage.png",
        "metrics.json",
        "logs.jsonl",
    ]
    assert set(names) - {"manifest.json"} <= set(artefacts(copy))
    for name in names:
        path = folder / name
        content = path.read_bytes()
        place = len(content) // 2
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        alone = subprocess.run(
            [sys.executable, "verify.py", "--log", "leaves.jsonl", "--checkpoint", "checkpoint.txt", "--run", "."],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert alone.returncode == 1, (name, alone.stdout)
        assert name in alone.stdout + alone.stderr
        path.write_bytes(content)
    found = foreproof("log", "verify", folder=copy)
    assert found.returncode == 0, found.stdout


def test_a_dropped_last_leaf_and_a_rewritten_tail_are_found_against_the_last_checkpoint(copy: Path) -> None:
    def tamper(*statements: str) -> None:
        with closing(sqlite3.connect(copy / ".foreproof" / "catalog.db")) as connection, connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.execute(statement)

    whole = shutil.copy(copy / ".foreproof" / "catalog.db", copy / "whole.db")
    leaves = "log_leaves"
    tamper(f"DELETE FROM {leaves} WHERE position = (SELECT max(position) FROM {leaves})")
    dropped = foreproof("log", "verify", folder=copy)
    assert dropped.returncode == 1
    assert "checkpoint" in dropped.stdout
    shutil.copy(whole, copy / ".foreproof" / "catalog.db")
    for name in ("catalog.db-wal", "catalog.db-shm"):
        (copy / ".foreproof" / name).unlink(missing_ok=True)
    last = f"position = (SELECT max(position) FROM {leaves})"
    tamper(f"UPDATE {leaves} SET leaf = CAST(replace(CAST(leaf AS TEXT), 'e', 'f') AS BLOB) WHERE {last}")
    rewritten = foreproof("log", "verify", folder=copy)
    assert rewritten.returncode == 1
    assert "leaf" in rewritten.stdout or "leaves" in rewritten.stdout


def test_two_loads_at_once_end_as_one_after_the_other(tmp_path: Path) -> None:
    folder = make(tmp_path)
    command = [sys.executable, "-c", "from foreproof.app.cli import main; main()", "load", "-C", str(folder)]
    both = [subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    counted = foreproof("sql", "SELECT count(*) AS n, max(_batch) AS b FROM sales_versions", folder=folder)
    assert "700" in counted.stdout
    assert foreproof("log", "verify", folder=folder).returncode == 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_run_leaves_everything_readable_and_goes_on(tmp_path: Path) -> None:
    folder = make(tmp_path)
    command = [sys.executable, "-c", "from foreproof.app.cli import main; main()", "run", "-C", str(folder)]
    for seconds in (2.0, 4.0):
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = foreproof("run", folder=folder)
    assert done.returncode in (0, 1), done.stderr
    (manifest,) = manifests(folder)
    assert "700" in foreproof("sql", "SELECT count(*) AS n FROM sales_versions", folder=folder).stdout
    assert foreproof("log", "verify", folder=folder).returncode == 0
    assert json.loads((folder / "runs" / manifest["run"] / "manifest.json").read_text())["stage"] == "decide"


def test_a_late_correction_is_a_new_version_and_the_old_view_stays(copy: Path) -> None:
    changed = [(item, day, units + 100 if index == 0 else units) for index, (item, day, units) in enumerate(rows())]
    (copy / "sales.csv").write_text(csv(changed), encoding="utf-8")
    done = foreproof("load", folder=copy)
    assert done.returncode == 0, done.stderr
    query = "SELECT units FROM sales WHERE item = 'item 0' ORDER BY _happened LIMIT 1"
    now, then = foreproof("sql", query, folder=copy), foreproof("sql", query, "--as-of", "2024-03-01", folder=copy)
    first = rows()[0][2]
    assert str(first + 100) in now.stdout
    assert str(first) in then.stdout
    assert str(first + 100) not in then.stdout
