"""What models across series share: which rows they learn from, which they answer, and what stands in for an answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from foreproof.core.model import Frame, Now, Past
from foreproof.core.predict import CUTOFF, STEP, VALUE, Prediction
from foreproof.errors import BadInput
from foreproof.models.panel import Floats, panel, points, seasonal_naive

LABEL = "label"
FEWEST_ROWS = 30
"""Training rows below which nothing is learned."""


def index_of(frame: Frame) -> list[str]:
    """The columns that name one row."""
    return [*frame.entity, CUTOFF, STEP]


def training_rows(past: Past, *, most: int, seed: int, last_step: int | None = None) -> pl.DataFrame:
    """The labelled rows up to `last_step`, sorted; of more than `most` so many are drawn with the seed.

    Refuses labels that are not finite.
    """
    panel(past.target, past.frame.entity)
    rows = labelled_rows(past)
    return drawn(rows if last_step is None else rows.filter(pl.col(STEP) <= last_step), most=most, seed=seed)


def labelled_rows(past: Past) -> pl.DataFrame:
    """All labelled rows, sorted; refuses labels that are not finite, and does not look at the target."""
    rows = past.make_rows()
    index = index_of(past.frame)
    wrong = rows.filter(~pl.col(LABEL).is_finite().fill_null(False))
    if wrong.height:
        raise BadInput(
            "rows: label",
            found=f"{wrong.height} labels that are no finite numbers (first: {wrong.select(*index, LABEL).row(0, named=True)})",
            wanted="finite labels",
            fix="leave rows without a label out",
        )
    return rows.sort(index)


def drawn(rows: pl.DataFrame, *, most: int, seed: int) -> pl.DataFrame:
    """The rows, or of more than `most` so many, drawn with the seed and in their order."""
    if rows.height <= most:
        return rows
    kept = np.random.default_rng(seed).choice(rows.height, size=most, replace=False)
    return rows[np.sort(kept)]


def served_rows(now: Now) -> pl.DataFrame:
    """The rows to predict from, sorted."""
    return now.make_rows().sort(index_of(now.frame))


def answered(now: Now, season: int, answer: Callable[[pl.DataFrame], Floats] | None) -> Prediction:
    """Forecasts of every series of the target: the answer to each served row, in the unit of the target.

    A row that is not there or whose answer is no finite number gets the seasonal naive; so does every row where answer is
    None.
    """
    past = panel(now.target, now.frame.entity)
    baseline = points(now, past.keys, seasonal_naive(past, season=season, horizon=now.frame.horizon))
    if answer is None or not past.keys:
        return baseline
    index = index_of(now.frame)
    rows = served_rows(now)
    answers = rows.select(index).with_columns(pl.Series("_found", answer(rows)).fill_nan(None))
    joined = baseline.rows.join(answers, on=index, how="left", maintain_order="left")
    value = pl.when(pl.col("_found").is_finite()).then("_found").otherwise(VALUE).alias(VALUE)
    return Prediction("point", now.frame.entity, joined.with_columns(value).drop("_found"))


__all__ = ["FEWEST_ROWS", "LABEL", "answered", "drawn", "index_of", "labelled_rows", "served_rows", "training_rows"]
