"""Scores of past origins by series, metric, model and period: what a published run's own tables say, in one shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from foreproof.app.api.published import Published
from foreproof.app.api.series import named
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.score_table import score_table

COLUMNS = ("series", "model", "metric", "period", "value", "low", "high", "n")
"""The columns of a historical score; `series` and `period` are null where a score is over all of them."""
EVERY = "all"
"""Stands for every series, or every period."""
_SCHEMA = {
    **dict.fromkeys(COLUMNS[:4], pl.String),
    **dict.fromkeys(COLUMNS[4:7], pl.Float64),
    "n": pl.Int64,
}


class Once(Protocol):
    """Keeps what is made of a run under a name: `Shown.once`."""

    def __call__(self, name: str, make: Callable[[Published], pl.DataFrame]) -> pl.DataFrame:
        """What `make` says, made once."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show. Without `series`: over all of them. Without `period`: over all periods, and each past cutoff."""

    metric: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    period: tuple[str, ...] = ()


def historical(published: Published, wanted: Wanted, once: Once) -> pl.DataFrame:
    """Rows of `COLUMNS`, sorted. Series and periods are names, or `all` for each; a period is a cutoff, or `step 3`."""
    found = _forecast(published, wanted, once) if published.workload == "forecast" else _pairs(published, wanted)
    for name in ("metric", "model", "series", "period"):
        chosen = getattr(wanted, name)
        if chosen and EVERY not in chosen:
            found = found.filter(pl.col(name).is_in(chosen))
    return found.filter(pl.col("value").is_finite()).sort("metric", "model", "series", "period", nulls_last=False)


def metrics_of(published: Published) -> list[str]:
    """The names of the metrics that a run was judged by."""
    table = "scores" if published.workload == "forecast" else "pair_scores"
    return sorted(published.table(table)["metric"].unique().to_list())


def _forecast(published: Published, wanted: Wanted, once: Once) -> pl.DataFrame:
    """Over all periods and by cutoff; by step too where periods are asked for, and no series is."""
    entity = _entity(published) if wanted.series else ()
    if wanted.series:
        parts = [_shaped(published.table("scores_by_series"), series=named(entity))]
        cutoffs = _by_cutoff(published, entity, wanted)
    else:
        parts = [_shaped(published.table("scores"))]
        cutoffs = once("scores by cutoff", lambda run: _by_cutoff(run, (), Wanted()))
    if wanted.period and not wanted.series:
        parts.append(_shaped(published.table("scores_by_step"), period=pl.format("step {}", STEP)))
    found = pl.concat([*parts, cutoffs])
    return found.filter(pl.col("period").is_not_null()) if wanted.period else found


def _by_cutoff(published: Published, entity: Sequence[str], wanted: Wanted) -> pl.DataFrame:
    """The scores of each past origin, made of its judged predictions; scaled ones need a history, and are left out."""
    rows = published.table("backtest").filter(pl.col("y").is_finite(), pl.col("value").is_finite())
    if entity and EVERY not in wanted.series:
        rows = rows.filter(named(entity).is_in(wanted.series))
    if wanted.model and EVERY not in wanted.model:
        rows = rows.filter(pl.col("model").is_in(wanted.model))
    if rows.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    every = _entity(published)
    truth = rows.select(*every, CUTOFF, STEP, "y").unique()
    no_scale = [pl.lit(math.nan).alias(name) for name in ("mase_scale", "rmsse_scale")]
    scales = truth.select(*every, CUTOFF).unique().with_columns(no_scale)
    asked = rows.select(*every, CUTOFF, STEP, "level", "value", "model")
    scores = score_table(asked, truth, scales, by=("model", *entity, CUTOFF))
    period = _date(scores[CUTOFF].dtype)
    return _shaped(scores.drop_nulls("value"), series=named(entity) if entity else None, period=period)


def _date(dtype: pl.DataType) -> pl.Expr:
    """A cutoff as text: an instant in ISO form, or a step."""
    column = pl.col(CUTOFF)
    return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00") if dtype.is_temporal() else column.cast(pl.String)


def _pairs(published: Published, wanted: Wanted) -> pl.DataFrame:
    """Scores by cutoff (`period`) and over all of them; with `series` by segment, else of all pairs together."""
    rows = published.table("pair_scores")
    if wanted.period:
        rows = rows.filter(pl.col(CUTOFF) != EVERY)
    if not wanted.series:
        rows = rows.filter(pl.col("segment") == "pooled")
    series = pl.col("segment") if wanted.series else None
    period = pl.when(pl.col(CUTOFF) != EVERY).then(pl.col(CUTOFF))
    return _shaped(rows.rename({"who": "model", "pairs": "n"}), series=series, period=period)


def _shaped(rows: pl.DataFrame, *, series: pl.Expr | None = None, period: pl.Expr | None = None) -> pl.DataFrame:
    """Rows of `COLUMNS`; what the rows do not have is null."""
    made: dict[str, pl.Expr] = {name: pl.col(name) for name in COLUMNS if name in rows.columns}
    made["series"] = pl.lit(None) if series is None else series
    made["period"] = pl.lit(None) if period is None else period
    return rows.select(
        made.get(name, pl.lit(None)).cast(dtype, strict=False).alias(name) for name, dtype in _SCHEMA.items()
    )


def _entity(published: Published) -> tuple[str, ...]:
    columns = published.table("forecast").columns
    return tuple(columns[: columns.index(CUTOFF)])


__all__ = ["COLUMNS", "EVERY", "Once", "Wanted", "historical", "metrics_of"]
