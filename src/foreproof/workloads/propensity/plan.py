"""A plan of the propensity workload, parsed: every setting is read once, here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foreproof.core.backtest import Backtest, parse_backtest
from foreproof.core.clock import parse_offset
from foreproof.core.contract import Contract, parse_contract
from foreproof.core.grid import Grid, parse_grid
from foreproof.core.model import Model
from foreproof.core.plan import Plan, parse_keep
from foreproof.core.section import Section
from foreproof.decisions.shortlist import ListTerms, parse_list
from foreproof.errors import LawError, PlanError
from foreproof.features.cells import Where
from foreproof.features.declare import Feature
from foreproof.features.missing import Missing, parse_missing
from foreproof.features.parse_events import event_default, parse_event_features
from foreproof.features.policy import POLICIES, policy_of, swapped
from foreproof.features.series import Series
from foreproof.models.calibrate import CALIBRATORS
from foreproof.models.classify import parse_classifiers
from foreproof.workloads.propensity.grouping import parse_grouping
from foreproof.workloads.propensity.task import PropensityTask


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

    declared: the plan's features; features: what its policy leaves of them. keep: what runs keep in the lake.
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
    keep: tuple[str, ...] = ()


def parse_propensity(plan: Plan) -> PropensityPlan:
    """A plan of the propensity workload; every setting is read once, and an unknown one is refused."""
    root = plan.root()
    for name in ("schema", "name", "workload", "seed", "sources", "code"):
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
        keep=parse_keep(root),
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
    account, value = section.text("account"), section.text("value")
    groups = section.texts("groups", default=())
    mapping = parse_grouping(section, contract, contracts, value=value, groups=groups)
    group = mapping.group if mapping else section.text("group")
    for column in (account, *(() if mapping else (group,))):
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
        groups=groups,
        delay=delay,
        mapping=mapping,
        product=contract.column(section.text("product")).name if "product" in section else "",
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
        return event_default(
            task.series.table, task.series.value, *task.entity, horizon=task.horizon, product=task.product
        )
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


__all__ = ["PairProof", "PropensityPlan", "Worth", "parse_propensity"]
