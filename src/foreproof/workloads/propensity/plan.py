"""A plan of the propensity workload, parsed: every setting is read once, here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from foreproof.core.backtest import Backtest, parse_backtest
from foreproof.core.clock import parse_offset
from foreproof.core.contract import Contract, parse_contract
from foreproof.core.grid import Grid, parse_grid
from foreproof.core.model import Model
from foreproof.core.monitor import Monitor, parse_monitor
from foreproof.core.plan import Plan, parse_keep, plan_of
from foreproof.core.schedule import parse_schedule
from foreproof.core.section import Section
from foreproof.decisions.listed import SIZES
from foreproof.decisions.shortlist import REP, SEGMENT, ListTerms, parse_list
from foreproof.errors import LawError, PlanError
from foreproof.features.cells import Where
from foreproof.features.declare import Feature
from foreproof.features.missing import Missing, parse_missing
from foreproof.features.parse_events import event_default, parse_event_features
from foreproof.features.policy import Policy, parse_variants
from foreproof.features.series import Series
from foreproof.gauntlet.settings import Proof, parse_proof
from foreproof.models.calibrate import CALIBRATORS
from foreproof.models.classify import parse_classifiers
from foreproof.workloads.propensity.accounts import Contacts, Dimension, parse_contacts, parse_dimensions
from foreproof.workloads.propensity.grouping import parse_grouping
from foreproof.workloads.propensity.policies import Policies, features_under, parse_policies
from foreproof.workloads.propensity.task import PropensityTask

Choice = Literal["pooled", "group"]
"""For whom estimator and calibrator are chosen."""
CHALLENGES = ("models", "policy", "calibration", "choice")
"""The settings in which a challenger may differ."""


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
class Folds:
    """How customers are cut: see `core.folds`. count: folds. purge: days (steps on a clock of integers) before a test cutoff by
    which training labels had settled. score: whether members are also fitted without each fold, and scored out of fold.
    """

    count: int = 5
    purge: int = 0
    score: bool = False


@dataclass(frozen=True, slots=True)
class PropensityPlan:
    """The plan of a propensity, parsed: nothing further in reads a setting by name.

    declared: the plan's features; features: what its policies leave of them, together. variants: policies of its own. choice:
    whether estimator and calibrator are chosen for each group, or for all of a segment. challenger: the plan of the second
    pipeline. keep: what runs keep in the lake. dimensions: whose accounts are, by table. contacts: past calls.
    """

    plan: Plan
    contracts: tuple[Contract, ...]
    task: PropensityTask
    features: tuple[Feature, ...]
    declared: tuple[Feature, ...]
    policies: Policies
    variants: tuple[Policy, ...]
    missing: Missing
    models: tuple[Model, ...]
    calibrators: tuple[str, ...]
    choice: Choice
    backtest: Backtest
    worth: Worth
    shortlist: ListTerms | None
    proof: Proof
    cutoff: str
    keep: tuple[str, ...] = ()
    dimensions: tuple[Dimension, ...] = ()
    contacts: Contacts | None = None
    folds: Folds = Folds()
    challenger: PropensityPlan | None = None
    monitor: Monitor = field(default_factory=Monitor)

    def under(self, policy: str) -> PropensityPlan:
        """The same plan with one policy for every group, no challenger. Raises BadInput for a policy that is not known."""
        forced = Policies(policy)
        features = features_under(self.declared, forced, self.variants, horizon=self.task.horizon)
        return replace(self, features=features, policies=forced, challenger=None)

    def names_under(self, policy: str) -> frozenset[str]:
        """The names of the features that one of its policies leaves."""
        kept = features_under(self.declared, Policies(policy), self.variants, horizon=self.task.horizon)
        return frozenset(feature.name for feature in kept)


def parse_propensity(plan: Plan) -> PropensityPlan:
    """A plan of the propensity workload; every setting is read once, and an unknown one is refused."""
    root = plan.root()
    for name in ("schema", "name", "workload", "seed", "sources", "code", "plugins", "schedule"):
        root.raw(name, default=None)
    parse_schedule(plan.values)
    tables = root.section("tables")
    contracts = tuple(parse_contract(name, tables.section(name)) for name in tables)
    horizon = root.whole("horizon", low=1, high=10_000)
    delay = parse_offset(root.raw("delay", default=0), subject="delay")
    task = _task(plan.name, root.section("pairs"), contracts, horizon=horizon, delay=delay)
    declared = _features(root, task)
    variants = parse_variants(root.section("variants", default={}), declared=declared, horizon=horizon)
    policies = parse_policies(root, variants, task.groups)
    backtest = parse_backtest(root.section("backtest", default={"examples": 6}), horizon=horizon, stride=horizon)
    dimensions = parse_dimensions(root.section("accounts", default={}), contracts, task.account)
    shortlist, contacts = _list(root, contracts, task, dimensions) if "list" in root else (None, None)
    parsed = PropensityPlan(
        plan=plan,
        contracts=contracts,
        task=task,
        features=features_under(declared, policies, variants, horizon=horizon),
        declared=declared,
        policies=policies,
        variants=variants,
        missing=parse_missing(root.section("missing", default={})),
        models=parse_classifiers(root, own=plan.plugins.of("models")),
        calibrators=_calibrators(root),
        choice=root.choice("choice", get_args(Choice), default="group"),
        backtest=backtest,
        worth=_worth(root.section("worth", default={})),
        shortlist=shortlist,
        proof=parse_proof(root.section("proof", default={}), kind="chance", own=plan.plugins.of("checks")),
        cutoff=str(root.raw("cutoff", default="latest")),
        keep=parse_keep(root),
        monitor=parse_monitor(root.section("monitor", default={})),
        dimensions=dimensions,
        contacts=contacts,
        folds=_folds(root.section("folds", default={})),
        challenger=_challenger(plan, root.section("challenger")) if "challenger" in root else None,
    )
    root.done()
    return parsed


def _challenger(plan: Plan, section: Section) -> PropensityPlan:
    """The same plan with other models, features or calibration: one population, one set of labels, one list of cutoffs."""
    changes = {name: section.raw(name) for name in CHALLENGES if name in section}
    section.done()
    if not changes:
        raise PlanError("challenger", found="nothing that differs", wanted=f"some of {', '.join(CHALLENGES)}")
    values = {name: value for name, value in plan.values.items() if name != "challenger"}
    try:
        found = parse_propensity(replace(plan_of({**values, **changes}), plugins=plan.plugins))
    except PlanError as error:
        if error.subject.partition(".")[0].partition("[")[0] not in changes:
            raise
        subject = f"challenger.{error.subject}"
        raise PlanError(subject, found=error.found, wanted=error.wanted, fix=error.fix) from None
    return found


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


def _folds(section: Section) -> Folds:
    folds = Folds(
        count=section.whole("count", default=5, low=2, high=100),
        purge=section.whole("purge", default=0, low=0),
        score=section.flag("score", default=False),
    )
    section.done()
    return folds


def _list(
    root: Section, contracts: Sequence[Contract], task: PropensityTask, dimensions: Sequence[Dimension]
) -> tuple[ListTerms, Contacts | None]:
    """The list's terms and the table of past calls. What a term needs and nothing gives is refused here, before anything runs."""
    section = root.section("list")
    contacts = parse_contacts(section.section("contacts"), contracts, task.entity) if "contacts" in section else None
    terms = parse_list(section)
    named = {one.name for one in dimensions}
    if terms.cool_down and contacts is None:
        raise PlanError(
            "list.cool_down", found="no table of past calls", wanted="list.contacts", fix="contacts: {table: calls}"
        )
    if terms.per_rep is not None and REP not in named:
        raise PlanError(
            "list.per_rep",
            found="accounts without representatives",
            wanted="accounts.rep",
            fix="accounts: {rep: TABLE.column}",
        )
    for name in (*terms.floors, *terms.hybrid) if SEGMENT not in named else ():
        if name not in SIZES:
            raise PlanError(
                f"list: segment {name}", found="no table of segments", wanted=f"one of {', '.join(SIZES)} (thirds by value)",
                fix="accounts: {segment: TABLE.column}",
            )  # fmt: skip
    for name in terms.caps if task.groups else ():
        if name not in task.groups:
            raise PlanError(f"list.caps.{name}", found="an unknown group", wanted=f"one of {', '.join(task.groups)}")
    return terms, contacts


__all__ = ["CHALLENGES", "Choice", "Folds", "PropensityPlan", "Worth", "parse_propensity"]
