"""The forecast workload: how much, of each series, over the next h steps?

A `Task` and a default plan, thin: series come from `features.series`, learning from `models`, judging from the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import polars as pl

from foreproof.core.backtest import Backtest, parse_backtest
from foreproof.core.clock import INSTANT, Moment, parse_offset
from foreproof.core.contract import Contract, parse_contract
from foreproof.core.grid import parse_grid
from foreproof.core.model import Frame, Model
from foreproof.core.monitor import Monitor, parse_monitor
from foreproof.core.plan import Plan, parse_keep
from foreproof.core.predict import CUTOFF
from foreproof.core.schedule import parse_schedule
from foreproof.core.section import Section
from foreproof.core.view import Database, View
from foreproof.decisions.ordering import Ordering, parse_ordering
from foreproof.errors import PlanError
from foreproof.features.cells import Gap
from foreproof.features.declare import Feature
from foreproof.features.lags import Difference, Lag, SeasonalLag
from foreproof.features.parse import default_features, parse_features
from foreproof.features.recursion import recipes_of
from foreproof.features.series import Aggregate, Series, VersionedSeries, labels, target, versioned_series
from foreproof.features.windows import Rolling, SeasonalRolling
from foreproof.gauntlet.settings import Proof, parse_proof
from foreproof.models.budget import LeftOut, Load
from foreproof.models.cold import ColdPlan, parse_cold
from foreproof.models.members import BASELINE, parse_members, with_recipes
from foreproof.models.normalise import Kind, normalised
from foreproof.models.offsets import Calibration, parse_calibration

LEVELS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99)
MODELS = ("seasonal_naive", "auto_ets", "theta", "boost")
OURS = "combination"


@dataclass(frozen=True, slots=True)
class Top:
    """The population: the `count` series with the largest sum of `value` among the facts known at the cutoff."""

    count: int
    value: str


@dataclass(frozen=True, slots=True)
class ForecastTask:
    """Series of facts, predicted over (cutoff, cutoff + horizon]."""

    name: str
    series: Series
    horizon: int
    season: int
    delay: str | int = 0
    top: Top | None = None

    @property
    def entity(self) -> tuple[str, ...]:
        """The columns that name a series."""
        return self.series.by

    @property
    def frame(self) -> Frame:
        """What the models share."""
        return Frame(self.entity, self.series.grid, self.horizon, self.season, self.delay)

    def panel(self, source: Database | View) -> Panel:
        """The task's series in a database or a view, versions resolved once for any number of cutoffs."""
        ranked = replace(self.series, value=self.top.value, aggregate="sum", gap="zero") if self.top else None
        ranking = versioned_series(source, ranked) if ranked else None
        return Panel(self, versioned_series(source, self.series), ranking)


@dataclass(frozen=True, slots=True)
class Panel:
    """A task's reading of one database. Every answer is as of its cutoff, whatever else the database holds."""

    task: ForecastTask
    series: VersionedSeries
    ranking: VersionedSeries | None

    def entities(self, cutoff: Moment) -> pl.DataFrame:
        """Entity columns and `cutoff`: the population, sorted."""
        entity = list(self.task.entity)
        seen = self.target_of(self.ranking or self.series, cutoff)
        clock = pl.lit(cutoff, dtype=pl.Int64() if isinstance(cutoff, int) else INSTANT).alias(CUTOFF)
        if not entity:
            return seen.head(1).select(clock)
        if self.task.top is not None:
            sums = (
                seen.group_by(entity, maintain_order=True)
                .agg(pl.col("y").sum())
                .sort(["y", *entity], descending=[True, *(False for _ in entity)])
            )
            seen = sums.head(self.task.top.count)
        return seen.select(entity).unique().sort(entity).with_columns(clock)

    def target(self, cutoff: Moment) -> pl.DataFrame:
        """Entity columns, `period`, `y` of the population, from each series' start to the cutoff."""
        return among(self.target_of(self.series, cutoff), self.entities(cutoff), self.task.entity)

    def labels(self, cutoffs: Sequence[Moment], *, at: Moment | None = None) -> pl.DataFrame:
        """Entity columns, `cutoff`, `step`, `y` over (cutoff, cutoff + horizon], as known at `at`: the future's one reader."""
        return labels(self.series, self.task.series, cutoffs, self.task.horizon, at=at)

    def scale(self, cutoff: Moment) -> pl.DataFrame:
        """Entity columns, `cutoff`, `y_scale`: mean |y| over the last four seasons known at the cutoff, 1 where that is 0."""
        entity, window = list(self.task.entity), max(4 * self.task.season, 8)
        clock = pl.lit(cutoff, dtype=pl.Int64() if isinstance(cutoff, int) else INSTANT).alias(CUTOFF)
        recent = self.target_of(self.series, cutoff)
        recent = recent.filter(pl.col("period") > pl.col("period").max() - window)
        size = pl.col("y").abs().mean().fill_null(0.0)
        scale = pl.when(size > 0).then(size).otherwise(1.0).alias("y_scale")
        sizes = recent.group_by(entity, maintain_order=True).agg(scale) if entity else recent.select(scale)
        return sizes.with_columns(clock)

    def target_of(self, series: VersionedSeries, cutoff: Moment) -> pl.DataFrame:
        """The target of one versioned series."""
        return target(series, series.spec, cutoff)


def in_target_unit(feature: Feature) -> bool:
    """Whether a feature's column is in the target's unit, so that a global model divides it by the series' scale."""
    match feature:
        case Lag() | SeasonalLag() | Difference():
            return feature.of is None
        case Rolling() | SeasonalRolling():
            return feature.of is None and feature.stat != "nonzero"
        case _:
            return False


def column_of(feature: Feature) -> str:
    """The name under which models see a feature: with `y_` before it where it is in the target's unit."""
    return f"y_{feature.name}" if in_target_unit(feature) else feature.name


def among(frame: pl.DataFrame, population: pl.DataFrame, entity: Sequence[str]) -> pl.DataFrame:
    """The rows of series in the population; with no entity column there is one series, and it stays."""
    return frame.join(population, on=list(entity), how="semi", maintain_order="left") if entity else frame


@dataclass(frozen=True, slots=True)
class ForecastPlan:
    """The plan of a forecast, parsed: nothing further in reads a setting by name."""

    plan: Plan
    contracts: tuple[Contract, ...]
    task: ForecastTask
    features: tuple[Feature, ...]
    models: tuple[Model, ...]
    levels: tuple[float, ...]
    low: float | None
    paths: int
    calibration: Calibration
    backtest: Backtest
    ordering: Ordering | None
    proof: Proof
    cutoff: str
    left_out: tuple[LeftOut, ...] = ()
    cold_start: ColdPlan | None = None
    keep: tuple[str, ...] = ()
    monitor: Monitor = field(default_factory=Monitor)


def parse_forecast(plan: Plan) -> ForecastPlan:
    """A plan of the forecast workload; every setting is read once, and an unknown one is refused."""
    root = plan.root()
    for name in ("schema", "name", "workload", "seed", "sources", "code", "plugins", "schedule"):
        root.raw(name, default=None)
    parse_schedule(plan.values)
    tables = root.section("tables")
    contracts = tuple(parse_contract(name, tables.section(name)) for name in tables)
    series_section = root.section("series")
    contract = _contract_of(contracts, series_section)
    normalise = series_section.choice("normalise", ("none", *get_args(Kind)), default="none")
    series, top = _series(series_section, contract)
    horizon = root.whole("horizon", low=1, high=10_000)
    season = root.whole("season", default=series.grid.season, low=1)
    delay = parse_offset(root.raw("delay", default=0), subject="delay")
    task = ForecastTask(plan.name, series, horizon, season, delay, top)
    declared = root.raw("features", default="default")
    features = (
        default_features(season, series.grid, horizon)
        if declared == "default"
        else parse_features(root.sections("features"), season=season, grid=series.grid, horizon=horizon)
    )
    low = contract.column(series.value).low
    backtest = parse_backtest(
        root.section("backtest", default={}), horizon=horizon, stride=max(1, min(season, horizon))
    )
    load = Load(season, horizon, backtest.examples, backtest.fits(horizon))
    models, left_out = parse_members(root, load, default=MODELS, own=plan.plugins.of("models"))
    parsed = ForecastPlan(
        plan=plan,
        contracts=contracts,
        task=task,
        features=features,
        models=normalised(with_recipes(models, lambda: recipes_of(features, column_of)), normalise),
        levels=_levels(root),
        low=low if low is not None and low >= 0 else None,
        paths=root.whole("paths", default=500, low=10, high=100_000),
        calibration=parse_calibration(root.section("intervals", default={}), columns=task.entity),
        backtest=backtest,
        ordering=_ordering(root, plan, task, contracts) if "decision" in root else None,
        proof=parse_proof(root.section("proof", default={}), kind="quantity", own=plan.plugins.of("checks")),
        cutoff=str(root.raw("cutoff", default="latest")),
        left_out=left_out,
        cold_start=parse_cold(root.section("cold_start"), contracts=contracts, entity=series.by, low=low)
        if "cold_start" in root
        else None,
        keep=parse_keep(root, ("features",)),
        monitor=parse_monitor(root.section("monitor", default={})),
    )
    root.done()
    if series.gap == "zero" and (contract.known.kind == "delay" or delay not in (0, "0d")):
        raise PlanError(
            "series.gap",
            found="zero, though facts are known with a delay",
            wanted="missing or carry",
            fix="the last periods before a cutoff are not known yet, and would be learned from as zeros",
        )
    return parsed


def _ordering(root: Section, plan: Plan, task: ForecastTask, contracts: Sequence[Contract]) -> Ordering:
    own = plan.plugins.of("policies")
    section = root.section("decision")
    return parse_ordering(section, horizon=task.horizon, contracts=contracts, entity=task.entity, own=own)


def _contract_of(contracts: Sequence[Contract], section: Section) -> Contract:
    name = section.text("table")
    for contract in contracts:
        if contract.name == name:
            return contract
    raise PlanError("series.table", found=repr(name), wanted=f"one of {', '.join(c.name for c in contracts)}")


def _series(section: Section, contract: Contract) -> tuple[Series, Top | None]:
    value = section.text("value")
    column = contract.column(value)
    if column.type not in ("decimal", "real", "integer"):
        raise PlanError("series.value", found=f"{value} of type {column.type}", wanted="a number column")
    by = section.texts("by", default=())
    for name in by:
        contract.column(name)
    series = Series(
        table=contract.name,
        by=by,
        value=value,
        grid=parse_grid(
            section.text("every"), zone=contract.zone, week_end=section.whole("week_end", default=6, low=0, high=6)
        ),
        aggregate=section.choice("aggregate", get_args(Aggregate), default="sum"),
        gap=section.choice("gap", get_args(Gap), default="zero"),
        keep=_texts(section.section("where", default={})),
        drop=_texts(section.section("exclude", default={})),
    )
    top = None
    if "top" in section:
        ranked = section.section("top")
        top = Top(ranked.whole("count", low=1), contract.column(ranked.text("value", default=value)).name)
        ranked.done()
    section.done()
    return series, top


def _texts(section: Section) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((name, section.texts(name)) for name in section)


def _levels(root: Section) -> tuple[float, ...]:
    levels = tuple(sorted({*root.numbers("levels", default=LEVELS), 0.5}))
    if not all(0 < level < 1 for level in levels):
        raise PlanError("levels", found=str(levels), wanted="quantile levels strictly between 0 and 1")
    return levels


__all__ = [
    "BASELINE",
    "LEVELS",
    "OURS",
    "Backtest",
    "ForecastPlan",
    "ForecastTask",
    "parse_forecast",
]
