"""A challenger is promoted only where it is surely ahead at three past cutoffs, and never silently."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import pair_shop as shop
from foreproof.engine.challenger import Challenged, judge_challenger, shadowed
from foreproof.engine.pairs import PairServed

PLAN = shop.plan()
N = 600


def judged(clear: list[tuple[float, float]], *, buyers: float = 0.15) -> Challenged:
    """One entry a cutoff: how clearly champion and challenger see who buys."""
    rng = np.random.default_rng(4)
    grid = PLAN.task.series.grid
    start = grid.add(PLAN_START, 0)
    ours: dict[Any, PairServed] = {}
    theirs: dict[Any, PairServed] = {}
    labels = []
    for k, sides in enumerate(clear):
        cutoff = grid.add(start, 14 * k)
        y = (rng.uniform(size=N) < buyers).astype(float)
        keys = pl.DataFrame({"customer": [f"c{i:03d}" for i in range(N)], "kind": ["bread"] * N})
        keys = keys.with_columns(
            pl.lit(cutoff).cast(pl.Datetime("us", "UTC")).alias("cutoff"), pl.lit(14).alias("step")
        )
        for side, clarity in zip((ours, theirs), sides, strict=True):
            p = 1 / (1 + np.exp(-(clarity * (2 * y - 1) + rng.normal(size=N))))
            rows = keys.with_columns(pl.lit("whitespace").alias("segment"), pl.Series("p", p))
            side[cutoff] = PairServed(rows, rows.clear(), None)  # type: ignore[arg-type]
        labels.append(keys.with_columns(pl.Series("y", y), pl.lit(1.0).alias("money")))
    built: Any = SimpleNamespace(labels=pl.concat(labels))
    return judge_challenger(PLAN, built, shadowed(ours, theirs), seed=1, replicates=100)


def _start() -> Any:
    from datetime import UTC, datetime

    return datetime(2024, 5, 1, 12, tzinfo=UTC)


PLAN_START = _start()


def test_three_cutoffs_surely_ahead_promote_and_two_do_not() -> None:
    found = judged([(0.3, 2.0)] * 3)
    assert found.promoted
    assert found.table["ahead"].to_list() == [True] * 3
    assert "promoted. To serve it" in found.words
    two = judged([(0.3, 2.0), (0.3, 2.0), (1.0, 1.0), (2.0, 0.3)])
    assert not two.promoted
    assert two.table["ahead"].to_list() == [True, True, False, False]
    assert "at 2 of 4 past cutoffs" in two.words
    assert "not promoted; the champion stays" in two.words


def test_the_gain_is_the_challengers_capture_less_the_champions() -> None:
    row = judged([(0.5, 1.5)]).table.row(0, named=True)
    assert row["gain"] == pytest.approx(row["challenger"] - row["champion"])
    assert row["low"] <= row["gain"] <= row["high"]


def test_a_cutoff_without_buyers_is_not_judged_and_says_so() -> None:
    found = judged([(0.3, 2.0)], buyers=0.0)
    row = found.table.row(0, named=True)
    assert row["gain"] is None
    assert not row["ahead"]
    assert "not judged" in row["why"]
    assert not found.promoted
