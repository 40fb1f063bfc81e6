"""From what members said to one calibrated chance a pair: learned on settled cutoffs, said at that cutoff or any later one.

By segment (repeat, whitespace), or by segment and group: which estimator to believe, the blend or one of its members, and which
calibrator. Both are judged forward in time. A group with too few buyers to be judged by has those of its segment, and a badge
that says so; a list takes its base rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.predict import CUTOFF
from foreproof.models.blend import BlendWeights, blend, learn_blend
from foreproof.models.calibrate import CALIBRATORS, Calibrated, Calibrator, Raw, clipped
from foreproof.models.calibrate_choice import FEWEST_POSITIVES, SETTLED_AT, Chosen, choose_calibrator
from foreproof.models.panel import Floats
from foreproof.workloads.propensity import SEGMENT, PropensityPlan

RAW, P, BASE, BADGE = "raw", "p", "base", "badge"
MODEL, HEURISTIC, BLEND = "model", "heuristic", "blend"
FEWEST_BUYERS = 30
"""Settled buyers of a group below which its chances are a heuristic: the base rate of the group, and the badge says so."""
_PRIOR = 20.0
_OF_SEGMENT = "of the segment"


@dataclass(frozen=True, slots=True)
class Choice:
    """What one group of one segment believes. estimator: `blend` or a member. calibrator: its name."""

    estimator: str
    calibrator: str
    calibrated: Calibrated
    buyers: int
    why: str

    @property
    def badge(self) -> str:
        """`model`, or `heuristic` where too few buyers had settled."""
        return MODEL if self.buyers >= FEWEST_BUYERS else HEURISTIC


@dataclass(frozen=True, slots=True)
class Chances:
    """What was learned at one cutoff.

    weights: of the blend. chosen: by segment, the calibrator and why. own: by segment and group. base: group, `segment`, `base`:
    the settled rate, drawn towards that of the segment by 20 pairs; rest: of a group that had not settled. pooled: one estimator
    and calibrator for all groups of a segment.
    """

    members: tuple[str, ...]
    group: str
    weights: BlendWeights
    chosen: Mapping[str, Chosen]
    own: Mapping[tuple[str, str], Choice]
    base: pl.DataFrame
    rest: float
    pooled: bool

    def table(self) -> pl.DataFrame:
        """`segment`, group, `estimator`, `calibrator`, `buyers`, `badge`, `why`."""
        rows = [(s, g, c.estimator, c.calibrator, c.buyers, c.badge, c.why) for (s, g), c in sorted(self.own.items())]
        words = dict.fromkeys((SEGMENT, self.group, "estimator", "calibrator"), pl.String())
        schema = {**words, "buyers": pl.Int64(), BADGE: pl.String(), "why": pl.String()}
        return pl.DataFrame(rows, schema=schema, orient="row")


def learn_chances(plan: PropensityPlan, settled: pl.DataFrame) -> tuple[Chances, pl.DataFrame]:
    """Weights, estimators and calibrators from settled cutoffs; and the settled rows with `raw`, what they are calibrated on.

    settled: entity columns, `cutoff`, `segment`, a column of probabilities a member, `y`, `settled_at`, sorted; each member had
    learned from what had settled before the cutoff of its row.

    With `choice: group` a member takes the place of the blend in a group where the sum of its log losses, forward in time, is
    lower by more than one standard error of the difference, accounts as units (the one-standard-error rule; Breiman, Friedman,
    Olshen & Stone, Classification and Regression Trees, 1984, 3.4.3). The calibrator is the group's own or that of its segment,
    whichever has the lower calibration error forward in time, raw where both are worse. Raises BadInput.
    """
    group, members = plan.task.group, tuple(model.name for model in plan.models)
    pooled = plan.choice == "pooled"
    weights = learn_blend(settled, members, segment=SEGMENT, group="" if pooled else group)
    estimators = {} if pooled else _estimators(settled, members, plan.task.entity)
    bought = dict(_buyers(settled, group))
    names = {key: name for key, (name, _) in estimators.items() if bought[key] >= FEWEST_BUYERS}
    told = settled.with_columns(pl.Series(RAW, _raw(settled, weights, names, group)))
    chosen = {
        str(segment): choose_calibrator(_to_calibrate(part), plan.calibrators)
        for (segment,), part in told.group_by([SEGMENT], maintain_order=True)
    }
    own: dict[tuple[str, str], Choice] = {}
    for (segment, name), part in told.sort(SEGMENT, group, maintain_order=True).group_by(
        [SEGMENT, group], maintain_order=True
    ):
        key = (str(segment), str(name))
        buyers, of_segment = int(part["y"].sum()), chosen[key[0]]
        if pooled:
            own[key] = Choice(BLEND, of_segment.name, of_segment.calibrated, buyers, "for all groups of the segment")
        elif buyers < FEWEST_BUYERS:
            why = f"{buyers} settled buyers, fewer than {FEWEST_BUYERS}: as the segment; a list takes the base rate"
            own[key] = Choice(BLEND, of_segment.name, of_segment.calibrated, buyers, why)
        else:
            whole = told.filter(pl.col(SEGMENT) == segment)
            own[key] = _calibrated(part, whole, of_segment, plan.calibrators, estimators.get(key))
    rest = (float(settled["y"].sum()) + 1.0) / (settled.height + 2.0)
    return Chances(members, group, weights, chosen, own, _base(settled, group), rest, pooled), told


def say(chances: Chances, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with `raw`, `p` and `base`: what was learned, said of any cutoff from that one on.

    rows: the group's column, `cutoff`, `segment`, a column of probabilities a member; their order is kept. A group that had not
    settled has blend and calibrator of its segment.
    """
    names = {key: choice.estimator for key, choice in chances.own.items()}
    told = rows.with_columns(pl.Series(RAW, _raw(rows, chances.weights, names, chances.group)))
    told = told.join(chances.base, on=[chances.group, SEGMENT], how="left", maintain_order="left")
    told = told.with_columns(pl.col(BASE).fill_null(chances.rest)).with_row_index("_place")
    by = [SEGMENT] if chances.pooled else [SEGMENT, chances.group]
    parts = []
    for key, part in told.group_by(by, maintain_order=True):
        calibrated = _calibrated_of(chances, tuple(str(value) for value in key))
        p = calibrated(part[RAW].to_numpy(), part[CUTOFF])
        parts.append(part.with_columns(pl.Series(P, p)))
    return pl.concat(parts).sort("_place").drop("_place")


def _calibrated_of(chances: Chances, key: tuple[str, ...]) -> Calibrated:
    choice = None if chances.pooled else chances.own.get((key[0], key[1]))
    if choice is not None:
        return choice.calibrated
    return chances.chosen[key[0]].calibrated if key[0] in chances.chosen else Raw()


def _raw(rows: pl.DataFrame, weights: BlendWeights, names: Mapping[tuple[str, str], str], group: str) -> Floats:
    """The blend, or the member that a group of a segment believes."""
    found = blend(rows, weights)
    segments, groups = rows[SEGMENT].to_numpy(), rows[group].to_numpy()
    for (segment, name), estimator in names.items():
        if estimator in weights.members:
            here = (segments == segment) & (groups == name)
            found[here] = clipped(rows[estimator].to_numpy())[here] if here.any() else found[here]
    return found


def _estimators(
    settled: pl.DataFrame, members: Sequence[str], entity: tuple[str, str]
) -> dict[tuple[str, str], tuple[str, str]]:
    """By segment and group: the blend, or a member that was surely better forward in time; and why."""
    account, group = entity
    parts = []
    for at in settled[CUTOFF].unique().sort():
        before = settled.filter((pl.col(CUTOFF) < at) & (pl.col(SETTLED_AT) <= at))
        if before.height:
            here = settled.filter(pl.col(CUTOFF) == at)
            weights = learn_blend(before, members, segment=SEGMENT, group=group)
            parts.append(here.with_columns(pl.Series(BLEND, blend(here, weights))))
    if not parts or len(members) < 2:
        return {}
    judged = pl.concat(parts).sort(SEGMENT, group, account, CUTOFF)
    losses = {name: _log_losses(judged[name].to_numpy(), judged["y"].to_numpy()) for name in (BLEND, *members)}
    judged = judged.select(SEGMENT, group, account).with_columns(
        *(pl.Series(name, losses[BLEND] - losses[name]) for name in members)
    )
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for (segment, name), part in judged.group_by([SEGMENT, group], maintain_order=True):
        by_account = part.group_by(account, maintain_order=True).agg(pl.col(list(members)).sum())
        gains = {member: by_account[member].to_numpy() for member in members}
        best = max(members, key=lambda member: float(gains[member].sum()))
        gain, error = float(gains[best].sum()), float(np.sqrt(len(gains[best])) * gains[best].std())
        figures = f"{len(parts)} cutoffs, {best} less log loss than the blend by {gain:.2f}, standard error {error:.2f}"
        found[str(segment), str(name)] = (best if gain > error else BLEND, figures)
    return found


def _buyers(settled: pl.DataFrame, group: str) -> list[tuple[tuple[str, str], float]]:
    """Settled buyers by segment and group."""
    counts = settled.group_by(SEGMENT, group, maintain_order=True).agg(pl.col("y").sum())
    return [((segment, name), buyers) for segment, name, buyers in counts.iter_rows()]


def _log_losses(p: Floats, y: Floats) -> Floats:
    """One a row."""
    said = clipped(p)
    return -np.where(y > 0.5, np.log(said), np.log1p(-said))


@dataclass(frozen=True, slots=True)
class _OfSegment:
    """The calibrator of a segment, offered to one of its groups: fitted on all rows of the cutoffs that the group has."""

    whole: pl.DataFrame
    inner: Calibrator
    name: str = _OF_SEGMENT

    def fit(self, p: Floats, y: Floats, when: pl.Series) -> Calibrated:
        """Whatever the group's p and y: only which cutoffs had settled counts."""
        rows = self.whole.filter(pl.col(CUTOFF).is_in(when.unique().implode()))
        return self.inner.fit(clipped(rows[RAW].to_numpy()), rows["y"].to_numpy(), rows[CUTOFF])


def _calibrated(
    part: pl.DataFrame,
    whole: pl.DataFrame,
    of_segment: Chosen,
    names: Sequence[str],
    estimator: tuple[str, str] | None,
) -> Choice:
    """The calibrator of a group: its own or that of its segment, judged forward in time; with too few buyers the latter."""
    believed, figures = estimator or (BLEND, "no earlier settled cutoff to judge members on")
    buyers = int(part["y"].sum())
    why = f"estimator: {figures}; calibrator: "
    if buyers < FEWEST_POSITIVES:
        why += f"{buyers} settled buyers, fewer than {FEWEST_POSITIVES}: that of the segment"
        return Choice(believed, of_segment.name, of_segment.calibrated, buyers, why)
    known: dict[str, Calibrator] = dict(CALIBRATORS)
    offered = list(names)
    if of_segment.name in CALIBRATORS:
        known[_OF_SEGMENT] = _OfSegment(whole, CALIBRATORS[of_segment.name])
        offered = [_OF_SEGMENT, *offered]
    found = choose_calibrator(_to_calibrate(part), offered, calibrators=known)
    name = f"{of_segment.name} {_OF_SEGMENT}" if found.name == _OF_SEGMENT else found.name
    return Choice(believed, name, found.calibrated, buyers, why + found.why)


def _to_calibrate(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(CUTOFF, pl.col(RAW).alias(P), "y", SETTLED_AT)


def _base(settled: pl.DataFrame, group: str) -> pl.DataFrame:
    """The settled rate of each group and segment, drawn towards that of its segment by `_PRIOR` pairs."""
    rate = pl.col("y").mean().over(SEGMENT)
    rates = settled.with_columns(rate.alias("_rate")).group_by(group, SEGMENT, maintain_order=True)
    return rates.agg(((pl.col("y").sum() + _PRIOR * pl.col("_rate").first()) / (pl.len() + _PRIOR)).alias(BASE))


__all__ = [
    "BADGE",
    "BASE",
    "FEWEST_BUYERS",
    "HEURISTIC",
    "RAW",
    "Chances",
    "Choice",
    "P",
    "learn_chances",
    "say",
]
