"""Runs of sorted cells against loops, and cells by sorting against cells by grouping."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from foreproof.features import blocks
from foreproof.features.blocks import Number, block_of
from foreproof.features.cells import CODE, PERIOD
from foreproof.features.spans import counted, extremes, running

KEYS = 4
cells = st.lists(st.tuples(st.integers(0, KEYS - 1), st.integers(-30, 30)), max_size=60).map(sorted)


@given(cells, st.sets(st.integers(-40, 40), min_size=1, max_size=5).map(sorted), st.sampled_from([1, 10**12]))
def test_cells_are_counted_up_to_each_end(held: list[tuple[int, int]], ends: list[int], far: int) -> None:
    code, period = (np.array([cell[i] for cell in held], dtype=np.int64) for i in (0, 1))
    found = counted(code, period * far, np.array(ends) * far, size=KEYS)
    for i, end in enumerate(ends):
        assert found[i].tolist() == [sum(k == key and p <= end for k, p in held) for key in range(KEYS)]


@given(st.lists(st.integers(-(2**60), 2**60), max_size=6))
def test_running_sums_are_exact_however_large(weights: list[int]) -> None:
    found = running(np.array(weights, dtype=np.int64))
    assert [int(total) for total in found] == [sum(weights[:i]) for i in range(len(weights) + 1)]


@given(st.lists(st.integers(-9, 9), max_size=40), st.data())
def test_the_extremes_of_a_run_are_those_of_its_values(values: list[int], data: st.DataObject) -> None:
    bound = st.integers(0, len(values))
    runs = data.draw(st.lists(st.tuples(bound, bound).map(sorted), max_size=8))
    first, last = (np.array([run[i] for run in runs], dtype=np.int64) for i in (0, 1))
    for fold, say, blank in ((np.minimum, min, np.inf), (np.maximum, max, -np.inf)):
        found = extremes(np.array(values, dtype=np.float64), first, last, fold=fold, blank=blank)
        assert found.tolist() == [say(values[a:b], default=blank) for a, b in runs]


@given(cells, st.data())
def test_cells_by_sorting_are_those_by_grouping(held: list[tuple[int, int]], data: st.DataObject) -> None:
    large = data.draw(st.sampled_from([5, 2**50, 2**61]))  # the last does not fit beside its cell
    number = st.integers(-large, large) | st.none() if data.draw(st.booleans()) else st.integers(-large, large)
    rows = pl.DataFrame(
        {
            CODE: pl.Series([code for code, _ in held], dtype=pl.Int64),
            PERIOD: pl.Series([period for _, period in held], dtype=pl.Int64),
            "a": pl.Series([data.draw(number) for _ in held], dtype=pl.Int64),
            "b": pl.Series([data.draw(st.integers(0, 1)) for _ in held], dtype=pl.Int64),
        }
    ).sample(fraction=1.0, shuffle=True, seed=1)
    numbers = {"a": Number(1, False, ("max", "min", "sum")), "b": Number(1, False, ())}
    found = block_of(rows, numbers)
    try:
        blocks._BITS, before = 0, blocks._BITS
        twin = block_of(rows, numbers)
    finally:
        blocks._BITS = before
    for name in ("code", "period", "rows"):
        assert getattr(found, name).tolist() == getattr(twin, name).tolist()
    for name in numbers:
        assert set(found.numbers[name]) == set(twin.numbers[name])
        there = twin.numbers[name]["n"] > 0
        for kind, values in twin.numbers[name].items():
            assert np.array_equal(found.numbers[name][kind][there], values[there])
            assert np.array_equal(found.numbers[name]["n"], twin.numbers[name]["n"])
