"""The lock files hold what pyproject.toml asks for, at one version, with hashes, and name no host."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
LOCKS = ("demo", "dev")


def locked(name: str) -> dict[str, tuple[Version, str]]:
    """Project name to version and hashes, as `requirements/NAME.txt` pins them."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)(?:\[[^\]\n]*\])?==(\S+)[^\n]*\n((?:    --hash=.*\n)*)", text, re.MULTILINE)
    return {canonicalize_name(project): (Version(version), hashes) for project, version, hashes in found}


def asked(extras: Iterable[str]) -> list[Requirement]:
    """What the project and the extras ask for by name; extras that name extras are followed."""
    requirements = [
        *map(Requirement, PROJECT["project"]["dependencies"]),
        *map(Requirement, PROJECT["build-system"]["requires"]),
    ]
    waiting = list(extras)
    while waiting:
        for requirement in map(Requirement, EXTRAS[waiting.pop()]):
            if canonicalize_name(requirement.name) == "foreproof":
                waiting.extend(requirement.extras)
            else:
                requirements.append(requirement)
    return requirements


def unmet(requirements: Iterable[Requirement], lock: dict[str, tuple[Version, str]]) -> list[str]:
    """Requirements that the lock does not hold, or holds at a version they refuse."""
    return [
        str(requirement)
        for requirement in requirements
        if (pin := lock.get(canonicalize_name(requirement.name))) is None or pin[0] not in requirement.specifier
    ]


@pytest.mark.parametrize(("name", "extras"), [("demo", ["demo"]), ("dev", list(EXTRAS))])
def test_a_lock_holds_everything_that_the_project_asks_for(name: str, extras: list[str]) -> None:
    assert unmet(asked(extras), locked(name)) == []


def test_both_locks_agree() -> None:
    demo, dev = locked("demo"), locked("dev")
    assert {project: pin for project, pin in demo.items() if dev.get(project) != pin} == {}


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash_and_no_line_names_a_host(name: str) -> None:
    lock = locked(name)
    assert [project for project, (_, hashes) in lock.items() if "--hash=sha256:" not in hashes] == []
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert len(lock) == len(re.findall(r"^[\w.-]+(?:\[[^\]\n]*\])?==", text, re.MULTILINE)) > 50
    assert "://" not in text
    assert " @ " not in text


def test_a_missing_and_a_refused_pin_are_found() -> None:
    lock = {"polars": (Version("1.0"), "")}
    wanted = [Requirement("polars>=2"), Requirement("polars"), Requirement("numpy")]
    assert unmet(wanted, lock) == ["polars>=2", "numpy"]
