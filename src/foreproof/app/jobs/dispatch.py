"""What hands jobs on: those that were asked for, and those that a schedule asks for, to a queue that takes an id once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foreproof.adapters.service import jobs
from foreproof.adapters.service.store import ServiceStore
from foreproof.app.home import Home, Place
from foreproof.core.plan import parse_yaml
from foreproof.core.schedule import Scheduled, parse_schedule
from foreproof.errors import ForeproofError

_OURS = uuid.UUID("5f0e7d1c-6e0b-4f3a-9a52-0d6b6f6e8a11")
Enqueue = Callable[[str, str, int], None]
"""(tenant, job, turn): put a job into the queue; one that is there already stays as it is."""


@dataclass
class Dispatcher:
    """The part of a worker that looks for work. since: when it began; a schedule that nobody kept before waits from then."""

    home: Home
    store: ServiceStore
    enqueue: Enqueue
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    since: datetime = field(init=False)
    told: Callable[[str], None] = lambda _: None
    _plans: dict[Path, tuple[tuple[int, int], tuple[Scheduled, ...]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.since = self.now()

    def hand_on(self) -> int:
        """Give the queue every job that it does not have; how many those were."""
        found = jobs.waiting(self.store)
        for job, turn in found:
            self.enqueue(job.tenant, job.id, turn)
        jobs.handed(self.store, [job.id for job, _ in found])
        return len(found)

    def ask_due(self) -> int:
        """Ask for every job whose time has come, once for all workers; how many were new.

        What was missed while no worker ran is asked for once, however often it was due, and only when the last one has
        ended. A schedule that is new waits for its next time.
        """
        asked = 0
        for tenant in self.home.tenants():
            for place in self.home.places(tenant):
                for one in self._schedules(place):
                    asked += self._ask(place, one)
        return asked

    def _ask(self, place: Place, one: Scheduled) -> bool:
        due = one.cron.latest(self.now(), one.zone)
        if due is None:
            return False
        last = jobs.last_scheduled(self.store, place.tenant, place.name, one.kind)
        seen = self.since if last is None else datetime.fromisoformat(last.due)
        if due <= seen or (last is not None and not last.ended):
            return False
        words = f"{place.tenant}/{place.name}/{one.kind}/{due.isoformat()}"
        job = jobs.Job(
            uuid.uuid5(_OURS, words).hex,
            place.tenant,
            place.name,
            one.kind,
            {},
            self.now().isoformat(),
            by="schedule",
            due=due.isoformat(),
        )
        return jobs.submit(self.store, job)

    def _schedules(self, place: Place) -> tuple[Scheduled, ...]:
        try:
            return schedules_of(place, self._plans)
        except (ForeproofError, OSError) as error:
            # A plan that is broken for a while must not stop the work of other projects.
            self.told(f"{place.tenant}/{place.name}: {error}")
            return ()


def schedules_of(
    place: Place, kept: dict[Path, tuple[tuple[int, int], tuple[Scheduled, ...]]] | None = None
) -> tuple[Scheduled, ...]:
    """What a project's plan wants done when; read again where the file has changed. Raises PlanError."""
    path = place.folder / "foreproof.yaml"
    stat = path.stat()
    state = (stat.st_mtime_ns, stat.st_ino)
    cached = None if kept is None else kept.get(path)
    if cached is not None and cached[0] == state:
        return cached[1]
    found = parse_schedule(parse_yaml(path.read_text(encoding="utf-8"), name=path.name))
    if kept is not None:
        kept[path] = (state, found)
    return found


def listed(place: Place, store: ServiceStore, now: datetime) -> list[dict[str, Any]]:
    """The schedules of a project as plain values: `kind`, `cron`, `zone`, `next`, and the last job that one asked for."""
    found = []
    for one in schedules_of(place):
        last = jobs.last_scheduled(store, place.tenant, place.name, one.kind)
        at = one.cron.next(now, one.zone)
        found.append(
            {
                "project": place.name,
                "kind": one.kind,
                "cron": one.cron.words,
                "zone": one.zone,
                "next": at.isoformat() if at else None,
                "last": None if last is None else {"job": last.id, "status": last.status, "due": last.due},
            }
        )
    return found


__all__ = ["Dispatcher", "Enqueue", "listed", "schedules_of"]
