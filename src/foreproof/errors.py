"""Every error that Foreproof raises on purpose.

```
ForeproofError            object, found, wanted, fix; exit code 2
├── BadInput              what the user gave cannot be used
│   ├── ContractError     rows of a table break its contract (column, rows)
│   ├── NotFound          what was named does not exist here
│   ├── PlanError         foreproof.yaml cannot be parsed or asks for the impossible
│   └── SourceError       a file or address cannot be read
├── Denied                who asks may not: no key, a wrong one, or too small a role
├── LawError              a law of time would be broken (names the law)
├── IntegrityError        a digest, proof or signature does not hold; exit code 1
├── StoreError            the lake or the catalogue could not be read or written
└── MissingExtra          an optional library is not installed
```

A message reads `object: found; wanted; fix`, for example
`sales: key (sku, date) repeats in 3 rows (first: 85123A, 2010-12-01); keep one row per key, or set duplicates: sum`.
"""

from __future__ import annotations

from collections.abc import Sequence


class ForeproofError(Exception):
    """An error with the object it is about, what was found, what was wanted, and the fix."""

    exit_code = 2

    def __init__(self, subject: str, *, found: str, wanted: str = "", fix: str = "") -> None:
        self.subject = subject
        self.found = found
        self.wanted = wanted
        self.fix = fix
        super().__init__(subject, found, wanted, fix)

    def __str__(self) -> str:
        parts = [self.found, f"wanted {self.wanted}" if self.wanted else "", self.fix]
        return f"{self.subject}: " + "; ".join(part for part in parts if part)

    def as_dict(self) -> dict[str, object]:
        """The error as plain values, for `logs.jsonl`, `preflight.json` and the service."""
        return {
            "error": type(self).__name__,
            "object": self.subject,
            "found": self.found,
            "wanted": self.wanted,
            "fix": self.fix,
        }

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), dict(self.__dict__)))


def _rebuild(kind: type[ForeproofError], state: dict[str, object]) -> ForeproofError:
    error = kind.__new__(kind)
    error.__dict__.update(state)
    error.args = tuple(state.get(name, "") for name in ("subject", "found", "wanted", "fix"))
    return error


class BadInput(ForeproofError):
    """What the user gave cannot be used."""


class ContractError(BadInput):
    """Rows of a table break its contract.

    `rows` holds 1-based positions of the first offending data rows (the header is not counted).
    """

    def __init__(
        self,
        subject: str,
        *,
        found: str,
        wanted: str = "",
        fix: str = "",
        column: str | None = None,
        rows: Sequence[int] = (),
    ) -> None:
        super().__init__(subject, found=found, wanted=wanted, fix=fix)
        self.column = column
        self.rows = tuple(rows)

    def as_dict(self) -> dict[str, object]:
        """The error as plain values, with its column and first rows."""
        return {**super().as_dict(), "column": self.column, "rows": list(self.rows)}


class NotFound(BadInput):
    """What was named does not exist here; what belongs to another tenant does not exist here either."""


class PlanError(BadInput):
    """`foreproof.yaml` cannot be parsed or asks for the impossible; `subject` is the dotted path of the setting."""


class SourceError(BadInput):
    """A file or address cannot be read."""


class Denied(ForeproofError):
    """Who asks may not: `known` says whether the service knows who that is."""

    def __init__(self, subject: str, *, found: str, wanted: str = "", fix: str = "", known: bool = False) -> None:
        super().__init__(subject, found=found, wanted=wanted, fix=fix)
        self.known = known


class LawError(ForeproofError):
    """A law of time would be broken; the message names the law."""


class IntegrityError(ForeproofError):
    """A digest, proof or signature does not hold."""

    exit_code = 1


class StoreError(ForeproofError):
    """The lake or the catalogue could not be read or written."""


class MissingExtra(ForeproofError):
    """An optional library is not installed; the fix names the extra."""


__all__ = [
    "BadInput",
    "ContractError",
    "Denied",
    "ForeproofError",
    "IntegrityError",
    "LawError",
    "MissingExtra",
    "NotFound",
    "PlanError",
    "SourceError",
    "StoreError",
]
