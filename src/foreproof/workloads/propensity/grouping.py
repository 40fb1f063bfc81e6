"""Product groups by rules: what a plan says of them, and the database in which purchases carry their group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foreproof.core.contract import Contract
from foreproof.core.mapping_rules import MappingTerms, parse_mapping
from foreproof.core.mapping_table import check_facts, mapped_table
from foreproof.core.preflight import Finding
from foreproof.core.section import Section
from foreproof.core.view import Database, Table
from foreproof.errors import PlanError
from foreproof.workloads.propensity.task import PropensityTask


def parse_grouping(
    section: Section, purchases: Contract, contracts: Sequence[Contract], *, value: str, groups: tuple[str, ...]
) -> MappingTerms | None:
    """`pairs.group` as a mapping: the terms of the rules; None where it names a column.

    value: the column of money, which shares are of. groups: those that the plan declares.
    """
    if isinstance(section.raw("group"), str):
        return None
    inner = section.section("group")
    given = {"value": value, "names": list(groups) or None, **{name: inner.raw(name, default=None) for name in inner}}
    terms = parse_mapping(Section(given, path=inner.path))
    if terms.names and groups and set(terms.names) != set(groups):
        found, wanted = ", ".join(terms.names), f"those of pairs.groups: {', '.join(groups)}"
        raise PlanError(f"{inner.path}.names", found=found, wanted=wanted, fix="leave names out")
    if terms.table not in {contract.name for contract in contracts} - {purchases.name}:
        names = ", ".join(contract.name for contract in contracts if contract is not purchases) or "a table of rules"
        raise PlanError(
            f"{inner.path}.table", found=repr(terms.table), wanted=f"one of {names}", fix="see docs/plan.md"
        )
    for name in (terms.item, *([terms.on] if terms.on else []), terms.value):
        purchases.column(name)
    if terms.group in {column.name for column in purchases.columns}:
        raise PlanError(
            f"{inner.path}.group",
            found=f"{terms.group!r}, a column that {purchases.name} has already",
            wanted="a free name: purchases get their group under it",
            fix=f"rename one of them in its contract (source: {terms.group})",
        )
    return terms


def mapped_database(task: PropensityTask, database: Database) -> Database:
    """The database whose purchases carry the column of groups; the same one where the plan has no rules.

    It commutes with truncation, so whoever holds it may cut it anywhere: see `core.mapping_table`.
    """
    if task.mapping is None:
        return database
    name = task.series.table
    found = mapped_table(database[name], database[task.mapping.table], task.mapping)
    return Database({**database.tables, name: found})


def grouping_findings(task: PropensityTask, tables: Mapping[str, Table]) -> list[Finding]:
    """What is wrong with the rules of a plan for its purchases; nothing where one of the two is not there."""
    terms = task.mapping
    if terms is None or task.series.table not in tables or terms.table not in tables:
        return []
    return check_facts(tables[task.series.table], tables[terms.table], terms)


__all__ = ["grouping_findings", "mapped_database", "parse_grouping"]
