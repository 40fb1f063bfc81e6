"""What a plan wants done when: `schedule: {run: "0 5 * * *", score_outcomes: "30 6 * * *"}`.

It says when the work is done, not what comes of it, so it is no part of the plan's digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from foreproof.core.cron import Cron, parse_cron
from foreproof.core.section import Section
from foreproof.errors import PlanError

SCHEDULED = ("load", "train", "backtest", "prove", "run", "score_outcomes", "features")
"""The kinds of job that a schedule may name: those that need nothing said beside."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A kind of job and when it is due, in a zone."""

    kind: str
    cron: Cron
    zone: str


def parse_schedule(values: Mapping[str, Any]) -> tuple[Scheduled, ...]:
    """The section `schedule` of a plan's values; its zone is that of the facts, or UTC, where it names none."""
    root = Section(values, path="")
    section = root.section("schedule", default={})
    zone = section.text("zone", default=_zone_of_facts(values))
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise PlanError("schedule.zone", found=repr(zone), wanted="a name such as Europe/Paris") from None
    found = []
    for kind in section:
        if kind == "zone":
            continue
        if kind not in SCHEDULED:
            raise PlanError(f"schedule.{kind}", found=repr(kind), wanted=f"one of {', '.join(SCHEDULED)}, or zone")
        found.append(Scheduled(kind, parse_cron(section.text(kind), subject=f"schedule.{kind}"), zone))
    return tuple(found)


def _zone_of_facts(values: Mapping[str, Any]) -> str:
    """The zone of the table that the predictions are about."""
    for section in ("series", "pairs"):
        named = values.get(section)
        tables = values.get("tables")
        if isinstance(named, Mapping) and isinstance(tables, Mapping):
            table = tables.get(named.get("table"))
            if isinstance(table, Mapping) and isinstance(table.get("zone"), str):
                return str(table["zone"])
    return "UTC"


__all__ = ["SCHEDULED", "Scheduled", "parse_schedule"]
