"""The page of a comparison of two runs: one file that loads nothing."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app import plots
from foreproof.app.diff import Difference, plan_lines
from foreproof.app.page_base import html_table
from foreproof.app.project import Project
from foreproof.workloads.forecast import OURS

_SHOWN = 200
_PARTS = (
    ("scores", "Scores", "Not both were scored."),
    ("verdicts", "Verdicts", "Neither has one."),
    ("forecasts", "Forecasts by series", "They predict no moment in common."),
    ("orders", "Orders", "Not both have orders."),
    ("settings", "Plan", "The same settings."),
    ("data", "Data", "The same data, by digest."),
    ("features", "Features", "Not both have features of the same kind."),
    ("environment", "Environment", "The same."),
)


def write_diff(project: Project, difference: Difference) -> Path:
    """`runs/diffs/A-B/index.html` and its tables as CSV; return the page."""
    from jinja2 import Environment

    folder = project.runs / "diffs" / f"{difference.a}-{difference.b}"
    folder.mkdir(parents=True, exist_ok=True)
    frames = {name: getattr(difference, name) for name, _, _ in _PARTS}
    for name, frame in frames.items():
        frame.write_csv(folder / f"{name}.csv")
    parts = [
        {"title": title, "none": none, "table": html_table(frames[name].head(_SHOWN)) if frames[name].height else ""}
        for name, title, none in _PARTS
    ]
    template = resources.files("foreproof.app").joinpath("templates/diff.html").read_text(encoding="utf-8")
    html = (
        Environment(autoescape=True)
        .from_string(template)
        .render(difference=difference, parts=parts, charts=_charts(difference), lines=plan_lines(project, difference))
    )
    page = folder / "index.html"
    page.write_text(html, encoding="utf-8")
    return page


def _charts(difference: Difference) -> list[dict[str, Any]]:
    charts = []
    if difference.path.height:
        figure = plots.two_paths(difference.path, names=(f"A {difference.a}", f"B {difference.b}"))
        charts.append({"svg": plots.svg(figure), "caption": "All series together, at the moments that both predict."})
    scores = difference.scores.filter((pl.col("model") == OURS) & pl.col("metric").is_in(["wape", "mase", "owa"]))
    scores = scores.drop_nulls(["a", "b"])
    if scores.height:
        charts.append({"svg": plots.svg(plots.two_bars(scores)), "caption": "Scores; smaller is better."})
    return charts


__all__ = ["write_diff"]
