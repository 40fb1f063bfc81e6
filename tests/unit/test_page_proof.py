"""The proof page and the verdict tables, of verdicts made by hand: failed, passed, not applicable, not proven, not run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from foreproof.app.page_proof import charts, controls, failures, meaning, proof_page, suspect, tiles, write_proof
from foreproof.app.proof_words import QUESTIONS, fault_of
from foreproof.app.verdicts import exit_code, fault_words, grouped, row_of, summary_words, verdict_grid
from foreproof.core.run import Environment, Run, verdict_status
from foreproof.core.trial import Verdict
from foreproof.gauntlet.registry import REGISTRY, unrun

ROW = {"shop": "s1", "cutoff": "2024-03-01", "step": "7"}
FOUND = {
    "part": "features",
    "column": "sum_7",
    "cutoff": "2024-03-01",
    "row": ROW,
    "rows": 1200,
    "values": ["9", "4"],
    "knew": "2024-03-08",
}
CURVE = [{"x": x, "score": 0.8 - x / 100, "low": 0.7, "high": 0.9} for x in (0, 1, 2)]
PAIR = [{"x": x, "score": 0.8, "low": 0.7, "high": None} for x in ("near", "later")]
FEATURES = [{"feature": f"f{k}", "gain": k / 10, "safe": k % 2 == 0, "declared": k != 3} for k in range(4)]
IMPORTANCE = [{"feature": f"f{k}<b>", "early": k / 10, "late": -k / 10} for k in range(14)]
EVIDENCE: dict[str, dict[str, Any]] = {
    "permutation": {"null": [0.5, 0.51, 0.52], "score": 0.7, "p_signal": 0.001},
    "cliff": {"curves": {1: CURVE, 2: CURVE, 14: CURVE}},
    "shift grid": {"curve": CURVE, "gains": CURVE},
    "stability": {"importance": IMPORTANCE, "feature": "f3"},
    "safe ablation": {"scores": PAIR},
    "adjacency": {"features": FEATURES},
    "prequential decline": {"curve": CURVE},
    "forward month": {"gains": CURVE},
    "arrival lag": {"curve": CURVE},
    "embargo": {"scores": PAIR},
}
FAILED = Verdict("rebuild", "failed", 1.0, 0.0, "features <differ>", FOUND, control="peek", control_caught=True)
REPLAY = Verdict(
    "replay",
    "passed",
    0.0,
    0.0,
    "same",
    {"inflation": {"metric": "auc", "estimate": 0.0, "low": 0.0, "high": 0.0}},
    control="overwritten",
    control_caught=True,
)
UNSEEN = Verdict("gap law", "not proven", 0.0, 0.0, "all settled", control="no_purge", control_caught=False)
IDLE = Verdict("looks", "not applicable", None, None, "too few entities", tier="statistical")
UNRUN = unrun("overlap", "switched off in the plan (proof.off)")
WARNED = Verdict(
    "feature drift",
    "passed",
    0.3,
    0.95,
    "moved a little",
    {"p_holm": 0.00001},
    tier="statistical",
    p=0.000001,
    warning="tenure moved",
    control="rescaled",
    control_caught=True,
)
VERDICTS = [REPLAY, UNSEEN, UNRUN, IDLE, WARNED, FAILED]


def run_of(verdicts: list[Verdict]) -> Run:
    made = Environment("c", "l", "3", "m")
    status = verdict_status(verdicts)
    return Run("abc", "shop", "propensity", "p", {}, 1, status, "", "", made, verdicts=verdicts)


def statistical() -> Iterator[Verdict]:
    for name, evidence in EVIDENCE.items():
        yield Verdict(name, "passed", 0.1, 0.2, "words", evidence, "statistical", 0.5, "", "fault", True)


def test_a_long_table_leads_with_what_failed_and_says_nothing_twice() -> None:
    groups = grouped(VERDICTS)
    named = [[row["name"] for row in group["rows"]] for group in groups]
    assert named == [["rebuild", "gap law"], ["replay"], ["looks", "feature drift"], ["overlap"]]
    assert [group["open"] for group in groups] == [True, True, False, False]
    assert groups[0]["title"].endswith("(1 failed, 1 not proven)")
    assert groups[2]["title"].endswith("(1 passed, 1 not applicable, 1 with a warning)")
    assert [len(grouped(clean)) for clean in ([REPLAY], [])] == [1, 0]


def test_a_row_says_numbers_in_words_and_a_fault_that_was_not_tried_is_a_dash() -> None:
    row = row_of(WARNED)
    assert (row["figure"], row["limit"], row["p"], row["p_holm"]) == ("0.3", "0.95", "< 0.0001", "< 0.0001")
    idle = row_of(IDLE)
    assert (idle["badge"], idle["figure"], idle["p"], idle["fault"], idle["caught"]) == (
        "not-applicable",
        "-",
        "-",
        "-",
        None,
    )
    assert [fault_words(one) for one in (UNRUN, IDLE, UNSEEN)] == ["-", "-", "no_purge: NOT caught"]


def test_the_summary_counts_what_is_not_applicable_and_what_did_not_run() -> None:
    assert summary_words(VERDICTS) == (
        "2 of 6 checks passed; 3 of 4 planted faults caught. 1 failed. "
        "1 not applicable: the data cannot answer it. 1 did not run."
    )
    assert summary_words([REPLAY]) == "1 of 1 checks passed; 1 of 1 planted faults caught."


def test_what_is_not_applicable_stands_in_the_terminal_and_alone_is_no_success() -> None:
    console = Console(record=True, width=200)
    console.print(verdict_grid(VERDICTS))
    assert "not applicable" in console.export_text()
    assert exit_code([REPLAY, IDLE]) == 0
    assert exit_code([REPLAY, IDLE], ["looks"]) == 1
    assert [exit_code([REPLAY, one]) for one in (UNSEEN, UNRUN, FAILED)] == [1, 1, 1]
    assert exit_code([]) == 0


def test_a_failure_names_the_feature_its_first_row_and_the_date_from_which_it_knew() -> None:
    (failed,) = failures(VERDICTS)
    assert dict(failed["evidence"]) == {
        "what differs": "features",
        "feature": "sum_7",
        "first row": "shop s1, cutoff 2024-03-01, step 7",
        "both values": "9 against 4",
        "rows that differ": "1,200",
        "knew rows up to": "2024-03-08",
    }
    scrambled = replace(
        FAILED, name="future scramble", evidence={"part": "population", "cutoff": "c", "ways": ["dropped"]}
    )
    (told,) = failures([scrambled])
    assert told["evidence"] == [
        ("what differs", "population"),
        ("cutoff", "c"),
        ("when later rows are", "dropped"),
    ]
    (alone,) = failures([Verdict("stability", "failed", 0.1, 0.2, "w", {"feature": "f3", "rows": 5}, "statistical")])
    assert alone["evidence"] == [("feature", "f3")]


def test_every_check_has_a_question_and_its_fault_is_told_in_words() -> None:
    assert set(QUESTIONS) == set(REGISTRY)
    assert all(words.endswith("?") for words in QUESTIONS.values())
    assert [name for name in REGISTRY if len(fault_of(name)) < 10] == []


def test_the_matrix_of_controls_says_caught_not_caught_or_not_tried() -> None:
    said = {row["name"]: (row["said"], row["what"]) for row in controls(VERDICTS)}
    assert said["rebuild"] == ("caught", fault_of("rebuild"))
    assert said["gap law"][0] == "NOT caught"
    assert said["looks"] == ("-", "not tried: the data cannot answer the question")
    assert said["overlap"] == ("-", "the check did not run")


def test_tiles_hold_the_replay_inflation_and_the_looks() -> None:
    looked = replace(IDLE, outcome="passed", evidence={"looks": 4})
    found = {tile["label"]: tile["value"] for tile in tiles([*VERDICTS, looked])}
    assert found["Checks passed"] == "3 of 7"
    assert found["Planted faults caught"] == "3 of 4"
    assert found["Replay inflation"] == "0.0000"
    assert found["Looks at this hold-out"] == "4"


def test_every_statistical_check_with_a_curve_is_drawn_and_what_failed_comes_first() -> None:
    drawn = list(charts(list(statistical())))
    assert [chart["name"] for chart in drawn].count("shift grid") == 2
    assert {chart["name"] for chart in drawn} == set(EVIDENCE)
    assert all(chart["svg"].startswith("<svg") for chart in drawn)
    red = [replace(one, outcome="failed") if one.name == "embargo" else one for one in statistical()]
    assert next(charts(red))["name"] == "embargo"
    assert list(charts(VERDICTS)) == []


def test_keys_that_went_through_json_draw_the_same_curves() -> None:
    (cliff,) = (one for one in statistical() if one.name == "cliff")
    read = replace(cliff, evidence={"curves": {str(step): rows for step, rows in cliff.evidence["curves"].items()}})
    assert list(charts([cliff])) == list(charts([read]))
    (drawn,) = charts([read])
    places = [drawn["svg"].index(f"shift by {step}<") for step in (1, 2, 14)]
    assert places == sorted(places)


def test_the_ten_features_that_matter_most_are_drawn_with_their_names() -> None:
    (drawn,) = (one for one in charts(list(statistical())) if one["name"] == "stability")
    assert [k for k in range(14) if f"f{k}&lt;b&gt;" in drawn["svg"]] == list(range(4, 14))


class Tags(HTMLParser):
    """Holds every tag that loads something, and every anchor."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        self.ids.add(held.get("id") or "")
        if tag in ("a", "link", "img", "script", "iframe"):
            self.links.append(str(held.get("href") or held.get("src") or tag))


def test_the_page_loads_nothing_escapes_what_it_was_told_and_its_links_resolve(tmp_path: Path) -> None:
    verdicts = [*(one for one in VERDICTS if one is not IDLE), *statistical(), IDLE]
    write_proof(run_of(verdicts), verdicts, tmp_path)
    text = (tmp_path / "proof" / "index.html").read_text(encoding="utf-8")
    assert text == proof_page(run_of(verdicts), verdicts)
    assert "features &lt;differ&gt;" in text
    assert "<differ>" not in text
    assert '<span class="badge not-applicable">not applicable</span>' in text
    assert "Do not use these numbers" in text
    tags = Tags()
    tags.feed(text)
    assert {link.removeprefix("#") for link in tags.links if link.startswith("#")} <= tags.ids
    assert {link for link in tags.links if not link.startswith("#")} == {"../index.html"}
    assert not re.search(r"url\((?!#)", text)


def test_without_verdicts_there_is_no_page(tmp_path: Path) -> None:
    write_proof(run_of([]), [], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ([REPLAY, IDLE], "Nothing that was reported used a row"),
        ([FAILED], "Do not use"),
        ([REPLAY, UNSEEN], "could not decide"),
        ([REPLAY, UNRUN], "1 check did not run"),
    ],
)
def test_the_page_says_what_the_outcome_means(verdicts: list[Verdict], words: str) -> None:
    assert words in meaning(run_of(verdicts), verdicts)


def test_a_planted_leak_that_no_check_saw_is_said() -> None:
    run = replace(run_of([REPLAY]), status="not proven")
    assert "planted on purpose, and no check saw it" in meaning(run, [REPLAY])
    assert "plants the leak <code>peek</code>" in proof_page(run, [REPLAY], planted="peek")
    assert "plants the leak" not in proof_page(run, [REPLAY])


def test_the_feature_that_most_failed_checks_name_is_told_first() -> None:
    also = replace(FAILED, name="replay", evidence={"part": "features", "column": "sum_7", "cutoff": "2024-03-01"})
    other = Verdict("single feature", "failed", 0.99, 0.97, "w", {"feature": "copy"}, "statistical")
    people = replace(FAILED, name="same population", evidence={"part": "population", "column": "shop", "cutoff": "c"})
    fine = replace(other, outcome="passed")
    assert suspect([other, also, FAILED, people]) == (
        "Look at the feature sum_7 first: 2 of the failed checks name it; at cutoff 2024-03-01 it knew rows up to 2024-03-08."
    )
    assert suspect([other, fine]) == "Look at the feature copy first: 1 of the failed checks names it."
    assert suspect([fine, people, REPLAY]) == ""
