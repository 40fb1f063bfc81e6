"""The commands of runs and of the log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foreproof.app import commands_runs

Folder = Annotated[Path, typer.Option("--project", "-C", help="the folder that holds foreproof.yaml")]

runs_app = typer.Typer(no_args_is_help=True, help="Look at runs and repeat them.")
log_app = typer.Typer(no_args_is_help=True, help="Verify the log, and prove what is in it.")


@runs_app.command("list")
def runs_list(project: Folder = Path()) -> None:
    """Every run of the project, oldest first."""
    commands_runs.runs_list(project)


@runs_app.command("show")
def runs_show(run: Annotated[str, typer.Argument()], project: Folder = Path()) -> None:
    """One run: plan, data, scores, verdicts, and whether its files are as logged."""
    raise typer.Exit(commands_runs.runs_show(project, run))


@runs_app.command("repeat")
def runs_repeat(run: Annotated[str, typer.Argument()], project: Folder = Path()) -> None:
    """Make a run again from its plan and data versions, and compare every digest."""
    raise typer.Exit(commands_runs.runs_repeat(project, run))


@runs_app.command("diff")
def runs_diff(
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str, typer.Argument(metavar="B")],
    project: Folder = Path(),
) -> None:
    """What changed from run A to run B, and by how much: plan, data, scores, verdicts, features, forecasts, orders."""
    commands_runs.runs_diff(project, first, second)


@runs_app.command("restore")
def runs_restore(run: Annotated[str, typer.Argument()], project: Folder = Path()) -> None:
    """Verify an earlier proven run and make it the served one again."""
    commands_runs.runs_restore(project, run)


@runs_app.command("override")
def runs_override(
    run: Annotated[str, typer.Argument()],
    name: Annotated[str, typer.Option(help="Who answers for it.")],
    reason: Annotated[str, typer.Option(help="Why it is served all the same.")],
    project: Folder = Path(),
) -> None:
    """Serve a run without a passing proof; name and reason go into the log and stand beside every answer."""
    commands_runs.runs_override(project, run, name=name, reason=reason)


@runs_app.command("mirror")
def runs_mirror(run: Annotated[str, typer.Argument()], project: Folder = Path()) -> None:
    """Write a recorded run to the MLflow that FOREPROOF_MLFLOW names; whole runs go there by themselves."""
    commands_runs.runs_mirror(project, run)


@log_app.command("verify")
def log_verify(
    project: Folder = Path(),
    checkpoint: Annotated[list[Path] | None, typer.Option(help="a checkpoint that was kept elsewhere")] = None,
) -> None:
    """Check the whole log, every checkpoint and every run's files."""
    raise typer.Exit(commands_runs.log_verify(project, checkpoint or []))


@log_app.command("checkpoint")
def log_checkpoint(project: Folder = Path()) -> None:
    """Sign the log as it is, and print the checkpoint."""
    commands_runs.log_checkpoint(project)


@log_app.command("prove-inclusion")
def log_prove_inclusion(index: Annotated[int, typer.Argument(min=0)], project: Folder = Path()) -> None:
    """Prove that a leaf is in the log."""
    commands_runs.log_prove_inclusion(project, index)


@log_app.command("prove-consistency")
def log_prove_consistency(size: Annotated[int, typer.Argument(min=0)], project: Folder = Path()) -> None:
    """Prove that the log of today extends the one of a given size."""
    commands_runs.log_prove_consistency(project, size)


@log_app.command("rotate-key")
def log_rotate_key(project: Folder = Path()) -> None:
    """Put a new signing key in force; the old one signs it into the log."""
    commands_runs.log_rotate_key(project)


__all__ = ["Folder", "log_app", "runs_app"]
