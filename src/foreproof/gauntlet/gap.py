"""The gap law on the manifest: every label that was learned from or calibrated on had settled at the cutoff served."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from foreproof.core.predict import CUTOFF
from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.gauntlet import leaks


@dataclass(frozen=True, slots=True)
class GapLaw:
    """`Grid.add(example, step) + delay <= cutoff` for every row of the manifest. Exact."""

    name: str = "gap law"

    @property
    def control(self) -> Leak:
        """An example made at the cutoff itself."""
        return leaks.no_purge

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the first example that had not settled; an empty manifest proves nothing."""
        manifest = trial.run().forecasts.manifest
        late = manifest.filter((pl.col("settled") > pl.col(CUTOFF)) | (pl.col("settled") <= pl.col("example")))
        if late.height:
            first = {name: str(value) for name, value in late.row(0, named=True).items()}
            words = f"{late.height} of {manifest.height} examples had not settled; the first: {first}"
            return Verdict(self.name, "failed", float(late.height), 0.0, words, {"row": first, "rows": late.height})
        if manifest.is_empty():
            return Verdict(self.name, "not proven", None, 0.0, "the manifest lists nothing that was learned from")
        roles = dict(manifest.group_by("role").len().sort("role").iter_rows())
        words = ", ".join(f"{count} cutoff x step pairs to {role}" for role, count in roles.items()) + ", all settled"
        return Verdict(self.name, "passed", 0.0, 0.0, words, {"roles": roles})


__all__ = ["GapLaw"]
