"""The copilot's part of the benchmark of faults: its rows, and that it can fail."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark as a module; it imports its neighbours as a script does."""
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    spec = importlib.util.spec_from_file_location("copilot_faults", FOLDER / "_copilot_faults.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_alterations_are_caught_and_true_explanations_are_not_rejected(faults: ModuleType) -> None:
    made = faults.explanations(60, quick=True)
    rows = {(row.case, row.metric): row for row in faults.altered(made)}
    assert rows["copilot_altered", "detection_rate"].value == 1.0 and rows["copilot_altered", "detection_rate"].n == 60
    assert rows["copilot_true", "false_alarm_rate"].value == 0.0
    assert {f"copilot_{kind}" for kind in faults.altered_texts.KINDS} <= {case for case, _ in rows}


def test_a_checker_that_sees_nothing_and_one_that_rejects_all_would_show(
    faults: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = faults.explanations(12, quick=True)
    monkeypatch.setattr(faults, "verify", lambda *_, **__: [])
    assert {row.metric: row.value for row in faults.altered(made)}["detection_rate"] == 0.0
    monkeypatch.setattr(faults, "verify", lambda *_, **__: ["no"])
    assert {row.metric: row.value for row in faults.altered(made)}["false_alarm_rate"] == 1.0


def test_an_answer_that_is_not_what_the_facts_say_counts(faults: ModuleType) -> None:
    facts = faults.fact_tables.facts(0)
    said = faults.explain_with(facts, "item 0", "")
    assert faults._right(said, facts, "")
    other = faults.explain_with(facts, "item 1", "")
    assert not faults._right(other, facts, "")
