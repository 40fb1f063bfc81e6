"""Plugins: the one place that reads entry points. Rooms get what was found with the plan, and never look for themselves.

An installed package declares objects in the groups `foreproof.models`, `foreproof.checks`, `foreproof.sources` and
`foreproof.policies`. Their names are read at once; an object is imported when a plan first uses it, so that a package that does
not import breaks the plans that name it and no other.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from typing import Any

from foreproof.adapters.sources import KINDS as SOURCES
from foreproof.core.plan import Plan
from foreproof.core.plugins import GROUPS, Group, Plugin, Plugins, named, refuse_changed
from foreproof.decisions.ordering import POLICIES
from foreproof.errors import BadInput, ForeproofError
from foreproof.gauntlet.registry import REGISTRY
from foreproof.models.classify import CLASSIFIERS
from foreproof.models.registry import KINDS as MODELS

_OURS: Mapping[Group, frozenset[str]] = {
    "models": frozenset({*MODELS, *CLASSIFIERS}),
    "checks": frozenset(REGISTRY),
    # What a source's section may hold beside the setting that tells its kind is no kind.
    "sources": frozenset({*SOURCES, "cache", "fallback", "clean"}),
    "policies": frozenset(POLICIES),
}


@dataclass(frozen=True, slots=True)
class Target:
    """An object by its address, imported at the first call; two processes see the same text."""

    origin: str
    module: str
    attribute: str

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Call the object."""
        return self.load()(*given, **named)

    def load(self) -> Any:
        """The object. Raises BadInput with distribution and object where it cannot be imported or called."""
        try:
            found = importlib.import_module(self.module)
            for name in filter(None, self.attribute.split(".")):
                found = getattr(found, name)
        except ForeproofError:
            raise
        except Exception as error:  # what a package does when it is imported is its own
            raise self._broken(f"an object that cannot be imported ({type(error).__name__}: {error})") from error
        if not callable(found):
            raise self._broken(f"a {type(found).__name__}, which cannot be called")
        return found

    def _broken(self, found: str) -> BadInput:
        subject = f"plugin {self.module}:{self.attribute} of {self.origin}"
        return BadInput(subject, found=found, fix="mend, upgrade or uninstall the package")


def installed() -> Plugins:
    """What the installed packages declare, read once a process (and again where Python looks elsewhere).

    Raises BadInput for a name that two distributions declare, naming both, and for one that is built in.
    """
    return _installed(tuple(sys.path))


@lru_cache(maxsize=4)
def _installed(path: tuple[str, ...]) -> Plugins:
    found: dict[tuple[Group, str], Plugin] = {}
    for group in GROUPS:
        for point in metadata.entry_points(group=f"foreproof.{group}"):
            one = _plugin(group, point)
            other = found.setdefault((group, one.name), one)
            if other != one:
                raise BadInput(
                    f"foreproof.{group}: {one.name}",
                    found=f"two plugins of one name, of {other.origin} and of {one.origin}",
                    fix="uninstall one of them",
                )
    return Plugins(tuple(found[key] for key in sorted(found)))


def _plugin(group: Group, point: metadata.EntryPoint) -> Plugin:
    dist = point.dist
    origin = f"{dist.name} {dist.version}" if dist is not None else "an unknown distribution"
    if point.name in _OURS[group]:
        raise BadInput(
            f"foreproof.{group}: {point.name}",
            found=f"a plugin of {origin} under a name that is built in",
            fix="give it another name in the package, or uninstall it",
        )
    return Plugin(group, point.name, origin, point.value, Target(origin, point.module, point.attr))


def with_plugins(plan: Plan, plugins: Plugins) -> Plan:
    """The plan with what is installed, and with `plugins`: distribution and version of each that it names.

    So another version gives a run another name. Raises PlanError where a recorded plan states other versions.
    """
    used = named(plan.values, plugins)
    refuse_changed(plan.values.get("plugins"), used)
    return replace(plan.having(plugins=used) if used else plan, plugins=plugins)


def fault(plugin: Plugin) -> str:
    """Why a plugin cannot be used, in words; empty where it can be imported."""
    try:
        plugin.make.load()  # type: ignore[attr-defined]
    except ForeproofError as error:
        return error.found
    return ""


__all__ = ["Target", "fault", "installed", "with_plugins"]
