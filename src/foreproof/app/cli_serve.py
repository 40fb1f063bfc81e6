"""The commands of the service."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated, Any

import typer

from foreproof.errors import BadInput, MissingExtra

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PATIENCE = 30
"""Seconds that calls under way have to finish in."""
serve_app = typer.Typer()
HomeFolder = Annotated[Path, typer.Argument(metavar="[HOME]", help="a project, or a folder of projects")]


@serve_app.command("serve")
def serve(
    home: HomeFolder = Path(),
    host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="the port to listen on")] = 8765,
    only: Annotated[list[str] | None, typer.Option(help="one part of the API alone; may come again")] = None,
) -> None:
    """Serve what was published over HTTP, with proof beside every answer."""
    try:
        import uvicorn

        from foreproof.app.api import logs
        from foreproof.app.api.app import create_app
        from foreproof.app.api.routes import need_projects
    except ModuleNotFoundError as error:
        raise MissingExtra("serve", found=f"no module {error.name}", fix="pip install 'foreproof[serve]'") from None
    from foreproof.app.home import open_home

    if not 0 < port < 65536:
        raise BadInput("--port", found=str(port), wanted="1 to 65535")
    opened = open_home(home, projects=need_projects(only or ()))
    logs.configure(opened.settings.log)
    app = create_app(opened, only=only or (), local=host in _LOOPBACK)
    # What was made until now lives as long as the service: the collector need not walk through it during answers.
    gc.collect()
    gc.freeze()
    # A body of ten thousand items is a hundred thousand objects: at Python's own threshold, a third of such an answer's time.
    gc.set_threshold(100_000, 20, 20)
    print(f"serving on http://{host}:{port}/api/v1 (docs: http://{host}:{port}/api/v1/docs)", flush=True)
    logs.say("serving", host=host, port=port)
    # Told to end, it takes no more calls, finishes those under way, writes usage down and closes its stores.
    how: dict[str, Any] = {
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": _PATIENCE,
    }
    uvicorn.run(app, host=host, port=port, **how)


__all__ = ["serve_app"]
