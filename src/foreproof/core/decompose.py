"""Where the squared error comes from: bias, spread and covariance, by group; and what changed between two origins.

For n forecasts f of y, with population standard deviations s and correlation r, the mean squared error is exactly

    (mean f - mean y)^2 + (s_f - s_y)^2 + 2 (1 - r) s_f s_y,

bias: the level is off; variance: the forecast moves too much or too little; covariance: it moves at other times (Theil
1966, chapter 2). Their shares are UM, US and UC. All squares have the unit of y squared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.errors import BadInput

MODEL = "model"
PARTS = ("bias", "variance", "covariance")
CHANGES = ("truth", "forecast", "variance", "covariance")

_THIRDS = ("low third", "middle third", "high third")
_FEW = 8  # distinct values of an event that are shown one by one
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def error_parts(points: pl.DataFrame, *, dimensions: Mapping[str, pl.Series]) -> pl.DataFrame:
    """The parts of the squared error of each model: overall, and in each group of each dimension.

    points: model, value, y. dimensions: name -> one label a row of points, text or whole number; null counts as
    `unknown`. Returns model, dimension, place (order within the dimension), group, n, squared_error (sum), share (of the
    model's), mean_square, bias, variance, covariance (which add up to mean_square), um, us, uc (their shares; null
    without error), mean_error; sorted by model, dimension (`overall` first, the others as given), place.
    """
    tables = [_dimension(points, "overall", pl.Series("group", ["all"] * points.height), 0)]
    for rank, (name, labels) in enumerate(dimensions.items(), start=1):
        tables.append(_dimension(points, name, labels, rank))
    table = pl.concat(tables).sort(MODEL, "_rank", "place", maintain_order=True).drop("_rank")
    total = pl.col("squared_error").first().over(MODEL)  # the overall row is the first
    return table.with_columns(share=pl.when(total > 0.0).then(pl.col("squared_error") / total))


def calendar_labels(target: pl.Series, *, zone: str) -> dict[str, pl.Series]:
    """weekday, month and, within a day, hour of the local time of each target instant, where more than one is there."""
    local = target.dt.convert_time_zone(zone)
    parts = {"weekday": local.dt.weekday(), "month": local.dt.month(), "hour": local.dt.hour()}
    return {name: part.cast(pl.Int64) for name, part in parts.items() if part.n_unique() > 1}


def event_labels(values: pl.Series) -> pl.Series:
    """Groups of one column that is known ahead: no and yes, its few values, or thirds of its range of values.

    0 and 1 are `no` and `yes`; up to eight values stand as they are; more numbers are cut where thirds of the rows end;
    no word is `none`, and more than eight words become `none` and `some`. A number that is null or NaN stays null.
    """
    if not values.dtype.is_numeric():
        text = values.cast(pl.String).fill_null("none")
        return text if text.n_unique() <= _FEW else (text != "none").replace_strict({False: "none", True: "some"})
    number = values.cast(pl.Float64).fill_nan(None)
    distinct = number.drop_nulls().unique().sort()
    if set(distinct) <= {0.0, 1.0}:
        return number.replace_strict({0.0: "no", 1.0: "yes"}, return_dtype=pl.String)
    if distinct.len() <= _FEW:
        return number.replace_strict({v: f"{v:g}" for v in distinct}, return_dtype=pl.String)
    low, high = (number.quantile(q, interpolation="lower") for q in (1 / 3, 2 / 3))
    third = pl.when(number.is_null()).then(None).when(number <= low).then(pl.lit(_THIRDS[0]))
    return pl.select(third.when(number <= high).then(pl.lit(_THIRDS[1])).otherwise(pl.lit(_THIRDS[2]))).to_series()


def series_labels(points: pl.DataFrame, entity: Sequence[str]) -> pl.Series:
    """One label a row: the entity's values, joined by ` / `."""
    text = pl.concat_str([pl.col(name).cast(pl.String).fill_null("null") for name in entity], separator=" / ")
    return points.select(text.alias("group")).to_series()


def top_groups(parts: pl.DataFrame, *, dimension: str, count: int = 5) -> pl.DataFrame:
    """The `count` groups of a dimension with the largest share of each model's squared error, largest first."""
    mine = parts.filter(pl.col("dimension") == dimension)
    ordered = mine.sort([MODEL, "squared_error", "place"], descending=[False, True, False])
    return ordered.group_by(MODEL, maintain_order=True).head(count)


def changed(points: pl.DataFrame, *, entity: Sequence[str], before: Moment, after: Moment) -> pl.DataFrame:
    """What changed in one model's squared error from one origin to another: overall, by series and by step.

    points: entity columns, cutoff, step, value, y of one model; only (series, step) that were judged at both origins
    count, so n is the same. Returns dimension, place, group, n, before, after (summed squared error), change = after -
    before = truth + forecast + variance + covariance, and mean_y_before, mean_y_after, mean_f_before, mean_f_after.

    With e the mean error of a group, the change of n e^2 is n (e_before + e_after) (change of mean f - change of mean y),
    so `forecast` is what the moved forecast did and `truth` what the moved truth did: what one follows of the other
    cancels. variance and covariance are the changes of these parts. Rows: overall, series by |change|, then steps.
    """
    index = [*entity, "step"]
    both = _at(points, before, index, "before").join(
        _at(points, after, index, "after"), on=index, maintain_order="left"
    )
    if both.is_empty():
        raise BadInput("changed", found="no series and step judged at both", wanted="two judged origins")
    tables = [_change(both, "overall", pl.Series("group", ["all"] * both.height))]
    if entity:
        tables.append(_change(both, "series", series_labels(both, entity)))
    tables.append(_change(both, "step", both["step"]))
    return pl.concat(tables)


def movers(change: pl.DataFrame, *, count: int = 5) -> list[str]:
    """The largest changes in words: first overall, then the series (or steps) that moved the squared error most."""
    overall = change.filter(pl.col("dimension") == "overall").row(0, named=True)
    lines = [_words("all series", overall)]
    name = "series" if (change["dimension"] == "series").any() else "step"
    size = change.filter(pl.col("dimension") == name)["change"].abs().sum()
    for row in change.filter(pl.col("dimension") == name).iter_rows(named=True):
        if len(lines) > count or row["change"] == 0.0:
            break
        label = row["group"] if name == "series" else f"step {row['group']}"
        lines.append(f"{_words(label, row)}; {abs(row['change']) / size:.0%} of all that moved")
    return lines


def _dimension(points: pl.DataFrame, name: str, labels: pl.Series, rank: int) -> pl.DataFrame:
    f, y = pl.col("value"), pl.col("y")
    grouped = points.select(MODEL, "value", "y").with_columns(labels.alias("_label"))
    line = grouped.sort(MODEL, "_label", "value", "y", nulls_last=True)
    sums = [
        pl.len().cast(pl.Int64).alias("n"),
        ((f - y) ** 2).sum().alias("squared_error"),
        ((f - y) ** 2).mean().alias("mean_square"),
        *_parts(f, y),
        (f.mean() - y.mean()).alias("mean_error"),
    ]
    table = line.group_by([MODEL, "_label"], maintain_order=True).agg(*sums)
    place = pl.int_range(pl.len()).over(MODEL).cast(pl.Int64)
    if labels.dtype.is_integer():
        place = pl.col("_label").cast(pl.Int64).fill_null(pl.lit(2**31))
    mean = pl.col("mean_square")
    shares = [
        pl.when(mean > 0.0).then(pl.col(part) / mean).alias(u)
        for part, u in zip(PARTS, ("um", "us", "uc"), strict=True)
    ]
    return table.select(
        MODEL,
        pl.lit(name).alias("dimension"),
        place.alias("place"),
        _group(name, labels).fill_null("unknown").alias("group"),
        "n",
        "squared_error",
        pl.lit(None, dtype=pl.Float64).alias("share"),
        "mean_square",
        *PARTS,
        *shares,
        "mean_error",
        pl.lit(rank).alias("_rank"),
    )


def _group(name: str, labels: pl.Series) -> pl.Expr:
    """The label in words."""
    label = pl.col("_label")
    words = {"weekday": _WEEKDAYS, "month": _MONTHS}.get(name)
    if words is None or not labels.dtype.is_integer():
        return label.cast(pl.String)
    return label.replace_strict(dict(enumerate(words, start=1)), return_dtype=pl.String)


def _parts(f: pl.Expr, y: pl.Expr) -> list[pl.Expr]:
    """bias, variance and covariance of a group, as aggregations; the last is no less than 0 (Cauchy-Schwarz)."""
    wide, true = f - f.mean(), y - y.mean()
    s_f, s_y = (wide**2).mean().sqrt(), (true**2).mean().sqrt()
    covariance = pl.max_horizontal(2.0 * (s_f * s_y - (wide * true).mean()), 0.0)
    values = ((f.mean() - y.mean()) ** 2, (s_f - s_y) ** 2, covariance)
    return [value.alias(name) for value, name in zip(values, PARTS, strict=True)]


def _at(points: pl.DataFrame, origin: Moment, index: Sequence[str], name: str) -> pl.DataFrame:
    mine = points.filter(pl.col("cutoff").to_physical() == ticks(origin)).sort(index)
    return mine.select(*index, pl.col("value").alias(f"f_{name}"), pl.col("y").alias(f"y_{name}"))


def _change(both: pl.DataFrame, name: str, labels: pl.Series) -> pl.DataFrame:
    sums = [pl.len().cast(pl.Int64).alias("n")]
    for when in ("before", "after"):
        f, y = pl.col(f"f_{when}"), pl.col(f"y_{when}")
        sums += [((f - y) ** 2).sum().alias(when), f.mean().alias(f"mean_f_{when}"), y.mean().alias(f"mean_y_{when}")]
        sums += _renamed(_parts(f, y), when)
    line = both.with_columns(labels.alias("_label")).sort("_label", maintain_order=True)
    table = line.group_by("_label", maintain_order=True).agg(*sums)
    f, y = (pl.col(f"mean_{of}_after") - pl.col(f"mean_{of}_before") for of in ("f", "y"))
    errors = pl.col("mean_f_before") - pl.col("mean_y_before") + pl.col("mean_f_after") - pl.col("mean_y_after")
    n = pl.col("n")
    table = table.with_columns(
        (pl.col("after") - pl.col("before")).alias("change"),
        (-n * errors * y).alias("truth"),
        (n * errors * f).alias("forecast"),
        *((n * (pl.col(f"{part}_after") - pl.col(f"{part}_before"))).alias(part) for part in PARTS[1:]),
    )
    if name == "series":
        table = table.sort([pl.col("change").abs(), pl.col("_label")], descending=[True, False])
    means = [f"mean_{of}_{when}" for of in ("y", "f") for when in ("before", "after")]
    label = pl.col("_label").cast(pl.String).alias("group")
    place = pl.col("_label").cast(pl.Int64) if name == "step" else pl.int_range(pl.len()).cast(pl.Int64)
    return table.select(
        pl.lit(name).alias("dimension"), place.alias("place"), label, "n", "before", "after", "change", *CHANGES, *means
    )


def _renamed(parts: Sequence[pl.Expr], when: str) -> list[pl.Expr]:
    return [part.alias(f"{name}_{when}") for part, name in zip(parts, PARTS, strict=True)]


def _words(name: str, row: Mapping[str, float]) -> str:
    """One change: how far, and which part of it moved most."""
    if row["change"] == 0.0:
        return f"{name}: the squared error did not change"
    way = "rose" if row["change"] > 0.0 else "fell"
    y, f = row["mean_y_after"] - row["mean_y_before"], row["mean_f_after"] - row["mean_f_before"]
    level = row["truth"] + row["forecast"]
    sizes = {"the level": level, "the spread": row["variance"], "the timing": row["covariance"]}
    most = max(sizes, key=lambda part: abs(sizes[part]))
    mean = f"truth {row['mean_y_before']:.4g} to {row['mean_y_after']:.4g} ({y:+.3g}), "
    mean += f"forecast {row['mean_f_before']:.4g} to {row['mean_f_after']:.4g} ({f:+.3g})"
    return (
        f"{name}: squared error {way} from {row['before']:.4g} to {row['after']:.4g}, most by {most} "
        f"({sizes[most]:+.3g}); mean {mean}"
    )


__all__ = [
    "CHANGES",
    "PARTS",
    "calendar_labels",
    "changed",
    "error_parts",
    "event_labels",
    "movers",
    "series_labels",
    "top_groups",
]
