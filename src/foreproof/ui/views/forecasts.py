"""One series: what comes, how sure that is, what to order, and what if a plan were another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from foreproof.ui import charts, orders, parts, past_scores, scenarios, words
from foreproof.ui.client import Client, part

TITLE, ICON, ORDER, SECTION = "Forecasts", ":material/show_chart:", 10, "Plan"


def render(client: Client) -> None:
    """Draw the page."""
    project, api = parts.choose(client, "forecast")
    names = [str(row["series"]) for row in api.pages("/forecasts")]
    if not names:
        parts.empty("No series", "The served run forecasts no series: look at its plan and data.", "foreproof check")
        return
    most = int(project.get("horizon") or 1)
    series, horizon, level, history = _controls(names, most)
    with st.spinner(f"Reading the forecast of {series}"):
        found = api.get(f"/forecasts/{part(series)}", horizon=horizon, history=history)
    levels = sorted(float(one) for one in found["levels"])
    bands = _bands(levels, level)
    parts.provenance(found.get("provenance"))
    steps = _steps(found)
    unit = str(found.get("unit") or "units")
    _figures(steps, bands, unit=unit)
    before = found.get("history") or []
    past = [
        {"at": at, "y": row["y"]} for at, row in zip(words.periods([row["at"] for row in before]), before, strict=True)
    ]
    charts.show(
        charts.fan(past, steps, bands, unit=unit),
        alt_text=f"History of {series} and its forecast of {len(steps)} steps with intervals",
        key="fan",
    )
    parts.tabs(
        {
            "Order": lambda: orders.draw(api, series, unit),
            "Scenarios": lambda: scenarios.draw(api, project, found),
            "Generate": lambda: _generate(api, series, most, levels),
            "Past scores": lambda: past_scores.draw(api, names, series),
            "Table and export": lambda: _table(api, found, series),
        }
    )


def _controls(names: Sequence[str], most: int) -> tuple[str, int, int, int]:
    columns = st.columns([3, 2, 2, 2])
    with columns[0]:
        series = st.selectbox("Series", names, key="series", bind=parts.BIND, help="Type to search")
    with columns[1]:
        if most > 1:
            horizon = st.slider("Steps ahead", 1, most, most, key="horizon", bind=parts.BIND)
        else:
            horizon = 1
            st.metric("Steps ahead", "1")
    with columns[2]:
        level = st.selectbox(
            "Interval, %",
            [50, 80, 90, 95],
            index=1,
            key="level",
            bind=parts.BIND,
            help="How often the truth should lie in it",
        )
    with columns[3]:
        start = 0 if most <= 7 else 1
        history = st.selectbox("History, steps", [28, 90, 180, 365], index=start, key="history", bind=parts.BIND)
    return series or names[0], int(horizon), int(level or 80), int(history or 90)


def _bands(levels: Sequence[float], level: int) -> list[tuple[str, str]]:
    """The asked interval and the half as wide one inside it, each as the nearest levels that are served."""
    below = [one for one in levels if one < 0.5]
    if not below:
        return []
    found = []
    for share in (level / 100, 0.5):
        low = min(below, key=lambda one: abs(one - (1 - share) / 2))
        high = min((one for one in levels if one > 0.5), key=lambda one: abs(one - (1 - low)))
        if (pair := (f"{low:g}", f"{high:g}")) not in found:
            found.append(pair)
    return found


def _steps(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a step: `step`, `at` and a column a level."""
    rows = []
    for at, step in zip(words.periods([step["at"] for step in found["steps"]]), found["steps"], strict=True):
        row = {"step": step["step"], "at": at}
        row |= {f"{float(level):g}": value for level, value in step["quantiles"].items()}
        if step.get("mean") is not None:
            row["mean"] = step["mean"]
        rows.append(row)
    return rows


def _figures(steps: Sequence[Mapping[str, Any]], bands: Sequence[tuple[str, str]], *, unit: str) -> None:
    middle = "0.5" if "0.5" in steps[0] else "mean"
    first, last = steps[0], steps[-1]
    total = sum(float(step.get(middle) or 0) for step in steps)
    tiles = [
        (f"Next step, {words.day(first['at'])}", words.number(first.get(middle)), f"median, in {unit}"),
        (f"Sum over {words.many(len(steps), 'step')}", words.number(total), f"medians added, in {unit}"),
    ]
    if bands:
        low, high = bands[0]
        reach = f"{words.number(first.get(low))} to {words.number(first.get(high))}"
        share = float(high) - float(low)
        tiles.append((f"{share:.0%} interval, next step", reach, f"quantiles {low} and {high}, in {unit}"))
        reach = f"{words.number(last.get(low))} to {words.number(last.get(high))}"
        tiles.append((f"{share:.0%} interval, last step", reach, f"on {words.day(last['at'])}, in {unit}"))
    parts.tiles(tiles)


def _generate(api: Client, series: str, most: int, levels: Sequence[float]) -> None:
    st.write("Ask for a forecast now. What the published run answers comes at once; anything else becomes a job.")
    kept = [str(one["name"]) for one in parts.attempt(lambda: api.get("/scenarios").get("items", []), missing="") or []]
    with st.form("generate", border=True):
        left, middle, right = st.columns(3)
        horizon = left.number_input("Steps ahead", 1, most, most, key="generate_horizon")
        whose = middle.selectbox("Of", [f"{series} only", "all series"], key="generate_series")
        scenario = right.selectbox("Under", ["the plans as they are", *kept], key="generate_scenario")
        asked = st.form_submit_button("Generate", type="primary", icon=":material/play_arrow:")
    if not asked:
        return
    body: dict[str, Any] = {"horizon": int(horizon), "levels": list(levels)}
    if whose != "all series":
        body["series"] = [series]
    if scenario in kept:
        body["scenario"] = scenario
    answer = parts.attempt(lambda: api.post("/forecasts/generate", body), doing="Asking for a forecast")
    if answer is None:
        return
    if job := answer.get("job"):
        st.success(f"Job {job} was started.", icon=":material/schedule:")
        parts.link("jobs", "See how it goes", project=api.project, job=str(job))
        return
    made = answer.get("forecasts") or answer.get("items") or []
    st.success(f"The published run answers: {words.many(len(made), 'forecast')}.", icon=":material/check:")
    rows = [
        {"series": one.get("series"), "step": step["step"], "at": words.day(step["at"]), **step["quantiles"]}
        for one in made
        for step in one.get("steps", [])
    ]
    parts.table(rows, empty_words="The answer holds no steps.")


def _table(api: Client, found: Mapping[str, Any], series: str) -> None:
    rows = [
        {"step": step["step"], "at": words.day(step["at"])}
        | {f"quantile {level}": value for level, value in step["quantiles"].items()}
        | ({"mean": step["mean"]} if step.get("mean") is not None else {})
        for step in found["steps"]
    ]
    parts.table(rows)
    st.caption(f"{series}, as published. All series as a file:")
    parts.exports(api, "/forecasts/export", key="export", name=f"forecast_{found['provenance']['run']}")


__all__ = ["ICON", "ORDER", "SECTION", "TITLE", "render"]
