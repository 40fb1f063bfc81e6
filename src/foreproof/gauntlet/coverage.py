"""Intervals cover as often as they say: an exact test that knows that errors come in clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy.typing as npt
import polars as pl

from foreproof.core.compare import coverage_interval
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Leak, Outcome, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet import leaks


@dataclass(frozen=True, slots=True)
class Coverage:
    """The exact interval of the observed coverage must hold `nominal`.

    Clopper-Pearson at the effective sample size of Korn & Graubard (1998), clustered by series and by target day: a
    binomial over all points would call every common shock a fault.
    """

    nominal: float = 0.9
    alpha: float = 0.05
    name: str = "coverage"

    @property
    def control(self) -> Leak:
        """Intervals half as wide."""
        return leaks.narrowed

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where the nominal coverage lies outside the interval."""
        built = trial.run()
        try:
            hits = covered(built.forecasts.predictions, built.labels, entity=trial.entity, nominal=self.nominal)
            clusters = (hits["series"].to_numpy(), hits["target"].to_physical().to_numpy())
            found = coverage_interval(hits["hit"].to_numpy(), clusters=clusters, confidence=1 - self.alpha)
        except BadInput as error:
            return Verdict(self.name, "not proven", None, self.nominal, str(error), tier="statistical")
        words = (
            f"{self.nominal:.0%} intervals covered {found.estimate:.1%} of {found.n} outcomes "
            f"(exact {1 - self.alpha:.0%} interval {found.low:.1%} to {found.high:.1%}, "
            f"worth {found.n_effective:.0f} independent ones)"
        )
        outcome: Outcome = "passed" if found.low <= self.nominal <= found.high else "failed"
        evidence = {"low": found.low, "high": found.high, "effective": found.n_effective, "n": found.n}
        p = exact_p(hits["hit"].to_numpy(), clusters, nominal=self.nominal)
        return Verdict(self.name, outcome, found.estimate, self.nominal, words, evidence, tier="statistical", p=p)


def exact_p(hits: npt.ArrayLike, clusters: tuple[npt.ArrayLike, ...], *, nominal: float, halvings: int = 24) -> float:
    """The largest error rate whose interval still holds `nominal`, to 2**-halvings: the p of the exact interval."""
    low, high = 0.0, 1.0
    for _ in range(halvings):
        middle = (low + high) / 2.0
        found = coverage_interval(hits, clusters=clusters, confidence=1.0 - middle)
        low, high = (middle, high) if found.low <= nominal <= found.high else (low, middle)
    return high


def covered(
    predictions: pl.DataFrame, labels: pl.DataFrame, *, entity: tuple[str, ...], nominal: float
) -> pl.DataFrame:
    """`series` (text), `target`, `hit` (0 or 1): whether y lies within the central interval of `nominal` coverage."""
    index = [*entity, CUTOFF, STEP]
    tail = (1 - nominal) / 2
    frames = [
        predictions.filter((pl.col(LEVEL) - level).abs() < 1e-9).select(*index, pl.col(VALUE).alias(name))
        for level, name in ((tail, "low"), (1 - tail, "high"))
    ]
    pairs = labels.join(frames[0], on=index).join(frames[1], on=index)
    if pairs.is_empty():
        raise BadInput(
            "coverage",
            found=f"no outcome with quantiles {tail:g} and {1 - tail:g}",
            wanted=f"both ends of the {nominal:.0%} interval",
            fix="add them to levels",
        )
    series = pl.concat_str([pl.col(name) for name in entity], separator="\x1f") if entity else pl.lit("all")
    hit = pl.col("y").is_between(pl.col("low"), pl.col("high")).cast(pl.Int8)
    return pairs.sort(index).select(series.alias("series"), "target", hit.alias("hit"))


__all__ = ["Coverage", "covered", "exact_p"]
