"""Logistic regression on rows of features: the plain classifier that others have to beat."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from foreproof.core.digest import canonical_json
from foreproof.core.logistic import sigmoid
from foreproof.core.model import Now, Past
from foreproof.core.predict import Prediction
from foreproof.models.binary_rows import (
    MOST_ROWS,
    binary_rows,
    check_columns,
    learn_features,
    numbers_of,
    parts_of,
    probabilities,
)
from foreproof.models.late import library
from foreproof.models.panel import Floats
from foreproof.models.rows import LABEL, index_of, served_rows

_FAR = 6.0
"""Standard deviations beyond which a number counts as being just that far: a new extreme must not decide alone."""


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """How a column of numbers is read: (x - mean) / deviation with 0 where missing, after log(1 + x) if `logs`.

    missing: the share of training rows without a number; where that is above 0, a flag says so.
    """

    name: str
    logs: bool
    mean: float
    deviation: float
    missing: float


@dataclass(frozen=True, slots=True)
class TextColumn:
    """How a column of text is read: a flag for each of `levels`, one for all others (None), one for no text ("").

    shares: of the training rows, in the order of the levels, what each flag is centred on.
    """

    name: str
    levels: tuple[str | None, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Logistic:
    """Ridge-penalised logistic regression, scikit-learn's with lbfgs. Hosmer, Lemeshow & Sturdivant (2013).

    Numbers are standardised, those of at least 0 whose deviation exceeds their mean after log(1 + x); a number that is
    missing counts as the mean, and a flag says so. Text becomes one flag a level; levels of fewer than `rare` rows share
    one, with levels not seen before. Every column is centred, so that a coefficient times a column is its contribution.
    strength: C, the inverse of the penalty. columns: the features that it reads; empty for all. With a learned affinity alone
    it is that ranking as a chance, which a blend may weigh.
    """

    name: str = "logistic"
    strength: float = 1.0
    rare: int = 20
    max_rows: int = MOST_ROWS
    columns: tuple[str, ...] = ()

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: yes."""
        return True

    def fit(self, past: Past, *, seed: int) -> FittedLogistic:
        """Learn from the labelled rows; BadInput as `binary_rows` says."""
        rows = binary_rows(past, most=self.max_rows, seed=seed, subject=self.name)
        if self.columns:
            check_columns(rows, self.columns)
            rows = rows.select(*index_of(past.frame), *self.columns, LABEL)
        features = learn_features(rows, past.frame)
        numbers = _number_columns(rows, features.numbers)
        texts = tuple(_text_column(rows[name], self.rare) for name in features.codes)
        encoded, _ = _encoded(rows, numbers, texts)
        linear = library("sklearn.linear_model")
        model = linear.LogisticRegression(C=self.strength, max_iter=2000, tol=1e-6)
        with warnings.catch_warnings():
            # A step more or less towards the same maximum is no fault of the data.
            warnings.simplefilter("ignore")
            model.fit(encoded, rows[LABEL].to_numpy())
        return FittedLogistic(
            self, features.names, numbers, texts, tuple(model.coef_[0].tolist()), float(model.intercept_[0])
        )


@dataclass(frozen=True, slots=True)
class FittedLogistic:
    """The columns as they are read, and a coefficient for each."""

    model: Logistic
    names: tuple[str, ...]
    numbers: tuple[NumberColumn, ...]
    texts: tuple[TextColumn, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def predict(self, now: Now) -> Prediction:
        """A probability for each row."""
        rows = served_rows(now)
        encoded, _ = _encoded(rows, self.numbers, self.texts)
        return probabilities(now, rows, sigmoid(encoded @ np.array(self.coefficients) + self.intercept))

    def contributions(self, now: Now) -> pl.DataFrame:
        """What each feature adds to the log odds of each row: coefficient x (value - mean), summed over its columns.

        Entity columns, cutoff, step, one column a feature, and `base`, the log odds of a row of means; a row adds up to its
        log odds. `binary_rows.in_probability` turns them into the unit of the prediction.
        """
        rows = served_rows(now)
        names, parts, base = self.parts(self.matrix(rows))
        return parts_of(now, rows, names, parts, base)

    def matrix(self, rows: pl.DataFrame) -> Floats:
        """What is read of rows: for whoever asks about the same ones again and again."""
        return _encoded(rows, self.numbers, self.texts)[0]

    def parts(self, matrix: Floats) -> tuple[tuple[str, ...], Floats, Floats]:
        """Names of features, what each adds to the log odds (rows x names), and what they start from (rows)."""
        parts = np.zeros((matrix.shape[0], len(self.names)))
        place_of = {name: place for place, name in enumerate(self.names)}
        for place, owner in enumerate(_owners(self.numbers, self.texts)):
            parts[:, place_of[owner]] += matrix[:, place] * self.coefficients[place]
        return self.names, parts, np.full(matrix.shape[0], self.intercept)

    def dump(self) -> Mapping[str, bytes]:
        """Columns and coefficients as canonical JSON."""
        state = {
            "names": self.names,
            "numbers": [asdict(column) for column in self.numbers],
            "texts": [asdict(column) for column in self.texts],
            "coefficients": self.coefficients,
            "intercept": self.intercept,
        }
        return {f"{self.model.name}.json": canonical_json(state)}


def load_logistic(model: Logistic, files: Mapping[str, bytes]) -> FittedLogistic:
    """The inverse of `FittedLogistic.dump`; predicts the same bytes."""
    state = json.loads(files[f"{model.name}.json"])
    texts = (TextColumn(each["name"], tuple(each["levels"]), tuple(each["shares"])) for each in state["texts"])
    return FittedLogistic(
        model,
        tuple(state["names"]),
        tuple(NumberColumn(**each) for each in state["numbers"]),
        tuple(texts),
        tuple(state["coefficients"]),
        float(state["intercept"]),
    )


def _number_columns(rows: pl.DataFrame, names: tuple[str, ...]) -> tuple[NumberColumn, ...]:
    matrix = numbers_of(rows, names)
    found = []
    for place, name in enumerate(names):
        missing = np.isnan(matrix[:, place])
        values = matrix[~missing, place]
        logs = values.size > 0 and float(values.min()) >= 0.0 and float(values.std()) > float(values.mean())
        values = np.log1p(values) if logs else values
        mean = float(values.mean()) if values.size else 0.0
        spread = float(values.std()) if values.size else 0.0
        # The deviation of a constant is rounding; 0 stands for "says nothing".
        deviation = spread if spread > 1e-12 * (1.0 + abs(mean)) else 0.0
        found.append(NumberColumn(name, bool(logs), mean, deviation, float(missing.mean())))
    return tuple(found)


def _text_column(column: pl.Series, rare: int) -> TextColumn:
    counts = dict(column.drop_nulls().value_counts().rows())
    kept: list[str | None] = [*sorted(level for level, count in counts.items() if count >= rare and level != "")]
    read = TextColumn(column.name, (*kept, None, ""), ())
    return TextColumn(column.name, read.levels, tuple(_flags(column, read).mean(axis=0).tolist()))


def _flags(column: pl.Series, read: TextColumn) -> Floats:
    """Rows x levels of zeros and ones; each row has one."""
    known = {level: place for place, level in enumerate(read.levels) if level is not None}
    others = read.levels.index(None)
    text = column.cast(pl.String).fill_null("")
    place = text.replace_strict(known, default=others, return_dtype=pl.Int64).to_numpy()
    return np.asarray(place[:, None] == np.arange(len(read.levels)), dtype=np.float64)


def _encoded(
    rows: pl.DataFrame, numbers: tuple[NumberColumn, ...], texts: tuple[TextColumn, ...]
) -> tuple[Floats, list[str]]:
    """The matrix, each column centred on the training rows, and the feature that each column comes from."""
    check_columns(rows, [column.name for column in texts])
    matrix = numbers_of(rows, [column.name for column in numbers])
    columns: list[Floats] = []
    for place, number in enumerate(numbers):
        missing = np.isnan(matrix[:, place])
        if number.deviation > 0.0:
            # A number below 0 in a column that had none counts as 0.
            values = np.log1p(np.maximum(matrix[:, place], 0.0)) if number.logs else matrix[:, place]
            scaled = np.clip((values - number.mean) / number.deviation, -_FAR, _FAR)
            columns.append(np.where(missing, 0.0, scaled))
        if 0.0 < number.missing < 1.0:
            columns.append(missing - number.missing)
    for text in texts:
        columns += list((_flags(rows[text.name], text) - np.array(text.shares)).T)
    stacked = np.column_stack(columns) if columns else np.zeros((rows.height, 0))
    return stacked, _owners(numbers, texts)


def _owners(numbers: tuple[NumberColumn, ...], texts: tuple[TextColumn, ...]) -> list[str]:
    """The feature that each column of the matrix comes from."""
    found = []
    for number in numbers:
        found += [number.name] * (int(number.deviation > 0.0) + int(0.0 < number.missing < 1.0))
    return found + [text.name for text in texts for _ in text.levels]


__all__ = ["FittedLogistic", "Logistic", "NumberColumn", "TextColumn", "load_logistic"]
