"""The queue that jobs wait in and the record of their finished steps: DBOS on SQLite or PostgreSQL.

Only workers import this: whoever asks for a job writes a row (`adapters.service.jobs`). A job that was killed goes on at its
first unfinished step when a worker of the same executor id comes back, or when another one says that this executor is gone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from foreproof.errors import BadInput

VERSION = "foreproof-jobs-1"
"""What DBOS calls the version of the application: that of the steps' meaning, so that a new release takes up old jobs."""
_APP, _QUEUE, _WORKFLOW = "foreproof", "jobs", "job"
_POLL = 0.25
"""Seconds between two looks at the queue."""
_ATTEMPTS = 1000
Outcome = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the queue calls with (tenant, job): which steps a job has, one step of it, and the end.

    `step` returns its outcome, `status` among it; anything but `done` ends the job. Each may be called again after a kill.
    """

    steps: Callable[[str, str], Sequence[str]]
    step: Callable[[str, str, str], Outcome]
    end: Callable[[str, str, Sequence[Outcome]], None]


class Queue:
    """The queue as one executor sees it, which does one job at a time. Its id must not be in use by another process."""

    def __init__(self, url: str, executor: str, handlers: Handlers) -> None:
        from dbos import DBOS

        self._dbos = DBOS
        DBOS(config=_config(url, executor))  # type: ignore[arg-type]

        @DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=_ATTEMPTS)
        def job(tenant: str, job: str) -> None:
            outcomes: list[Outcome] = []
            for name in handlers.steps(tenant, job):
                outcomes.append(DBOS.run_step({"name": name}, handlers.step, tenant, job, name))
                if outcomes[-1]["status"] != "done":
                    break
            handlers.end(tenant, job, outcomes)

    def start(self) -> None:
        """Take up what this executor left unfinished, then what waits, lowest turn first."""
        self._dbos.launch()
        self._dbos.register_queue(_QUEUE, worker_concurrency=1, polling_interval_sec=_POLL, on_conflict="always_update")

    def put(self, tenant: str, job: str, turn: int) -> None:
        """Let a job wait for its turn; one that is there already stays as it is."""
        self._dbos.enqueue_workflow_with_options(
            {
                "workflow_name": _WORKFLOW,
                "queue_name": _QUEUE,
                "workflow_id": job,
                "app_version": VERSION,
                "application_name": _APP,
                "priority": turn,
            },
            tenant,
            job,
        )

    def adopt(self, executors: Sequence[str]) -> None:
        """Let others take up what executors left unfinished that are gone for good."""
        self._dbos._recover_pending_workflows(list(executors))


def check_url(url: str) -> None:
    """Raises BadInput for an address that is neither SQLite nor PostgreSQL."""
    try:
        backend = sa.make_url(url).get_backend_name()
    except ArgumentError:
        backend = ""
    if backend not in ("sqlite", "postgresql"):
        shown = sa.make_url(url).render_as_string(hide_password=True) if backend else repr(url)
        raise BadInput("FOREPROOF_JOBS", found=shown, wanted="sqlite:///FILE or postgresql://...")


def _config(url: str, executor: str) -> dict[str, Any]:
    check_url(url)
    parsed = sa.make_url(url)
    schema = "dbos"
    if parsed.get_backend_name() == "sqlite":
        _write_ahead(Path(str(parsed.database)))
    else:
        schema = str(parsed.query.get("schema") or schema)
        parsed = parsed.difference_update_query(["schema"]).set(drivername="postgresql")
    return {
        "name": _APP,
        "system_database_url": parsed.render_as_string(hide_password=False),
        "dbos_system_schema": schema,
        "application_version": VERSION,
        "executor_id": executor,
        "log_level": "ERROR",
        "use_listen_notify": False,
        "sys_db_pool_size": 4,
    }


def _write_ahead(path: Path) -> None:
    """A log beside the file, once for all: without it every reader would wait for every writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").close()


__all__ = ["VERSION", "Handlers", "Outcome", "Queue", "check_url"]
