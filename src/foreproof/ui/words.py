"""Numbers with units, dates and ages in words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

MISSING = "-"
_LETTERS = frozenset(["mase", "wape", "owa", "auc", "pr_auc", "mae", "rmse", "smape", "mape", "psi", "ks"])
_AGES = (("year", 365.25 * 86400), ("month", 30.44 * 86400), ("day", 86400.0), ("hour", 3600.0), ("minute", 60.0))


def number(value: Any, unit: str = "") -> str:
    """A number in about four digits, thousands apart, with its unit; `-` where there is none."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING if value is None or isinstance(value, float) else str(value)
    if unit in ("%", "share"):
        return f"{value * (100 if unit == 'share' else 1):.3g}%"
    size = abs(value)
    if isinstance(value, int) or size >= 1000 or value == round(value):
        said = f"{value:,.0f}"
    else:
        said = f"{value:,.1f}" if size >= 100 else f"{value:.3g}"
    return f"{said} {unit}".rstrip()


def percent(value: Any) -> str:
    """A share as percent, with one decimal below ten."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING
    return f"{value * 100:.1f}%" if abs(value) < 0.0995 else f"{value * 100:.0f}%"


def instant(text: Any) -> datetime | None:
    """An instant of the API as datetime; None where the text is none."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None


def period(at: datetime) -> datetime:
    """The middle of the day that ends at `at`, so that its date is the right one in every zone.

    The end of a period is its last microsecond in the data's own zone; as UTC it may bear the date before or after. Twelve hours
    earlier is noon there, which has that date in UTC from 12 hours west to 12 hours east.
    """
    ends = at.microsecond == 999_999 and at.second == 59 and at.minute == 59
    return (at - timedelta(hours=12)).replace(minute=0, second=0, microsecond=0) if ends else at


def periods(texts: Sequence[Any]) -> list[datetime]:
    """The instants of a series of steps, in place of their texts: days by their middle, shorter steps as they are."""
    found = [at for text in texts if (at := instant(text)) is not None]
    long = len(found) < 2 or abs(found[1] - found[0]) >= timedelta(hours=23)
    return [period(at) for at in found] if long else found


def day(text: Any) -> str:
    """A date in words, `19 May 2024`; a text that is no date is given back."""
    at = instant(text)
    return f"{period(at):%-d %B %Y}" if at is not None else str(text or MISSING)


def moment(text: Any) -> str:
    """Date and time in words, in UTC: `27 Nov 2026, 18:58 UTC`."""
    at = instant(text)
    return f"{at:%-d %b %Y, %H:%M} UTC" if at is not None else str(text or MISSING)


def age(seconds: Any) -> str:
    """An age in its largest whole unit: `3 days`, `2 years`."""
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return "unknown age"
    for name, length in _AGES:
        if seconds >= length:
            many = int(seconds // length)
            return f"{many} {name}{'' if many == 1 else 's'}"
    return "less than a minute"


def size(count: Any) -> str:
    """Bytes in the unit that reads best."""
    if not isinstance(count, int | float):
        return MISSING
    left = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(left) < 1000 or unit == "GB":
            return f"{left:,.0f} {unit}" if unit == "bytes" else f"{left:,.1f} {unit}"
        left /= 1000
    return MISSING


def plain(name: str) -> str:
    """A field's name as words: `data_age_seconds` becomes `Data age seconds`, `mase` MASE, `lift10` Lift at 10%."""
    if name.lower() in _LETTERS:
        return name.upper().replace("_", "-")
    if found := re.fullmatch(r"(coverage|lift|capture|msis)(\d+)", name):
        return f"{found[1].capitalize()} {'at ' if found[1] in ('lift', 'capture') else ''}{found[2]}%"
    said = name.replace("_", " ").strip()
    return said[:1].upper() + said[1:]


def many(count: int, one: str) -> str:
    """`1 check`, `3 checks`."""
    return f"{count:,} {one}{'' if count == 1 else 's'}"


__all__ = [
    "MISSING",
    "age",
    "day",
    "instant",
    "many",
    "moment",
    "number",
    "percent",
    "period",
    "periods",
    "plain",
    "size",
]
