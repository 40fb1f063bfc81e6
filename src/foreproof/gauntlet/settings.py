"""The plan's section `proof`, parsed once for all workloads."""

from __future__ import annotations

from foreproof.core.section import Section
from foreproof.core.trial import Kind
from foreproof.errors import PlanError
from foreproof.gauntlet.limits import Proof
from foreproof.gauntlet.registry import names_of


def parse_proof(section: Section, *, kind: Kind) -> Proof:
    """`proof: {alpha: 0.05, off: [overlap]}`; a limit that no check of this kind of label reads is refused."""
    standard = Proof()
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
        off=_names(section, "off", kind),
        only=_names(section, "only", kind),
    )
    section.done()
    return proof


def _names(section: Section, setting: str, kind: Kind) -> tuple[str, ...]:
    known = names_of(kind)
    names = section.texts(setting, default=())
    for name in names:
        if name not in known:
            raise PlanError(f"{section.path}.{setting}", found=repr(name), wanted=f"some of {', '.join(known)}")
    return names


__all__ = ["Proof", "parse_proof"]
