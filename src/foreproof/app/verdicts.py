"""Verdicts in the terminal: one table, and the exit code that follows from those that were asked for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table as Grid

from foreproof.core.trial import Verdict

_STYLE = {"passed": "green", "failed": "red", "not proven": "yellow"}


def verdict_grid(verdicts: Sequence[Verdict]) -> Grid:
    """One line a verdict, with its planted fault and what came of it; a warning stands under what was found."""
    table = Grid("check", "verdict", "what was found", "planted fault", title="Proof")
    for verdict in verdicts:
        style = _STYLE[verdict.outcome]
        words = escape(verdict.words) + (f"\n[yellow]warning: {escape(verdict.warning)}[/]" if verdict.warning else "")
        table.add_row(verdict.name, f"[{style}]{verdict.outcome}[/]", words, fault_words(verdict))
    return table


def fault_words(verdict: Verdict) -> str:
    """`peek: caught`; of a check that did not run, nothing."""
    if verdict.control_caught is None:
        return ""
    return f"{verdict.control}: {'caught' if verdict.control_caught else 'NOT caught'}"


def exit_code(verdicts: Sequence[Verdict], only: Sequence[str] = ()) -> int:
    """1 where a check that was asked for (all, or those named) did not pass."""
    return int(any(verdict.outcome != "passed" for verdict in verdicts if not only or verdict.name in only))


__all__ = ["exit_code", "fault_words", "verdict_grid"]
