"""Past cutoffs of a propensity judged by what came: scores with intervals, reliability, gains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.clusters import Bootstrap, cluster_bootstrap, statistics_of
from foreproof.core.grid import Grid
from foreproof.core.predict import CUTOFF
from foreproof.core.score_binary import reliability
from foreproof.core.trial import Built
from foreproof.decisions.listed import gains
from foreproof.engine.judge_groups import POOLED, GroupsJudged, judge_groups
from foreproof.engine.pairs import BASE, RAW, P, PairServed
from foreproof.errors import BadInput
from foreproof.workloads.propensity import SEGMENT, WHITESPACE, PropensityPlan, check_cutoff

OURS, EVERY = "foreproof", "all"
_HELD = ("auc", "capture10", "brier", "log_loss")
_SCORES = ("auc", "pr_auc", "lift10", "capture10", "brier", "log_loss", "calibration_mae")


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """What past cutoffs showed.

    scores: `cutoff` (text, `all` for all of them), `segment` (repeat, whitespace, pooled), `who`, `metric`, `value`, `low`,
    `high` (ours over all cutoffs, segments apart; else null), `pairs`, `buyers`. gain: `segment`, `metric`, `against`, `value`,
    `low`, `high`: ours less theirs, paired, accounts drawn. reliability: `segment` and `core.score_binary.reliability`; monthly:
    the same by `cutoff` (text). gains: `segment`, tenths. flags: `cutoff`, `segment`, `rate`, `buyers`, `flag`. groups: each
    group on its own.
    """

    scores: pl.DataFrame
    gain: pl.DataFrame
    reliability: pl.DataFrame
    monthly: pl.DataFrame
    gains: pl.DataFrame
    flags: pl.DataFrame
    groups: GroupsJudged = field(default_factory=GroupsJudged)

    def value(self, metric: str, *, segment: str = WHITESPACE, who: str = OURS) -> float:
        """One score over all past cutoffs; NaN where it was not judged."""
        named = (
            pl.col("metric") == metric,
            pl.col("segment") == segment,
            pl.col("who") == who,
            pl.col(CUTOFF) == EVERY,
        )
        found = self.scores.filter(*named)["value"]
        return float(found[0]) if found.len() else float("nan")


def judge_pairs(plan: PropensityPlan, built: Built, served: Mapping[Moment, PairServed], *, seed: int) -> JudgedPairs:
    """Score every past cutoff, repeat and whitespace pairs apart and pooled."""
    judged = judged_rows(plan, built, served)
    rng = np.random.default_rng(seed)
    scores, gain, curves, monthly = [], [], [], []
    members = [model.name for model in plan.models]
    for segment in (WHITESPACE, "repeat", POOLED):
        part = judged if segment == POOLED else judged.filter(pl.col(SEGMENT) == segment)
        # intervals where they are read: over all cutoffs, and not for the pooled figure, which oversells
        drawn = _drawn(plan, part, members, rng) if segment != POOLED else None
        for cutoff in [*part[CUTOFF].unique(maintain_order=True).to_list(), None]:
            here = part if cutoff is None else part.filter(pl.col(CUTOFF) == cutoff)
            scores += _scores(plan, here, segment, cutoff, members, drawn if cutoff is None else None)
            if cutoff is not None and segment != POOLED:
                at = (pl.lit(plan.task.series.grid.say(cutoff)).alias(CUTOFF), pl.lit(segment).alias(SEGMENT))
                monthly.append(reliability(here["y"].to_numpy(), here[P].to_numpy()).select(*at, pl.all()))
        gain += _gains(segment, drawn)
        if part.height:
            curve = reliability(part["y"].to_numpy(), part[P].to_numpy())
            curves.append(curve.select(pl.lit(segment).alias(SEGMENT), pl.all()))
    tenths = gains(judged, judged, entity=plan.task.entity, by=SEGMENT) if judged.height else pl.DataFrame()
    texts, numbers = (CUTOFF, SEGMENT, "who", "metric"), ("value", "low", "high", "pairs", "buyers")
    schema = {**dict.fromkeys(texts, pl.String()), **dict.fromkeys(numbers, pl.Float64())}
    words = {**dict.fromkeys((SEGMENT, "metric", "against"), pl.String()), **dict.fromkeys(numbers[:3], pl.Float64())}
    return JudgedPairs(
        scores=pl.DataFrame(scores, schema=schema, orient="row"),
        gain=pl.DataFrame(gain, schema=words, orient="row"),
        reliability=pl.concat(curves) if curves else pl.DataFrame(),
        monthly=pl.concat(monthly) if monthly else pl.DataFrame(),
        gains=tenths,
        flags=_flags(judged, plan.task.series.grid),
        groups=judge_groups(plan, judged),
    )


def judged_rows(plan: PropensityPlan, built: Built, served: Mapping[Moment, PairServed]) -> pl.DataFrame:
    """What was said at each cutoff with what came: the columns of `PairServed.rows`, `y`, `money`."""
    if not served:
        raise BadInput("backtest", found="no past cutoff", wanted="at least one", fix="raise backtest.origins")
    keys = [*plan.task.entity, CUTOFF]
    said = pl.concat([served[c].rows for c in sorted(served, key=ticks)])
    return said.join(built.labels.select(*keys, "y", "money"), on=keys, how="inner", maintain_order="left")


def _drawn(plan: PropensityPlan, rows: pl.DataFrame, members: list[str], rng: np.random.Generator) -> Bootstrap | None:
    """Every score of ours, and those that ours are held against, on the same draws of accounts; None without both outcomes."""
    if not _both(rows):
        return None
    y = rows["y"].to_numpy()
    others = {BASE: BASE, **{name: name for name in members}}
    statistics = {
        f"{name}:{metric}": score
        for name, column in {OURS: P, **others}.items()
        for metric, score in statistics_of(y, rows[column].to_numpy(), names=_SCORES if name == OURS else _HELD).items()
    }
    pairs = [(f"{OURS}:{metric}", f"{name}:{metric}") for name in others for metric in _HELD]
    return cluster_bootstrap(rows[plan.task.account].to_numpy(), statistics, rng=rng, pairs=pairs)


def _both(rows: pl.DataFrame) -> bool:
    return rows.height > 0 and 0.0 < float(rows["y"].sum()) < rows.height


def _scores(
    plan: PropensityPlan,
    rows: pl.DataFrame,
    segment: str,
    cutoff: Moment | None,
    members: list[str],
    drawn: Bootstrap | None,
) -> list[tuple[object, ...]]:
    if not _both(rows):
        return []
    y, at = rows["y"].to_numpy(), EVERY if cutoff is None else plan.task.series.grid.say(cutoff)
    found: list[tuple[object, ...]] = []
    buyers, once = float(y.sum()), np.ones(y.size)
    for who, column in {OURS: P, BASE: BASE, RAW: RAW, **{name: name for name in members}}.items():
        for metric, score in statistics_of(y, rows[column].to_numpy(), names=_SCORES).items():
            held = drawn.intervals[f"{OURS}:{metric}"] if drawn and who == OURS else None
            value = held.estimate if held else score(once)
            ends = (held.low, held.high) if held else (None, None)
            found.append((at, segment, who, metric, value, *ends, float(rows.height), buyers))
    return found


def _gains(segment: str, drawn: Bootstrap | None) -> list[tuple[object, ...]]:
    """Ours less each other."""
    return [
        (segment, a.partition(":")[2], b.partition(":")[0], found.estimate, found.low, found.high)
        for (a, b), found in (drawn.differences if drawn else {}).items()
    ]


def _flags(judged: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    """Base rates by cutoff and segment, and what is wrong with them."""
    rates = judged.group_by(CUTOFF, SEGMENT, maintain_order=True).agg(
        pl.col("y").mean().alias("rate"), pl.col("y").sum().alias("buyers")
    )
    said = [check_cutoff(rate, int(buyers)) for rate, buyers in rates.select("rate", "buyers").iter_rows()]
    named = pl.Series(CUTOFF, [grid.say(cutoff) for cutoff in rates[CUTOFF].to_list()], dtype=pl.String)
    return rates.with_columns(named, pl.Series("flag", said, dtype=pl.String))


__all__ = ["EVERY", "OURS", "POOLED", "JudgedPairs", "judge_pairs", "judged_rows"]
