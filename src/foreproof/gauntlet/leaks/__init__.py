"""The planted faults, by the tier of the check that must catch each."""

from __future__ import annotations

from foreproof.gauntlet.leaks.statistical import narrowed, overconfident, swapped
from foreproof.gauntlet.leaks.structural import loaded_twice, no_purge, peek

__all__ = ["loaded_twice", "narrowed", "no_purge", "overconfident", "peek", "swapped"]
