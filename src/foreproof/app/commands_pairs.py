"""What the commands of the propensity do and print."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from foreproof.app import demo
from foreproof.app.ablation import apply_policies, loss_table, run_ablation
from foreproof.app.commands import err, fresh, out, print_frame, run, served_next, write_new
from foreproof.app.guess_pairs import guess_pairs
from foreproof.app.mapping import loaded_groups
from foreproof.app.prequential import run_prequential, score_frame
from foreproof.app.progress import Terminal
from foreproof.app.project import open_project
from foreproof.engine.prequential import ALL, GROUP, FreezeTerms
from foreproof.errors import BadInput


def new_propensity(folder: Path, data: Path, *, account: str, group: str, value: str) -> None:
    """Write `foreproof.yaml` and a README into a new folder, for a file of purchases."""
    url, now = fresh(folder, data), datetime.now(UTC)
    write_new(folder, guess_pairs(data.resolve(), account=account, group=group, value=value, url=url, now=now))


def frozen(folder: Path, *, variants: Sequence[str], terms: FreezeTerms) -> None:
    """Print what a frozen model scores month by month, and where its page is."""
    project = open_project(folder)
    with Terminal(err) as progress:
        found, page = run_prequential(project, variants, terms, progress=progress)
    print_frame(score_frame(found), title="A frozen model, month by month")
    print_frame(found.flags, title="Months, their buyers, and what is wrong with them")
    out.print(f"page: {page.resolve()}", markup=False)


def ablation(folder: Path, *, variants: Sequence[str], terms: FreezeTerms, apply: bool, threshold: float) -> None:
    """Print what each policy of features loses; write the safest ones that lose too little to matter into the plan."""
    if not 0.0 <= threshold < 1.0:
        raise BadInput("--threshold", found=f"{threshold:g}", wanted="a loss of AUC from 0 to 1, such as 0.005")
    project = open_project(folder)
    with Terminal(err) as progress:
        done = run_ablation(project, variants, terms, threshold=threshold, progress=progress)
    losses = loss_table(done.found)
    print_frame(
        losses.filter(pl.col(GROUP) == ALL), title="What each policy of features scores, and loses, in the far months"
    )
    print_frame(done.chosen.table, title="The safest policy of each group that surely loses too little to matter")
    if not terms.groups:
        name = done.chosen.policies.default
        out.print(f"safest policy that surely loses at most {threshold:g} of AUC on whitespace pairs: {name}")
    out.print(f"page: {done.page.resolve()}", markup=False)
    if apply:
        path, line = apply_policies(project, done.chosen.policies)
        out.print(f"wrote {line} into {path}", markup=False)


def mapping_check(folder: Path) -> int:
    """Print what each product group holds and what is wrong with the rules; 1 where that is an error."""
    groups, findings = loaded_groups(open_project(folder))
    print_frame(groups, title="Product groups of the loaded purchases")
    for finding in findings:
        out.print(
            " ".join(f"{finding.severity}: {finding.check}: {finding.found}; {finding.fix}".split()), markup=False
        )
    return 1 if any(finding.severity == "error" for finding in findings) else 0


def demo_propensity(folder: Path, *, plant: str = "") -> int:
    """Prepare the propensity demo's data and run it whole. plant: a leak of the zoo that its proof has to catch."""
    with Terminal(err) as progress:
        progress.stage("purchases", 1)
        demo.prepare_propensity(folder)
        progress.advance(1)
    return served_next(folder, run(folder, until="run", tag="demo", proof={"plant": plant}))


__all__ = ["ablation", "demo_propensity", "frozen", "mapping_check", "new_propensity"]
