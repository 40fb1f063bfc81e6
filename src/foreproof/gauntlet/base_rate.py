"""Guards: a hold-out whose outcomes have not all come, or whose outcome is so rare or so common that scores say little."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Leak, Outcome, Trial, Verdict
from foreproof.gauntlet.leaks.planted import censored


@dataclass(frozen=True, slots=True)
class BaseRate:
    """The share of rows without a label, at cutoffs that have labels, is at most `missing`; the rate of 1 is within [low, high].

    Figures of the labels themselves, no sample and no p. A cutoff without any label is censored as a whole: it is left out, and
    a warning says so.
    """

    low: float = 0.002
    high: float = 0.5
    missing: float = 0.1
    name: str = "base rate"

    @property
    def control(self) -> Leak:
        """Every second label missing."""
        return censored

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where labels are missing or the rate is out of bounds."""
        built = trial.run()
        index = [*trial.entity, CUTOFF, STEP]
        labels = built.labels.drop_nulls("y")
        if labels.is_empty():
            return Verdict(self.name, "not proven", None, self.missing, "no label is there yet", tier="statistical")
        rows = built.rows.select(index)
        empty = rows.select(CUTOFF).unique().join(labels.select(CUTOFF).unique(), on=CUTOFF, how="anti").height
        judged = rows.join(labels.select(CUTOFF).unique(), on=CUTOFF, how="semi")
        absent = judged.join(labels.select(index), on=index, how="anti").height / max(1, judged.height)
        rate = float(labels.select(pl.col("y").cast(pl.Float64).mean()).item())
        faults = []
        if absent > self.missing:
            faults.append(f"{absent:.1%} of {judged.height} judged rows have no label")
        if trial.kind == "chance" and not self.low <= rate <= self.high:
            faults.append(f"a base rate of {rate:.2%}, outside {self.low:.1%} to {self.high:.0%}")
        outcome: Outcome = "failed" if faults else "passed"
        said = f"base rate {rate:.2%}" if trial.kind == "chance" else f"mean {rate:.4g}"
        words = "; ".join(faults) or f"{said}, {absent:.1%} of {judged.height} rows without a label"
        by_cutoff = labels.sort(index).group_by(CUTOFF, maintain_order=True).agg(pl.col("y").cast(pl.Float64).mean())
        evidence = {
            "rate": rate,
            "absent": absent,
            "by_cutoff": [{"cutoff": str(cutoff), "mean": mean} for cutoff, mean in by_cutoff.iter_rows()],
        }
        warning = f"{empty} cutoffs have no label yet and are not judged" if empty else ""
        return Verdict(self.name, outcome, absent, self.missing, words, evidence, tier="statistical", warning=warning)


__all__ = ["BaseRate"]
