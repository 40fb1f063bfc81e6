"""The series of a published forecast by name: where each one's rows stand in the run's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from foreproof.app.api.published import Published
from foreproof.app.api.shapes import Row, plain
from foreproof.core.plan import parse_yaml
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.errors import BadInput, NotFound

ALONE = "all"
"""The name of the one series of a forecast without entity columns."""
_JOINT = " / "
_FIRST, _COUNT = "_first", "_count"
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Index:
    """Names of series in order, what each stands for, and its rows in `forecast` and `history` as (offset, length)."""

    entity: tuple[str, ...]
    names: tuple[str, ...]
    values: Mapping[str, Row]
    forecast: Mapping[str, Span]
    history: Mapping[str, Span]
    twice: frozenset[str]
    levels: tuple[float, ...]
    horizon: int
    unit: str

    def span(self, name: str) -> Span:
        """Where a series' forecast stands. Raises NotFound, and BadInput for a name that two series have."""
        if name in self.twice:
            raise BadInput(f"series {name}", found="two series of this name", wanted="one", fix="use the export")
        if name not in self.forecast:
            raise NotFound(f"series {name}", found="no such series", fix="GET /api/v1/forecasts lists them")
        return self.forecast[name]


def index_of(published: Published) -> Index:
    """The series of a published forecast. Raises NotFound where the run made no forecast."""
    rows, plan = published.table("forecast"), plan_of(published)
    entity = tuple(rows.columns[: rows.columns.index(CUTOFF)])
    spans = _spans(rows, entity)
    values = dict(zip(spans["name"], plain(spans.select(entity)), strict=True))
    named = list(spans["name"])
    past = _spans(published.table("history"), entity)
    series, tables = plan["series"], plan["tables"]
    column = tables[series["table"]]["columns"][series["value"]]
    return Index(
        entity=entity,
        names=tuple(named),
        values=values,
        forecast=dict(zip(named, spans.select(_FIRST, _COUNT).iter_rows(), strict=True)),
        history=dict(zip(past["name"], past.select(_FIRST, _COUNT).iter_rows(), strict=True)),
        twice=frozenset(name for name in values if named.count(name) > 1) if len(values) < len(named) else frozenset(),
        levels=tuple(rows[LEVEL].drop_nulls().unique().sort().to_list()),
        horizon=int(rows[STEP].max()),  # type: ignore[arg-type]
        unit=str(column.get("unit", "")) if isinstance(column, Mapping) else "",
    )


def plan_of(published: Published) -> Mapping[str, Any]:
    """The plan that a published run was made by, as plain values."""
    path = published.folder / "plan_resolved.yaml"
    return parse_yaml(path.read_text(encoding="utf-8"), name=path.name)


def named(entity: Sequence[str]) -> pl.Expr:
    """The name of a row's series: its entity values joined by ` / `."""
    if not entity:
        return pl.lit(ALONE).alias("name")
    return pl.concat_str([pl.col(one).cast(pl.String).fill_null("") for one in entity], separator=_JOINT).alias("name")


def answer(published: Published, index: Index, name: str, asked: Asked) -> Row:
    """One series: its steps with quantiles and mean, and the end of its history."""
    offset, length = index.span(name)
    rows = published.table("forecast").slice(offset, length).filter(pl.col(STEP) <= asked.horizon)
    steps: dict[int, Row] = {}
    wanted = {level: f"{level:g}" for level in asked.levels}
    times = plain(rows.select("at"))
    for (step, level, value), time in zip(plain_rows(rows), times, strict=True):
        one = steps.setdefault(step, {"step": step, "at": time["at"], "quantiles": {}, "mean": None})
        if level is None:
            one["mean"] = value
        elif level in wanted:
            one["quantiles"][wanted[level]] = value
    first, count = index.history.get(name, (0, 0))
    kept = min(count, asked.history)
    past = published.table("history").slice(first + count - kept, kept).select("at", "y")
    said = {"series": name, "entity": index.values[name], "unit": index.unit, "levels": list(asked.levels)}
    return {**said, "steps": list(steps.values()), "history": plain(past)}


def plain_rows(rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    """`step`, `level`, `value` of a forecast; a value that is not finite is null."""
    value = pl.when(pl.col(VALUE).is_finite()).then(pl.col(VALUE)).alias(VALUE)
    return rows.select(STEP, LEVEL, value).rows()


@dataclass(frozen=True, slots=True)
class Asked:
    """Which levels, steps and how much history."""

    levels: tuple[float, ...]
    horizon: int
    history: int


def asked_of(index: Index, *, levels: Sequence[float] | None, horizon: int | None, history: int) -> Asked:
    """What is asked for, among what was published. Raises BadInput for a level or a step that was not predicted."""
    steps = index.horizon if horizon is None else horizon
    if not 1 <= steps <= index.horizon:
        raise BadInput(
            "horizon",
            found=str(steps),
            wanted=f"1 to {index.horizon}, the plan's horizon",
            fix="a longer one is another plan: set horizon in foreproof.yaml, and run",
        )
    if levels is None:
        return Asked(index.levels, steps, history)
    found = []
    for level in levels:
        near = [one for one in index.levels if abs(one - level) < 1e-9]
        if not near:
            known = ", ".join(f"{one:g}" for one in index.levels)
            raise BadInput("levels", found=f"{level:g}", wanted=f"some of {known}", fix="set levels in foreproof.yaml")
        found.append(near[0])
    return Asked(tuple(sorted(set(found))), steps, history)


def parse_levels(text: str | None) -> list[float] | None:
    """`0.1,0.5,0.9` as numbers. Raises BadInput."""
    if text is None or not text.strip():
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadInput("levels", found=repr(text[:80]), wanted="numbers with commas between: 0.1,0.5,0.9") from None


def _spans(rows: pl.DataFrame, entity: Sequence[str]) -> pl.DataFrame:
    """A row a series, in the order of the table (which is sorted by entity): entity columns, name, first row, rows."""
    counted = (
        rows.select(entity).with_row_index("_row") if entity else rows.select(pl.int_range(pl.len()).alias("_row"))
    )
    ends = [pl.col("_row").first().cast(pl.Int64).alias(_FIRST), pl.len().cast(pl.Int64).alias(_COUNT)]
    found = counted.group_by(entity, maintain_order=True).agg(ends) if entity else counted.select(ends)
    return found.with_columns(named(entity))


__all__ = ["ALONE", "Asked", "Index", "answer", "asked_of", "index_of", "named", "parse_levels", "plan_of"]
