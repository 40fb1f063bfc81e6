"""The plan: the science of a run as one frozen value, hashed into the run's name.

`core` knows only the outer shape; each package parses its own section. The digest is taken over the plan's values with a
schema version, so comments and the order of settings do not matter and a change of meaning does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

import yaml

from foreproof.core.plugins import NO_PLUGINS, Plugins
from foreproof.core.section import Section
from foreproof.errors import PlanError

SCHEMA = 1
KEPT = ("features", "chances")
"""What a run can keep in the lake."""
DEPLOYMENT = ("schedule",)
"""Settings that say when the work is done, not what comes of it: no part of the digest."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A parsed `foreproof.yaml`; `values` are plain, `text()` writes them back. plugins: what its names may mean beside ours."""

    name: str
    workload: str
    seed: int
    values: Mapping[str, Any]
    plugins: Plugins = field(default=NO_PLUGINS, compare=False, repr=False)

    @property
    def digest(self) -> str:
        """sha256 over the canonical JSON of the values and the schema version; when work is done is no part of it."""
        science = {name: value for name, value in self.values.items() if name not in DEPLOYMENT}
        canonical = json.dumps({"schema": SCHEMA, "plan": _plain(science)}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def root(self) -> Section:
        """The whole plan as a section to read from."""
        return Section(self.values, path="")

    def text(self) -> str:
        """The plan as YAML."""
        return yaml.safe_dump(_plain(self.values), sort_keys=False, allow_unicode=True)

    def having(self, **changes: Any) -> Plan:
        """The plan with other top-level values; None changes nothing."""
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(plan_of({**self.values, **given}), plugins=self.plugins)


def parse_plan(text: str) -> Plan:
    """A plan from YAML; an error names the line, or the dotted path of the setting."""
    return plan_of(parse_yaml(text, name="foreproof.yaml"))


def parse_yaml(text: str, *, name: str) -> Mapping[str, Any]:
    """The settings of a file of YAML; an error says its name and the line."""
    try:
        values = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise PlanError(name, found=f"YAML that {problem}{where}", fix="mend that line") from None
    if not isinstance(values, Mapping):
        raise PlanError(name, found="no settings", wanted="a mapping", fix="see docs/plan.md")
    return values


def plan_of(values: Mapping[str, Any]) -> Plan:
    """A plan from plain values."""
    root = Section(values, path="")
    root.whole("schema", low=SCHEMA, high=SCHEMA)
    return Plan(
        name=root.text("name"),
        workload=root.choice("workload", ("forecast", "propensity")),
        seed=root.whole("seed", default=1, low=0, high=2**31 - 1),
        values=MappingProxyType(dict(values)),
    )


def parse_keep(root: Section, among: tuple[str, ...] = KEPT) -> tuple[str, ...]:
    """What a plan's `keep` names."""
    found = root.texts("keep", default=())
    for name in found:
        if name not in among:
            raise PlanError("keep", found=repr(name), wanted=f"some of {', '.join(among)}")
    return found


def flat(values: Any, path: str = "") -> dict[str, str]:
    """The leaves of plain values as text, by dotted path: `{"a": {"b": [1]}}` is `{"a.b[0]": "1"}`."""
    match values:
        case Mapping():
            parts = [flat(item, f"{path}.{name}" if path else str(name)) for name, item in values.items()]
        case list() | tuple():
            parts = [flat(item, f"{path}[{i}]") for i, item in enumerate(values)]
        case _:
            return {path: str(values)}
    return {name: item for part in parts for name, item in part.items()}


class _Loader(yaml.SafeLoader):
    """YAML that keeps `on`, `off`, `yes` and `no` as text and refuses a setting that comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = [self.construct_object(key, deep=True) for key, _ in node.value]
        for name in seen:
            if seen.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"sets {name!r} twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case datetime() | date():
            return value.isoformat()
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise PlanError("plan", found=f"a value of type {type(value).__name__}", wanted="text, numbers and lists")


__all__ = ["DEPLOYMENT", "KEPT", "SCHEMA", "Plan", "flat", "parse_keep", "parse_plan", "parse_yaml", "plan_of"]
