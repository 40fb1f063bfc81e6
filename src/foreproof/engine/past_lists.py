"""Lists called at past cutoffs as they would have been made there, and what came of them: replays, scenarios, thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.compare import Interval
from foreproof.core.decide import Floats
from foreproof.core.predict import CUTOFF
from foreproof.core.score_binary import calibration_mae
from foreproof.decisions.listed import gains, realised, saved_by_account
from foreproof.decisions.shortlist import SEGMENT, WORTH, ListTerms, chosen_rows
from foreproof.decisions.terms import By
from foreproof.engine.judge import OURS
from foreproof.engine.known import Known
from foreproof.engine.line import at, settle_ticks
from foreproof.engine.pairs import BASE, RAW, P, PairServed
from foreproof.engine.shortlist import beliefs_at
from foreproof.errors import ForeproofError
from foreproof.workloads.propensity import SEGMENT as KIND
from foreproof.workloads.propensity import WHITESPACE, PropensityPlan

POPULAR, PLAIN, LAST, RECENT = "popularity", "chance alone", "last list", "recency"


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a list is ranked by, and why. error: of chances at whitespace pairs judged before; None where none were."""

    by: By
    error: float | None
    why: str


@dataclass(frozen=True, slots=True)
class PastList:
    """A list as it would have been made at a past cutoff.

    rows: the pairs. beliefs: all that it was chosen from, with `idle` of the account, `raw` and `base`. terms: its limits there.
    ranking: by what.
    """

    rows: pl.DataFrame
    beliefs: pl.DataFrame
    terms: ListTerms
    ranking: Ranking


@dataclass(frozen=True, slots=True)
class ReplayedLists:
    """Lists chosen at past cutoffs, ours and others of the same length, judged by what came.

    totals: `who`, `cutoff`, `pairs`, `buyers`, `precision`, `capture`, `money`, `value_capture`, `margin` (money x margin). gain:
    `against`, `what` (`y`, `money` or `margin`), `value`, `low`, `high`: ours less theirs over all cutoffs, accounts drawn.
    """

    totals: pl.DataFrame
    gain: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Recalled:
    """What past lists say of the newest: its ranking, `thresholds`, gains by segment, and scenarios (`list_scenarios`)."""

    ranking: Ranking
    thresholds: pl.DataFrame
    gains: pl.DataFrame
    scenarios: pl.DataFrame


def ranking_at(plan: PropensityPlan, judged: pl.DataFrame, cutoff: Moment) -> Ranking:
    """By value only while chances are right: the calibration error of whitespace pairs judged by the cutoff within the plan's
    limit.

    judged: what was said at cutoffs and what came. Only labels that had settled at the cutoff count; before any had, the plan's
    own choice stands.
    """
    terms, limit = plan.shortlist, plan.proof.calibration
    if terms is None or terms.by == "capture":
        return Ranking("capture", None, "by chance, as the plan asks")
    seen = judged.filter(
        pl.Series(settle_ticks(plan.task, judged) <= ticks(cutoff), dtype=pl.Boolean), pl.col(KIND) == WHITESPACE
    )
    if not seen.height:
        return Ranking("value", None, "by expected value: no past list had been judged yet")
    error = calibration_mae(seen["y"].to_numpy(), seen[P].to_numpy())
    if error > limit:
        words = (
            f"by chance, not by value: chances were off by {error:.3f} at past cutoffs, above the limit of {limit:g}"
        )
        return Ranking("capture", error, words)
    return Ranking(
        "value", error, f"by expected value: chances were off by {error:.3f} at past cutoffs, limit {limit:g}"
    )


def past_lists(
    plan: PropensityPlan, judged: pl.DataFrame, served: Mapping[Moment, PairServed], known: Mapping[Moment, Known]
) -> dict[Moment, PastList]:
    """The list of each past cutoff, from what was known there. Raises what `choose` raises, with the cutoff's name."""
    found = {}
    for cutoff in sorted(served, key=ticks):
        if plan.shortlist is None:
            break
        ranking = ranking_at(plan, judged, cutoff)
        beliefs = beliefs_at(plan, served[cutoff], known[cutoff])
        extra = served[cutoff].rows.select(*plan.task.entity, RAW, BASE)
        idle = known[cutoff].accounts.select(plan.task.account, "idle")
        groups, segments = set(beliefs[plan.task.group].to_list()), set(beliefs[SEGMENT].to_list())
        try:
            terms = replace(plan.shortlist.known(groups, segments), by=ranking.by)
            rows = chosen_rows(beliefs, terms, entity=plan.task.entity)
        except ForeproofError as error:
            error.subject = f"{error.subject} at {plan.task.series.grid.say(cutoff)}"
            raise
        beliefs = beliefs.join(extra, on=list(plan.task.entity), how="left", maintain_order="left")
        beliefs = beliefs.join(idle, on=plan.task.account, how="left", maintain_order="left")
        found[cutoff] = PastList(rows, beliefs, terms, ranking)
    return found


def outcomes_of(plan: PropensityPlan, judged: pl.DataFrame) -> pl.DataFrame:
    """Whitespace pairs of judged cutoffs: entity, `cutoff`, `y`, `money`, `margin` (money x the group's margin)."""
    white = judged.filter(pl.col(KIND) == WHITESPACE)
    margins = dict(plan.worth.margins)
    kept = pl.col(plan.task.group).replace_strict(margins, default=plan.worth.margin, return_dtype=pl.Float64)
    return white.select(*plan.task.entity, CUTOFF, "y", "money", (pl.col("money") * kept).alias("margin"))


def replay_lists(
    plan: PropensityPlan, outcomes: pl.DataFrame, past: Mapping[Moment, PastList], *, seed: int
) -> ReplayedLists:
    """Our past lists against those by popularity, by recency, by the blend's chance alone, and our own of the cutoff before.

    Every other list is as long, and of the same pairs. popularity: the highest base rates. recency: accounts that bought last,
    their groups by base rate.
    """
    entity = plan.task.entity
    judged: dict[Moment, pl.DataFrame] = {}
    chosen: dict[str, dict[Moment, pl.DataFrame]] = {}
    before: pl.DataFrame | None = None
    for cutoff, one in past.items():
        here = outcomes.filter(at(cutoff))
        if not here.height:
            continue
        judged[cutoff] = here
        ours, count = one.rows.select(*entity, CUTOFF), one.rows.height
        sides = {
            OURS: ours,
            POPULAR: _top(one.beliefs, [BASE], [True], count, entity),
            RECENT: _top(one.beliefs, ["idle", BASE], [False, True], count, entity),
            PLAIN: _top(one.beliefs, [RAW], [True], count, entity),
        }
        if before is not None:
            sides[LAST] = before.drop(CUTOFF).join(here.select(CUTOFF).head(1), how="cross")
        for who, rows in sides.items():
            chosen.setdefault(who, {})[cutoff] = rows
        before = ours
    names = ("pairs", "buyers", "precision", "capture", "money", "value_capture")
    say = plan.task.series.grid.say
    found = []
    for who, parts in chosen.items():
        for cutoff, rows in parts.items():
            met = realised(rows, judged[cutoff], entity=entity)
            kept = judged[cutoff].join(rows, on=list(entity), how="semi", maintain_order="left")["margin"].sum()
            found.append((who, say(cutoff), *(met[name] for name in names), float(kept)))
    schema = {"who": pl.String(), CUTOFF: pl.String(), **dict.fromkeys((*names, "margin"), pl.Float64())}
    return ReplayedLists(pl.DataFrame(found, schema=schema, orient="row"), _gain(chosen, judged, entity, seed))


def thresholds(plan: PropensityPlan, past: Mapping[Moment, PastList], now: PastList, cutoff: Moment) -> pl.DataFrame:
    """What it took to be on each list: `cutoff`, `ranked_by`, `pairs`, `least` (the lowest value, or chance, on it), `stands`.

    stands: of the newest list, `inside` or `outside` the range of the past ones with the same ranking, widened by their standard
    deviation (few lists show little of what is usual); `alone` without any.
    """
    rows = []
    for when, one in [*past.items(), (cutoff, now)]:
        value = pl.col(P) * pl.col(WORTH) if one.ranking.by == "value" else pl.col(P)
        least = one.rows.select(value.min()).item() if one.rows.height else None
        rows.append((plan.task.series.grid.say(when), one.ranking.by, one.rows.height, least))
    schema = {CUTOFF: pl.String(), "ranked_by": pl.String(), "pairs": pl.Int64(), "least": pl.Float64()}
    found = pl.DataFrame(rows, schema=schema, orient="row")
    alike = found.head(found.height - 1).filter(pl.col("ranked_by") == now.ranking.by)["least"].drop_nulls()
    last = found["least"][-1]
    stands = "alone"
    if alike.len() and last is not None:
        spread, values = float(alike.std() or 0.0), alike.to_list()  # type: ignore[arg-type]
        stands = "inside" if min(values) - spread <= last <= max(values) + spread else "outside"
    return found.with_columns(pl.Series("stands", [*[""] * (found.height - 1), stands], dtype=pl.String))


def list_gains(plan: PropensityPlan, outcomes: pl.DataFrame, past: Mapping[Moment, PastList]) -> pl.DataFrame:
    """The gains table of whitespace pairs by segment of account, over all past cutoffs: see `decisions.listed.gains`."""
    if not past or not outcomes.height:
        return pl.DataFrame()
    beliefs = pl.concat([one.beliefs.select(*plan.task.entity, CUTOFF, P, SEGMENT) for one in past.values()])
    return gains(beliefs, outcomes, entity=plan.task.entity, by=SEGMENT)


def _top(
    rows: pl.DataFrame, by: Sequence[str], falling: Sequence[bool], count: int, entity: tuple[str, str]
) -> pl.DataFrame:
    return rows.sort(*by, *entity, descending=[*falling, False, False]).head(count).select(*entity, CUTOFF)


def _gain(
    chosen: Mapping[str, Mapping[Moment, pl.DataFrame]],
    outcomes: Mapping[Moment, pl.DataFrame],
    entity: tuple[str, str],
    seed: int,
) -> pl.DataFrame:
    """Ours less each other over the cutoffs that both have."""
    rng = np.random.default_rng(seed)
    rows = []
    for who in (name for name in chosen if name != OURS):
        both = list(chosen[who])
        ours, theirs, truth = (pl.concat([side[c] for c in both]) for side in (chosen[OURS], chosen[who], outcomes))
        for what in ("y", "money", "margin"):
            saved = saved_by_account(ours, theirs, truth, entity=entity, what=what)
            found = _mean_interval(saved, rng)
            rows.append((who, what, found.estimate * saved.size, found.low * saved.size, found.high * saved.size))
    schema = {"against": pl.String(), "what": pl.String(), **dict.fromkeys(("value", "low", "high"), pl.Float64())}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _mean_interval(values: Floats, rng: np.random.Generator, replicates: int = 1000) -> Interval:
    """The mean with a 95% percentile interval that draws accounts with replacement."""
    drawn = rng.integers(0, values.size, size=(replicates, values.size))
    means = values[drawn].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high), 0.95)


__all__ = [
    "LAST",
    "PLAIN",
    "POPULAR",
    "RECENT",
    "PastList",
    "Ranking",
    "Recalled",
    "ReplayedLists",
    "list_gains",
    "outcomes_of",
    "past_lists",
    "ranking_at",
    "replay_lists",
    "thresholds",
]
