"""Verdicts for readers: one table in the terminal, groups for the pages, and the exit code of those that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table as Grid

from foreproof.core.trial import Verdict

_STYLE = {"passed": "green", "failed": "red", "not proven": "yellow", "not applicable": "dim"}
_LEAST = 1e-4


def verdict_grid(verdicts: Sequence[Verdict]) -> Grid:
    """One line a verdict, with its planted fault and what came of it; a warning stands under what was found."""
    table = Grid("check", "verdict", "what was found", "planted fault", title="Proof")
    for verdict in verdicts:
        style = _STYLE[verdict.outcome]
        words = escape(verdict.words) + (f"\n[yellow]warning: {escape(verdict.warning)}[/]" if verdict.warning else "")
        table.add_row(verdict.name, f"[{style}]{verdict.outcome}[/]", words, fault_words(verdict))
    return table


def fault_words(verdict: Verdict) -> str:
    """`peek: caught`; `-` where the fault was not tried, because the check did not run or the data cannot answer it."""
    if verdict.control_caught is None:
        return "-"
    return f"{verdict.control}: {'caught' if verdict.control_caught else 'NOT caught'}"


def summary_words(verdicts: Sequence[Verdict]) -> str:
    """How many passed, how many planted faults were caught, and what is left, in one line."""
    outcomes = [verdict.outcome for verdict in verdicts]
    tried = [verdict.control_caught for verdict in verdicts if verdict.control_caught is not None]
    unrun = sum(not ran(verdict) for verdict in verdicts)
    words = f"{outcomes.count('passed')} of {len(verdicts)} checks passed; {sum(tried)} of {len(tried)} planted faults caught."
    if failed := outcomes.count("failed"):
        words += f" {failed} failed."
    if idle := outcomes.count("not applicable"):
        words += f" {idle} not applicable: the data cannot answer {'it' if idle == 1 else 'them'}."
    return words + (f" {unrun} did not run." if unrun else "")


def ran(verdict: Verdict) -> bool:
    """Whether the check ran at all: switched off, or not asked for, it did not."""
    return verdict.evidence.get("ran") is not False


def grouped(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Groups of a long table, each `title`, `open`, `rows`: what did not pass first, then each tier, the statistical folded.

    A row holds plain words: see `row_of`. What is first is not said again below.
    """
    loud = sorted((one for one in verdicts if _loud(one)), key=lambda one: one.outcome != "failed")
    quiet = [one for one in verdicts if ran(one) and not _loud(one)]
    parts = [
        ("Did not pass: read these first", True, loud),
        ("Structural: exact, no tolerance", True, [one for one in quiet if one.tier == "structural"]),
        ("Statistical: a stated rate of error", False, [one for one in quiet if one.tier == "statistical"]),
        ("Did not run", False, [one for one in verdicts if not ran(one)]),
    ]
    return [
        {"title": f"{title} ({_counts(held)})", "open": is_open, "rows": [row_of(one) for one in held]}
        for title, is_open, held in parts
        if held
    ]


def _loud(verdict: Verdict) -> bool:
    return ran(verdict) and verdict.outcome in ("failed", "not proven")


def _counts(verdicts: Sequence[Verdict]) -> str:
    outcomes = [verdict.outcome for verdict in verdicts]
    told = [f"{outcomes.count(one)} {one}" for one in dict.fromkeys(sorted(outcomes, key=list(_STYLE).index))]
    warned = sum(bool(verdict.warning) for verdict in verdicts)
    return ", ".join([*told, *([f"{warned} with a warning"] if warned else [])])


def row_of(verdict: Verdict) -> dict[str, Any]:
    """A verdict as words for a page: `name`, `outcome`, `badge` (a class of CSS), `tier`, `words`, `warning`, `fault` (its name),
    `caught` (None where it was not tried), `figure`, `limit`, `p`, `p_holm`; what is not there is `-`.
    """
    return {
        "name": verdict.name,
        "outcome": verdict.outcome,
        "badge": verdict.outcome.replace(" ", "-"),
        "tier": verdict.tier,
        "words": verdict.words,
        "warning": verdict.warning,
        "fault": verdict.control if verdict.control_caught is not None else "-",
        "caught": verdict.control_caught,
        "figure": number(verdict.figure),
        "limit": number(verdict.limit),
        "p": chance(verdict.p if verdict.p is not None else verdict.evidence.get("p_signal")),
        "p_holm": chance(verdict.evidence.get("p_holm")),
    }


def number(value: float | None) -> str:
    """A figure in up to three digits."""
    return "-" if value is None or value != value else f"{value:.3g}"


def chance(p: float | None) -> str:
    """A p in two digits, `< 0.0001` for a very small one."""
    if p is None or p != p:
        return "-"
    return f"< {_LEAST:g}" if p < _LEAST else f"{p:.2g}"


def differs(verdict: Verdict) -> list[tuple[str, str]]:
    """What a check that failed found, as pairs of name and words: feature, first row, cutoff, both values, when it knew."""
    found = verdict.evidence
    named = "feature" if found.get("part", "features") == "features" else "column"
    labels = (("part", "what differs"), ("column", named), ("feature", "feature"))
    told = [(label, str(found[key])) for key, label in labels if isinstance(found.get(key), str)]
    row = found.get("row")
    if isinstance(row, Mapping):
        told.append(("first row", ", ".join(f"{name} {value}" for name, value in row.items())))
    if "cutoff" in found and not (isinstance(row, Mapping) and "cutoff" in row):
        told.append(("cutoff", str(found["cutoff"])))
    values = found.get("values")
    if isinstance(values, Sequence) and len(values) == 2:
        told.append(("both values", f"{values[0]} against {values[1]}"))
    if isinstance(found.get("rows"), int) and verdict.tier == "structural":
        told.append(("rows that differ", f"{found['rows']:,}"))
    if "knew" in found:
        told.append(("knew rows up to", str(found["knew"])))
    if verdict.outcome == "failed" and isinstance(found.get("ways"), Sequence):
        told.append(("when later rows are", ", ".join(found["ways"])))
    return told


def exit_code(verdicts: Sequence[Verdict], only: Sequence[str] = ()) -> int:
    """1 where a check that was asked for (all, or those named) failed or proved nothing, or where none of them could judge.

    What is not applicable does not count, as in a run's status.
    """
    asked = {verdict.outcome for verdict in verdicts if not only or verdict.name in only}
    return int(bool(asked) and asked - {"not applicable"} != {"passed"})


__all__ = [
    "chance",
    "differs",
    "exit_code",
    "fault_words",
    "grouped",
    "number",
    "ran",
    "row_of",
    "summary_words",
    "verdict_grid",
]
