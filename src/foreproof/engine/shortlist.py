"""The list now: what a conversion is worth, what is known of each pair, and whom to call."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from foreproof.core.predict import CUTOFF
from foreproof.decisions.listed import badges, capacity_curve, diversity, fairness, overlap, size_segments
from foreproof.decisions.shortlist import BADGE, SEGMENT, Chosen, P, choose
from foreproof.engine.chances import FEWEST_BUYERS
from foreproof.engine.pairs import P as CHANCE
from foreproof.engine.pairs import PairServed
from foreproof.errors import BadInput
from foreproof.workloads.propensity import SEGMENT as KIND
from foreproof.workloads.propensity import WHITESPACE, PropensityPlan, Worth

_PRIOR = 20.0
_CURVE = (0.5, 0.75, 1.0, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class Listed:
    """Whom to call.

    beliefs: every whitespace pair with `p`, `worth`, `segment` (size), `badge`. chosen: see `decisions.shortlist`. curve: several
    lengths. fair: by segment. spread: groups on the list. moves: who came and left against the last list, whose Jaccard index is
    `jaccard`; both empty without one.
    """

    beliefs: pl.DataFrame
    chosen: Chosen
    curve: pl.DataFrame
    fair: pl.DataFrame
    spread: dict[str, float]
    moves: pl.DataFrame
    jaccard: float | None = None


def beliefs_at(plan: PropensityPlan, served: PairServed, accounts: pl.DataFrame) -> pl.DataFrame:
    """The whitespace pairs of a cutoff: entity, `cutoff`, `p`, `worth`, `segment` (small, medium, large), `badge`.

    accounts: account, `spent` up to the cutoff (the size of an account is a third by it). Groups with too few settled buyers have
    the base rate for p and the badge `heuristic`.
    """
    task = plan.task
    rows = served.rows.filter(pl.col(KIND) == WHITESPACE)
    past = served.settled.filter(pl.col(KIND) == WHITESPACE)
    sizes = size_segments(accounts, task.account, "spent")
    marked = rows.join(
        badges(rows, past, group=task.group, fewest=FEWEST_BUYERS).drop("buyers"), on=task.group, how="left"
    )
    p = pl.when(pl.col(BADGE) == "model").then(CHANCE).otherwise("base").alias(P)
    worth = worth_of(served.settled, task.group, plan.worth)
    found = (
        marked.drop(KIND)
        .with_columns(p)
        .join(worth, on=task.group, how="left")
        .join(sizes, on=task.account, how="left")
    )
    usual = float(worth["worth"].mean() or 0.0) if worth.height else 0.0  # type: ignore[arg-type]
    kept = [*task.entity, CUTOFF, P, "worth", SEGMENT, BADGE]
    return found.with_columns(pl.col("worth").fill_null(usual)).select(kept).sort(task.entity)


def worth_of(settled: pl.DataFrame, group: str, worth: Worth) -> pl.DataFrame:
    """Group, `worth`: mean money of a buyer in a label window, drawn to that of all by 20 buyers, x margin x reach."""
    bought = settled.filter(pl.col("y") > 0.5)
    mean = float(bought["money"].mean() or 0.0) if bought.height else 0.0  # type: ignore[arg-type]
    found = bought.group_by(group, maintain_order=True).agg(
        ((pl.col("money").sum() + _PRIOR * mean) / (pl.len() + _PRIOR)).alias("_money")
    )
    margins = dict(worth.margins)
    margin = pl.col(group).replace_strict(margins, default=worth.margin, return_dtype=pl.Float64)
    return found.select(group, (pl.col("_money").clip(0.0) * margin * worth.reach).alias("worth")).sort(group)


def list_now(
    plan: PropensityPlan, served: PairServed, accounts: pl.DataFrame, before: pl.DataFrame | None = None
) -> Listed:
    """The list at a cutoff. before: the last one, to say who came and left."""
    terms = plan.shortlist
    if terms is None:
        raise BadInput("list", found="none in the plan", wanted="a capacity", fix="add list: {top: 0.01}")
    beliefs = beliefs_at(plan, served, accounts)
    entity = plan.task.entity
    if not beliefs.height:
        raise BadInput(
            "list", found="no whitespace pair", wanted="a pair that has not bought", fix="shorten pairs.owned"
        )
    chosen = choose(beliefs, terms, entity=entity)
    counts = sorted({max(1, round(share * chosen.capacity)) for share in _CURVE})
    jaccard, moves = None, pl.DataFrame()
    if before is not None:
        jaccard, moves = overlap(chosen.rows, before, beliefs=beliefs, entity=entity, cool_down=terms.cool_down)
    return Listed(
        beliefs=beliefs,
        chosen=chosen,
        curve=capacity_curve(beliefs, terms, counts, entity=entity),
        fair=fairness(chosen.rows, beliefs, SEGMENT),
        spread=diversity(chosen.rows, plan.task.group),
        moves=moves,
        jaccard=jaccard,
    )


__all__ = ["FEWEST_BUYERS", "Listed", "beliefs_at", "list_now", "worth_of"]
