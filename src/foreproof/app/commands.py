"""What the commands do, and what they print."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from foreproof.adapters.query import query
from foreproof.app import demo, history, plugins, scenarios
from foreproof.app.doctor import diagnose
from foreproof.app.guess import guess_plan
from foreproof.app.keeping import kept_rows
from foreproof.app.progress import Terminal
from foreproof.app.project import PLAN_FILE, open_project
from foreproof.app.runner import Outcome, execute
from foreproof.app.scale import scale
from foreproof.app.smoke import problems
from foreproof.app.stages import STAGES
from foreproof.app.verdicts import exit_code, verdict_grid
from foreproof.core.grid import parse_moment
from foreproof.core.preflight import Finding
from foreproof.core.scenario import Scenario
from foreproof.decisions.information import voi_words
from foreproof.decisions.ranking import shadow_price, within
from foreproof.engine.scenario import words_of
from foreproof.errors import BadInput

out = Console(soft_wrap=True)
err = Console(stderr=True)

_SHOWN = 20
_STYLE = {"error": "red", "warning": "yellow", "info": "dim"}


def new_forecast(folder: Path, data: Path) -> None:
    """Write `foreproof.yaml` and a README into a new folder."""
    url = fresh(folder, data)
    write_new(folder, guess_plan(data.resolve(), url=url, now=datetime.now(UTC)))


def fresh(folder: Path, data: Path) -> str:
    """How the plan names the data; a folder that has a plan is refused."""
    if (folder / PLAN_FILE).exists():
        raise BadInput(str(folder / PLAN_FILE), found="a plan already", wanted="a new folder", fix="choose another DIR")
    return os.path.relpath(data.resolve(), folder.resolve()).replace(os.sep, "/")


def write_new(folder: Path, text: str) -> None:
    """A new project's plan and README."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / PLAN_FILE
    target.write_text(text, encoding="utf-8")
    readme = resources.files("foreproof.app").joinpath("templates/project_readme.md").read_text(encoding="utf-8")
    (folder / "README.md").write_text(readme, encoding="utf-8")
    out.print(f"wrote {target}: look at the lines marked GUESS, then `foreproof run -C {folder}`")


def run(
    folder: Path,
    *,
    until: str,
    changes: Mapping[str, Any] | None = None,
    proof: Mapping[str, Any] | None = None,
    tag: str = "",
    parent: str = "",
) -> int:
    """Run the stages of a project up to one of them; return the exit code.

    changes: settings instead of the plan's, None for its own. proof: the same inside its section `proof` (`only`, `plant`).
    """
    project = open_project(folder).having(**(changes or {}))
    inner = {name: value for name, value in (proof or {}).items() if value}
    if inner:
        project = project.having(proof={**(project.plan.values.get("proof") or {}), **inner})
    last = STAGES[-1] if until == "run" else until
    with Terminal(err) as progress:
        outcome = execute(project, progress=progress, until=last, tag=tag, parent=parent)
    return report(outcome)


def report(outcome: Outcome) -> int:
    """Say what came of a run and where it is; return the exit code."""
    if outcome.work.cleaning.height:
        print_frame(outcome.work.cleaning.drop("table"), title="Cleaning")
    _print_findings(outcome.work.findings)
    if outcome.work.verdicts:
        out.print(verdict_grid(outcome.work.verdicts))
    for problem in outcome.work.problems if outcome.error is None else ():
        err.print(f"[red]error:[/] {problem}", markup=True, highlight=False)
    for warning in outcome.warnings:
        err.print(f"warning: {warning}", markup=False, highlight=False)
    out.print(f"run {outcome.run.id}: {outcome.run.status}")
    out.print(f"page: {outcome.page.resolve()}")
    if outcome.error is not None:
        err.print(f"error: {outcome.error}", markup=False, highlight=False)
        return outcome.error.exit_code
    if outcome.work.problems:
        return 2
    proof = outcome.work.project.science.proof
    return exit_code(outcome.work.verdicts, proof.only)


def forecast_in_chunks(folder: Path, *, chunk: int, proof: bool) -> int:
    """Forecast every series chunk by chunk and say where the files are; 1 where the tried part fails its proof."""
    with Terminal(err) as progress:
        done = scale(open_project(folder), chunk=chunk, proof=proof, progress=progress)
    tried = done.manifest["proof"]
    for verdict in tried["verdicts"]:
        out.print(f"  {verdict['name']}: {verdict['outcome']}. {verdict['words']}", markup=False)
    shown = ", ".join(f"{name} {value:.3f}" for name, value in tried["scores"].items() if value is not None)
    series, many = done.manifest["series"], len(done.manifest["parts"])
    out.print(f"{series:,} series in {many} parts; {tried['part']} is {done.status}{f': {shown}' if shown else ''}")
    out.print(f"forecasts: {(done.folder / 'forecasts').resolve()}", markup=False)
    return 1 if proof and done.status != "proven" else 0


def sql(folder: Path, text: str, *, as_of: str) -> None:
    """Print the rows of a query as a table, all of them."""
    project = open_project(folder)
    at = parse_moment(as_of, project.science.task.series.grid, subject="--as-of") if as_of else None
    frame = query(project.lake, project.contracts, text, as_of=at, kept=kept_rows(project))
    with pl.Config(tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=80, tbl_width_chars=200, tbl_hide_dataframe_shape=True):
        print(frame)


def doctor() -> int:
    """Print what is installed; 1 where something that a command needs is missing or too old, or a plugin cannot be used."""
    table = Grid("library", "installed", "wanted", "needed for", "how to get it")
    found = diagnose()
    for line in found:
        style = "green" if line.fine else "red"
        table.add_row(
            line.name, f"[{style}]{line.installed}[/]", line.wanted, line.purpose, "" if line.fine else line.fix
        )
    out.print(table)
    usable = _plugins()
    out.print(f"Python {sys.version.split()[0]}, foreproof {metadata.version('foreproof')}")
    return 0 if usable and all(line.fine for line in found) else 1


def _plugins() -> bool:
    """Print the plugins that are installed; whether all of them can be used."""
    try:
        found = {plugin: plugins.fault(plugin) for plugin in plugins.installed().found}
    except BadInput as error:
        err.print(f"error: {error}", markup=False, highlight=False)
        return False
    table = Grid("plugin", "kind", "of", "object", "what is wrong")
    for plugin, wrong in found.items():
        table.add_row(
            plugin.name, plugin.group, plugin.origin, plugin.target, escape(wrong), style="red" if wrong else ""
        )
    if found:
        out.print(table)
    return not any(found.values())


def scenario_add(
    folder: Path, name: str, *, sets: Sequence[str], wheres: Sequence[str], steps: str, by: tuple[str, str]
) -> None:
    """Keep a scenario. by: author and reason."""
    overrides = scenarios.overrides_of(sets, wheres, steps)
    scenarios.add(open_project(folder), Scenario(name, *by, overrides))
    out.print(f"kept {name}: run it with `foreproof scenario run {name}`", markup=False)


def scenario_list(folder: Path) -> None:
    """Print every scenario that was not removed."""
    print_frame(scenarios.kept(open_project(folder)), title="scenarios")


def scenario_run(folder: Path, names: Sequence[str], *, price: float | None) -> None:
    """Compare scenarios with the baseline, say what differs and where the pages are."""
    project = open_project(folder)
    currency = project.forecast.ordering.currency if project.forecast.ordering else "money"
    for name in names:
        with Terminal(err) as progress:
            found, page = scenarios.run(project, name, price=price, progress=progress)
        for line in words_of(found, currency=currency):
            out.print(line, markup=False)
        for line in found.warnings:
            err.print(f"warning: out of what was seen: {line}", markup=False)
        out.print(f"page: {page.resolve()}", markup=False)


def scenario_remove(folder: Path, name: str) -> None:
    """Take a scenario back."""
    scenarios.remove(open_project(folder), name)
    out.print(f"removed {name}; what was asked stays on record", markup=False)


def voi(folder: Path, run_id: str) -> None:
    """Print what information was worth in a recorded run."""
    project = open_project(folder)
    found = history.table(project, run_id, "voi")
    ordering = project.forecast.ordering
    cut, money = (ordering.cut, ordering.currency) if ordering else (0.2, "money")
    out.print(voi_words(found, cut=cut, currency=money), markup=False)
    print_frame(found.sort("this_forecast", descending=True).head(_SHOWN), title=f"money a cycle, first {_SHOWN} items")


def spend(folder: Path, run_id: str, *, budget: float) -> None:
    """Print the lots that a budget buys, best first, and what one more unit of it would save."""
    ranked = history.table(open_project(folder), run_id, "order_ranking").sort("rank")
    bought = within(ranked, budget)
    print_frame(bought.head(5 * _SHOWN), title=f"{bought.height} of {ranked.height} lots")
    saved, used = float(bought["saves"].sum()), float(bought["uses"].sum())
    out.print(
        f"{used:,.2f} of {budget:,.2f} used; {saved:,.2f} expected to be saved of {float(ranked['saves'].sum()):,.2f}"
    )
    out.print(f"one more unit of the budget would save {shadow_price(ranked, budget):,.4g}")


def print_frame(frame: pl.DataFrame, *, title: str) -> None:
    """A frame as a table of the terminal."""
    table = Grid(*frame.columns, title=title)
    for row in frame.iter_rows():
        table.add_row(
            *(f"{cell:.4g}" if isinstance(cell, float) else "" if cell is None else str(cell) for cell in row)
        )
    out.print(table, markup=False)


def demo_forecast(folder: Path, *, plant: str = "") -> int:
    """Prepare the demo's data and run it whole. plant: a leak of the zoo that its proof has to catch."""
    with Terminal(err) as progress:
        progress.stage("promotions", 20_940_529)
        demo.prepare(folder, on_batch=progress.advance)
    return served_next(folder, run(folder, until="run", tag="demo", proof={"plant": plant}))


def served_next(folder: Path, code: int) -> int:
    """After a demo that was proven: the two commands that serve it and open the pages. Returns the exit code given."""
    if code == 0:
        program = sys.argv[0] if "/" in sys.argv[0] else "foreproof"
        out.print("\nover HTTP, with a page for each question, each in a terminal of its own:")
        out.print(f"  {program} serve {folder}", markup=False, soft_wrap=True)
        out.print(f"  {program} ui        # then open http://127.0.0.1:8501", markup=False, soft_wrap=True)
    return code


def demo_smoke(folder: Path) -> int:
    """Run the shipped two-column CSV through everything and check every artefact's schema."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "co2.csv"
    data.write_bytes(resources.files("foreproof.app").joinpath("templates/co2.csv").read_bytes())
    (folder / PLAN_FILE).unlink(missing_ok=True)
    new_forecast(folder, data)
    project = open_project(folder)
    with Terminal(err) as progress:
        outcome = execute(project, progress=progress, tag="smoke")
    if outcome.error is not None:
        return report(outcome)
    found = problems(outcome.folder)
    for problem in found:
        err.print(f"error: {problem}", markup=False)
    report(outcome)
    return 1 if found else 0


def _print_findings(findings: Sequence[Finding]) -> None:
    if not findings:
        return
    table = Grid("", "table", "check", "found", "fix", title=f"Preflight: {len(findings)} findings")
    for finding in findings[:_SHOWN]:
        row = finding.as_dict()
        style = _STYLE.get(str(row["severity"]), "")
        table.add_row(
            f"[{style}]{row['severity']}[/]", *(str(row[name]) for name in ("table", "check", "found", "fix"))
        )
    out.print(table)
    if len(findings) > _SHOWN:
        out.print(f"and {len(findings) - _SHOWN} more, in preflight.json")


__all__ = [
    "demo_forecast",
    "demo_smoke",
    "doctor",
    "forecast_in_chunks",
    "fresh",
    "new_forecast",
    "print_frame",
    "report",
    "run",
    "scenario_add",
    "scenario_list",
    "scenario_remove",
    "scenario_run",
    "served_next",
    "spend",
    "sql",
    "voi",
    "write_new",
]
