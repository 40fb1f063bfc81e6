"""The gauntlet: one file per check, and the planted faults that each must catch in the same run."""

from __future__ import annotations

from foreproof.gauntlet.baseline import BeatsBaseline
from foreproof.gauntlet.chances import BeatsRate, Calibrated
from foreproof.gauntlet.coverage import Coverage
from foreproof.gauntlet.duplicates import Duplicates
from foreproof.gauntlet.gap import GapLaw
from foreproof.gauntlet.rebuild import Rebuild

__all__ = ["BeatsBaseline", "BeatsRate", "Calibrated", "Coverage", "Duplicates", "GapLaw", "Rebuild"]
