"""`foreproof prove --ci`: the exact checks on every push, in one line a fault, and an exit code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from foreproof.app import serving
from foreproof.app.cards import read_cards
from foreproof.app.commands import err, out
from foreproof.app.progress import Terminal
from foreproof.app.project import open_project
from foreproof.app.runner import Outcome, execute
from foreproof.core.trial import Kind, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.registry import REGISTRY, entries, names_of

CARDS = "cards"
FAIL_ON = ("permutation", "base rate", CARDS)
"""What `--fail-on` knows beside the structural tier: shuffled labels that do as well (p above .01), a censored hold-out or a base
rate out of bounds, and a model without a card."""


def prove_ci(
    folder: Path, *, fail_on: Sequence[str] = (), horizon: int | None = None, tag: str = "", parent: str = ""
) -> int:
    """Prove the structural tier and what `fail_on` names, print a line for each fault; 1 where there is one, 2 for bad input.

    Such a run leaves out checks, so it is never proven and never served.
    """
    for name in fail_on:
        if name not in FAIL_ON:
            raise BadInput("--fail-on", found=repr(name), wanted=f"some of {', '.join(FAIL_ON)}")
    project = open_project(folder).having(horizon=horizon)
    own = [
        name
        for name, one in entries(project.science.proof).items()
        if name not in REGISTRY and one.tier == "structural"
    ]
    asked = (*names_of(_kind(project.plan.workload), "structural"), *own, *(name for name in fail_on if name != CARDS))
    project = project.having(proof={**(project.plan.values.get("proof") or {}), "only": list(asked)})
    with Terminal(err) as progress:
        outcome = execute(project, progress=progress, until="prove", tag=tag, parent=parent)
    for error in (*outcome.work.problems, *((outcome.error,) if outcome.error else ())):
        err.print(f"error: {error}", markup=False, highlight=False)
    if outcome.error is not None or outcome.work.problems:
        return outcome.error.exit_code if outcome.error is not None else 2
    lines = [*faults(outcome.work.verdicts, asked), *(cardless(outcome) if CARDS in fail_on else ())]
    for line in lines:
        out.print(f"ci: {line}", markup=False, highlight=False)
    caught = sum(bool(verdict.control_caught) for verdict in outcome.work.verdicts)
    told = f"{len(asked)} checks, {caught} planted faults caught, {len(lines)} faults found"
    out.print(f"ci: {told}; page: {outcome.page.resolve()}", markup=False, highlight=False)
    return int(bool(lines))


def faults(verdicts: Sequence[Verdict], asked: Sequence[str]) -> list[str]:
    """A line for each check that was asked for and did not pass, or that these data cannot answer."""
    found = {verdict.name: verdict for verdict in verdicts}
    return [f"{name}: {_words(found[name])}" for name in asked if found[name].outcome != "passed"]


def _words(verdict: Verdict) -> str:
    missed = "; its planted fault was not caught" if verdict.control_caught is False else ""
    return f"{verdict.outcome}. {' '.join(verdict.words.split())}{missed}"


def cardless(outcome: Outcome) -> Iterator[str]:
    """A line for each model without a card: of the run's groups, and of what is served now."""
    work = outcome.work
    groups = {""}
    if work.project.plan.workload == "propensity" and work.built is not None:
        groups |= set(work.built.labels[work.project.propensity.task.group].unique().to_list())
    for group in sorted(groups - {str(card["group"]) for card in read_cards(outcome.folder)}):
        yield f"{CARDS}: {group or 'the model'} has no card in run {outcome.run.id}"
    kept = serving.snapshot(work.project)
    if kept is not None and not read_cards(kept):
        yield f"{CARDS}: the served run {kept.name} has no card; run the plan again to serve one that has"


def _kind(workload: str) -> Kind:
    return "quantity" if workload == "forecast" else "chance"


__all__ = ["CARDS", "FAIL_ON", "cardless", "faults", "prove_ci"]
