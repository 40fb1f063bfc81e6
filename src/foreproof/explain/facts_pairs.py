"""Facts of a propensity's run: chances of pairs, the list and why a pair is on it, how good earlier lists were."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from foreproof.core.predict import CUTOFF
from foreproof.explain.facts import About, Fact
from foreproof.explain.facts_common import Subjects, Tables, fact, matching, named, run_wide

_DRIVER = re.compile(r"(?P<what>.+?) \(odds x (?P<odds>\d+(?:\.\d+)?)\)(?:, |$)")
_SCORES = {
    "auc": ("AUC of the chances", "ratio"),
    "capture10": ("share of buyers captured by the top tenth", "%"),
    "calibration_mae": ("calibration error of the chances", "%"),
}
_GAINS = {"y": "buyers", "money": "money", "margin": "margin"}
_METRICS = {"buyers": "", "capture": "%", "precision": "%"}


def pair_facts(tables: Tables, about: About, *, subjects: Subjects) -> Iterator[Fact]:
    """Facts of some pairs and of the whole run."""
    yield from run_wide(about, tables)
    yield from _scores(tables, about)
    yield from _list(tables, about)
    yield from _replayed(tables, about)
    yield from _prices(tables, about)
    yield from _scenarios(tables, about)
    yield from _pairs(tables, about, subjects)


def first_pairs(tables: Tables, about: About, count: int) -> tuple[str, ...]:
    """The first pairs of the list."""
    rows = tables.get("list")
    if rows is None or rows.is_empty():
        return ()
    return tuple(named(row, about.entity) for row in rows.sort("rank").head(count).iter_rows(named=True))


def _scores(tables: Tables, about: About) -> Iterator[Fact]:
    scores = tables.get("pair_scores")
    if scores is None or scores.is_empty():
        return
    ours = scores.filter(pl.col("who") == "foreproof", pl.col("cutoff") == "all").drop_nulls("value")
    for row in ours.iter_rows(named=True):
        if row["metric"] in _SCORES and row["segment"] in ("whitespace", "repeat"):
            what, unit = _SCORES[row["metric"]]
            yield fact(about, "pair_scores", "score", f"{what}, {row['segment']} pairs", row["value"], unit=unit)
    rates = tables.get("base_rates")
    if rates is None or rates.is_empty():
        return
    latest = rates.filter(pl.col("cutoff") == pl.col("cutoff").max()).drop_nulls("rate")
    for row in latest.iter_rows(named=True):
        what = f"share of {row['segment']} pairs that bought"
        period = f"after {row['cutoff']}"
        yield fact(about, "base_rates", "score", what, row["rate"], unit="%", period=period)


def _list(tables: Tables, about: About) -> Iterator[Fact]:
    rows = tables.get("list")
    if rows is None or rows.is_empty():
        return
    yield fact(about, "list", "count", "number of pairs on the list", rows.height)
    if rows["p"].null_count() == 0:
        buyers = rows["p"].sum()
        yield fact(about, "list", "level", "expected number of buyers on the list", buyers)
    if rows["expected"].null_count() == 0:
        yield fact(about, "list", "money", "expected worth of the list", rows["expected"].sum(), unit=about.currency)


def _replayed(tables: Tables, about: About) -> Iterator[Fact]:
    replay = tables.get("list_replay")
    if replay is not None and replay.height:
        ours = replay.filter(pl.col("who") == "foreproof", pl.col("cutoff") == "all")
        for row in ours.iter_rows(named=True):
            for column, what in (
                ("precision", "share of listed pairs that bought, in past lists"),
                ("capture", "share of buyers captured by past lists"),
            ):
                if row[column] is not None:
                    yield fact(about, "list_replay", "score", what, row[column], unit="%")
    gain = tables.get("list_gain")
    if gain is None:
        return
    for row in gain.drop_nulls("value").iter_rows(named=True):
        if row["what"] in _GAINS:
            unit = "buyers" if row["what"] == "y" else about.currency
            what = f"{_GAINS[row['what']]} found by past lists"
            of = "those" if row["what"] == "y" else "that"
            against = f"{of} of a list by {str(row['against']).replace('_', ' ')}"
            yield fact(about, "list_gain", "comparison", what, row["value"], unit=unit, against=against)


def _prices(tables: Tables, about: About) -> Iterator[Fact]:
    prices = tables.get("list_prices")
    if prices is None:
        return
    for row in prices.drop_nulls("price").iter_rows(named=True):
        what = "expected worth that the limit costs the list"
        subject = f"limit {row['limit']}"
        yield fact(about, "list_prices", "money", what, row["price"], subject=subject, unit=about.currency)


def _scenarios(tables: Tables, about: About) -> Iterator[Fact]:
    """What past lists would have found under another capacity, against the list as it is."""
    table = tables.get("list_scenarios")
    if table is None or table.is_empty():
        return
    usual = dict(_metric_rows(table.filter(pl.col("scenario").str.starts_with("1.0 x")), about))
    for row in table.iter_rows(named=True):
        if row[about.entity[-1]] != "all" or row["metric"] not in _METRICS or row["value"] is None:
            continue
        subject = f"scenario {row['scenario']}"
        unit = _METRICS[row["metric"]] or "buyers"
        yield fact(
            about,
            "list_scenarios",
            "level",
            f"{row['metric']} of past lists under the scenario",
            row["value"],
            subject=subject,
            unit=unit,
        )
        before = usual.get(row["metric"])
        if before and row["scenario"] != "1.0 x the list":
            yield fact(
                about,
                "list_scenarios",
                "scenario",
                f"{row['metric']} of past lists under the scenario",
                row["value"] / before - 1.0,
                subject=subject,
                unit="%",
                against="the list as it is",
            )


def _metric_rows(table: pl.DataFrame, about: About) -> Iterator[tuple[str, float]]:
    for row in table.drop_nulls("value").iter_rows(named=True):
        if row[about.entity[-1]] == "all":
            yield row["metric"], row["value"]


def _pairs(tables: Tables, about: About, subjects: Subjects) -> Iterator[Fact]:
    listed: set[str] = set()
    rates = _rates(tables, about)
    rows = tables.get("list")
    if rows is not None and rows.height:
        for row in matching(rows, about.entity, subjects).sort("rank").iter_rows(named=True):
            name = named(row, about.entity)
            listed.add(name)
            yield from _chance(about, "list", name, row, rates)
            yield fact(about, "list", "order", "rank on the list", row["rank"], subject=name)
            for column, what in (("worth", "worth of a purchase"), ("expected", "expected worth of a call")):
                if row.get(column) is not None:
                    yield fact(about, "list", "money", what, row[column], subject=name, unit=about.currency)
            badge = {"model": "model", "heuristic": "base rate"}.get(str(row.get("badge")), str(row.get("badge")))
            yield fact(about, "list", "verdict", "origin of the chance", badge, subject=name)
            yield from _drivers(about, name, str(row.get("drivers") or ""))
    chances = tables.get("chances")
    if subjects is None or chances is None or chances.is_empty():
        return
    last = matching(chances.filter(pl.col(CUTOFF) == pl.col(CUTOFF).max()), about.entity, subjects)
    for row in last.iter_rows(named=True):
        name = named(row, about.entity)
        if name not in listed:
            yield from _chance(about, "chances", name, row, rates)
            yield fact(about, "chances", "verdict", "place of the pair", "off the list", subject=name)


def _chance(about: About, table: str, name: str, row: Mapping[str, Any], rates: Mapping[str, float]) -> Iterator[Fact]:
    if row["p"] is None:
        return
    period = f"{about.horizon} {about.step} after {about.cutoff}"
    yield fact(about, table, "probability", "chance of a purchase", row["p"], subject=name, unit="%", period=period)
    usual = rates.get(str(row[about.entity[-1]]))
    if usual:
        what, against = "chance of a purchase", "the mean of its group"
        moved = row["p"] / usual - 1.0
        yield fact(about, table, "comparison", what, moved, subject=name, unit="%", period=period, against=against)


def _rates(tables: Tables, about: About) -> Mapping[str, float]:
    """The mean chance of each group's whitespace pairs at the cutoff."""
    chances = tables.get("chances")
    if chances is None or chances.is_empty() or about.entity[-1] not in chances.columns:
        return {}
    last = chances.filter(pl.col(CUTOFF) == pl.col(CUTOFF).max(), pl.col("segment") == "whitespace")
    means = last.group_by(about.entity[-1]).agg(pl.col("p").mean()).drop_nulls()
    return {str(group): mean for group, mean in means.iter_rows()}


def _drivers(about: About, name: str, text: str) -> Iterator[Fact]:
    """What set the pair apart from others of its group: each driver with what it does to the odds."""
    for found in _DRIVER.finditer(text):
        what = f"odds factor of {found['what'].strip()}"
        odds = float(found["odds"])
        yield fact(about, "list", "attribution", what, odds, subject=name, unit="times")


__all__ = ["first_pairs", "pair_facts"]
