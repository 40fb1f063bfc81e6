"""The plots: Altair over plain rows, in colours that are safe for colour blindness (Okabe & Ito 2008), on light and on dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

Rows = Sequence[Mapping[str, Any]]
Chart = Any
"""Any chart of Altair: layered, faceted or single."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by what they mean; `ours` is what the page is about, `bad` never stands alone: a word or mark says the same."""

    ours: str
    other: str
    good: str
    bad: str
    third: str
    quiet: str
    ink: str

    @property
    def series(self) -> list[str]:
        """Colours of lines that differ by name alone."""
        return [self.ours, self.other, self.good, self.third, self.bad, self.quiet]


LIGHT = Palette("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#8A8F98", "#222222")
DARK = Palette("#56B4E9", "#E69F00", "#2BC49B", "#F0834A", "#E2A0C4", "#9AA0AA", "#EEEEEE")


def palette() -> Palette:
    """The colours of the theme that the reader sees."""
    return DARK if getattr(st.context.theme, "type", None) == "dark" else LIGHT


def show(chart: Chart, *, alt_text: str, key: str | None = None) -> None:
    """A chart over the whole width, with words for those who cannot see it."""
    st.altair_chart(chart, width="stretch", key=key, alt=alt_text)


def frame(rows: Rows) -> pd.DataFrame:
    """Rows as a frame, instants without their zone: Vega would move them into that of the browser."""
    found = pd.DataFrame(list(rows))
    for name in found.columns:
        if isinstance(found[name].dtype, pd.DatetimeTZDtype):
            found[name] = found[name].dt.tz_localize(None)
    return found


def fan(history: Rows, steps: Rows, bands: Sequence[tuple[str, str]], *, unit: str, truth: str = "y") -> Chart:
    """What was, the median and its bands. history: `at`, `y`; steps: `at`, a column a level; bands: outermost first."""
    colours = palette()
    title = unit or "value"
    ahead = frame(steps)
    x = alt.X("at:T", title=None)
    layers = []
    for place, (low, high) in enumerate(bands):
        layers.append(
            alt.Chart(ahead)
            .mark_area(color=colours.ours, opacity=0.16 + 0.12 * place, line=False)
            .encode(x=x, y=alt.Y(f"{_esc(low)}:Q", title=title), y2=alt.Y2(_esc(high)))
        )
    if history:
        past = frame(history)
        layers.append(
            alt.Chart(past)
            .mark_line(color=colours.quiet, strokeWidth=1.6)
            .encode(x=x, y=alt.Y(f"{truth}:Q", title=title, scale=alt.Scale(zero=False)))
        )
        layers.append(alt.Chart(past.tail(1)).mark_rule(color=colours.quiet, strokeDash=[4, 4]).encode(x=x))
    tips = [alt.Tooltip("at:T", title="step ends")] + [
        alt.Tooltip(f"{_esc(name)}:Q", title=_level(name), format=",.4~g")
        for name in ahead.columns
        if name not in ("at", "step")
    ]
    middle = "0.5" if "0.5" in ahead.columns else "mean"
    layers.append(
        alt.Chart(ahead)
        .mark_line(color=colours.ours, strokeWidth=2.4, point=alt.OverlayMarkDef(size=28, color=colours.ours))
        .encode(x=x, y=alt.Y(f"{_esc(middle)}:Q", title=title), tooltip=tips)
    )
    return alt.layer(*layers).properties(height=360)


def lines(rows: Rows, *, x: str, y: str, by: str = "", titles: tuple[str, str] = ("", ""), zero: bool = False) -> Chart:
    """Lines over a number or a time; by: the column that tells them apart, also by dash."""
    colours = palette()
    held = frame(rows)
    kind = "T" if pd.api.types.is_datetime64_any_dtype(held[x]) else "Q"
    whole = bool(pd.api.types.is_integer_dtype(held[x]))
    encoding: dict[str, Any] = {
        "x": alt.X(f"{_esc(x)}:{kind}", title=titles[0] or None, axis=alt.Axis(tickMinStep=1) if whole else alt.Axis()),
        "y": alt.Y(f"{_esc(y)}:Q", title=titles[1] or None, scale=alt.Scale(zero=zero)),
        "tooltip": [alt.Tooltip(f"{_esc(name)}", title=name) for name in held.columns],
    }
    if by:
        encoding["color"] = alt.Color(f"{_esc(by)}:N", title=None, scale=alt.Scale(range=colours.series))
        encoding["strokeDash"] = alt.StrokeDash(f"{_esc(by)}:N", title=None)
    mark: dict[str, Any] = {"strokeWidth": 2.0, "point": alt.OverlayMarkDef(size=36)}
    if not by:
        mark["color"] = colours.ours
        mark["point"] = alt.OverlayMarkDef(size=36, color=colours.ours)
    return alt.Chart(held).mark_line(**mark).encode(**encoding).properties(height=280)


def banded(rows: Rows, *, titles: tuple[str, str], limit: float | None = None, zero: bool = False) -> Chart:
    """Curves with 95% bands. rows: `x`, `score`, `low`, `high`, `curve`. limit: the line beyond which a check fails."""
    colours = palette()
    held = frame(rows)
    colour: Any = alt.Color("curve:N", title=None, sort=None, scale=alt.Scale(range=colours.series))
    if held["curve"].nunique() == 1:
        colour = alt.value(colours.ours)
    at = sorted(set(held["x"]))
    whole = len(at) <= 12 and all(float(value).is_integer() for value in at)
    x = alt.X("x:Q", title=titles[0], axis=alt.Axis(values=at, format="d") if whole else alt.Axis())
    y = alt.Y("score:Q", title=titles[1], scale=alt.Scale(zero=zero))
    layers = [
        alt.Chart(held.dropna(subset=["low", "high"]))
        .mark_area(opacity=0.18)
        .encode(x=x, y=alt.Y("low:Q", title=titles[1], scale=alt.Scale(zero=zero)), y2="high:Q", color=colour),
        alt.Chart(held)
        .mark_line(point=True, strokeWidth=2)
        .encode(x=x, y=y, color=colour, tooltip=["curve", "x", "score", "low", "high"]),
    ]
    if zero:
        layers.append(rule(0.0, colours.quiet))
    if limit is not None:
        layers.append(rule(limit, colours.bad, dash=True))
    return alt.layer(*layers).properties(height=260)


def rule(at: float, colour: str, *, dash: bool = False) -> Chart:
    """A level line."""
    mark: dict[str, Any] = {"color": colour} | ({"strokeDash": [6, 4], "strokeWidth": 1.6} if dash else {})
    return alt.Chart(pd.DataFrame({"level": [at]})).mark_rule(**mark).encode(y="level:Q")


def histogram(values: Sequence[float], marked: float, *, titles: tuple[str, str]) -> Chart:
    """Counts of values, and one more as a line: shuffled scores against the true one."""
    colours = palette()
    bars = (
        alt.Chart(pd.DataFrame({"value": list(values)}))
        .mark_bar(color=colours.quiet, opacity=0.75)
        .encode(x=alt.X("value:Q", bin=alt.Bin(maxbins=40), title=titles[0]), y=alt.Y("count()", title=titles[1]))
    )
    line = alt.Chart(pd.DataFrame({"value": [marked], "words": [f"true labels: {marked:.3f}"]}))
    return alt.layer(
        bars,
        line.mark_rule(color=colours.ours, strokeWidth=2.6).encode(x="value:Q", tooltip=["words"]),
        line.mark_text(color=colours.ours, align="right", dx=-6, y=10, fontWeight="bold").encode(
            x="value:Q", text="words"
        ),
    ).properties(height=260)


def spans(rows: Rows, *, title: str, share: bool = False) -> Chart:
    """Named values with their intervals, one under another. rows: `name`, `value`, and `low`, `high` where they have any."""
    colours = palette()
    held = frame(rows)
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=260, labelOverlap=False))
    axis = alt.Axis(format=".0%") if share else alt.Axis()
    layers = []
    if {"low", "high"} <= set(held.columns):
        layers.append(
            alt.Chart(held.dropna(subset=["low", "high"]))
            .mark_rule(strokeWidth=5, opacity=0.35, color=colours.ours)
            .encode(x=alt.X("low:Q", title=title, scale=alt.Scale(zero=False), axis=axis), x2="high:Q", y=y)
        )
    layers.append(
        alt.Chart(held)
        .mark_circle(size=90, color=colours.ours, opacity=1)
        .encode(
            x=alt.X("value:Q", title=title, scale=alt.Scale(zero=False), axis=axis),
            y=y,
            tooltip=list(held.columns),
        )
    )
    return alt.layer(*layers).properties(height=30 * len(held) + 70)


def bars(rows: Rows, *, x: str, y: str, title: str, by: str = "", share: bool = False) -> Chart:
    """Horizontal bars in the order given; by: a column with two or three kinds, named in the legend. share: x in percent."""
    colours = palette()
    held = frame(rows)
    encoding: dict[str, Any] = {
        "x": alt.X(f"{_esc(x)}:Q", title=title, axis=alt.Axis(format=".0%") if share else alt.Axis()),
        "y": alt.Y(f"{_esc(y)}:N", title=None, sort=None, axis=alt.Axis(labelLimit=300, labelOverlap=False)),
        "tooltip": [alt.Tooltip(_esc(name), title=name) for name in held.columns],
    }
    if by:
        encoding["color"] = alt.Color(f"{_esc(by)}:N", title=None, scale=alt.Scale(range=colours.series))
    mark: dict[str, Any] = {} if by else {"color": colours.ours}
    return alt.Chart(held).mark_bar(**mark).encode(**encoding).properties(height=30 * len(held) + 70)


def signed(rows: Rows, *, x: str, y: str, title: str) -> Chart:
    """Horizontal bars to either side of 0: what speaks for it, and what against."""
    kinds = [{**row, "direction": "raises the chance" if row[x] >= 0 else "lowers the chance"} for row in rows]
    colours = palette()
    scale = alt.Scale(domain=["raises the chance", "lowers the chance"], range=[colours.ours, colours.other])
    return bars(kinds, x=x, y=y, title=title, by="direction").encode(
        color=alt.Color("direction:N", title=None, scale=scale, legend=alt.Legend(orient="top"))
    )


def calibration(rows: Rows, *, said: str, seen: str, count: str = "") -> Chart:
    """What was said against what was seen, with the diagonal on which both are equal."""
    colours = palette()
    held = frame(rows)
    ends = [held[name].max() for name in (said, seen, "high") if name in held.columns]
    top = min(1.0, max(0.01, *(float(end) for end in ends)) * 1.05)
    scale = alt.Scale(domain=[0, top])
    share = alt.Axis(format=".0%")
    diagonal = (
        alt.Chart(pd.DataFrame({"a": [0.0, top], "b": [0.0, top]}))
        .mark_line(color=colours.quiet, strokeDash=[5, 4])
        .encode(
            x=alt.X("a:Q", scale=scale, title="chance that was said", axis=share),
            y=alt.Y("b:Q", scale=scale, title="share that came true", axis=share),
        )
    )
    layers = [diagonal]
    if {"low", "high"} <= set(held.columns):
        layers.append(
            alt.Chart(held.dropna(subset=["low", "high"]))
            .mark_rule(color=colours.ours, opacity=0.4, strokeWidth=3)
            .encode(x=f"{_esc(said)}:Q", y="low:Q", y2="high:Q")
        )
    encoding: dict[str, Any] = {
        "x": alt.X(f"{_esc(said)}:Q", scale=scale),
        "y": alt.Y(f"{_esc(seen)}:Q", scale=scale),
        "tooltip": [alt.Tooltip(_esc(name), title=name, format=".3~g") for name in held.columns],
    }
    if count:
        encoding["size"] = alt.Size(f"{_esc(count)}:Q", title="pairs", legend=None, scale=alt.Scale(range=[40, 260]))
    layers.append(alt.Chart(held).mark_circle(color=colours.ours, opacity=1, size=80).encode(**encoding))
    return alt.layer(*layers).properties(height=320)


def capture(rows: Rows, *, x: str, y: str, base: float | None = None) -> Chart:
    """The share of all buyers that the first accounts of a list hold, against calling at random."""
    colours = palette()
    held = frame(rows)
    share = alt.Axis(format="%")
    layers = [
        alt.Chart(pd.DataFrame({"a": [0.0, 1.0], "b": [0.0, 1.0]}))
        .mark_line(color=colours.quiet, strokeDash=[5, 4])
        .encode(
            x=alt.X("a:Q", title="share of accounts called", axis=share),
            y=alt.Y("b:Q", title="share of buyers reached", axis=share),
        ),
        alt.Chart(held)
        .mark_line(color=colours.ours, strokeWidth=2.4, point=alt.OverlayMarkDef(size=36, color=colours.ours))
        .encode(
            x=alt.X(f"{_esc(x)}:Q"),
            y=alt.Y(f"{_esc(y)}:Q"),
            tooltip=[alt.Tooltip(_esc(name), title=name, format=".3~g") for name in held.columns],
        ),
    ]
    if base is not None:
        layers.append(
            alt.Chart(pd.DataFrame({"x": [base], "words": [f"base rate {base:.1%}"]}))
            .mark_rule(color=colours.other, strokeDash=[2, 3], strokeWidth=1.6)
            .encode(x="x:Q", tooltip=["words"])
        )
    return alt.layer(*layers).properties(height=320)


def dumbbell(rows: Rows, *, names: tuple[str, str], title: str) -> Chart:
    """Two values of each name joined by a line. rows: `name`, `a`, `b`."""
    colours = palette()
    held = frame(rows)
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=300, labelOverlap=False))
    long = held.melt(id_vars=["name"], value_vars=["a", "b"], var_name="which", value_name="value")
    long["which"] = long["which"].map({"a": names[0], "b": names[1]})
    scale = alt.Scale(domain=list(names), range=[colours.other, colours.ours])
    return alt.layer(
        alt.Chart(held)
        .mark_rule(color=colours.quiet, strokeWidth=2)
        .encode(x=alt.X("a:Q", title=title), x2="b:Q", y=y),
        alt.Chart(long)
        .mark_point(size=80, filled=True, opacity=1)
        .encode(
            x=alt.X("value:Q", title=title),
            y=y,
            color=alt.Color("which:N", title=None, scale=scale, legend=alt.Legend(orient="top")),
            shape=alt.Shape("which:N", title=None, legend=None),
            tooltip=["name", "which", "value"],
        ),
    ).properties(height=30 * len(held) + 90)


def with_mark(chart: Chart, at: float, text: str) -> Chart:
    """A chart over a number, with an upright line at one place of it and words beside the line."""
    colours = palette()
    held = alt.Chart(pd.DataFrame({"place": [at], "words": [text]}))
    return alt.layer(
        chart,
        held.mark_rule(color=colours.ink, strokeDash=[5, 4]).encode(x="place:Q"),
        held.mark_text(color=colours.ink, align="left", dx=6, y=10, fontWeight="bold").encode(
            x="place:Q", text="words"
        ),
    )


def _esc(name: str) -> str:
    """A column's name as Vega wants it: dots and brackets would mean parts of an object."""
    return name.replace("\\", "\\\\").replace(".", "\\.").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def _level(name: str) -> str:
    return "mean" if name == "mean" else f"quantile {name}"


__all__ = [
    "DARK",
    "LIGHT",
    "Chart",
    "Palette",
    "Rows",
    "banded",
    "bars",
    "calibration",
    "capture",
    "dumbbell",
    "fan",
    "frame",
    "histogram",
    "lines",
    "palette",
    "rule",
    "show",
    "signed",
    "spans",
    "with_mark",
]
