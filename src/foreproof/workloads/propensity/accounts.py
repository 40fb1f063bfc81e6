"""What is known of accounts besides their purchases: who looks after them, where they are, and when they were last contacted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.contract import HAPPENED, Contract
from foreproof.core.section import Section
from foreproof.core.view import Database
from foreproof.decisions.shortlist import CONTACTED, REGION, REP, SEGMENT, one_segment_each
from foreproof.errors import LawError, PlanError
from foreproof.features.cells import Where

DIMENSIONS = (REP, REGION, SEGMENT)
UNKNOWN = "unknown"
"""The region or segment of an account that its table does not name; it has no representative then."""
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Dimension:
    """What kind of account it is, by a slowly changing table: `column` of the row that is valid at the cutoff, as known there.

    to: a column with the end of validity, a row is valid over [happened, to); without it, until the account's next row.
    """

    name: str
    table: str
    column: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class Contacts:
    """Past calls: a table of dated facts with the account's column, and the group's if a call is about one group alone."""

    table: str
    account: str
    group: str = ""
    where: Where = ()


def dimensions_at(
    database: Database, dimensions: Sequence[Dimension], cutoff: Moment, *, account: str
) -> dict[str, pl.DataFrame]:
    """By dimension: account and its value at the cutoff. Raises BadInput for an account with two values at once."""
    return {one.name: _valid(database, one, cutoff, account) for one in dimensions}


def contacted_at(database: Database, contacts: Contacts, cutoff: Moment, *, entity: tuple[str, str]) -> pl.DataFrame:
    """Account (and group, where calls name one), `contacted`: days (steps on a clock of steps) since the last call at the cutoff.

    Only calls over (-inf, cutoff] that were known there count.
    """
    rows = _past(database, contacts.table, cutoff)
    for column, values in contacts.where:
        rows = rows.filter(pl.col(column).is_in(list(values)))
    named = {contacts.account: entity[0]} | ({contacts.group: entity[1]} if contacts.group else {})
    since = ticks(cutoff) - pl.col(HAPPENED).to_physical().max()
    days = since.cast(pl.Float64) if isinstance(cutoff, int) else since / _DAY
    found = rows.drop_nulls(list(named)).group_by(list(named), maintain_order=True).agg(days.alias(CONTACTED))
    return found.rename(named).sort(list(named.values()))


def parse_dimensions(section: Section, contracts: Sequence[Contract], account: str) -> tuple[Dimension, ...]:
    """The plan's `accounts`: `{rep: TABLE.column, region: TABLE.column, segment: {column: TABLE.column, to: column}}`."""
    found = []
    for name in section:
        if name not in DIMENSIONS:
            raise PlanError(f"accounts.{name}", found="an unknown setting", wanted=f"one of {', '.join(DIMENSIONS)}")
        given = section.section_or_text(name)
        path, to = (given, "") if isinstance(given, str) else (given.text("column"), given.text("to", default=""))
        table, _, column = path.partition(".")
        contract = _contract(contracts, table, f"accounts.{name}")
        _has(contract, account, f"accounts.{name}")
        _has(contract, column, f"accounts.{name}")
        if contract.ahead:
            raise LawError(
                f"accounts.{name}",
                found=f"{table}, a table of plans",
                wanted="what holds at the cutoff (law 1, two clocks)",
            )
        if to and contract.column(to).type != ("integer" if contract.integer else "date"):
            raise PlanError(
                f"accounts.{name}.to", found=contract.column(to).type, wanted="the date on which a row ends"
            )
        if not isinstance(given, str):
            given.done()
        found.append(Dimension(name, table, column, to))
    section.done()
    return tuple(found)


def parse_contacts(section: Section, contracts: Sequence[Contract], entity: tuple[str, str]) -> Contacts:
    """The plan's `list.contacts`: `{table: calls, account: customer, group: kind, where: {channel: [phone]}}`."""
    table = section.text("table")
    contract = _contract(contracts, table, "list.contacts.table")
    if contract.ahead or contract.known.kind == "constant":
        raise LawError(
            "list.contacts",
            found=f"{table}, a table of {'plans' if contract.ahead else 'constants'}",
            wanted="dated facts of past calls (law 1, two clocks)",
            fix="name the table that says who was called, and when",
        )
    where = section.section("where", default={})
    found = Contacts(
        table,
        account=section.text("account", default=entity[0]),
        group=section.text("group", default=""),
        where=tuple((name, where.texts(name)) for name in where),
    )
    section.done()
    for column in (found.account, *([found.group] if found.group else []), *(name for name, _ in found.where)):
        _has(contract, column, "list.contacts")
    return found


def _valid(database: Database, one: Dimension, cutoff: Moment, account: str) -> pl.DataFrame:
    rows = _past(database, one.table, cutoff).drop_nulls(account)
    if one.to:
        zone = database[one.table].contract.zone
        here = cutoff if isinstance(cutoff, int) else cutoff.astimezone(ZoneInfo(zone)).date()
        rows = rows.filter((pl.col(one.to) > here).fill_null(True))
    else:
        rows = rows.filter(pl.col(HAPPENED) == pl.col(HAPPENED).max().over(account))
    named = rows.select(account, pl.col(one.column).cast(pl.String).alias(one.name)).unique().sort(account, one.name)
    one_segment_each(named, account, one.name)
    return named


def _past(database: Database, table: str, cutoff: Moment) -> pl.DataFrame:
    """The rows that are visible at the cutoff and happened by it."""
    return database[table].as_of(cutoff).filter(pl.col(HAPPENED).to_physical() <= ticks(cutoff))


def _contract(contracts: Sequence[Contract], name: str, subject: str) -> Contract:
    found = next((one for one in contracts if one.name == name), None)
    if found is None:
        raise PlanError(subject, found=repr(name), wanted=f"one of {', '.join(one.name for one in contracts)}")
    return found


def _has(contract: Contract, column: str, subject: str) -> None:
    known = {one.name: one.type for one in contract.columns}
    if column not in known:
        raise PlanError(subject, found=f"no column {column!r} in {contract.name}", wanted=f"one of {', '.join(known)}")
    if known[column] != "text":
        raise PlanError(subject, found=f"{contract.name}.{column}, {known[column]}", wanted="a text column")


__all__ = [
    "DIMENSIONS",
    "UNKNOWN",
    "Contacts",
    "Dimension",
    "contacted_at",
    "dimensions_at",
    "parse_contacts",
    "parse_dimensions",
]
