"""The plots of a propensity run, from its tables. Colours are safe for colour blindness (Okabe & Ito 2008)."""

from __future__ import annotations

from typing import Any

import polars as pl

from foreproof.app.plots import BLUE, GREEN, GREY, ORANGE, RED, figure_of

PURPLE = "#CC79A7"


def reliability(table: pl.DataFrame) -> Any:
    """Said against seen, by segment, with exact intervals. table: segment, mean_p, mean_y, low, high."""
    figure, axes = figure_of(5.2, 3.2)
    most = max(float(table["mean_p"].max() or 0.0), float(table["high"].max() or 0.0), 0.05)  # type: ignore[arg-type]
    axes.plot([0.0, most], [0.0, most], color=GREY, linewidth=0.8, linestyle="--")
    for segment, colour in (("whitespace", BLUE), ("repeat", ORANGE)):
        part = table.filter(pl.col("segment") == segment).sort("mean_p")
        if part.height:
            said, seen = part["mean_p"].to_numpy(), part["mean_y"].to_numpy()
            low, high = seen - part["low"].to_numpy(), part["high"].to_numpy() - seen
            bars = [low.clip(0.0), high.clip(0.0)]
            axes.errorbar(said, seen, yerr=bars, color=colour, marker="o", markersize=3, linewidth=1.2, label=segment)
    axes.set_xlabel("chance said", fontsize=8)
    axes.set_ylabel("share that bought", fontsize=8)
    axes.legend(fontsize=8, frameon=False)
    return figure


def calibration_by_month(scores: pl.DataFrame) -> Any:
    """How far chances were off at each past cutoff, by segment. scores: segment, cutoff (text), value."""
    figure, axes = figure_of(5.2, 3.2)
    cutoffs = scores["cutoff"].unique().sort().to_list()
    for segment, colour in (("whitespace", BLUE), ("repeat", ORANGE)):
        part = dict(scores.filter(pl.col("segment") == segment).select("cutoff", "value").iter_rows())
        at = [place for place, cutoff in enumerate(cutoffs) if cutoff in part]
        axes.plot(at, [part[cutoffs[place]] for place in at], color=colour, marker="o", markersize=4, label=segment)
    axes.set_xticks(range(len(cutoffs)), [cutoff[:10] for cutoff in cutoffs], fontsize=8)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("mean |said - seen| over ten bins", fontsize=8)
    axes.legend(fontsize=8, frameon=False)
    return figure


def reliability_by_month(table: pl.DataFrame) -> Any:
    """Said against seen at each past cutoff, whitespace pairs. table: cutoff (text), mean_p, mean_y."""
    figure, axes = figure_of(5.2, 3.2)
    most = max(float(table["mean_p"].max() or 0.0), float(table["mean_y"].max() or 0.0), 0.05)  # type: ignore[arg-type]
    axes.plot([0.0, most], [0.0, most], color=GREY, linewidth=0.8, linestyle="--")
    for place, cutoff in enumerate(table["cutoff"].unique().sort()):
        part = table.filter(pl.col("cutoff") == cutoff).sort("mean_p")
        colour = (BLUE, ORANGE, GREEN, RED, GREY)[place % 5]
        said, seen = part["mean_p"].to_numpy(), part["mean_y"].to_numpy()
        axes.plot(said, seen, color=colour, marker="o", markersize=3, linewidth=1.0, label=cutoff[:10])
    axes.set_xlabel("chance said", fontsize=8)
    axes.set_ylabel("share that bought", fontsize=8)
    axes.legend(fontsize=7, frameon=False)
    return figure


def gains(table: pl.DataFrame) -> Any:
    """Buyers caught by share of pairs called, by segment. table: segment, tenth, capture."""
    figure, axes = figure_of(5.2, 3.2)
    axes.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle="--")
    for segment, colour in (("whitespace", BLUE), ("repeat", ORANGE)):
        part = table.filter(pl.col("segment") == segment).sort("tenth")
        if part.height:
            axes.plot(
                [0, *(10 * part["tenth"]).to_list()],
                [0.0, *(100 * part["capture"]).to_list()],
                color=colour,
                marker="o",
                markersize=3,
                label=segment,
            )
    axes.set_xlabel("% of pairs called, best first", fontsize=8)
    axes.set_ylabel("% of buyers caught", fontsize=8)
    axes.legend(fontsize=8, frameon=False)
    return figure


def replayed_lists(totals: pl.DataFrame, *, currency: str) -> Any:
    """Money that each kind of list caught at each past cutoff. totals: who, cutoff (text), money."""
    figure, axes = figure_of(5.2, 3.2)
    cutoffs = totals["cutoff"].unique().sort().to_list()
    colours = {
        "foreproof": BLUE,
        "popularity": ORANGE,
        "recency": PURPLE,
        "chance alone": GREEN,
        "last list": "#b6bcc6",
    }
    for place, (who, colour) in enumerate(colours.items()):
        part = dict(totals.filter(pl.col("who") == who).select("cutoff", "money").iter_rows())
        heights = [part.get(cutoff, 0.0) for cutoff in cutoffs]
        axes.bar([i + 0.17 * (place - 2.0) for i in range(len(cutoffs))], heights, width=0.16, color=colour, label=who)
    axes.set_xticks(range(len(cutoffs)), [cutoff[:10] for cutoff in cutoffs], fontsize=8)
    axes.set_ylabel(f"{currency} of pairs on the list that bought", fontsize=8)
    axes.legend(fontsize=8, frameon=False)
    return figure


def by_month(scores: pl.DataFrame, label: str) -> Any:
    """One score of each variant month by month, with its interval. scores: variant, month, value, low, high."""
    figure, axes = figure_of(5.2, 3.2)
    for place, variant in enumerate(scores["variant"].unique(maintain_order=True)):
        part = scores.filter(pl.col("variant") == variant).sort("month")
        value = part["value"].to_numpy()
        low, high = (
            part.select(pl.col(name).fill_null(pl.col("value"))).to_series().to_numpy() for name in ("low", "high")
        )
        at = part["month"].to_numpy() + 0.06 * place
        colour = (BLUE, ORANGE, GREEN, RED, GREY)[place % 5]
        bars = [(value - low).clip(0.0), (high - value).clip(0.0)]
        axes.errorbar(at, value, yerr=bars, color=colour, marker="o", markersize=3, linewidth=1.2, label=variant)
    axes.set_xticks(scores["month"].unique().sort().to_list())
    axes.set_xlabel("month after the freeze", fontsize=8)
    axes.set_ylabel(label, fontsize=8)
    axes.legend(fontsize=8, frameon=False)
    return figure


def by_group(rows: pl.DataFrame, group: str) -> Any:
    """How many pairs of the list each group has."""
    figure, axes = figure_of(5.2, 3.2)
    counts = rows[group].value_counts(sort=True).sort("count", group, descending=[False, True]).tail(15)
    axes.barh(counts[group].to_list(), counts["count"].to_list(), color=BLUE)
    axes.set_xlabel("pairs on the list", fontsize=8)
    axes.tick_params(labelsize=8)
    return figure


__all__ = [
    "by_group",
    "by_month",
    "calibration_by_month",
    "gains",
    "reliability",
    "reliability_by_month",
    "replayed_lists",
]
