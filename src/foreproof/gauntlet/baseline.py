"""The forecast beats the baseline: Diebold-Mariano on the mean scaled loss per target day."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from foreproof.core.compare import Comparison, diebold_mariano
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Leak, Outcome, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet import leaks


@dataclass(frozen=True, slots=True)
class BeatsBaseline:
    """One-sided p below `alpha`; the loss of a series is its absolute error over its mean absolute demand."""

    alpha: float = 0.05
    name: str = "beats the baseline"

    @property
    def control(self) -> Leak:
        """The baseline served as the forecast, and the forecast called the baseline."""
        return leaks.swapped

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where the gain could be chance; not proven on too few target days."""
        built = trial.run()
        losses = daily_losses(built.forecasts.predictions, built.forecasts.baseline, built.labels, entity=trial.entity)
        try:
            found: Comparison = diebold_mariano(losses["ours"], losses["theirs"], horizon=trial.horizon)
        except BadInput as error:
            return Verdict(self.name, "not proven", None, self.alpha, str(error), tier="statistical")
        gain = -found.mean_difference / losses["theirs"].mean() if losses["theirs"].mean() else 0.0  # type: ignore[operator]
        words = f"loss {gain:.1%} below the baseline's, one-sided p = {found.p_less:.2g} on {found.n} target days"
        outcome: Outcome = "passed" if found.p_less < self.alpha else "failed"
        evidence = {"statistic": found.statistic, "days": found.n, "lags": found.lags, "gain": gain}
        return Verdict(self.name, outcome, found.p_less, self.alpha, words, evidence, tier="statistical")


def daily_losses(
    ours: pl.DataFrame, theirs: pl.DataFrame, labels: pl.DataFrame, *, entity: tuple[str, ...]
) -> pl.DataFrame:
    """`target`, `ours`, `theirs`: mean over series of |error| / mean |y| of the series, by target day, in order.

    A target that several origins predict is one day: their losses are averaged, so no day counts twice.
    """
    index = [*entity, CUTOFF, STEP]
    scale = pl.col("y").abs().mean().over(entity) if entity else pl.col("y").abs().mean()
    pairs = (
        labels.join(_points(ours, index, "ours"), on=index)
        .join(_points(theirs, index, "theirs"), on=index)
        .with_columns(scale.alias("scale"))
        .filter(pl.col("scale") > 0)
        .with_columns(((pl.col(name) - pl.col("y")).abs() / pl.col("scale")).alias(name) for name in ("ours", "theirs"))
    )
    # Sorted, and in order: float sums per thread would differ from run to run.
    return pairs.sort(index).group_by("target", maintain_order=True).agg(pl.col("ours", "theirs").mean()).sort("target")


def _points(predictions: pl.DataFrame, index: list[str], name: str) -> pl.DataFrame:
    return predictions.filter(pl.col(LEVEL).is_null()).select(*index, pl.col(VALUE).alias(name))


__all__ = ["BeatsBaseline", "daily_losses"]
