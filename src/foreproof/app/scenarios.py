"""Scenarios of a project: kept as facts in the lake, run beside the baseline, each with a page."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app import plots
from foreproof.app.page_base import html_table
from foreproof.app.project import Project
from foreproof.core.clock import Moment
from foreproof.core.contract import Contract, parse_contract
from foreproof.core.digest import digest_bytes, digest_frame
from foreproof.core.ports import Progress
from foreproof.core.scenario import Override, Scenario, check_scenario, parse_override, scenario_of
from foreproof.core.section import Section
from foreproof.core.table import parse
from foreproof.engine.cutoff import latest_cutoff
from foreproof.engine.line import Bench
from foreproof.engine.scenario import Compared, compare, words_of
from foreproof.errors import BadInput

TABLE = "foreproof_scenarios"
_EVER = datetime(9999, 12, 31, tzinfo=UTC)
_SET = re.compile(r"\s*([\w-]+)\.([\w-]+)\s*(\+=|\*=|=)\s*(.+?)\s*")
_CHANGES = {"=": "set", "+=": "add", "*=": "times"}
_SHOWN = 6
_LONGEST = 200
"""Bytes of a folder's name; file systems end at 255."""
_PLAN = {
    "key": ["name"],
    "happened": "made_at",
    "known": "same_as_happened",
    "deleted": "removed",
    "columns": {"name": "text", "author": "text", "reason": "text", "overrides": "text", "salt": "text"},
}


def contract() -> Contract:
    """The promise of the lake's own table of scenarios."""
    return parse_contract(TABLE, Section(_PLAN, path=TABLE))


def overrides_of(sets: Sequence[str], wheres: Sequence[str], steps: str) -> tuple[Override, ...]:
    """Overrides from the command line: `promotions.share_off=0.3` (or `+=`, `*=`), `item=milk,bread`, `15-21`."""
    where: dict[str, list[str]] = {}
    for text in wheres:
        name, mark, values = text.partition("=")
        if not mark or not name.strip() or not values.strip():
            raise BadInput("--where", found=repr(text), wanted="COLUMN=VALUE[,VALUE]")
        where[name.strip()] = [value.strip() for value in values.split(",")]
    span = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", steps)
    if span is None:
        raise BadInput("--steps", found=repr(steps), wanted="FIRST-LAST, steps after the cutoff, such as 15-21")
    found = []
    for text in sets:
        match = _SET.fullmatch(text)
        if match is None:
            raise BadInput("--set", found=repr(text), wanted="TABLE.COLUMN=NUMBER, or += or *=")
        table, column, sign, value = match.groups()
        try:
            number = float(value)
        except ValueError:
            raise BadInput("--set", found=repr(text), wanted="a number after the sign") from None
        ends = [int(span[1]), int(span[2] or span[1])]
        found.append(
            parse_override({"table": table, "column": column, _CHANGES[sign]: number, "steps": ends, "where": where})
        )
    return tuple(found)


def add(project: Project, scenario: Scenario) -> None:
    """Keep a scenario; one of the same name is superseded, not lost. The log gets a leaf without the author's name."""
    check_scenario(scenario, project.forecast.contracts, horizon=project.forecast.task.horizon)
    salt = secrets.token_hex(16)
    _load(project, scenario, salt, removed=False)
    author = digest_bytes(f"{salt}{scenario.author}".encode())
    project.ledger.append(
        "scenario", {"name": scenario.name, "author": author, "overrides": json.loads(scenario.as_json())}
    )


def remove(project: Project, name: str) -> None:
    """Take a scenario back: a tombstone, so that what was once asked stays on record."""
    _load(project, find(project, name), "-", removed=True)


def kept(project: Project) -> pl.DataFrame:
    """name, author, reason, overrides (JSON), made_at of every scenario that was not removed."""
    if project.lake.version(TABLE) is None:
        return pl.DataFrame(schema=dict.fromkeys(("name", "author", "reason", "overrides"), pl.String))
    rows = project.lake.table(contract()).as_of(_EVER).sort("name")
    return rows.select("name", "author", "reason", "overrides", pl.col("_happened").alias("made_at"))


def find(project: Project, name: str) -> Scenario:
    """One scenario by name."""
    rows = kept(project).filter(pl.col("name") == name)
    if not rows.height:
        names = ", ".join(kept(project)["name"].to_list()) or "none yet"
        raise BadInput(f"scenario {name}", found="no such scenario", wanted=names, fix="foreproof scenario add")
    row = rows.row(0, named=True)
    return scenario_of(row["name"], row["author"], row["reason"], row["overrides"])


def run(project: Project, name: str, *, price: float | None, progress: Progress) -> tuple[Compared, Path]:
    """Compare a scenario with the baseline at the plan's cutoff, and write `scenarios/NAME/`; return both."""
    plan, scenario = project.forecast, find(project, name)
    database = project.lake.database(plan.contracts)
    cutoff = latest_cutoff(plan, database)
    bench = Bench(project.steps, project.settings.workers, progress)
    found = compare(plan, database, scenario, cutoff=cutoff, bench=bench, price=price)
    folder = folder_of(project.folder, name)
    folder.mkdir(parents=True, exist_ok=True)
    frames = {"path": found.path, "series": found.series, "window": found.window, "orders": found.orders}
    frames |= {"support": found.support, "forecast": found.rows}
    for part, frame in frames.items():
        if frame.width:
            frame.write_parquet(folder / f"{part}.parquet")
    entity = list(plan.task.entity)
    digests = {"path": digest_frame(found.path, keys=[*entity, "step"])}
    leaf = project.ledger.append("scenario run", {"name": name, "plan": project.plan.digest, "digests": digests})
    said = words_of(found, currency=plan.ordering.currency if plan.ordering else "money")
    summary = {"name": name, "cutoff": str(cutoff), "leaf": leaf, "effect": asdict(found.effect), "digests": digests}
    summary |= {"words": said, "warnings": list(found.warnings)}
    (folder / "scenario.json").write_text(json.dumps(summary, indent=2, default=str) + "\n", encoding="utf-8")
    (folder / "index.html").write_text(_page(project, found, cutoff), encoding="utf-8")
    return found, folder / "index.html"


def folder_of(project: Path, name: str) -> Path:
    """Where a scenario's last run lies: a folder below `scenarios`, whatever its name holds."""
    plain = re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "_"
    if len(plain.encode()) > _LONGEST:
        plain = f"{plain[:30]}-{digest_bytes(name.encode())[:12]}"
    return project / "scenarios" / plain


def _load(project: Project, scenario: Scenario, salt: str, *, removed: bool) -> None:
    row = {
        "name": [scenario.name],
        "author": [scenario.author],
        "reason": [scenario.reason],
        "overrides": [scenario.as_json()],
        "salt": [salt],
        "made_at": [project.settings.now()],
        "removed": [removed],
    }
    project.lake.load(parse(contract(), pl.DataFrame(row), now=None), source="foreproof scenario")


def _page(project: Project, found: Compared, cutoff: Moment) -> str:
    from jinja2 import Environment

    plan, entity = project.forecast, list(project.forecast.task.entity)
    currency = plan.ordering.currency if plan.ordering else "money"
    moved = found.series.sort(pl.col("difference").abs(), descending=True, maintain_order=True)
    charts = []
    for row in moved.head(_SHOWN).iter_rows(named=True):
        here = pl.all_horizontal(pl.lit(True), *(pl.col(name) == row[name] for name in entity))
        path = found.path.filter(here).select(
            pl.col("step").alias("at"), pl.col("baseline").alias("a"), pl.col("scenario").alias("b")
        )
        figure = plots.two_paths(path, names=("as planned", found.scenario.name))
        title = " / ".join(str(row[name]) for name in entity) or "the series"
        charts.append({"svg": plots.svg(figure), "caption": f"{title}: {row['difference']:+,.1f} units"})
    tables = [("By series, over the horizon", moved), ("Over the steps that an order covers", found.window)]
    tables += [("Orders", found.orders), ("Support: what was learned from", found.support)]
    template = resources.files("foreproof.app").joinpath("templates/scenario.html").read_text(encoding="utf-8")
    values: dict[str, Any] = {
        "scenario": found.scenario,
        "words": words_of(found, currency=currency),
        "overrides": [one.words() for one in found.scenario.overrides],
        "warnings": found.warnings,
        "charts": charts,
        "cutoff": cutoff,
        "tables": [(title, html_table(frame.head(500))) for title, frame in tables if frame.width],
    }
    return str(Environment(autoescape=True).from_string(template).render(**values))


__all__ = ["TABLE", "add", "contract", "find", "folder_of", "kept", "overrides_of", "remove", "run"]
