"""The commands of tenants: keys, usage, and the tables of the service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from foreproof.app.home import LOCAL, open_home
from foreproof.errors import BadInput, MissingExtra, NotFound

if TYPE_CHECKING:
    from foreproof.adapters.service.store import ServiceStore

HomeFolder = Annotated[Path, typer.Argument(metavar="[HOME]", help="a project, or a folder of projects")]
Tenant = Annotated[str, typer.Option(help="whose")]
Named = Annotated[str, typer.Option("--id", help="the id of a key: what stands between its first and second _")]
keys_app = typer.Typer(no_args_is_help=True, help="API keys of tenants.")
operations_app = typer.Typer()


@keys_app.command("create")
def keys_create(
    home: HomeFolder = Path(),
    tenant: Tenant = LOCAL,
    role: Annotated[str, typer.Option(help="reader, analyst or admin")] = "reader",
    name: Annotated[str, typer.Option(help="what it is for")] = "made on the command line",
    days: Annotated[int, typer.Option(help="days until it expires; 0 for never", min=0, max=36500)] = 0,
) -> None:
    """Make a key and print it, this once."""
    from foreproof.adapters.service.keys import create_key

    opened = open_home(home)
    opened.root(tenant)
    if tenant not in opened.tenants():
        wanted = ", ".join(opened.tenants())
        raise NotFound(f"tenant {tenant}", found="no folder", wanted=wanted, fix=f"put projects into tenants/{tenant}")
    now = datetime.now(UTC)
    with _store(home) as (store, secret):
        terms = {"tenant": tenant, "name": name, "role": role}
        expires = now + timedelta(days=days) if days else None
        key, text = create_key(store, secret, terms=terms, now=now, expires=expires)
    _show(key.id, text)


@keys_app.command("list")
def keys_list(
    home: HomeFolder = Path(), tenant: Annotated[str, typer.Option(help="whose; all without it")] = ""
) -> None:
    """Every key: whose, for what, in which state, and when it was last used."""
    from foreproof.adapters.service.keys import list_keys

    now, table = datetime.now(UTC), Table(box=None, pad_edge=False)
    for column in ("id", "tenant", "role", "state", "name", "created", "expires", "used"):
        table.add_column(column)
    with _store(home) as (store, _):
        for key in list_keys(store, tenant or None):
            times = (f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (key.created, key.expires, key.used))
            table.add_row(key.id, key.tenant, key.role, key.state(now), key.name, *times)
    Console().print(table)


@keys_app.command("rotate")
def keys_rotate(
    key_id: Named,
    home: HomeFolder = Path(),
    tenant: Tenant = LOCAL,
    grace: Annotated[int, typer.Option(help="minutes for which the old key goes on", min=0, max=10080)] = 60,
) -> None:
    """Make another key in the place of one, and print it, this once."""
    from foreproof.adapters.service.keys import rotate_key

    with _store(home) as (store, secret):
        later = timedelta(minutes=grace)
        key, text = rotate_key(store, secret, tenant=tenant, key_id=key_id, now=datetime.now(UTC), grace=later)
    _show(key.id, text)


@keys_app.command("revoke")
def keys_revoke(key_id: Named, home: HomeFolder = Path(), tenant: Tenant = LOCAL) -> None:
    """Close a key for good; a running service knows within five seconds."""
    from foreproof.adapters.service.keys import revoke_key

    with _store(home) as (store, _):
        key = revoke_key(store, tenant=tenant, key_id=key_id, now=datetime.now(UTC))
    print(f"revoked {key.id} ({key.name})")


@operations_app.command("migrate")
def migrate(
    home: HomeFolder = Path(),
    to: Annotated[str, typer.Option(help="head, base, or a revision such as 0001")] = "head",
) -> None:
    """Bring the service's tables to a revision, up or down; serve and worker go up by themselves."""
    from foreproof.adapters.service.migrate import migrate as bring
    from foreproof.adapters.service.store import ServiceStore

    store = ServiceStore(open_home(home).settings.store)
    try:
        before, after = bring(store, to=to)
    except ModuleNotFoundError as error:
        raise _extra(error) from None
    finally:
        store.close()
    print(f"{before} -> {after}" if before != after else f"at {after} already")


@operations_app.command("usage")
def usage(
    home: HomeFolder = Path(),
    tenant: Annotated[str, typer.Option(help="whose; all without it")] = "",
    start: Annotated[str, typer.Option("--from", help="a date or instant; 30 days before --to without it")] = "",
    end: Annotated[str, typer.Option("--to", help="a date or instant; now without it")] = "",
    by: Annotated[str, typer.Option(help="call, job, day or tenant")] = "call",
    as_what: Annotated[str, typer.Option("--format", help="text or csv")] = "text",
) -> None:
    """What tenants used, and what it costs."""
    from foreproof.app.prices import Span, as_csv, priced, read_prices

    for name, given, allowed in (
        ("--by", by, ("call", "job", "day", "tenant")),
        ("--format", as_what, ("text", "csv")),
    ):
        if given not in allowed:
            raise BadInput(name, found=repr(given), wanted=", ".join(allowed))
    prices, span = read_prices(open_home(home).settings.prices), Span.parsed(start, end)
    with _store(home) as (store, _):
        found = priced(store, prices, tenant=tenant or None, span=span, by=by)  # type: ignore[arg-type]
    if as_what == "csv":
        print(as_csv(found["rows"]), end="")
        return
    table = Table(box=None, pad_edge=False)
    shown = ["tenant", *(n for n in ("kind", "name", "job", "day") if any(n in row for row in found["rows"]))]
    numbers = ("calls", "cpu_seconds", "bytes_scanned", "rows_predicted", "price")
    for column in (*shown, *numbers):
        table.add_column(column, justify="right" if column in numbers else "left")
    for row in (*found["rows"], {"tenant": "total", **found["totals"]}):
        table.add_row(*(str(row.get(name, "")) for name in shown), *(f"{row[name]:,.6g}" for name in numbers))
    Console().print(table)


class _store:  # noqa: N801 - it is used like a function
    """The store and the secret of a home, for a block."""

    def __init__(self, home: Path) -> None:
        self._home = open_home(home)

    def __enter__(self) -> tuple[ServiceStore, bytes]:
        from foreproof.adapters.service.migrate import open_store
        from foreproof.adapters.service.secret import key_secret

        secret = key_secret(self._home.settings.key_secret, self._home.inside / "keys" / "api.secret")
        try:
            self._opened = open_store(self._home.settings.store)
        except ModuleNotFoundError as error:
            raise _extra(error) from None
        return self._opened, secret

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def _extra(error: ModuleNotFoundError) -> MissingExtra:
    return MissingExtra("service store", found=f"no module {error.name}", fix="pip install 'foreproof[serve]'")


def _show(key_id: str, text: str) -> None:
    print(text)
    Console(stderr=True).print(f"key {key_id}; it is shown this once, and only its hash is kept", soft_wrap=True)


__all__ = ["keys_app", "operations_app"]
