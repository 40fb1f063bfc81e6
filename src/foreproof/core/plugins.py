"""What installed packages add to a plan's words: models, checks, sources and policies, each with where it comes from.

The edge finds them and hands them in with the plan; a room reads its own kind by the name that the plan uses, and asks nobody
what is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from foreproof.errors import BadInput, ForeproofError, PlanError

Group = Literal["models", "checks", "sources", "policies"]
GROUPS: tuple[Group, ...] = ("models", "checks", "sources", "policies")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One object that a package adds. make: what makes it, imported when it is first called.

    origin: distribution and version, `acme-models 1.2`. target: the object's address, `acme.models:make`.
    """

    group: Group
    name: str
    origin: str
    target: str
    make: Callable[..., Any]

    @property
    def subject(self) -> str:
        """The plugin as errors name it."""
        return f"plugin {self.name!r} of {self.origin} ({self.target})"

    def made(self, *given: Any, **named: Any) -> Any:
        """What it makes of a section of the plan, or of limits.

        An error of ours goes on as it is; any other one is a BadInput that names distribution and object.
        """
        try:
            return self.make(*given, **named)
        except ForeproofError:
            raise
        except Exception as error:
            raise BadInput(
                self.subject,
                found=f"an object that fails ({type(error).__name__}: {error})",
                fix="mend or upgrade the package, or take it out of the plan",
            ) from error

    def able(self, found: Any, having: Sequence[str]) -> Any:
        """What was made, where it has what the rooms will ask it for; else BadInput."""
        lacking = [name for name in having if not hasattr(found, name)]
        if lacking:
            raise BadInput(
                self.subject,
                found=f"a {type(found).__name__} without {', '.join(lacking)}",
                wanted=f"an object with {', '.join(having)}",
                fix="docs/plugins.md shows a whole one",
            )
        return found

    def value(self, *given: Any, having: Sequence[str]) -> Any:
        """`made` and `able`, for a value: its `repr` is in the name of a finished step, so it may hold no address."""
        found = self.able(self.made(*given), having)
        if " at 0x" in repr(found):
            raise BadInput(
                self.subject,
                found=f"{repr(found)[:80]}, which is another text in each process",
                wanted="a value whose repr says all its settings",
                fix="make it a frozen dataclass",
            )
        return found


@dataclass(frozen=True, slots=True)
class Plugins:
    """All that is installed."""

    found: tuple[Plugin, ...] = ()

    def of(self, group: Group) -> dict[str, Plugin]:
        """Those of one kind, by the name that plans use."""
        return {one.name: one for one in self.found if one.group == group}


NO_PLUGINS = Plugins()

_SETTINGS: Mapping[Group, tuple[str, ...]] = {
    "models": ("models", "challenger"),
    "checks": ("proof",),
    "sources": ("sources",),
    "policies": ("decision",),
}
"""The settings of a plan that may name each kind."""


def named(values: Mapping[str, Any], plugins: Plugins) -> dict[str, str]:
    """Which plugins a plan's values name, as `GROUP.NAME`, and the distribution and version of each."""
    words = {group: {word for name in names for word in _words(values.get(name))} for group, names in _SETTINGS.items()}
    return {f"{one.group}.{one.name}": one.origin for one in plugins.found if one.name in words[one.group]}


def refuse_changed(stated: Any, used: Mapping[str, str]) -> None:
    """Refuse a recorded plan whose plugins are not installed as they were."""
    for name, origin in stated.items() if isinstance(stated, Mapping) else ():
        if used.get(str(name)) != origin:
            raise PlanError(
                f"plugins.{name}",
                found=used.get(str(name), "not installed, or not named in the plan"),
                wanted=f"{origin}, as when the plan was recorded",
                fix="install that version, or take plugins: out of the plan",
            )


def _words(value: Any) -> set[str]:
    match value:
        case Mapping():
            return {str(name) for name in value} | {word for item in value.values() for word in _words(item)}
        case list() | tuple():
            return {word for item in value for word in _words(item)}
        case _:
            return {str(value)}


__all__ = ["GROUPS", "NO_PLUGINS", "Group", "Plugin", "Plugins", "named", "refuse_changed"]
