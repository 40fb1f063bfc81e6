"""The rhythm of an entity: how long ago, since when, how often, and what is due. One step is one period of the grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from foreproof.errors import BadInput
from foreproof.features.cells import FAR
from foreproof.features.context import Asked, Context
from foreproof.features.declare import Meta, past, word
from foreproof.features.ledger import Events, Tally

RecencyForm = Literal["steps", "log", "inverse"]
RhythmPart = Literal["interval", "due", "hazard"]


@dataclass(frozen=True, slots=True)
class Recency:
    """Steps r from the last event at or before cutoff - lag to cutoff - lag; null before the first event.

    steps: r. log: log(1 + r). inverse: 1 / (1 + r), and 0 before the first event.
    """

    of: Events
    form: RecencyForm = "steps"
    lag: int = 0

    def __post_init__(self) -> None:
        word(self, "form", self.form, RecencyForm)
        past(self, self.lag, "cutoff")

    @property
    def name(self) -> str:
        """`recency_of_lines`, `recency_log_lag_30_of_lines`."""
        form = "" if self.form == "steps" else f"_{self.form}"
        return f"recency{form}{f'_lag_{self.lag}' if self.lag else ''}{self.of.tail}"

    def maths(self) -> str:
        """Cutoff - lag - last period with rows."""
        r = f"{_end(self.lag)} - last period with rows of {self.of} <= {_end(self.lag)}"
        return {"steps": r, "log": f"log(1 + {r})", "inverse": f"1 / (1 + {r})"}[self.form]

    def meta(self, horizon: int) -> Meta:
        """It looks at the whole life."""
        return Meta(self.name, "recency", "cutoff", self.lag, None, self.lag, self.maths())

    @property
    def tallies(self) -> Iterable[Tally]:
        """What it needs."""
        return [Tally(self.of, self.lag)]


@dataclass(frozen=True, slots=True)
class Tenure:
    """Steps from the first event to cutoff - lag, null before it; with `edges` the number of edges that it has reached."""

    of: Events
    edges: tuple[int, ...] = ()
    lag: int = 0

    def __post_init__(self) -> None:
        past(self, self.lag, "cutoff")
        if any(b <= a for a, b in pairwise(self.edges)) or any(edge < 1 for edge in self.edges):
            raise BadInput(
                "feature tenure", found=f"edges {list(self.edges)}", wanted="rising edges of at least 1 step"
            )

    @property
    def name(self) -> str:
        """`tenure_of_lines`, `tenure_by_90_365_of_lines`."""
        edges = f"_by_{'_'.join(str(edge) for edge in self.edges)}" if self.edges else ""
        return f"tenure{edges}{f'_lag_{self.lag}' if self.lag else ''}{self.of.tail}"

    def maths(self) -> str:
        """Cutoff - lag - first period with rows."""
        age = f"{_end(self.lag)} - first period with rows of {self.of}"
        return f"edges {list(self.edges)} <= {age}" if self.edges else age

    def meta(self, horizon: int) -> Meta:
        """It looks at the whole life, and no nearer than the first event."""
        return Meta(self.name, "tenure", "cutoff", self.lag, None, self.lag, self.maths())

    @property
    def tallies(self) -> Iterable[Tally]:
        """What it needs."""
        return [Tally(self.of, self.lag)]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """With n steps with events up to cutoff - lag, the first f and the last l.

    interval: the mean steps between them, (l - f) / (n - 1), null below two. due: the reorder estimate, steps from
    cutoff - lag to l + interval, below 0 where it is overdue. hazard: n / (cutoff - lag - f + 1), the chance that a step
    has an event if all have the same (maximum likelihood of a geometric gap), null before the first.
    """

    part: RhythmPart
    of: Events
    lag: int = 0

    def __post_init__(self) -> None:
        word(self, "part", self.part, RhythmPart)
        past(self, self.lag, "cutoff")

    @property
    def name(self) -> str:
        """`rhythm_due_of_lines`."""
        return f"rhythm_{self.part}{f'_lag_{self.lag}' if self.lag else ''}{self.of.tail}"

    def maths(self) -> str:
        """With n active periods, the first f and the last l."""
        end = _end(self.lag)
        said = {
            "interval": "(l - f) / (n - 1)",
            "due": f"l + (l - f) / (n - 1) - ({end})",
            "hazard": f"n / ({end} - f + 1)",
        }[self.part]
        return f"{said}, n periods with rows of {self.of} <= {end}, first f, last l"

    def meta(self, horizon: int) -> Meta:
        """It looks at the whole life."""
        return Meta(self.name, "recency", "cutoff", self.lag, None, self.lag, self.maths())

    @property
    def tallies(self) -> Iterable[Tally]:
        """What it needs."""
        return [Tally(self.of, self.lag)]


@dataclass(frozen=True, slots=True)
class Decay:
    """The sum of a column (or the rows) of the whole life, each weighed 2^(-age / half_life), age = cutoff - lag - period."""

    of: Events
    half_life: float
    column: str = ""
    lag: int = 0

    def __post_init__(self) -> None:
        past(self, self.lag, "cutoff")
        if not 0.0 < self.half_life < np.inf:
            raise BadInput("feature decay", found=f"half-life {self.half_life}", wanted="steps above 0")

    @property
    def name(self) -> str:
        """`decay_sales_30_of_lines`, `decay_1p5_of_lines`."""
        column = f"_{self.column}" if self.column else ""
        life = f"{self.half_life:g}".replace(".", "p")
        return f"decay{column}_{life}{f'_lag_{self.lag}' if self.lag else ''}{self.of.tail}"

    def maths(self) -> str:
        """Sum of value x 2^(-age / half_life)."""
        what = f"{self.of.table}.{self.column}" if self.column else "rows"
        return f"sum of {what} of {self.of} x 2^(-({_end(self.lag)} - period) / {self.half_life:g})"

    def meta(self, horizon: int) -> Meta:
        """What is near weighs most."""
        return Meta(self.name, "decay", "cutoff", self.lag, None, self.lag, self.maths())

    @property
    def tallies(self) -> Iterable[Tally]:
        """What it needs."""
        return [Tally(self.of, self.lag, None, "sum" if self.column else "rows", self.column)]


def recency_column(context: Context, feature: Recency) -> Asked:
    """See `Recency`."""
    last = context.ledgers[feature.of].newest(feature.lag)
    steps = np.where(last > -FAR, context.ends - feature.lag - last, np.nan)
    match feature.form:
        case "steps":
            found = steps
        case "log":
            found = np.log1p(steps)
        case "inverse":
            found = np.where(last > -FAR, 1.0 / (1.0 + steps), 0.0)
    return Asked(found)


def tenure_column(context: Context, feature: Tenure) -> Asked:
    """See `Tenure`."""
    first = context.ledgers[feature.of].oldest(feature.lag)
    steps = context.ends - feature.lag - first
    found = np.searchsorted(np.array(feature.edges), steps, side="right") if feature.edges else steps
    return Asked(np.where(first < FAR, found, np.nan))


def rhythm_column(context: Context, feature: Rhythm) -> Asked:
    """See `Rhythm`."""
    ledger, end = context.ledgers[feature.of], context.ends - feature.lag
    first, many = ledger.oldest(feature.lag), ledger.active(feature.lag, None)
    if feature.part == "hazard":
        return Asked(np.where(first < FAR, many / (end - first + 1), np.nan))
    last = ledger.newest(feature.lag)
    interval = (last - first) / np.where(many > 1, many - 1, np.nan)
    return Asked(interval + (last - end) if feature.part == "due" else interval)


def decay_column(context: Context, feature: Decay) -> Asked:
    """See `Decay`."""
    ledger = context.ledgers[feature.of]
    scale = ledger.numbers[feature.column].scale if feature.column else 1
    return Asked(ledger.decayed(feature.column, feature.half_life, feature.lag) / scale)


def _end(lag: int) -> str:
    return f"cutoff - {lag}" if lag else "cutoff"


__all__ = [
    "Decay",
    "Recency",
    "RecencyForm",
    "Rhythm",
    "RhythmPart",
    "Tenure",
    "decay_column",
    "recency_column",
    "rhythm_column",
    "tenure_column",
]
