"""Served predictions against what came of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.monitor import Monitor
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.score_binary import auc, brier

BAND = (0.1, 0.9)
"""The ends of the interval whose coverage is watched."""
CHANCE, INSIDE, MEAN, Y = "chance", "inside", "mean", "y"
_BINS = 10


@dataclass(frozen=True, slots=True)
class Standing:
    """How served predictions did, by numbers that are null where nothing answers them.

    scored: outcomes among the newest cutoffs. scores: by name. over_time: a row a cutoff. calibration: of each quantile the share
    of outcomes at or below it; of chances, by tenths, what was said and what was seen. alerts: in words, empty where all is well.
    """

    scored: int
    scores: dict[str, float | None]
    over_time: pl.DataFrame
    calibration: pl.DataFrame
    alerts: tuple[str, ...]


def quantile_name(level: float) -> str:
    """The column of a quantile: `q0.1`."""
    return f"q{level:g}"


def evaluate(predictions: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """Each prediction whose outcome is known, in one row: index columns, `mean` and `q0.1` ... or `chance`, `y`, `inside`.

    predictions: entity columns, `cutoff`, `step`, then `level` (null for the mean) and `value`, or `p`; an `at` is kept. truth:
    entity columns, `cutoff`, `step`, `y`; a row that is null has not happened. inside: whether y lies in the closed interval from
    the quantile 0.1 to 0.9; null where these were not predicted, and of chances.
    """
    last = predictions.columns.index(STEP) + 1
    index = predictions.columns[:last]
    known = truth.filter(pl.col(Y).is_not_null()).select(*index, pl.col(Y).cast(pl.Float64))
    kept = [*index, *(["at"] if "at" in predictions.columns else [])]
    if LEVEL not in predictions.columns:
        said = predictions.select(*kept, pl.col("p").alias(CHANCE))
        return said.join(known, on=index, how="inner").with_columns(pl.lit(None, pl.Boolean).alias(INSIDE)).sort(index)
    wide = predictions.select(kept).unique().sort(index)
    levels = predictions[LEVEL].unique().sort().to_list()
    for level in levels:
        name = MEAN if level is None else quantile_name(level)
        this = pl.col(LEVEL).is_null() if level is None else pl.col(LEVEL) == level
        part = predictions.filter(this).select(*index, pl.col(VALUE).alias(name))
        wide = wide.join(part, on=index, how="left")
    joined = wide.join(known, on=index, how="inner")
    low, high = (quantile_name(level) for level in BAND)
    inside = (
        pl.col(Y).is_between(pl.col(low), pl.col(high))
        if {low, high} <= set(wide.columns)
        else pl.lit(None, pl.Boolean)
    )
    return joined.with_columns(inside.alias(INSIDE)).sort(index)


def standing(evaluated: pl.DataFrame, terms: Monitor, *, usual_wape: float | None = None) -> Standing:
    """What the newest cutoffs' outcomes say against the thresholds. evaluated: from `evaluate`; usual_wape: of the backtest."""
    chances = CHANCE in evaluated.columns
    over_time = scores_by(evaluated, (CUTOFF,))
    newest = evaluated[CUTOFF].unique().sort().tail(terms.cutoffs)
    recent = evaluated.filter(pl.col(CUTOFF).is_in(newest.implode()))
    if recent.is_empty():
        return Standing(0, {}, over_time, _no_calibration(chances), ())
    row = scores_by(recent, ()).row(0, named=True)
    scores = {name: value for name, value in row.items() if name != "n"}
    calibration = _reliability(recent) if chances else _shares(recent)
    alerts: list[str] = []
    if recent.height >= terms.least:
        alerts = _chance_alerts(scores, recent.height, terms) if chances else _alerts(row, terms, usual_wape)
    return Standing(recent.height, scores, over_time, calibration, tuple(alerts))


def scores_by(evaluated: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """A row a group of `by`: `n`, then `wape`, `mae`, `bias`, `pinball`, `coverage`, or `said`, `seen`, `gap`, `brier`, `auc`."""
    if CHANCE in evaluated.columns:
        return _chance_scores(evaluated, by)
    y, f = pl.col(Y), pl.col(MEAN) if MEAN in evaluated.columns else pl.col(quantile_name(0.5))
    whole = y.abs().sum()
    shares = [
        pl.len().alias("n"),
        pl.when(whole > 0).then((f - y).abs().sum() / whole).alias("wape"),
        (f - y).abs().mean().alias("mae"),
        pl.when(whole > 0).then((f - y).sum() / whole).alias("bias"),
        _pinball(evaluated).alias("pinball"),
        pl.col(INSIDE).mean().alias("coverage"),
    ]
    return evaluated.group_by(by).agg(shares).sort(by) if by else evaluated.select(shares)


def _pinball(evaluated: pl.DataFrame) -> pl.Expr:
    """The mean pinball loss over levels (Koenker and Bassett, 1978)."""
    names = [name for name in evaluated.columns if name[0] == "q" and name[1:].replace(".", "").isdigit()]
    losses = [
        pl.max_horizontal(
            float(name[1:]) * (pl.col(Y) - pl.col(name)), (float(name[1:]) - 1) * (pl.col(Y) - pl.col(name))
        )
        for name in names
    ]
    return pl.mean_horizontal(losses).mean() if losses else pl.lit(None, pl.Float64)


def _chance_scores(evaluated: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    parts = evaluated.partition_by(by, maintain_order=True) if by else [evaluated]
    rows = []
    for part in parts:
        y, p = part[Y].to_numpy(), part[CHANCE].to_numpy()
        said, seen = (float(values.mean()) if values.size else math.nan for values in (p, y))
        both = bool(y.size) and 0 < float(y.sum()) < y.size
        key = part.select(by).row(0) if by else ()
        rows.append((*key, part.height, said, seen, said - seen, brier(y, p), auc(y, p) if both else None))
    numbers = dict.fromkeys(("said", "seen", "gap", "brier", "auc"), pl.Float64())
    schema: dict[str, pl.DataType] = {**{name: evaluated.schema[name] for name in by}, "n": pl.Int64(), **numbers}
    found = pl.DataFrame(rows, schema=schema, orient="row")
    return found.sort(by) if by else found


def _shares(evaluated: pl.DataFrame) -> pl.DataFrame:
    """`level`, `share` of outcomes at or below that quantile, `n`."""
    names = [name for name in evaluated.columns if name[0] == "q" and name[1:].replace(".", "").isdigit()]
    rows = [
        (float(name[1:]), float(np.mean(evaluated[Y].to_numpy() <= evaluated[name].to_numpy())), evaluated.height)
        for name in names
    ]
    return pl.DataFrame(rows, schema=_no_calibration(False).schema, orient="row")


def _reliability(evaluated: pl.DataFrame) -> pl.DataFrame:
    """`tenth` of the chances, `said`, `seen`, `n`."""
    tenth = (pl.col(CHANCE) * _BINS).floor().clip(0, _BINS - 1).cast(pl.Int64).alias("tenth")
    means = [
        pl.col(CHANCE).mean().alias("said"),
        pl.col(Y).mean().alias("seen"),
        pl.len().cast(pl.Int64).alias("n"),
    ]
    return evaluated.group_by(tenth).agg(means).sort("tenth")


def _no_calibration(chances: bool) -> pl.DataFrame:
    names = ("tenth", "said", "seen", "n") if chances else ("level", "share", "n")
    return pl.DataFrame(schema={name: pl.Int64 if name in ("tenth", "n") else pl.Float64 for name in names})


def _alerts(row: dict[str, float | None], terms: Monitor, usual: float | None) -> list[str]:
    found, n = [], row["n"]
    low, high = terms.coverage
    if row["coverage"] is not None and not low <= row["coverage"] <= high:
        found.append(f"the 80% interval held {row['coverage']:.1%} of {n} outcomes; wanted {low:.0%} to {high:.0%}")
    wape = row["wape"]
    if wape is not None and terms.wape is not None and wape > terms.wape:
        found.append(f"WAPE is {wape:.3f} over {n} outcomes; wanted at most {terms.wape:g}")
    if wape is not None and usual and wape > terms.worse * usual:
        found.append(
            f"WAPE is {wape:.3f} over {n} outcomes, {wape / usual:.1f} times the {usual:.3f} of the backtest; "
            f"wanted at most {terms.worse:g} times"
        )
    return found


def _chance_alerts(scores: dict[str, float | None], n: int, terms: Monitor) -> list[str]:
    found = []
    said, seen, ranked = scores["said"], scores["seen"], scores["auc"]
    if said is not None and seen is not None and abs(said - seen) > terms.calibration:
        found.append(
            f"chances say {said:.1%} and {seen:.1%} of {n} pairs bought; wanted at most {terms.calibration:.0%} apart"
        )
    if terms.auc is not None and ranked is not None and ranked < terms.auc:
        found.append(f"AUC is {ranked:.3f} over {n} pairs; wanted at least {terms.auc:g}")
    return found


__all__ = ["BAND", "CHANCE", "INSIDE", "MEAN", "Standing", "Y", "evaluate", "quantile_name", "scores_by", "standing"]
