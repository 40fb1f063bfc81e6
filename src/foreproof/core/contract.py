"""What a table of dated facts promises: keys, columns, two clocks.

Every fact has `_happened` (when it took place, or will) and `_known` (when it could first be read). A contract says which
column tells the first, and what tells the second; silence is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from foreproof.core.clock import parse_offset
from foreproof.core.grid import parse_grid
from foreproof.core.section import Section
from foreproof.errors import LawError, PlanError

ColumnType = Literal["text", "integer", "decimal", "real", "flag", "date"]
Duplicates = Literal["refuse", "keep_last", "sum"]
KnownKind = Literal["same_as_happened", "column", "delay", "lead", "constant"]

HAPPENED, KNOWN, BATCH, DELETED, UNTIL = "_happened", "_known", "_batch", "_deleted", "_until"
OCCURRENCE = "_occurrence"
"""The number of a row among its exact repeats: the key of a table that has no natural one."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, whether it may be empty, its bounds (in the user's unit) and its unit in words.

    `decimal` columns are additive measures, kept as Int64 scaled by 10**decimals, so that sums are exact in any order.
    """

    name: str
    type: ColumnType
    source: str = ""
    decimals: int = 0
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] = ()
    unit: str = ""

    @property
    def scale(self) -> int:
        """What a stored value is divided by to give the user's unit."""
        return int(10**self.decimals) if self.type == "decimal" else 1


@dataclass(frozen=True, slots=True)
class Stamp:
    """How `_happened` is read: the column, its declared formats, the zone that its text means, and the period it names.

    A stamp that names a period (a date names a day) happened at the last tick of that period in the contract's zone.
    """

    column: str
    formats: tuple[str, ...] = ()
    zone: str = ""
    period: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What stands for `_known`: the stamp itself, a column, a delay after it, or (ahead tables only) a lead before it."""

    kind: KnownKind
    column: str = ""
    formats: tuple[str, ...] = ()
    offset: str | int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """The promise of one table; `parse` in `core.table` is the only way to a `Table`.

    key: columns that name a fact; the stamp's column counts as `_happened`. An empty key means that a row is its own
    key together with its occurrence number among exact repeats.
    """

    name: str
    key: tuple[str, ...]
    happened: Stamp | None
    known: Known
    columns: tuple[Column, ...]
    zone: str = "UTC"
    ahead: bool = False
    duplicates: Duplicates = "refuse"
    deleted: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def keys(self) -> tuple[str, ...]:
        """The key as columns of the parsed table."""
        if not self.key:
            return (*(column.name for column in self.columns), HAPPENED, OCCURRENCE)
        stamp = self.happened.column if self.happened else None
        return tuple(HAPPENED if name == stamp else name for name in self.key)

    @property
    def integer(self) -> bool:
        """Whether the table counts integer steps instead of instants."""
        return self.happened is not None and self.happened.period == "integer"

    def column(self, name: str) -> Column:
        """One column by name."""
        for column in self.columns:
            if column.name == name:
                return column
        names = ", ".join(column.name for column in self.columns)
        raise PlanError(f"tables.{self.name}.columns", found=f"no column {name!r}", wanted=f"one of {names}")


def parse_contract(name: str, section: Section) -> Contract:
    """A contract from the plan's section `tables.NAME`."""
    columns = tuple(_column(key, section.section("columns").section_or_text(key)) for key in section.section("columns"))
    happened = _stamp(section.section_or_text("happened")) if "happened" in section else None
    contract = Contract(
        name=name,
        key=section.texts("key", default=()),
        happened=happened,
        known=_known(section),
        columns=columns,
        zone=section.zone("zone", default="UTC"),
        ahead=section.flag("ahead", default=False),
        duplicates=section.choice("duplicates", get_args(Duplicates), default="refuse"),
        deleted=section.text("deleted", default=""),
        notes=section.texts("notes", default=()),
    )
    _check(contract, section)
    return contract


def _column(name: str, section: Section | str) -> Column:
    if isinstance(section, str):
        section = Section({"type": section}, path=name)
    kind: ColumnType = section.choice("type", get_args(ColumnType))
    column = Column(
        name=name,
        type=kind,
        source=section.text("source", default=name),
        decimals=section.whole("decimals", default=0, low=0, high=9),
        nullable=section.flag("nullable", default=False),
        low=section.number_or_none("low"),
        high=section.number_or_none("high"),
        allowed=section.texts("allowed", default=()),
        unit=section.text("unit", default=""),
    )
    section.done()
    if name.startswith("_"):
        raise PlanError(
            section.path, found=f"{name!r}", wanted="a name without a leading underscore", fix="use source:"
        )
    return column


def _stamp(section: Section | str) -> Stamp:
    if isinstance(section, str):
        return Stamp(section)
    stamp = Stamp(
        column=section.text("column"),
        formats=section.texts("formats", default=()),
        zone=section.zone("stamp_zone", default=""),
        period=section.text("period", default=""),
    )
    if stamp.period:
        parse_grid(stamp.period, subject=f"{section.path}.period")
    section.done()
    return stamp


def _known(table: Section) -> Known:
    if "constant" in table:
        return Known("constant", why=table.text("constant"))
    if "happened" not in table:
        raise _as_of_today(table)
    if "known" not in table:
        raise LawError(
            f"{table.path}.known",
            found="nothing",
            wanted="what says when a row could first be read (law 1, two clocks)",
            fix="name a column (known: {column: loaded_at}), a delay (known: {delay: 2d}), or known: same_as_happened",
        )
    section = table.section_or_text("known")
    if isinstance(section, str):
        if section != "same_as_happened":
            raise PlanError(f"{table.path}.known", found=f"{section!r}", wanted="same_as_happened, or a mapping")
        return Known("same_as_happened")
    why = section.text("why", default="")
    if "column" in section:
        known = Known("column", section.text("column"), section.texts("formats", default=()), why=why)
    elif "delay" in section:
        known = Known("delay", offset=_forward(section, "delay"), why=why)
    elif "lead" in section:
        known = Known("lead", offset=_forward(section, "lead"), why=why)
    else:
        section.done()
        raise PlanError(section.path, found="no rule", wanted="one of column, delay, lead")
    section.done()
    return known


def _as_of_today(table: Section) -> LawError:
    return LawError(
        table.path,
        found="neither `happened` nor `constant`: a table as of today",
        wanted="when each row took place (law 1, two clocks): what is true today was not known at a past cutoff",
        fix="give valid-from dates (happened:), or say in words why it never changes (constant:)",
    )


def _forward(section: Section, name: str) -> str | int:
    offset = parse_offset(section.text_or_whole(name), subject=f"{section.path}.{name}")
    if str(offset).startswith("-"):
        raise PlanError(f"{section.path}.{name}", found=f"{offset}", wanted="an offset that is not negative")
    return offset


def _check(contract: Contract, section: Section) -> None:
    section.done()
    constant = contract.known.kind == "constant"
    if constant and not contract.known.why.strip():
        raise LawError(
            f"{section.path}.constant",
            found="no reason",
            wanted="words that say why the table never changes (law 1, two clocks)",
            fix="write why (constant: a product keeps its department), or give valid-from dates (happened:)",
        )
    if contract.known.kind == "lead" and not contract.ahead:
        raise PlanError(
            f"{section.path}.known.lead",
            found="a lead in a table of past facts",
            wanted="known >= happened",
            fix="set ahead: true if the rows are plans that were published before they took place",
        )
    names = {column.name for column in contract.columns} | ({contract.happened.column} if contract.happened else set())
    for key in contract.key:
        if key not in names:
            raise PlanError(f"{section.path}.key", found=f"{key!r}", wanted=f"columns of the table ({sorted(names)})")
    if contract.duplicates == "sum" and not any(column.type == "decimal" for column in contract.columns):
        raise PlanError(f"{section.path}.duplicates", found="sum", wanted="a decimal column to add up")


__all__ = [
    "BATCH",
    "DELETED",
    "HAPPENED",
    "KNOWN",
    "OCCURRENCE",
    "UNTIL",
    "Column",
    "Contract",
    "Known",
    "Stamp",
    "parse_contract",
]
