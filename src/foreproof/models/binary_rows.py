"""What classifiers share: which rows they learn from, how columns become numbers, and the form of their answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.model import Frame, Now, Past
from foreproof.core.predict import LEVEL, VALUE, Prediction
from foreproof.errors import BadInput
from foreproof.models.panel import Floats
from foreproof.models.rows import LABEL, drawn, index_of, labelled_rows

FEWEST_POSITIVES = 20
"""Positives below which no classifier learns."""
MOST_ROWS = 500_000
BASE = "base"


@dataclass(frozen=True, slots=True)
class Features:
    """The feature columns of the training rows, each rising by name.

    numbers: columns of numbers or flags. codes: for a text column the place of each known level.
    """

    numbers: tuple[str, ...]
    codes: Mapping[str, Mapping[str, int]]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, numbers first."""
        return (*self.numbers, *self.codes)


def binary_rows(past: Past, *, most: int, seed: int, subject: str) -> pl.DataFrame:
    """Labelled rows of 0 and 1, sorted; of more than `most` so many are drawn with the seed.

    Raises BadInput for labels that are missing or neither 0 nor 1, fewer than 20 positives, no negative, or one entity
    (customer) alone.
    """
    rows = labelled_rows(past).with_columns(pl.col(LABEL).cast(pl.Float64))
    wrong = rows.filter(~pl.col(LABEL).is_in([0.0, 1.0]))
    if wrong.height:
        shown = wrong.select(*index_of(past.frame), LABEL).row(0, named=True)
        raise BadInput("rows: label", found=f"a label other than 0 and 1: {shown}", wanted="0 or 1")
    rows = drawn(rows, most=most, seed=seed)
    positives = int(rows[LABEL].sum())
    if positives < FEWEST_POSITIVES or positives == rows.height:
        raise BadInput(
            f"model {subject}",
            found=f"{positives} positive labels among {rows.height} rows up to {past.cutoff}",
            wanted=f"at least {FEWEST_POSITIVES} positive ones and a negative one",
            fix="learn from more cutoffs, or predict a more frequent event or a longer horizon",
        )
    entity = list(past.frame.entity)
    if entity and rows.select(entity).n_unique() < 2:
        raise BadInput(
            f"model {subject}",
            found=f"rows of one {' and '.join(entity)} only: {rows.select(entity).row(0, named=True)}",
            wanted="at least two, or nothing can be learned about others",
            fix="load more of them",
        )
    return rows


def learn_features(rows: pl.DataFrame, frame: Frame) -> Features:
    """The columns of training rows that are neither index nor label; BadInput where there are none, or of another type."""
    names = sorted(name for name in rows.columns if name not in (*index_of(frame), LABEL))
    if not names:
        raise BadInput("rows", found="no feature column", wanted="at least one", fix="declare features")
    numbers, codes = [], {}
    for name in names:
        dtype = rows[name].dtype
        if dtype == pl.String:
            codes[name] = {word: place for place, word in enumerate(rows[name].drop_nulls().unique().sort().to_list())}
        elif dtype.is_numeric() or dtype == pl.Boolean:
            numbers.append(name)
        else:
            raise BadInput(f"rows: {name}", found=f"type {dtype}", wanted="Float64 or String", fix="cast the column")
    return Features(tuple(numbers), codes)


def numbers_of(rows: pl.DataFrame, names: Sequence[str]) -> Floats:
    """Rows x names, NaN where a number is missing or infinite."""
    check_columns(rows, names)
    if not names:
        return np.empty((rows.height, 0))
    # In one query: a service asks for one row at a time, and a call a column would take longer than the model.
    numbers = rows.select(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in names)
    matrix: Floats = numbers.to_numpy(order="c", writable=True)
    matrix[~np.isfinite(matrix)] = np.nan
    return matrix


def coded(rows: pl.DataFrame, features: Features) -> Floats:
    """Rows x names: numbers, then codes of text; NaN where missing, infinite or not a level of the training rows."""
    check_columns(rows, features.names)
    codes = [
        rows[name].cast(pl.String).replace_strict(dict(known), default=None, return_dtype=pl.Float64)
        for name, known in features.codes.items()
    ]
    text = np.array([column.fill_null(np.nan).to_numpy() for column in codes]).reshape(len(codes), rows.height)
    return np.concatenate([numbers_of(rows, features.numbers), text.T], axis=1)


def check_columns(rows: pl.DataFrame, names: Sequence[str]) -> None:
    """BadInput where a column of the fit is not there."""
    missing = [name for name in names if name not in rows.columns]
    if missing:
        raise BadInput("rows", found=f"no column {missing[0]}", wanted="the columns of the fit", fix="compile them too")


def probabilities(now: Now, rows: pl.DataFrame, values: Floats) -> Prediction:
    """The prediction of kind `probability` with a value for each served row."""
    index = index_of(now.frame)
    null = pl.lit(None, dtype=pl.Float64).alias(LEVEL)
    answered = rows.select(*index).with_columns(null, pl.Series(VALUE, values, dtype=pl.Float64))
    return Prediction("probability", now.frame.entity, answered)


def parts_of(now: Now, rows: pl.DataFrame, names: Sequence[str], parts: Floats, base: Floats) -> pl.DataFrame:
    """Entity columns, cutoff, step, one column a feature rising by name, and `base`; the row adds up to its log odds."""
    columns = {name: parts[:, place] for place, name in enumerate(names)}
    return rows.select(index_of(now.frame)).with_columns(
        *(pl.Series(name, columns[name]) for name in sorted(columns)), pl.Series(BASE, base)
    )


def in_probability(contributions: pl.DataFrame, index: Sequence[str]) -> pl.DataFrame:
    """Contributions in log odds as contributions to the probability, which they then add up to.

    With F the log odds, B their `base` and s the logistic function, each is multiplied by (s(F) - s(B)) / (F - B), the
    mean slope of s on the way, so shares and signs stay; base becomes s(B). Ang (2004), as for `GlobalBoost`.
    """
    names = [name for name in contributions.columns if name not in (*index, BASE)]
    move, base = pl.sum_horizontal(names), pl.col(BASE)
    ends = [1.0 / (1.0 + (-x).exp()) for x in (base + move, base)]
    slope = pl.when(move.abs() > 1e-9).then((ends[0] - ends[1]) / move).otherwise(ends[1] * (1.0 - ends[1]))
    return contributions.with_columns(*(pl.col(name) * slope for name in names), ends[1].alias(BASE))


__all__ = [
    "BASE",
    "FEWEST_POSITIVES",
    "MOST_ROWS",
    "Features",
    "binary_rows",
    "check_columns",
    "coded",
    "in_probability",
    "learn_features",
    "numbers_of",
    "parts_of",
    "probabilities",
]
