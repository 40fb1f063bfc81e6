"""Facts of a forecast's run: what is expected of each series, what to order, and how good earlier forecasts were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.units import per_total
from foreproof.explain.facts import About, Fact
from foreproof.explain.facts_common import (
    Subjects,
    Tables,
    change,
    fact,
    label,
    matching,
    named,
    run_wide,
    span,
)

_FEWEST = 4
"""The past is told as a mean over at least so many steps, never as a value."""
_NAIVE = "seasonal_naive"
_INTERVALS = (0.8, 0.9, 0.95, 0.6)
"""Which interval is told: the first whose ends were forecast."""
_SCORES = (
    ("wape", "WAPE of the forecast at past origins", "%"),
    ("mase", "MASE of the forecast at past origins", "ratio"),
    ("owa", "OWA of the forecast at past origins", "ratio"),
)


def forecast_facts(tables: Tables, about: About, *, subjects: Subjects) -> Iterator[Fact]:
    """Facts of some series and of the whole run."""
    yield from run_wide(about, tables)
    yield from _scores(tables, about)
    yield from _coverage(tables, about)
    yield from _totals(tables, about)
    yield from _replayed(tables, about)
    yield from _weights(tables, about)
    yield from _series(tables, about, subjects)
    yield from _orders(tables, about, subjects)
    yield from _by_series(tables, about, subjects)


def _scores(tables: Tables, about: About) -> Iterator[Fact]:
    scores = tables.get("scores")
    if scores is None:
        return
    found = {(m, k): v for m, k, v in scores.drop_nulls("value").select("model", "metric", "value").iter_rows()}
    for metric, what, unit in _SCORES:
        if ("combination", metric) in found:
            yield fact(about, "scores", "score", what, found["combination", metric], unit=unit)
    ours, theirs = found.get(("combination", "mae")), found.get((_NAIVE, "mae"))
    if ours is not None and theirs:
        what, against = "mean absolute error at past origins", "that of the seasonal naive"
        yield fact(about, "scores", "comparison", what, ours / theirs - 1.0, unit="%", against=against)
    bias = found.get(("combination", "bias"))
    if bias is not None:
        what, against = "sum of what was forecast at past origins", "what came"
        yield fact(about, "scores", "comparison", what, bias, unit="%", against=against)


def _coverage(tables: Tables, about: About) -> Iterator[Fact]:
    table = tables.get("coverage")
    if table is None:
        return
    for row in table.drop_nulls("coverage").iter_rows(named=True):
        if row["nominal"] in (0.8, 0.9, 0.95):
            what = f"share of past outcomes inside the {100 * row['nominal']:.0f}% interval"
            yield fact(about, "coverage", "coverage", what, row["coverage"], unit="%")


def _totals(tables: Tables, about: About) -> Iterator[Fact]:
    forecast = tables.get("forecast")
    if forecast is None or forecast.is_empty():
        return
    means = _means(forecast)
    count = means.select(about.entity).n_unique() if about.entity else 1
    period = _period(means, about)
    yield fact(about, "forecast", "count", "number of series forecast", count, period=period)
    if about.additive:
        what, unit = "expected total of all series", per_total(about.unit)
        yield fact(about, "forecast", "level", what, means[VALUE].sum(), unit=unit, period=period)
    orders = tables.get("orders")
    if orders is not None and orders.height and about.entity:
        unit = per_total(about.unit)
        total = orders["order"].sum()
        yield fact(about, "orders", "order", "recommended order quantity of all series", total, unit=unit)
        if "expected_cost" in orders.columns and orders["expected_cost"].null_count() == 0:
            cost = orders["expected_cost"].sum()
            yield fact(about, "orders", "money", "expected cost of all orders", cost, unit=about.currency)


def _replayed(tables: Tables, about: About) -> Iterator[Fact]:
    totals = tables.get("replay_totals")
    name = "replay_totals"
    if totals is None or totals.is_empty():
        totals, name = tables.get("replay_stock_totals"), "replay_stock_totals"
    if totals is None or totals.is_empty():
        return
    money = dict(totals.group_by("who").agg(pl.col("money").sum()).iter_rows())
    ours, theirs = money.get("ours"), money.get("baseline")
    if ours is None or theirs is None:
        return
    yield fact(about, name, "money", "replayed cost of past orders", ours, unit=about.currency)
    moved = change(ours, theirs)
    if moved is not None:
        what, against = "replayed cost of past orders", "that of orders on the seasonal naive"
        yield fact(about, name, "comparison", what, moved, unit="%", against=against)
    mine = totals.filter(who="ours").drop_nulls("fill_rate")
    weights = mine["demand"] if "demand" in mine.columns else pl.Series([1.0] * mine.height)
    if mine.height and weights.sum() > 0:
        share = float((mine["fill_rate"] * weights).sum()) / float(weights.sum())
        yield fact(about, name, "score", "share of demand served in the replay", share, unit="%")


def _weights(tables: Tables, about: About) -> Iterator[Fact]:
    weights = tables.get("weights")
    if weights is None or weights.is_empty():
        return
    last = weights.filter(pl.col(CUTOFF) == pl.col(CUTOFF).max()).sort("weight", "model", descending=[True, False])
    for model, weight in last.select("model", "weight").iter_rows():
        what = f"weight of {str(model).replace('_', ' ')} in the combination"
        yield fact(about, "weights", "weight", what, weight, unit="%")


def _series(tables: Tables, about: About, subjects: Subjects) -> Iterator[Fact]:
    forecast = tables.get("forecast")
    if forecast is None:
        return
    mine = matching(forecast, about.entity, subjects)
    past = _past(tables.get("history"), about, subjects)
    for rows in _grouped(mine, about.entity):
        yield from _one_series(rows, about, past)


def _one_series(rows: pl.DataFrame, about: About, past: dict[str, float]) -> Iterator[Fact]:
    name = named(rows.row(0, named=True), about.entity)
    means = _means(rows).sort(STEP)
    period = _period(means, about)
    given: dict[str, Any] = {"subject": name, "unit": about.unit}
    mean = float(means[VALUE].mean() or 0.0)  # type: ignore[arg-type]
    if about.additive:
        unit = per_total(about.unit)
        total = float(means[VALUE].sum())
        yield fact(about, "forecast", "level", "expected total", total, subject=name, unit=unit, period=period)
    yield fact(
        about, "forecast", "level", f"expected mean per {about.step.removesuffix('s')}", mean, period=period, **given
    )
    moved = change(mean, past.get(name, 0.0))
    if moved is not None:
        steps = max(means.height, _FEWEST)
        against = f"the mean of the last {steps} known {about.step}"
        what = f"expected mean per {about.step.removesuffix('s')}"
        yield fact(about, "history", "comparison", what, moved, subject=name, unit="%", period=period, against=against)
    last = means.row(-1, named=True)
    at = span(last[CUTOFF], last["at"], about.zone).split(" to ")[-1]
    if means.height > 1:
        yield fact(about, "forecast", "level", "expected value at the final step", last[VALUE], period=at, **given)
        peak = means.sort(VALUE, STEP, descending=[True, False]).row(0, named=True)
        when = span(peak[CUTOFF], peak["at"], about.zone).split(" to ")[-1]
        yield fact(about, "forecast", "date", "date of the expected peak", when, subject=name)
        yield fact(about, "forecast", "level", "expected value at the peak", peak[VALUE], period=when, **given)
    levels = {round(level, 6): value for level, value in _at_step(rows, last[STEP])}
    for share in _INTERVALS:
        ends = (round((1.0 - share) / 2.0, 6), round((1.0 + share) / 2.0, 6))
        if all(end in levels for end in ends):
            for end, place in zip(ends, ("lower", "upper"), strict=True):
                what = f"{place} end of the {100 * share:.0f}% interval at the final step"
                yield fact(about, "forecast", "level", what, levels[end], period=at, **given)
            return


def _orders(tables: Tables, about: About, subjects: Subjects) -> Iterator[Fact]:
    orders, unit = tables.get("orders"), per_total(about.unit)
    if orders is not None and orders.height:
        for row in matching(orders, about.entity, subjects).iter_rows(named=True):
            name = named(row, about.entity)
            yield fact(about, "orders", "order", "recommended order quantity", row["order"], subject=name, unit=unit)
            if row.get("order_up_to") is not None:
                what = "stock that the order aims at"
                yield fact(about, "orders", "level", what, row["order_up_to"], subject=name, unit=unit)
            if row.get("expected_cost") is not None:
                what = "expected cost of the order"
                yield fact(about, "orders", "money", what, row["expected_cost"], subject=name, unit=about.currency)
            if row.get("ratio") is not None:
                what = "critical ratio of its costs"
                yield fact(about, "orders", "attribution", what, row["ratio"], subject=name, unit="%")
    voi = tables.get("voi")
    if voi is None or voi.is_empty():
        return
    for row in matching(voi, about.entity, subjects).iter_rows(named=True):
        name = named(row, about.entity)
        for column, what in (
            ("perfect_information", "worth of perfect information"),
            ("this_forecast", "expected cost saved by this forecast instead of the seasonal naive"),
        ):
            if row.get(column) is not None:
                yield fact(about, "voi", "money", what, row[column], subject=name, unit=about.currency)


def _by_series(tables: Tables, about: About, subjects: Subjects) -> Iterator[Fact]:
    scores = tables.get("scores_by_series")
    if scores is None or not about.entity:
        return
    ours = matching(scores, about.entity, subjects).filter(model="combination", metric="wape").drop_nulls("value")
    for row in ours.iter_rows(named=True):
        name = named(row, about.entity)
        what = "WAPE of the forecast at past origins"
        yield fact(about, "scores_by_series", "score", what, row["value"], subject=name, unit="%")


def _means(forecast: pl.DataFrame) -> pl.DataFrame:
    """The point forecasts: rows without a level; the median of a table without such rows."""
    points = forecast.filter(pl.col(LEVEL).is_null())
    return points if points.height else forecast.filter(pl.col(LEVEL) == 0.5)


def _period(means: pl.DataFrame, about: About) -> str:
    return span(means[CUTOFF].max(), means["at"].max(), about.zone)


def _past(history: pl.DataFrame | None, about: About, subjects: Subjects) -> dict[str, float]:
    """The mean of each series' last steps, as many as are forecast, at least `_FEWEST`."""
    if history is None or history.is_empty():
        return {}
    steps = max(about.horizon, _FEWEST)
    mine = matching(history, about.entity, subjects).drop_nulls("y").sort("at")
    found = {}
    for rows in _grouped(mine, about.entity):
        if rows.height >= steps:
            found[named(rows.row(0, named=True), about.entity)] = float(rows["y"].tail(steps).mean() or 0.0)  # type: ignore[arg-type]
    return found


def _grouped(frame: pl.DataFrame, entity: tuple[str, ...]) -> list[pl.DataFrame]:
    if frame.is_empty():
        return []
    return frame.partition_by(entity, maintain_order=True) if entity else [frame]


def _at_step(rows: pl.DataFrame, step: int) -> list[tuple[float, float]]:
    at = rows.filter(pl.col(STEP) == step, pl.col(LEVEL).is_not_null())
    return list(at.select(LEVEL, VALUE).iter_rows())


def leading(tables: Tables, about: About, count: int) -> tuple[str, ...]:
    """The series whose expected mean differs most from their last known steps, else the largest ones."""
    forecast, history = tables.get("forecast"), tables.get("history")
    if forecast is None or forecast.is_empty():
        return ()
    if not about.entity:
        return (named({}, about.entity),)
    means = _means(forecast).group_by(label(about.entity).alias("_name"), maintain_order=True).agg(pl.col(VALUE).mean())
    ranked = means.with_columns(pl.col(VALUE).abs().alias("_by"))
    if history is not None and history.height:
        steps = max(about.horizon, _FEWEST)
        past = history.drop_nulls("y").sort("at").group_by(label(about.entity).alias("_name"))
        moved = means.join(past.agg(pl.col("y").tail(steps).mean()), on="_name")
        moved = moved.filter(pl.col("y") > 0).with_columns((pl.col(VALUE) / pl.col("y") - 1.0).abs().alias("_by"))
        ranked = moved if moved.height else ranked
    return tuple(ranked.sort("_by", "_name", descending=[True, False])["_name"].head(count))


__all__ = ["forecast_facts", "leading"]
