"""`foreproof prequential`: a frozen model scored month by month; what it found is a folder of tables with a page, and a leaf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app import artefacts, plots, plots_pairs
from foreproof.app.page_base import html_table
from foreproof.app.project import Project
from foreproof.core.digest import digest_bytes, digest_json
from foreproof.core.ports import Progress
from foreproof.core.view import Database
from foreproof.engine.line import Bench
from foreproof.engine.prequential import (
    ALL,
    GROUP,
    MONTH,
    PLANNED,
    VARIANT,
    FreezeTerms,
    Prequential,
    prequential,
)
from foreproof.errors import BadInput
from foreproof.workloads.propensity import SEGMENT, WHITESPACE

_PLOTTED = {"auc": "AUC", "capture10": "buyers caught in the best tenth", "calibration_mae": "calibration error"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where an evaluation lies. kind: `prequential` or `ablation`, its folder's parent. frames: its tables by name."""

    kind: str
    title: str
    lines: Sequence[str]
    frames: Mapping[str, pl.DataFrame]
    asked: Mapping[str, Any]


def facts_of(project: Project) -> Database:
    """The loaded facts of a propensity. Raises BadInput where a table has none."""
    plan = project.propensity
    missing = [contract.name for contract in plan.contracts if project.lake.version(contract.name) is None]
    if missing:
        raise BadInput(f"tables.{missing[0]}", found="no data", wanted="loaded facts", fix="foreproof load")
    return project.database()


def run_prequential(
    project: Project, variants: Sequence[str], terms: FreezeTerms, *, progress: Progress
) -> tuple[Prequential, Path]:
    """Freeze, score month by month, and write `prequential/ID/`; returns what was found, and the page."""
    plan, database = project.propensity, facts_of(project)
    bench = Bench(project.steps, project.settings.workers, progress)
    found = prequential(plan, database, variants or (PLANNED,), terms, bench)
    grid, months = plan.task.series.grid, found.months
    lines = [
        f"Frozen at {grid.say(months.freeze)}: members, weights of the blend, calibrators and base rates.",
        f"{months.settled} of {len(months.cutoffs)} months are settled and scored, each over {plan.task.horizon} steps.",
        "Intervals (95%) draw whole accounts. Pairs that never bought (whitespace) are apart from those that did (repeat).",
    ]
    frames = {"scores": found.scores, "months": found.flags, "said": found.rows}
    asked = {"variants": list(variants or (PLANNED,)), **asked_of(terms)}
    return found, write_evaluation(
        project, Evaluation("prequential", "A frozen model, month by month", lines, frames, asked), found
    )


def asked_of(terms: FreezeTerms) -> dict[str, Any]:
    """The options as plain values."""
    return {"groups": list(terms.groups), "freeze": terms.freeze, "months": terms.months, "window": terms.window}


def write_evaluation(project: Project, made: Evaluation, found: Prequential) -> Path:
    """`KIND/ID/`: each table as CSV and Parquet, `manifest.json`, the page; and a leaf of the log. Returns the page."""
    data = {contract.name: project.lake.data_digest(contract.name) for contract in project.contracts}
    named = {**made.asked, "plan": project.plan.digest, "data": data}
    folder = project.folder / made.kind / digest_json(named)[:12]
    artefacts.write_tables(made.frames, folder / "tables")
    (folder / "index.html").write_text(_page(project, made, found), encoding="utf-8")
    files = {f"tables/{name}.csv": (folder / "tables" / f"{name}.csv").read_bytes() for name in made.frames}
    digests = {name: digest_bytes(content) for name, content in files.items()}
    artefacts.write_json({**named, "digests": digests, "lines": list(made.lines)}, folder / "manifest.json")
    body = {"folder": folder.name, "plan": project.plan.digest, "asked": dict(made.asked), "digests": digests}
    project.ledger.append(made.kind, body)
    return folder / "index.html"


def score_frame(found: Prequential) -> pl.DataFrame:
    """The scores with a column a metric, for the terminal: `0.712 (0.690 to 0.733)`."""

    def three(name: str) -> pl.Expr:
        return pl.col(name).map_elements(lambda value: f"{value:.3f}", return_dtype=pl.String)

    ends = three("value") + " (" + three("low") + " to " + three("high") + ")"
    said = pl.when(pl.col("low").is_null()).then(three("value")).otherwise(ends)
    index = [VARIANT, SEGMENT, GROUP, MONTH, "cutoff"]
    shown = found.scores.with_columns(said.alias("said")).sort(SEGMENT, VARIANT, GROUP, MONTH, maintain_order=True)
    return shown.pivot("metric", index=index, values="said") if shown.height else shown.select(index)


def _page(project: Project, made: Evaluation, found: Prequential) -> str:
    from jinja2 import Environment

    charts = []
    group = ALL if ALL in found.scores[GROUP] else next(iter(found.scores[GROUP]), ALL)
    here = found.scores.filter(pl.col(SEGMENT) == WHITESPACE, pl.col(GROUP) == group)
    for metric, words in _PLOTTED.items():
        part = here.filter(pl.col("metric") == metric)
        if part.height:
            figure = plots_pairs.by_month(part, words)
            charts.append({"svg": plots.svg(figure), "caption": f"{words}, whitespace pairs, groups: {group}."})
    template = resources.files("foreproof.app").joinpath("templates/evaluation.html").read_text(encoding="utf-8")
    tables = [(name, html_table(frame)) for name, frame in made.frames.items() if name != "said" and frame.width]
    values = {"title": made.title, "name": project.plan.name, "lines": made.lines, "charts": charts, "tables": tables}
    return str(Environment(autoescape=True).from_string(template).render(**values, plan=project.plan.digest))


__all__ = ["Evaluation", "asked_of", "facts_of", "run_prequential", "score_frame", "write_evaluation"]
