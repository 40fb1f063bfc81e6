"""The program's start: a service imports what it serves with, every other command the whole command line.

The command line brings models, gauntlet and features along: seconds and a hundred megabytes that a service, which reads what was
published, does not need.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from foreproof.errors import ForeproofError

SERVE = "serve"


def main() -> None:
    """The entry point `foreproof`."""
    if sys.argv[1:2] != [SERVE]:
        from foreproof.app.cli import main as every_command

        every_command()
        return
    import typer

    from foreproof.app.cli_serve import serve_app

    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.callback()(_program)
    app.add_typer(serve_app)
    answering(lambda: app(prog_name="foreproof"), stopped="stopped")


def answering(program: Callable[[], object], *, stopped: str) -> None:
    """Run a program: errors of ours become one line and an exit code. stopped: what Ctrl-C says."""
    try:
        program()
    except ForeproofError as error:
        print(f"error: {error}", file=sys.stderr)
        for note in getattr(error, "__notes__", ()):
            print(f"  {note}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        sys.exit(130)


def _program() -> None:
    """Keep `serve` a command of the program, where it is the only one."""


if __name__ == "__main__":
    main()

__all__ = ["SERVE", "answering", "main"]
