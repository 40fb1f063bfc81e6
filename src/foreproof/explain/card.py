"""A model card: what a model is for, how it was made, how well it did, and what it cannot do.

Mitchell et al., Model cards for model reporting (2019). A card holds figures that the run made, never new ones, so that it can be
held against the run's tables and against the card before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from foreproof.core.trial import Verdict

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number: `low` to `high` is its 95% interval where it has one; n: on how many rows or positives it stands."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    n: int | None = None

    @property
    def width(self) -> float | None:
        """Of the interval."""
        return None if self.low is None or self.high is None else self.high - self.low


@dataclass(frozen=True, slots=True)
class Card:
    """One model, of one group where models differ by group (`group` is empty for all of them).

    made: how it was made, as name and words: features and SAFE state, folds and purge, calibration, members, splits, data.
    figures: what past cutoffs showed. tables: by title, rows to read: top k, reliability, by step, fairness. verdicts: of the
    proof. inflation: reported score less score on the as-of replay, None where it was not measured. limits: what it cannot do.
    links: by name, a path beside the card or a digest. badge: `model`, or `heuristic` where a stated rule stands in for one.
    """

    name: str
    workload: str
    run: str
    cutoff: str
    status: str
    intended: str
    group: str = ""
    badge: str = "model"
    made: Mapping[str, str] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    tables: Mapping[str, Rows] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    inflation: Figure | None = None
    limits: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The model's name, with its group."""
        return f"{self.name}: {self.group}" if self.group else self.name

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a number that is not finite is None."""
        found: dict[str, Any] = _plain(asdict(self))
        return found


def compare(now: Card, before: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each figure of a card beside that of an earlier one (as read back from JSON).

    Rows: `figure`, `before`, `now`, `change`, `width_before`, `width_now` (of the intervals), `n_before`, `n_now`, `apart`:
    whether the two intervals do not meet. A figure that only one of them has is left out.
    """
    earlier = {str(one["name"]): one for one in before.get("figures", ())}
    rows = []
    for figure in now.figures:
        old = earlier.get(figure.name)
        if old is None or old["value"] is None or figure.value is None:
            continue
        then = Figure(figure.name, old["value"], old["low"], old["high"], n=old["n"])
        rows.append(
            {
                "figure": figure.name,
                "before": then.value,
                "now": figure.value,
                "change": figure.value - float(old["value"]),
                "width_before": then.width,
                "width_now": figure.width,
                "n_before": then.n,
                "n_now": figure.n,
                "apart": _apart(then, figure),
            }
        )
    return rows


def known_limits(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """What no proof of ours can see, and what this one did not pass or warned of."""
    unseen = (
        "A contract that is wrong about when a row could be read: if rows arrive late and the plan says same_as_happened, "
        "everything is consistent with the wrong clock.",
        "Names that were merged later, and columns that the outcome itself caused.",
    )
    open_ones = tuple(f"{one.name}: {one.outcome}. {one.words}" for one in verdicts if one.outcome != "passed")
    warned = tuple(f"{one.name} warns: {one.warning}" for one in verdicts if one.warning)
    return (*open_ones, *warned, *unseen)


def _apart(a: Figure, b: Figure) -> bool | None:
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return None
    return a.high < b.low or b.high < a.low


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(name): _plain(item) for name, item in value.items()}
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | bool() | None:
            return value
        case Sequence():
            return [_plain(item) for item in value]
        case _:
            return str(value)


__all__ = ["Card", "Figure", "Rows", "compare", "known_limits"]
