"""What the pages of all workloads share: the frame around their parts, tables that sort, the data and the record of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app import plots
from foreproof.app.stages import Work
from foreproof.app.verdicts import grouped, summary_words
from foreproof.core.run import Run


def write_plots(figures: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Each figure as PNG under `plots/`; returns them as SVG."""
    (folder / "plots").mkdir(exist_ok=True)
    for name, figure in figures.items():
        (folder / "plots" / f"{name}.png").write_bytes(plots.png(figure))
    return {name: plots.svg(figure) for name, figure in figures.items()}


def write_html(
    template: str, run: Run, work: Work, parts: Mapping[str, Any], folder: Path, *, head: Mapping[str, Any]
) -> None:
    """`index.html` from a template and its parts; proof, data and record are the same on every page."""
    from jinja2 import Environment, FunctionLoader

    def source(name: str) -> str:
        return resources.files("foreproof.app").joinpath(f"templates/{name}").read_text(encoding="utf-8")

    shared = {
        "run": run,
        "title": work.project.plan.name,
        "summary": _summary(run, work),
        "head": head,
        "plan_text": work.project.plan.text(),
        "verdict_groups": grouped(work.verdicts),
        "findings": [finding.as_dict() for finding in work.findings],
        "tables": _data(work),
        "cleaning": html_table(work.cleaning) if work.cleaning.height else "",
        "record": _record(run),
    }
    made = Environment(autoescape=True, loader=FunctionLoader(source)).get_template(template)
    (folder / "index.html").write_text(made.render(**shared, **parts), encoding="utf-8")


def _summary(run: Run, work: Work) -> str:
    if run.error:
        return f"Stopped at {run.stage}: {run.error['object']}: {run.error['found']}. {run.error['fix']}"
    if not work.verdicts:
        return f"Ran up to {run.stage}; nothing is served without a proof."
    return summary_words(work.verdicts)


def tile(label: str, value: str, note: str) -> dict[str, str]:
    """One large figure with what it is."""
    return {"label": label, "value": value, "note": note}


def html_table(frame: pl.DataFrame, *, percent: Sequence[str] = ()) -> str:
    """An HTML table that sorts by its heads; numbers keep their full value for sorting. percent: columns of shares."""
    numeric = {name: dtype.is_numeric() for name, dtype in frame.schema.items()}
    head = "".join(f'<th class="{"n" if numeric[name] else ""}">{escape(name)}</th>' for name in frame.columns)
    rows = []
    for row in frame.iter_rows(named=True):
        cells = "".join(
            f'<td class="n" data-v="{value}">{_percent(value) if name in percent else _figure(value)}</td>'
            if numeric[name]
            else f"<td>{escape(str(value))}</td>"
            for name, value in row.items()
        )
        rows.append(f"<tr>{cells}</tr>")
    return f'<div class="scroll"><table class="sort"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _figure(value: float | None) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"


def _percent(share: float | None) -> str:
    return "-" if share is None or share != share else f"{share:.1%}"


def _data(work: Work) -> list[dict[str, Any]]:
    found = []
    for contract in work.project.contracts:
        known = contract.known
        said = {
            "same_as_happened": "when it happened",
            "constant": "always (constant)",
            "column": f"column {known.column}",
        }
        words = said.get(known.kind, f"{known.kind} of {known.offset}")
        table = work.database.tables.get(contract.name) if work.database else None
        rows = f"{table.rows.height:,}" if table else "-"
        why = " ".join(part for part in (known.why, *contract.notes) if part)
        digest = work.data.get(contract.name, "")[:12]
        found.append(
            {
                "name": contract.name,
                "rows": rows,
                "read": _read(work, contract.name),
                "known": words,
                "why": why,
                "digest": digest,
            }
        )
    return found


def _read(work: Work, table: str) -> str:
    """Where this run read a table from, in words."""
    told = Counter((one.source, one.note) for one in work.reads if one.table == table)
    return "; ".join(
        source + (f", {count} batches" if count > 1 else "") + (f" ({note})" if note else "")
        for (source, note), count in told.items()
    ) or ("nothing new" if table in work.tables else "-")


def _record(run: Run) -> list[tuple[str, str]]:
    environment = run.environment
    libraries = ", ".join(f"{name} {version}" for name, version in environment.libraries.items())
    named = [
        ("run", run.id),
        ("plan digest", run.plan),
        ("seed", str(run.seed)),
        ("commit", environment.commit),
        ("packages digest", environment.lock),
        ("python", environment.python),
        ("machine", environment.machine),
        ("libraries", libraries),
        ("parent", run.parent or "-"),
    ]
    return [*named, *((f"data: {name}", digest) for name, digest in run.data.items())]


__all__ = ["html_table", "tile", "write_html", "write_plots"]
