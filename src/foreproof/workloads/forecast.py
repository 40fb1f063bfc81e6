"""The forecast workload: how much, of each series, over the next h steps?

A `Task` and a default plan, thin: series come from `features.series`, learning from `models`, judging from the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import polars as pl

from foreproof.core.clock import Moment, parse_offset
from foreproof.core.contract import Contract, parse_contract
from foreproof.core.grid import parse_grid
from foreproof.core.model import Frame, Model
from foreproof.core.plan import Plan
from foreproof.core.section import Section
from foreproof.core.view import Database, View
from foreproof.decisions.newsvendor import Newsvendor
from foreproof.errors import PlanError
from foreproof.features import Aggregate, Feature, Gap, Series, default_features, labels, parse_features, target
from foreproof.models.registry import parse_models

LEVELS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99)
MODELS = ("seasonal_naive", "auto_ets", "theta", "boost")
BASELINE = "seasonal_naive"
OURS = "combination"


@dataclass(frozen=True, slots=True)
class ForecastTask:
    """Series of facts, predicted over (cutoff, cutoff + horizon]."""

    name: str
    series: Series
    horizon: int
    season: int
    delay: str | int = 0

    @property
    def entity(self) -> tuple[str, ...]:
        """The columns that name a series."""
        return self.series.by

    @property
    def frame(self) -> Frame:
        """What the models share."""
        return Frame(self.entity, self.series.grid, self.horizon, self.season, self.delay)

    def entities(self, view: View) -> pl.DataFrame:
        """The series that had begun at the view's cutoff."""
        return self.target(view).select(self.entity).unique().sort(self.entity) if self.entity else pl.DataFrame()

    def target(self, view: View) -> pl.DataFrame:
        """Entity columns, `period`, `y` from each series' start to the cutoff, as the view knew it."""
        return target(view, self.series, view.cutoff)

    def labels(self, database: Database, cutoffs: Sequence[Moment], *, at: Moment | None = None) -> pl.DataFrame:
        """Entity columns, `cutoff`, `step`, `y` over (cutoff, cutoff + horizon]: the only reading of the future."""
        return labels(database, self.series, cutoffs, self.horizon, at=at)


@dataclass(frozen=True, slots=True)
class Backtest:
    """Rolling origins: how many are judged, how far apart in steps, and how many settled ones calibrate each."""

    origins: int
    every: int
    calibrations: int
    examples: int
    stride: int


@dataclass(frozen=True, slots=True)
class Ordering:
    """What the order must cover, and its costs: money per unit short and per unit over."""

    policy: Newsvendor
    cover: int
    stock: str = ""
    currency: str = "money"


@dataclass(frozen=True, slots=True)
class Proof:
    """Limits of the gauntlet."""

    alpha: float
    coverage: float


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
    backtest: Backtest
    ordering: Ordering | None
    proof: Proof
    cutoff: str


def parse_forecast(plan: Plan) -> ForecastPlan:
    """A plan of the forecast workload; every setting is read once, and an unknown one is refused."""
    root = plan.root()
    for name in ("schema", "name", "workload", "seed", "sources"):
        root.raw(name, default=None)
    tables = root.section("tables")
    contracts = tuple(parse_contract(name, tables.section(name)) for name in tables)
    series_section = root.section("series")
    contract = _contract_of(contracts, series_section)
    series = _series(series_section, contract)
    horizon = root.whole("horizon", low=1, high=10_000)
    season = root.whole("season", default=series.grid.season, low=1)
    delay = parse_offset(root.raw("delay", default=0), subject="delay")
    task = ForecastTask(plan.name, series, horizon, season, delay)
    features = root.raw("features", default="default")
    low = contract.column(series.value).low
    parsed = ForecastPlan(
        plan=plan,
        contracts=contracts,
        task=task,
        features=default_features(season, series.grid, horizon)
        if features == "default"
        else parse_features(root.sections("features"), season=season, grid=series.grid, horizon=horizon),
        models=parse_models(root.raw("models", default=list(MODELS))),
        levels=_levels(root),
        low=low if low is not None and low >= 0 else None,
        backtest=_backtest(root.section("backtest", default={}), horizon, season),
        ordering=_ordering(root.section("decision"), horizon) if "decision" in root else None,
        proof=_proof(root.section("proof", default={})),
        cutoff=str(root.raw("cutoff", default="latest")),
    )
    root.done()
    if BASELINE not in [model.name for model in parsed.models]:
        raise PlanError(
            "models", found="no seasonal_naive", wanted="the baseline among the models", fix="add seasonal_naive"
        )
    return parsed


def _contract_of(contracts: Sequence[Contract], section: Section) -> Contract:
    name = section.text("table")
    for contract in contracts:
        if contract.name == name:
            return contract
    raise PlanError("series.table", found=repr(name), wanted=f"one of {', '.join(c.name for c in contracts)}")


def _series(section: Section, contract: Contract) -> Series:
    value = section.text("value")
    column = contract.column(value)
    if column.type not in ("decimal", "real", "integer"):
        raise PlanError("series.value", found=f"{value} of type {column.type}", wanted="a number column")
    by = section.texts("by", default=())
    for name in by:
        contract.column(name)
    only = section.section("where", default={})
    series = Series(
        table=contract.name,
        by=by,
        value=value,
        grid=parse_grid(
            section.text("every"), zone=contract.zone, week_end=section.whole("week_end", default=6, low=0, high=6)
        ),
        aggregate=section.choice("aggregate", get_args(Aggregate), default="sum"),
        gap=section.choice("gap", get_args(Gap), default="zero"),
        keep=tuple((name, only.texts(name)) for name in only),
        drop=tuple((name, values) for name, values in _texts(section.section("exclude", default={}))),
    )
    section.done()
    return series


def _texts(section: Section) -> list[tuple[str, tuple[str, ...]]]:
    return [(name, section.texts(name)) for name in section]


def _levels(root: Section) -> tuple[float, ...]:
    levels = tuple(sorted({*root.numbers("levels", default=LEVELS), 0.5}))
    if not all(0 < level < 1 for level in levels):
        raise PlanError("levels", found=str(levels), wanted="quantile levels strictly between 0 and 1")
    return levels


def _backtest(section: Section, horizon: int, season: int) -> Backtest:
    backtest = Backtest(
        origins=section.whole("origins", default=4, low=1),
        every=section.whole("every", default=horizon, low=1),
        calibrations=section.whole("calibrations", default=3, low=1),
        examples=section.whole("examples", default=12, low=1),
        stride=section.whole("stride", default=max(1, min(season, horizon)), low=1),
    )
    section.done()
    return backtest


def _ordering(section: Section, horizon: int) -> Ordering:
    cover = section.whole("cover", default=horizon, low=1)
    if cover > horizon:
        raise PlanError(
            "decision.cover", found=f"{cover} steps", wanted=f"at most the horizon ({horizon})", fix="raise horizon"
        )
    policy = Newsvendor(
        short=section.number("short", low=0),
        over=section.number("over", low=0),
        pack=section.number("pack", default=1.0),
        minimum=section.number("minimum", default=0.0, low=0),
    )
    ordering = Ordering(policy, cover, section.text("stock", default=""), section.text("currency", default="money"))
    section.done()
    return ordering


def _proof(section: Section) -> Proof:
    proof = Proof(
        alpha=section.number("alpha", default=0.05, low=0.0001, high=0.5),
        coverage=section.number("coverage", default=0.9, low=0.5, high=0.99),
    )
    section.done()
    return proof


__all__ = [
    "BASELINE",
    "LEVELS",
    "OURS",
    "Backtest",
    "ForecastPlan",
    "ForecastTask",
    "Ordering",
    "Proof",
    "parse_forecast",
]
