"""What usage costs: a table of prices in a YAML file that `FOREPROOF_PRICES` names; without one, everything costs nothing.

```yaml
currency: EUR
cpu_second: 0.00002
gb_scanned: 0.005
gb_stored_month: 0.02     # a month is 730 hours
row_predicted: 0.0
tokens_in: 0.0000002      # a token
tokens_out: 0.0000008
```
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from foreproof.adapters.service.store import ServiceStore
from foreproof.adapters.service.usage import By, summed
from foreproof.errors import BadInput

_GB = 1e9
_HOURS_A_MONTH = 730.0
_DEFAULT_DAYS = 30
_NUMBERS = ("calls", "cpu_seconds", "bytes_scanned", "bytes_stored", "gb_hours")
_REST = ("rows_predicted", "tokens_in", "tokens_out", "price")


@dataclass(frozen=True, slots=True)
class Prices:
    """Money of `currency` for one of each; a month is 730 hours, a GB 10^9 bytes."""

    currency: str = ""
    cpu_second: float = 0.0
    gb_scanned: float = 0.0
    gb_stored_month: float = 0.0
    row_predicted: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def of(self, row: Mapping[str, Any]) -> float:
        """What one row of sums costs."""
        return float(
            self.cpu_second * row["cpu_seconds"]
            + self.gb_scanned * row["bytes_scanned"] / _GB
            + self.gb_stored_month * row["gb_hours"] / _HOURS_A_MONTH
            + self.row_predicted * row["rows_predicted"]
            + self.tokens_in * row["tokens_in"]
            + self.tokens_out * row["tokens_out"]
        )


@dataclass(frozen=True, slots=True)
class Span:
    """Hours that begin in [start, end)."""

    start: datetime
    end: datetime

    @staticmethod
    def parsed(start: str, end: str, now: datetime | None = None) -> Span:
        """From ISO dates or instants; the last 30 days for empty ones. Raises BadInput."""
        at = datetime.now(UTC) if now is None else now
        last = _instant("to", end) if end else at + timedelta(hours=1)
        first = _instant("from", start) if start else last - timedelta(days=_DEFAULT_DAYS)
        if first >= last:
            raise BadInput("from", found=f"{first:%Y-%m-%d %H:%M}", wanted=f"before to, {last:%Y-%m-%d %H:%M}")
        return Span(first, last)


def read_prices(path: str) -> Prices:
    """The table of a file; zeros for an empty path. Raises BadInput for a file that is none, and names what is wrong in it."""
    if not path:
        return Prices()
    try:
        said = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput("FOREPROOF_PRICES", found=f"{path}: {error}", wanted="a YAML file of prices") from None
    known = [field.name for field in fields(Prices)]
    if not isinstance(said, dict) or (unknown := sorted(str(name) for name in said if name not in known)):
        found = "no table" if not isinstance(said, dict) else unknown[0]
        raise BadInput("FOREPROOF_PRICES", found=f"{path}: {found}", wanted=", ".join(known))
    for name, value in said.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
        if (name == "currency" and not isinstance(value, str)) or (name != "currency" and not number):
            raise BadInput("FOREPROOF_PRICES", found=f"{name}: {value!r}", wanted="a price from 0 on, or a currency")
    return Prices(**said)


def priced(store: ServiceStore, prices: Prices, *, tenant: str | None, span: Span, by: By) -> dict[str, Any]:
    """`rows`, `totals` and `currency` of a tenant's usage, or (None) of everybody's."""
    rows = [_row(found, prices) for found in summed(store, tenant=tenant, start=span.start, end=span.end, by=by)]
    totals = {name: sum(row[name] for row in rows) for name in (*_NUMBERS, *_REST)}
    # Rounded once, from whole nanoseconds: the parts agree with the sum.
    totals["cpu_seconds"] = round(totals["cpu_seconds"], 9)
    return {"rows": rows, "totals": totals, "currency": prices.currency}


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV, with a header also where there is none."""
    columns = ("tenant", "kind", "name", "job", "day", *_NUMBERS, *_REST)
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def _row(found: Mapping[str, Any], prices: Prices) -> dict[str, Any]:
    row = {name: found[name] for name in ("tenant", "kind", "name", "day") if name in found}
    if "key" in found:
        row["job"] = found["key"]
    row |= {name: found[name] for name in ("calls", "bytes_scanned", "bytes_stored", *_REST[:-1])}
    row |= {"cpu_seconds": found["cpu_ns"] / 1e9, "gb_hours": found["byte_hours"] / _GB}
    return row | {"price": prices.of(row)}


def _cell(value: Any) -> Any:
    # A sheet would run what begins so as a formula.
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


def _instant(name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(name, found=repr(text), wanted="an ISO date or instant") from None


__all__ = ["Prices", "Span", "as_csv", "priced", "read_prices"]
