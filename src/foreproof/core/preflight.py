"""What looks wrong in a table before it is forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from foreproof.errors import ForeproofError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found."""

    table: str
    check: str
    severity: str
    found: str
    wanted: str = ""
    fix: str = ""
    column: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {n: getattr(self, n) for n in ("severity", "table", "check", "column", "found", "wanted", "fix", "figures")}


def preflight(contract: Any, table: Any, **_: Any) -> list[Finding]:
    """Findings."""
    return []


def write_preflight(findings: Sequence[Finding]) -> dict[str, Any]:
    """JSON-ready."""
    return {"findings": [one.as_dict() for one in findings]}


def refusal(error: ForeproofError, table: str) -> Finding:
    """An error as a finding."""
    return Finding(table, "contract", "error", error.found, error.wanted, error.fix)


__all__ = ["Finding", "preflight", "refusal", "write_preflight"]
