"""The plots of a proof, from the evidence of its verdicts. Colours are safe for colour blindness (Okabe & Ito 2008)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foreproof.app.plots import BLUE, GREEN, GREY, ORANGE, RED, figure_of
from foreproof.app.plots_pairs import PURPLE

Points = Sequence[Mapping[str, Any]]
"""Rows of `x`, `score`, `low`, `high`: a curve and its 95% band."""
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED)
_FEATURES = 10


def null_histogram(null: Sequence[float], score: float) -> Any:
    """The scores of shuffled labels, and the score of the true ones as a line. null: one a permutation."""
    figure, axes = figure_of(5.2, 2.8)
    axes.hist(list(null), bins=40, color=GREY, alpha=0.75, label=f"labels exchanged, {len(null)} times")
    axes.axvline(score, color=BLUE, linewidth=2.2, label=f"true labels: {score:.3f}")
    axes.set_xlabel("score of the probe", fontsize=8)
    axes.set_ylabel("permutations", fontsize=8)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 1.3)
    axes.legend(fontsize=7, frameon=False, loc="upper center", ncols=2)
    return figure


def curves(lines: Mapping[str, Points], *, x: str, y: str, limit: float | None = None, zero: bool = False) -> Any:
    """Curves over a number, each with its band. limit: a dashed line beyond which the check fails. zero: draw the line at 0."""
    figure, axes = figure_of(5.2, 2.8)
    for (name, points), colour in zip(lines.items(), _COLOURS, strict=False):
        rows = sorted(points, key=lambda row: float(row["x"]))
        at = [float(row["x"]) for row in rows]
        banded = [row for row in rows if row["low"] is not None and row["high"] is not None]
        axes.fill_between(
            [float(row["x"]) for row in banded],
            [row["low"] for row in banded],
            [row["high"] for row in banded],
            color=colour,
            alpha=0.18,
            linewidth=0,
        )
        axes.plot(at, [row["score"] for row in rows], color=colour, marker="o", markersize=4, linewidth=1.6, label=name)
    shown = sorted({float(row["x"]) for points in lines.values() for row in points})
    if len(shown) <= 8 and all(value.is_integer() for value in shown):
        axes.set_xticks(shown, [f"{value:.0f}" for value in shown])
    if zero:
        axes.axhline(0.0, color=GREY, linewidth=0.8)
    if limit is not None:
        axes.axhline(limit, color=RED, linewidth=1.2, linestyle="--", label=f"limit {limit:g}")
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    if len(lines) > 1 or limit is not None:
        axes.legend(fontsize=7, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def side_by_side(points: Points, *, y: str) -> Any:
    """Two or three scores with their bands. points: `x` is a name."""
    figure, axes = figure_of(5.2, 0.9 + 0.45 * len(points))
    names = [str(row["x"]) for row in points]
    for place, row in enumerate(points):
        at = len(points) - 1 - place
        if row["low"] is not None and row["high"] is not None:
            axes.plot([row["low"], row["high"]], [at, at], color=_COLOURS[place], linewidth=5, alpha=0.3)
        axes.plot([row["score"]], [at], color=_COLOURS[place], marker="o", markersize=7)
        axes.annotate(
            f"{row['score']:.3f}", (row["score"], at), (0, 7), textcoords="offset points", ha="center", fontsize=8
        )
    axes.set_yticks(range(len(points))[::-1], names, fontsize=8)
    axes.set_ylim(-0.6, len(points) - 0.3)
    axes.margins(x=0.15)
    axes.set_xlabel(y, fontsize=8)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    return figure


def early_late(importance: Points) -> Any:
    """The features that matter most, in the earlier half of the cutoffs against the later. importance: feature, early, late."""
    ordered = sorted(importance, key=lambda row: (-max(abs(row["early"]), abs(row["late"])), str(row["feature"])))
    rows = ordered[:_FEATURES][::-1]
    figure, axes = figure_of(5.2, 0.9 + 0.25 * len(rows))
    for place, row in enumerate(rows):
        axes.plot([row["early"], row["late"]], [place, place], color="#b6bcc6", linewidth=2)
    at = range(len(rows))
    axes.plot([row["early"] for row in rows], at, "o", color=ORANGE, markersize=5, label="earlier cutoffs")
    axes.plot([row["late"] for row in rows], at, "o", color=BLUE, markersize=5, label="later cutoffs")
    axes.axvline(0.0, color=GREY, linewidth=0.8)
    axes.set_yticks(list(at), [_short(str(row["feature"])) for row in rows], fontsize=7)
    axes.set_xlabel("importance (what it explains of the label)", fontsize=8)
    axes.legend(fontsize=7, frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    return figure


def near_the_cutoff(features: Points) -> Any:
    """The features that bring most, by whether SAFE keeps them. features: feature, gain (share), safe, declared."""
    rows = sorted(features, key=lambda row: (-row["gain"], str(row["feature"])))[:_FEATURES][::-1]
    figure, axes = figure_of(5.2, 0.9 + 0.25 * len(rows))
    kinds = (("SAFE keeps it", BLUE), ("reads near the cutoff", ORANGE), ("not declared", RED))
    for name, colour in kinds:
        held = [(place, row["gain"]) for place, row in enumerate(rows) if _kind(row) == name]
        if held:
            axes.barh([at for at, _ in held], [gain for _, gain in held], color=colour, height=0.65, label=name)
    axes.set_yticks(range(len(rows)), [_short(str(row["feature"])) for row in rows], fontsize=7)
    axes.set_xlabel("share of the probe's gain", fontsize=8)
    axes.legend(fontsize=7, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    return figure


def _kind(row: Mapping[str, Any]) -> str:
    if not row["declared"]:
        return "not declared"
    return "SAFE keeps it" if row["safe"] else "reads near the cutoff"


def _short(name: str) -> str:
    return name if len(name) <= 44 else f"{name[:28]}...{name[-13:]}"


__all__ = ["Points", "curves", "early_late", "near_the_cutoff", "null_histogram", "side_by_side"]
