"""The planted faults, by the tier of the check that must catch each."""

from __future__ import annotations

from foreproof.gauntlet.leaks.statistical import narrowed, overconfident, swapped
from foreproof.gauntlet.leaks.structural import (
    cutoff_day,
    first_row,
    last_rows,
    loaded_twice,
    no_purge,
    overwritten,
    peek,
    peek_values,
    restated,
    shared,
    skewed,
    survivors,
)

__all__ = [
    "cutoff_day",
    "first_row",
    "last_rows",
    "loaded_twice",
    "narrowed",
    "no_purge",
    "overconfident",
    "overwritten",
    "peek",
    "peek_values",
    "restated",
    "shared",
    "skewed",
    "survivors",
    "swapped",
]
