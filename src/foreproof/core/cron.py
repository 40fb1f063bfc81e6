"""Cron words: `minute hour day-of-month month day-of-week`, in a named zone.

A field is `*`, a number, a range `a-b`, any of them with a step `/n`, or several with commas; months and days of the week
may be named (`jan`, `mon`), and Sunday is 0 or 7. Where both days are given, either counts, as everywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from foreproof.errors import BadInput

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: i for i, name in enumerate(_MONTHS, start=1)}),
    ("day of the week", 0, 7, {name: i for i, name in enumerate(_DAYS)}),
)
_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_YEARS = 9
"""How far back a due instant is looked for: 29 February comes after eight years at the latest."""


@dataclass(frozen=True, slots=True)
class Cron:
    """When something is due; `words` as given."""

    words: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def on(self, day: date) -> bool:
        """Whether anything is due on a day."""
        if day.month not in self.months:
            return False
        month, week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return month or week if self.either else month and week

    def latest(self, now: datetime, zone: str) -> datetime | None:
        """The last instant <= now at which it was due, in UTC; None where there was none for years."""
        return self._nearest(now, zone, back=True)

    def next(self, now: datetime, zone: str) -> datetime | None:
        """The first instant > now at which it is due, in UTC; None where there is none for years."""
        return self._nearest(now, zone, back=False)

    def _nearest(self, now: datetime, zone: str, *, back: bool) -> datetime | None:
        local = ZoneInfo(zone)
        # Clocks that were put forward or back move an instant by hours, so the neighbours of today count too.
        start = now.astimezone(local).date() + timedelta(days=1 if back else -1)
        for n in range(366 * _YEARS):
            day = start + timedelta(days=-n if back else n)
            if not self.on(day):
                continue
            instants = [
                datetime.combine(day, time(hour, minute), local).astimezone(UTC)
                for hour in self.hours
                for minute in self.minutes
            ]
            found = [one for one in instants if (one <= now if back else one > now)]
            if found:
                return max(found) if back else min(found)
        return None


def parse_cron(words: str, *, subject: str) -> Cron:
    """Cron words; an error names the field. Raises BadInput."""
    parts = words.split()
    if len(parts) != len(_FIELDS):
        raise BadInput(
            subject,
            found=f"{words!r}: {len(parts)} fields",
            wanted="minute hour day-of-month month day-of-week, such as 0 5 * * *",
        )
    minutes, hours, days, months, weekdays = (
        _field(part, low, high, names, subject=f"{subject} ({name})")
        for part, (name, low, high, names) in zip(parts, _FIELDS, strict=True)
    )
    either = parts[2] != "*" and parts[4] != "*"
    return Cron(" ".join(parts), minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)


def _field(text: str, low: int, high: int, names: Mapping[str, int], *, subject: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise BadInput(
                subject, found=repr(text), wanted="*, a number, a range a-b, a step /n, or several with commas"
            )
        star, first, last, step = match.groups()
        start, stop = (low, high) if star else (_number(first, names, subject), None)
        if stop is None:
            stop = _number(last, names, subject) if last else high if step else start
        if not low <= start <= stop <= high or (step is not None and int(step) < 1):
            raise BadInput(subject, found=repr(text), wanted=f"numbers from {low} to {high}, the smaller first")
        found.update(range(start, stop + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, names: Mapping[str, int], subject: str) -> int:
    if text in names:
        return names[text]
    if not text.isdigit():
        wanted = f"a number or one of {', '.join(names)}" if names else "a number"
        raise BadInput(subject, found=repr(text), wanted=wanted)
    return int(text)


__all__ = ["Cron", "parse_cron"]
