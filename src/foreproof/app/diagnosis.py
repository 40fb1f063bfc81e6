"""The diagnosis of a recorded run, read from its files: `foreproof diagnose`, and the section of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from foreproof.app import history, plots
from foreproof.app.project import Project, open_project
from foreproof.core import grid as grids
from foreproof.core.clock import Moment, moment, tick_values, ticks
from foreproof.core.decompose import PARTS, changed, movers
from foreproof.core.plan import parse_plan
from foreproof.core.predict import CUTOFF, LEVEL, STEP
from foreproof.errors import BadInput
from foreproof.workloads.forecast import OURS

TABLES = ("findings", "whiteness", "mean_zero", "variance", "growth", "parts", "pairs")

_TOP = 10
_STYLE = {"fine": "green", "look": "yellow", "not tested": "dim"}
_JUDGED = {CUTOFF, STEP, LEVEL, "value", "model", "target", "y"}

out = Console(soft_wrap=True)


def show(folder: Path, run_id: str, *, between: tuple[str, str] | None = None) -> int:
    """Print the diagnosis of a run (without an id: of the latest judged one); 1 where its files are not as logged."""
    project = open_project(folder)
    name = str(history.manifest(project, run_id)["run"]) if run_id else _latest(project)
    tables = _read(project.runs / name / "tables", name)
    out.print(f"run {name}", markup=False)
    if between is None:
        _print_tables(tables)
    else:
        _print_change(project, name, between)
    faults = history.verify(project, run=name)
    for fault in faults:
        out.print(f"does not hold: {fault}", markup=False)
    return 1 if faults else 0


def diagnosis_figures(tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """The page's plots of a diagnosis; none without one."""
    if "diagnosis_parts" not in tables:
        return {}
    parts = tables["diagnosis_parts"]
    overall = parts.filter(pl.col("dimension") == "overall")
    groups = parts.filter((pl.col("model") == OURS) & ~pl.col("dimension").is_in(["overall", "series", STEP]))
    found = {"error_parts": plots.error_parts(overall.select("model", *PARTS))}
    if groups.height:
        (whole,) = overall.filter(pl.col("model") == OURS)["mean_square"]
        if whole:
            ratio = groups.select("dimension", "group", (pl.col("mean_square") / whole).alias("ratio"))
            found["error_groups"] = plots.error_groups(ratio)
    return found


def pair_matrix(pairs: pl.DataFrame) -> pl.DataFrame:
    """`model` and a column a model: how much lower (-) the row's loss is than the column's, and p after Holm."""
    models = sorted({*pairs["model_a"], *pairs["model_b"]})
    cells = {}
    for row in pairs.iter_rows(named=True):
        a, b = (row["model_a"], row["loss_a"]), (row["model_b"], row["loss_b"])
        for (mine, loss), (other, theirs) in ((a, b), (b, a)):
            p = "not tested" if row["p_holm"] is None else f"p {row['p_holm']:.2g}"
            cells[mine, other] = f"{loss / theirs - 1.0:+.1%}, {p}" if theirs else p
    return pl.DataFrame(
        [(mine, *(cells.get((mine, other), "") for other in models)) for mine in models],
        schema=["model", *models],
        orient="row",
    )


def largest_groups(parts: pl.DataFrame, dimension: str) -> pl.DataFrame:
    """The groups of one dimension of the combination's error; of many, those with the largest share."""
    mine = parts.filter((pl.col("model") == OURS) & (pl.col("dimension") == dimension))
    if mine.height > _TOP and dimension != STEP:
        mine = mine.sort(["squared_error", "place"], descending=[True, False]).head(_TOP)
    return mine.sort("place") if dimension != "series" else mine


def _print_tables(tables: Mapping[str, pl.DataFrame]) -> None:
    table = Grid("", "what", "found", title="Where the error comes from")
    for row in tables["findings"].iter_rows(named=True):
        table.add_row(f"[{_STYLE[row['verdict']]}]{row['verdict']}[/]", row["topic"], escape(row["words"]))
    out.print(table)
    parts = tables["parts"]
    overall = parts.filter(pl.col("dimension") == "overall")
    shown = ("model", "n", "mean_square", "mean_error", *PARTS)
    out.print(_grid(overall.select(shown), "Mean squared error = bias + variance + covariance"))
    columns = ("group", "n", "share", "mean_square", "mean_error", "um", "us", "uc")
    for dimension in parts["dimension"].unique(maintain_order=True):
        if dimension != "overall":
            title = f"The combination's error by {dimension} (share of the squared error; um, us, uc: its parts)"
            out.print(_grid(largest_groups(parts, str(dimension)).select(columns), title))
    out.print(_grid(tables["mean_zero"], "Mean zero: t-test on the means of origins and of series"))
    out.print(_grid(tables["growth"], "Growth of the error by step"))
    out.print(_grid(tables["pairs"].select("words"), "Diebold-Mariano, every pair"))


def _print_change(project: Project, name: str, between: tuple[str, str]) -> None:
    folder = project.runs / name
    text = (folder / "plan_resolved.yaml").read_text(encoding="utf-8")
    plan = replace(parse_plan(text), plugins=project.plan.plugins)
    grid = Project(project.folder, plan, project.settings).forecast.task.series.grid
    judged = pl.read_parquet(folder / "tables" / "backtest.parquet")
    mine = judged.filter((pl.col("model") == OURS) & pl.col(LEVEL).is_null())
    before, after = (_origin(text, mine[CUTOFF], grid) for text in between)
    entity = [column for column in judged.columns if column not in _JUDGED]
    change = changed(mine, entity=entity, before=before, after=after)
    for line in movers(change, count=_TOP):
        out.print(line, markup=False)
    columns = ("group", "n", "before", "after", "change", "truth", "forecast", "variance", "covariance")
    for dimension in change["dimension"].unique(maintain_order=True):
        part = change.filter(pl.col("dimension") == dimension)
        part = part if dimension == STEP else part.head(_TOP)
        out.print(
            _grid(part.select(columns), f"Change of the squared error from {between[0]} to {between[1]}: {dimension}")
        )


def _origin(text: str, cutoffs: pl.Series, grid: grids.Grid) -> Moment:
    """The judged origin whose period holds the moment in words."""
    at = np.array([ticks(grids.parse_moment(text, grid, subject="--between"))], dtype=np.int64)
    point = int(grid.at(grid.index(at))[0])
    origins = cutoffs.unique().sort()
    if point not in tick_values(origins):
        raise BadInput(f"--between {text}", found="no judged origin there", wanted=f"one of: {_listed(origins, grid)}")
    return moment(point, integer=grid.integer)


def _listed(origins: pl.Series, grid: grids.Grid) -> str:
    local = origins if grid.integer else origins.dt.convert_time_zone(grid.zone).dt.strftime("%Y-%m-%dT%H:%M")
    return ", ".join(local.cast(pl.String))


def _latest(project: Project) -> str:
    """The id of the latest run that judged its origins."""
    ids = [str(one["run"]) for one in history.manifests(project)]
    judged = [one for one in ids if (project.runs / one / "tables" / "backtest.parquet").is_file()]
    if not judged:
        raise BadInput("diagnose", found="no run with judged origins", wanted="one", fix="foreproof backtest")
    return judged[-1]


def _read(folder: Path, name: str) -> dict[str, pl.DataFrame]:
    paths = {part: folder / f"diagnosis_{part}.parquet" for part in TABLES}
    lacking = [path.name for path in paths.values() if not path.is_file()]
    if lacking:
        raise BadInput(
            f"run {name}", found=f"no {lacking[0]}", wanted="a run that was judged", fix="foreproof backtest"
        )
    return {part: pl.read_parquet(path) for part, path in paths.items()}


def _grid(frame: pl.DataFrame, title: str) -> Grid:
    table = Grid(title=title)
    for name, dtype in frame.schema.items():
        table.add_column(name, justify="right" if dtype.is_numeric() else "left")
    for row in frame.iter_rows():
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


__all__ = ["TABLES", "diagnosis_figures", "largest_groups", "pair_matrix", "show"]
