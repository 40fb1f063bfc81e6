"""What the judged errors say of a plan: tests, parts, rivals, and the same in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from foreproof.core.decompose import calendar_labels, error_parts, event_labels, series_labels, top_groups
from foreproof.core.diagnose import (
    ErrorOrder,
    errors_in_order,
    growth_by_step,
    ljung_box,
    mean_zero,
    rejections,
    scaled_errors,
    variance_by_step,
)
from foreproof.core.predict import CUTOFF, LEVEL, STEP
from foreproof.core.rivals import rivals
from foreproof.core.trial import Built
from foreproof.engine.backtest import Scored
from foreproof.engine.serve import MODEL
from foreproof.features.ahead import Ahead
from foreproof.features.calendar import Holiday
from foreproof.workloads.forecast import OURS, ForecastPlan

Found = Literal["fine", "look", "not tested"]
ORDERS: tuple[ErrorOrder, ...] = ("one step", "consecutive")

_ALPHA = 0.05
_TOP = 5
_UNEVEN = 1.5  # a group whose mean square is this often the overall one is named
_ENOUGH = 10  # rows; what fewer say is told, and asks for no look
_PART = 0.1  # a systematic part of the squared error from which it is named


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the errors of a backtest say. Each frame has `model`; see `core.diagnose`, `decompose` and `rivals`.

    findings: place, topic, verdict (`fine` | `look` | `not tested`), words: the combination's, in sentences. whiteness:
    Ljung-Box by model, order of the errors and series. mean_zero: by model and clustering. variance: by model and step, on
    errors over the mean |y| of their series. growth: of that by model. parts: of the squared error, by model, dimension
    and group. pairs: Diebold-Mariano of every two models.
    """

    findings: pl.DataFrame
    whiteness: pl.DataFrame
    mean_zero: pl.DataFrame
    variance: pl.DataFrame
    growth: pl.DataFrame
    parts: pl.DataFrame
    pairs: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of the diagnosis, and whether it asks for a look."""

    topic: str
    verdict: Found
    words: str


def diagnose(plan: ForecastPlan, scored: Scored, built: Built) -> Diagnosis:
    """Diagnose the combination and every member on the judged origins of a backtest; events are read off the rows."""
    task = plan.task
    entity = list(task.entity)
    points = scored.judged.filter(pl.col(LEVEL).is_null()).sort(MODEL, *entity, CUTOFF, STEP)
    scaled = scaled_errors(points, entity=entity)
    lags = 2 * task.season if task.season > 1 else 10  # Hyndman & Athanasopoulos (2021), section 5.4
    white = [
        ljung_box(errors_in_order(points, entity=entity, order=order), by=[MODEL, *entity], lags=lags)
        .with_columns(pl.lit(order).alias("order"))
        .select(MODEL, "order", *entity, "n", "lags", "statistic", "p_value", "p_holm")
        for order in ORDERS
    ]
    made = {
        "whiteness": pl.concat(white).sort(MODEL, "order", *entity),
        "mean_zero": mean_zero(points, entity=entity),
        "variance": variance_by_step(scaled),
        "growth": growth_by_step(scaled),
        "parts": error_parts(points, dimensions=_dimensions(plan, points, built)),
        "pairs": rivals(points, entity=entity, horizon=task.horizon),
    }
    found = [
        *(_whiteness(made["whiteness"], order) for order in ORDERS),
        _centre(made["mean_zero"]),
        _growth(made["growth"], made["variance"]),
        _parts(made["parts"]),
        *_groups(made["parts"]),
        _pairs(made["pairs"]),
    ]
    rows = [(place, one.topic, one.verdict, one.words) for place, one in enumerate(found)]
    schema = {"place": pl.Int64, "topic": pl.String, "verdict": pl.String, "words": pl.String}
    return Diagnosis(findings=pl.DataFrame(rows, schema=schema, orient="row"), **made)


def _dimensions(plan: ForecastPlan, points: pl.DataFrame, built: Built) -> dict[str, pl.Series]:
    """Labels of each point: series, step, parts of the local date, and what was known ahead of the target."""
    task = plan.task
    grid = task.series.grid
    found: dict[str, pl.Series] = {}
    if task.entity:
        found["series"] = series_labels(points, task.entity)
    found["step"] = points[STEP]
    if not grid.integer:
        found |= calendar_labels(points["target"], zone=grid.zone)
    events = [f.name for f in plan.features if _is_event(f) and f.name in built.rows.columns]
    if events:
        index = [*task.entity, CUTOFF, STEP]
        known = points.select(index).join(
            built.rows.select(*index, *events), on=index, how="left", maintain_order="left"
        )
        labels = {name: event_labels(known[name]) for name in events}
        found |= {name: column for name, column in labels.items() if column.n_unique() > 1}
    return found


def _is_event(feature: object) -> bool:
    """Whether a column says what happens in the target's own period."""
    match feature:
        case Ahead():
            return feature.offset == 0
        case Holiday():
            return feature.part in ("is", "name")
        case _:
            return False


# --- sentences -------------------------------------------------------------------------------------------------------


def _whiteness(tests: pl.DataFrame, order: ErrorOrder) -> Finding:
    topic = f"autocorrelation, {order}"
    mine = tests.filter((pl.col(MODEL) == OURS) & (pl.col("order") == order))
    counts = rejections(mine, by=[MODEL], alpha=_ALPHA)
    tested = int(counts["tested"].sum())
    if not tested:
        longest = mine.select(pl.col("n").max().fill_null(0)).item()
        return Finding(
            topic, "not tested", f"at most {longest} errors a series, or all equal: 10 that differ are needed"
        )
    alone, corrected = float(counts["share"][0]), float(counts["share_holm"][0])
    words = f"Ljung-Box finds autocorrelation in {alone:.1%} of {tested} series ({_ALPHA:.0%} by chance), "
    words += f"{corrected:.1%} after Holm"
    if order == "consecutive":
        words += "; these errors are of several steps ahead, and some correlation is there even in the best forecast"
    return Finding(topic, "look" if corrected > 0.0 else "fine", words)


def _centre(table: pl.DataFrame) -> Finding:
    tested = table.filter((pl.col(MODEL) == OURS) & pl.col("p_value").is_not_null())
    if tested.is_empty():
        return Finding("mean zero", "not tested", "one origin and one series: no cluster to compare with")
    # the weaker evidence of the two clusterings
    row = tested.sort("p_value", "cluster", descending=[True, False]).row(0, named=True)
    way = ", too high" if row["mean_error"] > 0.0 else ", too low" if row["mean_error"] < 0.0 else ""
    words = f"forecast - truth is {row['mean_error']:.3g} in the mean{way} (95% interval {row['low']:.3g} to {row['high']:.3g} "
    words += f"over {row['n']} {row['cluster'] if row['cluster'] == 'series' else 'origins'}, p = {row['p_value']:.2g})"
    return Finding("mean zero", "look" if row["p_value"] < _ALPHA else "fine", words)


def _growth(table: pl.DataFrame, variance: pl.DataFrame) -> Finding:
    mine = table.filter((pl.col(MODEL) == OURS) & pl.col("exponent").is_not_null())
    if mine.is_empty():
        return Finding("variance by step", "not tested", "one step, or no error at all")
    row = mine.row(0, named=True)
    last = variance.filter(pl.col(MODEL) == OURS).sort(STEP).row(-1, named=True)
    ratio = "" if last["ratio"] is None else f", {last['ratio']:.2g} times that of the first at step {last[STEP]}"
    interval = "" if row["low"] is None else f" (95% interval {row['low']:.2g} to {row['high']:.2g})"
    words = f"error variance grows as step ^ {row['exponent']:.2g}{interval}{ratio}"
    if row["p_value"] is not None:
        words += f"; Brown-Forsythe p = {row['p_value']:.2g}"
    if row["low"] is None:
        return Finding("variance by step", "not tested", f"{words}; one origin gives no interval")
    # more than a random walk's growth: something drifts away from the truth
    return Finding("variance by step", "look" if row["low"] > 1.0 else "fine", words)


def _parts(table: pl.DataFrame) -> Finding:
    (row,) = table.filter((pl.col(MODEL) == OURS) & (pl.col("dimension") == "overall")).iter_rows(named=True)
    if row["um"] is None:
        return Finding("parts of the error", "fine", "no error at all")
    words = f"{row['um']:.1%} of the squared error is bias, {row['us']:.1%} unequal spread, {row['uc']:.1%} timing (covariance)"
    systematic = row["um"] + row["us"]
    words += "; the first two could be calibrated away" if systematic > _PART else ""
    return Finding("parts of the error", "look" if systematic > _PART and row["n"] >= _ENOUGH else "fine", words)


def _groups(table: pl.DataFrame) -> list[Finding]:
    """For each dimension but the step: where the error is concentrated."""
    mine = table.filter((pl.col(MODEL) == OURS) & ~pl.col("dimension").is_in(["overall", STEP]))
    whole = table.filter((pl.col(MODEL) == OURS) & (pl.col("dimension") == "overall")).row(0, named=True)
    found = []
    for (name,), part in mine.group_by(["dimension"], maintain_order=True):
        if not whole["squared_error"]:
            continue
        if name == "series":
            found.append(_largest(part, str(name)))
            continue
        row = part.sort("mean_square", "place", descending=[True, False]).row(0, named=True)
        times = row["mean_square"] / whole["mean_square"]
        words = f"{row['group']} has the largest error: {row['share']:.1%} of the squared error in {row['n'] / whole['n']:.1%} "
        words += f"of the rows, {times:.2f} times the mean"
        found.append(Finding(f"by {name}", "look" if times >= _UNEVEN and row["n"] >= _ENOUGH else "fine", words))
    return found


def _largest(part: pl.DataFrame, name: str) -> Finding:
    top = top_groups(part, dimension=name, count=min(_TOP, max(1, part.height // 4)))
    share = float(top["share"].sum())
    words = (
        f"{top.height} of {part.height} series make{'s' if top.height == 1 else ''} {share:.1%} of the squared error: "
    )
    words += ", ".join(top["group"])
    return Finding("by series", "look" if share > 0.5 and part.height >= 4 * _TOP else "fine", words)


def _pairs(table: pl.DataFrame) -> Finding:
    mine = table.filter((pl.col("model_a") == OURS) | (pl.col("model_b") == OURS))
    tested = mine.drop_nulls("p_holm")
    if tested.is_empty():
        words = str(mine["words"][0]).removeprefix("not tested: ") if mine.height else "one model alone"
        return Finding("against the members", "not tested", words)
    sure = tested.filter(pl.col("p_holm") < _ALPHA)
    better = _names(sure, won=True)
    worse = _names(sure, won=False)
    words = f"beats {len(better)} of {tested.height} members after Holm over {table.drop_nulls('p_holm').height} pairs"
    words += f" ({', '.join(better)})" if better else ""
    words += f"; is beaten by {', '.join(worse)}" if worse else "; none beats it"
    return Finding("against the members", "look" if worse else "fine", words)


def _names(sure: pl.DataFrame, *, won: bool) -> Sequence[str]:
    """The other model of each pair that ours won (or lost)."""
    names: list[str] = []
    for row in sure.iter_rows(named=True):
        first = bool(row["model_a"] == OURS)
        if ((row["difference"] < 0.0) == first) == won:
            names.append(str(row["model_b"] if first else row["model_a"]))
    return names


__all__ = ["ORDERS", "Diagnosis", "Finding", "diagnose"]
