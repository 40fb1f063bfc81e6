"""A pipeline with one thing changed: what the planted faults are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from foreproof.core.clock import Moment
from foreproof.core.trial import Built, Forecasts, Trial
from foreproof.core.view import Database


def with_forecasts(trial: Trial, fault: Callable[[Forecasts], Forecasts]) -> Trial:
    """The trial with its own forecasts, made anew and then altered; nothing is fitted before they are asked for."""

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        built = trial.build(database, cutoffs, seed)
        return replace(built, forecast=lambda: fault(built.forecasts))

    return trial.with_build(build)


def with_built(trial: Trial, fault: Callable[[Built, Database], Built]) -> Trial:
    """The trial with what it built, altered with an eye on the database that it was built from."""

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        return fault(trial.build(database, cutoffs, seed), database)

    return trial.with_build(build)


__all__ = ["with_built", "with_forecasts"]
