"""`prove --ci` says each fault in one line, and refuses what it does not know."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from foreproof.app.ci import FAIL_ON, faults, prove_ci
from foreproof.app.cli import app
from foreproof.core.trial import Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.registry import REGISTRY, unrun

HONEST = Verdict("rebuild", "passed", 0.0, 0.0, "same", control="peek", control_caught=True)


def test_each_check_that_was_asked_for_and_did_not_pass_is_one_line() -> None:
    verdicts = [
        HONEST,
        Verdict("gap law", "failed", 1.0, 0.0, "one label\n had not settled", control="no_purge", control_caught=True),
        Verdict("overlap", "not proven", 0.0, 0.0, "none", control="shared", control_caught=False),
        Verdict("permutation", "failed", 0.2, 0.01, "score 0.5; p = 0.2", tier="statistical", control_caught=True),
        Verdict("base rate", "not applicable", None, None, "no label", tier="statistical"),
        unrun("replay", "switched off in the plan (proof.off)"),
    ]
    asked = [verdict.name for verdict in verdicts if verdict.name != "permutation"]
    assert faults(verdicts, asked) == [
        "gap law: failed. one label had not settled",
        "overlap: not proven. none; its planted fault was not caught",
        "base rate: not applicable. no label",
        "replay: not proven. switched off in the plan (proof.off)",
    ]
    assert faults(verdicts, ["permutation"]) == ["permutation: failed. score 0.5; p = 0.2"]
    assert faults(verdicts, ["rebuild"]) == []


def test_what_fails_on_demand_is_a_check_or_the_cards() -> None:
    assert set(FAIL_ON) - set(REGISTRY) == {"cards"}
    with pytest.raises(BadInput, match="calibration"):
        prove_ci(Path(), fail_on=["calibration"])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--fail-on", "cards"], "--fail-on: no --ci"),
        (["--ci", "--only", "overlap"], "--only beside it"),
        (["--ci", "--plant", "peek"], "--plant beside it"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words: list[str], found: str) -> None:
    done = CliRunner().invoke(app, ["prove", *words])
    assert isinstance(done.exception, BadInput)
    assert found in str(done.exception)
