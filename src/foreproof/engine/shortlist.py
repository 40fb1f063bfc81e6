"""The list now: what a conversion is worth, what is known of each pair, and whom to call."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import polars as pl

from foreproof.core.decide import BECAUSE
from foreproof.core.predict import CUTOFF
from foreproof.decisions.listed import badges, balance, capacity_curve, diversity, fairness, overlap
from foreproof.decisions.shortlist import (
    BADGE,
    CONTACTED,
    FOUND_BY,
    RANK,
    REGION,
    REP,
    SEGMENT,
    VALUE,
    WORTH,
    Chosen,
    ListTerms,
    P,
    choose,
    chosen_rows,
)
from foreproof.decisions.terms import By
from foreproof.engine.challenger import SHADOW
from foreproof.engine.chances import FEWEST_BUYERS
from foreproof.engine.drivers import DRIVERS, drivers_of
from foreproof.engine.known import Known, found_by
from foreproof.engine.pairs import P as CHANCE
from foreproof.engine.pairs import PairServed
from foreproof.errors import BadInput
from foreproof.workloads.propensity import SEGMENT as KIND
from foreproof.workloads.propensity import WHITESPACE, PropensityPlan, Worth

_PRIOR = 20.0
_CURVE = (0.5, 0.75, 1.0, 1.5, 2.0)
_TOPS = (0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Listed:
    """Whom to call.

    beliefs: every whitespace pair, see `beliefs_at`. chosen: see `decisions.shortlist`; its rows have `ranked_by`, and
    `drivers` in their reasons. curve: several lengths. fair: by segment. spread: groups on the list. moves: who came and left
    against the last list, whose Jaccard index is `jaccard`; both empty without one. balance: `dimension`, `name`, `pairs`,
    `expected`, `share` of the list, `of_accounts` (share of accounts asked about), `warning`; warnings: those in words. shadow:
    `top` (share of the list), `pairs`, `overlap` with the challenger's list; empty without a challenger.
    """

    beliefs: pl.DataFrame
    chosen: Chosen
    curve: pl.DataFrame
    fair: pl.DataFrame
    spread: dict[str, float]
    moves: pl.DataFrame
    jaccard: float | None = None
    balance: pl.DataFrame = field(default_factory=pl.DataFrame)
    warnings: tuple[str, ...] = ()
    shadow: pl.DataFrame = field(default_factory=pl.DataFrame)


def beliefs_at(plan: PropensityPlan, served: PairServed, known: Known) -> pl.DataFrame:
    """The whitespace pairs of a cutoff: entity, `cutoff`, `p`, `worth`, `segment`, `badge`, and what else is known.

    That is `rep` and `region` where the plan names them, `contacted` where it names calls, `found_by` where it asks for
    candidates, `shadow` where a challenger is served. Groups with too few settled buyers have the base rate for p and the badge
    `heuristic`.
    """
    task = plan.task
    rows = served.rows.filter(pl.col(KIND) == WHITESPACE)
    past = served.settled.filter(pl.col(KIND) == WHITESPACE)
    marked = rows.join(
        badges(rows, past, group=task.group, fewest=FEWEST_BUYERS).drop("buyers"), on=task.group, how="left"
    )
    p = pl.when(pl.col(BADGE) == "model").then(CHANCE).otherwise("base").alias(P)
    worth = worth_of(served.settled, task.group, plan.worth)
    found = known.of(marked.drop(KIND).with_columns(p).join(worth, on=task.group, how="left"), task.account)
    usual = float(worth["worth"].mean() or 0.0) if worth.height else 0.0  # type: ignore[arg-type]
    found = found.with_columns(pl.col("worth").fill_null(usual)).sort(task.entity)
    if plan.shortlist is not None and plan.shortlist.candidates:
        found = found.with_columns(found_by(found, known.features, plan.shortlist, entity=task.entity))
    kept = [*task.entity, CUTOFF, P, WORTH, SEGMENT, BADGE]
    return found.select(*kept, *(name for name in (REP, REGION, CONTACTED, FOUND_BY, SHADOW) if name in found.columns))


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
    plan: PropensityPlan, served: PairServed, known: Known, before: pl.DataFrame | None = None, *, by: By = "value"
) -> Listed:
    """The list at a cutoff. before: the last one, to say who came and left. by: what it is ranked by (`ranking_at`)."""
    if plan.shortlist is None:
        raise BadInput("list", found="none in the plan", wanted="a capacity", fix="add list: {top: 0.01}")
    terms = replace(plan.shortlist, by=by)
    beliefs = beliefs_at(plan, served, known)
    entity = plan.task.entity
    if not beliefs.height:
        raise BadInput(
            "list", found="no whitespace pair", wanted="a pair that has not bought", fix="shorten pairs.owned"
        )
    chosen = choose(beliefs, terms, entity=entity)
    chosen = replace(chosen, rows=_driven(plan, served, known, chosen.rows, terms))
    counts = sorted({max(1, round(share * chosen.capacity)) for share in _CURVE})
    jaccard, moves = None, pl.DataFrame()
    if before is not None:
        jaccard, moves = overlap(chosen.rows, before, beliefs=beliefs, entity=entity, cool_down=terms.cool_down)
    even, warnings = _balance(chosen.rows, beliefs, plan.task.account)
    return Listed(
        beliefs=beliefs,
        chosen=chosen,
        curve=capacity_curve(beliefs, terms, counts, entity=entity),
        fair=fairness(chosen.rows, beliefs, SEGMENT),
        spread=diversity(chosen.rows, plan.task.group),
        moves=moves,
        jaccard=jaccard,
        balance=even,
        warnings=tuple(warnings),
        shadow=_shadow(beliefs, chosen.rows, terms, entity),
    )


def _driven(
    plan: PropensityPlan, served: PairServed, known: Known, rows: pl.DataFrame, terms: ListTerms
) -> pl.DataFrame:
    """The list with `ranked_by`, and with what drove each chance and what found it in its reasons; a heuristic had no driver."""
    names = list(plan.task.entity)
    white = served.rows.filter(pl.col(KIND) == WHITESPACE)
    features = known.features.join(white, on=names, how="semi", maintain_order="left")
    told = drivers_of(plan, served, features, rows.filter(pl.col(BADGE) == "model"), rows[CUTOFF][0])
    found = rows.join(told, on=names, how="left", maintain_order="left").with_columns(pl.col(DRIVERS).fill_null(""))
    apart = pl.format("; what sets it apart: {}", DRIVERS)
    drove = pl.when(pl.col(DRIVERS) != "").then(apart).otherwise(pl.lit(""))
    guess = pl.when(pl.col(BADGE) == "heuristic").then(pl.lit("; a base rate, for want of buyers to learn from"))
    words = [pl.col(BECAUSE), drove, guess.otherwise(pl.lit(""))]
    if terms.candidates:
        words.append(pl.format("; found by {}", FOUND_BY))
    last = [pl.lit(terms.by).alias("ranked_by"), pl.concat_str(words).alias(BECAUSE)]
    return found.with_columns(last).select(pl.exclude(BECAUSE), BECAUSE)


def _balance(rows: pl.DataFrame, beliefs: pl.DataFrame, account: str) -> tuple[pl.DataFrame, list[str]]:
    """How the list is spread over representatives, regions and segments, each beside its share of accounts."""
    parts, warnings = [], []
    for dimension in (REP, REGION, SEGMENT):
        if dimension not in rows.columns:
            continue
        found, told = balance(rows.drop_nulls(dimension), dimension)
        whole = beliefs.select(account, dimension).unique().drop_nulls()
        shares = whole.group_by(dimension, maintain_order=True).agg((pl.len() / whole.height).alias("of_accounts"))
        shown = shares.join(found, on=dimension, how="left").with_columns(
            pl.col("pairs", VALUE).fill_null(0), pl.col("warning").fill_null("")
        )
        named = [pl.lit(dimension).alias("dimension"), pl.col(dimension).alias("name")]
        share = (pl.col("pairs") / max(rows.height, 1)).alias("share")
        parts.append(shown.select(*named, "pairs", VALUE, share, "of_accounts", "warning").sort("name"))
        warnings += told if dimension != SEGMENT else []
    return (pl.concat(parts) if parts else pl.DataFrame()), warnings


def _shadow(beliefs: pl.DataFrame, rows: pl.DataFrame, terms: ListTerms, entity: tuple[str, str]) -> pl.DataFrame:
    """How much of the top of the list the challenger would have on top of its own, under the same limits."""
    if SHADOW not in beliefs.columns or not rows.height:
        return pl.DataFrame()
    theirs = chosen_rows(beliefs.with_columns(pl.col(SHADOW).fill_null(pl.col(P)).alias(P)), terms, entity=entity)
    found = []
    for share in _TOPS:
        many = max(1, round(share * rows.height))
        ours = rows.filter(pl.col(RANK) <= many)
        both = ours.join(theirs.filter(pl.col(RANK) <= many), on=list(entity), how="semi").height
        found.append((share, ours.height, both / ours.height))
    return pl.DataFrame(found, schema={"top": pl.Float64, "pairs": pl.Int64, "overlap": pl.Float64}, orient="row")


__all__ = ["FEWEST_BUYERS", "SHADOW", "Listed", "beliefs_at", "list_now", "worth_of"]
