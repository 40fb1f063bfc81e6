"""The command that looks after what is served."""

from __future__ import annotations

from pathlib import Path

import typer

from foreproof.app.cli_runs import Folder

watch_app = typer.Typer()


@watch_app.command("watch")
def watch(project: Folder = Path()) -> None:
    """Score what was served by what came of it, and say where it leaves the plan's thresholds: then the exit code is 1."""
    from foreproof.app.commands_watch import show_watch

    raise typer.Exit(show_watch(project))


__all__ = ["watch_app"]
