"""What is installed, missing or too old, read off the package's own metadata."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata

_EXTRA = re.compile(r"extra == ['\"](\w+)['\"]")
_NAME = re.compile(r"^([A-Za-z0-9_.-]+)(\[[^]]*\])?(.*)$")


@dataclass(frozen=True, slots=True)
class Line:
    """One library: what is there, what is wanted, and how to get it."""

    name: str
    installed: str
    wanted: str
    purpose: str
    fine: bool
    fix: str
    extra: str = ""


def diagnose(extras: tuple[str, ...] = ("", "forecast", "demo")) -> list[Line]:
    """One line for each library that the base or one of the extras names."""
    found: dict[str, Line] = {}
    for requirement in metadata.requires("foreproof") or []:
        wanted, _, marker = requirement.partition(";")
        match = _EXTRA.search(marker)
        extra = match[1] if match else ""
        named = _NAME.match(wanted.strip())
        if extra not in extras or named is None or named[1] == "foreproof":
            continue
        # An extra that builds on another repeats its libraries: the first that names one tells what it is for.
        if named[1] not in found or extras.index(extra) < extras.index(found[named[1]].extra):
            found[named[1]] = _line(named[1], named[3].strip(), extra)
    return list(found.values())


def _line(name: str, wanted: str, extra: str) -> Line:
    fix = f"pip install 'foreproof[{extra}]'" if extra else "pip install --upgrade foreproof"
    purpose = {"": "everything", "forecast": "models, plots and the page", "demo": "the demo's data"}[extra]
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Line(name, "missing", wanted, purpose, False, fix, extra)
    return Line(name, installed, wanted, purpose, _satisfies(installed, wanted), fix, extra)


def _satisfies(installed: str, wanted: str) -> bool:
    """Whether a version keeps `>=` and `<` bounds, the only ones that the package writes."""
    for part in filter(None, wanted.split(",")):
        bound = _numbers(part.lstrip("<>="))
        if part.startswith(">=") and _numbers(installed) < bound:
            return False
        if part.startswith("<") and _numbers(installed) >= bound:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:4])


__all__ = ["Line", "diagnose"]
