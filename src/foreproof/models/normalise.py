"""A reversible normalisation of each series around a local model: learned from the past alone, undone on its forecasts.

Quantiles keep their level under a monotone map, so a median stays a median; a mean does not stay a mean (Hyndman &
Athanasopoulos 2021, section 5.6). Models that read rows scale them themselves and are not wrapped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
import polars as pl

from foreproof.core.model import Fitted, Model, Now, Past
from foreproof.core.predict import VALUE, Prediction
from foreproof.models.late import library
from foreproof.models.panel import Floats, panel

Kind = Literal["log1p", "asinh", "box_cox", "standard"]
_FEWEST = 8
_WIDE = 2.0
"""A power outside [-2, 2] follows noise."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """One series' map: (f(y) - centre) / size, f by kind; power is Box and Cox's lambda."""

    kind: Kind
    centre: float = 0.0
    size: float = 1.0
    power: float = 1.0

    def forward(self, y: Floats) -> Floats:
        """The normalised series."""
        match self.kind:
            case "log1p":
                mapped = np.sign(y) * np.log1p(np.abs(y) / self.size)
            case "asinh":
                mapped = np.arcsinh(y / self.size)
            case "box_cox":
                mapped = np.log(y) if abs(self.power) < 1e-9 else (y**self.power - 1.0) / self.power
            case "standard":
                mapped = (y - self.centre) / self.size
            case _:
                assert_never(self.kind)
        return np.asarray(mapped, dtype=np.float64)

    def back(self, z: Floats) -> Floats:
        """The inverse; a value that no y has goes to the nearest one that some y has."""
        match self.kind:
            case "log1p":
                mapped = np.sign(z) * np.expm1(np.abs(z)) * self.size
            case "asinh":
                mapped = np.sinh(z) * self.size
            case "box_cox":
                inside = np.maximum(self.power * z + 1.0, 1e-12)
                mapped = np.exp(z) if abs(self.power) < 1e-9 else inside ** (1.0 / self.power)
            case "standard":
                mapped = z * self.size + self.centre
            case _:
                assert_never(self.kind)
        return np.asarray(mapped, dtype=np.float64)


def learn_scaling(y: Floats, kind: Kind) -> Scaling:
    """The map of one series.

    log1p and asinh are taken in units of the mean |y| (Burbidge, Magee & Robb 1988), so that they bend small and large
    series alike; box_cox by maximum likelihood (Box & Cox 1964) on a positive series of 8 values or more that is not
    constant, else asinh.
    """
    size = float(np.mean(np.abs(y))) or 1.0
    match kind:
        case "log1p" | "asinh":
            return Scaling(kind, size=size)
        case "standard":
            spread = float(np.std(y))
            return Scaling(kind, centre=float(np.mean(y)), size=spread if spread > 1e-12 * size else 1.0)
        case "box_cox":
            if y.size < _FEWEST or y.min() <= 0.0 or np.ptp(y) <= 1e-9 * size:
                return Scaling("asinh", size=size)
            power = float(library("scipy.stats").boxcox_normmax(y / size, method="mle"))
            return Scaling(kind, power=min(max(power, -_WIDE), _WIDE))
        case _:
            assert_never(kind)


@dataclass(frozen=True, slots=True)
class Normalised:
    """A local model that works on normalised series."""

    model: Model
    kind: Kind

    @property
    def name(self) -> str:
        """The model's own name."""
        return self.model.name

    @property
    def reads_rows(self) -> bool:
        """Whether fit or predict reads rows of features: no."""
        return False

    def fit(self, past: Past, *, seed: int) -> FittedNormalised:
        """Learn the maps, then the model on what they give."""
        series = panel(past.target, past.frame.entity)
        maps = {key: learn_scaling(y, self.kind) for key, y in zip(series.keys, series, strict=True)}
        target = _mapped(past.target, past.frame.entity, maps, self.kind)
        inner = self.model.fit(Past(past.frame, past.cutoff, target, past.make_rows), seed=seed)
        return FittedNormalised(self.name, inner, self.kind, maps)


@dataclass(frozen=True, slots=True)
class FittedNormalised:
    """The model's fit and each series' map."""

    name: str
    inner: Fitted
    kind: Kind
    maps: Mapping[tuple[str, ...], Scaling]

    def predict(self, now: Now) -> Prediction:
        """Forecasts in the target's unit; a series that was not there when the maps were learned learns its own."""
        entity = now.frame.entity
        series = panel(now.target, entity)
        maps = {
            key: self.maps[key] if key in self.maps else learn_scaling(y, self.kind)
            for key, y in zip(series.keys, series, strict=True)
        }
        target = _mapped(now.target, entity, maps, self.kind)
        found = self.inner.predict(Now(now.frame, now.cutoff, target, now.make_rows))
        keys = found.rows.select(entity).cast(pl.String).rows() if entity else [()] * found.rows.height
        places: dict[tuple[str, ...], list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        back = found.rows[VALUE].to_numpy().copy()
        for key, where in places.items():
            back[where] = maps[key].back(back[where])
        return Prediction(found.kind, entity, found.rows.with_columns(pl.Series(VALUE, back, dtype=pl.Float64)))

    def dump(self) -> Mapping[str, bytes]:
        """The model's own files, and the maps as JSON."""
        maps = [
            {"series": list(key), "kind": m.kind, "centre": m.centre, "size": m.size, "power": m.power}
            for key, m in sorted(self.maps.items())
        ]
        return {**self.inner.dump(), f"{self.name}.normalise.json": json.dumps(maps).encode()}


def load_maps(content: bytes) -> dict[tuple[str, ...], Scaling]:
    """The maps that a dump holds."""
    return {
        tuple(one["series"]): Scaling(one["kind"], one["centre"], one["size"], one["power"])
        for one in json.loads(content)
    }


def normalised(models: Sequence[Model], kind: Kind | Literal["none"]) -> tuple[Model, ...]:
    """The models of a plan, those that read no rows on normalised series; `none` and the seasonal naive stay as they are."""
    if kind == "none":
        return tuple(models)
    return tuple(m if m.reads_rows or m.name == "seasonal_naive" else Normalised(m, kind) for m in models)


def _mapped(
    target: pl.DataFrame, entity: tuple[str, ...], maps: Mapping[tuple[str, ...], Scaling], kind: Kind
) -> pl.DataFrame:
    """The target with every series normalised. A positive map meets a later value of 0 or less with the nearest positive one."""
    rows = target.sort(*entity, "period")
    series = panel(rows, entity)
    parts = []
    for key, y in zip(series.keys, series, strict=True):
        safe = np.maximum(y, 1e-9) if maps[key].kind == "box_cox" else y
        parts.append(maps[key].forward(safe))
    values = np.concatenate(parts) if parts else np.array([])
    return rows.with_columns(pl.Series("y", values, dtype=pl.Float64))


__all__ = ["FittedNormalised", "Kind", "Normalised", "Scaling", "learn_scaling", "load_maps", "normalised"]
