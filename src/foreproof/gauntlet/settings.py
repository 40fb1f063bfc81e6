"""The plan's section `proof`, parsed once for all workloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any

from foreproof.core.plugins import Plugin
from foreproof.core.section import Section
from foreproof.core.trial import Kind
from foreproof.errors import PlanError
from foreproof.gauntlet.leaks.zoo import plantable
from foreproof.gauntlet.limits import Limit, Proof
from foreproof.gauntlet.registry import names_of, own_entry
from foreproof.gauntlet.statistical import STATISTICAL


def parse_proof(section: Section, *, kind: Kind, own: Mapping[str, Plugin] = MappingProxyType({})) -> Proof:
    """`proof: {alpha: 0.05, off: [overlap]}`; a limit that no check of this kind of label reads is refused.

    own: the checks of plugins, of which the plan's `also` says those that run.
    """
    standard = Proof()
    also = _also(section, kind, own)
    known = (*names_of(kind), *(plugin.name for plugin in also))
    quantity = kind == "quantity"
    proof = Proof(
        alpha=section.number("alpha", default=standard.alpha, low=0.0001, high=0.5),
        coverage=section.number("coverage", default=standard.coverage, low=0.5, high=0.99)
        if quantity
        else standard.coverage,
        calibration=section.number("calibration", default=standard.calibration, low=0.0001, high=0.5)
        if not quantity
        else standard.calibration,
        scrambles=section.whole("scrambles", default=standard.scrambles, low=1),
        alone=section.whole("alone", default=standard.alone, low=0),
        off=_names(section, "off", known),
        only=_names(section, "only", known),
        limits=_limits(section.section("limits", default={}), _limited(kind, also)),
        family=section.number("family", default=standard.family, low=0.0001, high=0.5),
        plant=_plant(section.text("plant", default=""), f"{section.path}.plant", kind),
        own=also,
    )
    section.done()
    return proof


def _also(section: Section, kind: Kind, own: Mapping[str, Plugin]) -> tuple[Plugin, ...]:
    """The checks of plugins that the plan asks for, each tried as a value before anything runs."""
    names = _names(section, "also", tuple(own))
    for name in names:
        if kind not in own_entry(own[name]).kinds:
            found = f"{name}, which judges no {kind}"
            raise PlanError(f"{section.path}.also", found=found, wanted="a check for this workload")
    return tuple(own[name] for name in dict.fromkeys(names))


def _limited(kind: Kind, also: Sequence[Plugin]) -> dict[str, Callable[..., Any]]:
    """What makes each check that has limits of its own."""
    built_in: dict[str, Callable[..., Any]] = {
        name: STATISTICAL[name] for name in names_of(kind) if name in STATISTICAL
    }
    return built_in | {plugin.name: plugin.made for plugin in also if is_dataclass(plugin.made())}


def _limits(
    section: Section, known: Mapping[str, Callable[..., Any]]
) -> tuple[tuple[str, tuple[tuple[str, Limit], ...]], ...]:
    """`limits: {cliff: {limit: 0.02}, shift grid: {shifts: [7, 14]}}`: fields of the check's own value."""
    found = []
    for name in section:
        if name not in known:
            raise PlanError(f"{section.path}.{name}", found="no such limits", wanted=f"one of {', '.join(known)}")
        inner = section.section(name)
        standard = known[name]()
        able = {one.name: getattr(standard, one.name) for one in fields(standard) if one.name != "name"}
        unknown = [word for word in inner if word not in able]
        if unknown:
            raise PlanError(f"{inner.path}.{unknown[0]}", found="no such limit", wanted=f"one of {', '.join(able)}")
        found.append((name, tuple((word, _limit(inner, word, able[word])) for word in inner)))
        inner.done()
    section.done()
    return tuple(found)


def _limit(section: Section, word: str, standard: Any) -> Limit:
    match standard:
        case tuple():
            return tuple(int(one) for one in section.numbers(word))
        case int():
            return section.whole(word, low=1)
        case _:
            return section.number(word, low=0.0)


def _plant(name: str, path: str, kind: Kind) -> str:
    able = [one.name for one in plantable(kind)]
    if name and name not in able:
        raise PlanError(path, found=repr(name), wanted=f"one of {', '.join(able)}", fix="docs/zoo.md lists them")
    return name


def _names(section: Section, setting: str, known: Sequence[str]) -> tuple[str, ...]:
    names = section.texts(setting, default=())
    for name in names:
        if name not in known:
            raise PlanError(
                f"{section.path}.{setting}",
                found=repr(name),
                wanted=f"some of {', '.join(known) or 'none: no plugin has one'}",
            )
    return names


__all__ = ["Proof", "parse_proof"]
