"""The rules of product groups, held against the purchases: before anything is loaded, and on what is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from foreproof.adapters.rehearse import foreseen
from foreproof.app.project import Project
from foreproof.core.mapping_check import refusal
from foreproof.core.mapping_table import group_table
from foreproof.core.preflight import Finding
from foreproof.core.preflight import refusal as told
from foreproof.core.view import Table
from foreproof.errors import BadInput, PlanError
from foreproof.workloads.propensity import grouping_findings


def check_groups(project: Project, batches: Mapping[str, Sequence[Table]]) -> tuple[list[Finding], list[BadInput]]:
    """Findings about the rules for the tables as they would be with these batches, and the error that refuses to load them.

    Nothing where the plan has no rules, or where one of the two tables is not to be had.
    """
    if project.plan.workload == "forecast" or (terms := project.propensity.task.mapping) is None:
        return [], []
    names = (project.propensity.task.series.table, terms.table)
    contracts = [contract for contract in project.contracts if contract.name in names]
    if not all(one.name in batches or one.name not in project.sources for one in contracts):
        return [], []  # a table that could not be read is told of already
    try:
        tables = {one.name: foreseen(project.lake, one, batches.get(one.name, ())) for one in contracts}
        found = grouping_findings(
            project.propensity.task, {n: table for n, table in tables.items() if table is not None}
        )
    except BadInput as error:
        return [replace(told(error, terms.table), found=f"{error.subject}: {error.found}")], [error]
    try:
        refusal(found)
    except BadInput as error:
        return found, [error]
    return found, []


def loaded_groups(project: Project) -> tuple[pl.DataFrame, list[Finding]]:
    """What each group holds in the facts that are loaded, and what is wrong with the rules."""
    terms = project.propensity.task.mapping
    if terms is None:
        found = f"the column {project.propensity.task.group}"
        raise PlanError("pairs.group", found=found, wanted="rules", fix="see Groups in docs/plan.md")
    for name in (project.propensity.task.series.table, terms.table):
        if project.lake.version(name) is None:
            raise BadInput(f"tables.{name}", found="no data", wanted="loaded facts", fix="foreproof load")
    findings, _ = check_groups(project, dict.fromkeys(project.sources, ()))
    return group_table(project.database()[project.propensity.task.series.table], terms), findings


__all__ = ["check_groups", "loaded_groups"]
