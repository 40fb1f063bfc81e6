"""Progress on the terminal: what is being done, how much of it, and for how long."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

WORDS = {
    "check": "reading sources, contracts, preflight",
    "load": "loading facts",
    "fit": "fitting models",
    "prove": "checks, each beside a planted fault",
    "promotions": "counting promotions",
    "spill": "splitting facts into chunks",
    "chunks": "forecasting chunks",
}


class Terminal:
    """Bars on standard error, one a stage; implements `core.ports.Progress`."""

    def __init__(self, console: Console) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bars = Bars(*columns, console=console)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` pieces; one with nothing to do leaves the bar before it in place."""
        if total:
            self._task = self._bars.add_task(WORDS.get(name, name), total=total)

    def advance(self, n: int = 1) -> None:
        """N more pieces of the stage are done."""
        if self._task is not None:
            self._bars.advance(self._task, n)


class Silent:
    """No progress: for tests and for calls from Python."""

    def stage(self, name: str, total: int) -> None:
        """Nothing."""

    def advance(self, n: int = 1) -> None:
        """Nothing."""


__all__ = ["Silent", "Terminal"]
