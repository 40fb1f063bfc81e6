"""Folds for models of customers: grouped, so that no customer is on both sides, and purged, so that no label is from the future.

A fold is a hash of the customer's name and a seed (Kohavi's k folds, 1995, by group), so it does not depend on who else is
there. In time the gap law of `split` holds, with a purge on top: Lopez de Prado, Advances in Financial Machine Learning
(2018), chapter 7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, Ticks, literal, negated, shift_ticks, ticks
from foreproof.core.grid import Grid
from foreproof.core.predict import CUTOFF
from foreproof.core.split import settled
from foreproof.errors import BadInput, LawError

FOLD = "fold"


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """How rows are cut.

    grid, steps, delay: a label of cutoff o settles at `Grid.add(o, steps) + delay`. purge: by how much earlier than the test
    cutoff it must have settled, in days (in steps on a clock of integers).
    """

    grid: Grid
    steps: int
    folds: int = 5
    seed: int = 1
    delay: str | int = 0
    purge: int = 0

    def __post_init__(self) -> None:
        for name, value, low in (("folds", self.folds, 2), ("steps", self.steps, 1), ("purge", self.purge, 0)):
            if value < low:
                raise BadInput(f"folds: {name}", found=str(value), wanted=f"at least {low}")


@dataclass(frozen=True, slots=True)
class FoldSplit:
    """The rows of one fold at one test cutoff, and the rows of other customers whose labels had settled before."""

    fold: int
    cutoff: Moment
    train: pl.DataFrame
    test: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was cut how, as evidence.

    counts: `fold`, `cutoff`, `rows`, `customers`, `positives`, sorted: what each fold holds at each cutoff.
    """

    plan: FoldPlan
    counts: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; cutoffs as text, or whole numbers on a clock of integers."""
        plain = (
            self.counts
            if self.plan.grid.integer
            else self.counts.with_columns(pl.col(CUTOFF).dt.to_string("iso:strict"))
        )
        return {
            "seed": self.plan.seed,
            "folds": self.plan.folds,
            "purge_days": self.plan.purge,
            "steps": self.plan.steps,
            "delay": self.plan.delay,
            "grid": self.plan.grid.describe(),
            "counts": plain.to_dicts(),
        }


def fold_of(key: str, *, folds: int, seed: int) -> int:
    """The fold of one customer, 0 ... folds - 1: the first 8 bytes of sha256 of `seed:key`, modulo folds."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % folds


def grouped_folds(keys: pl.Series | Sequence[str], *, folds: int, seed: int) -> Ticks:
    """The fold of each row: n whole numbers, 0 ... folds - 1, the same for equal keys whatever others there are.

    keys: n names of customers (numbers count as their text). Raises BadInput for a missing name or fewer than two folds.
    """
    if folds < 2:
        raise BadInput("folds", found=str(folds), wanted="at least 2")
    names = pl.Series("key", keys).cast(pl.String)
    if names.null_count():
        raise BadInput("folds", found=f"{names.null_count()} rows without a customer", wanted="a name in each")
    known = names.unique().to_list()
    where = {name: fold_of(name, folds=folds, seed=seed) for name in known}
    return np.array([where[name] for name in names.to_list()], dtype=np.int64)


def purged_splits(rows: pl.DataFrame, plan: FoldPlan, *, key: str) -> Iterator[FoldSplit]:
    """For each cutoff and fold: test rows, and training rows of other folds that had settled; earliest cutoff first.

    rows: `key` (customer), `cutoff`, and whatever else. A training row of cutoff o is settled at test cutoff t where
    `Grid.add(o, steps) + delay <= t - purge`. Splits without training or test rows are left out. Every split passes
    `check_overlap`.
    """
    _check_rows(rows, key)
    folds = pl.Series(FOLD, grouped_folds(rows[key], folds=plan.folds, seed=plan.seed), dtype=pl.Int64)
    cutoffs = rows[CUTOFF].unique().sort().to_list()
    for at in cutoffs:
        ready = [o for o in cutoffs if _ready(plan, o, at)]
        before = rows[CUTOFF].is_in(pl.Series(ready, dtype=rows.schema[CUTOFF]).implode())
        now = rows.select(pl.col(CUTOFF) == literal(at)).to_series()
        for fold in range(plan.folds):
            train, test = rows.filter(before & (folds != fold)), rows.filter(now & (folds == fold))
            if train.height and test.height:
                yield FoldSplit(fold, at, train, test)


def manifest(rows: pl.DataFrame, plan: FoldPlan, *, key: str, label: str = "label") -> Manifest:
    """Counts of rows, customers and positives by fold and cutoff. rows: `key`, `cutoff`, `label` (0, 1, or null: not settled).

    Raises BadInput.
    """
    _check_rows(rows, key)
    if label not in rows.columns:
        raise BadInput("folds", found=f"no column {label}", wanted="the labels")
    folds = pl.Series(FOLD, grouped_folds(rows[key], folds=plan.folds, seed=plan.seed), dtype=pl.Int64)
    counted = rows.with_columns(folds).group_by(FOLD, CUTOFF, maintain_order=True)
    counts = counted.agg(
        rows=pl.len().cast(pl.Int64),
        customers=pl.col(key).n_unique().cast(pl.Int64),
        positives=(pl.col(label) == 1).sum().cast(pl.Int64),
    )
    return Manifest(plan, counts.sort(FOLD, CUTOFF))


def check_folds(keys: pl.Series | Sequence[str], assigned: Ticks) -> None:
    """LawError where a customer is in two folds. keys, assigned: n."""
    table = pl.DataFrame({"key": pl.Series("key", keys).cast(pl.String), FOLD: assigned})
    several = table.group_by("key").agg(pl.col(FOLD).unique().sort()).filter(pl.col(FOLD).list.len() > 1).sort("key")
    if several.height:
        name, found = several.row(0)
        raise LawError(
            "folds",
            found=f"{several.height} customers in two folds (first: {name} in folds {', '.join(map(str, found))})",
            wanted="every customer in one fold (grouped folds)",
            fix="assign folds by grouped_folds",
        )


def check_overlap(train: pl.DataFrame, test: pl.DataFrame, plan: FoldPlan, *, key: str) -> None:
    """LawError where a customer is on both sides, or a training label had not settled at the earliest test cutoff.

    train, test: `key` and `cutoff`. The purge of the plan counts. Raises BadInput for missing columns or customers.
    """
    for rows in (train, test):
        _check_rows(rows, key)
    if not (train.height and test.height):
        return
    both = (
        train.select(pl.col(key).cast(pl.String))
        .unique()
        .join(test.select(pl.col(key).cast(pl.String)).unique(), on=key, how="semi")
    )
    if both.height:
        raise LawError(
            "folds",
            found=f"{both.height} customers in training and test (first: {both[key].sort()[0]})",
            wanted="every customer on one side (grouped folds)",
            fix="cut rows by purged_splits",
        )
    at = test[CUTOFF].sort()[0]
    late = [o for o in train[CUTOFF].unique().sort().to_list() if not _ready(plan, o, at)]
    if late:
        many = train.filter(pl.col(CUTOFF) >= literal(late[0])).height
        raise LawError(
            "folds",
            found=f"{many} training labels from cutoff {late[0]} on that had not settled at test cutoff {at}",
            wanted=f"Grid.add(cutoff, {plan.steps}) + {plan.delay} <= {at} less a purge of {plan.purge} (gap law)",
            fix="learn from earlier cutoffs",
        )


def _ready(plan: FoldPlan, cutoff: Moment, at: Moment) -> bool:
    """The gap law of `split.settled`, at the test cutoff less the purge."""
    if plan.grid.integer:
        return settled(plan.grid, cutoff, plan.steps, delay=plan.delay, at=ticks(at) - plan.purge)
    earlier = shift_ticks(np.array([ticks(at)], dtype=np.int64), negated(f"{plan.purge}d"), zone=plan.grid.zone)
    return settled(plan.grid, cutoff, plan.steps, delay=plan.delay, at=int(earlier[0]))


def _check_rows(rows: pl.DataFrame, key: str) -> None:
    missing = [name for name in (key, CUTOFF) if name not in rows.columns]
    if missing:
        raise BadInput("folds", found=f"no column {missing[0]}", wanted=f"{key} and {CUTOFF}")
    for name in (key, CUTOFF):
        if rows[name].null_count():
            raise BadInput("folds", found=f"{rows[name].null_count()} rows without {name}", wanted="one in each row")


__all__ = [
    "FOLD",
    "FoldPlan",
    "FoldSplit",
    "Manifest",
    "check_folds",
    "check_overlap",
    "fold_of",
    "grouped_folds",
    "manifest",
    "purged_splits",
]
