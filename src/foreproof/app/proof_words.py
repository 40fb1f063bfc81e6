"""What each check asks, as a question for somebody who plans with the numbers and has never read the code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from foreproof.gauntlet.limits import Proof
from foreproof.gauntlet.registry import REGISTRY

QUESTIONS: Mapping[str, str] = MappingProxyType(
    {
        "rebuild": "Does anything change when all rows that came later are cut away?",
        "replay": "Would somebody who read the log on that day have had the same numbers?",
        "future scramble": "Does anything change when the later rows are noise, doubled or reordered?",
        "same population": "Are those asked about, predicted and judged the same, also without later rows?",
        "intervals": "Do labels lie after the cutoff, and features before it?",
        "gap law": "Had every label that was learned from settled by then?",
        "overlap": "Is nothing both learned from and judged?",
        "duplicates": "Does no row, key or batch count twice?",
        "as logged": "Are the tables that it reads those of the log, row for row, with their clocks?",
        "repetition": "Does it come out the same again, in another process and another order of rows?",
        "serving": "Are rows made for one cutoff or one entity alone those of the report?",
        "beats the baseline": "Is it surely better than the seasonal naive?",
        "coverage": "Do the intervals hold as often as they promise?",
        "beats the base rate": "Is it surely better than saying the base rate?",
        "calibration": "Of those given a chance of 20%, do 20% buy?",
        "permutation": "Is there a signal, or would shuffled labels look as good?",
        "cliff": "Does what the features know fade with age, or break off right at the cutoff?",
        "shift grid": "Do older rows know more than newer ones, which they cannot?",
        "single feature": "Is one feature alone too good to be true?",
        "cross-validated minus forward": "Do random folds flatter the score against forward in time?",
        "safe ablation": "How much rests on features close to the cutoff?",
        "prequential decline": "Does a frozen model get better in later months, which it cannot?",
        "forward month": "Does a single later month beat the one after the freeze?",
        "adjacency": "Which features read near the cutoff, and what do they bring?",
        "stability": "Do the same features matter early and late?",
        "embargo": "Are events right after the cutoff easier than they may be?",
        "arrival lag": "What is lost when rows arrive some days late?",
        "base rate": "Are labels missing, or is the base rate out of bounds?",
        "expected against realised": "Did as much come as was expected, over all sizes of expectation?",
        "feature drift": "Is a feature another one in the last month than before?",
        "looks": "Does the gain survive the number of looks at this hold-out?",
    }
)
"""By name of the check; every one of the registry has its question."""


def fault_of(name: str) -> str:
    """What the planted fault of a check is, in the words of the check itself; empty for a plugin's."""
    if name not in REGISTRY:
        return ""
    control = getattr(type(REGISTRY[name].make(Proof())), "control", None)
    return " ".join((control.__doc__ or "").split()).rstrip(".")


__all__ = ["QUESTIONS", "fault_of"]
