"""The tables of a propensity run."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from foreproof.app.stages import Work
from foreproof.core.clock import Moment, ticks, time_column
from foreproof.core.mapping_table import group_table
from foreproof.core.predict import CUTOFF
from foreproof.engine.pairs import PairServed

PAIR_KEYS: Mapping[str, tuple[str, ...]] = {
    "chances": (CUTOFF, "segment"),
    "pair_scores": (CUTOFF, "segment", "who", "metric"),
    "pair_gain": ("segment", "metric", "against"),
    "reliability": ("segment", "bin"),
    "reliability_by_month": (CUTOFF, "segment", "bin"),
    "gains": ("segment", "tenth"),
    "base_rates": (CUTOFF, "segment"),
    "group_scores": ("segment", "metric"),
    "group_reliability": ("segment", "bin"),
    "group_gains": ("segment", "tenth"),
    "group_weights": (CUTOFF, "segment", "model"),
    "list_beliefs": (CUTOFF,),
    "calibrators": (CUTOFF, "segment", "calibrator"),
    "blend": (CUTOFF, "segment", "model"),
    "mapping": ("group",),
    "choices": (CUTOFF, "segment"),
    "challenger": (CUTOFF,),
    "folds": ("fold",),
    "fold_counts": ("fold", CUTOFF),
    "cross_validated": (CUTOFF, "segment", "who", "metric"),
    "list": ("rank",),
    "list_prices": ("limit",),
    "list_swaps": ("limit",),
    "list_curve": ("count",),
    "list_fairness": ("segment",),
    "list_moves": ("move",),
    "list_replay": (CUTOFF, "who"),
    "list_gain": ("against", "what"),
    "list_scenarios": ("scenario", "metric"),
    "list_thresholds": (CUTOFF,),
    "list_gains": ("segment", "tenth"),
    "list_balance": ("dimension", "name"),
    "list_shadow": ("top",),
}
"""The tables that only a propensity writes, with what orders their rows beside the entity columns."""


def pair_tables(work: Work) -> dict[str, pl.DataFrame]:
    """What the finished stages made, by name; a table without columns is left out."""
    found: dict[str, pl.DataFrame] = {}
    if work.final is not None:
        found["features"] = work.final.rows
    task = work.project.propensity.task
    if task.mapping is not None and work.database is not None and work.cutoff is not None:
        found["mapping"] = group_table(work.database[task.series.table], task.mapping, at=work.cutoff)
    if work.built is not None:
        found["examples"] = work.built.forecasts.manifest
        found["chances"] = pl.concat([work.chances[c].rows for c in sorted(work.chances, key=ticks)])
        found["calibrators"] = pl.concat([_calibrators(c, one) for c, one in work.chances.items()])
        found["blend"] = pl.concat([_weights(c, one) for c, one in work.chances.items()])
        found["group_weights"] = pl.concat([group_weights(c, one) for c, one in work.chances.items()])
        found["choices"] = pl.concat([_choices(work, c, one) for c, one in work.chances.items()])
    if work.judged is not None:
        found |= {
            "pair_scores": work.judged.scores,
            "pair_gain": work.judged.gain,
            "reliability": work.judged.reliability,
            "reliability_by_month": work.judged.monthly,
            "gains": work.judged.gains,
            "base_rates": work.judged.flags,
            "group_scores": work.judged.groups.scores,
            "group_reliability": work.judged.groups.reliability,
            "group_gains": work.judged.groups.gains,
        }
    if work.challenged is not None:
        found["challenger"] = work.challenged.table
    if work.folds is not None:
        found |= {
            "folds": work.folds.assigned,
            "fold_counts": work.folds.counts,
            "cross_validated": work.folds.scores,
        }
    if work.lists is not None:
        found |= {"list_replay": work.lists.totals, "list_gain": work.lists.gain}
    if work.listed is not None:
        chosen = work.listed.chosen
        found |= {
            "list": chosen.rows,
            "list_beliefs": work.listed.beliefs,
            "list_prices": chosen.prices,
            "list_swaps": chosen.swaps,
            "list_curve": work.listed.curve,
            "list_fairness": work.listed.fair,
            "list_moves": work.listed.moves,
            "list_balance": work.listed.balance,
            "list_shadow": work.listed.shadow,
        }
    if work.recalled is not None:
        found |= {
            "list_scenarios": work.recalled.scenarios,
            "list_thresholds": work.recalled.thresholds,
            "list_gains": work.recalled.gains,
        }
    return {name: frame for name, frame in found.items() if frame.width}


def _calibrators(cutoff: Moment, served: PairServed) -> pl.DataFrame:
    """Each calibrator of each segment: judged forward in time, chosen or refused, and why."""
    parts = []
    for segment, chosen in served.chosen.items():
        table = chosen.summary
        parts.append(table.select(_at(cutoff, table.height), pl.lit(segment).alias("segment"), pl.all()))
    return pl.concat(parts)


def _weights(cutoff: Moment, served: PairServed) -> pl.DataFrame:
    """Each member's weight in each segment's blend."""
    weights = served.weights
    rows = [
        (segment, member, weight)
        for segment in served.chosen
        for member, weight in zip(weights.members, weights.own.get(segment, weights.weights), strict=True)
    ]
    frame = pl.DataFrame(rows, schema={"segment": pl.String, "model": pl.String, "weight": pl.Float64}, orient="row")
    return frame.select(_at(cutoff, frame.height), pl.all())


def group_weights(cutoff: Moment, served: PairServed) -> pl.DataFrame:
    """How far each member speaks in the chance of each group of each segment: one alone, or all by the weights of the blend."""
    chances, weights = served.chances, served.weights
    rows = []
    for (segment, group), choice in chances.own.items():
        of_segment = weights.own.get(segment, weights.weights)
        blended = weights.fine.get(segment, {}).get(group, of_segment)
        alone = choice.estimator in weights.members
        for member, weight in zip(weights.members, blended, strict=True):
            rows.append((segment, group, member, float(member == choice.estimator) if alone else weight))
    words = dict.fromkeys(("segment", chances.group, "model"), pl.String())
    frame = pl.DataFrame(rows, schema={**words, "weight": pl.Float64()}, orient="row")
    return frame.select(_at(cutoff, frame.height), pl.all())


def _choices(work: Work, cutoff: Moment, served: PairServed) -> pl.DataFrame:
    """What each group of each segment believes: policy, estimator, calibrator, how many buyers had settled, and why."""
    plan, table = work.project.propensity, served.chances.table()
    policy = plan.policies.column(plan.task.group).alias("policy")
    first = ["segment", plan.task.group]
    return table.select(_at(cutoff, table.height), *first, policy, pl.all().exclude(first))


def _at(cutoff: Moment, rows: int) -> pl.Series:
    import numpy as np

    return time_column(CUTOFF, np.full(rows, ticks(cutoff), dtype=np.int64), integer=isinstance(cutoff, int))


__all__ = ["PAIR_KEYS", "group_weights", "pair_tables"]
