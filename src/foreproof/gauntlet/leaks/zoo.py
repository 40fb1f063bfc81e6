"""The leak zoo: every leak that we know how to plant, by name, with its source and the checks that should catch it.

Those that escape every check are in it too (`Zoo.escapes`): a list that holds only what is caught would prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from foreproof.core.trial import Kind, Trial
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


__all__ = ["ZOO", "Family", "Workload", "Zoo", "plantable", "planted", "zoo_leak"]
