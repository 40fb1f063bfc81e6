"""Faults that statistical checks must catch: each takes a trial and returns one that a named check must fail."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Forecasts, Trial
from foreproof.gauntlet.leaks.altered import with_forecasts


def swapped(trial: Trial) -> Trial:
    """Serves the baseline as if it were the forecast, and calls the forecast the baseline."""

    def fault(forecasts: Forecasts) -> Forecasts:
        points = forecasts.predictions.filter(pl.col(LEVEL).is_null())
        return replace(forecasts, predictions=forecasts.baseline, baseline=points)

    return with_forecasts(trial, fault)


def narrowed(trial: Trial) -> Trial:
    """Intervals half as wide about the median as they were calibrated."""

    def fault(forecasts: Forecasts) -> Forecasts:
        index = [*trial.entity, CUTOFF, STEP]
        predictions = forecasts.predictions
        middle = predictions.filter(pl.col(LEVEL) == 0.5).select(*index, pl.col(VALUE).alias("middle"))
        halved = (
            predictions.join(middle, on=index, how="left", maintain_order="left")
            .with_columns(
                pl.when(pl.col(LEVEL).is_null())
                .then(VALUE)
                .otherwise((pl.col(VALUE) + pl.col("middle")) / 2)
                .alias(VALUE)
            )
            .drop("middle")
        )
        return replace(forecasts, predictions=halved)

    return with_forecasts(trial, fault)


def overconfident(trial: Trial) -> Trial:
    """Probabilities twice as far from one half, on the scale of log odds."""

    def fault(forecasts: Forecasts) -> Forecasts:
        p = pl.col(VALUE).clip(1e-9, 1.0 - 1e-9)
        odds = (p / (1.0 - p)) ** 2
        return replace(forecasts, predictions=forecasts.predictions.with_columns((odds / (1.0 + odds)).alias(VALUE)))

    return with_forecasts(trial, fault)


__all__ = ["narrowed", "overconfident", "swapped"]
