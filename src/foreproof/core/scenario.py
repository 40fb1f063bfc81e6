"""What if: named overrides of plans that are known ahead, applied to a database as one more version of their rows.

A scenario changes only rows of tables marked `ahead: true` that happen in (cutoff, cutoff + horizon], and its
versions are known at the cutoff itself: every view at an earlier cutoff, and so every example that is learned from,
keeps its bytes.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import polars as pl

from foreproof.core.clock import Moment, literal, ticks, time_column
from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN, Column, Contract
from foreproof.core.grid import Grid
from foreproof.core.section import Section
from foreproof.core.view import Database, Table
from foreproof.errors import BadInput

Change = Literal["set", "add", "times"]


@dataclass(frozen=True, slots=True)
class Override:
    """One column of one ahead table, over steps first ... last after the cutoff.

    change: what becomes of a value v: `set` value, `add` v + value, `times` v * value. where: rows of these values
    alone.
    """

    table: str
    column: str
    change: Change
    value: float
    first: int
    last: int
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def words(self) -> str:
        """The override as one would say it."""
        sign = {"set": "=", "add": "+=", "times": "*="}[self.change]
        places = "".join(f", {name} {' or '.join(values)}" for name, values in self.where)
        return f"{self.table}.{self.column} {sign} {self.value:g} in steps {self.first} to {self.last}{places}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Overrides with a name, who asks, and why."""

    name: str
    author: str
    reason: str
    overrides: tuple[Override, ...]

    def __post_init__(self) -> None:
        for what in ("name", "author", "reason"):
            if not getattr(self, what).strip():
                raise BadInput(
                    f"scenario.{what}", found="nothing", wanted="text: who asks, and why, is part of the record"
                )
        if not self.overrides:
            raise BadInput(f"scenario {self.name}", found="no overrides", wanted="at least one --set")

    def as_json(self) -> str:
        """The overrides as canonical JSON."""
        plain = [
            {"table": o.table, "column": o.column, "change": o.change, "value": o.value, "steps": [o.first, o.last],
             "where": {name: list(values) for name, values in o.where}}
            for o in self.overrides
        ]  # fmt: skip
        return json.dumps(plain, sort_keys=True)


def parse_override(values: Mapping[str, Any], *, path: str = "scenario") -> Override:
    """An override from plain values: table, column, one of set, add, times, steps [first, last], where."""
    section = Section(values, path=path)
    given = [name for name in get_args(Change) if name in section]
    if len(given) != 1:
        raise BadInput(path, found=f"{' and '.join(given) or 'no change'}", wanted="one of set, add, times")
    change: Change = given[0]
    steps = section.numbers("steps")
    if len(steps) not in (1, 2) or any(step != int(step) for step in steps):
        raise BadInput(f"{path}.steps", found=f"{list(steps)}", wanted="[first, last], whole steps")
    where = section.section("where", default={})
    override = Override(
        table=section.text("table"),
        column=section.text("column"),
        change=change,
        value=section.number(change),
        first=int(steps[0]),
        last=int(steps[-1]),
        where=tuple((name, where.texts(name)) for name in where),
    )
    section.done()
    return override


def scenario_of(name: str, author: str, reason: str, overrides: str) -> Scenario:
    """The inverse of `Scenario.as_json`, with its name, author and reason."""
    parsed = []
    for i, one in enumerate(json.loads(overrides)):
        values = {name: value for name, value in one.items() if name not in ("change", "value")}
        parsed.append(parse_override({**values, one["change"]: one["value"]}, path=f"scenario {name}[{i}]"))
    return Scenario(name, author, reason, tuple(parsed))


def check_scenario(scenario: Scenario, contracts: Sequence[Contract], *, horizon: int) -> None:
    """Refuse what no contract knows, what is not ahead, steps beyond the horizon, and values beyond a column's bounds."""
    tables = {contract.name: contract for contract in contracts}
    for i, one in enumerate(scenario.overrides):
        path = f"scenario {scenario.name}[{i}]"
        if one.table not in tables:
            raise BadInput(f"{path}.table", found=repr(one.table), wanted=f"one of {', '.join(tables)}")
        contract = tables[one.table]
        if not contract.ahead:
            wanted = "a table marked ahead: true; what is not planned cannot be planned otherwise"
            raise BadInput(f"{path}.table", found=f"{one.table}, which is not ahead", wanted=wanted)
        column = contract.column(one.column)
        if column.type not in ("decimal", "real", "integer"):
            raise BadInput(f"{path}.column", found=f"{one.column} of type {column.type}", wanted="a number column")
        for name, _ in one.where:
            contract.column(name)
        if not 1 <= one.first <= one.last <= horizon:
            raise BadInput(f"{path}.steps", found=f"{one.first} to {one.last}", wanted=f"steps within 1 to {horizon}")


def apply(database: Database, scenario: Scenario, *, cutoff: Moment, grid: Grid) -> Database:
    """The database in which the overrides had been decided at the cutoff.

    Rows that the view at the cutoff shows in the steps named get one more version, known at the cutoff. Where none
    is there, `set` adds the rows that `where` names in full. Raises BadInput where nothing would change, or a value
    is out of bounds.
    """
    tables = dict(database.tables)
    for one in scenario.overrides:
        table = tables[one.table]
        changed = _changed(table, one, cutoff, grid)
        if changed.is_empty():
            raise BadInput(
                f"scenario {scenario.name}",
                found=f"no row for {one.words()}",
                wanted="rows to change",
                fix="check --where and --steps; with set, name every column of the key to add rows",
            )
        _check_bounds(scenario.name, table.contract.column(one.column), changed)
        tables[one.table] = Table(table.contract, pl.concat([table.rows, changed.select(table.rows.columns)]))
    return Database(tables)


def _changed(table: Table, one: Override, cutoff: Moment, grid: Grid) -> pl.DataFrame:
    """The new versions of the rows that an override names."""
    column = table.contract.column(one.column)
    start, end = ticks(grid.add(cutoff, one.first - 1)), ticks(grid.add(cutoff, one.last))
    happened = pl.col(HAPPENED).to_physical()
    here = pl.all_horizontal(pl.lit(True), *(pl.col(n).cast(pl.String).is_in(list(v)) for n, v in one.where))
    inside = (happened > start) & (happened <= end)
    seen = table.as_of(cutoff).filter(inside & here)
    if one.change == "set":
        missing = _missing(table, one, cutoff, grid).join(seen, on=list(table.contract.keys), how="anti")
        seen = pl.concat([seen, missing.select(seen.columns)]) if missing.height else seen
    batch = int(table.rows[BATCH].max() or 0) + 1  # type: ignore[arg-type]
    return seen.with_columns(
        _value(one, column, table.rows.schema[one.column]),
        literal(cutoff).alias(KNOWN),
        pl.lit(batch, dtype=pl.Int64).alias(BATCH),
        pl.lit(False).alias(DELETED),
    )


def _missing(table: Table, one: Override, cutoff: Moment, grid: Grid) -> pl.DataFrame:
    """A row for each step and each combination of the key that `where` names in full, other numbers 0; else none."""
    contract, where = table.contract, dict(one.where)
    names = [name for name in contract.keys if name != HAPPENED]
    if HAPPENED not in contract.keys or any(name not in where for name in names):
        return table.rows.clear()
    places = [ticks(grid.add(cutoff, step)) for step in range(one.first, one.last + 1)]
    rows = [(*combination, place) for combination in itertools.product(*(where[n] for n in names)) for place in places]
    stamps = pl.Series([row[-1] for row in rows], dtype=pl.Int64).to_numpy()
    at = time_column(HAPPENED, stamps, integer=contract.integer)
    frame = pl.DataFrame({name: [row[i] for row in rows] for i, name in enumerate(names)}).with_columns(at)
    schema = table.rows.schema
    others = [name for name in schema if name not in (*names, HAPPENED)]
    filled = [
        pl.lit(0 if schema[name].is_numeric() else None).cast(schema[name]).alias(name)
        for name in others
        if name != KNOWN
    ]
    return frame.with_columns(*filled, literal(cutoff).alias(KNOWN)).cast({n: schema[n] for n in names})


def _value(one: Override, column: Column, dtype: pl.DataType) -> pl.Expr:
    """The new value, in the column's stored unit (decimals are scaled whole numbers)."""
    scale = column.scale
    match one.change:
        case "set":
            value = pl.lit(one.value * scale)
        case "add":
            value = pl.col(one.column) + one.value * scale
        case "times":
            value = pl.col(one.column) * one.value
    return (value.round() if dtype.is_integer() else value).cast(dtype).alias(one.column)


def _check_bounds(name: str, column: Column, rows: pl.DataFrame) -> None:
    values = rows[column.name].drop_nulls().cast(pl.Float64).to_numpy() / column.scale
    if column.low is not None and values.size and values.min() < column.low:
        raise BadInput(f"scenario {name}: {column.name}", found=f"{values.min():g}", wanted=f"at least {column.low:g}")
    if column.high is not None and values.size and values.max() > column.high:
        raise BadInput(f"scenario {name}: {column.name}", found=f"{values.max():g}", wanted=f"at most {column.high:g}")


__all__ = ["Change", "Override", "Scenario", "apply", "check_scenario", "parse_override", "scenario_of"]
