"""The command that shows the pages: a Streamlit of its own process, which talks to the API alone."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from foreproof.app.configuration import merged
from foreproof.errors import BadInput, MissingExtra

ui_app = typer.Typer()
URL = "FOREPROOF_API_URL"
_OPTIONS = (
    ("server.headless", "true"),
    ("server.fileWatcherType", "none"),
    ("browser.gatherUsageStats", "false"),
    ("client.toolbarMode", "minimal"),
    ("client.showErrorDetails", "none"),
    # Okabe and Ito's colours, which people with any colour vision tell apart; light and dark follow the reader's system.
    ("theme.light.primaryColor", "#0072B2"),
    ("theme.light.blueColor", "#0072B2"),
    ("theme.light.greenColor", "#007A5A"),
    ("theme.light.redColor", "#B84A00"),
    ("theme.light.orangeColor", "#8F6200"),
    ("theme.dark.primaryColor", "#56B4E9"),
    ("theme.dark.blueColor", "#56B4E9"),
    ("theme.dark.greenColor", "#2BC49B"),
    ("theme.dark.redColor", "#F0834A"),
    ("theme.dark.orangeColor", "#E69F00"),
)


@ui_app.command("ui")
def ui(
    host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="the port to listen on")] = 8501,
    api: Annotated[
        str, typer.Option(help="where foreproof serve answers; else FOREPROOF_API_URL, else this machine's port 8765")
    ] = "",
) -> None:
    """Show the pages in a browser; they talk to a running `foreproof serve`, with the key in FOREPROOF_API_KEY."""
    for module in ("streamlit", "httpx"):
        if find_spec(module) is None:
            raise MissingExtra("ui", found=f"no module {module}", fix="pip install 'foreproof[ui]'")
    if not 0 < port < 65536:
        raise BadInput("--port", found=str(port), wanted="1 to 65535")
    main = find_spec("foreproof.ui.main")
    if main is None or main.origin is None:
        raise MissingExtra("ui", found="no pages in this installation", fix="pip install 'foreproof[ui]'")
    # The key stands in the environment alone, and reaches the pages with it; the address may stand in a settings file.
    address = api or merged(Path(), os.environ).get(URL, "")
    environment = {**os.environ, **({URL: address} if address else {})}
    options = [word for name, value in _OPTIONS for word in (f"--{name}", value)]
    listening = ["--server.address", host, "--server.port", str(port)]
    print(f"pages on http://{host}:{port}", flush=True)
    command = [sys.executable, "-m", "streamlit", "run", main.origin, *listening, *options]
    try:
        code = subprocess.run(command, env=environment, check=False).returncode
    except KeyboardInterrupt:
        code = 0
    raise typer.Exit(code)


__all__ = ["URL", "ui_app"]
