"""One rate of error for a whole proof: alarms fail by their p after Holm's correction over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from foreproof.core.diagnose import holm
from foreproof.core.trial import Outcome, Verdict

ALPHA = 0.05


def finalised(verdicts: Sequence[Verdict], *, alpha: float = ALPHA) -> list[Verdict]:
    """Verdicts in their order; each statistical one with a p fails where Holm's p is below alpha, and only there.

    An honest pipeline so fails one or more of them with a probability of at most alpha, whatever depends on what. A planted fault
    was judged by the check's own, stricter limit. `evidence["p_holm"]` holds the corrected p. Structural verdicts, claims
    (which have no p here) and what could not be judged stay as they are.
    """
    tested = [k for k, one in enumerate(verdicts) if one.tier == "statistical" and one.p is not None]
    corrected = (
        dict(zip(tested, holm(np.array([verdicts[k].p for k in tested], dtype=np.float64)), strict=True))
        if tested
        else {}
    )
    return [_final(one, float(corrected[k]), alpha) if k in corrected else one for k, one in enumerate(verdicts)]


def _final(verdict: Verdict, p: float, alpha: float) -> Verdict:
    unseen = verdict.control_caught is False
    outcome: Outcome = "failed" if p < alpha else "not proven" if unseen else "passed"
    words = verdict.words if outcome == verdict.outcome else f"{verdict.words} ({p:.2g} after Holm)"
    return replace(verdict, outcome=outcome, words=words, evidence={**verdict.evidence, "p_holm": p})


__all__ = ["ALPHA", "finalised"]
