"""Champion and challenger: two pipelines on the same pairs, and a rule that says when the second has earned its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.clusters import cluster_bootstrap, statistics_of
from foreproof.core.predict import CUTOFF
from foreproof.core.trial import Built
from foreproof.engine.chances import P
from foreproof.engine.judge import judged_rows
from foreproof.engine.pairs import PairServed
from foreproof.errors import BadInput
from foreproof.workloads.propensity import SEGMENT, WHITESPACE, PropensityPlan

SHADOW = "shadow"
METRIC = "capture10"
PROMOTED_AT = 3
"""Past cutoffs at which the challenger must be surely ahead."""


@dataclass(frozen=True, slots=True)
class Challenged:
    """What past cutoffs say of the challenger.

    table: `cutoff` (text), `segment`, `metric`, `champion`, `challenger`, `gain` (the challenger's less the champion's), `low`,
    `high`, `ahead` (the interval lies above zero), `pairs`, `buyers`, `why` (empty unless it could not be judged).
    promoted: whether it is ahead at `PROMOTED_AT` cutoffs or more. words: the verdict with its rule.
    """

    table: pl.DataFrame
    promoted: bool
    words: str


def shadowed(
    champion: Mapping[Moment, PairServed], challenger: Mapping[Moment, PairServed]
) -> dict[Moment, PairServed]:
    """What is served with the challenger's chance of each pair as a column `shadow`. Both have the same pairs at each cutoff."""
    found = {}
    for cutoff, served in champion.items():
        keys = served.rows.columns[: served.rows.columns.index(SEGMENT)]
        theirs = challenger[cutoff].rows.select(*keys, pl.col(P).alias(SHADOW))
        found[cutoff] = replace(served, rows=served.rows.join(theirs, on=keys, how="left", maintain_order="left"))
    return found


def judge_challenger(
    plan: PropensityPlan, built: Built, served: Mapping[Moment, PairServed], *, seed: int, replicates: int = 1000
) -> Challenged:
    """Both on the whitespace pairs of each past cutoff: buyers caught in the best tenth, paired, whole accounts drawn.

    served: with `shadow`. Promoted only where the 95% interval of the gain lies above zero at three cutoffs or more; nothing is
    swapped by that: the words say what to write into the plan.
    """
    grid, rng = plan.task.series.grid, np.random.default_rng(seed)
    judged = judged_rows(plan, built, served).filter(pl.col(SEGMENT) == WHITESPACE)
    rows: list[tuple[object, ...]] = []
    for cutoff in sorted(served, key=ticks):
        here = judged.filter(pl.col(CUTOFF).to_physical() == ticks(cutoff))
        y = here["y"].to_numpy()
        sides: list[object] = [None] * 5
        ahead, why = False, ""
        try:
            statistics = {
                name: statistics_of(y, here[name].to_numpy(), names=(METRIC,))[METRIC] for name in (P, SHADOW)
            }
            drawn = cluster_bootstrap(
                here[plan.task.account].to_numpy(),
                statistics,
                rng=rng,
                pairs=[(SHADOW, P)],
                replicates=replicates,
            )
            gain = drawn.differences[SHADOW, P]
            sides = [drawn.intervals[P].estimate, drawn.intervals[SHADOW].estimate, gain.estimate, gain.low, gain.high]
            ahead = gain.low > 0.0
        except BadInput as error:
            why = f"not judged: {error.found}"
        rows.append((grid.say(cutoff), WHITESPACE, METRIC, *sides, ahead, here.height, float(y.sum()), why))
    words, numbers = pl.String(), dict.fromkeys(("champion", "challenger", "gain", "low", "high"), pl.Float64())
    schema = {CUTOFF: words, SEGMENT: words, "metric": words, **numbers, "ahead": pl.Boolean()}
    table = pl.DataFrame(
        rows, schema={**schema, "pairs": pl.Int64(), "buyers": pl.Float64(), "why": words}, orient="row"
    )
    promoted = int(table["ahead"].sum()) >= PROMOTED_AT
    return Challenged(table, promoted, _words(table, promoted))


def _words(table: pl.DataFrame, promoted: bool) -> str:
    ahead = int(table["ahead"].sum())
    rule = f"promoted only where the interval of its gain lies above zero at {PROMOTED_AT} past cutoffs or more"
    found = f"The challenger is surely ahead at {ahead} of {table.height} past cutoffs ({rule})"
    if promoted:
        return f"{found}: promoted. To serve it, write its settings into the plan in place of the champion's."
    return f"{found}: not promoted; the champion stays."


__all__ = ["PROMOTED_AT", "SHADOW", "Challenged", "judge_challenger", "shadowed"]
