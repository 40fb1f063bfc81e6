"""Folders of files through check and load: every batch is checked before one is written, in order, and a kill is no harm."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from project import PLAN, csv, environment, foreproof, make, manifests, rows

from foreproof.adapters.sources import Batch, Reading
from foreproof.app.progress import Silent
from foreproof.app.project import Project, open_project
from foreproof.app.runner import Outcome, execute
from foreproof.errors import BadInput

MANY = PLAN.replace("{url: sales.csv}", "{url: exports}")


def months(folder: Path, *, plan: str = MANY) -> Path:
    """A project whose facts come in five files, a month each."""
    make(folder, plan=plan)
    for (year, month), given in by_month().items():
        write(folder, f"sales-{year}-{month:02}.csv", given)
    return folder


def by_month() -> dict[tuple[int, int], list[tuple[str, date, int]]]:
    found: dict[tuple[int, int], list[tuple[str, date, int]]] = {}
    for row in rows(items=2):
        found.setdefault((row[1].year, row[1].month), []).append(row)
    return found


def write(folder: Path, name: str, given: list[tuple[str, date, int]]) -> None:
    (folder / "exports").mkdir(exist_ok=True)
    (folder / "exports" / name).write_text(csv(given), encoding="utf-8")


def run(folder: Path, until: str = "load") -> Outcome:
    return execute(open_project(folder), progress=Silent(), until=until)


def state(project: Project) -> pl.DataFrame:
    """What the lake holds, but for when it was loaded."""
    (contract,) = project.forecast.contracts
    return project.lake.table(contract).rows.drop("_known")


def sources(folder: Path) -> list[str]:
    return open_project(folder).lake.batches("sales")["source"].to_list()


NAMES = [f"sales-2024-0{month}.csv" for month in range(1, 6)]


def test_a_folder_is_loaded_file_by_file_in_the_order_of_names(tmp_path: Path) -> None:
    folder = months(tmp_path)
    done = run(folder)
    assert done.error is None
    assert sources(folder) == NAMES
    assert [one["name"] for one in done.work.loads] == NAMES
    assert [name for name, _ in done.work.tables["sales"]] == NAMES
    again = run(folder)
    assert all(one["already_loaded"] for one in again.work.loads)
    assert sources(folder) == NAMES
    # One file of all rows says nothing new.
    whole = make(tmp_path / "whole", data=csv(rows(items=2)))
    assert run(whole).error is None
    one, many = state(open_project(whole)), state(open_project(folder))
    assert one.drop("_batch").equals(many.drop("_batch"))


def test_a_corrected_file_supersedes_what_the_lake_holds(tmp_path: Path) -> None:
    folder = months(tmp_path)
    run(folder)
    item, day, units = by_month()[2024, 2][0]
    write(folder, "sales-2024-06-corrections.csv", [(item, day, units + 100)])
    done = run(folder)
    assert [one["superseding"] for one in done.work.loads] == [0, 0, 0, 0, 0, 1]
    found = [finding for finding in done.work.findings if finding.check == "overlap"]
    assert any(finding.figures == {"keys": 1, "changed": 1} for finding in found)
    assert state(open_project(folder)).height == len(rows(items=2)) + 1


CHANGED = {
    "a column is gone": ("item,date,pieces\nx,2024-02-30,4\n", "wanted units among them"),
    "a value breaks the contract": ("item,date,units\nx,2024-02-03,-4\n", "at least 0"),
    "a date in another format": ("item,date,units\nx,03/02/2024,4\n", "03/02/2024"),
    "a line is short": ("item,date,units\nx,2024-02-03\n", "fewer fields in line 2"),
    "a key repeats": ("item,date,units\nx,2024-02-03,1\nx,2024-02-03,2\n", "repeats in 2 rows"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_second_file_that_breaks_the_contract_refuses_the_whole_load(case: str, tmp_path: Path) -> None:
    folder = months(tmp_path)
    text, said = CHANGED[case]
    (folder / "exports" / NAMES[1]).write_text(text, encoding="utf-8")
    done = run(folder)
    assert isinstance(done.error, BadInput)
    assert said in str(done.error)
    assert NAMES[1] in done.error.subject
    assert NAMES[1] in done.work.findings[0].found
    assert not (folder / ".foreproof" / "lake" / "sales").exists(), "the lake stays as it was"


def test_what_the_lake_would_refuse_in_the_second_batch_is_refused_before_the_first(tmp_path: Path) -> None:
    plan = MANY.replace("    zone:", "    deleted: gone\n    zone:")
    folder = make(tmp_path, plan=plan)
    (folder / "exports").mkdir()

    def file(name: str, text: str) -> None:
        (folder / "exports" / name).write_text("item,date,units,gone\n" + text, encoding="utf-8")

    file("1.csv", "a,2024-01-01,1,false\na,2024-01-02,1,false\n")
    file("2.csv", "b,2024-01-01,,true\n")
    done = run(folder)
    assert "keys that were never loaded" in str(done.error)
    assert "2.csv" in str(done.error)
    assert not (folder / ".foreproof" / "lake" / "sales").exists()
    # A deletion of what the batch before it adds is none of that.
    file("2.csv", "a,2024-01-01,,true\n")
    done = run(folder)
    assert done.error is None, done.error
    assert [one["superseding"] for one in done.work.loads] == [0, 1]
    file("3.csv", "b,2024-01-01,,true\n")
    done = run(folder)
    assert "3.csv" in str(done.error)
    assert len(sources(folder)) == 2


def test_steps_without_a_load_time_are_rehearsed_too(tmp_path: Path) -> None:
    plan = (
        MANY.replace('{column: date, formats: ["%Y-%m-%d"]}', "{column: step, period: integer}")
        .replace("[item, date]", "[item, step]")
        .replace("    zone: Europe/Paris\n", "")
        .replace("every: 1d", "every: integer")
    )
    folder = make(tmp_path, plan=plan)
    (folder / "exports").mkdir()
    for name, value in (("1.csv", 4), ("2.csv", 5)):
        (folder / "exports" / name).write_text(f"item,step,units\na,1,{value}\na,2,4\n", encoding="utf-8")
    done = run(folder)
    assert "without being known later" in str(done.error)
    assert "2.csv" in str(done.error)
    assert not (folder / ".foreproof" / "lake" / "sales").exists()


def test_a_table_whose_contract_no_longer_fits_keeps_the_others_from_being_written(tmp_path: Path) -> None:
    stock = """  stock:
    key: [item, date]
    happened: {column: date, formats: ["%Y-%m-%d"]}
    known: same_as_happened
    columns: {item: text, units: {type: decimal, decimals: 0}}
series:"""
    plan = MANY.replace("series:", stock).replace("{url: exports}", "{url: exports}\n  stock: {url: sales.csv}")
    folder = months(tmp_path, plan=plan)
    assert run(folder).error is None
    (folder / "foreproof.yaml").write_text(plan.replace("decimals: 0}}", "decimals: 2}}"), encoding="utf-8")
    write(folder, "sales-2024-06.csv", [("item 0", date(2024, 6, 1), 4)])
    done = run(folder)
    assert "decimal:2 in the contract, decimal:0 in the lake" in str(done.error)
    assert sources(folder) == NAMES


KILLED = """
import os, signal, sys
from pathlib import Path
from foreproof.adapters.lake import Lake
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute

load, done = Lake.load, []

def killed(self, table, *, source=""):
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(source)
    return load(self, table, source=source)

Lake.load = killed
execute(open_project(Path(sys.argv[1])), progress=Silent(), until="load")
"""


def test_a_load_that_was_killed_between_two_batches_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folder, never = months(tmp_path / "killed"), months(tmp_path / "never")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder)], capture_output=True, check=False, env=environment(), timeout=120
    )
    assert killed.returncode == -9, killed.stderr
    assert sources(folder) == NAMES[:2]
    done = run(folder)
    assert done.error is None
    assert [one["already_loaded"] for one in done.work.loads] == [True, True, False, False, False]
    assert sources(folder) == NAMES
    run(never)
    assert state(open_project(folder)).equals(state(open_project(never)))


def test_the_run_says_which_source_was_read(tmp_path: Path) -> None:
    plan = PLAN.replace("{url: sales.csv}", "{url: gone.csv, fallback: {url: exports}}")
    folder = months(tmp_path, plan=plan)
    done = foreproof("load", folder=folder)
    assert done.returncode == 0, done.stderr
    (manifest,) = manifests(folder)
    assert [(one["name"], one["source"]) for one in manifest["loads"]] == [(name, "exports") for name in NAMES]
    why = "the fallback, since gone.csv: no such file"
    assert all(one["note"].startswith(why) for one in manifest["loads"])
    place = folder / "runs" / manifest["run"]
    logged: list[dict[str, Any]] = [json.loads(line) for line in (place / "logs.jsonl").read_text().splitlines()]
    (line,) = [one for one in logged if one["event"] == "read"]
    assert (line["table"], line["source"], line["batches"]) == ("sales", "exports", 5)
    assert line["note"].startswith(why)
    assert f"exports, 5 batches ({why}" in (place / "index.html").read_text(encoding="utf-8")


def test_preflight_sees_the_batches_as_the_lake_will_show_them(tmp_path: Path) -> None:
    folder = months(tmp_path)
    apart = {(f.check, f.found) for f in run(folder, "check").work.findings}
    whole = make(tmp_path / "whole", data=csv(rows(items=2)))
    assert apart == {(f.check, f.found) for f in run(whole, "check").work.findings}
    first = by_month()[2024, 1]
    write(folder, "sales-2024-01-again.csv", first)
    item, day, units = first[3]
    write(folder, "sales-2024-07.csv", [(item, day, units + 1), (item, day + timedelta(days=150), 3)])
    found = {(f.check, f.severity): f.figures for f in run(folder, "check").work.findings}
    assert found["overlap", "warning"] == {"keys": len(first), "changed": 1}


def test_a_line_that_repeats_is_told_with_its_file(tmp_path: Path) -> None:
    folder = months(tmp_path, plan=MANY.replace("    key:", "    duplicates: keep_last\n    key:"))
    given = by_month()[2024, 3]
    write(folder, NAMES[2], [*given, given[0]])
    told = [finding.found for finding in run(folder, "check").work.findings if finding.check == "duplicates"]
    assert told == [f"{NAMES[2]}: 1 rows repeat another one in every column"]


class Nothing:
    """A source that has nothing newer than the lake."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def describe(self) -> str:
        return "shop, newer rows"

    def batches(self, reading: Reading) -> Iterator[Batch]:
        self.asked += [reading.newest("date"), reading.newest("units"), reading.wanted]
        yield from ()


def test_a_source_that_has_nothing_newer_adds_nothing_and_the_run_goes_on(tmp_path: Path) -> None:
    folder, source = months(tmp_path), Nothing()
    run(folder)
    project = open_project(folder)
    vars(project)["sources"] = {"sales": source}
    done = execute(project, progress=Silent(), until="load")
    assert done.error is None
    assert done.work.loads == ()
    last, most = (max(row[place] for row in rows(items=2)) for place in (1, 2))
    assert source.asked == [last, most, ("item", "units", "date")]
    assert "nothing new" in done.page.read_text(encoding="utf-8")
    assert sources(folder) == NAMES
    empty = open_project(make(tmp_path / "empty"))
    vars(empty)["sources"] = {"sales": source}
    assert "a source or a loaded batch" in str(execute(empty, progress=Silent(), until="load").error)
