"""The plots of a run's page, from its tables. Colours are safe for colour blindness (Okabe & Ito 2008)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import polars as pl

BLUE, ORANGE, GREY, GREEN, RED = "#0072B2", "#E69F00", "#6b7280", "#009E73", "#D55E00"
NAMES = {"combination": "Foreproof", "seasonal_naive": "seasonal naive"}


def fan(history: pl.DataFrame, forecast: pl.DataFrame, *, title: str, unit: str, span: int) -> Any:
    """One series: the last `span` steps, the median, and the 50, 80 and 95% bands.

    history: at (instant or integer), y. forecast: at, level, value.
    """
    figure, axes = figure_of(5.2, 2.5)
    past = history.sort("at").tail(span)
    axes.plot(past["at"].to_numpy(), past["y"].to_numpy(), color="#374151", linewidth=1.0)
    wide = forecast.drop_nulls("level").pivot("level", index="at", values="value").sort("at")
    at = wide["at"].to_numpy()
    for low, high, shade in ((0.025, 0.975, 0.15), (0.1, 0.9, 0.22), (0.25, 0.75, 0.3)):
        if str(low) in wide.columns and str(high) in wide.columns:
            axes.fill_between(
                at, wide[str(low)].to_numpy(), wide[str(high)].to_numpy(), color=BLUE, alpha=shade, linewidth=0
            )
    if "0.5" in wide.columns:
        axes.plot(at, wide["0.5"].to_numpy(), color=BLUE, linewidth=1.6)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_ylabel(unit, fontsize=8)
    axes.set_ylim(bottom=min(0.0, float(past.select(pl.col("y").min().fill_null(0.0)).item())))
    _dates(axes, past["at"])
    return figure


def error_by_step(scores: pl.DataFrame, *, metric: str, label: str) -> Any:
    """scores: model, step, value; one line a model, ours on top."""
    figure, axes = figure_of(5.2, 2.8)
    for model, part in sorted(scores.group_by("model"), key=lambda item: item[0][0] == "combination"):
        name = str(model[0])
        ordered = part.sort("step")
        ours = name == "combination"
        colour = BLUE if ours else ORANGE if name == "seasonal_naive" else "#b6bcc6"
        axes.plot(
            ordered["step"].to_numpy(),
            ordered["value"].to_numpy(),
            color=colour,
            linewidth=2.2 if ours else 1.3,
            label=NAMES.get(name, name),
        )
    axes.set_xlabel("steps ahead", fontsize=8)
    axes.set_ylabel(f"{label} ({metric})", fontsize=7)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False, ncols=3, loc="lower center")
    return figure


def coverage(observed: pl.DataFrame) -> Any:
    """observed: nominal, coverage, low, high (shares): how often intervals covered, against what they promised."""
    figure, axes = figure_of(3.6, 2.8)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
    rows = observed.sort("nominal")
    value = rows["coverage"].to_numpy()
    error = [value - rows["low"].to_numpy(), rows["high"].to_numpy() - value]
    axes.errorbar(
        rows["nominal"].to_numpy(), value, yerr=error, fmt="o", color=BLUE, markersize=4, capsize=2, linewidth=1
    )
    axes.set_xlabel("promised coverage", fontsize=8)
    axes.set_ylabel("observed", fontsize=8)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    return figure


def replayed(costs: pl.DataFrame, *, currency: str) -> Any:
    """costs: origin (text), policy, money: what following each policy would have cost at each past origin."""
    figure, axes = figure_of(5.2, 2.8)
    origins = costs["origin"].unique().sort().to_list()
    for place, (policy, colour) in enumerate((("combination", BLUE), ("seasonal_naive", ORANGE))):
        part = costs.filter(pl.col("policy") == policy).sort("origin")
        at = [origins.index(origin) + (place - 0.5) * 0.38 for origin in part["origin"]]
        axes.bar(at, part["money"].to_numpy(), width=0.36, color=colour, label=NAMES[policy])
    axes.set_xticks(range(len(origins)), origins, fontsize=8)
    axes.set_ylabel(f"cost ({currency})", fontsize=8)
    axes.legend(fontsize=7, frameon=False)
    return figure


def weights(shares: Sequence[tuple[str, float]]) -> Any:
    """How much each member counts in the combination."""
    figure, axes = figure_of(3.6, 0.5 + 0.35 * len(shares))
    names = [NAMES.get(name, name) for name, _ in shares][::-1]
    axes.barh(names, [share for _, share in shares][::-1], color=GREEN, height=0.6)
    axes.set_xlim(0, 1)
    axes.set_xlabel("weight", fontsize=8)
    return figure


def cost_curve(curve: pl.DataFrame, *, title: str, currency: str) -> Any:
    """curve: order_up_to, expected_cost, recommended (one row true)."""
    figure, axes = figure_of(5.2, 2.8)
    rows = curve.sort("order_up_to")
    axes.plot(rows["order_up_to"].to_numpy(), rows["expected_cost"].to_numpy(), color=BLUE, linewidth=1.8)
    best = rows.filter(pl.col("recommended"))
    axes.plot(best["order_up_to"].to_numpy(), best["expected_cost"].to_numpy(), "o", color=ORANGE, label="recommended")
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel("stock after the order, units", fontsize=8)
    axes.set_ylabel(f"expected cost ({currency})", fontsize=8)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False)
    return figure


def stock(steps: pl.DataFrame) -> Any:
    """steps: period, on_hand and unmet of ours and the baseline, units over all items."""
    figure, axes = figure_of(5.2, 2.8)
    at = steps["period"].to_numpy()
    for who, colour, name in (("baseline", ORANGE, NAMES["seasonal_naive"]), ("ours", BLUE, NAMES["combination"])):
        axes.plot(at, steps[f"on_hand_{who}"].to_numpy(), color=colour, linewidth=1.6, label=f"on hand, {name}")
        axes.plot(
            at, -steps[f"unmet_{who}"].to_numpy(), color=colour, linewidth=1.0, linestyle=":", label=f"unmet, {name}"
        )
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.set_xlabel("steps after the first origin", fontsize=8)
    axes.set_ylabel("units; unmet below zero", fontsize=8)
    axes.legend(fontsize=6.5, frameon=False, ncols=2)
    return figure


def two_paths(path: pl.DataFrame, *, names: tuple[str, str]) -> Any:
    """path: at (instant or integer), a, b: what two runs predict for the same moments."""
    figure, axes = figure_of(5.2, 2.8)
    for column, colour, name in zip(("a", "b"), (ORANGE, BLUE), names, strict=True):
        axes.plot(path["at"].to_numpy(), path[column].to_numpy(), color=colour, linewidth=1.8, label=name)
    axes.set_ylim(bottom=min(0.0, float(path.select(pl.min_horizontal(pl.col("a", "b").min())).item())))
    axes.legend(fontsize=7, frameon=False)
    _dates(axes, path["at"])
    return figure


def two_bars(scores: pl.DataFrame) -> Any:
    """scores: metric, a, b: two runs side by side."""
    figure, axes = figure_of(3.6, 2.8)
    for place, (column, colour) in enumerate((("a", ORANGE), ("b", BLUE))):
        at = [i + (place - 0.5) * 0.38 for i in range(scores.height)]
        axes.bar(at, scores[column].to_numpy(), width=0.36, color=colour, label=column.upper())
    axes.set_xticks(range(scores.height), [name.upper() for name in scores["metric"]], fontsize=8)
    axes.legend(fontsize=7, frameon=False)
    return figure


def error_parts(parts: pl.DataFrame) -> Any:
    """parts: model, bias, variance, covariance (unit of y squared): the mean squared error of each model, in parts."""
    figure, axes = figure_of(5.2, 0.9 + 0.35 * parts.height)
    ordered = parts.with_columns(total=pl.sum_horizontal("bias", "variance", "covariance")).sort(
        "total", descending=True
    )
    names = [NAMES.get(name, name) for name in ordered["model"]]
    left = [0.0] * len(names)
    for part, colour in (("bias", RED), ("variance", ORANGE), ("covariance", BLUE)):
        values = ordered[part].to_list()
        axes.barh(names, values, left=left, color=colour, height=0.6, label=part)
        left = [a + b for a, b in zip(left, values, strict=True)]
    axes.set_xlabel("mean squared error", fontsize=8)
    axes.legend(fontsize=7, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def error_groups(ratios: pl.DataFrame) -> Any:
    """ratios: dimension, group, ratio: mean squared error of each group over the overall one; 1 is the dashed line."""
    figure, axes = figure_of(5.2, 0.7 + 0.2 * ratios.height)
    names = [
        f"{group}" if name in ("weekday", "month") else f"{name}: {group}" for name, group, _ in ratios.iter_rows()
    ]
    colours = {
        name: (BLUE, GREEN, ORANGE)[place % 3]
        for place, name in enumerate(ratios["dimension"].unique(maintain_order=True))
    }
    at = range(ratios.height)[::-1]
    axes.barh(list(at), ratios["ratio"].to_list(), color=[colours[name] for name in ratios["dimension"]], height=0.7)
    axes.set_yticks(list(at), names, fontsize=7)
    axes.axvline(1.0, color=GREY, linewidth=0.8, linestyle="--")
    axes.set_xlabel("squared error against the mean", fontsize=8)
    return figure


def svg(figure: Any) -> str:
    """The figure as an inline SVG element, the same bytes each time."""
    import matplotlib as mpl

    out = BytesIO()
    with mpl.rc_context({"svg.hashsalt": "foreproof", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    text = out.getvalue().decode("utf-8")
    # The metadata names addresses, and the page must load and name nothing outside itself.
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)


def png(figure: Any) -> bytes:
    """The figure as a PNG file."""
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    return out.getvalue()


def figure_of(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _dates(axes: Any, at: pl.Series) -> None:
    if at.dtype.is_temporal():
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


__all__ = [
    "coverage",
    "error_by_step",
    "error_groups",
    "error_parts",
    "fan",
    "png",
    "replayed",
    "svg",
    "two_bars",
    "two_paths",
    "weights",
]
