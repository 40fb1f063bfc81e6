"""The gauntlet: one file per check, and the planted faults that each must catch in the same run."""

from __future__ import annotations

from foreproof.gauntlet.as_logged import AsLogged
from foreproof.gauntlet.baseline import BeatsBaseline
from foreproof.gauntlet.chances import BeatsRate, Calibrated
from foreproof.gauntlet.coverage import Coverage
from foreproof.gauntlet.duplicates import Duplicates
from foreproof.gauntlet.gap import GapLaw
from foreproof.gauntlet.intervals import Intervals
from foreproof.gauntlet.overlap import Overlap
from foreproof.gauntlet.population import SamePopulation
from foreproof.gauntlet.rebuild import Rebuild
from foreproof.gauntlet.repetition import Repetition
from foreproof.gauntlet.replay import Replay
from foreproof.gauntlet.scramble import FutureScramble
from foreproof.gauntlet.serving import Serving

__all__ = [
    "AsLogged",
    "BeatsBaseline",
    "BeatsRate",
    "Calibrated",
    "Coverage",
    "Duplicates",
    "FutureScramble",
    "GapLaw",
    "Intervals",
    "Overlap",
    "Rebuild",
    "Repetition",
    "Replay",
    "SamePopulation",
    "Serving",
]
