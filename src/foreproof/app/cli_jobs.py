"""The commands of workers and jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreproof.errors import MissingExtra

if TYPE_CHECKING:
    from foreproof.adapters.service.jobs import Job
    from foreproof.adapters.service.store import ServiceStore

worker_app = typer.Typer()
jobs_app = typer.Typer(no_args_is_help=True, help="Look at jobs and stop them.")
HomeFolder = Annotated[Path, typer.Argument(metavar="[HOME]", help="a project, or a folder of projects")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="its id, or the beginning of it")]
Tenant = Annotated[str, typer.Option(help="whose jobs")]


@worker_app.command("worker")
def worker(
    home: HomeFolder = Path(),
    slots: Annotated[int, typer.Option(help="jobs at a time")] = 1,
    name: Annotated[
        str, typer.Option(help="under which its slots are found again; the machine's name without it")
    ] = "",
) -> None:
    """Do jobs and what schedules ask for, until it is told to stop; what is killed goes on where it was."""
    try:
        from foreproof.app.jobs.supervisor import supervise
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    from foreproof.app.home import open_home

    raise typer.Exit(supervise(open_home(home), slots=slots, name=name))


@jobs_app.command("list")
def jobs_list(
    home: HomeFolder = Path(),
    tenant: Tenant = "local",
    limit: Annotated[int, typer.Option(help="how many, newest first")] = 20,
) -> None:
    """The newest jobs of a tenant, with how they ended."""
    import polars as pl

    from foreproof.adapters.service import jobs
    from foreproof.app.commands import print_frame

    found, total = jobs.page(_store(home), tenant, limit=max(1, limit))
    rows = [(one.id, one.project, one.kind, one.status, one.by, one.created, one.finished) for one in found]
    columns = ("job", "project", "kind", "status", "by", "created", "finished")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    print_frame(frame, title=f"{len(found)} of {total} jobs")


@jobs_app.command("show")
def jobs_show(job: JobId, home: HomeFolder = Path(), tenant: Tenant = "local") -> None:
    """One job: what was asked, its steps with their costs, and what it said."""
    from foreproof.adapters.service import jobs
    from foreproof.app.commands import out

    store = _store(home)
    found = _find(store, tenant, job)
    out.print(f"job {found.id}: {found.kind} of {found.project}, {found.status}", markup=False)
    for one in jobs.events(store, tenant, found.id):
        said = {name: value for name, value in one.items() if name not in ("n", "at", "event")}
        words = said["line"] if one["event"] == "log" else " ".join(f"{name}={value}" for name, value in said.items())
        out.print(f"{one['at']} {one['event']}: {words}", markup=False, highlight=False)
    if found.error is not None:
        out.print(f"error: {found.error}", markup=False, highlight=False)


@jobs_app.command("cancel")
def jobs_cancel(job: JobId, home: HomeFolder = Path(), tenant: Tenant = "local") -> None:
    """Stop a job: one that waits at once, one that runs within a second; what its finished steps did stays."""
    from foreproof.adapters.service import jobs
    from foreproof.app.commands import out

    store = _store(home)
    found = jobs.cancel(store, tenant, _find(store, tenant, job).id, datetime.now(UTC))
    out.print(f"job {found.id}: {found.status if found.ended else 'stopping'}", markup=False)


def _store(home: Path) -> ServiceStore:
    try:
        from foreproof.adapters.service.migrate import open_store
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    from foreproof.app.home import open_home

    return open_store(open_home(home).settings.store)


def _find(store: ServiceStore, tenant: str, job: str) -> Job:
    """A job by its id or the only one, among the newest, that begins so. Raises NotFound."""
    from foreproof.adapters.service import jobs

    begin = [one for one in jobs.page(store, tenant, limit=1000)[0] if one.id.startswith(job)]
    return begin[0] if len(begin) == 1 else jobs.find(store, tenant, job)


def _missing(error: ModuleNotFoundError) -> MissingExtra:
    return MissingExtra("serve", found=f"no module {error.name}", fix="pip install 'foreproof[serve]'")


__all__ = ["jobs_app", "worker_app"]
