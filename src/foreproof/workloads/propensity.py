"""The propensity workload: which account buys in which product group within h steps?

A `Task` and a default plan, thin: pairs of account and group from a table of purchases, labels over (cutoff, cutoff + h].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.backtest import Backtest, parse_backtest
from foreproof.core.clock import Moment, parse_offset, ticks, time_column
from foreproof.core.contract import Contract, parse_contract
from foreproof.core.grid import Grid, parse_grid
from foreproof.core.model import Frame, Model
from foreproof.core.plan import Plan
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.section import Section
from foreproof.core.split import settled
from foreproof.core.view import Database, View
from foreproof.decisions.shortlist import ListTerms, parse_list
from foreproof.errors import BadInput, LawError, PlanError
from foreproof.features.cells import FAR, Where
from foreproof.features.declare import Feature
from foreproof.features.missing import Missing, parse_missing
from foreproof.features.parse_events import event_default, parse_event_features
from foreproof.features.policy import POLICIES, policy_of, swapped
from foreproof.features.population import Population
from foreproof.features.series import Series, VersionedSeries, cutoff_periods, versioned_series
from foreproof.models.calibrate import CALIBRATORS
from foreproof.models.classify import parse_classifiers

SEGMENT, REPEAT, WHITESPACE = "segment", "repeat", "whitespace"
LOW_RATE, HIGH_RATE = 0.002, 0.5
"""A cutoff whose base rate lies outside is flagged: too few buyers to learn from, or nothing left to find."""


@dataclass(frozen=True, slots=True)
class PropensityTask:
    """Pairs (account, group): will the account buy in the group over (cutoff, cutoff + horizon]?

    series: purchases of a pair, a step's money. active: accounts asked about have a purchase over (cutoff - active, cutoff].
    owned: a pair is `repeat` with a purchase over (cutoff - owned, cutoff], else `whitespace`. groups: those declared; empty for
    all with a purchase by the cutoff.
    """

    name: str
    series: Series
    account: str
    group: str
    horizon: int
    active: int
    owned: int
    groups: tuple[str, ...] = ()
    delay: str | int = 0

    @property
    def entity(self) -> tuple[str, str]:
        """The columns that name a pair."""
        return (self.account, self.group)

    @property
    def season(self) -> int:
        """Steps of the grid's season, by which the end of the history is judged."""
        return self.series.grid.season

    @property
    def frame(self) -> Frame:
        """What the models share."""
        return Frame(self.entity, self.series.grid, self.horizon, self.season, self.delay)

    def panel(self, source: Database | View) -> Pairs:
        """The task's purchases, versions resolved once for any number of cutoffs."""
        return Pairs(self, versioned_series(source, self.series))


@dataclass(frozen=True, slots=True)
class Pairs:
    """A task's reading of one database. Every answer is as of its cutoff, whatever else the database holds."""

    task: PropensityTask
    series: VersionedSeries

    def population(self, cutoffs: Sequence[Moment]) -> Population:
        """Active accounts x groups at each cutoff."""
        task, grid = self.task, self.task.series.grid
        points = cutoff_periods(grid, sorted(set(cutoffs), key=ticks))
        accounts, groups = (self.series.keys[name].unique().sort() for name in task.entity)
        declared = groups if not task.groups else pl.Series(task.group, sorted(task.groups), dtype=pl.String)
        account = np.asarray(accounts.search_sorted(self.series.keys[task.account]))
        group = np.asarray(groups.search_sorted(self.series.keys[task.group]))
        asked = np.zeros((len(accounts), len(points)), dtype=bool)
        known = np.zeros((len(groups), len(points)), dtype=bool)
        for i, point in enumerate(points.tolist()):
            seen = self.series.cells.visible(point)
            past = seen.where(seen.period <= point)
            known[group[past.code], i] = True
            asked[account[past.code[past.period > point - task.active]], i] = True
        if task.groups:
            known = np.ones((len(declared), len(points)), dtype=bool)
        member = (asked[:, None, :] & known[None, :, :]).reshape(-1, len(points))
        keys = pl.DataFrame(
            {
                task.account: accounts.gather(np.repeat(np.arange(len(accounts)), len(declared))),
                task.group: declared.gather(np.tile(np.arange(len(declared)), len(accounts))),
            }
        )
        some = member.any(axis=1)
        return Population(grid, keys.filter(pl.Series(some)), points, member[some])

    def entities(self, cutoff: Moment) -> pl.DataFrame:
        """Entity columns and `cutoff`, sorted."""
        return self.population([cutoff]).frame()

    def segments(self, cutoff: Moment) -> pl.DataFrame:
        """Entity columns, `cutoff`, `segment` (repeat or whitespace) of the population."""
        task = self.task
        point = int(cutoff_periods(task.series.grid, [cutoff])[0])
        seen = self.series.cells.visible(point)
        own = seen.where((seen.period <= point) & (seen.period > point - task.owned))
        met = self.series.keys[np.unique(own.code)].with_columns(pl.lit(REPEAT).alias(SEGMENT))
        asked = self.entities(cutoff).join(met, on=list(task.entity), how="left", maintain_order="left")
        return asked.with_columns(pl.col(SEGMENT).fill_null(WHITESPACE))

    def spent(self, cutoff: Moment) -> pl.DataFrame:
        """Account, `spent`: the money of its purchases up to the cutoff, as known there."""
        task = self.task
        point = int(cutoff_periods(task.series.grid, [cutoff])[0])
        seen = self.series.cells.visible(point)
        past = seen.where(seen.period <= point)
        money = np.bincount(past.code, weights=past.value / past.scale, minlength=self.series.size)
        whole = self.series.keys.with_columns(pl.Series("spent", money)).group_by(task.account, maintain_order=True)
        return whole.agg(pl.col("spent").sum()).sort(task.account)

    def labels(self, cutoffs: Sequence[Moment], *, at: Moment | None = None) -> pl.DataFrame:
        """Entity columns, `cutoff`, `step` (the horizon), `y` (1 with a purchase over (cutoff, cutoff + horizon]), `money` of it.

        As known at `at`, and only for cutoffs whose labels had settled there: the future's one reader. Without `at` all is known,
        up to the last period with a fact; a cutoff whose window reaches beyond is censored, and left out.
        """
        task, grid, cells = self.task, self.task.series.grid, self.series.cells
        truth = cells.visible(FAR - 1 if at is None else self.series.at(at))
        end = int(truth.period.max(initial=-FAR)) if at is None else 0
        parts = []
        for cutoff in sorted(set(cutoffs), key=ticks):
            point = int(cutoff_periods(grid, [cutoff])[0])
            done = point + task.horizon <= end
            if at is not None:
                done = settled(grid, cutoff, task.horizon, delay=task.delay, at=at)
            if not done:
                continue
            inside = truth.where((truth.period > point) & (truth.period <= point + task.horizon))
            money = np.bincount(inside.code, weights=inside.value / inside.scale, minlength=self.series.size)
            bought = self.series.keys[np.unique(inside.code)].with_columns(
                pl.lit(1.0).alias("y"), pl.Series("money", money[np.unique(inside.code)])
            )
            asked = self.entities(cutoff).with_columns(pl.lit(task.horizon, dtype=pl.Int64).alias(STEP))
            joined = asked.join(bought, on=list(task.entity), how="left", maintain_order="left")
            parts.append(joined.with_columns(pl.col("y", "money").fill_null(0.0)))
        return pl.concat(parts) if parts else self._no_labels()

    def _no_labels(self) -> pl.DataFrame:
        grid = self.task.series.grid
        empty = self.series.keys.clear().with_columns(
            time_column(CUTOFF, np.empty(0, dtype=np.int64), integer=grid.integer),
            pl.Series(STEP, [], dtype=pl.Int64),
        )
        return empty.with_columns(pl.lit(0.0).alias("y"), pl.lit(0.0).alias("money"))


@dataclass(frozen=True, slots=True)
class Worth:
    """What a conversion is worth: the group's usual money in a window x margin x reach.

    margin: share of the money that is kept, by group where it differs. reach: the chance that a call reaches the account.
    """

    margin: float = 1.0
    reach: float = 1.0
    margins: tuple[tuple[str, float], ...] = ()
    currency: str = "money"


@dataclass(frozen=True, slots=True)
class PairProof:
    """Limits of the gauntlet. alpha: of the gain over the base rate. calibration: the largest calibration error."""

    alpha: float
    calibration: float


@dataclass(frozen=True, slots=True)
class PropensityPlan:
    """The plan of a propensity, parsed: nothing further in reads a setting by name.

    declared: the plan's features; features: what its policy leaves of them.
    """

    plan: Plan
    contracts: tuple[Contract, ...]
    task: PropensityTask
    features: tuple[Feature, ...]
    declared: tuple[Feature, ...]
    policy: str
    missing: Missing
    models: tuple[Model, ...]
    calibrators: tuple[str, ...]
    backtest: Backtest
    worth: Worth
    shortlist: ListTerms | None
    proof: PairProof
    cutoff: str


def parse_propensity(plan: Plan) -> PropensityPlan:
    """A plan of the propensity workload; every setting is read once, and an unknown one is refused."""
    root = plan.root()
    for name in ("schema", "name", "workload", "seed", "sources"):
        root.raw(name, default=None)
    tables = root.section("tables")
    contracts = tuple(parse_contract(name, tables.section(name)) for name in tables)
    horizon = root.whole("horizon", low=1, high=10_000)
    delay = parse_offset(root.raw("delay", default=0), subject="delay")
    task = _task(plan.name, root.section("pairs"), contracts, horizon=horizon, delay=delay)
    declared = _features(root, task)
    policy = root.choice("policy", POLICIES, default="full")
    backtest = parse_backtest(root.section("backtest", default={"examples": 6}), horizon=horizon, stride=horizon)
    parsed = PropensityPlan(
        plan=plan,
        contracts=contracts,
        task=task,
        features=declared
        if policy == "full"
        else swapped(declared, policy_of(policy, horizon=horizon), horizon=horizon),
        declared=declared,
        policy=policy,
        missing=parse_missing(root.section("missing", default={})),
        models=parse_classifiers(root),
        calibrators=_calibrators(root),
        backtest=backtest,
        worth=_worth(root.section("worth", default={})),
        shortlist=parse_list(root.section("list")) if "list" in root else None,
        proof=_proof(root.section("proof", default={})),
        cutoff=str(root.raw("cutoff", default="latest")),
    )
    root.done()
    return parsed


def _task(
    name: str, section: Section, contracts: Sequence[Contract], *, horizon: int, delay: str | int
) -> PropensityTask:
    table = section.text("table")
    contract = next((contract for contract in contracts if contract.name == table), None)
    if contract is None:
        wanted = f"one of {', '.join(contract.name for contract in contracts)}"
        raise PlanError("pairs.table", found=repr(table), wanted=wanted)
    if contract.ahead or contract.known.kind == "constant":
        raise LawError(
            "pairs.table",
            found=f"{table}, a table of {'plans' if contract.ahead else 'constants'}",
            wanted="dated purchases (law 1, two clocks)",
            fix="name the table that says who bought what, and when",
        )
    account, group, value = (section.text(word) for word in ("account", "group", "value"))
    for column in (account, group):
        if contract.column(column).type != "text":
            raise PlanError(f"pairs.{column}", found=contract.column(column).type, wanted="a text column")
    if contract.column(value).type not in ("decimal", "integer", "real"):
        raise PlanError(
            "pairs.value", found=contract.column(value).type, wanted="a number column: the money of a purchase"
        )
    grid = _grid(section, contract)
    keep, drop = (_where(section.section(word, default={})) for word in ("where", "exclude"))
    active = section.whole("active", default=4 * horizon, low=1)
    task = PropensityTask(
        name=name,
        series=Series(table, (account, group), value, grid, "sum", "zero", keep, drop),
        account=account,
        group=group,
        horizon=horizon,
        active=active,
        owned=section.whole("owned", default=active, low=1),
        groups=section.texts("groups", default=()),
        delay=delay,
    )
    start = section.whole("label_from", default=1)
    if start < 1:
        raise LawError(
            "pairs.label_from",
            found=f"a label that starts {start} steps after the cutoff",
            wanted="labels over (cutoff, cutoff + horizon] (law 3, half-open time): the cutoff's own step is known",
            fix="leave label_from out",
        )
    if start > 1:
        raise PlanError("pairs.label_from", found=str(start), wanted="1", fix="leave it out; see delay for late labels")
    section.done()
    return task


def _grid(section: Section, contract: Contract) -> Grid:
    return parse_grid(
        section.text("every", default="1d"),
        zone=contract.zone,
        week_end=section.whole("week_end", default=6, low=0, high=6),
    )


def _where(section: Section) -> Where:
    return tuple((name, section.texts(name)) for name in section)


def _features(root: Section, task: PropensityTask) -> tuple[Feature, ...]:
    declared = root.raw("features", default="default")
    if declared == "default":
        return event_default(task.series.table, task.series.value, *task.entity, horizon=task.horizon)
    return parse_event_features(root.sections("features"), horizon=task.horizon)


def _calibrators(root: Section) -> tuple[str, ...]:
    names = root.texts("calibration", default=tuple(CALIBRATORS))
    for name in names:
        if name not in CALIBRATORS and name != "raw":
            raise PlanError("calibration", found=repr(name), wanted=f"some of raw, {', '.join(CALIBRATORS)}")
    return names


def _worth(section: Section) -> Worth:
    margins = section.section("margins", default={})
    worth = Worth(
        margin=section.number("margin", default=1.0, low=0.0),
        reach=section.number("reach", default=1.0, low=0.0, high=1.0),
        margins=tuple((group, margins.number(group, low=0.0)) for group in margins),
        currency=section.text("currency", default="money"),
    )
    margins.done()
    section.done()
    if worth.margin == 0.0 or worth.reach == 0.0:
        raise PlanError("worth", found=f"margin {worth.margin:g}, reach {worth.reach:g}", wanted="more than 0")
    return worth


def _proof(section: Section) -> PairProof:
    proof = PairProof(
        alpha=section.number("alpha", default=0.05, low=0.0001, high=0.5),
        calibration=section.number("calibration", default=0.03, low=0.0001, high=0.5),
    )
    section.done()
    return proof


def check_cutoff(rate: float, positives: int) -> str:
    """What is wrong with a cutoff's labels, in words; empty where nothing is."""
    if positives == 0:
        return "no buyer at all"
    if not LOW_RATE <= rate <= HIGH_RATE:
        return f"base rate {rate:.2%}, outside {LOW_RATE:.1%} to {HIGH_RATE:.0%}"
    return ""


def refuse_silence(pairs: Pairs, cutoff: Moment) -> None:
    """Raise BadInput where nobody is asked about: no purchase in the active window."""
    if not pairs.entities(cutoff).height:
        raise BadInput(
            f"population at {cutoff}",
            found="no account with a purchase in the active window",
            wanted="at least two accounts and one group",
            fix="widen pairs.active, or choose a later cutoff",
        )


__all__ = [
    "REPEAT",
    "SEGMENT",
    "WHITESPACE",
    "PairProof",
    "Pairs",
    "PropensityPlan",
    "PropensityTask",
    "Worth",
    "check_cutoff",
    "parse_propensity",
    "refuse_silence",
]
