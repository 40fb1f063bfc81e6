"""Gradient boosting of trees for outcomes of 0 and 1: LightGBM, and CatBoost where it is installed."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.digest import canonical_json
from foreproof.core.logistic import sigmoid
from foreproof.core.model import Now, Past
from foreproof.core.predict import Prediction
from foreproof.errors import BadInput
from foreproof.models.binary_rows import (
    MOST_ROWS,
    Features,
    binary_rows,
    check_columns,
    coded,
    learn_features,
    numbers_of,
    parts_of,
    probabilities,
)
from foreproof.models.late import library
from foreproof.models.panel import Floats
from foreproof.models.rows import LABEL, served_rows

_ODD = re.compile(r"[^A-Za-z0-9_]")
"""LightGBM refuses some characters in names."""


@dataclass(frozen=True, slots=True)
class BoostClassifier:
    """LightGBM with the log loss. Ke et al., LightGBM (2017).

    monotone: (feature, +1) where the probability may only rise with the feature, (feature, -1) where it may only fall; a
    number each. Text columns are categories by code; a level that the training rows did not have is missing. Of more than
    `max_rows` rows so many are drawn with the fit's seed. One thread, row-wise histograms: the same bytes every time.
    """

    name: str = "boost"
    trees: int = 300
    rate: float = 0.03
    leaves: int = 15
    least: int = 40
    ridge: float = 5.0
    monotone: tuple[tuple[str, int], ...] = ()
    max_rows: int = MOST_ROWS

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: yes."""
        return True

    def fit(self, past: Past, *, seed: int) -> FittedBoostClassifier:
        """Learn from the labelled rows; BadInput as `binary_rows` says, and for a monotone feature that is no number."""
        lightgbm = library("lightgbm")
        rows = binary_rows(past, most=self.max_rows, seed=seed, subject=self.name)
        features = learn_features(rows, past.frame)
        data = lightgbm.Dataset(
            coded(rows, features),
            label=rows[LABEL].to_numpy(),
            feature_name=[f"{place}_{_ODD.sub('_', name)}" for place, name in enumerate(features.names)],
            categorical_feature=list(range(len(features.numbers), len(features.names))),
            free_raw_data=True,
        )
        settings = {
            "objective": "binary",
            "learning_rate": self.rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": min(self.least, max(1, rows.height // 10)),
            "lambda_l2": self.ridge,
            "feature_fraction": 0.8,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "monotone_constraints": _directions(self.monotone, features),
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "seed": seed,
            "verbosity": -1,
        }
        text = str(lightgbm.train(settings, data, num_boost_round=self.trees).model_to_string())
        return FittedBoostClassifier(self, features, text)


@dataclass(frozen=True, slots=True)
class FittedBoostClassifier:
    """LightGBM's own text, and the columns that it reads."""

    model: BoostClassifier
    features: Features
    text: str

    def predict(self, now: Now) -> Prediction:
        """A probability for each row."""
        return self.opened().predict(now)

    def contributions(self, now: Now) -> pl.DataFrame:
        """What each feature adds to the log odds of each row; a row adds up to its log odds, with `base`.

        Entity columns, cutoff, step, one column a feature, `base`. SHAP values of trees: Lundberg, Erion & Lee (2018).
        `binary_rows.in_probability` turns them into the unit of the prediction.
        """
        return self.opened().contributions(now)

    def opened(self) -> OpenBoostClassifier:
        """The same with its trees read once, for whoever asks many times."""
        return OpenBoostClassifier(self.features, library("lightgbm").Booster(model_str=self.text))

    def dump(self) -> Mapping[str, bytes]:
        """LightGBM's text, and the columns as JSON."""
        return {f"{self.model.name}.txt": self.text.encode(), **_columns(self.model.name, self.features)}


@dataclass(frozen=True, slots=True)
class OpenBoostClassifier:
    """A `FittedBoostClassifier` whose trees lie in memory: it answers alike, and cannot be pickled or dumped."""

    features: Features
    booster: Any

    def predict(self, now: Now) -> Prediction:
        """A probability for each row."""
        rows = served_rows(now)
        return probabilities(now, rows, np.asarray(self.booster.predict(coded(rows, self.features), num_threads=1)))

    def contributions(self, now: Now) -> pl.DataFrame:
        """As `FittedBoostClassifier.contributions`."""
        rows = served_rows(now)
        names, parts, base = self.parts(self.matrix(rows))
        return parts_of(now, rows, names, parts, base)

    def matrix(self, rows: pl.DataFrame) -> Floats:
        """What is read of rows: for whoever asks about the same ones again and again."""
        return coded(rows, self.features)

    def parts(self, matrix: Floats) -> tuple[tuple[str, ...], Floats, Floats]:
        """Names of features, what each adds to the log odds (rows x names), and what they start from (rows)."""
        raw = np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=1))
        return self.features.names, raw[:, :-1], raw[:, -1]


def load_boost_classifier(model: BoostClassifier, files: Mapping[str, bytes]) -> FittedBoostClassifier:
    """The inverse of `FittedBoostClassifier.dump`; predicts the same bytes."""
    return FittedBoostClassifier(model, _features(model.name, files), files[f"{model.name}.txt"].decode())


@dataclass(frozen=True, slots=True)
class CatClassifier:
    """CatBoost with the log loss. Prokhorenkova, Gusev, Vorobev, Dorogush & Gulin, CatBoost (2018).

    Text columns go in as they are: CatBoost turns them into target statistics of earlier rows. One thread. Needs the extra
    `catboost`; without it `fit` raises MissingExtra.
    """

    name: str = "catboost"
    trees: int = 400
    rate: float = 0.05
    depth: int = 6
    ridge: float = 3.0
    max_rows: int = MOST_ROWS

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: yes."""
        return True

    def fit(self, past: Past, *, seed: int) -> FittedCatClassifier:
        """Learn from the labelled rows; BadInput as `binary_rows` says."""
        catboost = library("catboost", extra="catboost")
        rows = binary_rows(past, most=self.max_rows, seed=seed, subject=self.name)
        features = learn_features(rows, past.frame)
        pool = _pool(catboost, rows, features, label=rows[LABEL].to_numpy())
        model = catboost.CatBoost(
            {
                "loss_function": "Logloss",
                "iterations": self.trees,
                "learning_rate": self.rate,
                "depth": self.depth,
                "l2_leaf_reg": self.ridge,
                "random_seed": seed,
                "thread_count": 1,
                "allow_writing_files": False,
                "logging_level": "Silent",
            }
        )
        model.fit(pool)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            model.save_model(str(path), format="json", pool=pool)
            state = json.loads(path.read_text(encoding="utf-8"))
        # When and under which random name it was trained would give the same model another digest.
        for volatile in ("train_finish_time", "model_guid"):
            state.get("model_info", {}).pop(volatile, None)
        return FittedCatClassifier(self, features, json.dumps(state, sort_keys=True))


@dataclass(frozen=True, slots=True)
class FittedCatClassifier:
    """CatBoost's own JSON, from which every prediction is made, and the columns that it reads."""

    model: CatClassifier
    features: Features
    text: str

    def predict(self, now: Now) -> Prediction:
        """A probability for each row."""
        catboost, rows = library("catboost", extra="catboost"), served_rows(now)
        pool = _pool(catboost, rows, self.features)
        raw = self._booster(catboost).predict(pool, prediction_type="RawFormulaVal", thread_count=1)
        return probabilities(now, rows, sigmoid(raw))

    def contributions(self, now: Now) -> pl.DataFrame:
        """What each feature adds to the log odds of each row, as `FittedBoostClassifier.contributions`."""
        catboost, rows = library("catboost", extra="catboost"), served_rows(now)
        pool = _pool(catboost, rows, self.features)
        raw = np.asarray(self._booster(catboost).get_feature_importance(pool, type="ShapValues", thread_count=1))
        return parts_of(now, rows, self.features.names, raw[:, :-1], raw[:, -1])

    def dump(self) -> Mapping[str, bytes]:
        """CatBoost's JSON without its date and random name, and the columns as JSON."""
        return {f"{self.model.name}.model.json": self.text.encode(), **_columns(self.model.name, self.features)}

    def _booster(self, catboost: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            path.write_text(self.text, encoding="utf-8")
            model = catboost.CatBoost()
            model.load_model(str(path), format="json")
        return model


def load_cat_classifier(model: CatClassifier, files: Mapping[str, bytes]) -> FittedCatClassifier:
    """The inverse of `FittedCatClassifier.dump`."""
    return FittedCatClassifier(model, _features(model.name, files), files[f"{model.name}.model.json"].decode())


def _directions(monotone: tuple[tuple[str, int], ...], features: Features) -> list[int]:
    for name, direction in monotone:
        if name not in features.numbers or direction not in (-1, 1):
            raise BadInput(
                "monotone",
                found=f"{name}: {direction}",
                wanted="1 or -1 for a feature that is a number",
                fix=f"features of numbers: {', '.join(features.numbers)}",
            )
    known = dict(monotone)
    return [known.get(name, 0) for name in features.names]


def _pool(catboost: Any, rows: pl.DataFrame, features: Features, *, label: Floats | None = None) -> Any:
    """Numbers and text side by side; a text that is missing is a level of its own, the empty one."""
    check_columns(rows, features.names)
    table = np.empty((rows.height, len(features.names)), dtype=object)
    table[:, : len(features.numbers)] = numbers_of(rows, features.numbers)
    for place, name in enumerate(features.codes, start=len(features.numbers)):
        table[:, place] = rows[name].cast(pl.String).fill_null("").to_list()
    places = list(range(len(features.numbers), len(features.names)))
    return catboost.Pool(table, label=label, cat_features=places, thread_count=1)


def _columns(name: str, features: Features) -> dict[str, bytes]:
    return {f"{name}.json": canonical_json({"numbers": features.numbers, "codes": features.codes})}


def _features(name: str, files: Mapping[str, bytes]) -> Features:
    state = json.loads(files[f"{name}.json"])
    return Features(tuple(state["numbers"]), state["codes"])


__all__ = [
    "BoostClassifier",
    "CatClassifier",
    "FittedBoostClassifier",
    "FittedCatClassifier",
    "OpenBoostClassifier",
    "load_boost_classifier",
    "load_cat_classifier",
]
