"""What the commands of runs, cards and the log do and print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from rich.table import Table as Grid

from foreproof.app import cards, history
from foreproof.app.commands import err, out, print_frame
from foreproof.app.diff import diff
from foreproof.app.diff_page import write_diff
from foreproof.app.progress import Terminal
from foreproof.app.project import open_project
from foreproof.app.serving import override, restore, served, served_words

_SHOWN = 20


def runs_list(folder: Path) -> None:
    """Print one line a run."""
    project = open_project(folder)
    now = served(project)
    table = Grid("run", "status", "served", "made", "tag", "stage", "WAPE", "page")
    for manifest in history.manifests(project):
        wape = manifest.get("scores", {}).get("wape")
        shown = f"{wape:.3f}" if isinstance(wape, float) else ""
        made = str(manifest["finished"])[:19]
        page = f"runs/{manifest['run']}/index.html"
        mark = ("override" if served_words(now) else "served") if now and now["run"] == manifest["run"] else ""
        table.add_row(manifest["run"], manifest["status"], mark, made, manifest["tag"], manifest["stage"], shown, page)
    out.print(table)
    if served_words(now):
        out.print(served_words(now), markup=False)


def runs_show(folder: Path, run_id: str) -> int:
    """Print one run and whether its files are as logged; 1 where they are not."""
    project = open_project(folder)
    manifest = history.manifest(project, run_id)
    shown = (
        "run",
        "status",
        "name",
        "tag",
        "parent",
        "cutoff",
        "plan",
        "seed",
        "data",
        "scores",
        "started",
        "finished",
    )
    for name in shown:
        out.print(f"{name:>9}  {manifest.get(name)}", markup=False)
    for verdict in manifest["verdicts"]:
        out.print(f"  {verdict['name']}: {verdict['outcome']}. {verdict['words']}", markup=False)
    return _print_faults(history.verify(project, run=run_id))


def runs_repeat(folder: Path, run_id: str) -> int:
    """Make a run again and compare; 1 where a digest differs."""
    with Terminal(err) as progress:
        found = history.repeat(open_project(folder), run_id, progress=progress)
    differing = [name for name, (before, after) in found.items() if before != after]
    for name in differing:
        before, after = found[name]
        out.print(f"differs: {name}: {before} then, {after} now", markup=False)
    out.print(f"{len(found) - len(differing)} of {len(found)} digests equal")
    return 1 if differing else 0


def cards_show(folder: Path, run_id: str, *, group: str) -> None:
    """Print a model card: how the model was made, what past cutoffs showed, what it cannot do."""
    card = cards.shown(open_project(folder), run_id, group)
    out.print(
        f"{card['name']}{': ' + card['group'] if card['group'] else ''} ({card['badge']}, {card['status']})",
        markup=False,
    )
    out.print(card["intended"], markup=False)
    for name, words in card["made"].items():
        out.print(f"{name:>12}  {words}", markup=False)
    figures = [{name: one[name] for name in ("name", "value", "low", "high", "n")} for one in card["figures"]]
    print_frame(pl.DataFrame(figures, infer_schema_length=None), title="what past cutoffs showed")
    for words in card["limits"]:
        out.print(f"limit: {words}", markup=False)


def runs_diff(folder: Path, first: str, second: str) -> None:
    """Say what changed between two runs, and write a page about it."""
    project = open_project(folder)
    found = diff(project, first, second)
    for line in found.words:
        out.print(line, markup=False)
    for name in ("settings", "data", "verdicts", "scores", "forecasts", "orders", "features", "environment"):
        frame = getattr(found, name)
        if frame.height:
            print_frame(frame.head(_SHOWN), title=name if frame.height <= _SHOWN else f"{name}: first {_SHOWN}")
    out.print(f"page: {write_diff(project, found).resolve()}", markup=False)


def runs_restore(folder: Path, run_id: str) -> None:
    """Verify an earlier proven run and serve it again."""
    now = restore(open_project(folder), run_id)
    out.print(
        f"run {now['run']} is served again (before: {now['previous'] or 'none'}); leaf {now['leaf']} of the log says so"
    )


def runs_override(folder: Path, run_id: str, *, name: str, reason: str) -> None:
    """Serve a run without a passing proof, by a name and for a reason."""
    now = override(open_project(folder), run_id, name=name, reason=reason)
    out.print(f"run {now['run']} is {served_words(now)}", markup=False)


def runs_mirror(folder: Path, run_id: str) -> None:
    """Write a recorded run to MLflow."""
    out.print(f"MLflow run {history.mirror_run(open_project(folder), run_id)}", markup=False)


def log_verify(folder: Path, checkpoints: Sequence[Path]) -> int:
    """Check log, checkpoints and all runs; 1 where something does not hold."""
    return _print_faults(history.verify(open_project(folder), checkpoints=checkpoints))


def log_checkpoint(folder: Path) -> None:
    """Sign and print."""
    print(open_project(folder).ledger.checkpoint(), end="")


def log_prove_inclusion(folder: Path, index: int) -> None:
    """Print the proof as JSON."""
    print(history.proof_text(open_project(folder).ledger.prove_inclusion(index)))


def log_prove_consistency(folder: Path, size: int) -> None:
    """Print the proof as JSON."""
    print(history.proof_text(open_project(folder).ledger.prove_consistency(size)))


def log_rotate_key(folder: Path) -> None:
    """Rotate, sign a checkpoint under the new key, and say so."""
    ledger = open_project(folder).ledger
    out.print(f"new key in force: {ledger.rotate().text}", markup=False)
    ledger.checkpoint()


def _print_faults(faults: Sequence[str]) -> int:
    for fault in faults:
        out.print(f"does not hold: {fault}", markup=False)
    if not faults:
        out.print("all holds: leaves, checkpoints and files are as logged")
    return 1 if faults else 0


__all__ = [
    "cards_show",
    "log_checkpoint",
    "log_prove_consistency",
    "log_prove_inclusion",
    "log_rotate_key",
    "log_verify",
    "runs_diff",
    "runs_list",
    "runs_mirror",
    "runs_override",
    "runs_repeat",
    "runs_restore",
    "runs_show",
]
