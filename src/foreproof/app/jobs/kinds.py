"""The kinds of job: the steps of each, and what a request for it may say. Light: the API imports it at its start."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from foreproof.errors import BadInput

STEPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "load": ("load",),
        "features": ("load", "features"),
        "train": ("load", "train"),
        "backtest": ("load", "train", "backtest"),
        "prove": ("load", "train", "prove"),
        "publish": ("publish",),
        "run": ("load", "train", "prove", "publish"),
        "score_outcomes": ("score_outcomes",),
        "scenario": ("scenario",),
    }
)
"""The steps of each kind. A resumed job begins at the first one that had not finished."""
KINDS = tuple(STEPS)
_ASKED: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "publish": {"run": str},
    "scenario": {"name": str, "price": (int, float)},
}
_LONGEST = 200


def parse_request(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a request says beside its kind; unknown words, wrong types and what is missing are refused. Raises BadInput."""
    if kind not in STEPS:
        raise BadInput("kind", found=repr(kind)[:_LONGEST], wanted=f"one of {', '.join(KINDS)}")
    asked = _ASKED.get(kind, {})
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in asked:
            known = ", ".join(asked) or "nothing beside kind"
            raise BadInput(f"{kind}.{name}"[:_LONGEST], found="a setting that this kind does not have", wanted=known)
        if value is None:
            continue
        if not isinstance(value, asked[name]) or isinstance(value, bool) or len(str(value)) > _LONGEST:
            wanted = "a number" if isinstance(asked[name], tuple) else f"text of at most {_LONGEST} characters"
            raise BadInput(f"{kind}.{name}", found=repr(value)[:_LONGEST], wanted=wanted)
        found[name] = value
    if kind == "scenario" and not found.get("name"):
        raise BadInput(
            "scenario.name", found="nothing", wanted="the name of a kept scenario", fix="GET /api/v1/scenarios"
        )
    return found


__all__ = ["KINDS", "STEPS", "parse_request"]
