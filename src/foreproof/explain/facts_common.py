"""Facts that every run has: its cutoff, what its proof said; and helpers that read tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from foreproof.explain.facts import CHECK, WHOLE, About, Direction, Fact, Kind, direction_of

Tables = Mapping[str, pl.DataFrame]
Subjects = frozenset[str] | None
"""Names of series or pairs; None for all of them."""


def fact(about: About, table: str, kind: Kind, what: str, value: Any, **more: Any) -> Fact:
    """A fact out of a table. value: number or text. more: subject, unit, period, against; a change finds its direction itself."""
    unit = str(more.get("unit", ""))
    against = str(more.get("against", ""))
    pointing: Direction | None = None
    number = value if isinstance(value, str) else float(value)
    if against and not isinstance(number, str):
        digits = 4 if unit == "%" and abs(number) < 0.01 else 3 if unit in ("%", "ratio") else 2
        pointing = direction_of(number, digits=digits)
    return Fact(
        id="",
        subject=str(more.get("subject", WHOLE)),
        what=what,
        value=number,
        unit=unit,
        period=str(more.get("period", "")),
        direction=pointing,
        kind=kind,
        source=about.digests.get(table, ""),
        against=against,
    )


def day(at: object, zone: str) -> str:
    """A moment as it is told: the local day that it ends, where it ends one; a step of an integer grid as it is."""
    if not isinstance(at, datetime):
        return str(at)
    local = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(ZoneInfo(zone))
    return f"{local:%Y-%m-%d}" if local.time() in (time.max, time.min) else f"{local:%Y-%m-%d %H:%M}"


def span(after: object, last: object, zone: str) -> str:
    """The time in (after, last], told by its first and last day."""
    if not isinstance(after, datetime) or not isinstance(last, datetime):
        return f"steps {int(str(after)) + 1} to {last}"
    first, end = day(after + timedelta(microseconds=1), zone), day(last, zone)
    return end if first == end else f"{first} to {end}"


def named(row: Mapping[str, Any], entity: tuple[str, ...]) -> str:
    """The name of a series or pair; a single series without a name is `the series`."""
    return " / ".join(str(row[name]) for name in entity) or "the series"


def matching(frame: pl.DataFrame, entity: tuple[str, ...], subjects: Subjects) -> pl.DataFrame:
    """The rows of some subjects; all of them for None."""
    if subjects is None or not all(name in frame.columns for name in entity):
        return frame
    if not entity:
        return frame if named({}, entity) in subjects else frame.clear()
    return frame.filter(label(entity).is_in(list(subjects)))


def label(entity: tuple[str, ...]) -> pl.Expr:
    """The names of the rows' series or pairs, as `named` gives them."""
    return pl.concat_str([pl.col(name).cast(pl.String).fill_null("None") for name in entity], separator=" / ")


def run_wide(about: About, tables: Tables) -> Iterator[Fact]:
    """Cutoff and proof."""
    yield fact(about, "verdicts", "date", "cutoff of the run", about.cutoff)
    yield fact(about, "verdicts", "verdict", "verdict of the proof", about.status)
    verdicts = tables.get("verdicts")
    if verdicts is None or verdicts.is_empty():
        return
    counts = dict(verdicts.group_by("outcome").len().iter_rows())
    for outcome in ("passed", "failed", "not proven", "not applicable"):
        if counts.get(outcome):
            yield fact(about, "verdicts", "count", f"number of checks {outcome}", counts[outcome])
    order = {"failed": 0, "not proven": 1, "passed": 2, "not applicable": 3}
    rows = sorted(verdicts.iter_rows(named=True), key=lambda row: (order.get(row["outcome"], 9), row["name"]))
    for row in rows:
        yield fact(about, "verdicts", "verdict", "verdict", row["outcome"], subject=f"{CHECK}{row['name']}")


def change(now: float, before: float) -> float | None:
    """The relative change, None where there is nothing to compare with."""
    return None if not before or before < 0 or now < 0 else now / before - 1.0


__all__ = [
    "Subjects",
    "Tables",
    "change",
    "day",
    "fact",
    "label",
    "matching",
    "named",
    "run_wide",
    "span",
]
