"""What the user gets for bad input: exit code 2, object, found, wanted, fix, a recorded run, and a lake as it was."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from project import PLAN, csv, foreproof, make, manifests, rows

pytestmark = pytest.mark.e2e

GOOD = rows()
ONE_POINT = [("item 0", date(2024, 1, 1), 3)]

CASES = {
    "empty file": ({"data": ""}, "an empty file"),
    "header only": ({"data": "item,date,units\n"}, "a header and no rows"),
    "wrong delimiter": ({"data": csv(GOOD).replace(",", ";")}, "set delimiter: ';'"),
    "mixed date formats": ({"data": csv(GOOD) + "item 9,31/12/2023,4\n"}, "31/12/2023"),
    "text in a number": ({"data": csv(GOOD) + "item 9,2024-01-01,many\n"}, "'many'"),
    "repeated key": ({"data": csv([*GOOD, GOOD[0]])}, "key (item, date) repeats in 2 rows"),
    "negative where the contract says not": ({"data": csv([*GOOD, ("x", date(2024, 1, 1), -1)])}, "at least 0"),
    "one series of one point": ({"data": csv(ONE_POINT)}, "no earlier origin"),
    "horizon longer than the history": ({"plan": PLAN.replace("horizon: 7", "horizon: 200")}, "shorten the horizon"),
    "cutoff before the first row": ({"plan": PLAN + 'cutoff: "2023-06-01"\n'}, "before the first fact"),
    "cutoff after the history": ({"plan": PLAN + 'cutoff: "2030-06-01"\n'}, "after the last whole period"),
    "unknown setting": ({"plan": PLAN + "horizont: 3\n"}, "did you mean 'horizon'"),
    "unknown model": ({"plan": PLAN.replace("theta", "thata")}, "theta"),
    "silence about when rows are known": (
        {"plan": PLAN.replace("    known: same_as_happened\n", "")},
        "tables.sales.known",
    ),
    "no plan": ({"plan": ""}, "foreproof.yaml"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_with_the_fix_and_nothing_is_half_written(case: str, tmp_path: Path) -> None:
    given, said = CASES[case]
    folder = make(tmp_path, **given)
    done = foreproof("run", folder=folder)
    told = " ".join((done.stderr + done.stdout).split())
    assert done.returncode == 2, told
    assert said in told
    assert "Traceback" not in told
    for manifest in manifests(folder):
        assert manifest["status"] == "refused"
        assert manifest["error"]["object"]
    refused_early = case in list(CASES)[:7]
    assert not (refused_early and list(folder.glob(".foreproof/lake/sales/*"))), "a refused batch reached the lake"


def test_all_zero_series_end_in_a_run_that_says_what_it_could_not_prove(tmp_path: Path) -> None:
    folder = make(tmp_path, data=csv([(item, day, 0) for item, day, _ in GOOD]))
    done = foreproof("run", folder=folder)
    assert done.returncode == 1, done.stderr
    (manifest,) = manifests(folder)
    assert manifest["status"] in ("not proven", "failed")
    assert "Traceback" not in done.stderr


def test_a_missing_file_and_a_missing_project_say_what_to_do(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder / "sales.csv").unlink()
    done = foreproof("check", folder=folder)
    assert done.returncode == 2
    assert "no such file" in " ".join(done.stderr.split())
    nowhere = foreproof("run", folder=tmp_path / "nowhere")
    assert nowhere.returncode == 2
    assert "foreproof new forecast" in " ".join(nowhere.stderr.split())


def test_check_finds_a_problem_and_leaves_the_report(tmp_path: Path) -> None:
    folder = make(tmp_path, data=csv([*GOOD, GOOD[3]]))
    done = foreproof("check", folder=folder)
    assert done.returncode == 2
    (manifest,) = manifests(folder)
    assert manifest["stage"] == "check"
    report = (folder / "runs" / manifest["run"] / "preflight.json").read_text(encoding="utf-8")
    assert "repeats in 2 rows" in report
