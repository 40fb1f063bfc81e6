"""A leak of the zoo that is planted into a plan turns the verdict red, and the verdict names the feature or the rule."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from project import PLAN, csv, make, manifests, rows
from typer.testing import CliRunner, Result

from foreproof.app.cli import app
from foreproof.errors import PlanError

pytestmark = pytest.mark.e2e

SMALL = PLAN.replace("models: [seasonal_naive, theta]", "models: [seasonal_naive]").replace(
    "origins: 4, calibrations: 2", "origins: 2, calibrations: 1"
)
CHECKS = ("rebuild", "gap law", "duplicates")


def shop(folder: Path, plan: str = SMALL) -> Path:
    return make(folder, plan=plan, data=csv(rows(items=3, days=100)))


def proven(folder: Path, *words: str) -> Result:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FOREPROOF_WORKERS", "1")
        return CliRunner().invoke(app, ["prove", *words, "-C", str(folder)])


def verdicts(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    (manifest,) = manifests(folder)
    return {one["name"]: one for one in manifest["verdicts"]}


def test_a_feature_that_knows_is_planted_by_the_plan_and_named_by_the_verdict(tmp_path: Path) -> None:
    lines = f"proof: {{plant: look_ahead_7_days, only: [{', '.join(CHECKS)}]}}\n"
    folder = shop(tmp_path / "shop", SMALL + lines)
    done = proven(folder)
    assert done.exit_code == 1, done.output
    found = verdicts(folder)
    assert [found[name]["outcome"] for name in CHECKS] == ["failed", "passed", "passed"]
    assert "activity_7" in found["rebuild"]["words"]
    (manifest,) = manifests(folder)
    assert (manifest["planted"], manifest["status"]) == ("look_ahead_7_days", "failed")


def test_a_rule_that_is_broken_is_planted_from_the_command_line(tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop")
    done = proven(folder, "--plant", "no_purge", "--only", "gap law")
    assert done.exit_code == 1, done.output
    assert verdicts(folder)["gap law"]["outcome"] == "failed"
    assert "not settled" in verdicts(folder)["gap law"]["words"]


def test_a_leak_of_another_workload_is_refused_and_nothing_is_proven(tmp_path: Path) -> None:
    done = proven(shop(tmp_path / "shop"), "--plant", "adjusted_prices", "--only", "gap law")
    assert isinstance(done.exception, PlanError)
    assert "proof.plant" in str(done.exception)
    assert manifests(tmp_path / "shop") == []
