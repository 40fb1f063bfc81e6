"""Rates of whole groups as features: how many of all accounts met an item, smoothed to what is coarser, before the cutoff only.

They are counted in the tables, never in the rows that happen to be asked about, so that scoring one pair or all gives one value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from foreproof.core.section import Section
from foreproof.errors import BadInput, LawError
from foreproof.features.cells import Values
from foreproof.features.context import Asked, Context, Floats
from foreproof.features.declare import Meta, at_least, past, span
from foreproof.features.ledger import Events, Tally


@dataclass(frozen=True, slots=True)
class Rate:
    """The share of units (accounts) that had an event with the item (group) over (cutoff - lag - window, cutoff - lag].

    levels, coarse to fine: all items together; the item; the item among those that share the columns `by`. With n of d units,
    r = (n + prior x r of the level above) / (d + prior); d counts the units with any event up to cutoff - lag (that share
    `by`), and for all items together d x items. Micci-Barreca (2001), with a parent for each level.
    """

    of: Events
    unit: str
    item: str
    window: int
    lag: int = 0
    by: tuple[str, ...] = ()
    prior: float = 20.0

    def __post_init__(self) -> None:
        at_least(self, window=self.window)
        past(self, self.lag, "cutoff")
        if not 0.0 <= self.prior < np.inf:
            raise BadInput("feature rate", found=f"prior {self.prior}", wanted="units, 0 or more")
        if self.unit == self.item or self.item in self.by or self.unit in self.by:
            raise BadInput("feature rate", found=f"{self.unit}, {self.item}, {self.by}", wanted="columns of their own")

    @property
    def name(self) -> str:
        """`rate_department_90_of_lines`, `rate_department_90_by_region_of_lines`."""
        by = f"_by_{'_'.join(self.by)}" if self.by else ""
        return f"rate_{self.item}_{self.window}{f'_lag_{self.lag}' if self.lag else ''}{by}{self.of.tail}"

    def maths(self) -> str:
        """Units with the item in the window by units known, smoothed."""
        among = f" among its {', '.join(self.by)}" if self.by else ""
        window = span("cutoff", self.lag, self.window)
        return f"{self.unit}s with its {self.item} over {window}{among} / {self.unit}s known, prior {self.prior:g}"

    def meta(self, horizon: int) -> Meta:
        """The window as declared."""
        return Meta(self.name, "rates", "cutoff", self.lag, self.window, self.lag, self.maths())

    @property
    def levels(self) -> list[tuple[Events, Events]]:
        """Where units are counted, coarse to fine below all items: those that met the item, and all."""
        deeper = [()] if not self.by else [(), self.by]
        return [(replace(self.of, along=(*by, self.item)), replace(self.of, along=by)) for by in deeper]

    @property
    def everything(self) -> Events:
        """All rows."""
        return replace(self.of, along=())

    @property
    def tallies(self) -> Iterable[Tally]:
        """What the levels need."""
        pairs = f"{self.unit}+{self.item}"
        needed = [Tally(self.everything, self.lag, self.window, "distinct", pairs)]
        needed.append(Tally(self.everything, self.lag, None, "distinct", self.item))
        for met, known in self.levels:
            needed.append(Tally(met, self.lag, self.window, "distinct", self.unit))
            needed.append(Tally(known, self.lag, None, "distinct", self.unit))
        return needed


def rate_column(context: Context, feature: Rate) -> Asked:
    """See `Rate`; null before anything happened."""
    everything = context.ledgers[feature.everything]
    pairs = everything.distinct(f"{feature.unit}+{feature.item}", feature.lag, feature.window)
    units = everything.distinct(feature.unit, feature.lag, None)
    rate = _share(pairs, units * everything.distinct(feature.item, feature.lag, None))
    for met, known in feature.levels:
        n = context.ledgers[met].distinct(feature.unit, feature.lag, feature.window)
        d = context.ledgers[known].distinct(feature.unit, feature.lag, None)
        rate = _share(n + feature.prior * rate, d + feature.prior)
    return Asked(np.where(units > 0, rate, np.nan))


def parse_rate(section: Section, of: Events) -> list[Rate]:
    """`{rate: group, unit: account, of: lines, window: [30, 90]}`."""
    if section.text("fitted", default="at_cutoff") != "at_cutoff":
        raise LawError(
            f"{section.path}.fitted",
            found=section.text("fitted"),
            wanted="at_cutoff: an encoder sees what was known at each cutoff, and nothing else (law 2, one door)",
            fix="leave fitted out",
        )
    windows = [int(value) for value in section.numbers("window")]
    item, unit, by = section.text("rate"), section.text("unit"), section.texts("by", default=())
    lag, prior = section.whole("lag", default=0), section.number("prior", default=20.0, low=0.0)
    return [Rate(of, unit, item, window, lag, by, prior) for window in windows]


def _share(a: Values, b: Values) -> Floats:
    found: Floats = np.divide(a, b, out=np.zeros(np.shape(a)), where=b > 0)
    return found


__all__ = ["Rate", "parse_rate", "rate_column"]
