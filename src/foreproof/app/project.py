"""The composition root: one project folder, its plan, and the parts that a run is wired from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from foreproof.adapters.catalog import Catalog
from foreproof.adapters.lake import Lake
from foreproof.adapters.ledger import Ledger
from foreproof.adapters.shelf import Shelf
from foreproof.adapters.sources import Reading, Source, parse_source
from foreproof.adapters.steps import Steps
from foreproof.app.own_code import with_code
from foreproof.app.plugins import installed, with_plugins
from foreproof.app.settings import Settings, read_settings
from foreproof.app.watermark import newest
from foreproof.core.clean import Rule, parse_rules
from foreproof.core.contract import Contract
from foreproof.core.plan import Plan, parse_plan, parse_yaml
from foreproof.core.table import columns_of
from foreproof.core.view import Database
from foreproof.errors import BadInput, PlanError
from foreproof.workloads.forecast import ForecastPlan, parse_forecast
from foreproof.workloads.propensity import PropensityPlan, mapped_database, parse_propensity

PLAN_FILE = "foreproof.yaml"
ORIGIN = "foreproof.local/log"
"""The name of a project's log."""


@dataclass(frozen=True)
class Project:
    """A folder with a plan; everything that Foreproof writes lies in `.foreproof` and `runs` beside it."""

    folder: Path
    plan: Plan
    settings: Settings = field(repr=False)

    @cached_property
    def forecast(self) -> ForecastPlan:
        """The plan, parsed for its workload; BadInput for a plan of another one."""
        if self.plan.workload != "forecast":
            raise BadInput(
                "workload",
                found=self.plan.workload,
                wanted="forecast",
                fix="this command is for forecasts: use another project",
            )
        return parse_forecast(self.plan)

    @cached_property
    def propensity(self) -> PropensityPlan:
        """The plan, parsed for its workload; BadInput for a plan of another one."""
        if self.plan.workload != "propensity":
            raise BadInput(
                "workload",
                found=self.plan.workload,
                wanted="propensity",
                fix="this command is for propensities: use another project",
            )
        return parse_propensity(self.plan)

    @property
    def science(self) -> ForecastPlan | PropensityPlan:
        """The plan, parsed for the workload that it names."""
        return self.forecast if self.plan.workload == "forecast" else self.propensity

    @property
    def contracts(self) -> tuple[Contract, ...]:
        """What each table promises."""
        return self.science.contracts

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Where each table is read from."""
        section = self.plan.root().section("sources", default={})
        found = {}
        for name in section:
            one = section.section(name)
            one.raw("clean", default=None)  # read by `cleaning`
            found[name] = parse_source(one, self.plan.plugins.of("sources"))
        unknown = sorted(set(found) - {contract.name for contract in self.contracts})
        if unknown:
            raise BadInput(f"sources.{unknown[0]}", found="no contract", wanted=f"tables.{unknown[0]}", fix="add one")
        return found

    @cached_property
    def cleaning(self) -> dict[str, tuple[Rule, ...]]:
        """The rules that make each table's raw rows clean."""
        section = self.plan.root().section("sources", default={})
        return {name: parse_rules(section.section(name).sections("clean", default=())) for name in section}

    @cached_property
    def lake(self) -> Lake:
        """The facts."""
        return Lake(self.settings.lake, clock=self.settings.now)

    @cached_property
    def shelf(self) -> Shelf:
        """What runs kept beside the facts."""
        return Shelf(self.lake)

    def database(self, versions: Mapping[str, int] | None = None) -> Database:
        """The facts at their newest versions (or those given), as the workload reads them: purchases carry their group."""
        found = self.lake.database(self.contracts, versions)
        return found if self.plan.workload == "forecast" else mapped_database(self.propensity.task, found)

    def reading(self, contract: Contract) -> Reading:
        """What the source of a table may ask of the world."""
        return Reading(
            folder=self.folder,
            # Rules may rename columns, and count by others: with rules, all are read.
            wanted=() if self.cleaning.get(contract.name) else columns_of(contract),
            now=self.settings.now(),
            newest=lambda column: newest(self.lake, contract, column),
            environ=os.environ,
            cache=self.inside / "cache",
        )

    @cached_property
    def catalog(self) -> Catalog:
        """Runs and the log."""
        self.inside.mkdir(parents=True, exist_ok=True)
        return Catalog(self.settings.catalog)

    @cached_property
    def ledger(self) -> Ledger:
        """The signed log."""
        key = self.inside / "keys" / "log.pem"
        return Ledger(self.catalog, key, ORIGIN, self.settings.now, self.settings.checkpoints or None)

    @cached_property
    def learned(self) -> dict[str, Any]:
        """What this process has learned from which content."""
        return {}

    @cached_property
    def steps(self) -> Steps:
        """Finished steps, by content."""
        return Steps(self.inside / "steps")

    @property
    def inside(self) -> Path:
        """The folder of everything that is not meant to be read by hand."""
        return self.folder / ".foreproof"

    @property
    def runs(self) -> Path:
        """One folder a run."""
        return self.folder / "runs"

    def having(self, **changes: object) -> Project:
        """The project under a changed plan."""
        return Project(self.folder, self.plan.having(**changes), self.settings)


def open_project(folder: Path) -> Project:
    """The project of a folder that holds a `foreproof.yaml`."""
    path = folder / PLAN_FILE
    if not path.is_file():
        raise BadInput(
            str(folder),
            found=f"no {PLAN_FILE}",
            wanted="a project folder",
            fix="make one with `foreproof new forecast DIR --data my.csv`",
        )
    return Project(folder, _whole(_with_features(parse_plan(_text(path)), folder), folder), read_settings(folder))


def recorded_plan(project: Project, run: str) -> Plan:
    """The plan of a recorded run, with the user's code and plugins as they were. Raises PlanError where they have changed."""
    return _whole(parse_plan(_text(project.runs / run / "plan_resolved.yaml")), project.folder)


def plan_again(text: str) -> Plan:
    """A plan's text in another process: with the plugins that it names."""
    return with_plugins(parse_plan(text), installed())


def _whole(plan: Plan, folder: Path) -> Plan:
    """The plan with the user's own code, and what packages add to it."""
    return with_plugins(with_code(plan, folder), installed())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(path.name, found=f"bytes that are not UTF-8 at {error.start}", fix="save it as UTF-8") from None


def _with_features(plan: Plan, folder: Path) -> Plan:
    """A plan that names a file of features (`features: features.yaml`, or `{file: ...}`) holds what the file says.

    So the plan's digest changes with the file, and a recorded run can be repeated without it.
    """
    named = plan.values.get("features")
    if isinstance(named, Mapping):
        section = plan.root().section("features")
        named = section.text("file")
        section.done()
    if not isinstance(named, str) or named == "default":
        return plan
    path = folder / named
    if not path.is_file():
        raise PlanError(
            "features",
            found=f"no file {named}",
            wanted="default, a list of features, or a file that holds one",
            fix=f"with features: default run `foreproof features --write {named}`, then name the file",
        )
    listed = parse_yaml(_text(path), name=named)
    unknown = sorted(set(listed) - {"features"})
    if unknown or not isinstance(listed.get("features"), list):
        found = f"{unknown[0]!r}" if unknown else "no list"
        raise PlanError(named, found=found, wanted="features: and a list, nothing else", fix="see docs/plan.md")
    return plan.having(features=listed["features"])


__all__ = ["ORIGIN", "PLAN_FILE", "Project", "open_project", "plan_again", "recorded_plan"]
