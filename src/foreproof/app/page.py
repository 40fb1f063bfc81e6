"""The page of a run: plots first, numbers under them, the verdicts beside; one file that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app import plots
from foreproof.app.diagnosis import diagnosis_figures, pair_matrix
from foreproof.app.page_base import html_table, tile, write_html, write_plots
from foreproof.app.page_orders import order_figures, orders_part
from foreproof.app.stages import Work
from foreproof.core.grid import Grid
from foreproof.core.predict import CUTOFF
from foreproof.core.run import Run
from foreproof.workloads.forecast import BASELINE, OURS

FANS = 12
_METRICS = (
    *("wape", "mae", "rmse", "mape", "mase", "rmsse", "smape", "owa", "bias"),
    *("pinball", "coverage80", "coverage95", "width95", "msis95"),
)


def write_page(
    run: Run, work: Work, tables: Mapping[str, pl.DataFrame], folder: Path, *, head: Mapping[str, Any]
) -> None:
    """`index.html`, and each plot as PNG under `plots/`."""
    figures = _figures(work, tables)
    drawn = write_plots(figures, folder)
    parts = {
        "horizon": work.project.forecast.task.horizon if work.cutoff is not None else "",
        **_forecast_part(work, tables, drawn),
        **_accuracy_part(work, tables, drawn),
        **_diagnosis_part(tables, drawn),
        **orders_part(work, tables, drawn, html=html_table),
    }
    write_html("page.html", run, work, {"tiles": _tiles(work), **parts}, folder, head=head)


def _figures(work: Work, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    task = work.project.forecast.task
    if "forecast" in tables:
        for place, names in enumerate(_largest(tables["history"], task.entity)[:FANS]):
            of = pl.all_horizontal(pl.lit(True), *(pl.col(n) == v for n, v in zip(task.entity, names, strict=True)))
            found[f"fan_{place:02d}"] = plots.fan(
                _local(tables["history"].filter(of), task.series.grid),
                _local(tables["forecast"].filter(of), task.series.grid),
                title=" / ".join(str(name) for name in names),
                unit=_unit(work),
                span=max(4 * task.horizon, 3 * task.season),
            )
    if work.scored is not None:
        steps = work.scored.by_step.filter(pl.col("metric") == "wape")
        found["error_by_step"] = plots.error_by_step(steps, metric="WAPE", label="error over demand")
        if work.scored.coverage.height:
            found["coverage"] = plots.coverage(work.scored.coverage)
    found |= diagnosis_figures(tables)
    if "weights" in tables:
        last = tables["weights"].filter(pl.col(CUTOFF) == pl.col(CUTOFF).max())
        found["weights"] = plots.weights(list(last.select("model", "weight").iter_rows()))
    if "replay_totals" in tables:
        who = {"ours": OURS, "baseline": BASELINE}
        costs = tables["replay_totals"].select(
            _day(task.series.grid).alias("origin"),
            pl.col("who").replace_strict(who).alias("policy"),
            "money",
        )
        ordering = work.project.forecast.ordering
        found["replayed_cost"] = plots.replayed(costs, currency=ordering.currency if ordering else "money")
    found |= order_figures(work, tables)
    return found


def _tiles(work: Work) -> list[dict[str, str]]:
    tiles = []
    scored, replayed = work.scored, work.replayed
    if scored is not None:
        ours, theirs = scored.value("wape"), scored.value("wape", model=BASELINE)
        tiles.append(tile("Error, share of demand (WAPE)", f"{ours:.1%}", f"seasonal naive {theirs:.1%}"))
        if scored.against is not None:
            p, days = scored.against.p_less, scored.against.n
            tiles.append(tile("Could the gain be chance?", f"p = {p:.2g}", f"Diebold-Mariano, {days} target days"))
        nominal = work.project.forecast.proof.coverage
        seen = scored.coverage.filter((pl.col("nominal") - nominal).abs() < 1e-6)
        if seen.height:
            row = seen.row(0, named=True)
            note = f"outcomes inside; exact interval {row['low']:.0%} to {row['high']:.0%}"
            tiles.append(tile(f"{nominal:.0%} intervals held", f"{row['coverage']:.1%}", note))
    saved = (replayed.saved or replayed.stock_saved) if replayed is not None else None
    if replayed is not None and saved is not None:
        ordering = work.project.forecast.ordering
        money = ordering.currency if ordering else "money"
        each = "an order" if replayed.saved is not None else "an item, stock carried over,"
        note = f"{money} {each} against the seasonal naive, 95% interval {saved.low:,.0f} to {saved.high:,.0f}"
        tiles.append(tile("Saved in the replay", f"{saved.estimate:,.0f}", note))
    return tiles


def _forecast_part(work: Work, tables: Mapping[str, pl.DataFrame], drawn: Mapping[str, str]) -> dict[str, Any]:
    task = work.project.forecast.task
    names = _largest(tables["history"], task.entity)[:FANS] if "forecast" in tables else []
    fans = [
        {"name": " ".join(str(part) for part in name), "svg": drawn[f"fan_{place:02d}"]}
        for place, name in enumerate(names)
    ]
    count = tables["forecast"].select(task.entity).n_unique() if "forecast" in tables and task.entity else len(fans)
    rest = f"The {len(fans)} largest of {count} series; all are in tables/forecast.csv." if count > len(fans) else ""
    grid = task.series.grid
    note = f"Made from what was known at the end of {grid.say(work.cutoff)}." if names else "No forecast was made."
    return {"fans": fans, "more": rest, "forecast_note": note}


def _accuracy_part(work: Work, tables: Mapping[str, pl.DataFrame], drawn: Mapping[str, str]) -> dict[str, Any]:
    captions = {
        "error_by_step": "Error by step ahead, over all past origins.",
        "coverage": "How often intervals held, against what they promised; bars are exact 95% intervals.",
        "weights": "How much each model counts now, learned on earlier origins.",
    }
    charts = [{"svg": drawn[name], "caption": words} for name, words in captions.items() if name in drawn]
    if work.scored is None:
        note = "No past origin was judged."
    else:
        places = ", ".join(work.project.forecast.task.series.grid.say(origin) for origin in work.origins)
        note = (
            f"At each past origin ({places}) the whole pipeline was run on what was known then, and judged by what followed. "
            "MASE, RMSSE and OWA below 1 beat their naive reference."
        )
    task = work.project.forecast.task
    return {
        "accuracy_note": note,
        "accuracy_charts": charts,
        "score_table": _wide(tables.get("scores"), ["model"]),
        "series_table": _wide(_of_ours(tables.get("scores_by_series")), list(task.entity)),
    }


def _diagnosis_part(tables: Mapping[str, pl.DataFrame], drawn: Mapping[str, str]) -> dict[str, Any]:
    """Sentences, two plots, and every model against every other; empty where nothing was judged."""
    if "diagnosis_findings" not in tables:
        return {"diagnosis": [], "diagnosis_charts": [], "pairs_table": ""}
    captions = {
        "error_parts": "Squared error in parts: bias (the level is off), variance (moves too much or too little), "
        "covariance (moves at other times).",
        "error_groups": "Where the combination errs more than in the mean: above 1 more, below 1 less.",
    }
    charts = [{"svg": drawn[name], "caption": words} for name, words in captions.items() if name in drawn]
    return {
        "diagnosis": tables["diagnosis_findings"].to_dicts(),
        "diagnosis_charts": charts,
        "pairs_table": html_table(pair_matrix(tables["diagnosis_pairs"])),
    }


def _wide(scores: pl.DataFrame | None, by: Sequence[str]) -> str:
    if scores is None:
        return ""
    kept = scores.filter(pl.col("metric").is_in(_METRICS))
    wide = kept.pivot("metric", index=list(by), values="value") if by else kept.select("metric", "value")
    order = [name for name in _METRICS if name in wide.columns]
    return html_table(wide.select(*by, *order).sort(order[0]) if order else wide)


def _of_ours(scores: pl.DataFrame | None) -> pl.DataFrame | None:
    return None if scores is None else scores.filter(pl.col("model") == OURS)


def _largest(history: pl.DataFrame, entity: tuple[str, ...]) -> list[tuple[Any, ...]]:
    if not entity:
        return [()]
    sums = (
        history.group_by(entity)
        .agg(pl.col("y").sum())
        .sort(["y", *entity], descending=[True, *([False] * len(entity))])
    )
    return list(sums.select(entity).iter_rows())


def _unit(work: Work) -> str:
    series = work.project.forecast.task.series
    contract = next(c for c in work.project.forecast.contracts if c.name == series.table)
    return contract.column(series.value).unit or series.value


def _local(frame: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    """The frame with `at` as the wall clock of the grid's zone shows it."""
    if grid.integer:
        return frame
    return frame.with_columns(pl.col("at").dt.convert_time_zone(grid.zone).dt.replace_time_zone(None))


def _day(grid: Grid) -> pl.Expr:
    if grid.integer:
        return pl.col(CUTOFF).cast(pl.String)
    return pl.col(CUTOFF).dt.convert_time_zone(grid.zone).dt.strftime("%Y-%m-%d")


__all__ = ["FANS", "write_page"]
