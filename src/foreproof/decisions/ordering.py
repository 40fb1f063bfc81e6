"""The `decision` section of a plan, parsed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from foreproof.core.contract import Contract
from foreproof.core.plugins import Plugin
from foreproof.core.section import Section
from foreproof.decisions.inventory import Policy, StockTerms, check_priced, check_window, leftover_cost
from foreproof.decisions.newsvendor import Newsvendor
from foreproof.decisions.plugged import Plugged, plugged
from foreproof.errors import PlanError

POLICIES = ("newsvendor", "base_stock", "s_S", "lot_for_lot")


@dataclass(frozen=True, slots=True)
class Ordering:
    """How orders are made, and what they cost.

    policy: the newsvendor for one window of `cover` steps; None where stock is reviewed again and again under
    `terms`. terms: the same costs as stock terms: what the value of information, the ranking and the replay with
    stock are taken under. stock: the table that holds `on_hand`, `on_order` and the columns that terms name.
    capacity, uses: a budget over all items, and what a unit takes of it. cut: by how much a better forecast's errors
    would be smaller, for the value of information. own: a plugin's policy, which orders for the window in the newsvendor's
    place and is judged under its costs.
    """

    policy: Newsvendor | None
    terms: StockTerms
    cover: int
    stock: str = ""
    currency: str = "money"
    capacity: float | None = None
    uses: str | float = 1.0
    cut: float = 0.2
    own: Plugged | None = None

    @property
    def decides(self) -> Plugged | Newsvendor | None:
        """What orders for one window; None where stock is reviewed again and again."""
        return self.own or self.policy

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the stock table that terms and capacity name."""
        named = [getattr(self.terms, name) for name in ("short", "over", "holding", "order_cost", "pack", "minimum")]
        return tuple(dict.fromkeys(name for name in (*named, self.uses) if isinstance(name, str)))


def parse_ordering(
    section: Section,
    *,
    horizon: int,
    contracts: Sequence[Contract],
    entity: Sequence[str],
    own: Mapping[str, Plugin] = MappingProxyType({}),
) -> Ordering:
    """The section of a plan. own: policies of plugins. Raises PlanError for costs, windows, capacities, tables that cannot be."""
    tables = {contract.name: contract for contract in contracts}
    stock = section.text("stock", default="")
    _check_stock(section, stock, tables, entity)
    kind = section.choice("policy", (*POLICIES, *own), default="newsvendor")
    known = tables[stock] if stock else None
    money = {name: _term(section, name, known) for name in ("short", "over", "holding", "order_cost", "minimum")}
    money["pack"] = _term(section, "pack", known, default=1.0)
    if kind == "newsvendor" or kind in own:
        policy, terms, cover = _newsvendor(section, money, horizon)
    else:
        policy, terms = None, _stock_terms(section, money, kind, horizon)
        cover = terms.lead + terms.review
    capacity, uses = _capacity(section, known)
    if capacity is not None:
        check_priced(terms, "decision.capacity")
    ordering = Ordering(
        policy=policy,
        terms=terms,
        cover=cover,
        stock=stock,
        currency=section.text("currency", default="money"),
        capacity=capacity,
        uses=uses,
        cut=section.number("cut", default=0.2, low=0.0, high=1.0),
        own=plugged(own[kind], section.section("settings", default={})) if kind in own else None,
    )
    section.done()
    return ordering


def _newsvendor(section: Section, money: Mapping[str, Any], horizon: int) -> tuple[Newsvendor, StockTerms, int]:
    cover = section.whole("cover", default=horizon, low=1)
    if cover > horizon:
        raise PlanError(
            "decision.cover", found=f"{cover} steps", wanted=f"at most the horizon ({horizon})", fix="raise horizon"
        )
    for name in ("short", "over"):
        section.raw(name)  # both must be there
    kept = {name: money[name] for name in ("short", "over", "pack", "minimum")}
    for name in ("holding", "order_cost"):
        if money[name] != 0.0:
            raise PlanError(
                f"decision.{name}",
                found=f"{money[name]} for one window",
                fix="set policy: base_stock, s_S or lot_for_lot",
            )
    policy = Newsvendor(**kept)
    # The stock terms want both costs: where one is free, the replay says so by a level of its own.
    terms = StockTerms(**{**kept, "short": kept["short"] or 1e-9, "over": kept["over"] or 1e-9}, review=cover)
    return policy, terms, cover


def _stock_terms(section: Section, money: Mapping[str, Any], kind: str, horizon: int) -> StockTerms:
    lead = section.whole("lead", default=0, low=0)
    review = section.whole("review", default=1, low=1)
    service = section.section("service", default={})
    cycle, fill = (service.number_or_none(name) for name in ("cycle", "fill"))
    service.done()
    losses = _losses(section)
    terms = StockTerms(
        **{**money, "over": money["over"] or losses},
        lead=lead,
        review=review,
        shelf_life=section.whole("shelf_life", default=0, low=0),
        policy=_policy(kind),
        unmet=section.choice("unmet", ("lost", "owed"), default="lost"),
        cycle=cycle,
        fill=fill,
    )
    check_window(terms, horizon)
    return terms


def _losses(section: Section) -> float:
    """`over` from what a unit cost and what it still brings."""
    cost = section.number_or_none("unit_cost")
    salvage = section.number("salvage", default=0.0, low=0.0)
    share = section.number("obsolescence", default=1.0, low=0.0, high=1.0)
    return 0.0 if cost is None else leftover_cost(cost, salvage=salvage, obsolescence=share)


def _policy(kind: str) -> Policy:
    match kind:
        case "s_S" | "lot_for_lot":
            return kind
        case _:
            return "base_stock"


def _capacity(section: Section, stock: Contract | None) -> tuple[float | None, str | float]:
    if "capacity" not in section:
        return None, 1.0
    inner = section.section("capacity")
    total = inner.number("total")
    if total <= 0.0:
        raise PlanError("decision.capacity.total", found=f"{total:g}", wanted="more than 0", fix="leave capacity out")
    uses = _term(inner, "per", stock, default=1.0)
    inner.done()
    if uses == 0.0:
        raise PlanError("decision.capacity.per", found="0", wanted="more than 0 of it for each unit")
    return total, uses


def _term(section: Section, name: str, stock: Contract | None, *, default: float = 0.0) -> float | str:
    """A number of at least 0, or a number column of the stock table."""
    value = section.raw(name, default=default)
    if isinstance(value, str):
        columns = [c.name for c in stock.columns if c.type in ("decimal", "real", "integer")] if stock else []
        if value not in columns:
            where = f"a number column of {stock.name} ({', '.join(columns)})" if stock else "a number, or a stock table"
            raise PlanError(f"{section.path}.{name}", found=f"{value!r}", wanted=where)
        return value
    return section.number(name, default=default, low=0.0)


def _check_stock(section: Section, stock: str, tables: Mapping[str, Contract], entity: Sequence[str]) -> None:
    if not stock:
        return
    if stock not in tables:
        known = ", ".join(tables)
        raise PlanError("decision.stock", found=f"{stock!r}", wanted=f"one of the tables: {known}", fix="add it there")
    columns = [column.name for column in tables[stock].columns]
    lacking = [name for name in (*entity, "on_hand") if name not in columns]
    if lacking:
        raise PlanError("decision.stock", found=f"{stock} without {', '.join(lacking)}", wanted="them, too")


__all__ = ["POLICIES", "Ordering", "parse_ordering"]
