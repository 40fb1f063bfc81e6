"""Scores of forecasts on long frames: every score in every group, as one tidy table.

The same formulas, signs and units as the array functions of `score`, in one polars pass a group; the tests hold the
two equal through plain loops.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import polars as pl

from foreproof.errors import BadInput

_BILLION = 1_000_000_000  # levels are compared in billionths: 1 - 0.9 is not 0.1 in floating point
_Scores = Mapping[str, tuple[pl.Expr, pl.Expr]]  # metric -> (value, number of terms), both aggregations


def score_table(
    predictions: pl.DataFrame, actuals: pl.DataFrame, scales: pl.DataFrame, *, by: Sequence[str]
) -> pl.DataFrame:
    """Every score of the predictions in each group of `by`: rows (by..., metric, value, n), sorted.

    predictions: entity columns, `cutoff`, `step`, `level` (a quantile's, in (0, 1); null for the point forecast; where
    no row is a point, the median stands in), `value`; further columns (a model, the target day) may serve in `by`.
    actuals: some of these columns as a key, `y`, and optionally `naive2` (its forecast; without it there is no OWA).
    scales: some of these columns as a key, `mase_scale`, `rmsse_scale`; NaN leaves a series out of scaled scores.
    by: columns of predictions; () scores all rows together.

    Metrics: mae, rmse, mape, mase, smape, wape, bias, mean_error, owa, rmsse from points; pinball, the mean over levels;
    and for each pair of levels (a/2, 1 - a/2) coverage80, width80, msis80 and so on, by the interval's nominal coverage
    in percent.
    With `level` in `by`, pinball is given for each quantile, the level of an interval score is its nominal coverage,
    and that of a point score is null. mase, smape, owa, pinball and msis average over rows; rmsse first takes the root
    over the steps of each scaled series and cutoff, then the mean. `n` counts the terms averaged (rmsse: series x
    cutoffs). `value` is null where a score is undefined: n is zero or the denominator is. mape is null where any actual is
    zero; its n counts the others, so what is lacking against mae's n is the number of zeros.

    Formulas are those of the array functions here. Raises BadInput for empty, repeated, missing or non-finite rows.
    """
    rows, unit = _joined(predictions, actuals, scales, by=by)
    points = rows.filter(pl.col("level").is_null())
    quantiles = rows.filter(pl.col("level").is_not_null())
    if points.is_empty():
        points = rows.filter(_billionths(pl.col("level")) == _BILLION // 2).with_columns(level=pl.lit(None, pl.Float64))
    key = [name for name in predictions.columns if name not in ("level", "value")]
    tables = [
        _tidy(points, by, _point_scores(owa="naive2" in actuals.columns)),
        _rmsse_table(points, by, unit),
        _tidy(quantiles, by, {"pinball": (_pinball_expr().mean(), pl.len())}),
        *_interval_tables(quantiles, by, key),
    ]
    return pl.concat(tables).sort(*by, "metric")


def _point_scores(*, owa: bool) -> _Scores:
    y, f, scale = pl.col("y"), pl.col("value"), pl.col("mase_scale")
    error = f - y
    whole = (y != 0.0).all()
    scores = {
        "mae": _mean(error.abs()),
        "rmse": ((error**2).mean().sqrt(), pl.len()),
        "mape": (pl.when(whole).then((100.0 * error.abs() / y.abs()).mean()), (y != 0.0).sum()),
        "mase": _mean(error.abs() / scale),
        "smape": _mean(_smape_expr(y, f)),
        "wape": (_over(error.abs().sum(), y.abs().sum()), pl.len()),
        "bias": (_over(error.sum(), y.sum()), pl.len()),
        "mean_error": _mean(error),
    }
    if owa:
        naive2 = pl.col("naive2")
        scaled = scale.is_not_null()  # both halves, and Naive2's, over the same rows
        ours = [_smape_expr(y, f), error.abs() / scale]
        theirs = [_smape_expr(y, naive2), (naive2 - y).abs() / scale]
        halves = [_over(a.filter(scaled).mean(), b.filter(scaled).mean()) for a, b in zip(ours, theirs, strict=True)]
        scores["owa"] = ((halves[0] + halves[1]) / 2.0, scaled.sum())
    return scores


def _rmsse_table(points: pl.DataFrame, by: Sequence[str], unit: Sequence[str]) -> pl.DataFrame:
    """One root per series and cutoff in each group, then their mean."""
    groups = list(dict.fromkeys([*by, *unit]))
    mean_square = ((pl.col("value") - pl.col("y")) ** 2).mean()
    roots = points.group_by(groups, maintain_order=True).agg(root=(mean_square / pl.col("rmsse_scale").first()).sqrt())
    return _tidy(roots, by, {"rmsse": _mean(pl.col("root"))})


def _interval_tables(quantiles: pl.DataFrame, by: Sequence[str], key: Sequence[str]) -> list[pl.DataFrame]:
    """coverage, width and MSIS for each nominal coverage of which both quantiles are there."""
    sided = quantiles.with_columns(_nominal=(2 * _billionths(pl.col("level")) - _BILLION).abs())
    lows = sided.filter(pl.col("level") < 0.5).rename({"value": "low"})
    highs = sided.filter(pl.col("level") > 0.5).select(*key, "_nominal", high="value")
    pairs = lows.join(highs, on=[*key, "_nominal"], how="inner", nulls_equal=True, maintain_order="left")
    _refuse("predictions", pairs.filter(pl.col("low") > pl.col("high")), key, "quantiles that cross")
    y, low, high, scale = pl.col("y"), pl.col("low"), pl.col("high"), pl.col("mase_scale")
    outside = pl.max_horizontal(low - y, 0.0) + pl.max_horizontal(y - high, 0.0)
    tables = []
    for billionths in pairs["_nominal"].unique().sort():
        nominal = billionths / _BILLION
        name = f"{100 * nominal:.10g}"
        scores = {
            f"coverage{name}": ((y.is_between(low, high)).mean(), pl.len()),
            f"width{name}": _mean(high - low),
            f"msis{name}": _mean((high - low + 2.0 / (1.0 - nominal) * outside) / scale),
        }
        one = pairs.filter(pl.col("_nominal") == billionths).with_columns(level=pl.lit(nominal))
        tables.append(_tidy(one, by, scores))
    return tables


def _tidy(rows: pl.DataFrame, by: Sequence[str], scores: _Scores) -> pl.DataFrame:
    """(by..., metric, value, n) from aggregations; a group of no columns is all rows, if there is one."""
    wide = rows.with_columns(_all=0).group_by([*by, "_all"], maintain_order=True)
    each = wide.agg(
        **{f"value_{metric}": value.cast(pl.Float64) for metric, (value, _) in scores.items()},
        **{f"n_{metric}": n.cast(pl.Int64) for metric, (_, n) in scores.items()},
    )
    columns = [
        each.select(*by, pl.lit(metric).alias("metric"), value=f"value_{metric}", n=f"n_{metric}") for metric in scores
    ]
    return pl.concat(columns)


def _mean(term: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    return term.mean(), term.count()


def _over(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole != 0.0).then(part / whole)


def _smape_expr(y: pl.Expr, f: pl.Expr) -> pl.Expr:
    size = y.abs() + f.abs()
    return pl.when(size > 0.0).then(200.0 * (y - f).abs() / size).otherwise(0.0)


def _pinball_expr() -> pl.Expr:
    error, level = pl.col("y") - pl.col("value"), pl.col("level")
    return pl.max_horizontal(level * error, (level - 1.0) * error)


def _billionths(level: pl.Expr) -> pl.Expr:
    return (level * _BILLION).round().cast(pl.Int64)


# --- parsing the frames ----------------------------------------------------------------------------------------------


def _joined(
    predictions: pl.DataFrame, actuals: pl.DataFrame, scales: pl.DataFrame, *, by: Sequence[str]
) -> tuple[pl.DataFrame, list[str]]:
    """Checked and sorted rows with `y`, `naive2` and scales; and the columns that name a series and cutoff."""
    index = [name for name in predictions.columns if name != "value"]
    _require("predictions", index, ["cutoff", "step", "level", *by])
    rows = _numbers("predictions", predictions, ["value"], index).cast({"level": pl.Float64})
    level = pl.col("level")
    _refuse("predictions", rows.filter(~level.is_between(0.0, 1.0, closed="none")), index, "a level outside (0, 1)")
    _refuse("predictions", rows.filter(~pl.col("value").is_finite()), index, "a missing or infinite value")

    optional = ["naive2"] if "naive2" in actuals.columns else []
    actual_key = [name for name in actuals.columns if name not in ("y", "naive2")]
    facts = _numbers("actuals", actuals, ["y", *optional], actual_key)
    for name in ["y", *optional]:
        _refuse("actuals", facts.filter(~pl.col(name).is_finite()), actual_key, f"a missing or infinite {name}")

    measures = ["mase_scale", "rmsse_scale"]
    scale_key = [name for name in scales.columns if name not in measures]
    units = _numbers("scales", scales, measures, scale_key)
    for name in measures:
        bad = units.filter((pl.col(name) <= 0.0) | pl.col(name).is_infinite())
        _refuse("scales", bad, scale_key, f"a {name} that is neither positive nor NaN")

    for subject, frame, key in (("actuals", facts, actual_key), ("scales", units, scale_key)):
        _require("predictions", index, key)
        for name in key:
            if frame.schema[name] != rows.schema[name]:
                found = f"column {name} is {frame.schema[name]}"
                raise BadInput(subject, found=found, wanted=f"{rows.schema[name]}, as in predictions")
        alone = rows.join(frame, on=key, how="anti", nulls_equal=True)
        _refuse("predictions", alone, index, f"no row of {subject} to score it with")
        rows = rows.join(frame, on=key, how="left", nulls_equal=True)
    # sorted, so that float sums do not depend on the order of rows; polars skips a null scale, not a NaN
    return rows.sort(index).with_columns(pl.col(measures).fill_nan(None)), list(dict.fromkeys([*scale_key, "cutoff"]))


def _numbers(subject: str, frame: pl.DataFrame, values: Sequence[str], key: Sequence[str]) -> pl.DataFrame:
    """The frame with `values` as floats, a null as NaN; refuses text, no rows and a repeated key."""
    _require(subject, frame.columns, values)
    if not key:
        raise BadInput(subject, found=f"no column besides {', '.join(values)}", wanted="the columns to join by")
    if frame.is_empty():
        raise BadInput(subject, found="no rows", wanted="at least one row to score")
    for name in values:
        if not (frame.schema[name].is_numeric() or frame.schema[name] == pl.Null):
            raise BadInput(subject, found=f"column {name} is {frame.schema[name]}", wanted="numbers")
    _refuse(subject, frame.filter(frame.select(key).is_duplicated()), key, "a repeated key")
    return frame.with_columns(pl.col(values).cast(pl.Float64).fill_null(math.nan))


def _require(subject: str, columns: Sequence[str], wanted: Sequence[str]) -> None:
    absent = [name for name in dict.fromkeys(wanted) if name not in columns]
    if absent:
        raise BadInput(subject, found=f"columns {', '.join(columns)}", wanted=f"also {', '.join(absent)}")


def _refuse(subject: str, bad: pl.DataFrame, key: Sequence[str], what: str) -> None:
    if bad.height:
        first = ", ".join(f"{name}={bad[name][0]}" for name in key)
        raise BadInput(subject, found=f"{what} in {bad.height} rows (first: {first})", wanted="every row scored once")


__all__ = ["score_table"]
