"""A global gradient boosting model: one LightGBM for all series and steps, direct by step or recursive."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from foreproof.core.model import Frame, Now, Past
from foreproof.core.predict import CUTOFF, STEP, Prediction
from foreproof.core.recipe import Recipe
from foreproof.errors import BadInput
from foreproof.models.late import library
from foreproof.models.panel import Floats, Ints
from foreproof.models.recursive import check_recipes, unrolled
from foreproof.models.rows import FEWEST_ROWS, LABEL, answered, index_of, served_rows, training_rows
from foreproof.models.scaling import Columns, learn_columns, scaled

Loss = Literal["l1", "l2", "tweedie", "quantile"]
Strategy = Literal["direct", "recursive"]

_ODD = re.compile(r"[^A-Za-z0-9_]")
"""LightGBM refuses some characters in names."""
_OBJECTIVES = {"l1": "regression_l1", "l2": "regression", "tweedie": "tweedie", "quantile": "quantile"}
_TAILS = (0.001, 0.999)
"""Scaled labels beyond these quantiles are drawn in: one outlier of a dormant series must not steer all the others."""


@dataclass(frozen=True, slots=True)
class GlobalBoost:
    """LightGBM over the rows of all series; step is a feature, and each row stands in its own unit (see `scaling`).

    loss: l1 aims at the median and serves MASE, WAPE and sMAPE; l2 at the mean; tweedie at the mean of counts with many
    zeros (labels below 0 count as 0); quantile at the quantile of `level`. strategy: direct learns every step from the
    cutoff; recursive learns the first alone and goes on from its own predictions, with `recipes` for the columns of the
    target (see `recursive`). blocks: how many models share the steps, in runs of equal length. max_rows: of
    more training rows than this, so many are drawn with the fit's seed. relative: see `scaling.Columns`; tweedie has none.

    Ke et al., LightGBM (2017). One model for many series: Makridakis, Spiliotis & Assimakopoulos, M5 (2022).
    """

    name: str = "boost"
    loss: Loss = "l1"
    trees: int = 400
    rate: float = 0.05
    leaves: int = 31
    least: int = 20
    blocks: int = 1
    max_rows: int = 500_000
    relative: bool = True
    level: float = 0.5
    strategy: Strategy = "direct"
    recipes: tuple[Recipe, ...] = ()

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: yes."""
        return True

    def fit(self, past: Past, *, seed: int) -> FittedBoost:
        """Learn from the labelled rows; refuses labels that are not finite, and learns nothing from fewer than 30 rows."""
        last = 1 if self.strategy == "recursive" else None
        rows = training_rows(past, most=self.max_rows, seed=seed, last_step=last)
        index = [*past.frame.entity, CUTOFF]
        season = max(1, past.frame.season)
        if rows.height < FEWEST_ROWS:
            return FittedBoost(self, season, Columns((), {}, False), ())
        columns = learn_columns(rows, [*index, LABEL], relative=self.relative and self.loss != "tweedie")
        if self.strategy == "recursive":
            check_recipes(columns.names, self.recipes)
        steps = rows[STEP].to_numpy()
        block = _block(steps, past.frame.horizon, self.blocks)
        given = scaled(rows, columns)
        value = (rows[LABEL].cast(pl.Float64).to_numpy() - given.origin) / given.unit
        value = np.clip(value, *np.quantile(value, _TAILS)) if self.loss != "tweedie" else np.maximum(value, 0.0)
        parts = [
            block == b if np.sum(block == b) >= FEWEST_ROWS else np.ones_like(block, dtype=bool)
            for b in range(self.blocks)
        ]
        texts = tuple(_train(self, given.matrix[part], value[part], columns, seed) for part in parts)
        return FittedBoost(self, season, columns, texts)


@dataclass(frozen=True, slots=True)
class FittedBoost:
    """LightGBM's own text, one a block of steps; none where there was too little to learn from."""

    model: GlobalBoost
    season: int
    columns: Columns
    texts: tuple[str, ...]

    @property
    def fallbacks(self) -> int:
        """1 where the seasonal naive forecasts everything, because there were fewer than 30 training rows; else 0."""
        return int(not self.texts)

    def predict(self, now: Now) -> Prediction:
        """Forecasts of every series of the target; a row that the model answers with no finite number gets the naive."""

        def answer(rows: pl.DataFrame) -> Floats:
            return self._answers(self._seen(now, rows), now.frame)

        return answered(now, self.season, answer if self.texts else None)

    def contributions(self, now: Now) -> pl.DataFrame:
        """What each feature adds to each forecast, in the unit of the target; a row's columns add up to its forecast.

        Entity columns, cutoff, step, one column a feature, and `base`, which holds the rest: the model's expectation, the
        row's origin and that origin's own contribution. SHAP values of trees: Lundberg, Erion & Lee (2018).
        """
        if not self.texts:
            raise BadInput(self.model.name, found="a model that learned nothing", wanted="at least 30 training rows")
        rows = self._seen(now, served_rows(now))
        given = scaled(self._stepped(rows), self.columns)
        raw = np.zeros((rows.height, len(self.columns.inputs) + 1))
        block = _block(rows[STEP].to_numpy(), now.frame.horizon, self.model.blocks)
        for b, booster in enumerate(self._boosters()):
            if np.any(block == b):
                raw[block == b] = booster.predict(given.matrix[block == b], pred_contrib=True, num_threads=1)
        unit = _from_logarithms(raw, given.unit) if self.model.loss == "tweedie" else raw * given.unit[:, None]
        many = len(self.columns.names)
        base = unit[:, many:].sum(axis=1) + given.origin
        parts = {name: unit[:, place] for place, name in enumerate(self.columns.names) if name != STEP}
        return rows.select(index_of(now.frame)).with_columns(
            *(pl.Series(name, part) for name, part in parts.items()),
            pl.Series("step_ahead", unit[:, self.columns.names.index(STEP)]),
            pl.Series("base", base),
        )

    def dump(self) -> Mapping[str, bytes]:
        """LightGBM's text of each block, and the columns as JSON."""
        name = self.model.name
        columns = {
            "season": self.season,
            "names": self.columns.names,
            "codes": self.columns.codes,
            "relative": self.columns.relative,
        }
        files = {f"{name}.{b}.txt": text.encode() for b, text in enumerate(self.texts)}
        return {f"{name}.json": json.dumps(columns, sort_keys=True).encode(), **files}

    def _seen(self, now: Now, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows as the model sees them: what is recursive reads its own predictions."""
        if self.model.strategy == "direct":
            return rows
        frame = now.frame
        return unrolled(now, rows, self.model.recipes, lambda part: self._answers(part, frame))

    def _answers(self, rows: pl.DataFrame, frame: Frame) -> Floats:
        """The answer to each row, in the unit of the target."""
        given = scaled(self._stepped(rows), self.columns)
        return given.origin + given.unit * self._raw(rows, given.matrix, frame)

    def _stepped(self, rows: pl.DataFrame) -> pl.DataFrame:
        """To a one-step model every row is of step 1."""
        if self.model.strategy == "direct":
            return rows
        return rows.with_columns(pl.lit(1, dtype=rows.schema[STEP]).alias(STEP))

    def _boosters(self) -> list[Any]:
        lightgbm = library("lightgbm")
        return [lightgbm.Booster(model_str=text) for text in self.texts]

    def _raw(self, rows: pl.DataFrame, matrix: Floats, frame: Frame) -> Floats:
        """The models' answers, in each row's own unit."""
        raw = np.zeros(rows.height)
        block = _block(rows[STEP].to_numpy(), frame.horizon, self.model.blocks)
        for b, booster in enumerate(self._boosters()):
            if np.any(block == b):
                raw[block == b] = booster.predict(matrix[block == b], num_threads=1)
        return raw


def load_boost(model: GlobalBoost, files: Mapping[str, bytes]) -> FittedBoost:
    """The inverse of `FittedBoost.dump`; predicts the same bytes."""
    state = json.loads(files[f"{model.name}.json"])
    texts = tuple(files[f"{model.name}.{b}.txt"].decode() for b in range(len(files) - 1))
    columns = Columns(tuple(state["names"]), state["codes"], state["relative"])
    return FittedBoost(model, int(state["season"]), columns, texts)


def _train(model: GlobalBoost, matrix: Floats, value: Floats, columns: Columns, seed: int) -> str:
    """LightGBM's text. Deterministic: one thread, row-wise histograms, a fixed seed, rows in a fixed order."""
    lightgbm = library("lightgbm")
    settings = {
        "objective": _OBJECTIVES[model.loss],
        "alpha": model.level,
        "learning_rate": model.rate,
        "num_leaves": model.leaves,
        "min_data_in_leaf": min(model.least, max(1, len(value) // 4)),
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(
        matrix,
        label=value,
        feature_name=[f"{place}_{_ODD.sub('_', name)}" for place, name in enumerate(columns.inputs)],
        categorical_feature=[place for place, name in enumerate(columns.names) if name in columns.codes],
        free_raw_data=True,
    )
    return str(lightgbm.train(settings, data, num_boost_round=model.trees).model_to_string())


def _block(steps: Ints, horizon: int, blocks: int) -> Ints:
    """Which of `blocks` equal runs of 1 ... horizon holds each step."""
    return np.minimum((steps - 1) * blocks // horizon, blocks - 1)


def _from_logarithms(raw: Floats, unit: Floats) -> Floats:
    """Contributions to the logarithm of a forecast as contributions to the forecast, which they still add up to.

    Each is multiplied by the logarithmic mean of forecast and base, (F - B) / log(F / B): Ang (2004), LMDI.
    """
    base, move = raw[:, -1:], raw[:, :-1].sum(axis=1, keepdims=True)
    mean = np.exp(base) * np.divide(np.expm1(move), move, out=np.ones_like(move), where=move != 0.0)
    parts: Floats = np.concatenate([raw[:, :-1] * mean, np.exp(base)], axis=1) * unit[:, None]
    return parts


__all__ = ["FittedBoost", "GlobalBoost", "Loss", "Strategy", "load_boost"]
