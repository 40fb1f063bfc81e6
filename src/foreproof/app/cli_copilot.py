"""The commands of the copilot: what a run says, in words, each sentence with its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foreproof.app.cli_runs import Folder
from foreproof.app.commands import out
from foreproof.app.copilot import explain_run, summarize_run
from foreproof.app.llm_settings import talker_of
from foreproof.app.project import open_project
from foreproof.explain.copilot import Exchange

Run = Annotated[str, typer.Option(help="a run, or the beginning of its id; else the newest whole one")]

copilot_app = typer.Typer()


@copilot_app.command()
def explain(
    subject: Annotated[
        str, typer.Argument(metavar="[SUBJECT]", help='a series, or a pair as "account / group"; else the whole run')
    ] = "",
    question: Annotated[str, typer.Option(help="what to answer; else the subject is explained")] = "",
    run: Run = "",
    project: Folder = Path(),
) -> None:
    """Say what a run says of a series or pair, or answer a question; each sentence stands on facts that are named."""
    _print(explain_run(open_project(project), run, subject=subject, question=question, talker=talker_of(project)))


@copilot_app.command()
def summarize(run: Run = "", project: Folder = Path()) -> None:
    """Sum a run up: proof, what is expected, what stands out, what to do, how good it was."""
    _print(summarize_run(open_project(project), run, talker=talker_of(project)))


def _print(said: Exchange) -> None:
    for sentence in said.sentences:
        cited = f"  [{', '.join(sentence.facts)}]" if sentence.facts else ""
        out.print(f"{sentence.text}{cited}", markup=False, highlight=False)
    for fact in said.facts:
        out.print(f"  {fact.id}  {fact.what}: sha256 {fact.source[:16]}", markup=False, highlight=False, style="dim")
    by = {"model": f"written by {said.model}", "writer": "written from the facts", "refused": "refused"}[said.writer]
    again = (
        f"; the model's answers did not pass: {said.problems[0]}" if said.problems and said.writer == "writer" else ""
    )
    out.print(f"({by}, prompt {said.prompt}{again})", markup=False, highlight=False, style="dim")


__all__ = ["copilot_app"]
