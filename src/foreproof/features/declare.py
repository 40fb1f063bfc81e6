"""Declared features: frozen values that say what they read, as maths. None of them can name the future (law 3).

A past feature reads `happened` in (anchor - lag - window, anchor - lag], lag >= 0, among the rows that a view at the cutoff
holds. Its anchor is the cutoff, or the target step's period, and then lag >= step. Only `Ahead` reads over
(cutoff, cutoff + horizon], and only in tables marked `ahead: true`, known <= cutoff. One step is one period of the grid.
Each family has its file: the values that declare its features, and the functions that make their columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from foreproof.errors import BadInput, LawError
from foreproof.features.cells import Reading

Anchor = Literal["cutoff", "target"]


@dataclass(frozen=True, slots=True)
class Meta:
    """What a policy may filter features by.

    lag, window: steps, from the anchor; window None where the feature reads a whole life or no window. nearness: steps
    between the cutoff and the nearest past fact that is read (0: it may be of the cutoff's own period); None where no past
    fact is read.
    """

    name: str
    family: str
    anchor: Anchor
    lag: int | None
    window: int | None
    nearness: int | None
    maths: str


class Feature(Protocol):
    """A declared feature: a frozen, comparable value. Its family's function makes the column."""

    @property
    def name(self) -> str:
        """The name of the column."""
        ...

    def meta(self, horizon: int) -> Meta:
        """What it reads when it serves steps 1 ... horizon."""
        ...

    def maths(self) -> str:
        """What it reads, in half-open windows."""
        ...


def check_law(feature: Feature, horizon: int) -> None:
    """Refuse a past column that some step would read after the cutoff: on the target anchor, lag >= step (law 3)."""
    meta = feature.meta(horizon)
    if meta.nearness is not None and meta.nearness < 0:
        raise LawError(
            f"feature {meta.name}",
            found=f"a past column read {meta.lag} steps before the target, for steps up to {horizon}",
            wanted=f"lag >= step for every step (law 3, half-open time): lag >= {horizon}",
            fix="raise the lag, anchor it at the cutoff, or use seasonal_lag",
        )


def past(feature: Feature, lag: int, anchor: Anchor) -> None:
    """Refuse a lag below 0: a past feature cannot name the future (law 3)."""
    word(feature, "anchor", anchor, Anchor)
    if lag < 0:
        raise LawError(
            f"feature {type(feature).__name__}",
            found=f"lag {lag}",
            wanted="lag >= 0 (law 3, half-open time)",
            fix="only `ahead` features read beyond the cutoff, in tables with ahead: true",
        )


def at_least(feature: object, **numbers: int) -> None:
    """Refuse numbers below 1."""
    for name, number in numbers.items():
        if number < 1:
            raise BadInput(f"feature {type(feature).__name__}", found=f"{name} {number}", wanted=f"{name} >= 1")


def word(feature: object, name: str, value: str, words: Any) -> None:
    """Refuse a word that is not among those of a Literal."""
    if value not in get_args(words):
        raise BadInput(
            f"feature {type(feature).__name__}",
            found=f"{name} {value!r}",
            wanted=f"one of {', '.join(get_args(words))}",
        )


def near(lag: int, anchor: Anchor, horizon: int) -> int:
    """Steps from the cutoff back to the nearest fact read, over steps 1 ... horizon; below 0 it lies after the cutoff."""
    return lag if anchor == "cutoff" else lag - horizon


def tail(anchor: Anchor, of: Reading | None) -> str:
    """The end of a feature's name: its anchor, and what it reads instead of y."""
    end = "" if anchor == "cutoff" else "_target"
    if of is None:
        return end
    filters = "_where" if of.keep or of.drop else ""
    return f"{end}_of_{'_'.join(part for part in (of.table, of.column, of.aggregate, of.gap) if part)}{filters}"


def named(of: Reading | None) -> str:
    """What is read, in maths."""
    return "y" if of is None else str(of)


def span(anchor: Anchor, lag: int | str, window: int | None) -> str:
    """`(cutoff - 8, cutoff - 1]`."""
    end = f"{anchor} - {lag}" if lag else anchor
    if window is None:
        return f"(-inf, {end}]"
    begin = f"{anchor} - {lag + window}" if isinstance(lag, int) else f"{end} - {window}"
    return f"({begin}, {end}]"


__all__ = ["Anchor", "Feature", "Meta", "at_least", "check_law", "named", "near", "past", "span", "tail", "word"]
