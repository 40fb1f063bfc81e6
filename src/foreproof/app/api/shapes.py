"""Shapes that several routes answer in, and plain values of frames: no number that JSON has no word for, instants in ISO form."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import polars as pl
from pydantic import BaseModel, Field

T = TypeVar("T")
Row = dict[str, Any]
"""One row of a table: a value a column."""


class Overridden(BaseModel):
    """Who serves a run without a passing proof, and why."""

    name: str = Field(examples=["A. Reader"])
    reason: str = Field(examples=["the holiday shifted"])
    since: str = Field(examples=["2026-11-27T09:00:00+00:00"])


class Provenance(BaseModel):
    """Where a prediction comes from, how old its data is, and whether its proof passed."""

    project: str = Field(examples=["forecast"])
    run: str = Field(examples=["f6829183b2d4"])
    cutoff: str = Field(
        description="what was known then, and nothing later", examples=["2024-05-19 21:59:59.999999+00:00"]
    )
    data_age_seconds: float | None = Field(
        description="since the cutoff; null on a clock of integers", examples=[3600.0]
    )
    proof: str = Field(description="proven, failed or not proven", examples=["proven"])
    leaf: int | None = Field(None, description="where the log says that this run is served", examples=[2])
    overridden: Overridden | None = None


class Page(BaseModel, Generic[T]):
    """A part of a list: `items` from `offset` on, `limit` at most, of `total`."""

    items: list[T]
    total: int = Field(ge=0)
    limit: int
    offset: int


def plain(frame: pl.DataFrame) -> list[Row]:
    """The rows as plain values: a number that is not finite is null, an instant is ISO in UTC."""
    return cleaned(frame).to_dicts()


def cleaned(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows in columns that JSON can hold."""
    shown = []
    for name, dtype in frame.schema.items():
        if dtype.is_float():
            shown.append(pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name))
        elif isinstance(dtype, pl.Datetime):
            shown.append(pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00"))
        elif not (dtype.is_integer() or dtype.is_nested() or dtype in (pl.String, pl.Boolean)):
            shown.append(pl.col(name).cast(pl.String, strict=False))
    return frame.with_columns(shown)


__all__ = ["Overridden", "Page", "Provenance", "Row", "T", "cleaned", "plain"]
