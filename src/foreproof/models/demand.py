"""Classes of demand by how often it comes and how much its size varies, and a model that gives each class its own.

Syntetos, Boylan & Croston, On the categorization of demand patterns (2005): the cut-offs are where, in theory, one
estimator's mean squared error overtakes another's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

import numpy as np
import polars as pl

from foreproof.core.model import Fitted, Model, Now, Past
from foreproof.core.predict import Prediction
from foreproof.models.intermittent import IMAPA, TSB
from foreproof.models.panel import Floats, panel, points, seasonal_naive
from foreproof.models.statistical import AutoETS, Theta

DemandClass = Literal["smooth", "erratic", "intermittent", "lumpy", "none"]
ADI_CUT, CV2_CUT = 1.32, 0.49


def demand_classes(target: pl.DataFrame, entity: Sequence[str]) -> pl.DataFrame:
    """Entity columns, `adi`, `cv2`, `demand_class`: one row a series of a target (entity columns, `period`, `y`), sorted.

    adi: steps a demand, the length of the series over its steps with y != 0, at least 1. cv2: squared coefficient of
    variation of the sizes of those demands (divisor n). Below 1.32 and 0.49: smooth; more variation: erratic; rarer:
    intermittent; both: lumpy. A series of zeros alone is `none`, and both numbers are null.
    """
    series = panel(target, entity)
    rows = [(*key, *_measured(y)) for key, y in zip(series.keys, series, strict=True)]
    numbers = {"adi": pl.Float64, "cv2": pl.Float64, "demand_class": pl.String}
    return pl.DataFrame(rows, schema={**dict.fromkeys(entity, pl.String), **numbers}, orient="row")


def _measured(y: Floats) -> tuple[float | None, float | None, DemandClass]:
    sizes = y[y != 0.0]
    if not sizes.size:
        return None, None, "none"
    adi, mean = y.size / sizes.size, float(sizes.mean())
    # Returns may outweigh sales: then there is no size to vary around, and the demand is as wild as can be.
    cv2 = float(sizes.var()) / mean**2 if mean > 0.0 else float("inf")
    return adi, cv2, _class(adi, cv2)


def _class(adi: float, cv2: float) -> DemandClass:
    if adi < ADI_CUT:
        return "smooth" if cv2 < CV2_CUT else "erratic"
    return "intermittent" if cv2 < CV2_CUT else "lumpy"


@dataclass(frozen=True, slots=True)
class ByClass:
    """Each series is forecast by the model of its class of demand, as of the fit; a series of zeros alone by zero."""

    name: str = "by_class"
    smooth: Model = field(default_factory=AutoETS)
    erratic: Model = field(default_factory=Theta)
    intermittent: Model = field(default_factory=TSB)
    lumpy: Model = field(default_factory=IMAPA)

    @property
    def members(self) -> Mapping[DemandClass, Model]:
        """The model of each class that has demand."""
        found: tuple[Model, ...] = (self.smooth, self.erratic, self.intermittent, self.lumpy)
        return dict(zip(get_args(DemandClass), found, strict=False))

    @property
    def reads_rows(self) -> bool:
        """Whether one of the models reads rows of features."""
        return any(model.reads_rows for model in self.members.values())

    def fit(self, past: Past, *, seed: int) -> FittedByClass:
        """Classes, and for each class with series its model fitted to them alone."""
        entity = past.frame.entity
        classes = _classes(past.target, entity)
        # One reading of the rows serves every class, and whether they are read does not depend on the classes found.
        rows = past.make_rows() if self.reads_rows else None
        fitted: dict[DemandClass, Fitted] = {}
        for word, model in self.members.items():
            keys = [key for key, found in classes.items() if found == word]
            if keys:
                part = _only(past.target, entity, keys)
                own = None if rows is None else _only(rows, entity, keys)
                fitted[word] = model.fit(Past(past.frame, past.cutoff, part, _giving(own)), seed=seed)
        return FittedByClass(self, max(1, past.frame.season), classes, fitted)


@dataclass(frozen=True, slots=True)
class FittedByClass:
    """The class of each series at the fit, and the fitted model of each class that had series."""

    model: ByClass
    season: int
    classes: Mapping[tuple[str, ...], DemandClass]
    parts: Mapping[DemandClass, Fitted]

    def predict(self, now: Now) -> Prediction:
        """A series that was not there at the fit has the class that it has now; a class that has no model, the naive."""
        frame = now.frame
        past = panel(now.target, frame.entity)
        seen = _classes(now.target, frame.entity)
        classes = {key: self.classes.get(key, found) for key, found in seen.items()}
        rows = now.make_rows() if self.model.reads_rows else None
        baseline = points(now, past.keys, seasonal_naive(past, season=self.season, horizon=frame.horizon))
        found = [baseline.canonical()]
        for word, fitted in self.parts.items():
            keys = [key for key, each in classes.items() if each == word]
            if keys:
                part = _only(now.target, frame.entity, keys)
                own = None if rows is None else _only(rows, frame.entity, keys)
                found.append(fitted.predict(Now(frame, now.cutoff, part, _giving(own))).canonical())
        quiet = [key for key, each in classes.items() if each == "none"]
        if quiet:
            found.append(points(now, quiet, np.zeros((len(quiet), frame.horizon))).canonical())
        index = baseline.index
        last = pl.concat(found).unique(index, keep="last", maintain_order=True).sort(index)
        return Prediction("point", frame.entity, last)

    def dump(self) -> Mapping[str, bytes]:
        """The classes as JSON, and what the model of each class learned, under `NAME.CLASS.`."""
        name = self.model.name
        classes = [{"key": key, "class": word} for key, word in sorted(self.classes.items())]
        state = {"season": self.season, "fitted": sorted(self.parts), "classes": classes}
        files = {f"{name}.json": json.dumps(state, sort_keys=True).encode()}
        for word, fitted in self.parts.items():
            files |= {f"{name}.{word}.{inner}": content for inner, content in fitted.dump().items()}
        return files


def classes_of(state: Mapping[str, object]) -> dict[tuple[str, ...], DemandClass]:
    """The classes in a dumped state."""
    listed = cast("list[dict[str, object]]", state["classes"])
    return {tuple(cast("list[str]", each["key"])): cast(DemandClass, each["class"]) for each in listed}


def _classes(target: pl.DataFrame, entity: Sequence[str]) -> dict[tuple[str, ...], DemandClass]:
    return {row[: len(entity)]: row[-1] for row in demand_classes(target, entity).iter_rows()}


def _only(frame: pl.DataFrame, entity: Sequence[str], keys: Sequence[tuple[str, ...]]) -> pl.DataFrame:
    """The rows of some series; with no entity column there is one series, and it stays."""
    if not entity:
        return frame
    wanted = pl.DataFrame(list(keys), schema=dict.fromkeys(entity, pl.String), orient="row")
    return frame.join(wanted, on=list(entity), how="semi", maintain_order="left")


def _giving(rows: pl.DataFrame | None) -> Callable[[], pl.DataFrame]:
    """A maker of rows that were already made; a model that reads none gets none."""
    return lambda: pl.DataFrame() if rows is None else rows


__all__ = ["ADI_CUT", "CV2_CUT", "ByClass", "DemandClass", "FittedByClass", "classes_of", "demand_classes"]
