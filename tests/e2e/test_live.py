"""What was scored live is what the replay makes of its cutoff now; what is not is named."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import project
import pytest

from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import Outcome, execute

DAYS = 100
FEATURES = "models: [seasonal_naive]\nfeatures: [{over: mean, of: sales.units, window: 7, lag: 1}]"
PLAN = project.PLAN.replace("models: [seasonal_naive, theta]", FEATURES)
PLAN = PLAN.replace("decision: {cover: 7, short: 2.0, over: 1.0, currency: euros}", "proof: {only: [serving]}")


def judged(folder: Path) -> Outcome:
    return execute(open_project(folder), progress=Silent(), until="prove")


def serving(outcome: Outcome) -> tuple[str, str, int]:
    assert outcome.error is None, outcome.error
    found = next(one for one in outcome.run.verdicts if one.name == "serving")
    return found.outcome, found.words, int(found.evidence.get("scored", 0))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that was judged at day 100, and has seven more days since."""
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    made = project.make(tmp_path / "p", plan=PLAN, data=project.csv(project.rows(items=2, days=DAYS)))
    assert serving(judged(made))[2] == 0
    (made / "sales.csv").write_text(project.csv(project.rows(items=2, days=DAYS + 7)), encoding="utf-8")
    return made


def test_rows_that_were_scored_live_are_those_of_the_replay(folder: Path) -> None:
    outcome, words, scored = serving(judged(folder))
    assert (outcome, scored) == ("passed", 2 * 7), words


def test_a_late_row_that_claims_to_have_been_known_in_time_is_found_by_what_was_served(folder: Path) -> None:
    late = date(2024, 1, 1) + timedelta(days=DAYS - 3)
    text = (folder / "sales.csv").read_text(encoding="utf-8")
    # A third item, of which nothing was known when the first run was made.
    (folder / "sales.csv").write_text(text + f"item 0b,{late},50\n", encoding="utf-8")
    outcome, words, _ = serving(judged(folder))
    assert outcome == "passed", words  # another series changes no row of those that were served

    first = [row for row in project.rows(items=2, days=DAYS) if row[:2] != ("item 1", late)]
    other = project.make(folder.parent / "q", plan=PLAN, data=project.csv(first))
    judged(other)
    (other / "sales.csv").write_text(text, encoding="utf-8")  # the missing day arrives late, dated as if it had not
    outcome, words, _ = serving(judged(other))
    assert outcome == "failed" and "differ between training and serving" in words
