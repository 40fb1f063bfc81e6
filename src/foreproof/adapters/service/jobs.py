"""Jobs as the service keeps them: what was asked, by whom, and everything that happened to it, each row under its tenant.

A row here is the acknowledgement: a worker hands it on to its queue by its id, as often as it takes, and the queue takes an
id once. Events are numbered without gaps, so a reader that lost its connection goes on where it was.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from foreproof.adapters.service.store import METADATA, ServiceStore
from foreproof.errors import NotFound

ENDED = ("done", "failed", "cancelled")
"""The statuses that do not change any more."""
_LOCK_KEY = 7_302_406_971
JOBS = sa.Table(
    "jobs",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("due", sa.Text, nullable=False, default=""),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("started", sa.Text),
    sa.Column("finished", sa.Text),
    sa.Column("result", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("stop", sa.Boolean, nullable=False, default=False),
    sa.Column("turn", sa.Integer, nullable=False, default=0),
    sa.Column("handed", sa.Boolean, nullable=False, default=False),
    sa.Index("jobs_tenant_created", "tenant", "created"),
    sa.Index("jobs_handed", "handed", "created"),
)
EVENTS = sa.Table(
    "job_events",
    METADATA,
    sa.Column("job", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("said", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Job:
    """One job. by: the key that asked, or `schedule`. due: the instant for which a schedule asked, empty otherwise."""

    id: str
    tenant: str
    project: str
    kind: str
    request: Mapping[str, Any]
    created: str
    by: str = ""
    due: str = ""
    status: str = "queued"
    started: str | None = None
    finished: str | None = None
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    stop: bool = field(default=False, repr=False)

    @property
    def ended(self) -> bool:
        """Whether its status is final."""
        return self.status in ENDED


def new_id() -> str:
    """An id for a job that nobody can guess."""
    return uuid.uuid4().hex


def submit(store: ServiceStore, job: Job) -> bool:
    """Keep a new job; the same id again changes nothing. Whether it was new."""
    with store.writing() as connection:
        if connection.execute(sa.select(JOBS.c.id).where(JOBS.c.id == job.id)).first() is not None:
            return False
        connection.execute(
            sa.insert(JOBS).values(
                id=job.id,
                tenant=job.tenant,
                project=job.project,
                kind=job.kind,
                request=json.dumps(dict(job.request), sort_keys=True),
                status="queued",
                by=job.by,
                due=job.due,
                created=job.created,
            )
        )
    return True


def find(store: ServiceStore, tenant: str, job: str) -> Job:
    """One job of a tenant. Raises NotFound, also for another tenant's."""
    with store.reading() as connection:
        row = connection.execute(sa.select(JOBS).where(JOBS.c.id == job, JOBS.c.tenant == tenant)).mappings().first()
    if row is None:
        raise NotFound(f"job {job}", found="no such job", wanted="a job of yours", fix="GET /api/v1/jobs lists them")
    return _job(row)


def page(
    store: ServiceStore, tenant: str, *, limit: int = 100, offset: int = 0, project: str = ""
) -> tuple[list[Job], int]:
    """A tenant's jobs, newest first, and how many there are."""
    where = [JOBS.c.tenant == tenant, *([JOBS.c.project == project] if project else [])]
    with store.reading() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(JOBS).where(*where)).scalar_one()
        newest = sa.select(JOBS).where(*where).order_by(JOBS.c.created.desc(), JOBS.c.id).limit(limit).offset(offset)
        return [_job(row) for row in connection.execute(newest).mappings()], int(total)


def begin(store: ServiceStore, tenant: str, job: str, at: datetime) -> Job:
    """A job that a worker took: running from its first time on. One that ended before stays as it is."""
    with store.writing() as connection:
        connection.execute(
            sa.update(JOBS)
            .where(JOBS.c.id == job, JOBS.c.tenant == tenant, JOBS.c.status == "queued")
            .values(status="running", started=at.isoformat())
        )
    return find(store, tenant, job)


def end(
    store: ServiceStore,
    job: Job,
    status: str,
    *,
    at: datetime,
    result: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
) -> bool:
    """Give a job its final status, once. Whether it had none before."""
    with store.writing() as connection:
        changed = connection.execute(
            sa.update(JOBS)
            .where(JOBS.c.id == job.id, JOBS.c.tenant == job.tenant, JOBS.c.status.not_in(ENDED))
            .values(
                status=status,
                finished=at.isoformat(),
                result=None if result is None else json.dumps(result, default=str),
                error=None if error is None else json.dumps(error, default=str),
            )
        )
        if changed.rowcount:
            _add(connection, job.tenant, job.id, at, [("status", {"status": status})])
        return bool(changed.rowcount)


def cancel(store: ServiceStore, tenant: str, job: str, at: datetime) -> Job:
    """Ask a job to stop: one that waits is cancelled at once, one that runs by its worker. Raises NotFound."""
    found = find(store, tenant, job)
    with store.writing() as connection:
        mine = (JOBS.c.id == job, JOBS.c.tenant == tenant)
        connection.execute(sa.update(JOBS).where(*mine).values(stop=True))
        waiting = sa.update(JOBS).where(*mine, JOBS.c.status == "queued")
        if connection.execute(waiting.values(status="cancelled", finished=at.isoformat())).rowcount:
            _add(connection, tenant, job, at, [("status", {"status": "cancelled"})])
        elif not found.ended:
            _add(connection, tenant, job, at, [("status", {"status": "stopping"})])
    return find(store, tenant, job)


def stopped(store: ServiceStore, tenant: str, job: str) -> bool:
    """Whether somebody asked a job to stop."""
    with store.reading() as connection:
        asked = sa.select(JOBS.c.stop).where(JOBS.c.id == job, JOBS.c.tenant == tenant)
        return bool(connection.execute(asked).scalar())


def say(
    store: ServiceStore, tenant: str, job: str, at: datetime, events: Sequence[tuple[str, Mapping[str, Any]]]
) -> None:
    """Add events of (event, what it says) to a job, all or none."""
    with store.writing() as connection:
        _add(connection, tenant, job, at, events)


def events(
    store: ServiceStore, tenant: str, job: str, *, after: int = -1, limit: int = 1000, kinds: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """A job's events after a number, in order: `n`, `at`, `event` and what it says."""
    query = sa.select(EVENTS).where(EVENTS.c.job == job, EVENTS.c.tenant == tenant, EVENTS.c.n > after)
    if kinds:
        query = query.where(EVENTS.c.event.in_(kinds))
    with store.reading() as connection:
        rows = connection.execute(query.order_by(EVENTS.c.n).limit(limit)).mappings()
        return [{"n": row["n"], "at": row["at"], "event": row["event"], **json.loads(row["said"])} for row in rows]


def progress(store: ServiceStore, tenant: str, job: str) -> dict[str, Any] | None:
    """The last progress that a job told: `stage`, `done`, `total`."""
    query = sa.select(EVENTS.c.said).where(EVENTS.c.job == job, EVENTS.c.tenant == tenant, EVENTS.c.event == "progress")
    with store.reading() as connection:
        said = connection.execute(query.order_by(EVENTS.c.n.desc()).limit(1)).scalar()
    found = None if said is None else json.loads(said)
    return None if found is None else {name: found.get(name) for name in ("stage", "done", "total")}


def last_scheduled(store: ServiceStore, tenant: str, project: str, kind: str) -> Job | None:
    """The newest job that a schedule asked for."""
    mine = (JOBS.c.tenant == tenant, JOBS.c.project == project, JOBS.c.kind == kind, JOBS.c.due != "")
    with store.reading() as connection:
        row = connection.execute(sa.select(JOBS).where(*mine).order_by(JOBS.c.due.desc()).limit(1)).mappings().first()
    return None if row is None else _job(row)


def waiting(store: ServiceStore, *, limit: int = 50) -> list[tuple[Job, int]]:
    """For workers, of all tenants: jobs that no queue has yet, each with its turn. Lower turns come first.

    A tenant's jobs take turns one after the other, counted from the turn of the job that was begun last: who asks for a
    hundred jobs at once waits for none of them longer than somebody who asks for one has to wait (start-time fair queueing).
    """
    fresh = sa.select(JOBS).where(JOBS.c.handed.is_(False), JOBS.c.status == "queued")
    fresh = fresh.order_by(JOBS.c.created, JOBS.c.id).limit(limit)
    with store.reading() as connection:
        if connection.execute(fresh).first() is None:
            return []
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            # Two workers that hand out turns at once would give the same ones.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        rows = connection.execute(fresh).mappings().all()
        found = []
        for row in rows:
            turn = int(row["turn"]) or _next_turn(connection, str(row["tenant"]))
            connection.execute(sa.update(JOBS).where(JOBS.c.id == row["id"]).values(turn=turn))
            found.append((_job(row), turn))
    return found


def handed(store: ServiceStore, jobs: Sequence[str]) -> None:
    """For workers: the queue has these now."""
    if jobs:
        with store.writing() as connection:
            connection.execute(sa.update(JOBS).where(JOBS.c.id.in_(jobs)).values(handed=True))


def counts(store: ServiceStore) -> dict[str, int]:
    """How many jobs there are of each status, of all tenants: for metrics."""
    with store.reading() as connection:
        rows = connection.execute(sa.select(JOBS.c.status, sa.func.count()).group_by(JOBS.c.status))
        return {str(status): int(n) for status, n in rows}


def _next_turn(connection: Connection, tenant: str) -> int:
    now = connection.execute(sa.select(sa.func.max(JOBS.c.turn)).where(JOBS.c.started.is_not(None))).scalar() or 0
    own = connection.execute(sa.select(sa.func.max(JOBS.c.turn)).where(JOBS.c.tenant == tenant)).scalar() or 0
    return max(int(now), int(own)) + 1


def _add(
    connection: Connection, tenant: str, job: str, at: datetime, said: Sequence[tuple[str, Mapping[str, Any]]]
) -> None:
    # The job's row is the lock under which its events are numbered.
    connection.execute(sa.select(JOBS.c.id).where(JOBS.c.id == job, JOBS.c.tenant == tenant).with_for_update()).one()
    last = connection.execute(sa.select(sa.func.max(EVENTS.c.n)).where(EVENTS.c.job == job)).scalar()
    start = 0 if last is None else int(last) + 1
    rows = [
        {
            "job": job,
            "n": start + i,
            "tenant": tenant,
            "at": at.isoformat(),
            "event": event,
            "said": json.dumps(dict(words), default=str),
        }
        for i, (event, words) in enumerate(said)
    ]
    if rows:
        connection.execute(sa.insert(EVENTS), rows)


def _job(row: RowMapping) -> Job:
    plain: dict[str, Any] = {
        name: row[name] for name in ("id", "tenant", "project", "kind", "created", "by", "due", "status")
    }
    told: dict[str, Any] = {name: json.loads(row[name]) if row[name] else None for name in ("result", "error")}
    return Job(
        **plain,
        **told,
        request=json.loads(row["request"]),
        started=row["started"],
        finished=row["finished"],
        stop=bool(row["stop"]),
    )


__all__ = [
    "ENDED",
    "EVENTS",
    "JOBS",
    "Job",
    "begin",
    "cancel",
    "counts",
    "end",
    "events",
    "find",
    "handed",
    "last_scheduled",
    "new_id",
    "page",
    "progress",
    "say",
    "stopped",
    "submit",
    "waiting",
]
