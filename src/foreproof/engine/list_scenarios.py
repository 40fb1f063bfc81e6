"""Lists of several lengths at past cutoffs: what each would have caught, by group and rolled up, and how much that varied."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.predict import CUTOFF
from foreproof.core.ratios import ratio_intervals
from foreproof.decisions.shortlist import ListTerms, capacity_of, chosen_rows
from foreproof.engine.line import at
from foreproof.engine.past_lists import PastList
from foreproof.workloads.propensity import PropensityPlan

ALL = "all"
_USUAL = (0.5, 1.0, 2.0)
_METRICS = {
    "pairs": ("_on", "_lists"),
    "buyers": ("_y", "_lists"),
    "precision": ("_y", "_on"),
    "capture": ("_y", "y"),
    "value_capture": ("_money", "money"),
    "revenue": ("_money", "_lists"),
    "margin": ("_margin", "_lists"),
}
"""Each is a ratio of sums over pairs: `_on` is 1 on the list, `_y`, `_money`, `_margin` are what came of a pair on it."""


def list_scenarios(
    plan: PropensityPlan, outcomes: pl.DataFrame, past: Mapping[Moment, PastList], *, seed: int
) -> pl.DataFrame:
    """`scenario`, group (`all` first), `metric`, `value`, `low`, `high`, `least`, `most`, `deviation`, `cutoffs`.

    A scenario is a capacity of the plan's `list.scenarios` (a share of pairs, or pairs), else half, once and twice the list's
    own; all other limits stay. pairs, buyers, revenue (money of buyers), margin (of it): a list. precision: buyers of the pairs
    on it. capture, value_capture: of all buyers, of all their money. value: over all past cutoffs, with the 95% interval of
    draws of whole accounts; least, most, deviation: of the single cutoffs.
    """
    group = plan.task.group
    parts = []
    for cutoff, one in past.items():
        here = outcomes.filter(at(cutoff))
        for name, count in _sizes(one).items() if here.height else ():
            rows = chosen_rows(one.beliefs, one.terms.sized(count), entity=plan.task.entity)
            parts.append(_met(here, rows, plan).with_columns(pl.lit(name).alias("scenario")))
    if not parts:
        return pl.DataFrame()
    met = pl.concat(parts)
    rng_of = np.random.default_rng
    frames = []
    for (name,), part in met.group_by(["scenario"], maintain_order=True):
        rolled = pl.concat([part.with_columns(pl.lit(ALL).alias(group)), part])
        frames.append(_summed(rolled, plan, rng_of(seed)).select(pl.lit(str(name)).alias("scenario"), pl.all()))
    return pl.concat(frames)


def _sizes(one: PastList) -> dict[str, int]:
    """By name, how many pairs each scenario calls at this cutoff."""
    terms, most = one.terms, one.beliefs.height
    if not terms.scenarios:
        own = capacity_of(one.beliefs, terms)
        return {f"{times:g} x the list": min(most, max(1, round(times * own))) for times in _USUAL}
    found = {}
    for size in terms.scenarios:
        name = f"{size:.3%}".rstrip("0%").rstrip(".") + "%" if size < 1.0 else f"{size:g} pairs"
        found[name] = min(most, capacity_of(one.beliefs, _of(terms, size)))
    return found


def _of(terms: ListTerms, size: float) -> ListTerms:
    return ListTerms(top=size) if size < 1.0 else terms.sized(int(size))


def _met(outcomes: pl.DataFrame, rows: pl.DataFrame, plan: PropensityPlan) -> pl.DataFrame:
    """Every pair of a cutoff with what came of it, once on the list and once at all."""
    on = rows.select(*plan.task.entity, pl.lit(1.0).alias("_on"))
    found = outcomes.join(on, on=list(plan.task.entity), how="left", maintain_order="left")
    found = found.with_columns(pl.col("_on").fill_null(0.0))
    return found.with_columns((pl.col("_on") * pl.col(name)).alias(f"_{name}") for name in ("y", "money", "margin"))


def _summed(rows: pl.DataFrame, plan: PropensityPlan, rng: np.random.Generator) -> pl.DataFrame:
    account, group = plan.task.entity
    columns = ["_on", "_y", "_money", "_margin", "y", "money"]
    cutoffs = rows[CUTOFF].n_unique()
    groups = [ALL, *sorted(set(rows[group].to_list()) - {ALL})]
    accounts = rows[account].unique().sort()
    sums = rows.group_by(account, group, maintain_order=True).agg(pl.col(columns).sum())
    wide = np.zeros((len(columns) + 1, accounts.len(), len(groups)))
    place = accounts.search_sorted(sums[account]).to_numpy()
    at_group = sums[group].replace_strict({name: i for i, name in enumerate(groups)}).to_numpy()
    for i, name in enumerate(columns):
        wide[i, place, at_group] = sums[name].to_numpy()
    wide[-1] = cutoffs / accounts.len()  # every account adds its part of the lists, so that a ratio to them is a mean
    of = {name: wide[i] for i, name in enumerate([*columns, "_lists"])}
    above = np.concatenate([of[a] for a, _ in _METRICS.values()], axis=1)
    below = np.concatenate([of[b] for _, b in _METRICS.values()], axis=1)
    ends = [_null(one) for one in ratio_intervals(above, below, rng=rng)]
    keys = [(name, metric) for metric in _METRICS for name in groups]
    found = pl.DataFrame(
        {group: [name for name, _ in keys], "metric": [metric for _, metric in keys]}
        | dict(zip(("value", "low", "high"), ends, strict=True))
    )
    counted = pl.col("metric") == "pairs"  # the plan's number, not one that came about
    found = found.with_columns(pl.when(~counted).then(pl.col(end)).alias(end) for end in ("low", "high"))
    found = found.join(_spread(rows, group), on=[group, "metric"], how="left", maintain_order="left")
    return found.with_columns(pl.lit(cutoffs, dtype=pl.Int64).alias("cutoffs")).sort(
        pl.col(group) != ALL, group, pl.col("metric").replace_strict({m: i for i, m in enumerate(_METRICS)})
    )


def _spread(rows: pl.DataFrame, group: str) -> pl.DataFrame:
    """By group and metric: least, most and standard deviation over the single cutoffs."""
    sums = rows.group_by(group, CUTOFF, maintain_order=True).agg(
        pl.col("_on", "_y", "_money", "_margin", "y", "money").sum(), pl.lit(1.0).alias("_lists")
    )
    ratios = sums.select(
        group, *(pl.when(pl.col(b) > 0).then(pl.col(a) / pl.col(b)).alias(name) for name, (a, b) in _METRICS.items())
    )
    long = ratios.unpivot(index=group, variable_name="metric", value_name="_one")
    return long.group_by(group, "metric", maintain_order=True).agg(
        pl.col("_one").min().alias("least"), pl.col("_one").max().alias("most"), pl.col("_one").std().alias("deviation")
    )


def _null(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> pl.Series:
    return pl.Series(values).fill_nan(None)


__all__ = ["ALL", "list_scenarios"]
