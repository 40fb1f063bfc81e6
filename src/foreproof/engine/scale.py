"""Many series on bounded memory: one pure function from a chunk of facts to a chunk of forecasts, run side by side.

A chunk holds whole series. Everything that is learned across series (the boosting member, weights, intervals) is learned
within the chunk, so a chunk needs nothing of another one and any runner may call the function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import polars as pl
import pyarrow as pa

from foreproof.core.clock import Moment, tick_values, time_column
from foreproof.core.contract import HAPPENED, KNOWN
from foreproof.core.plan import parse_plan
from foreproof.core.plugins import NO_PLUGINS, Plugins
from foreproof.core.ports import Frames, Parts, Progress
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.view import Database, Table
from foreproof.engine.build import builder
from foreproof.engine.fit import one_thread_each
from foreproof.engine.line import Bench
from foreproof.errors import PlanError
from foreproof.workloads.forecast import ForecastPlan, parse_forecast

AT = "at"


@dataclass(frozen=True, slots=True)
class ChunkForecast:
    """The pure function: facts of whole series in, their forecasts out; the same bytes for the same bytes.

    plan: the plan's text. cutoff: the one moment that all chunks are forecast from. sides: the rows of every other table,
    whole, by name. plugins: what the plan's names may mean beside ours.
    """

    plan: str
    cutoff: Moment
    sides: Mapping[str, pl.DataFrame]
    plugins: Plugins = NO_PLUGINS

    def __call__(self, facts: pa.Table) -> pa.Table:
        """One row a series and step: entity columns, `cutoff`, `step`, `at`, `value`, and `q0.05` and so on.

        facts: all versions of all rows of some series, in the contract's columns with the two clocks, in any order.
        """
        plan = parse_forecast(replace(parse_plan(self.plan), plugins=self.plugins))
        database = self.database(plan, facts)
        built = builder(plan, quiet_bench())(database, (self.cutoff,), plan.plan.seed)
        return wide(plan, built.forecasts.predictions).to_arrow(compat_level=pl.CompatLevel.oldest())

    def database(self, plan: ForecastPlan, facts: pa.Table) -> Database:
        """The chunk as a database of its own."""
        rows: Any = pl.from_arrow(facts)
        frames = {**self.sides, plan.task.series.table: rows}
        return Database({c.name: Table(c, _ordered(frames[c.name], c.keys)) for c in plan.contracts})


def chunkable(plan: ForecastPlan) -> ForecastPlan:
    """The plan, where series can be forecast apart from each other.

    Raises PlanError for a population that is ranked over all series, for a cold start, and for series whose name a
    correction could change (it is no part of the key): the versions of one fact would then lie in two chunks.
    """
    series = plan.task.series
    if plan.task.top is not None:
        raise PlanError(
            "series.top",
            found="a population ranked over all series",
            wanted="series that can be forecast in chunks",
            fix="leave series.top out, or forecast with `foreproof run`",
        )
    if plan.cold_start is not None:
        raise PlanError(
            "cold_start",
            found="series that are started from all others of their group",
            wanted="series that can be forecast in chunks",
            fix="leave cold_start out, or forecast with `foreproof run`",
        )
    contract = next(c for c in plan.contracts if c.name == series.table)
    loose = [name for name in series.by if name not in contract.key]
    if loose or not series.by:
        raise PlanError(
            "series.by",
            found=f"{', '.join(loose) or 'no column'}, not in the key of {series.table}",
            wanted="columns of the key, so that all versions of a fact lie in one chunk",
            fix="add it to the table's key, or forecast with `foreproof run`",
        )
    return plan


def separable(plan: ForecastPlan) -> bool:
    """Whether a series' rows need nothing of another series: see `chunkable`."""
    try:
        chunkable(plan)
    except PlanError:
        return False
    return True


def forecast_parts(
    forecast: ChunkForecast, parts: Parts, names: Sequence[str], *, workers: int, progress: Progress
) -> None:
    """Forecast every part that is not done yet; each is kept as soon as it is ready, so a killed call goes on there."""
    todo = [name for name in names if not parts.done(name)]
    progress.stage("chunks", len(names))
    progress.advance(len(names) - len(todo))
    if workers <= 1:
        for name in todo:
            forecast_part(forecast, parts, name)
            progress.advance(1)
        return
    with one_thread_each(), ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = iter(todo)
        running: set[Future[None]] = set()
        try:
            # Never more than are being worked on: what waits in line would wait in memory.
            for name in waiting:
                running.add(pool.submit(forecast_part, forecast, parts, name))
                if len(running) >= workers:
                    running = _settle(running, progress)
            while running:
                running = _settle(running, progress)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def forecast_part(forecast: ChunkForecast, parts: Parts, name: str) -> None:
    """Read one part, forecast it, keep the result."""
    parts.put(name, forecast(parts.read(name)))


def wide(plan: ForecastPlan, predictions: pl.DataFrame) -> pl.DataFrame:
    """Long predictions as one row a series and step, sorted."""
    task, grid = plan.task, plan.task.series.grid
    index = [*task.entity, CUTOFF, STEP]
    points = predictions.filter(pl.col(LEVEL).is_null()).select(*index, VALUE).sort(index)
    at = grid.shift(tick_values(points[CUTOFF]), points[STEP].to_numpy())
    found = points.select(*index, time_column(AT, at, integer=grid.integer), VALUE)
    for level in plan.levels:
        one = predictions.filter((pl.col(LEVEL) - level).abs() < 1e-9).select(
            *index, pl.col(VALUE).alias(f"q{level:g}")
        )
        found = found.join(one, on=index, how="left", maintain_order="left")
    return found


def quiet_bench() -> Bench:
    """One process, steps kept in memory, nobody told: what a chunk is worked on with."""
    return Bench(_Memory(), 1, _Nobody())


class _Memory:
    """Finished steps for as long as a chunk is worked on."""

    def __init__(self) -> None:
        self.steps: dict[str, Frames] = {}

    def get(self, key: str) -> Frames | None:
        return self.steps.get(key)

    def put(self, key: str, frames: Frames) -> None:
        self.steps[key] = frames

    def run(self, key: str, fn: Any) -> Frames:
        if key not in self.steps:
            self.steps[key] = fn()
        return self.steps[key]


class _Nobody:
    """Hears of no progress."""

    def stage(self, name: str, total: int) -> None:
        """Nothing."""

    def advance(self, n: int = 1) -> None:
        """Nothing."""


def _settle(running: set[Future[None]], progress: Progress) -> set[Future[None]]:
    done, left = wait(running, return_when=FIRST_COMPLETED)
    for one in done:
        one.result()
        progress.advance(1)
    return left


def _ordered(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """One order whatever the order of the file: happened, key, known."""
    first = [HAPPENED] if HAPPENED in rows.columns else []
    return rows.sort([*first, *(name for name in keys if name != HAPPENED), KNOWN, "_batch"], maintain_order=True)


__all__ = ["AT", "ChunkForecast", "chunkable", "forecast_part", "forecast_parts", "quiet_bench", "separable", "wide"]
