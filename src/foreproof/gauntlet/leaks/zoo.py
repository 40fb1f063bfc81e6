"""The leak zoo: every leak that we know how to plant, by name, with its source and the checks that should catch it.

Those that escape every check are in it too (`Zoo.escapes`): a list that holds only what is caught would prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import polars as pl

from foreproof.core.trial import Kind, Trial
from foreproof.core.view import Database
from foreproof.errors import BadInput
from foreproof.gauntlet.leaks.zoo_features import FEATURES
from foreproof.gauntlet.leaks.zoo_markets import MARKET_LEAKS
from foreproof.gauntlet.leaks.zoo_population import POPULATION
from foreproof.gauntlet.leaks.zoo_splits import SPLITS
from foreproof.gauntlet.leaks.zoo_tools import Family, Workload, Zoo

ZOO: Mapping[str, Zoo] = MappingProxyType({one.name: one for one in (*SPLITS, *FEATURES, *POPULATION, *MARKET_LEAKS)})

_WORKLOADS: Mapping[Kind, Workload] = {"quantity": "forecast", "chance": "propensity"}


def zoo_leak(name: str) -> Zoo:
    """One leak by name. Raises BadInput for a name that is not in the zoo."""
    if name not in ZOO:
        raise BadInput("zoo", found=f"no leak {name!r}", wanted=f"one of {', '.join(ZOO)}")
    return ZOO[name]


def plantable(kind: Kind) -> tuple[Zoo, ...]:
    """The leaks that can be planted into a trial of a kind of label, in order."""
    return tuple(one for one in ZOO.values() if one.plant is not None and _WORKLOADS[kind] in one.workloads)


def planted(name: str, trial: Trial) -> Trial:
    """A trial with a leak of the zoo in it. Raises BadInput for one that cannot be planted into it."""
    leak = zoo_leak(name)
    if leak.plant is None or _WORKLOADS[trial.kind] not in leak.workloads:
        able = ", ".join(one.name for one in plantable(trial.kind))
        raise BadInput(f"zoo: {name}", found=f"a leak of {', '.join(leak.workloads)}", wanted=f"one of {able}")
    return leak.plant(trial)


def leaks_nothing(name: str, trial: Trial, spoiled: Trial) -> bool:
    """Whether planting a leak into a trial has leaked nothing on its data: no gap to fill, no fact on the cutoff's day.

    So it is where tables, log, population, rows, labels, predictions and manifest are, bit for bit, those of the leak's honest
    twin, but for added columns that hold one value in every row. What no check could see, because there is nothing to see, is no
    escape. Forecasts are made where all else is the same.
    """
    twin = zoo_leak(name).twin
    honest = trial if twin is None else twin(trial)
    if not _same_tables(spoiled.database, honest.database):
        return False
    logs = [one.witness.database for one in (spoiled, honest) if one.witness is not None]
    if len(logs) == 2 and not _same_tables(*logs):
        return False
    ours, theirs = spoiled.run(), honest.run()
    if not all(getattr(ours, part).equals(getattr(theirs, part)) for part in ("entities", "labels")):
        return False
    added = [name for name in ours.rows.columns if name not in theirs.rows.columns]
    if not (ours.rows.drop(added).equals(theirs.rows) and _tell_nothing(spoiled, added)):
        return False
    said, told = ours.forecasts, theirs.forecasts
    frames = [(getattr(said, part), getattr(told, part)) for part in ("predictions", "baseline", "manifest", "folds")]
    return all(one.equals(other) if one is not None and other is not None else one is other for one, other in frames)


def _tell_nothing(trial: Trial, names: Sequence[str]) -> bool:
    """Whether columns hold one value each, at every cutoff and built at each cutoff alone."""
    if not names:
        return True
    rows = [trial.run().rows.select(names), *(trial.at(cutoff).rows.select(names) for cutoff in trial.cutoffs)]
    return all(column.n_unique() <= 1 for column in pl.concat(rows))


def _same_tables(ours: Database, theirs: Database) -> bool:
    if ours is theirs:
        return True
    return set(ours.tables) == set(theirs.tables) and all(
        table.rows.equals(theirs[name].rows) for name, table in ours.tables.items()
    )


__all__ = ["ZOO", "Family", "Workload", "Zoo", "leaks_nothing", "plantable", "planted", "zoo_leak"]
