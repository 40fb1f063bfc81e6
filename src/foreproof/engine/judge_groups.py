"""Past cutoffs of a propensity judged group by group: scores, reliability, and what each tenth of a list would have caught."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from foreproof.core.clusters import statistics_of
from foreproof.core.score_binary import reliability
from foreproof.decisions.listed import gains
from foreproof.engine.pairs import P
from foreproof.workloads.propensity import SEGMENT, PropensityPlan

POOLED = "pooled"
RATE = "base_rate"
_SCORES = ("auc", "pr_auc", "lift10", "capture10", "brier", "log_loss", "calibration_mae")


@dataclass(frozen=True, slots=True)
class GroupsJudged:
    """What past cutoffs showed of each group, all of them together; a null group stands for all groups.

    scores: group, `segment` (repeat, whitespace, pooled), `metric` (`base_rate` always, the others where some bought and some did
    not), `value`, `pairs`, `buyers`. reliability: group, `segment`, and the columns of `core.score_binary.reliability`. gains:
    group, `segment`, the columns of `decisions.listed.gains`, and `least`: the lowest chance in that tenth, which is the
    threshold of a list that ends there.
    """

    scores: pl.DataFrame = field(default_factory=pl.DataFrame)
    reliability: pl.DataFrame = field(default_factory=pl.DataFrame)
    gains: pl.DataFrame = field(default_factory=pl.DataFrame)


def judge_groups(plan: PropensityPlan, judged: pl.DataFrame) -> GroupsJudged:
    """Score each group on its own. judged: what was said with what came, as `engine.judge.judged_rows` gives it."""
    group, names = plan.task.group, [plan.task.group, SEGMENT]
    rows: list[tuple[object, ...]] = []
    curves, tenths = [], []
    for segment, name, part in _parts(judged, group):
        at = [pl.lit(name, dtype=pl.String).alias(group), pl.lit(segment).alias(SEGMENT)]
        y, p = part["y"].to_numpy(), part[P].to_numpy()
        buyers, once = float(y.sum()), np.ones(y.size)
        rows.append((name, segment, RATE, buyers / y.size, y.size, buyers))
        curves.append(reliability(y, p).select(*at, pl.all()))
        if 0.0 < buyers < y.size:
            found = statistics_of(y, p, names=_SCORES)
            rows += [(name, segment, metric, score(once), y.size, buyers) for metric, score in found.items()]
            tenth = gains(part, part, entity=plan.task.entity).join(_least(part), on="tenth", how="left")
            tenths.append(tenth.sort("tenth").select(*at, pl.all()))
    schema = {**dict.fromkeys((*names, "metric"), pl.String()), "value": pl.Float64(), "pairs": pl.Int64()}
    return GroupsJudged(
        pl.DataFrame(rows, schema={**schema, "buyers": pl.Float64()}, orient="row"),
        pl.concat(curves) if curves else pl.DataFrame(),
        pl.concat(tenths) if tenths else pl.DataFrame(),
    )


def _parts(judged: pl.DataFrame, group: str) -> Iterator[tuple[str, str | None, pl.DataFrame]]:
    """Segment, group (None for all of them) and their rows, none of them empty."""
    for segment in ("whitespace", "repeat", POOLED):
        here = judged if segment == POOLED else judged.filter(pl.col(SEGMENT) == segment)
        if not here.height:
            continue
        yield segment, None, here
        for (name,), part in here.sort(group, maintain_order=True).group_by([group], maintain_order=True):
            yield segment, str(name), part


def _least(part: pl.DataFrame) -> pl.DataFrame:
    """`tenth`, `least`: the lowest chance in each tenth, the highest chances first."""
    p = np.sort(part[P].to_numpy())[::-1]
    tenth = np.arange(p.size) * 10 // p.size + 1
    frame = pl.DataFrame({"tenth": pl.Series(tenth, dtype=pl.Int64), "least": p})
    return frame.group_by("tenth", maintain_order=True).agg(pl.col("least").min())


__all__ = ["POOLED", "RATE", "GroupsJudged", "judge_groups"]
